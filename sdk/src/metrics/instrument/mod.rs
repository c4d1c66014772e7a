//! The instruments: synchronous ones that record, observable ones with callbacks, and the meter that makes both.

mod meter;
mod observable;
mod synchronous;

pub use meter::{ObservableBuilder, ObservedNumber, SdkMeter};
pub use observable::{CallbackHandle, Observable, Observer};
