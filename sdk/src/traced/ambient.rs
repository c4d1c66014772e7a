//! The API's current context, without its panics.
//!
//! The API panics when a context is attached while another look at it is open (`get_active_span(|_| traced())`), and when
//! it is used in the destructor of a thread-local. Neither may become a panic of the host's: nothing is recorded then.

use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::{Context, ContextGuard};

/// Makes `context` current; `None` when that cannot be.
#[inline]
pub(super) fn attach(context: Context) -> Option<ContextGuard> {
    catch_unwind(AssertUnwindSafe(|| context.attach())).ok()
}

/// Looks at the current context; `None` when there is none to look at. No code of the user's may run in `look`.
#[inline]
pub(crate) fn look<T>(look: impl FnOnce(&Context) -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(|| Context::map_current(look))).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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
            // Whichever thread-local is destroyed first, both orders must do.
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
}
