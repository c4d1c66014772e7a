//! The spans of this process that have not ended, for as long as a page shows them.

use std::sync::Arc;

use opentelemetry::Context;
use telemark_sdk::trace::{SdkSpan, SpanData, SpanProcessor};

use super::spans::{kind, span_id, trace_id};
use super::values;
use crate::model::Resource;
use crate::model::cut::short;
use crate::store::{RunningSpan, Store};

/// A span processor that copies ids, name and start of each sampled span, and forgets the span when it ends. While no page asks for
/// running spans, it only reads an atomic.
#[derive(Debug)]
pub struct RunningSpans {
    store: Arc<Store>,
    resource: Arc<Resource>,
}

impl RunningSpans {
    /// Creates a processor for the spans of a provider with this resource.
    pub fn new(store: Arc<Store>, resource: &telemark_sdk::Resource) -> Self {
        let resource = values::resource(resource, &store);
        RunningSpans { store, resource }
    }
}

impl SpanProcessor for RunningSpans {
    fn on_start(&self, span: &mut SdkSpan, _: &Context) {
        let running = self.store.running();
        if !running.wanted() {
            return;
        }
        let Some(span) = span.data().filter(|span| span.context.is_sampled()) else { return };
        running.span_started(RunningSpan {
            trace_id: trace_id(span.trace_id()),
            span_id: span_id(span.span_id()),
            parent: span_id(span.parent_span_id),
            // Not interned: application threads must not wait for the interner's sweeps.
            name: short(&span.name).into(),
            kind: kind(&span.kind),
            start: span.start.as_nanos(),
            resource: self.resource.clone(),
        });
    }

    fn on_ending(&self, span: &mut SpanData) {
        let running = self.store.running();
        if running.wanted() {
            running.span_ended(span_id(span.span_id()));
        }
    }

    fn wants_end(&self) -> bool {
        false
    }

    fn on_end(&self, _: SpanData) {}
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span, Tracer};
    use telemark_sdk::config::Env;
    use telemark_sdk::install::{Factory, Pipeline, Telemetry};
    use telemark_sdk::signal::Traces;
    use telemark_sdk::testing::InMemoryExporter;

    use super::*;
    use crate::store::Limits;

    /// Builds telemetry whose only exporter has the observer of running spans, as the facade's exporter `viewer` does.
    fn telemetry(store: &Arc<Store>) -> Telemetry {
        // A factory is a plain function, so the store reaches it through a static.
        static STORE: std::sync::Mutex<Option<Arc<Store>>> = std::sync::Mutex::new(None);
        *STORE.lock().unwrap() = Some(store.clone());
        let factory = Factory::new("test", |_| {
            let store = STORE.lock().unwrap().clone().unwrap();
            let pipeline = Pipeline::<Traces>::new(InMemoryExporter::<Traces>::new());
            Ok(pipeline.with_processor(move |resource| RunningSpans::new(store, resource)))
        });
        let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "test"), ("OTEL_SERVICE_NAME", "shop")]);
        Telemetry::builder(env).with_span_exporter_factory(factory).build().unwrap()
    }

    #[test]
    fn spans_are_running_from_start_to_end_while_a_page_asks() {
        let store = Store::new(Limits::default());
        let telemetry = telemetry(&store);
        let tracer = telemetry.tracer("test");
        let running = || {
            let spans = store.running().spans();
            spans.iter().map(|span| format!("{} of {}", span.name, span.resource.service)).collect::<Vec<_>>()
        };
        let mut early = tracer.start("before a page asks");
        assert_eq!(running(), [""; 0]);
        let mut span = tracer.start("shown");
        assert_eq!(running(), ["shown of shop"]);
        early.end();
        span.end();
        assert_eq!(running(), [""; 0]);
        assert_eq!(telemetry.health().traces.len(), 1);
    }
}
