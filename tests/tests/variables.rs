//! The defaults in the variables table match the code: setting a variable to its stated default has no effect, and
//! setting it to another value does.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeSet;

use telemark::config::{Env, VARIABLES};
use telemark::console::ConsoleTraceExporter;
use telemark::otlp::OtlpExporter;
use telemark::prometheus::{PrometheusExporter, Server};
use telemark::propagation::Propagators;
use telemark::reqwest::ClientConfig;
use telemark::testing::{InMemoryExporter, metrics_text};
use telemark::time::Deadline;
use telemark::tonic::GrpcConfig;
use telemark::tower::ServerConfig;
use telemark::tracing::fmt::Format;
use telemark_kit::Enabled;
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::limits::{LogRecordLimits, SpanLimits};
use telemark_sdk::logs::LogVolume;
use telemark_sdk::metrics::{ExemplarFilter, PeriodicConfig, PullReader};
use telemark_sdk::resource::Resource;
use telemark_sdk::sampling;
use telemark_sdk::signal::{Metrics, Traces};
use telemark_sdk::span_filter::SpanFilter;

/// Returns the effect of a variable as text.
type Read = fn(&Env) -> String;

/// A variable with a default: its name, a function that reads its effect, other variables that it depends on, and a value
/// that is not the default.
type Row = (&'static str, Read, &'static [(&'static str, &'static str)], &'static str);

const READERS: &[Row] = &[
    ("OTEL_SDK_DISABLED", is_enabled, &[], "true"),
    ("OTEL_SERVICE_NAME", service_name, &[], "shop"),
    ("OTEL_PROPAGATORS", |env| format!("{:?}", Propagators::from_env(env)), &[], "b3"),
    ("OTEL_RUST_RESOURCE_DETECTORS", detected, &[], "none"),
    ("OTEL_TRACES_EXPORTER", span_exporter, &[], "console"),
    ("OTEL_TRACES_SAMPLER", sampler, &[], "always_on"),
    ("OTEL_TRACES_SAMPLER_ARG", sampler, &[("OTEL_TRACES_SAMPLER", "traceidratio")], "0.5"),
    ("OTEL_BSP_SCHEDULE_DELAY", batch, &[], "1"),
    ("OTEL_BSP_EXPORT_TIMEOUT", batch, &[], "1"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", batch, &[], "5000"),
    ("OTEL_RUST_BSP_MAX_QUEUE_BYTES", batch, &[], "5000"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", batch, &[], "1"),
    ("OTEL_LOGS_EXPORTER", log_exporters, &[], "none"),
    ("OTEL_BLRP_SCHEDULE_DELAY", log_batch, &[], "1"),
    ("OTEL_BLRP_EXPORT_TIMEOUT", log_batch, &[], "1"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", log_batch, &[], "5000"),
    ("OTEL_RUST_BLRP_MAX_QUEUE_BYTES", log_batch, &[], "5000"),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", log_batch, &[], "1"),
    ("OTEL_METRICS_EXPORTER", metric_exporters, &[], "none"),
    ("OTEL_METRIC_EXPORT_INTERVAL", periods, &[], "1"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", periods, &[], "1"),
    ("OTEL_METRICS_EXEMPLAR_FILTER", |env| format!("{:?}", ExemplarFilter::from_env(env)), &[], "always_on"),
    ("OTEL_RUST_SPANS", |env| SpanFilter::from_env(env).unwrap_or_default().to_string(), &[], "warn"),
    ("OTEL_RUST_LOGS_SAMPLED_TRACES_ONLY", |env| format!("{:?}", LogVolume::from_env(env)), &[], "true"),
    ("OTEL_RUST_SELF_METRICS", self_metrics, &[], "true"),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", limits, &[], "1"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", limits, &[], "1"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", limits, &[], "1"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", limits, &[], "1"),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", limits, &[], "1"),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", limits, &[], "1"),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", log_limits, &[], "1"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp, &[], "http://localhost:1"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", otlp, &[], "http/json"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", otlp, &[], "gzip"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", otlp, &[], "1"),
    (
        "OTEL_EXPORTER_OTLP_INSECURE",
        otlp,
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        "true",
    ),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", otlp_metrics, &[], "delta"),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        otlp_metrics,
        &[],
        "base2_exponential_bucket_histogram",
    ),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", prometheus, &[], "256.256.256.256"),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", prometheus, &[], "1"),
    ("OTEL_RUST_VIEWER_MAX_MEMORY", |env| format!("{:?}", telemark_viewer::Settings::from_env(env)), &[], "1MiB"),
    ("OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS", http_server, &[], "true"),
    ("OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE", http_server, &[], "true"),
    ("OTEL_RUST_HTTP_SERVER_ADDRESS_IN_METRICS", http_server, &[], "true"),
    ("OTEL_RUST_HTTP_SERVER_METRICS", http_server, &[], "none"),
    ("OTEL_RUST_HTTP_SERVER_GUESSED_ROUTES", http_server, &[], "true"),
    ("OTEL_RUST_INSTRUMENTATION_COMMON_DEFAULT_ENABLED", enabled, &[], "false"),
    ("OTEL_RUST_GRPC_SERVER_METRICS", grpc_server, &[], "none"),
    ("OTEL_RUST_GRPC_SERVER_ADDRESS_IN_METRICS", grpc_server, &[], "true"),
    ("OTEL_RUST_GRPC_CLIENT_METRICS", grpc_client, &[], "none"),
    ("OTEL_RUST_DB_CLIENT_QUERY_TEXT", db_client, &[], "none"),
    ("OTEL_RUST_DB_CLIENT_METRICS", db_client, &[], "none"),
    ("OTEL_RUST_DB_CLIENT_ERROR_MESSAGES", db_client, &[], "true"),
    ("OTEL_RUST_DB_CLIENT_SQLCOMMENTER", db_client, &[], "true"),
    ("OTEL_RUST_HTTP_CLIENT_METRICS", http_client, &[], "none"),
    ("OTEL_RUST_HTTP_CLIENT_CONNECTION_PHASES", http_client, &[], "true"),
    ("OTEL_RUST_LOG_FORMAT", |env| format!("{:?}", Format::from_env(env)), &[], "text"),
    ("RUST_LOG", |env| telemark::tracing::fmt::filter(env).to_string(), &[], "warn"),
    ("COLUMNS", |env| format!("{:?}", ConsoleTraceExporter::from_env(env)), &[], "40"),
];

/// Variables whose defaults are tested elsewhere.
const ELSEWHERE: &[&str] = &[
    // `sdk/src/diag/message.rs`: the level is global to the process.
    "OTEL_LOG_LEVEL",
    // `sdk/tests/panics.rs`: the hook is global to the process.
    "OTEL_RUST_PANICS",
    // `tests/tests/config_file.rs`: the effect is a text on standard error.
    "OTEL_RUST_CONFIG_PRINT",
    // `tests/tests/termination.rs`: the effect shows only when a program ends.
    "OTEL_RUST_TERMINATION_HANDLER_DISABLED",
    // `integrations/http/src/methods.rs`: the default cannot be written as a list.
    "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
];

fn db_client(env: &Env) -> String {
    format!("{:?}", telemark::sqlx::ClientConfig::from_env_fn(|name| env.string(name)))
}

fn is_enabled(env: &Env) -> String {
    let telemetry = started(env, |builder| builder.with_span_exporter(InMemoryExporter::<Traces>::new()));
    telemetry.tracer("test").enabled().to_string()
}

fn self_metrics(env: &Env) -> String {
    let reader = PullReader::default();
    let exporter = InMemoryExporter::<Traces>::new();
    let _telemetry = started(env, |builder| builder.with_span_exporter(exporter).with_metric_reader(reader.clone()));
    let metrics = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    metrics.contains("otel.sdk").to_string()
}

/// Starts the SDK with `env`.
fn started(env: &Env, configure: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> Telemetry {
    let pairs = VARIABLES.iter().filter_map(|variable| Some((variable.name, env.string(variable.name)?)));
    configure(Telemetry::builder(Env::from_pairs(pairs))).build().unwrap()
}

fn service_name(env: &Env) -> String {
    Resource::from_env(env).get("service.name").unwrap().to_string()
}

/// Returns the keys of the resource's attributes.
fn detected(env: &Env) -> String {
    Resource::from_env(env).iter().map(|attribute| format!("{} ", attribute.key)).collect()
}

fn sampler(env: &Env) -> String {
    sampling::from_env(env).description().into_owned()
}

fn batch(env: &Env) -> String {
    format!("{:?}", BatchConfig::spans_from_env(env))
}

fn log_batch(env: &Env) -> String {
    format!("{:?}", BatchConfig::logs_from_env(env))
}

fn log_limits(env: &Env) -> String {
    format!("{:?}", LogRecordLimits::from_env(env))
}

/// Returns the number of exporters. `src/init.rs` tests which ones they are.
fn log_exporters(env: &Env) -> String {
    built(env, &[("OTEL_TRACES_EXPORTER", "none")], None).health().logs.len().to_string()
}

fn periods(env: &Env) -> String {
    format!("{:?}", PeriodicConfig::from_env(env))
}

fn limits(env: &Env) -> String {
    format!("{:?}", SpanLimits::from_env(env))
}

fn otlp(env: &Env) -> String {
    match OtlpExporter::<Traces>::from_env(env) {
        // Excludes the name of the setting that provided the endpoint.
        Ok(exporter) => {
            let text = format!("{exporter:?}");
            text.split(", ").filter(|part| !part.starts_with("endpoint_setting:")).collect()
        }
        // The feature `tls` is off.
        Err(error) => error.to_string(),
    }
}

fn otlp_metrics(env: &Env) -> String {
    let exporter = OtlpExporter::<Metrics>::from_env(env).unwrap();
    format!("{:?} {:?}", exporter.temporality_preference(), exporter.default_histogram_aggregation())
}

/// Starts the facade with `env` and additional variables.
fn built(env: &Env, more: &[(&str, &str)], reader: Option<PullReader>) -> Telemetry {
    let pairs = VARIABLES.iter().filter_map(|variable| Some((variable.name, env.string(variable.name)?)));
    let env = Env::from_pairs(pairs.chain(more.iter().map(|(name, value)| (*name, (*value).to_owned()))));
    let builder = telemark::builder().with_env(env);
    let builder = match reader {
        Some(reader) => builder.with_metric_reader(reader),
        None => builder,
    };
    builder.build().unwrap()
}

/// Returns the component types of the exporters in the SDK's own metrics.
fn span_exporter(env: &Env) -> String {
    let reader = PullReader::default();
    let _telemetry = built(env, &[("OTEL_RUST_SELF_METRICS", "true")], Some(reader.clone()));
    let metrics = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    let types = metrics.split("otel.component.type=").skip(1).map(|rest| rest.split([',', '}']).next().unwrap());
    types.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
}

/// Returns the number of exporters. `src/init.rs` tests which ones they are.
fn metric_exporters(env: &Env) -> String {
    built(env, &[("OTEL_TRACES_EXPORTER", "none")], None).health().metrics.len().to_string()
}

/// Returns the address that the server listens on, or would listen on if the port were free.
fn prometheus(env: &Env) -> String {
    match Server::from_env(PrometheusExporter::new(), env) {
        Ok(server) if server.address().ip().is_loopback() => format!("localhost:{}", server.address().port()),
        Ok(server) => server.address().to_string(),
        // The host is valid, so the port is in use by another test or by the previous server.
        Err(error) if error.setting() == "OTEL_EXPORTER_PROMETHEUS_PORT" => {
            format!("localhost:{}", error.to_string().split('"').nth(1).unwrap())
        }
        Err(error) => error.to_string(),
    }
}

fn enabled(env: &Env) -> String {
    format!("{:?}", Enabled::read("axum", |name| env.string(name)))
}

fn grpc_server(env: &Env) -> String {
    format!("{:?}", GrpcConfig::server_from_env_fn(|name| env.string(name)))
}

fn grpc_client(env: &Env) -> String {
    format!("{:?}", GrpcConfig::client_from_env_fn(|name| env.string(name)))
}

fn http_client(env: &Env) -> String {
    format!("{:?}", ClientConfig::from_env_fn(|name| env.string(name)))
}

fn http_server(env: &Env) -> String {
    format!("{:?}", ServerConfig::from_env_fn(|name| env.string(name)))
}

/// Returns the value to set for a stated default. If several defaults are stated, the first one applies when nothing else
/// is set.
fn as_it_is_set(default: &str) -> String {
    let executable = std::env::current_exe().unwrap();
    let executable = executable.file_name().unwrap().to_string_lossy();
    let default = default.replace("<executable>", &executable);
    default.split(", ").next().unwrap().to_owned()
}

#[test]
fn the_stated_defaults_are_those_of_the_code() {
    for (name, read, others, other_value) in READERS {
        let variable = VARIABLES.iter().find(|variable| variable.name == *name).unwrap();
        let with = |value: Option<&str>| {
            let env = Env::from_pairs(others.iter().copied().chain(value.map(|value| (*name, value))));
            let text = read(&env);
            let warnings: Vec<_> = env.take_warnings().iter().map(ToString::to_string).collect();
            assert_eq!(warnings, [""; 0], "{name}={value:?}");
            text
        };
        let unset = with(None);
        assert_eq!(with(Some(&as_it_is_set(variable.default))), unset, "the default of {name} is another one");
        assert!(!unset.is_empty(), "{name}");
        assert_ne!(with(Some(other_value)), unset, "{name} is not read");
    }
}

#[test]
fn no_default_is_left_out() {
    let stated: BTreeSet<_> = VARIABLES.iter().filter(|v| !v.default.is_empty()).map(|v| v.name).collect();
    let tested: BTreeSet<_> = READERS.iter().map(|(name, ..)| *name).chain(ELSEWHERE.iter().copied()).collect();
    let differ: Vec<_> = stated.symmetric_difference(&tested).collect();
    assert!(differ.is_empty(), "only in the table of variables or only in this file: {differ:?}");
}
