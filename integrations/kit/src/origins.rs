//! Counts requests by the origin of the parent of their span, so that a program knows on which of its routes traces begin.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

/// The number of threads that can count at once without waiting for each other's cache line.
const STRIPES: usize = 4;

/// The origin of the parent of a span, as in `otel.span.parent.origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentOrigin {
    /// There is no parent: the trace begins here.
    None = 0,
    /// The parent is a span of this process.
    Local = 1,
    /// The parent is a span of another process.
    Remote = 2,
}

impl ParentOrigin {
    /// Returns the origin of the span in this context.
    #[inline]
    pub fn of_context(context: &Context) -> Self {
        let span = context.span();
        let parent = span.span_context();
        match (parent.is_valid(), parent.is_remote()) {
            (false, _) => ParentOrigin::None,
            (true, false) => ParentOrigin::Local,
            (true, true) => ParentOrigin::Remote,
        }
    }
}

/// Numbers of requests, by the [`ParentOrigin`] of their span. A count takes a few nanoseconds and waits for nothing.
#[derive(Debug)]
pub struct OriginCounts([Stripe; STRIPES]);

/// Aligned so that two threads rarely write to the same cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Stripe([AtomicU64; 3]);

/// Requests that the servers of this process have received for one route, by the origin of the parent of their span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedRoute {
    /// The route; `None` for all requests without one.
    pub route: Option<&'static str>,
    /// Requests whose trace begins here.
    pub without_parent: u64,
    /// Requests below a span of this process.
    pub local_parent: u64,
    /// Requests that brought the trace context of their caller.
    pub remote_parent: u64,
}

thread_local! {
    static STRIPE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

impl OriginCounts {
    /// Returns counts of zero.
    pub const fn new() -> Self {
        OriginCounts([const { Stripe([const { AtomicU64::new(0) }; 3]) }; STRIPES])
    }

    /// Counts a request.
    #[inline]
    pub fn count(&self, origin: ParentOrigin) {
        // The thread-local is not available while the thread is ending.
        let stripe = STRIPE.try_with(|stripe| *stripe).unwrap_or(0);
        self.0[stripe % STRIPES].0[origin as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts as those of this route, or `None` if they are all zero.
    pub fn of_route(&self, route: Option<&'static str>) -> Option<ServedRoute> {
        let sum = |origin: usize| self.0.iter().map(|stripe| stripe.0[origin].load(Ordering::Relaxed)).sum();
        let [without_parent, local_parent, remote_parent] = [0, 1, 2].map(sum);
        let served = ServedRoute { route, without_parent, local_parent, remote_parent };
        (without_parent + local_parent + remote_parent > 0).then_some(served)
    }
}

impl Default for OriginCounts {
    fn default() -> Self {
        OriginCounts::new()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    #[test]
    fn a_context_tells_where_its_span_is_from() {
        let check = |trace: u128, is_remote: bool, expected: ParentOrigin| {
            let (trace, span) = (TraceId::from(trace), SpanId::from(7));
            let span = SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, is_remote, TraceState::NONE);
            let context = Context::new().with_remote_span_context(span);
            assert_eq!(ParentOrigin::of_context(&context), expected, "{trace} {is_remote}");
        };
        check(0, true, ParentOrigin::None);
        check(1, false, ParentOrigin::Local);
        check(1, true, ParentOrigin::Remote);
        assert_eq!(ParentOrigin::of_context(&Context::new()), ParentOrigin::None);
    }

    #[test]
    fn no_request_of_many_threads_is_lost() {
        static COUNTS: OriginCounts = OriginCounts::new();
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES + 1 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        COUNTS.count(ParentOrigin::None);
                        COUNTS.count(ParentOrigin::Remote);
                    }
                    COUNTS.count(ParentOrigin::Local);
                });
            }
        });
        let served = ServedRoute { route: Some("/"), without_parent: 9000, local_parent: 9, remote_parent: 9000 };
        assert_eq!(COUNTS.of_route(Some("/")), Some(served));
        assert_eq!(OriginCounts::new().of_route(None), None);
    }
}
