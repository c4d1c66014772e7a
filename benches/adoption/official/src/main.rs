//! The bare program plus server spans and metrics, a span in the code, propagation, and OTLP export, all using the
//! official crates.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_instrumentation_tower::http::server;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let exporter = SpanExporter::builder().with_http().build()?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    global::set_tracer_provider(provider.clone());
    let meters =
        SdkMeterProvider::builder().with_periodic_exporter(MetricExporter::builder().with_http().build()?).build();
    global::set_meter_provider(meters.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("adoption"));
    tracing_subscriber::registry().with(LevelFilter::INFO).with(layer).try_init()?;
    let app = Router::new().route("/users/{id}", get(user)).layer(server::Layer::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    provider.shutdown()?;
    meters.shutdown()?;
    Ok(())
}

async fn user(Path(id): Path<u64>) -> String {
    name(id)
}

#[tracing::instrument]
fn name(id: u64) -> String {
    format!("user {id}")
}
