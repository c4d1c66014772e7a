//! CPU utilization: the CPU time between two measurements, as a share of the available CPU time.

use std::time::{Duration, Instant};

/// The minimum window. A shorter one contains only a few clock ticks, which is noise.
const WINDOW: Duration = Duration::from_secs(1);

/// The last share, and the start of the current window.
#[derive(Debug, Default)]
pub(super) struct Utilization {
    since: Option<(Instant, CpuTime)>,
    last: Option<CpuTime>,
}

/// CPU time by mode, either in seconds or as shares of the CPUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CpuTime {
    pub(super) user: f64,
    pub(super) system: f64,
}

impl Utilization {
    /// Returns the utilization of `cpus` CPUs in the last window of at least a second; `None` in the first window.
    pub(super) fn measure(&mut self, now: Instant, time: CpuTime, cpus: usize) -> Option<CpuTime> {
        let Some((then, before)) = self.since else {
            self.since = Some((now, time));
            return None;
        };
        let elapsed = now.saturating_duration_since(then);
        if elapsed >= WINDOW {
            #[allow(clippy::cast_precision_loss, reason = "no machine has 2^53 CPUs")]
            let available = elapsed.as_secs_f64() * cpus.max(1) as f64;
            // The kernel counts a tick at its end, so a window may seem to contain one tick too many.
            let share = |now: f64, before: f64| ((now - before) / available).clamp(0.0, 1.0);
            let measured = CpuTime { user: share(time.user, before.user), system: share(time.system, before.system) };
            (self.since, self.last) = (Some((now, time)), Some(measured));
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each step lists the milliseconds since the start, and the CPU seconds in user mode and in the kernel so far.
    fn check(cpus: usize, steps: &[(u64, f64, f64)], expected: &str) {
        let (mut utilization, start) = (Utilization::default(), super::super::shared::now());
        let found: Vec<_> = steps
            .iter()
            .map(|(at, user, system)| {
                let time = CpuTime { user: *user, system: *system };
                let measured = utilization.measure(start + Duration::from_millis(*at), time, cpus);
                measured.map_or_else(|| "-".to_owned(), |share| format!("{:.2}+{:.2}", share.user, share.system))
            })
            .collect();
        assert_eq!(found.join(" "), expected, "{steps:?}");
    }

    #[test]
    fn shares_are_of_all_cpus() {
        check(1, &[(0, 5.0, 1.0), (1000, 5.5, 1.25)], "- 0.50+0.25");
        check(4, &[(0, 5.0, 1.0), (1000, 5.5, 1.25), (3000, 13.5, 1.25)], "- 0.12+0.06 1.00+0.00");
    }

    #[test]
    fn short_windows_give_the_last_share() {
        check(1, &[(0, 0.0, 0.0), (999, 0.9, 0.0), (2000, 1.0, 0.0), (2001, 1.1, 0.0)], "- - 0.50+0.00 0.50+0.00");
    }

    #[test]
    fn shares_stay_between_nothing_and_all() {
        check(1, &[(0, 5.0, 5.0), (1000, 7.0, 4.0)], "- 1.00+0.00");
        check(0, &[(0, 0.0, 0.0), (1000, 0.5, 0.0)], "- 0.50+0.00");
    }
}
