//! The context with a span: making it, entering it, and asking about its span.

use opentelemetry::trace::{Span, SpanId, TraceContextExt, TraceId};
use opentelemetry::{Context, ContextGuard};

/// Returns `parent` with the span of an operation. An unsampled span is reduced to its ids, without the box and the lock of a
/// recording one.
pub fn with_span<S: Span + Send + Sync + 'static>(parent: &Context, span: S, is_recording: bool) -> Context {
    if is_recording {
        parent.with_span(span)
    } else if span.span_context().is_valid() {
        parent.with_remote_span_context(span.span_context().clone())
    } else {
        parent.clone()
    }
}

/// Returns true if the span of `parent` is unsampled. A sampler that follows its parent then needs few attributes.
pub fn is_unsampled(parent: &Context) -> bool {
    let span = parent.span();
    let parent = span.span_context();
    parent.is_valid() && !parent.is_sampled()
}

/// Returns true if the span of `context` is the current one.
pub fn is_current(context: &Context) -> bool {
    ids(context) == Context::map_current(ids)
}

/// Makes `context` current unless its span already is, which costs less.
///
/// # Panics
/// The API panics if the thread is ending and its context has been destroyed; see [`guarded`](crate::guarded).
pub fn attach_unless_current(context: &Context) -> Option<ContextGuard> {
    (!is_current(context)).then(|| context.clone().attach())
}

fn ids(context: &Context) -> (TraceId, SpanId) {
    let span = context.span();
    let span = span.span_context();
    (span.trace_id(), span.span_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::noop::NoopSpan;
    use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};

    fn remote(trace: u128, id: u64, flags: TraceFlags) -> Context {
        let span = SpanContext::new(TraceId::from(trace), SpanId::from(id), flags, false, TraceState::default());
        Context::new().with_remote_span_context(span)
    }

    #[test]
    fn only_a_valid_parent_may_be_unsampled() {
        let found = [Context::new(), remote(1, 1, TraceFlags::SAMPLED), remote(1, 1, TraceFlags::NOT_SAMPLED)];
        assert_eq!(found.map(|parent| is_unsampled(&parent)), [false, false, true]);
    }

    #[test]
    fn a_span_without_ids_leaves_its_parent() {
        let parent = remote(1, 2, TraceFlags::SAMPLED);
        let context = with_span(&parent, NoopSpan::DEFAULT, false);
        assert_eq!(ids(&context), ids(&parent));
    }

    #[test]
    fn a_context_is_entered_once() {
        let context = remote(1, 2, TraceFlags::SAMPLED);
        let entered = attach_unless_current(&context);
        assert!(entered.is_some() && is_current(&context));
        assert!(attach_unless_current(&context).is_none());
        for other in [remote(1, 3, TraceFlags::SAMPLED), remote(2, 2, TraceFlags::SAMPLED)] {
            assert!(!is_current(&other));
        }
    }
}
