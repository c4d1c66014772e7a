//! Durations of operations, measured only if there is a listener.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;

use crate::error::ResponseStatus;
use crate::sync::unpoisoned;
use crate::time::{Clock, Timestamp};

/// Measures one kind of operation of one component. Without a listener, the clock is not read.
#[derive(Default)]
pub(crate) struct Durations(Mutex<Weak<Listener>>);

/// The histogram that receives the durations.
pub(crate) struct Listener {
    pub(crate) clock: Clock,
    /// Histogram of durations in seconds.
    pub(crate) seconds: Histogram<f64>,
    /// The name and type of the component, plus the server if the component is an exporter.
    pub(crate) component: Vec<KeyValue>,
}

impl Durations {
    /// Sends durations to `listener` until it is dropped or replaced.
    pub(crate) fn listen(&self, listener: &Arc<Listener>) {
        *unpoisoned(self.0.lock()) = Arc::downgrade(listener);
    }

    /// Runs and measures the operation. `error_type` extracts the error type from its result.
    pub(crate) fn measure<T>(
        &self,
        operation: impl FnOnce() -> T,
        error_type: impl FnOnce(&T) -> Option<&'static str>,
    ) -> T {
        self.measure_export(operation, error_type, |_| None)
    }

    /// Runs and measures an export. `response` extracts the receiver's response status from its result.
    pub(crate) fn measure_export<T>(
        &self,
        operation: impl FnOnce() -> T,
        error_type: impl FnOnce(&T) -> Option<&'static str>,
        response: impl FnOnce(&T) -> Option<ResponseStatus>,
    ) -> T {
        let listener = unpoisoned(self.0.lock()).upgrade();
        let Some(listener) = listener else { return operation() };
        let start = listener.clock.now();
        let result = operation();
        listener.record(start, error_type(&result), response(&result));
        result
    }
}

impl Listener {
    /// spec: semconv otel/sdk-metrics.md, `otel.sdk.exporter.operation.duration`
    fn record(&self, start: Timestamp, error_type: Option<&'static str>, response: Option<ResponseStatus>) {
        let seconds = self.clock.now().since(start).as_secs_f64();
        let mut attributes = self.component.clone();
        attributes.extend(error_type.map(|error_type| KeyValue::new("error.type", error_type)));
        attributes.extend(response.map(|response| match response {
            ResponseStatus::Http(code) => KeyValue::new("http.response.status_code", i64::from(code)),
            ResponseStatus::Rpc(code) => KeyValue::new("rpc.status_code", code),
        }));
        self.seconds.record(seconds, &attributes);
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
