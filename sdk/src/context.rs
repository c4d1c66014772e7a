//! Panic-free access to the API's current context.
//!
//! The API panics if a thread's context is used after it has been destroyed, for example in the destructor of a thread-local
//! or in an `atexit` handler. In that case the API is not called and nothing is recorded.
//!
//! The API also panics if a context is attached while the program is inside a callback that borrows the current
//! context, as in `get_active_span(|_| traced())`. Only the API can detect such a borrow, so this panic is caught.
//! With `panic = "abort"`, the panic aborts the program, as it would with any library that attaches a context.

use std::cell::Cell;

use opentelemetry::{Context, ContextGuard};

use crate::error::catch;
use crate::sync;

/// Makes `context` current. Returns `None` if the thread's context has been destroyed, or if the API panics.
#[inline]
pub(crate) fn attach(context: Context) -> Option<ContextGuard> {
    while_alive(|| catch(|| context.attach()).ok()).flatten()
}

/// Calls `look` with the current context, which stays borrowed during the call, so `look` must not run user code. Returns
/// `None` if the thread's context has been destroyed, or if the API panics.
#[inline]
pub(crate) fn look<T>(look: impl FnOnce(&Context) -> T) -> Option<T> {
    while_alive(|| catch(|| Context::map_current(look)).ok()).flatten()
}

/// Returns the current context, or an empty one if the thread's context has been destroyed.
pub(crate) fn current() -> Context {
    look(Context::clone).unwrap_or_default()
}

/// Like [`current`], for a panic hook, in which a panic of the API would abort the program. A thread that has not used Telemark yet has
/// no context there.
pub(crate) fn current_in_hook() -> Context {
    is_known_alive().then(current).unwrap_or_default()
}

/// Calls `look`, which uses the current context, unless this thread's context has been destroyed or is about to be.
#[inline(always)]
pub(crate) fn while_alive<T>(look: impl FnOnce() -> T) -> Option<T> {
    (is_known_alive() || begin()).then(look)
}

/// Returns true if an earlier call to [`while_alive`] on this thread found the context alive and the context has not
/// been destroyed since.
#[inline(always)]
fn is_known_alive() -> bool {
    STATE.get() == State::Alive
}

/// Marks this thread as ready to record unless its context has been destroyed; see [`sync::ready_thread_index`].
pub(crate) fn make_ready() {
    let _ = while_alive(|| sync::set_ready(true));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Alive,
    Gone,
}

thread_local! {
    // Has no destructor, so reading it costs one instruction and works until the thread ends.
    static STATE: Cell<State> = const { Cell::new(State::Unknown) };
    /// Destroyed before the context of its thread.
    static END: End = const { End };
}

/// Determines whether this thread's context is alive, and arranges for its destruction to be noticed.
#[cold]
#[inline(never)]
fn begin() -> bool {
    if STATE.get() == State::Unknown {
        // Initialize the context first, because a thread destroys its thread-locals in reverse order. The call panics
        // only if this thread used the context without Telemark and uses Telemark for the first time while the thread
        // is ending.
        let is_alive = catch(|| Context::map_current(|_| ())).is_ok() && END.try_with(|_| ()).is_ok();
        STATE.set(if is_alive { State::Alive } else { State::Gone });
    }
    STATE.get() == State::Alive
}

struct End;

impl Drop for End {
    fn drop(&mut self) {
        STATE.set(State::Gone);
        sync::set_ready(false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::instrument::spans::{set_attribute, span, suppress};
    use crate::testing::TestTelemetry;

    fn traced() -> u32 {
        span("traced").with("n", 1).in_scope(|| {
            set_attribute("m", 2);
            suppress(|| 7)
        })
    }

    #[test]
    fn a_span_within_a_look_at_the_context_cannot_be_current_but_is_recorded() {
        let telemetry = TestTelemetry::new();
        let _guard = telemetry.attach();
        assert_eq!(opentelemetry::trace::get_active_span(|_| traced()), 7);
        assert_eq!(telemetry.tree(), "traced n=1\n");
    }

    #[test]
    fn a_span_in_the_destructor_of_a_thread_local_hurts_nobody() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        struct Last;
        impl Drop for Last {
            fn drop(&mut self) {
                DROPPED.fetch_add(traced() as usize, Ordering::Relaxed);
            }
        }
        thread_local!(static LAST: Last = const { Last });

        let telemetry = TestTelemetry::new();
        let _guard = telemetry.attach();
        std::thread::scope(|scope| {
            // Both orders of destruction must work.
            let threads = [false, true].map(|context_first| {
                scope.spawn(move || {
                    if context_first {
                        traced();
                    }
                    LAST.with(|_| ());
                    traced();
                })
            });
            for thread in threads {
                assert!(thread.join().is_ok());
            }
        });
        assert_eq!(DROPPED.load(Ordering::Relaxed), 14);
    }

    /// Uses the context for the first time in the destructor of a thread-local, before or after the context is
    /// destroyed.
    #[test]
    fn a_context_that_is_gone_is_not_looked_at() {
        static SEEN: AtomicUsize = AtomicUsize::new(0);
        struct Last;
        impl Drop for Last {
            fn drop(&mut self) {
                // A panic here would abort the process.
                let seen = while_alive(|| Context::map_current(|_| ()));
                SEEN.fetch_add(usize::from(seen.is_some()), Ordering::Relaxed);
            }
        }
        thread_local!(static LAST: Last = const { Last });

        #[allow(clippy::disallowed_methods, reason = "a test of two threads")]
        let threads = [false, true].map(|context_first| {
            std::thread::spawn(move || {
                if context_first {
                    Context::map_current(|_| ());
                }
                LAST.with(|_| ());
                Context::map_current(|_| ());
            })
        });
        for thread in threads {
            assert!(thread.join().is_ok());
        }
        assert!(SEEN.load(Ordering::Relaxed) <= 1, "in one of the two orders the context is gone");
    }
}
