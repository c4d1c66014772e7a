//! Instruments: synchronous instruments, observable instruments with callbacks, and the meter that creates both.

mod meter;
mod observable;
mod shared;
mod synchronous;

pub use meter::{ObservableBuilder, SdkMeter};
pub use observable::{CallbackHandle, Observable, ObservedNumber, Observer};

pub(crate) use shared::Shared;
