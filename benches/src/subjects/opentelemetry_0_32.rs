//! `opentelemetry_sdk` 0.32 for the libraries that are not on the current version of the API, with the same pipeline as
//! [`opentelemetry_sdk`](super::opentelemetry_sdk).

use opentelemetry_0_32::global;
use opentelemetry_0_32::trace::TracerProvider as _;
use opentelemetry_otlp_0_32::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk_0_32::propagation::TraceContextPropagator;
use opentelemetry_sdk_0_32::trace::{BatchSpanProcessor, SdkTracerProvider};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::Failure;

/// Installs the SDK and returns what flushes it.
pub(crate) fn install_0_32(endpoint: &str) -> Result<Box<dyn Fn() + Sync>, Failure> {
    Ok(flush(provider(endpoint)?))
}

/// Installs the SDK below `tracing-opentelemetry` and returns what flushes it.
pub(crate) fn install_bridge_0_32(endpoint: &str) -> Result<Box<dyn Fn() + Sync>, Failure> {
    let provider = provider(endpoint)?;
    let layer = tracing_opentelemetry_0_33::layer().with_tracer(provider.tracer("benches"));
    tracing_subscriber::registry().with(LevelFilter::INFO).with(layer).try_init()?;
    Ok(flush(provider))
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, Failure> {
    let url = format!("http://{endpoint}/v1/traces");
    let exporter =
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(url).build()?;
    let processor = BatchSpanProcessor::builder(exporter).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    global::set_tracer_provider(provider.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(provider)
}

fn flush(provider: SdkTracerProvider) -> Box<dyn Fn() + Sync> {
    Box::new(move || {
        if let Err(failure) = provider.force_flush() {
            eprintln!("opentelemetry_sdk 0.32: {failure}");
        }
    })
}
