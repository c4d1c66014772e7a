//! Observable instruments, with the API's callbacks or with callbacks that can be unregistered.

use std::marker::PhantomData;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;

use super::synchronous::Checks;
use crate::metrics::data::Measured;
use crate::metrics::reader::Callback;
use crate::metrics::series::Stream;

/// Number types that can be observed: `u64`, `i64` and `f64`.
#[allow(private_bounds, reason = "sealed")]
pub trait ObservedNumber: Measured {}

impl ObservedNumber for u64 {}
impl ObservedNumber for i64 {}
impl ObservedNumber for f64 {}

/// An observable instrument for use in callbacks registered with
/// [`SdkMeter::register_callback`](crate::metrics::SdkMeter). Cheap to clone.
pub struct Observable<T>(Arc<ObservedStreams>, PhantomData<fn(T)>);

/// The streams of an observable instrument, each with the index of its reader.
pub(crate) struct ObservedStreams {
    pub(crate) streams: Box<[(usize, Arc<Stream>)]>,
    pub(crate) checks: Checks,
}

impl ObservedStreams {
    fn observe<T: Measured>(&self, reader: usize, value: T, attributes: &[KeyValue]) {
        let passes = self.checks.pass(value);
        let is_offered = self.checks.exemplars().offers();
        for (_, stream) in self.streams.iter().filter(|(of, _)| *of == reader) {
            if passes || self.checks.takes(value, &stream.config) {
                stream.observe(value, attributes, is_offered);
            }
        }
    }
}

impl<T> Observable<T> {
    pub(crate) fn new(observed: ObservedStreams) -> Self {
        Observable(Arc::new(observed), PhantomData)
    }
}

impl<T> Clone for Observable<T> {
    fn clone(&self) -> Self {
        Observable(self.0.clone(), PhantomData)
    }
}

impl<T> std::fmt::Debug for Observable<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observable")
    }
}

/// Passed to the API's callbacks: reports one instrument's observations to the reader that is collecting.
pub(crate) struct ForReader<'a> {
    pub(crate) observed: &'a ObservedStreams,
    pub(crate) reader: usize,
}

impl<T: Measured> AsyncInstrument<T> for ForReader<'_> {
    fn observe(&self, measurement: T, attributes: &[KeyValue]) {
        self.observed.observe(self.reader, measurement, attributes);
    }
}

/// Receives a callback's observations, which may be for any number of instruments.
#[derive(Debug)]
pub struct Observer {
    pub(crate) reader: usize,
}

impl Observer {
    /// Reports the instrument's current value for these attributes.
    pub fn observe<T: ObservedNumber>(&self, instrument: &Observable<T>, value: T, attributes: &[KeyValue]) {
        instrument.0.observe(self.reader, value, attributes);
    }
}

/// Keeps a callback registered until the handle is dropped. Dropping it does not wait for a call in progress.
#[must_use = "the callback ends when this is dropped"]
pub struct CallbackHandle {
    pub(crate) _callback: Arc<Callback>,
}

impl std::fmt::Debug for CallbackHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallbackHandle")
    }
}
