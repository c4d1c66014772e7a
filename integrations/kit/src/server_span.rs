//! Marks the server span of a protocol that carries another one, so that a request over both has a single server span.

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt};

/// The id of the marked span. A context with a child of that span still has this value, and must not count as marked.
struct Marked(SpanId);

/// Marks the span of `context` as the server span of a request. An integration for a protocol on top, such as gRPC over HTTP,
/// describes that span further instead of starting another one.
pub fn mark_server_span(context: Context) -> Context {
    let id = context.span().span_context().span_id();
    context.with_value(Marked(id))
}

/// Returns true if the span of `context` has been marked with [`mark_server_span`].
pub fn is_server_span_marked(context: &Context) -> bool {
    context.get::<Marked>().is_some_and(|marked| marked.0 == context.span().span_context().span_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanContext, TraceFlags, TraceId, TraceState};

    #[test]
    fn only_the_marked_span_counts() {
        let with = |context: &Context, id| {
            let span =
                SpanContext::new(TraceId::from(1), SpanId::from(id), TraceFlags::SAMPLED, false, TraceState::default());
            context.with_remote_span_context(span)
        };
        let server = with(&Context::new(), 1);
        assert!(!is_server_span_marked(&server));
        let marked = mark_server_span(server);
        assert!(is_server_span_marked(&marked));
        assert!(!is_server_span_marked(&with(&marked, 2)), "a child");
        assert!(is_server_span_marked(&mark_server_span(Context::new())), "a request without a span");
    }
}
