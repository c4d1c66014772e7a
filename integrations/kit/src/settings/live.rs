//! Settings of integrations that may change while the program runs: what is captured, and what is excluded.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::process;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LockResult, PoisonError, RwLock, RwLockWriteGuard, TryLockError, TryLockResult};
use std::thread;

/// The settings that may change, each named by its variable.
pub const LIVE_SETTINGS: &[&str] = &[
    "OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS",
    "OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS",
    "OTEL_RUST_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS",
    "OTEL_RUST_HTTP_CLIENT_EXCLUDED_URLS",
    "OTEL_RUST_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS",
    "OTEL_RUST_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS",
    "OTEL_RUST_GRPC_SERVER_EXCLUDED_METHODS",
    "OTEL_RUST_GRPC_SERVER_CAPTURE_REQUEST_HEADERS",
    "OTEL_RUST_GRPC_SERVER_CAPTURE_RESPONSE_HEADERS",
    "OTEL_RUST_GRPC_SERVER_CAPTURE_RESPONSE_TRAILERS",
    "OTEL_RUST_GRPC_CLIENT_EXCLUDED_METHODS",
    "OTEL_RUST_GRPC_CLIENT_CAPTURE_REQUEST_HEADERS",
    "OTEL_RUST_GRPC_CLIENT_CAPTURE_RESPONSE_HEADERS",
    "OTEL_RUST_GRPC_CLIENT_CAPTURE_RESPONSE_TRAILERS",
    "OTEL_RUST_DB_CLIENT_QUERY_TEXT",
    "OTEL_RUST_DB_CLIENT_ERROR_MESSAGES",
];

/// Changes settings for the requests and calls that begin from now on, in every layer and client of the program. Each setting is named
/// by its variable, one of [`LIVE_SETTINGS`], and `None` stands for its default. What code has set for one layer or client stays.
///
/// As at the start, an integration ignores the invalid parts of a value. To report them, read the new values with the integration's
/// `from_env_fn`, whose config lists its problems. Programs with Telemark call `telemetry.control().set_capture(..)`, which does so.
///
/// ```
/// // Captures the header of the tenant until it is no longer needed.
/// const HEADERS: &str = "OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS";
/// telemark_kit::change_settings(&[(HEADERS, Some("x-tenant"))])?;
/// telemark_kit::change_settings(&[(HEADERS, None)])?;
/// # Ok::<(), telemark_kit::ChangeError>(())
/// ```
///
/// # Errors
/// Returns an error, and changes nothing, if a name is not in the list, or in a process that was forked while another thread changed
/// settings, where they can never change again.
pub fn change_settings(changes: &[(&str, Option<&str>)]) -> Result<(), ChangeError> {
    let mut named = Vec::with_capacity(changes.len());
    for (name, value) in changes {
        let known = LIVE_SETTINGS.iter().find(|known| *known == name);
        let Some(known) = known else { return Err(ChangeError::unknown(name)) };
        named.push((*known, value.map(Arc::from)));
    }
    let Some(mut texts) = CHANGES.lock_to_change() else { return Err(ChangeError(Problem::StuckLock)) };
    let mut changed = texts.as_deref().cloned().unwrap_or_default();
    changed.extend(named);
    *texts = Some(Arc::new(changed));
    // Zero means that nothing has changed yet.
    CHANGES.version.store(CHANGES.version.load(Ordering::Relaxed).wrapping_add(1).max(1), Ordering::Relaxed);
    Ok(())
}

/// The reason why settings stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeError(Problem);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    /// A name that is not in [`LIVE_SETTINGS`].
    UnknownSetting(String),
    /// The process was forked while a thread of its parent held the lock.
    StuckLock,
}

impl ChangeError {
    fn unknown(name: &str) -> Self {
        ChangeError(Problem::UnknownSetting(name.chars().take(100).collect()))
    }

    /// Returns true if a name is not in [`LIVE_SETTINGS`].
    pub fn is_unknown_setting(&self) -> bool {
        matches!(self.0, Problem::UnknownSetting(_))
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Problem::UnknownSetting(name) => {
                write!(f, "{name:?} is no setting that can change while the program runs: expected one of ")?;
                f.write_str(&LIVE_SETTINGS.join(", "))
            }
            Problem::StuckLock => f.write_str(
                "the settings of integrations cannot change, because this process was forked while they were changing",
            ),
        }
    }
}

impl std::error::Error for ChangeError {}

/// The changes so far.
struct Changes {
    /// Zero until the first change. Written while `texts` is locked.
    version: AtomicU32,
    /// The process in which the lock was taken last. In its forked children, the lock may stay locked forever.
    process: AtomicU32,
    texts: RwLock<Option<Arc<Texts>>>,
}

/// The texts of the settings that have changed; `None` is the default.
type Texts = BTreeMap<&'static str, Option<Arc<str>>>;

static CHANGES: Changes = Changes { version: AtomicU32::new(0), process: AtomicU32::new(0), texts: RwLock::new(None) };

impl Changes {
    /// Locks `texts`. Does not wait in a forked child that has not had the lock yet, and returns `None` if that would be necessary.
    fn lock<'a, G>(
        &'a self,
        attempt: fn(&'a RwLock<Option<Arc<Texts>>>) -> TryLockResult<G>,
        wait: fn(&'a RwLock<Option<Arc<Texts>>>) -> LockResult<G>,
    ) -> Option<G> {
        let own = process::id();
        match attempt(&self.texts) {
            Ok(guard) => {
                // Before any other thread can find the lock taken and fork. Whoever gets the lock in a forked child shows that it is not
                // stuck there.
                if self.process.load(Ordering::Relaxed) != own {
                    self.process.store(own, Ordering::Relaxed);
                }
                Some(guard)
            }
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if self.process.load(Ordering::Relaxed) != own => None,
            Err(TryLockError::WouldBlock) => Some(wait(&self.texts).unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Locks `texts` for a change. In a forked child, the lock may be stuck, or just taken for the first time by another thread, so this
    /// waits for a moment before it returns `None`.
    fn lock_to_change(&self) -> Option<RwLockWriteGuard<'_, Option<Arc<Texts>>>> {
        const ATTEMPTS: usize = 1000;
        (0..ATTEMPTS).find_map(|_| {
            let lock = self.lock(RwLock::try_write, RwLock::write);
            if lock.is_none() {
                thread::yield_now();
            }
            lock
        })
    }

    /// Returns the changes with their number.
    fn current(&self) -> Option<(u32, Arc<Texts>)> {
        let texts = self.lock(RwLock::try_read, RwLock::read)?;
        Some((self.version.load(Ordering::Relaxed), texts.clone().unwrap_or_default()))
    }
}

/// The settings of one integration that have changed, as the integration uses them. Belongs into a `static`.
///
/// Until the first change of the process, a use costs one relaxed load. Afterwards, each thread keeps what it has used last, so a use
/// takes no lock, except for the first one after a change.
///
/// ```
/// use telemark_kit::{Live, change_settings};
///
/// const QUERY_TEXT: &str = "OTEL_RUST_DB_CLIENT_QUERY_TEXT";
///
/// /// True if the text of statements is recorded; `None` if the setting has not changed.
/// static LIVE: Live<Option<bool>> =
///     Live::new(|changed| changed(QUERY_TEXT).map(|text| text.as_deref() != Some("none")));
///
/// let of_config = true;
/// let is_recorded = || LIVE.with(|changed| changed.copied().flatten().unwrap_or(of_config));
/// assert!(is_recorded());
/// change_settings(&[(QUERY_TEXT, Some("none"))])?;
/// assert!(!is_recorded());
/// # Ok::<(), telemark_kit::ChangeError>(())
/// ```
pub struct Live<T> {
    make: fn(&ChangedText<'_>) -> T,
    made: RwLock<Option<Made<T>>>,
}

/// Returns the text to which a setting has changed. The outer `None` means that the setting has not changed, the inner one that it has
/// its default.
pub type ChangedText<'a> = dyn Fn(&str) -> Option<Option<String>> + 'a;

/// Settings with the number of the changes that they contain.
struct Made<T> {
    version: u32,
    settings: Arc<T>,
}

impl<T> Clone for Made<T> {
    fn clone(&self) -> Self {
        Made { version: self.version, settings: self.settings.clone() }
    }
}

/// What a thread has used last: the address of the [`Live`], the number of the changes, and a [`Made`].
struct Kept {
    place: usize,
    version: u32,
    value: Rc<dyn Any>,
}

thread_local! {
    /// One value for each [`Live`] of the program.
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

impl<T: Send + Sync + 'static> Live<T> {
    /// Creates settings that `make` reads from the changed texts, once after each change, on a thread that uses them. `make` must not
    /// panic.
    pub const fn new(make: fn(&ChangedText<'_>) -> T) -> Self {
        Live { make, made: RwLock::new(None) }
    }

    /// Calls `read` with the settings, or with `None` if no setting of the process has changed. No lock is held meanwhile.
    #[inline]
    pub fn with<R>(&'static self, read: impl FnOnce(Option<&T>) -> R) -> R {
        match CHANGES.version.load(Ordering::Relaxed) {
            0 => read(None),
            version => match self.kept(version) {
                Some(made) => read(Some(&made.settings)),
                None => read(None),
            },
        }
    }

    /// Returns the settings after the changes up to this number, or, in a forked child that cannot know them, those before.
    #[inline(never)]
    fn kept(&'static self, version: u32) -> Option<Rc<Made<T>>> {
        let place = std::ptr::from_ref(self).addr();
        let of_thread = |kept: &RefCell<Vec<Kept>>| {
            let known = kept.borrow().iter().find(|one| one.place == place).map(|one| (one.version, one.value.clone()));
            let before = match known {
                Some((known, value)) if known == version => return value.downcast().ok(),
                Some((_, value)) => value.downcast().ok(),
                None => None,
            };
            let Some(made) = self.shared(version).map(Rc::new) else { return before };
            let mut kept = kept.borrow_mut();
            kept.retain(|one| one.place != place);
            kept.push(Kept { place, version: made.version, value: made.clone() });
            Some(made)
        };
        // A thread that ends has no such place any more.
        KEPT.try_with(of_thread).unwrap_or_else(|_| self.shared(version).map(Rc::new))
    }

    /// Returns the settings that all threads share, after at least this number of changes.
    #[cold]
    fn shared(&self, version: u32) -> Option<Made<T>> {
        // Nobody waits for this lock: a thread that finds it taken makes the settings itself.
        let made = self.made.try_read().ok().and_then(|made| made.clone());
        if let Some(made) = made.filter(|made| made.version == version) {
            return Some(made);
        }
        let (version, texts) = CHANGES.current()?;
        let changed = |name: &str| texts.get(name).map(|text| text.as_deref().map(str::to_owned));
        let made = Made { version, settings: Arc::new((self.make)(&changed)) };
        if let Ok(mut shared) = self.made.try_write() {
            *shared = Some(made.clone());
        }
        Some(made)
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::{Mutex, PoisonError};

    use super::*;

    const EXCLUDED: &str = "OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS";
    const TEXT: &str = "OTEL_RUST_DB_CLIENT_QUERY_TEXT";

    /// The settings belong to the process, so one test at a time changes them.
    static TURN: Mutex<()> = Mutex::new(());

    #[test]
    fn each_change_reaches_every_thread_and_leaves_the_others_alone() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        static LIVE: Live<[Option<Option<String>>; 2]> = Live::new(|changed| {
            MADE.fetch_add(1, Ordering::Relaxed);
            [changed(EXCLUDED), changed(TEXT)]
        });
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = || LIVE.with(|live| live.map(|live| live.clone().map(|one| one.map(Option::unwrap_or_default))));
        change_settings(&[(TEXT, Some("none"))]).unwrap();
        assert_eq!(shown(), Some([None, Some("none".into())]));
        change_settings(&[(EXCLUDED, Some("/health")), (TEXT, None)]).unwrap();
        let expected = Some([Some("/health".into()), Some(String::new())]);
        assert_eq!((shown(), shown()), (expected.clone(), expected.clone()));
        let others = std::thread::scope(|scope| [(); 3].map(|()| scope.spawn(shown).join().unwrap()));
        assert_eq!(others, [expected.clone(), expected.clone(), expected]);
        assert_eq!(MADE.load(Ordering::Relaxed), 2, "once for each change, and not for each thread");
    }

    #[test]
    fn a_name_that_cannot_change_is_refused_and_changes_nothing() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let before = CHANGES.version.load(Ordering::Relaxed);
        let error = change_settings(&[(TEXT, Some("none")), ("OTEL_RUST_HTTP_SERVER_METRICS", None)]).unwrap_err();
        assert_eq!(CHANGES.version.load(Ordering::Relaxed), before);
        let text = error.to_string();
        assert!(text.starts_with("\"OTEL_RUST_HTTP_SERVER_METRICS\" is no setting that can change while"), "{text}");
    }

    #[test]
    fn a_change_that_a_stuck_lock_prevents_is_an_error() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        change_settings(&[(TEXT, Some("safe"))]).unwrap();
        // As in a child that was forked while another thread of its parent changed settings.
        let held = CHANGES.texts.write().unwrap();
        CHANGES.process.store(process::id().wrapping_add(1), Ordering::Relaxed);
        let error = change_settings(&[(TEXT, Some("none"))]).unwrap_err();
        assert!(!error.is_unknown_setting() && error.to_string().contains("was forked while"), "{error}");
        drop(held);
        // As in a child that was forked at another time: its threads wait for each other.
        std::thread::scope(|scope| {
            let changes = [(); 4].map(|()| {
                scope.spawn(|| (0..200).map(|_| change_settings(&[(TEXT, None)])).collect::<Result<Vec<_>, _>>())
            });
            changes.into_iter().for_each(|change| assert!(change.join().unwrap().is_ok()));
        });
        assert_eq!(CHANGES.process.load(Ordering::Relaxed), process::id());
    }

    #[test]
    fn a_use_while_the_lock_is_taken_waits_for_nothing_but_a_change() {
        static LIVE: Live<bool> = Live::new(|changed| changed(TEXT).is_some());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        change_settings(&[(TEXT, Some("safe"))]).unwrap();
        let held = LIVE.made.write().unwrap();
        assert!(LIVE.with(|live| live.copied().unwrap()));
        // The same thread does not look again.
        let texts = CHANGES.texts.write().unwrap();
        assert!(LIVE.with(|live| live.copied().unwrap()));
        drop((texts, held));
    }
}
