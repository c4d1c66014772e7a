//! Bound instruments of the attribute sets that are in use, so that a request neither hashes nor compares attributes.
//!
//! Binding pins a series: the provider can neither evict it nor move it out of the overflow. To keep that temporary,
//! bindings expire after [`LIFE`] while there are requests, and are renewed if they are still in use. What is recorded is
//! the same with and without them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::attribute_sets::SetKey;

/// The life of a binding.
const LIFE: Duration = Duration::from_secs(10);
/// The most shards: a bound of the memory on large machines.
const MAX_SHARDS: usize = 64;
/// The number of trials after which a provider that does not keep bindings is no longer tried.
const MAX_TRIALS: u32 = 32;
/// The value of the count of trials once one has succeeded.
const TRUSTED: u32 = u32::MAX;

/// Bindings by the keys of their attributes: a shard with few places for each thread that can run at once. A thread that
/// finds no place, or its shard taken by another, records with attributes.
pub(crate) struct Bindings<B> {
    places: usize,
    shards: OnceLock<Box<[Shard<B>]>>,
    trials: AtomicU32,
}

/// Aligned so that no two threads write to one cache line.
#[repr(align(128))]
struct Shard<B>(Mutex<Places<B>>);

struct Places<B> {
    /// Empty until the first binding.
    bound: Vec<Option<Bound<B>>>,
    next_sweep: SystemTime,
}

struct Bound<B> {
    key: SetKey,
    since: SystemTime,
    until: SystemTime,
    bound: B,
}

/// The result of binding.
pub(crate) enum Binding<B> {
    /// The provider has kept the attributes.
    Kept(B),
    /// It has not, or that was not checked.
    Unknown(B),
}

impl<B> Bindings<B> {
    /// At most `places` for each shard, a power of two.
    pub(crate) const fn new(places: usize) -> Self {
        Bindings { places, shards: OnceLock::new(), trials: AtomicU32::new(0) }
    }

    /// Calls `then` with the binding of the key, which `bind` makes if it is missing. Returns true if it called `then`.
    #[inline]
    pub(crate) fn with(
        &self,
        key: &SetKey,
        now: SystemTime,
        bind: impl FnOnce() -> Binding<B>,
        then: impl FnOnce(&mut B),
    ) -> bool {
        let Some(shards) = self.shards() else { return false };
        let own = thread_index() & (shards.len() - 1);
        let Some(mut shard) = shards.get(own).and_then(Shard::try_lock) else { return false };
        let first = key.place() & (self.places - 1);
        for place in [first, first ^ 1] {
            if let Some(Some(known)) = shard.bound.get_mut(place) {
                if known.key.is(key) && known.is_fresh(now) {
                    then(&mut known.bound);
                    return true;
                }
            }
        }
        match self.add(shards, (own, &mut shard), (first, key), now, bind) {
            Some(added) => {
                then(&mut added.bound);
                true
            }
            None => false,
        }
    }

    /// `None` once the provider has been found to keep no bindings.
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
            let places = |_| Shard(Mutex::new(Places { bound: Vec::new(), next_sweep: UNIX_EPOCH }));
            (0..count).map(places).collect()
        })
    }

    #[cold]
    fn add<'s>(
        &self,
        shards: &[Shard<B>],
        (own, shard): (usize, &'s mut Places<B>),
        (first, key): (usize, &SetKey),
        now: SystemTime,
        bind: impl FnOnce() -> Binding<B>,
    ) -> Option<&'s mut Bound<B>> {
        let until = now.checked_add(LIFE)?;
        shard.bound.resize_with(self.places, || None);
        let has_ended = |known: &Option<Bound<B>>| known.as_ref().is_some_and(|known| !known.is_fresh(now));
        // Each binding in use is renewed here once in its life, which sweeps out the others in time.
        if now >= shard.next_sweep || [first, first ^ 1].iter().filter_map(|at| shard.bound.get(*at)).any(has_ended) {
            shard.next_sweep = until;
            shard.bound.iter_mut().filter(|known| has_ended(known)).for_each(|known| *known = None);
            let others = shards.iter().enumerate().filter(|(index, _)| *index != own);
            for mut other in others.filter_map(|(_, shard)| shard.try_lock()) {
                other.bound.iter_mut().filter(|known| has_ended(known)).for_each(|known| *known = None);
            }
        }
        let free = [first, first ^ 1].into_iter().find(|place| matches!(shard.bound.get(*place), Some(None)))?;
        // Binding is foreign code: if it panics, recording with attributes may still work.
        let bound = match catch_unwind(AssertUnwindSafe(bind)) {
            Ok(Binding::Kept(bound)) => {
                self.trials.store(TRUSTED, Ordering::Relaxed);
                bound
            }
            Ok(Binding::Unknown(bound)) if self.trials.load(Ordering::Relaxed) == TRUSTED => bound,
            Ok(Binding::Unknown(_)) | Err(_) => {
                let more = |trials: u32| (trials != TRUSTED).then(|| trials + 1);
                let _ = self.trials.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
                return None;
            }
        };
        shard.bound.get_mut(free).map(|place| place.insert(Bound { key: *key, since: now, until, bound }))
    }
}

impl<B> Shard<B> {
    #[inline]
    fn try_lock(&self) -> Option<MutexGuard<'_, Places<B>>> {
        match self.0.try_lock() {
            Ok(places) => Some(places),
            // An instrument panicked; the places themselves are intact.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<B> Bound<B> {
    /// False also if the clock was set back.
    #[inline]
    fn is_fresh(&self, now: SystemTime) -> bool {
        now < self.until && now >= self.since
    }
}

/// Returns a small number that identifies this thread.
#[inline]
fn thread_index() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static INDEX: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    INDEX.try_with(|index| *index).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{StatusCode, Version};
    use std::sync::Arc;

    const START: Duration = Duration::from_secs(1_000_000);

    fn key(number: usize) -> SetKey {
        // Distinct by where it lies.
        static ROUTES: [u8; 20_000] = [b'x'; 20_000];
        let route = std::str::from_utf8(&ROUTES[number..=number]).unwrap();
        let ended = Some((Version::HTTP_11, StatusCode::from_u16(200).ok(), None));
        SetKey { method: "GET", scheme: "http", route: Some(route), ended }
    }

    /// Binds numbers, and counts how many are bound. Gives the number that was bound to the key.
    #[derive(Default)]
    struct Numbers {
        held: Arc<()>,
        binds: std::cell::Cell<usize>,
    }

    impl Numbers {
        fn with(&self, bindings: &Bindings<(usize, Arc<()>)>, number: usize, seconds: u64) -> Option<usize> {
            let bind = || {
                self.binds.set(self.binds.get() + 1);
                Binding::Kept((number, Arc::clone(&self.held)))
            };
            let mut seen = None;
            let now = UNIX_EPOCH + START + Duration::from_secs(seconds);
            let called = bindings.with(&key(number), now, bind, |bound| seen = Some(bound.0));
            assert_eq!(called, seen.is_some());
            seen
        }

        fn held(&self) -> usize {
            Arc::strong_count(&self.held) - 1
        }
    }

    #[test]
    fn keys_are_bounded_and_never_get_the_bound_of_another() {
        let (bindings, numbers) = (Bindings::new(64), Numbers::default());
        for _ in 0..2 {
            let with = |number: &usize| numbers.with(&bindings, *number, 0).inspect(|seen| assert_eq!(seen, number));
            let found = (0..20_000).filter(|number| with(number).is_some()).count();
            assert_eq!((found, numbers.held(), numbers.binds.get()), (64, 64, 64));
        }
        drop(bindings);
        assert_eq!(numbers.held(), 0);
    }

    #[test]
    fn nothing_stays_bound_for_long() {
        let (bindings, numbers) = (Bindings::new(64), Numbers::default());
        let check = |number: usize, seconds: u64, expected: (usize, usize)| {
            assert_eq!(numbers.with(&bindings, number, seconds), Some(number));
            assert_eq!((numbers.held(), numbers.binds.get()), expected, "{number} after {seconds} s");
        };
        check(0, 0, (1, 1));
        check(0, 9, (1, 1));
        check(1, 9, (2, 2));
        check(0, 10, (2, 3));
        check(0, 19, (2, 3));
        // The other one has ended too.
        check(0, 20, (1, 4));
        check(1, 25, (2, 5));
        // A key that is new finds what has ended.
        check(2, 40, (1, 6));
        // The clock was set back.
        check(2, 39, (1, 7));
        check(2, 40, (1, 7));
    }

    #[test]
    fn what_threads_have_left_behind_is_found() {
        let bindings: Bindings<Arc<()>> = Bindings::new(16);
        let held = Arc::new(());
        let with = |number: usize, seconds: u64| {
            let now = UNIX_EPOCH + START + Duration::from_secs(seconds);
            bindings.with(&key(number), now, || Binding::Kept(Arc::clone(&held)), |_| {})
        };
        std::thread::scope(|scope| {
            (0..4).for_each(|number| drop(scope.spawn(move || assert!(with(number, 0)))));
        });
        let before = Arc::strong_count(&held);
        assert!((2..=5).contains(&before), "{before}");
        assert!(with(7, 10));
        assert_eq!(Arc::strong_count(&held), 2);
    }

    #[test]
    fn a_provider_that_keeps_no_bindings_is_not_asked_for_long() {
        let tried = std::cell::Cell::new(0);
        let bindings: Bindings<()> = Bindings::new(16);
        let now = UNIX_EPOCH + START;
        let with = |bind: fn() -> Binding<()>| {
            let tried = &tried;
            let bind = move || {
                tried.set(tried.get() + 1);
                bind()
            };
            bindings.with(&key(1), now, bind, |_| {})
        };
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        assert!(!with(|| panic!("bind")));
        std::panic::set_hook(hook);
        (0..100).for_each(|_| assert!(!with(|| Binding::Unknown(()))));
        assert_eq!(tried.get(), usize::try_from(MAX_TRIALS).unwrap());
        assert!(!with(|| Binding::Kept(())));

        // A provider that has kept a binding once is trusted.
        let bindings: Bindings<()> = Bindings::new(16);
        assert!(bindings.with(&key(1), now, || Binding::Kept(()), |_| {}));
        (2..50).for_each(|number| {
            let unknown = bindings.with(&key(number), now, || Binding::Unknown(()), |_| {});
            assert_eq!(unknown, bindings.with(&key(number), now, || panic!("is bound"), |_| {}));
        });
    }

    #[test]
    fn a_thread_that_finds_its_shard_taken_records_with_attributes() {
        let bindings: Bindings<()> = Bindings::new(16);
        let now = UNIX_EPOCH + START;
        let inner = || bindings.with(&key(1), now, || Binding::Kept(()), |_| {});
        let mut met = true;
        assert!(bindings.with(&key(1), now, || Binding::Kept(()), |_| met = inner()));
        assert!(!met && inner());
        // A panic of an instrument does not affect the others.
        let panics = || bindings.with(&key(1), now, || Binding::Kept(()), |_| panic!("an instrument"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert!(inner());
    }
}
