//! The clock that provides timestamps for spans and measurements.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// The system clock, or a clock that the application provides.
///
/// Read it once at the start and once at the end of an operation, and pass both readings to the span and to the metric, so
/// that their durations match. The system clock may be set back between the two readings.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>);

impl Clock {
    /// Returns a clock that calls `now`, which must not block.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Clock(Some(Arc::new(now)))
    }

    /// Returns the current time.
    #[inline]
    #[allow(clippy::disallowed_methods, reason = "an integration knows the API alone, which has no clock")]
    pub fn now(&self) -> SystemTime {
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
