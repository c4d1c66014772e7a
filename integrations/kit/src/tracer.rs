//! The global tracer, which is looked up on first use and cached once it is not a no-op tracer.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use opentelemetry::global::{self, BoxedSpan, BoxedTracer};
use opentelemetry::trace::{SpanBuilder, SpanContext, TraceContextExt, Tracer};
use opentelemetry::{Context, InstrumentationScope};

use crate::keys::SCHEMA_URL;

/// Returns the instrumentation scope of an integration: the name and version of its crate, and the schema of its attributes.
///
/// ```
/// let scope = telemark_kit::scope(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
/// # assert!(scope.schema_url().is_some());
/// ```
pub fn scope(name: impl Into<Cow<'static, str>>, version: impl Into<Cow<'static, str>>) -> InstrumentationScope {
    InstrumentationScope::builder(name).with_version(version).with_schema_url(SCHEMA_URL).build()
}

/// A [`Tracer`] from the API's global provider.
///
/// May be created before the provider is installed: while the global provider is the API's no-op provider, each span repeats
/// the lookup. All clones keep the first real tracer, even if the global provider is replaced later.
#[derive(Clone, Debug)]
pub struct GlobalTracer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scope: InstrumentationScope,
    tracer: OnceLock<BoxedTracer>,
}

impl GlobalTracer {
    /// Returns a tracer for the given scope, without looking up the provider yet.
    pub fn new(scope: InstrumentationScope) -> Self {
        GlobalTracer(Arc::new(Inner { scope, tracer: OnceLock::new() }))
    }
}

impl Tracer for GlobalTracer {
    type Span = BoxedSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> BoxedSpan {
        if let Some(tracer) = self.0.tracer.get() {
            return tracer.build_with_context(builder, parent);
        }
        let tracer = global::tracer_with_scope(self.0.scope.clone());
        let span = tracer.build_with_context(builder, parent);
        if is_real(opentelemetry::trace::Span::span_context(&span), parent.span().span_context()) {
            // Losing this race is harmless: both tracers belong to the same provider.
            let _ = self.0.tracer.set(tracer);
        }
        span
    }
}

/// Returns false for the span of a no-op tracer, whose context is its parent's or invalid.
fn is_real(span: &SpanContext, parent: &SpanContext) -> bool {
    span.is_valid() && span.span_id() != parent.span_id()
}
