//! Instruments and views as configuration, and the stream that the two make.
//!
//! spec: metrics/sdk.md#view

mod identity;
mod kind;
mod stream;
mod view;

pub use kind::{Aggregation, DEFAULT_BOUNDARIES, InstrumentKind, TemporalityPreference};
pub use view::View;

pub(crate) use identity::Instrument;
pub(crate) use kind::PerKind;
pub(crate) use stream::{Shape, StreamConfig};
