//! The clock of durations, read once when a request begins and once when it ends.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// The system's clock, or one that the application brings.
///
/// Span and histogram share the two readings, so their durations are equal.
///
/// spec: http/http-metrics.md: the duration of the metric should be that of the span
#[derive(Clone, Default)]
pub(crate) struct Clock(Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>);

impl Clock {
    pub(crate) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Clock(Some(Arc::new(now)))
    }

    #[inline]
    #[allow(clippy::disallowed_methods, reason = "an integration knows the API only, which has no clock")]
    pub(crate) fn now(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(now) => now(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_none() { "Clock(system)" } else { "Clock(custom)" })
    }
}
