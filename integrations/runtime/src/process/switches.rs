//! Context switches of the process, summed over its threads.

use std::collections::HashMap;

use super::parse::Switches;

/// The maximum number of tracked threads. Reading a thread's numbers adds about 30 µs to a collection.
const MAX_THREADS: usize = 1024;

/// The sum over all threads seen so far. It never falls, although the kernel discards a thread's numbers when it ends.
#[derive(Debug, Default)]
pub(super) struct SwitchCount {
    total: Switches,
    threads: HashMap<u32, Seen>,
    round: u64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    switches: Switches,
    round: u64,
}

impl SwitchCount {
    /// Begins a pass over all threads.
    pub(super) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Adds a listed thread. Calls `read` for the numbers of a tracked thread; `None` means that they cannot be read.
    pub(super) fn add(&mut self, thread: u32, read: impl FnOnce() -> Option<Switches>) {
        let followed = self.threads.len();
        let Some(seen) = self.threads.get_mut(&thread) else {
            if followed < MAX_THREADS {
                if let Some(switches) = read() {
                    self.total = plus(self.total, switches);
                    self.threads.insert(thread, Seen { switches, round: self.round });
                }
            }
            return;
        };
        seen.round = self.round;
        if let Some(switches) = read() {
            let grown = Switches {
                voluntary: growth(seen.switches.voluntary, switches.voluntary),
                involuntary: growth(seen.switches.involuntary, switches.involuntary),
            };
            seen.switches = switches;
            self.total = plus(self.total, grown);
        }
    }

    /// Forgets the threads not added since [`SwitchCount::begin`]: they have ended, and their ids may be reused.
    pub(super) fn forget_the_others(&mut self) {
        let round = self.round;
        self.threads.retain(|_, seen| seen.round == round);
    }

    pub(super) fn total(&self) -> Switches {
        self.total
    }
}

fn plus(left: Switches, right: Switches) -> Switches {
    Switches {
        voluntary: left.voluntary.saturating_add(right.voluntary),
        involuntary: left.involuntary.saturating_add(right.involuntary),
    }
}

/// Returns the increase. If the number has fallen, it belongs to a new thread with the same id, which began at zero.
fn growth(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each round lists threads and their switches: `1=5/7`, or `1=?` for an unreadable thread. A trailing `!` marks a
    /// round that could not list all threads.
    fn check(rounds: &[&str], expected: &str) {
        let mut count = SwitchCount::default();
        let totals: Vec<_> = rounds
            .iter()
            .map(|round| {
                count.begin();
                for entry in round.trim_end_matches('!').split_whitespace() {
                    let (thread, switches) = entry.split_once('=').unwrap();
                    let switches = switches.split_once('/').map(|(voluntary, involuntary)| Switches {
                        voluntary: voluntary.parse().unwrap(),
                        involuntary: involuntary.parse().unwrap(),
                    });
                    count.add(thread.parse().unwrap(), || switches);
                }
                if !round.ends_with('!') {
                    count.forget_the_others();
                }
                format!("{}/{}", count.total().voluntary, count.total().involuntary)
            })
            .collect();
        assert_eq!(totals.join(" "), expected, "{rounds:?}");
    }

    #[test]
    fn threads_are_added_up() {
        check(&["1=5/7", "1=6/9", "1=6/9"], "5/7 6/9 6/9");
        check(&["1=5/7 2=10/20", "1=6/7 2=10/21"], "15/27 16/28");
    }

    #[test]
    fn the_switches_of_a_thread_that_ended_stay_in_the_sum() {
        check(&["1=5/7 2=10/20", "1=5/7"], "15/27 15/27");
        // The id is reused by another thread.
        check(&["1=5/7 2=10/20", "1=5/7", "1=5/7 2=11/1"], "15/27 15/27 26/28");
        check(&["1=5/7 2=10/20", "1=5/7 2=1/2"], "15/27 16/29");
    }

    #[test]
    fn an_unreadable_thread_is_not_counted_twice() {
        check(&["1=5/7", "1=?", "1=6/7"], "5/7 5/7 6/7");
        check(&["1=5/7 2=3/3", "1=5/7 !", "1=5/7 2=4/3"], "8/10 8/10 9/10");
        check(&["1=?", "1=6/7"], "0/0 6/7");
    }

    #[test]
    fn sums_saturate() {
        let most = format!("1={max}/{max} 2=1/1", max = u64::MAX);
        check(&[&most], &format!("{max}/{max}", max = u64::MAX));
    }

    #[test]
    fn threads_beyond_the_bound_are_left_out() {
        let mut count = SwitchCount::default();
        let mut reads = 0;
        count.begin();
        for thread in 0..2 * MAX_THREADS {
            count.add(thread.try_into().unwrap(), || {
                reads += 1;
                Some(Switches { voluntary: 1, involuntary: 0 })
            });
        }
        count.forget_the_others();
        assert_eq!(reads, MAX_THREADS);
        assert_eq!((count.threads.len(), count.total().voluntary), (MAX_THREADS, MAX_THREADS as u64));
    }
}
