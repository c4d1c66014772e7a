//! A layer for `tracing-subscriber`: spans of the `tracing` crate become Telemark spans, events become log records, and fields of
//! events become measurements.
//!
//! Most programs use it as `telemark::tracing`, with the feature `tracing` of the facade. It records into the telemetry that
//! `telemark::init()` installs, or into that of a test.
//!
//! ```
//! use tracing_subscriber::prelude::*;
//!
//! let subscriber = tracing_subscriber::registry()
//!     .with(tracing_subscriber::fmt::layer().with_filter(tracing_subscriber::EnvFilter::from_default_env()))
//!     .with(telemark_tracing::layer());
//! tracing::subscriber::with_default(subscriber, || {
//!     tracing::info_span!("import", import.rows = 3).in_scope(|| tracing::info!("imported"));
//! });
//! ```
//!
//! # How to
//! - **keep spans when `RUST_LOG` hides lines**: filter the layer that writes lines, as above. An `EnvFilter` that is a layer of its
//!   own removes spans for all layers.
//! - **choose the spans**: set `OTEL_RUST_SPANS`, as in `OTEL_RUST_SPANS=info,shop::cart=debug`, or replace the filter at any time
//!   with [`span_filter::set`](telemark_sdk::span_filter::set). By default, spans and events at `info` and above are kept, and those
//!   of `tower_http`, `sqlx::query` and `telemark` at `debug`.
//! - **choose the log records**: set `OTEL_RUST_LOGS`, or replace the filter with
//!   [`span_filter::records::set`](telemark_sdk::span_filter::records::set). Without it, the filter of spans applies. Events of
//!   `sqlx::query`, whose text contains values, become records only if this filter names them.
//! - **make spans of events**: call [`LayerBuilder::with_event_handler`] for a library that reports finished work as events. The
//!   facade does so for the statements of sqlx.
//! - **carry the context**: a library that passes on only the `tracing` span, to its threads for instance, passes on the current
//!   context in a span named `telemark.context`, which is not recorded.
//! - **name a span, set its kind or status**: use the fields `otel.name`, `otel.kind` (`server`, `client`, ..), `otel.status_code`
//!   (`ok`, `error`) and `otel.status_description`, at creation or with [`Span::record`](tracing::Span::record).
//! - **continue a trace**: call [`OpenTelemetrySpanExt::set_parent`], before or after entering the span.
//! - **link to a span**: call [`Span::follows_from`](tracing::Span::follows_from) or [`OpenTelemetrySpanExt::add_link`].
//! - **record span events, threads, or busy and idle times**: use the [`builder`].
//! - **receive the records of the `log` crate**: call [`install_log_tracer`] once the subscriber has been set.
//! - **measure**: add [`metrics_layer`].
//! - **nest**: `#[traced]` functions, HTTP layers, the OpenTelemetry API and `tracing` spans are parents and children of each other.
//!
//! # What a span records
//! The scope is the target. A span has its fields, `code.file.path` and `code.line.number`; integers up to 64 bits with sign stay
//! integers, larger ones become text. A field that is an error adds an `exception` event, or writes a log record if
//! `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN` is `logs`. The span ends when it is left for the last time or, if it is never entered, when
//! it is closed.
//!
//! # Limits
//! A span does not show that the code in it panicked, or that its future was dropped: `tracing` does not tell its subscriber. Spans of
//! `#[traced]` and of Telemark's other layers show both. `#[instrument(err)]` passes the message of the error on without its causes.
//!
//! A filtered layer cannot be replaced inside [`reload::Layer`](tracing_subscriber::reload::Layer), a limit of `tracing-subscriber`;
//! change it with [`LayerBuilder::reconfigure`], or replace the filter. The layer may be behind `reload`, boxed, optional or in a list.

mod data;
mod events;
mod fields;
mod filter;
mod layer;
mod log_crate;
mod metrics;
mod options;
mod sites;
mod span_ext;
mod stack;

pub use filter::BridgeFilter;
pub use layer::Bridge;
pub use log_crate::install_log_tracer;
pub use metrics::{MetricsBridge, MetricsFilter, MetricsLayer, metrics_layer};
pub use options::{LayerBuilder, TelemarkLayer, builder, layer};
pub use span_ext::{OpenTelemetrySpanExt, SetParentError, span_context};
