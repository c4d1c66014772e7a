#![cfg_attr(docsrs, feature(doc_cfg))]
//! One dependency and one line: traces and metrics for Rust services, on the OpenTelemetry API.
//!
//! ```no_run
//! use telemark::traced;
//!
//! #[traced(fields(cart.id = cart))]
//! async fn checkout(cart: u64) -> Result<(), std::io::Error> {
//!     Ok(())
//! }
//!
//! fn main() -> Result<(), telemark::ConfigError> {
//!     let _telemetry = telemark::init()?; // everything from OTEL_* variables; flushes when main ends
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! your code ─ #[traced], layers, any library on the opentelemetry API or with tracing-opentelemetry
//!     │
//! telemark-sdk ─ samples, records, batches; one thread of its own; never blocks you, drops are counted
//!     │
//! OTLP (http/protobuf, http/json, grpc, file) │ trace trees in the terminal │ any opentelemetry_sdk exporter
//! ```
//!
//! # How to
//! - **see it at once**: `OTEL_TRACES_EXPORTER=console OTEL_METRICS_EXPORTER=console`.
//! - **send it**: OTLP is the default, to `http://localhost:4318`; `OTEL_EXPORTER_OTLP_ENDPOINT` and its kin change that.
//! - **name the service**: `OTEL_SERVICE_NAME`, or [`builder()`]`.service_name("shop")`.
//! - **call another service**: `telemark::inject` writes the trace's context into the headers of a request, `telemark::extract` reads it.
//! - **trace axum**: the feature `axum` and `Router::layer(telemark::axum::layer())`.
//! - **trace functions**: [`traced`](macro@traced) on functions, `impl` blocks and modules; `#[traced(stream)]` on a function that
//!   returns a stream.
//! - **measure functions**: `#[traced(metrics)]` adds a histogram of their durations, by function and kind of error.
//! - **measure anything**: a `static` [`Counter`], [`UpDownCounter`], [`Gauge`] or [`Histogram`].
//! - **show metrics to Prometheus**: the feature `prometheus` and `OTEL_METRICS_EXPORTER=prometheus`, which listens on
//!   `localhost:9464`; or a handler of your own for `/metrics`: see `telemark::prometheus`.
//! - **trace by hand**: [`span()`], [`set_attribute`], [`record_error`], [`propagate`].
//! - **use the OpenTelemetry API**: it is re-exported as [`opentelemetry`]; `init` sets its globals.
//! - **configure in code**: [`builder()`].
//! - **test**: [`testing`] gives each test a telemetry of its own.
//!
//! # Metrics
//! ```
//! use telemark::{Counter, traced};
//!
//! static ORDERS: Counter<u64> = Counter::new("shop.orders").with_unit("{order}").with_description("Orders placed");
//!
//! #[traced(metrics)] // a span, and the histogram telemark.function.duration whose exemplars lead to it
//! fn order(kind: &'static str, express: bool) -> Result<(), std::io::Error> {
//!     ORDERS.add(1, (("shop.order.kind", kind), ("shop.order.express", express)));
//!     Ok(())
//! }
//! # order("web", true)?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Environment variables
//! [`config::VARIABLES`] is the table of all of them, with defaults and accepted values. Those of the specification work as it
//! says; a name that is nearly one of them is reported on standard error, and so is one that has no effect yet.
//!
//! # Features
//! | feature | default | adds |
//! |---|---|---|
//! | `otlp` | yes | export over OTLP: `http/protobuf`, `http/json`, gzip |
//! | `grpc` | yes | OTLP over gRPC: 1 MB of a program |
//! | `tls` | no | `https` for OTLP, with rustls |
//! | `console` | yes | trace trees and metrics in the terminal |
//! | `prometheus` | no | `OTEL_METRICS_EXPORTER=prometheus` and `telemark::prometheus` |
//! | `http` | yes | `telemark::inject` and `telemark::extract`: a trace's context in the headers of requests |
//! | `axum` | no | `telemark::axum::layer()` |
//! | `tower` | no | `telemark::tower`, the same for any tower service |
//! | `runtime-metrics` | no | `builder().runtime_metrics()`: metrics of the process and of the tokio runtime |
//! | `termination` | yes | exports what is left when SIGTERM, Ctrl-C or `exit` ends the program |
//!
//! Without features this is the engine and the macro: what a library needs that only wants `#[traced]`. In a program that
//! has another SDK such a library records nothing, unless one of the two calls [`use_global_tracer`].

mod exporters;
#[cfg(feature = "http")]
mod headers;
mod init;
#[cfg(feature = "prometheus")]
pub mod prometheus;
mod server;
pub mod testing;

pub use init::{Builder, Guard, builder, init};
pub use opentelemetry;
pub use telemark_macros::traced;
/// The engine, for exporters, processors and samplers of your own.
pub use telemark_sdk as sdk;
pub use telemark_sdk::instrument::ToValue;
#[doc(hidden)]
pub use telemark_sdk::instrument::private as __private;
pub use telemark_sdk::instrument::spans::{
    Entered, ErrorType, InSpan, InSpanStream, RecordError, SpanBuilder, add_event, current_span_context, propagate,
    propagate_fn, record_error, set_attribute, span, suppress, suppress_future, use_global_tracer,
};
pub use telemark_sdk::instrument::statics as metered;
pub use telemark_sdk::instrument::statics::{AttributeValue, Attributes, Counter, Gauge, Histogram, UpDownCounter};
pub use telemark_sdk::scope;
pub use telemark_sdk::{ConfigError, ExportError, config, diag};

#[cfg(feature = "http")]
pub use headers::{extract, inject};
#[cfg(feature = "axum")]
pub use server::axum;
#[cfg(feature = "tower")]
pub use server::tower;
#[cfg(feature = "console")]
/// Trace trees and metrics in the terminal.
pub use telemark_console as console;
#[cfg(feature = "otlp")]
/// OTLP exporters configured in code.
pub use telemark_otlp as otlp;
