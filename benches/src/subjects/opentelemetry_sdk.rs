//! `opentelemetry_sdk` with its thread batch processor, and `opentelemetry-otlp` over HTTP with the blocking client,
//! which are the defaults of both crates.

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};

use super::api::Api;
use super::{Settings, Subject};
use crate::Failure;

pub(super) fn install(url: &str, settings: Settings) -> Result<Box<dyn Subject>, Failure> {
    let provider = provider(url, settings)?;
    // The concrete tracer, because the global one would box each span.
    let tracer = provider.tracer("benches");
    Ok(Box::new(Api { tracer, flush: flush(provider) }))
}

pub(super) fn not_installed() -> Box<dyn Subject> {
    Box::new(Api { tracer: global::tracer("benches"), flush: Box::new(|| {}) })
}

/// Returns the provider, after installing it globally together with the W3C propagator.
pub(super) fn provider(url: &str, settings: Settings) -> Result<SdkTracerProvider, Failure> {
    let mut config = BatchConfigBuilder::default();
    if let Some(size) = settings.max_queue_size {
        config = config.with_max_queue_size(size);
    }
    let processor = BatchSpanProcessor::builder(exporter(url)?).with_batch_config(config.build()).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    global::set_tracer_provider(provider.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(provider)
}

pub(super) fn exporter(url: &str) -> Result<SpanExporter, Failure> {
    Ok(SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(url).build()?)
}

pub(super) fn flush(provider: SdkTracerProvider) -> Box<dyn Fn() + Sync> {
    Box::new(move || {
        if let Err(failure) = provider.force_flush() {
            eprintln!("opentelemetry_sdk: {failure}");
        }
    })
}
