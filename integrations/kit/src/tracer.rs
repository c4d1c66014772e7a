//! The global tracer, looked up when it is first needed and kept once it is real.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use opentelemetry::global::{self, BoxedSpan, BoxedTracer};
use opentelemetry::trace::{SpanBuilder, SpanContext, TraceContextExt, Tracer};
use opentelemetry::{Context, InstrumentationScope};

use crate::keys::SCHEMA_URL;

/// Returns the instrumentation scope of an integration: its crate's name and version, and the schema its attributes follow.
///
/// ```
/// let scope = telemark_kit::scope(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
/// # assert!(scope.schema_url().is_some());
/// ```
pub fn scope(name: impl Into<Cow<'static, str>>, version: impl Into<Cow<'static, str>>) -> InstrumentationScope {
    InstrumentationScope::builder(name).with_version(version).with_schema_url(SCHEMA_URL).build()
}

/// A [`Tracer`] of the API's global provider.
///
/// May be made before the provider is installed: as long as the global one is the API's no-op provider, each span looks again.
/// The first real tracer is kept by all clones; a provider that replaces it later is not seen.
#[derive(Clone, Debug)]
pub struct GlobalTracer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scope: InstrumentationScope,
    tracer: OnceLock<BoxedTracer>,
}

impl GlobalTracer {
    /// Returns a tracer for the given scope; looks nothing up yet.
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
            // Losing a race is fine: the tracer is of the same provider.
            let _ = self.0.tracer.set(tracer);
        }
        span
    }
}

/// Returns false for the span of a no-op tracer, which has its parent's context or an invalid one.
fn is_real(span: &SpanContext, parent: &SpanContext) -> bool {
    span.is_valid() && span.span_id() != parent.span_id()
}
