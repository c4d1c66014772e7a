//! Configuration of instruments and views, and of the streams they produce together.
//!
//! spec: metrics/sdk.md#view

mod identity;
mod kind;
mod meter;
mod shape;
mod stream;
mod view;

pub use kind::{Aggregation, DEFAULT_BOUNDARIES, InstrumentKind, TemporalityPreference};
pub use meter::MeterConfig;
pub use view::View;

pub(crate) use identity::Instrument;
pub(crate) use kind::PerKind;
pub(crate) use shape::{ExponentialConfig, HistogramConfig, Shape};
pub(crate) use stream::{AttributeFilter, ReservoirFactory, StreamConfig};
