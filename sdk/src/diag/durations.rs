//! How long something takes: measured only while somebody wants to know.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;

use crate::time::{Clock, Timestamp};

/// The durations of one operation of one component. While nobody listens, no clock is read.
#[derive(Default)]
pub(crate) struct Durations(Mutex<Weak<Listener>>);

/// Where durations go.
pub(crate) struct Listener {
    pub(crate) clock: Clock,
    /// The histogram, in seconds.
    pub(crate) seconds: Histogram<f64>,
    /// The name of the component and its type.
    pub(crate) component: [KeyValue; 2],
}

impl Durations {
    /// From now on durations go there, until it is dropped or somebody else listens.
    pub(crate) fn listen(&self, listener: &Arc<Listener>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(listener);
    }

    /// Runs the operation; `error_type` says of its result what went wrong, if anything did.
    pub(crate) fn measure<T>(
        &self,
        operation: impl FnOnce() -> T,
        error_type: impl FnOnce(&T) -> Option<&'static str>,
    ) -> T {
        let listener = self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let Some(listener) = listener else { return operation() };
        let start = listener.clock.now();
        let result = operation();
        listener.record(start, error_type(&result));
        result
    }
}

impl Listener {
    fn record(&self, start: Timestamp, error_type: Option<&'static str>) {
        let seconds = self.clock.now().since(start).as_secs_f64();
        let [name, kind] = self.component.clone();
        match error_type {
            None => self.seconds.record(seconds, &[name, kind]),
            Some(error_type) => self.seconds.record(seconds, &[name, kind, KeyValue::new("error.type", error_type)]),
        }
    }
}

impl fmt::Debug for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Durations")
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.component).finish()
    }
}
