//! The clock: timestamps in nanoseconds, deadlines, and the only place that reads the time.

mod tsc;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Contained, catch};

/// Nanoseconds since the Unix epoch.
///
/// The range ends in the year 2554. Times before 1970 are mapped to the epoch.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Creates a timestamp from nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Timestamp(nanos)
    }

    /// Returns the nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time that passed between `earlier` and this timestamp; zero if `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let nanos = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Timestamp(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_nanos(timestamp.0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A source of wall-clock time, for tests and simulations.
///
/// Called on the thread that starts or ends a span, once for each of the two events. Must not block. If it panics, the time is that
/// of the system.
pub trait TimeSource: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The clock of a provider: either the system clock or a [`TimeSource`].
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<Contained<Box<dyn TimeSource>>>>);

impl Clock {
    /// Returns the system's wall-clock time.
    pub const fn system() -> Self {
        Clock(None)
    }

    /// Creates a clock that reads `source`.
    pub fn from_source(source: impl TimeSource) -> Self {
        Clock(Some(Arc::new(Contained::new(Box::new(source)))))
    }

    /// Returns the current time.
    #[inline]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            None => tsc::now().map_or_else(system_now, Timestamp),
            // The source is code of the program, and is asked in the middle of the program's own work.
            Some(source) => catch(|| source.now()).unwrap_or_else(|_| system_now()),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_none() { "Clock(system)" } else { "Clock(custom)" })
    }
}

/// A clock for waits: it never goes back. If the time of the system is set back, it goes on from where it was.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    clock: Clock,
    last: u64,
    /// The nanoseconds by which the clock has been set back, in total.
    ahead: u64,
}

impl SteadyClock {
    pub(crate) fn new(clock: Clock) -> Self {
        let last = clock.now().as_nanos();
        SteadyClock { clock, last, ahead: 0 }
    }

    /// Returns the current time.
    pub(crate) fn now(&mut self) -> Timestamp {
        let now = self.clock.now().as_nanos();
        if now.saturating_add(self.ahead) < self.last {
            self.ahead = self.last - now;
        }
        self.last = now.saturating_add(self.ahead);
        Timestamp(self.last)
    }
}

/// Keeps the fast clock accurate. SDK threads call this whenever they wake.
pub(crate) fn discipline() {
    tsc::discipline();
}

#[inline]
#[allow(clippy::disallowed_methods, reason = "this module owns the clock")]
fn system_now() -> Timestamp {
    SystemTime::now().into()
}

#[allow(clippy::disallowed_methods, reason = "this module owns the clock")]
fn instant_now() -> Instant {
    Instant::now()
}

/// The time by which a wait must end. Every wait in the SDK takes a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No limit.
    pub const NEVER: Deadline = Deadline(None);

    /// Creates a deadline `timeout` from now. A timeout too large to represent means no limit.
    pub fn after(timeout: Duration) -> Self {
        Deadline(instant_now().checked_add(timeout))
    }

    /// Returns the remaining time: `None` if there is no limit, zero once the deadline has passed.
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(instant_now()))
    }

    /// Returns the time since the deadline passed; zero if it has not passed or there is no limit.
    pub(crate) fn passed_for(self) -> Duration {
        self.0.map_or(Duration::ZERO, |at| instant_now().saturating_duration_since(at))
    }

    /// Returns true once the deadline has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_some_and(|left| left.is_zero())
    }

    /// Returns the earlier of the two deadlines.
    pub fn min(self, other: Deadline) -> Deadline {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Deadline(Some(a.min(b))),
            (a, b) => Deadline(a.or(b)),
        }
    }

    /// Returns the time of the deadline; `None` if there is no limit.
    pub fn instant(self) -> Option<Instant> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_the_epoch_is_the_epoch() {
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_secs(1)), Timestamp::from_nanos(0));
    }

    #[test]
    fn timestamps_survive_the_way_through_system_time() {
        let timestamp = Timestamp::from_nanos(1_700_000_000_123_456_789);
        assert_eq!(Timestamp::from(SystemTime::from(timestamp)), timestamp);
    }

    #[test]
    fn deadlines_compare_and_pass() {
        assert!(Deadline::after(Duration::ZERO).has_passed());
        assert!(!Deadline::NEVER.has_passed());
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
        let soon = Deadline::after(Duration::ZERO);
        assert_eq!(soon.min(Deadline::NEVER), soon);
        assert_eq!(Deadline::NEVER.min(soon), soon);
    }
}
