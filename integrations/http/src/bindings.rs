//! Bound instruments of the attribute sets that are in use, so that a request neither hashes nor compares attributes.
//!
//! A bound series is none that a provider may give up, and where its limit of series is reached, a bound one stays in the
//! overflow. So that both differ from what is not bound for moments only, nothing stays bound for longer than [`LIFE`]
//! while there are requests: then it is bound again, if it is still in use. The numbers are right at all times.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, SystemTime};

use crate::attribute_sets::SetKey;

/// How long something stays bound.
const LIFE: Duration = Duration::from_secs(10);
/// The most shards: a bound of the memory on large machines.
const MAX_SHARDS: usize = 64;
/// How often a provider that does not keep what is bound is tried.
const MAX_TRIALS: u32 = 32;
/// The number of trials when one was successful.
const TRUSTED: u32 = u32::MAX;

/// What is bound, by the key of its attributes: for each thread that can run at once, a shard with few places. Whoever
/// does not find a place, or meets another thread in its shard, does without.
pub(crate) struct Bindings<B> {
    places: usize,
    shards: OnceLock<Box<[Shard<B>]>>,
    trials: AtomicU32,
}

/// Aligned so that no two threads write to one cache line.
#[repr(align(128))]
struct Shard<B>(Mutex<Vec<Option<Bound<B>>>>);

struct Bound<B> {
    key: SetKey,
    since: SystemTime,
    until: SystemTime,
    bound: B,
}

/// What came of binding.
pub(crate) enum Binding<B> {
    /// The provider has kept the attributes.
    Kept(B),
    /// It has not, or nobody looked.
    Unknown(B),
}

impl<B> Bindings<B> {
    /// At most `places` for each shard, a power of two.
    pub(crate) const fn new(places: usize) -> Self {
        Self { places, shards: OnceLock::new(), trials: AtomicU32::new(0) }
    }

    /// Calls `then` with what is bound to the attributes of the key; `bind` binds it if it is not yet. Answers whether it
    /// has called it.
    #[inline]
    pub(crate) fn with(
        &self,
        key: &SetKey,
        now: SystemTime,
        bind: impl FnOnce() -> Binding<B>,
        then: impl FnOnce(&B),
    ) -> bool {
        let Some(shards) = self.shards() else { return false };
        let own = thread_index() & (shards.len() - 1);
        let Some(mut shard) = shards.get(own).and_then(Shard::try_lock) else { return false };
        let first = key.place() & (self.places - 1);
        for place in [first, first ^ 1] {
            if let Some(Some(known)) = shard.get(place) {
                if known.key.is(key) && known.is_fresh(now) {
                    then(&known.bound);
                    return true;
                }
            }
        }
        match self.add(shards, (own, &mut shard), (first, key), now, bind) {
            Some(added) => {
                then(&added.bound);
                true
            }
            None => false,
        }
    }

    /// `None` if it is of no use to try.
    #[inline]
    fn shards(&self) -> Option<&[Shard<B>]> {
        match self.shards.get() {
            _ if (MAX_TRIALS..TRUSTED).contains(&self.trials.load(Ordering::Relaxed)) => None,
            Some(shards) => Some(shards),
            None => Some(self.make_shards()),
        }
    }

    #[cold]
    fn make_shards(&self) -> &[Shard<B>] {
        self.shards.get_or_init(|| {
            let parallel = std::thread::available_parallelism().map_or(8, std::num::NonZero::get);
            let count = parallel.next_power_of_two().min(MAX_SHARDS);
            (0..count).map(|_| Shard(Mutex::new((0..self.places).map(|_| None).collect()))).collect()
        })
    }

    #[cold]
    fn add<'s>(
        &self,
        shards: &[Shard<B>],
        (own, shard): (usize, &'s mut Vec<Option<Bound<B>>>),
        (first, key): (usize, &SetKey),
        now: SystemTime,
        bind: impl FnOnce() -> Binding<B>,
    ) -> Option<&'s Bound<B>> {
        // What is in use comes by here once in a lifetime, so that what is not in use is found in time.
        let has_ended = |known: &Option<Bound<B>>| known.as_ref().is_some_and(|known| !known.is_fresh(now));
        if [first, first ^ 1].into_iter().filter_map(|place| shard.get(place)).any(has_ended) {
            let others = shards.iter().enumerate().filter(|(index, _)| *index != own);
            let mut others: Vec<_> = others.filter_map(|(_, shard)| shard.try_lock()).collect();
            for shard in others.iter_mut().map(|other| &mut **other).chain([&mut *shard]) {
                shard.iter_mut().filter(|known| has_ended(known)).for_each(|known| *known = None);
            }
        }
        let free = [first, first ^ 1].into_iter().find(|place| matches!(shard.get(*place), Some(None)))?;
        // Foreign code: where it panics, the instruments themselves may still do.
        let bound = match catch_unwind(AssertUnwindSafe(bind)) {
            Ok(Binding::Kept(bound)) => {
                self.trials.store(TRUSTED, Ordering::Relaxed);
                bound
            }
            Ok(Binding::Unknown(bound)) if self.trials.load(Ordering::Relaxed) == TRUSTED => bound,
            Ok(Binding::Unknown(_)) | Err(_) => {
                let more = |trials: u32| (trials != TRUSTED).then(|| trials + 1);
                let _trusted = self.trials.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
                return None;
            }
        };
        let until = now.checked_add(LIFE)?;
        shard.get_mut(free).map(|place| &*place.insert(Bound { key: *key, since: now, until, bound }))
    }
}

impl<B> Shard<B> {
    #[inline]
    fn try_lock(&self) -> Option<MutexGuard<'_, Vec<Option<Bound<B>>>>> {
        match self.0.try_lock() {
            Ok(places) => Some(places),
            // An instrument panicked; what is here is whole all the same.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<B> Bound<B> {
    /// Also not when the clock was set back.
    #[inline]
    fn is_fresh(&self, now: SystemTime) -> bool {
        now < self.until && now >= self.since
    }
}

/// A small number that tells this thread from the others that are there.
#[inline]
fn thread_index() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static INDEX: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    INDEX.try_with(|index| *index).unwrap_or(0)
}
