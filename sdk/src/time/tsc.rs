//! Wall-clock time from the CPU's time stamp counter. Reading the counter takes half as long as reading the system
//! clock.
//!
//! Used only if the kernel itself keeps time with the counter (`clocksource` is `tsc`) and has therefore verified that
//! it runs at the same rate on all cores. Workers compare the counter with the clock about once a second
//! ([`discipline`]). Readings older than [`MAX_AGE_NANOS`] are not used; the caller reads the system clock instead. If
//! the clock is stepped, the machine is suspended or the program has no worker, the only effect is that the time is
//! slightly wrong, or slower to read, for no more than a few seconds.
#![allow(unsafe_code, reason = "one instruction; `benches` shows that it saves 10 ns on each of two reads a span")]
#![cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux", not(loom))),
    allow(dead_code, reason = "there is no counter to read, but its arithmetic is tested everywhere")
)]

use crate::sync::{AtomicU64, Ordering, fence};

/// Maximum age of a usable reading.
const MAX_AGE_NANOS: u64 = 30_000_000_000;

/// Simultaneous readings of the clock and the counter, and the counter's rate; together they convert a count to a
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    count: u64,
    nanos: u64,
    /// Nanoseconds per count, times 2³².
    rate: u64,
}

impl Reading {
    /// Returns the time at `count`, or `None` if `count` is before the reading or too long after it.
    #[inline]
    fn at(self, count: u64) -> Option<u64> {
        let counts = count.checked_sub(self.count)?;
        let elapsed = (u128::from(counts) * u128::from(self.rate)) >> 32;
        (elapsed < u128::from(MAX_AGE_NANOS)).then(|| self.nanos.wrapping_add(elapsed as u64))
    }
}

/// A reading that one thread can replace and other threads can read concurrently. Implemented as a sequence lock of
/// relaxed atomics.
struct Shared {
    /// Odd while the reading is being replaced; zero before the first reading.
    version: AtomicU64,
    count: AtomicU64,
    nanos: AtomicU64,
    rate: AtomicU64,
}

impl Shared {
    #[cfg(not(loom))]
    const fn new() -> Self {
        Shared {
            version: AtomicU64::new(0),
            count: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            rate: AtomicU64::new(0),
        }
    }

    /// Returns the reading, or `None` if there is none yet or if it is currently being replaced.
    #[inline]
    fn load(&self) -> Option<Reading> {
        let before = self.version.load(Ordering::Acquire);
        let reading = Reading {
            count: self.count.load(Ordering::Relaxed),
            nanos: self.nanos.load(Ordering::Relaxed),
            rate: self.rate.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        (before == after && before % 2 == 0 && before != 0).then_some(reading)
    }

    /// Replaces the reading. Must be called by only one thread at a time.
    fn store(&self, reading: Reading) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.count.store(reading.count, Ordering::Relaxed);
        self.nanos.store(reading.nanos, Ordering::Relaxed);
        self.rate.store(reading.rate, Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(loom)))]
pub(super) use counter::{discipline, now};

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(loom))))]
pub(super) use nothing::{discipline, now};

/// On other systems there is no reliable counter.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(loom))))]
mod nothing {
    #[inline]
    pub(in crate::time) fn now() -> Option<u64> {
        None
    }

    pub(in crate::time) fn discipline() {}
}

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(loom)))]
mod counter {
    use std::sync::{Mutex, OnceLock};
    use std::time::{Duration, Instant};

    use super::super::{instant_now, system_now};
    use super::{Reading, Shared};

    static SHARED: Shared = Shared::new();

    /// The duration of the first measurement of the counter's rate. `INTERVAL` is the time between later comparisons.
    const BASELINE: Duration = Duration::from_millis(100);
    const INTERVAL: Duration = Duration::from_secs(1);

    /// Returns the nanoseconds since the Unix epoch according to the counter, or `None` if the counter is not reliable at the
    /// moment.
    #[inline]
    pub(in crate::time) fn now() -> Option<u64> {
        SHARED.load()?.at(count())
    }

    #[inline]
    fn count() -> u64 {
        // SAFETY: every x86_64 CPU has this instruction, and it does not access memory. In a process that is not
        // allowed to use the instruction, the system clock, which also uses it, would have failed earlier.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    /// Simultaneous readings of the clock and the counter.
    #[derive(Clone, Copy)]
    struct Pair {
        count: u64,
        instant: Instant,
        nanos: u64,
    }

    /// Compares the counter with the clock if a comparison is due. Workers call this whenever they wake.
    pub(in crate::time) fn discipline() {
        static LAST: Mutex<Option<Pair>> = Mutex::new(None);
        // If the lock is held, another worker is already comparing.
        let Ok(mut last) = LAST.try_lock() else { return };
        if !kernel_trusts_the_counter() {
            return;
        }
        let calibrated = SHARED.load().is_some();
        let due = if calibrated { INTERVAL } else { BASELINE };
        match *last {
            Some(earlier) if instant_now().saturating_duration_since(earlier.instant) < due => {}
            Some(earlier) => {
                let pair = read();
                if let Some(rate) = rate(earlier, pair) {
                    SHARED.store(Reading { count: pair.count, nanos: pair.nanos, rate });
                }
                *last = Some(pair);
            }
            None => *last = Some(read()),
        }
    }

    /// Returns the nanoseconds per count, times 2³², or `None` if the rate is implausible, such as after a suspend.
    fn rate(earlier: Pair, later: Pair) -> Option<u64> {
        let counts = u128::from(later.count.checked_sub(earlier.count)?);
        let elapsed = later.instant.saturating_duration_since(earlier.instant).as_nanos();
        let rate = u64::try_from((elapsed << 32).checked_div(counts)?).ok()?;
        // Corresponds to 0.1 to 100 GHz.
        (rate > (1 << 32) / 100 && rate < (1 << 32) * 10).then_some(rate)
    }

    /// Repeatedly reads the clock between two reads of the counter, and returns the pair of readings from the shortest
    /// interval.
    fn read() -> Pair {
        let once = || {
            let before = count();
            let (instant, nanos) = (instant_now(), system_now().as_nanos());
            let window = count().wrapping_sub(before);
            (window, Pair { count: before.wrapping_add(window / 2), instant, nanos })
        };
        let first = once();
        (0..4).map(|_| once()).fold(first, |best, next| if next.0 < best.0 { next } else { best }).1
    }

    fn kernel_trusts_the_counter() -> bool {
        static TRUSTED: OnceLock<bool> = OnceLock::new();
        *TRUSTED.get_or_init(|| {
            let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
            std::fs::read_to_string(path).is_ok_and(|source| source.trim() == "tsc")
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_counters_time_is_the_systems() {
            let started = instant_now();
            while super::super::now().is_none() && started.elapsed() < Duration::from_secs(5) {
                discipline();
                if !kernel_trusts_the_counter() {
                    return;
                }
            }
            for _ in 0..1000 {
                let before = system_now().as_nanos();
                let by_counter = now().unwrap();
                let after = system_now().as_nanos();
                // The window allows for preemption between two reads on a busy machine.
                let window = before.saturating_sub(50_000)..after + 50_000;
                assert!(window.contains(&by_counter), "{by_counter} is not within {window:?}");
            }
        }

        #[test]
        fn a_rate_that_no_cpu_has_is_refused() {
            let now = instant_now();
            let at = |count, after: u64| Pair { count, instant: now + Duration::from_nanos(after), nanos: 0 };
            assert_eq!(rate(at(1000, 0), at(4000, 1000)), Some((1 << 32) / 3));
            assert_eq!(rate(at(1000, 0), at(1000, 1000)), None);
            assert_eq!(rate(at(1000, 0), at(500, 1000)), None);
            assert_eq!(rate(at(1000, 0), at(1001, 1000)), None);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_reading_gives_the_time_until_it_is_too_old() {
        let reading = Reading { count: 1000, nanos: 5_000_000_000, rate: 1 << 31 };
        assert_eq!(reading.at(1000), Some(5_000_000_000));
        assert_eq!(reading.at(3000), Some(5_000_001_000));
        assert_eq!(reading.at(999), None);
        assert_eq!(reading.at(1000 + 2 * MAX_AGE_NANOS), None);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// A thread that reads during a replacement gets the old reading, the new reading or none, but never a mixture.
    #[test]
    fn a_reading_is_never_torn() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let zero = || AtomicU64::new(0);
            let shared = Arc::new(Shared { version: zero(), count: zero(), nanos: zero(), rate: zero() });
            let reading = |n| Reading { count: n, nanos: n, rate: n };
            shared.store(reading(1));
            let writer = {
                let shared = shared.clone();
                thread::spawn(move || shared.store(reading(2)))
            };
            let seen = shared.load();
            assert!(seen.is_none() || seen == Some(reading(1)) || seen == Some(reading(2)), "{seen:?}");
            writer.join().unwrap();
            assert_eq!(shared.load(), Some(reading(2)));
        });
    }
}
