#![cfg_attr(docsrs, feature(doc_cfg))]
//! Traces, metrics and logs for Rust services on the OpenTelemetry API, with one dependency and one line in `main`.
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
//! telemark-sdk ─ samples, records, batches; exports on its own thread; never blocks you, counts what it drops
//!     │
//! OTLP (http/protobuf, http/json, grpc, file) │ trace trees in the terminal │ any opentelemetry_sdk exporter
//! ```
//!
//! # How to
//! - **see it immediately**: set `OTEL_TRACES_EXPORTER=console OTEL_METRICS_EXPORTER=console OTEL_LOGS_EXPORTER=console`.
//! - **explore it**: enable the feature `viewer` and set `OTEL_TRACES_EXPORTER=viewer OTEL_METRICS_EXPORTER=viewer
//!   OTEL_LOGS_EXPORTER=viewer`; the program prints the link to a page with its own telemetry.
//! - **send it**: OTLP is the default, to `http://localhost:4318`. `OTEL_EXPORTER_OTLP_ENDPOINT` and related variables
//!   change that.
//! - **say where the program runs**: `OTEL_RUST_RESOURCE_DETECTORS` names what is detected; see [`resource`]. The features `container`,
//!   `aws`, `gcp` and `azure` add detectors.
//! - **name the service**: set `OTEL_SERVICE_NAME` or call [`builder()`]`.with_service_name("shop")`.
//! - **call another service with reqwest**: enable the feature `reqwest` and replace `use reqwest;` by `use telemark::reqwest;`.
//!   For hyper, see `telemark::hyper`, and for any tower client `telemark::tower::client_layer()`.
//! - **call another service with a client that has no integration**: `telemark::inject` writes the trace context into the headers
//!   of a request, and `telemark::extract` reads it.
//! - **start another program in the same trace**: [`propagation::inject_environment`] writes the trace context into the environment of a
//!   command, and [`propagation::extract_environment`] reads it in the other program.
//! - **send the trace context only to your own hosts**: set `OTEL_RUST_HTTP_CLIENT_PROPAGATION_HOSTS`.
//! - **see where the time before a response goes**: `OTEL_RUST_HTTP_CLIENT_CONNECTION_PHASES=true` records the resolution of the
//!   name and the connection as events of an HTTP client's span.
//! - **trace axum**: enable the feature `axum` and call `Router::layer(telemark::axum::layer())`.
//! - **trace gRPC**: enable the feature `tonic`, and add `telemark::tonic::server_layer()` to the server and
//!   `telemark::tonic::client_layer(target)` to the channel.
//! - **trace a database**: enable `sqlx-postgres`, `sqlx-mysql` or `sqlx-sqlite`, and take the pool from `telemark::sqlx`. Without any
//!   change, the layer of `telemark::tracing` makes spans of the statements that sqlx logs.
//! - **trace functions**: put [`traced`](macro@traced) on functions, `impl` blocks and modules, and `#[traced(stream)]`
//!   on functions that return a stream.
//! - **measure functions**: `#[traced(metrics)]` adds a histogram of their durations, by function and kind of error.
//! - **measure anything**: declare a `static` [`Counter`], [`UpDownCounter`], [`Gauge`] or [`Histogram`].
//! - **show metrics to Prometheus**: enable the feature `prometheus` and set `OTEL_METRICS_EXPORTER=prometheus`, which
//!   listens on `localhost:9464`, or serve `/metrics` from your own handler: see `telemark::prometheus`.
//! - **use `tracing`**: enable the features `tracing` and `tracing-fmt` and start telemetry with
//!   `telemark::builder().with_instrumentation(telemark::tracing::install).init()`: spans, log records, measurements, and log lines
//!   with the ids of their span. A program with its own subscriber adds `telemark::tracing::layer()` to it.
//! - **choose what is recorded**: `OTEL_RUST_SPANS` and `OTEL_RUST_LOGS` filter spans and log records, `RUST_LOG` log lines;
//!   [`span_filter`] and [`log_filter`] change the first two while the program runs.
//! - **change it while it runs**: [`Guard::control`] replaces the sampler, disables everything or a signal with one switch, and disables
//!   tracers, meters and loggers by name with a [`Configurator`]. `OTEL_RUST_CONFIG_WATCH_INTERVAL` and [`Builder::with_reload_on_sighup`]
//!   apply new versions of the configuration file.
//! - **export to elsewhere, edit, drop or sample spans**: see [`export`] and [`trace`].
//! - **keep the context**: start tasks with `telemark::spawn` or `telemark::JoinSet` (feature `tokio`) and threads with
//!   [`thread::spawn`], send values through channels with [`carry`], and wrap streams with [`propagate_stream`]. Other spawning
//!   functions take `telemark::propagate(future)` or `telemark::propagate_fn(closure)`.
//! - **trace by hand**: use [`span()`], [`set_attribute`], [`record_error`] and [`propagate`].
//! - **use the OpenTelemetry API**: it is re-exported as [`opentelemetry`], and `init` sets its globals. The API's
//!   `metrics::Counter` and other instruments come from a meter, whereas the [`Counter`] here is declared as a `static`. The API's
//!   `trace::SpanBuilder` is for tracers, whereas the [`SpanBuilder`] here is returned by [`span()`].
//! - **send the logs of another library than `tracing`**: pass the guard's logger provider, [`Guard::logger_provider`], to its
//!   appender. Records contain the current span's ids.
//! - **limit the volume of logs**: set `OTEL_RUST_LOGS_MAX_PER_MINUTE` or another of the `OTEL_RUST_LOGS_*` variables, or pass a
//!   [`LogVolume`](logs::LogVolume) to [`Builder::with_log_volume`]. Both limit exported records, not log lines, which
//!   `RUST_LOG` filters.
//! - **record panics**: set `OTEL_RUST_PANICS=true` or call [`Builder::with_panic_records`]. A panic hook that the program sets later
//!   must call the hook that it replaces.
//! - **configure in code**: use [`builder()`] with the types in [`trace`], [`metrics`], [`logs`], [`propagation`] and
//!   [`export`].
//! - **configure with a file**: enable the feature `config-file` and set `OTEL_CONFIG_FILE`.
//! - **start it in a program that must run without it, too**: [`auto()`] reports an error instead of returning it.
//! - **shut down**: drop the guard that [`init`] returns.
//! - **test**: [`testing`] gives each test its own telemetry.
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
//! [`config::VARIABLES`] lists all of them, with defaults and accepted values. The specification's variables work as
//! specified. Likely misspellings, and variables that have no effect yet, are reported on standard error.
//!
//! With the feature `config-file`, `OTEL_CONFIG_FILE` names a file that replaces them; see [`config`].
//!
//! # Features
//! | feature | default | adds |
//! |---|---|---|
//! | `otlp` | yes | export over OTLP: `http/protobuf` and `http/json`, with a client on the standard library as long as neither `grpc` nor `tls` is on |
//! | `grpc` | yes | OTLP over gRPC; adds about 1 MB to a program |
//! | `gzip` | yes | `OTEL_EXPORTER_OTLP_COMPRESSION=gzip` |
//! | `tls` | no | `https` for OTLP, with rustls |
//! | `console` | yes | trace trees, metrics and log records in the terminal |
//! | `prometheus` | no | `OTEL_METRICS_EXPORTER=prometheus` and `telemark::prometheus` |
//! | `config-file` | no | `OTEL_CONFIG_FILE`: OpenTelemetry's declarative configuration in YAML or JSON |
//! | `redaction` | no | `OTEL_RUST_REDACTION` and `telemark::redaction`: hides secrets and personal data before they are exported |
//! | `viewer` | no | `OTEL_TRACES_EXPORTER=viewer` and `telemark::viewer()`: a page with the program's own telemetry |
//! | `http` | yes | `telemark::inject` and `telemark::extract`: trace context in request headers |
//! | `axum` | no | `telemark::axum::layer()`, for axum 0.8 |
//! | `tower` | no | `telemark::tower`: the same layer for any tower service, and a client layer |
//! | `tokio` | no | `telemark::spawn`, `spawn_blocking`, `spawn_local` and `JoinSet`: tokio's tasks, with the current context |
//! | `tonic` | no | `telemark::tonic`: gRPC layers for servers and clients of tonic 0.14, whose newest versions require Rust 1.88 |
//! | `sqlx-sqlite`, `sqlx-postgres`, `sqlx-mysql` | no | `telemark::sqlx`: pools, connections and transactions of sqlx 0.9; requires Rust 1.94 |
//! | `sqlx` | no | the parts that these three share; do not enable it by itself |
//! | `hyper` | no | `telemark::hyper`: hyper 1's client and server with spans and metrics |
//! | `reqwest` | no | `telemark::reqwest`: reqwest 0.13 with a client span and metrics for every request |
//! | `reqwest-middleware` | no | `telemark::reqwest::middleware()` for `reqwest-middleware` |
//! | `runtime-metrics` | no | `telemark::runtime_metrics`: metrics of the process and of the tokio runtime |
//! | `tracing` | no | `telemark::tracing::layer()`: spans and events of the `tracing` crate |
//! | `tracing-fmt` | no | `telemark::tracing::fmt`: log lines of the crate `tracing` with the ids of the current span; with `tracing`, also `telemark::tracing::install` |
//! | `xray` | no | `OTEL_PROPAGATORS=xray` and `xray-lambda`: the header of AWS X-Ray |
//! | `container` | no | `OTEL_RUST_RESOURCE_DETECTORS=container` and `kubernetes`: the container's id, and the pod |
//! | `aws`, `gcp`, `azure` | no | `OTEL_RUST_RESOURCE_DETECTORS=aws`, `gcp` and `azure`: the cloud in which the program runs |
//! | `termination` | yes | exports the remaining telemetry when SIGTERM, Ctrl-C or `exit` ends the program |
//!
//! Without features, the crate has the engine and the macro, which is enough for a library that only uses `#[traced]`. In
//! a program with another SDK, such a library records nothing unless it or the program calls [`use_global_tracer`].
//!
//! Telemark requires Rust 1.85, and some features more, as stated above.

mod client;
mod components;
pub mod config;
mod database;
mod enabled;
#[cfg(feature = "http")]
mod headers;
mod init;
pub mod logs;
#[cfg(feature = "prometheus")]
pub mod prometheus;
pub mod propagation;
#[cfg(feature = "redaction")]
pub mod redaction;
mod server;
mod tasks;
pub mod testing;
#[cfg(feature = "tonic")]
pub mod tonic;
#[cfg(any(feature = "tracing", feature = "tracing-fmt"))]
pub mod tracing;

#[cfg(feature = "hyper")]
pub use client::hyper;
#[cfg(feature = "reqwest")]
pub use client::reqwest;
#[cfg(feature = "sqlx")]
pub use database::sqlx;
#[cfg(feature = "http")]
pub use headers::{extract, inject};
#[cfg(feature = "runtime-metrics")]
pub use init::runtime_metrics;
#[cfg(feature = "viewer")]
pub use init::viewer;
pub use init::{auto, builder, init};
pub use opentelemetry;
#[cfg(feature = "axum")]
pub use server::axum;
#[cfg(feature = "tower")]
pub use server::tower;
pub use tasks::thread;
#[cfg(feature = "tokio")]
pub use tasks::{JoinSet, spawn, spawn_blocking, spawn_local};
pub use telemark_macros::traced;
pub use telemark_sdk::control::{Configurator, ScopeConfig};
#[doc(inline)]
pub use telemark_sdk::install::{Control, Health, Telemetry as Guard, TelemetryBuilder as Builder, TelemetryHandle};
pub use telemark_sdk::instrument::handover::{Carried, carry, propagate_stream};
pub use telemark_sdk::instrument::spans::{
    Entered, ErrorType, InSpan, InSpanStream, RecordError, SpanBuilder, add_event, current_span_context, propagate,
    propagate_fn, record_error, set_attribute, span, suppress, suppress_future, use_global_tracer,
};
pub use telemark_sdk::instrument::statics;
pub use telemark_sdk::instrument::statics::{AttributeValue, Attributes, Counter, Gauge, Histogram, UpDownCounter};
// Not intended for users. Because of this path through the crate, compiler errors show the engine's traits without their full
// paths.
#[doc(hidden)]
pub use telemark_sdk::{self as __sdk, instrument::private as __private};
pub use telemark_sdk::{ConfigError, ExportError, Resource, instrument::ToValue, scope};

/// The filter of spans by target and level, which `OTEL_RUST_SPANS` sets and a program can change while it runs.
///
/// ```
/// use telemark::span_filter::{self, SpanFilter};
///
/// // From a request to the service, for instance.
/// span_filter::set("info,shop::cart=debug".parse()?);
/// // Back to the default, which keeps more than `info`: see `SpanFilter`.
/// span_filter::set(SpanFilter::default());
/// # Ok::<(), telemark::ConfigError>(())
/// ```
pub mod span_filter {
    pub use telemark_sdk::span_filter::{Level, SpanFilter, current, set};
}

/// The filter of the events of `tracing` that become log records, which `OTEL_RUST_LOGS` sets and a program can change while it runs.
/// Unset, or set to `None`, it is the [filter of spans](span_filter). The statements that sqlx logs (`sqlx::query`) become records
/// only if this filter names exactly that target, which `sqlx=debug` does not: their text contains values.
///
/// ```
/// use telemark::log_filter;
///
/// log_filter::set(Some("warn,shop::cart=debug".parse()?));
/// log_filter::set(None);
/// # Ok::<(), telemark::ConfigError>(())
/// ```
pub mod log_filter {
    pub use telemark_sdk::span_filter::records::{current, set};
}

/// The SDK's own log messages, and counts of exported and dropped telemetry.
pub mod diag {
    pub use telemark_sdk::diag::{
        DecisionCount, Level, RouteHealth, SignalHealth, TailHealth, set_max_level, set_sink,
    };
}

/// Custom exporters, and their names in `OTEL_TRACES_EXPORTER`, `OTEL_LOGS_EXPORTER` and `OTEL_METRICS_EXPORTER`.
///
/// An exporter implements [`Exporter`](export::Exporter) for one signal or several. It sees the items of a batch as borrowed views, such as
/// [`SpanView`](crate::trace::SpanView):
///
/// ```
/// use telemark::export::{Batch, ExportReport, Exporter, Factory, Pipeline, Traces};
/// use telemark::time::Deadline;
/// use telemark::ExportError;
///
/// struct Printer;
///
/// impl Exporter<Traces> for Printer {
///     // Called on a thread of its own, with one batch at a time. It may block until the deadline.
///     fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
///         for span in batch.iter() {
///             println!("{} {} {:?}", span.trace_id(), span.name(), span.status());
///         }
///         Ok(ExportReport::accepted())
///     }
/// }
///
/// // Beside the exporters that OTEL_TRACES_EXPORTER selects:
/// let builder = telemark::builder().with_additional_span_exporter(Printer);
/// // In place of them:
/// let builder = telemark::builder().with_span_exporter(Printer);
/// // By name, as in OTEL_TRACES_EXPORTER=otlp,printer:
/// let printer = Factory::new("printer", |_| Ok(Pipeline::new(Printer)));
/// let builder = telemark::builder().with_span_exporter_factory(printer);
/// # let env = telemark::config::Env::from_pairs([
/// #     ("OTEL_TRACES_EXPORTER", "printer"), ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none"),
/// # ]);
/// # assert_eq!(builder.with_env(env).build()?.health().traces.len(), 1);
/// # Ok::<(), telemark::ConfigError>(())
/// ```
pub mod export {
    pub use telemark_sdk::install::{Components, Extension, Factory, Node, Pipeline};
    pub use telemark_sdk::runtime::{Runtime, is_ending};
    pub use telemark_sdk::signal::{Logs, Metrics, Signal, Traces};
    pub use telemark_sdk::{Batch, ExportReport, Exporter, ResponseStatus};
}

/// Tracing configured in code: limits, batches, stages and processors for [`builder()`], and the spans that exporters see.
///
/// A [`Stage`](trace::Stage) sees each finished span once, before all exporters, on a thread of its own. It edits the span, drops it, or
/// holds it until a later verdict:
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::trace::{Status, TraceId};
/// use telemark::export::Traces;
/// use telemark::opentelemetry;
/// use telemark::trace::{Held, SpanData, Stage, Verdict};
///
/// /// Redacts card numbers, drops health checks, and keeps only traces whose root is an error.
/// #[derive(Default)]
/// struct Sift(HashMap<TraceId, (Vec<Held<Traces>>, Option<bool>)>);
///
/// impl Stage<Traces> for Sift {
///     fn process(&mut self, span: &mut SpanData) -> Verdict {
///         span.own_attributes.retain(|attribute| attribute.key.as_str() != "card.number");
///         if span.name == "GET /health" { Verdict::Drop } else { Verdict::Hold }
///     }
///
///     fn hold(&mut self, span: Held<Traces>) {
///         let (held, verdict) = self.0.entry(span.trace_id()).or_default();
///         if span.parent_span_id == opentelemetry::trace::SpanId::INVALID {
///             *verdict = Some(matches!(span.status, Status::Error { .. }));
///         }
///         held.push(span);
///     }
///
///     // A real stage also bounds the time for which it holds a trace without a root.
///     fn release(&mut self, ends: bool, pass_on: &mut dyn FnMut(Held<Traces>)) {
///         let decided = self.0.iter().filter(|(_, (_, verdict))| ends || verdict.is_some());
///         for trace_id in decided.map(|(id, _)| *id).collect::<Vec<_>>() {
///             let (held, verdict) = self.0.remove(&trace_id).unwrap_or_default();
///             // Held spans that are not passed on are dropped and counted.
///             held.into_iter().filter(|_| verdict != Some(false)).for_each(&mut *pass_on);
///         }
///     }
/// }
///
/// let builder = telemark::builder().with_span_stage(Sift::default());
/// # drop(builder);
/// ```
///
/// `with_log_stage` does the same for log records. Neither sees the log lines that a program writes to standard output.
pub mod trace {
    pub use telemark_sdk::baggage_attributes::BaggageAttributes;
    pub use telemark_sdk::batch::{BatchConfig, BatchProcessor, Held, SimpleProcessor, Stage, Verdict};
    pub use telemark_sdk::id::{IdGenerator, RandomIds};
    pub use telemark_sdk::limits::{AttributeLimits, SpanLimits};
    pub use telemark_sdk::stages::limits::{ItemLimits, LimitsHealth};
    pub use telemark_sdk::trace::active::ActiveTracer;
    pub use telemark_sdk::trace::{
        Attention, Events, ExceptionSignal, Links, SdkSpan, SdkTracer, SdkTracerProvider, SpanChunk, SpanData,
        SpanEvent, SpanProcessor, SpanRecord, SpanView, TracerConfig, TracerProviderBuilder,
    };
}

#[doc(inline)]
pub use telemark_sdk::sampling;

/// Tail sampling in the process: which traces are exported once they have ended.
///
/// ```
/// use telemark::tail_sampling::{Policy, TailSampling};
///
/// // All errors, the slowest hundredth of each route, and one of twenty others.
/// let tail = TailSampling::new()
///     .keep(Policy::errors())
///     .keep(Policy::slowest(0.99))
///     .keep(Policy::probability(0.05).named("rest"));
/// let builder = telemark::builder().with_tail_sampling(tail);
/// # drop(builder);
/// ```
///
/// A file has the same under `distribution.telemark.tail_sampling`. [The module of the SDK](telemark_sdk::stages::tail) describes what is
/// decided when, what happens to the sampler, and the weights of kept traces.
pub mod tail_sampling {
    pub use telemark_sdk::stages::tail::{Budget, HeldTrace, Policy, TailSampling};
}

/// Metrics configured in code: views, readers and exemplars for [`builder()`], and the data that exporters see.
pub mod metrics {
    pub use telemark_sdk::metrics::{
        Aggregation, Buckets, CallbackHandle, DEFAULT_BOUNDARIES, DEFAULT_CARDINALITY_LIMIT, Exemplar, ExemplarFilter,
        Exemplars, ExponentialHistogramPoint, HistogramPoint, INSTRUMENT_LIMIT, InstrumentKind, MeterConfig,
        MeterProviderBuilder, Metric, MetricData, MetricProducer, MetricReader, Number, NumberPoint, Observable,
        ObservableBuilder, Observer, PeriodicConfig, PeriodicReader, PullReader, ReaderConfig, ScopeMetrics, SdkMeter,
        SdkMeterProvider, Temporality, TemporalityPreference, View,
    };
}

/// What the resource consists of, and detectors for [`builder()`], by the names in `OTEL_RUST_RESOURCE_DETECTORS`.
///
/// ```
/// use telemark::Resource;
/// use telemark::config::Env;
/// use telemark::opentelemetry::KeyValue;
/// use telemark::resource::Detector;
///
/// let rack = Detector::new("rack", |env, _| Resource::new(env.string("RACK").map(|rack| KeyValue::new("example.rack", rack))));
/// let builder = telemark::builder().with_resource_detector(rack);
/// # let env = Env::from_pairs([("OTEL_RUST_RESOURCE_DETECTORS", "service,rack"), ("RACK", "7"), ("OTEL_SDK_DISABLED", "true")]);
/// # let telemetry = builder.with_env(env).build()?;
/// # assert_eq!(telemetry.tracer_provider().resource().get("example.rack").unwrap().as_str(), "7");
/// # Ok::<(), telemark::ConfigError>(())
/// ```
pub mod resource {
    pub use telemark_sdk::resource::{DETECTION_TIMEOUT, DETECTORS, Detector};
}

/// Deadlines and custom clocks.
pub mod time {
    pub use telemark_sdk::time::{Clock, Deadline, TimeSource, Timestamp};
}

/// Exporters that print trace trees, metrics and log records to the terminal.
#[cfg(feature = "console")]
pub mod console {
    pub use telemark_console::{Color, ConsoleLogExporter, ConsoleMetricExporter, ConsoleTraceExporter};
}

/// OTLP exporters configured in code.
#[cfg(feature = "otlp")]
pub mod otlp {
    pub use telemark_otlp::{
        Compression, Encode, JsonLinesExporter, OtlpBuilder, OtlpExporter, Pem, Protocol, RetryConfig,
    };
}
