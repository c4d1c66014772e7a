//! Telemark for programs that use the `tracing` crate: layers for `tracing-subscriber`. This module is not that crate: a program
//! depends on `tracing` as well, for its macros.
//!
//! With the features `tracing` and `tracing-fmt`, one line installs everything: spans of `tracing` become real spans, events
//! become log records, and log lines on standard output carry the ids of their span.
//!
//! ```no_run
//! let _telemetry = telemark::builder().with_instrumentation(telemark::tracing::install).init()?;
//! tracing::info!("started");
//! # Ok::<(), telemark::ConfigError>(())
//! ```
//!
//! A program that builds its own subscriber adds the layers to it, here with lines in JSON that `RUST_LOG` filters:
//!
//! ```
//! use tracing_subscriber::prelude::*;
//!
//! # fn main() -> Result<(), telemark::ConfigError> {
//! # let off = || telemark::config::Env::from_pairs([("OTEL_SDK_DISABLED", "true")]);
//! # let (_telemetry, env) = (telemark::builder().with_env(off()).init()?, off());
//! // let (_telemetry, env) = (telemark::init()?, telemark::config::Env::process());
//! # #[cfg(all(feature = "tracing", feature = "tracing-fmt"))]
//! tracing_subscriber::registry()
//!     .with(telemark::tracing::layer())
//!     .with(telemark::tracing::metrics_layer())
//!     .with(telemark::tracing::fmt::LineLayer::from_env(&env).with_filter(telemark::tracing::fmt::filter(&env)))
//!     .init();
//! tracing::info_span!("import", import.rows = 3).in_scope(|| tracing::info!("imported"));
//! # Ok(())
//! # }
//! ```
//!
//! # Statements of sqlx
//! sqlx emits an event for each statement, with the target `sqlx::query`. The layer turns it into a client span such as `SELECT users`,
//! which begins when the statement began, and into a measurement of `db.client.operation.duration`. No line of the program changes, and
//! libraries on top of sqlx, such as sea-orm, are included. What the event does not tell is missing:
//!
//! - **Errors.** A statement that fails, or whose rows are not read to the end, looks like one that succeeds.
//! - **The database.** `db.system.name` is `other_sql`, except on SQLite's own threads. `OTEL_RUST_DB_CLIENT_SYSTEM=postgresql` or
//!   [`sqlx_statements`] names it, which also selects the dialect in which the text is read.
//! - **Parameters.** The text is recorded without any literals, even beside parameters.
//! - **Some calls.** sqlx logs neither `BEGIN` of PostgreSQL, transactions of SQLite, rollbacks by drop, `COPY` and `prepare`, nor pools.
//! - **The parent, with SQLite.** Its statements are executed on a thread that knows only spans of `tracing`. Below a span of
//!   `#[traced]` or of an HTTP layer, they become traces of their own, and a sampler decides about each.
//!
//! The types of `telemark::sqlx` tell all of this, and their calls are not recorded a second time. The events become log
//! records only if `OTEL_RUST_LOGS` names exactly their target, because their text contains values, as in
//! `OTEL_RUST_LOGS=info,sqlx::query=debug`; `sqlx=debug` does not. `OTEL_RUST_SPANS=info,sqlx::query=off`, `disable_statement_logging()` of sqlx's connect
//! options, or `OTEL_RUST_INSTRUMENTATION_SQLX_ENABLED=false` turns the spans off.
//!
//! # Limits
//! A panic, or a future that is dropped before it completes, is marked on `#[traced]` spans and on those of Telemark's layers, such as
//! the HTTP layers. A span of `tracing` ends without a mark: that crate does not tell its subscriber.

#[cfg(feature = "tracing")]
use telemark_db::CurrentCall;
#[cfg(feature = "tracing")]
pub use telemark_db::{Database, System};
#[cfg(feature = "tracing")]
pub use telemark_tracing::{
    Bridge, BridgeFilter, LayerBuilder, MetricsBridge, MetricsFilter, MetricsLayer, OpenTelemetrySpanExt,
    SetParentError, TelemarkLayer, install_log_tracer, metrics_layer, span_context,
};

#[cfg(feature = "tracing")]
use crate::database::events;

/// Returns the layer with its default options.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let subscriber = tracing_subscriber::registry().with(telemark::tracing::layer());
/// # drop(subscriber);
/// ```
#[cfg(feature = "tracing")]
pub fn layer<S>() -> TelemarkLayer<S>
where
    S: ::tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    builder().build()
}

/// Returns a builder of the layer, which also turns the statements that sqlx logs into spans.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let layer = telemark::tracing::builder().with_threads(true).with_events_as_span_events(true).build();
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # drop(subscriber);
/// ```
#[cfg(feature = "tracing")]
pub fn builder() -> LayerBuilder {
    CurrentCall::expect_events();
    telemark_tracing::builder().with_event_handler(events::TARGET, |event| events::record(event, None))
}

/// Returns a handler of the events of `sqlx::query`, for programs that name their database in code. Statements of SQLite are
/// recognized by their thread.
///
/// ```
/// use telemark::tracing::{Database, System, builder, sqlx_statements};
/// use tracing_subscriber::prelude::*;
///
/// let shop = Database::new(System::PostgreSql).with_namespace("shop").with_server("db.example", Some(5432));
/// let layer = builder().with_event_handler("sqlx::query", sqlx_statements(shop)).build();
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # drop(subscriber);
/// ```
#[cfg(feature = "tracing")]
pub fn sqlx_statements(database: Database) -> impl Fn(&::tracing::Event<'_>) + Send + Sync + 'static {
    CurrentCall::expect_events();
    move |event| events::record(event, Some(&database))
}

/// Installs the program's subscriber: [`layer()`] for spans and log records, [`metrics_layer()`] for events that measure, and log
/// lines as [`fmt::install`] configures them. Records of the `log` crate are treated like events of `tracing`, unless the program has
/// set a logger.
///
/// There are three filters, all with the grammar of `RUST_LOG`: `RUST_LOG` for the lines, `OTEL_RUST_SPANS` for the spans, and
/// `OTEL_RUST_LOGS` for the log records, which follow `OTEL_RUST_SPANS` if it is not set.
///
/// If the program already has a global subscriber, keeps it, leaves the logger of the `log` crate alone, and logs a warning. If the
/// program calls `init` of another subscriber later, such as `registry().init()`, that call panics: build a subscriber of your own
/// *or* call this. The same holds for a logger that is set later, as by `env_logger::init()`.
///
/// What happens before the installation is not recorded.
#[cfg(all(feature = "tracing", feature = "tracing-fmt"))]
pub fn install(telemetry: &telemark_sdk::install::Telemetry) {
    use tracing_subscriber::Layer as _;

    install_with(telemetry, layer().and_then(metrics_layer()));
}

/// Does the same as [`install`], with `layer` in place of the layers for spans, log records and measurements. It sees all spans and
/// events, regardless of `RUST_LOG`.
///
/// ```no_run
/// use telemark::tracing::{builder, install_with};
///
/// let layer = builder().with_span_fields_on_records(["user.id"]).build();
/// let _telemetry = telemark::builder().with_instrumentation(|telemetry| install_with(telemetry, layer)).init()?;
/// # Ok::<(), telemark::ConfigError>(())
/// ```
#[cfg(all(feature = "tracing", feature = "tracing-fmt"))]
pub fn install_with(
    telemetry: &telemark_sdk::install::Telemetry,
    layer: impl tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync,
) {
    let lines = fmt::LineLayer::from_env(&telemark_sdk::config::Env::process());
    let lines = lines.with_resource(telemetry.tracer_provider().resource()).with_ids_of_spans(span_context);
    // Without this subscriber, the logger is the program's affair too.
    if fmt::install_lines(layer, lines) {
        install_log_tracer();
    }
}

/// Log lines that contain the current span's ids.
///
/// ```no_run
/// // JSON to standard output, with the resource of this telemetry. `RUST_LOG` filters, by default `info`.
/// let _telemetry = telemark::builder().with_instrumentation(telemark::tracing::fmt::install).init()?;
/// # Ok::<(), telemark::ConfigError>(())
/// ```
///
/// The ids are correct regardless of how the span was created: by `#[traced]`, an HTTP layer, the OpenTelemetry API, or a layer
/// that converts `tracing` spans to OpenTelemetry spans. A program that builds its own subscriber adds a
/// [`LineLayer`](fmt::LineLayer) to it:
///
/// ```
/// use telemark::tracing::fmt::{Format, LineLayer};
/// use tracing_subscriber::prelude::*;
///
/// let subscriber = tracing_subscriber::registry().with(LineLayer::new(Format::Ecs));
/// # drop(subscriber);
/// ```
#[cfg(feature = "tracing-fmt")]
pub mod fmt {
    pub use telemark_tracing_fmt::{
        Format, LineLayer, Standard, StandardStream, dropped_lines, filter, init, init_with, install, install_lines,
        install_with, subscriber, subscriber_with,
    };
}
