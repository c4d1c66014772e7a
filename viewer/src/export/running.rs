//! The spans of this process that have not ended, for as long as a page shows them.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::Span;
use telemark_sdk::ExportError;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::{Attention, SdkSpan, SpanData, SpanProcessor};

use super::spans::{kind, span_id, trace_id};
use super::values;
use crate::model::Resource;
use crate::model::cut::short;
use crate::store::{Running, RunningSpan, Store};

/// A span processor that copies ids, name and start of each sampled span, and forgets the span when it ends. While no page asks for
/// running spans, spans do not reach it.
///
/// It does not keep the store alive: the provider of a program lives as long as the program, even after its shutdown.
#[derive(Debug)]
pub struct RunningSpans {
    running: Arc<Running>,
    resource: Arc<Resource>,
}

impl RunningSpans {
    /// Creates a processor for the spans of a provider with this resource.
    pub fn new(store: &Store, resource: &telemark_sdk::Resource) -> Self {
        RunningSpans { running: store.running().clone(), resource: values::resource(resource, store) }
    }
}

impl SpanProcessor for RunningSpans {
    fn on_start(&self, span: &mut SdkSpan, _: &Context) {
        if !self.running.wanted() || !span.span_context().is_sampled() {
            return;
        }
        let Some(name) = span.exported_name() else { return };
        let Some(span) = span.data() else { return };
        self.running.span_started(RunningSpan {
            trace_id: trace_id(span.trace_id()),
            span_id: span_id(span.span_id()),
            parent: span_id(span.parent_span_id),
            // Not interned: application threads must not wait for the interner's sweeps.
            name: short(&name).into(),
            kind: kind(&span.kind),
            start: span.start.as_nanos(),
            resource: self.resource.clone(),
        });
    }

    fn on_ending(&self, span: &mut SpanData) {
        if self.running.wanted() {
            self.running.span_ended(span_id(span.span_id()));
        }
    }

    fn attention(&self) -> Option<Attention> {
        Some(self.running.attention())
    }

    fn wants_end(&self) -> bool {
        false
    }

    fn on_end(&self, _: SpanData) {}

    fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
        self.running.provider_ended(&self.resource);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::Tracer;
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
            Ok(pipeline.with_processor(move |resource| RunningSpans::new(&store, resource)))
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
