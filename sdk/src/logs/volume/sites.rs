//! The bounded table of call sites, with their rates and counts. Nothing here waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::control::Reason;
use super::report::Description;
use crate::sync::free;
use crate::time::Timestamp;

/// The number of places among which a key is looked for.
const WAYS: usize = 8;
/// The number of sets of places, a power of two.
const SETS: usize = 256;

/// One minute, in nanoseconds: the period of a rate.
pub(super) const MINUTE: u64 = 60_000_000_000;

/// One call site.
#[derive(Debug, Default)]
pub(super) struct Site {
    /// Zero if the place is free.
    key: AtomicU64,
    /// The time at which the site's allowance is full again.
    full_at: AtomicU64,
    suppressed: [AtomicU64; Reason::COUNT],
    description: Mutex<Option<Box<Description>>>,
}

impl Site {
    /// Takes a record from the allowance, which fills up at one record each `cost` nanoseconds and holds a minute's worth.
    /// Returns false if the allowance is used up.
    #[inline]
    pub(super) fn takes(&self, now: Timestamp, cost: u64) -> bool {
        let now = now.as_nanos();
        let next = |full_at: u64| {
            // A time far beyond the next minute was set before the clock was turned back. A time slightly beyond it is that of a
            // thread that has read the clock later than this one.
            let from = if full_at > now.saturating_add(2 * MINUTE) { now } else { full_at.max(now) };
            Some(from.saturating_add(cost)).filter(|next| *next <= now.saturating_add(MINUTE))
        };
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Counts a suppressed record. The first one describes the site, unless another thread is at it or a report has just taken
    /// the count.
    #[inline]
    pub(super) fn suppress(&self, reason: Reason, describe: impl FnOnce() -> Description) {
        if self.suppressed[reason as usize].fetch_add(1, Ordering::Relaxed) == 0 {
            if let Some(mut description) = self.description().filter(|_| !self.is_reported()) {
                description.get_or_insert_with(|| Box::new(describe()));
            }
        }
    }

    /// Returns the description, or `None` while another thread has it.
    fn description(&self) -> Option<MutexGuard<'_, Option<Box<Description>>>> {
        free(self.description.try_lock())
    }

    /// Returns true if reports have stated all suppressed records.
    fn is_reported(&self) -> bool {
        self.pending() == [0; Reason::COUNT]
    }

    /// Returns the number of suppressed records that no report has stated yet, by reason.
    pub(super) fn pending(&self) -> [u64; Reason::COUNT] {
        std::array::from_fn(|reason| self.suppressed[reason].load(Ordering::Relaxed))
    }

    /// Takes the counts, and the description if there is one that no other thread is writing.
    pub(super) fn take(&self) -> ([u64; Reason::COUNT], Option<Box<Description>>) {
        let mut description = self.description();
        let counts = std::array::from_fn(|reason| self.suppressed[reason].swap(0, Ordering::Relaxed));
        (counts, description.as_mut().and_then(|description| description.take()))
    }

    /// Frees the place of a site whose allowance is full, unless another thread is describing the site: the description would
    /// become the next owner's. A count that another thread adds at that moment stays in the place and is reported with the next
    /// owner's.
    fn free_if_idle(&self, now: Timestamp) {
        let is_idle = self.full_at.load(Ordering::Relaxed) <= now.as_nanos() && self.is_reported();
        if !is_idle || self.key.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(mut description) = self.description() {
            *description = None;
            self.key.store(0, Ordering::Relaxed);
        }
    }
}

/// The call sites. The last place is shared by those that found no other.
#[derive(Debug)]
pub(super) struct Sites(Box<[Site]>);

impl Sites {
    pub(super) fn new() -> Self {
        Sites((0..=SETS * WAYS).map(|_| Site::default()).collect())
    }

    /// Returns the site of a key, which is not zero.
    #[inline]
    pub(super) fn find(&self, key: u64) -> &Site {
        let first = (key as usize % SETS) * WAYS;
        let set = &self.0[first..first + WAYS];
        let known = set.iter().find(|site| site.key.load(Ordering::Relaxed) == key);
        known.or_else(|| set.iter().find(|site| claim(site, key))).unwrap_or(&self.0[SETS * WAYS])
    }

    /// Frees the places of sites that need no limit at the moment.
    pub(super) fn free_idle(&self, now: Timestamp) {
        self.all().for_each(|site| site.free_if_idle(now));
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Site> {
        self.0.iter()
    }

    /// Returns true for the place that several call sites share.
    pub(super) fn is_shared(&self, site: &Site) -> bool {
        std::ptr::eq(site, &self.0[SETS * WAYS])
    }
}

fn claim(site: &Site, key: u64) -> bool {
    match site.key.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => true,
        Err(owner) => owner == key,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::LogRecord;

    use super::*;
    use crate::logs::{Scope, SdkLogRecord};

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos((1_000_000 + seconds) * 1_000_000_000)
    }

    #[test]
    fn a_minutes_worth_may_come_at_once_and_then_fills_up_again() {
        let (site, cost) = (Site::default(), MINUTE / 60);
        let taken = |now| (0..1000).filter(|_| site.takes(now, cost)).count();
        assert_eq!([taken(at(0)), taken(at(0)), taken(at(1)), taken(at(11)), taken(at(500))], [60, 0, 1, 10, 60]);
        // The clock is turned back.
        assert_eq!([taken(at(100)), taken(at(101))], [60, 1]);
    }

    /// A thread may have read the clock, and then been held up, before another thread used up the allowance.
    #[test]
    fn a_thread_whose_time_is_slightly_older_gets_no_second_allowance() {
        let (site, cost) = (Site::default(), MINUTE / 60);
        let taken = |now| (0..1000).filter(|_| site.takes(now, cost)).count();
        assert_eq!([taken(at(100)), taken(at(99)), taken(at(60)), taken(at(102))], [60, 0, 0, 2]);
    }

    #[test]
    fn sites_beyond_the_table_share_a_place_until_others_are_idle() {
        let sites = Sites::new();
        let keys = || (1..=WAYS as u64 + 2).map(|n| n * SETS as u64);
        let shared = |key| sites.is_shared(sites.find(key));
        keys().for_each(|key| assert!(sites.find(key).takes(at(0), MINUTE) || shared(key)));
        assert_eq!(keys().filter(|key| shared(*key)).count(), 2);
        sites.free_idle(at(59));
        assert_eq!(keys().filter(|key| shared(*key)).count(), 2);
        sites.free_idle(at(60));
        assert!(!shared(1_000 * SETS as u64));
    }

    #[test]
    fn a_site_with_a_count_keeps_its_place() {
        let sites = Sites::new();
        sites.find(7).suppress(Reason::Key, Description::default);
        sites.free_idle(at(600));
        assert_eq!(sites.find(7).pending().iter().sum::<u64>(), 1);
        let (counts, description) = sites.find(7).take();
        assert_eq!((counts[Reason::Key as usize], description.is_some()), (1, true));
        assert_eq!(sites.find(7).pending(), [0; Reason::COUNT]);
    }

    fn described(body: &'static str) -> Description {
        let mut record = SdkLogRecord::default();
        record.set_body(body.into());
        Description::of_record(&record, &Scope::unnamed(), None)
    }

    #[test]
    fn a_description_that_comes_after_its_report_is_not_the_next_owners() {
        let sites = Sites::new();
        let first = sites.find(7);
        first.suppress(Reason::Trace, || described("first"));
        first.take();
        // The thread that had counted the record describes it only now.
        first.description().unwrap().replace(Box::new(described("first")));
        sites.free_idle(at(600));
        let next = sites.find(7 + SETS as u64);
        assert!(std::ptr::eq(first, next));
        next.suppress(Reason::Trace, || described("next"));
        assert!(format!("{:?}", next.take().1).contains("next"));
    }

    #[test]
    fn a_report_does_not_wait_for_a_description_and_its_place_stays() {
        let sites = Sites::new();
        let site = sites.find(7);
        let description = site.description().unwrap();
        // Another thread is describing the site.
        site.suppress(Reason::Trace, || described("late"));
        let (counts, none) = site.take();
        assert_eq!((counts[Reason::Trace as usize], none.is_none()), (1, true));
        sites.free_idle(at(600));
        assert!(!std::ptr::eq(site, sites.find(7 + SETS as u64)));
        drop(description);
        sites.free_idle(at(600));
        assert!(std::ptr::eq(site, sites.find(7 + 2 * SETS as u64)));
    }
}
