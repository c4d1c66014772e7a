//! The workload written against the plain OpenTelemetry API, for any engine that implements it.

use std::hint::black_box;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer};
use opentelemetry::{Context, KeyValue};

use super::{Subject, Text, USER, path};

/// A tracer, and a function that flushes the pipeline behind it.
pub(super) struct Api<T> {
    pub(super) tracer: T,
    pub(super) flush: Box<dyn Fn() + Sync>,
}

impl<T> Subject for Api<T>
where
    T: Tracer + Sync,
    T::Span: Send + Sync + 'static,
{
    fn tree(&self, nested: i64, text: Text) {
        span(&self.tracer, "root", nested, text);
    }

    fn unsampled(&self, calls: u64) {
        below_unsampled(&self.tracer, || self.calls(calls));
    }

    fn calls(&self, calls: u64) {
        for _ in 0..calls {
            span(&self.tracer, "nested", 0, Text::Static);
        }
    }

    fn flush(&self) {
        (self.flush)();
    }
}

fn span<T>(tracer: &T, name: &'static str, below: i64, text: Text)
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    let user = match text {
        Text::Static => KeyValue::new("user.name", black_box(USER)),
        Text::Owned => KeyValue::new("user.name", path(below)),
    };
    let attributes = [user, KeyValue::new("app.depth", black_box(below)), KeyValue::new("app.cached", black_box(true))];
    let span = tracer.span_builder(name).with_attributes(attributes).start(tracer);
    let _current = Context::current_with_span(span).attach();
    if below > 0 {
        self::span(tracer, "nested", below - 1, text);
    }
}

/// Runs `work` inside a span that is not recorded, like a server whose caller decided not to sample.
pub(super) fn below_unsampled<T>(tracer: &T, work: impl FnOnce())
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    let parent = tracer.start_with_context("root", &unsampled_parent());
    let _current = Context::current_with_span(parent).attach();
    work();
}

/// Returns the context of a caller that decided not to sample.
pub(super) fn unsampled_parent() -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        SpanId::from(0x00f0_67aa_0ba9_02b7),
        TraceFlags::default(),
        true,
        TraceState::default(),
    ))
}
