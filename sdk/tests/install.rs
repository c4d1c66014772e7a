//! Builds a telemetry from its registry: finds exporters by name, keeps their companion objects, and runs code on
//! installation.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use opentelemetry::trace::Tracer;
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::config::Env;
use telemark_sdk::install::{Components, Factory, Pipeline, Telemetry, TelemetryBuilder};
use telemark_sdk::metrics::{PeriodicConfig, PullReader, ReaderConfig};
use telemark_sdk::signal::{Metrics, Traces};
use telemark_sdk::testing::InMemoryExporter;

static SPANS: LazyLock<InMemoryExporter<Traces>> = LazyLock::new(InMemoryExporter::new);
static MADE: AtomicUsize = AtomicUsize::new(0);
static SERVERS: AtomicUsize = AtomicUsize::new(0);

static COMPONENTS: Components = Components::NONE
    .with_span_exporters(&[
        Factory::new("memory", |_| Ok(Pipeline::new(SPANS.clone()))),
        Factory::new("counted", |node| {
            MADE.fetch_add(1, Ordering::Relaxed);
            assert_eq!(node.env().string("OTEL_SERVICE_NAME").as_deref(), Some("shop"));
            Ok(Pipeline::new(InMemoryExporter::<Traces>::new()))
        }),
    ])
    .with_metric_exporters(&[Factory::new("page", |_| {
        SERVERS.fetch_add(1, Ordering::Relaxed);
        Ok(Pipeline::<Metrics>::reader(PullReader::default()).with_server(Server))
    })]);

struct Server;

impl Drop for Server {
    fn drop(&mut self) {
        SERVERS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn with(variables: &[(&str, &str)]) -> TelemetryBuilder {
    Telemetry::builder(Env::from_pairs(variables.iter().copied())).with_components(&COMPONENTS)
}

#[test]
fn a_variable_names_what_is_registered_and_a_flush_takes_a_duration() {
    let telemetry = with(&[("OTEL_TRACES_EXPORTER", "memory"), ("OTEL_SERVICE_NAME", "shop")]).build().unwrap();
    telemetry.tracer("test").in_span("named", |_| ());
    telemetry.flush(Duration::from_secs(60)).unwrap();
    assert_eq!(SPANS.items()[0].name, "named");
    assert_eq!(SPANS.resource().unwrap().get("service.name").unwrap().as_str(), "shop");
    let health = telemetry.handle().health();
    assert_eq!((health.traces.len(), health.metrics.len()), (1, 0));
    assert_eq!(health.traces[0].exported, 1);
}

#[test]
fn a_disabled_sdk_makes_no_exporter() {
    let variables = [("OTEL_TRACES_EXPORTER", "counted"), ("OTEL_SERVICE_NAME", "shop"), ("OTEL_SDK_DISABLED", "true")];
    assert!(with(&variables).build().unwrap().health().traces.is_empty());
    assert_eq!(MADE.load(Ordering::Relaxed), 0);
    assert_eq!(with(&variables[..2]).build().unwrap().health().traces.len(), 1);
    assert_eq!(MADE.load(Ordering::Relaxed), 1);
}

#[test]
fn a_server_lives_as_long_as_its_telemetry() {
    let telemetry = with(&[("OTEL_METRICS_EXPORTER", "page")]).build().unwrap();
    let handle = telemetry.handle();
    assert_eq!(SERVERS.load(Ordering::Relaxed), 1);
    drop(telemetry);
    assert_eq!(SERVERS.load(Ordering::Relaxed), 0, "a handle keeps no server");
    drop(handle);
}

#[test]
fn instrumentation_starts_once_the_telemetry_is_the_programs_and_may_panic() {
    let calls = Arc::new(AtomicUsize::new(0));
    let builder = || {
        let calls = calls.clone();
        with(&[])
            .with_metric_reader(PullReader::default())
            .with_instrumentation(|_| panic!("not today"))
            .with_instrumentation(move |telemetry| {
                telemetry.meter("test").u64_counter("starts").build().add(1, &[]);
                calls.fetch_add(1, Ordering::Relaxed);
            })
    };
    drop(builder().build().unwrap());
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let telemetry = builder().init().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    builder().init().unwrap_err();
    assert_eq!(calls.load(Ordering::Relaxed), 1, "the first one stays");
    drop(telemetry);
}

#[test]
fn a_pipeline_adjusts_what_the_program_has_set() {
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let spans = || {
        Factory::new("adjusted", |_| {
            Ok(Pipeline::batched(InMemoryExporter::<Traces>::new(), |config| {
                SEEN.lock().unwrap().push(format!("{} spans", config.max_queue_size()));
                config
            }))
        })
    };
    let metrics = || {
        Factory::new("adjusted", |_| {
            Ok(Pipeline::periodic(InMemoryExporter::<Metrics>::new(), ReaderConfig::new(), |periods| {
                SEEN.lock().unwrap().push(format!("every {:?}", periods.interval()));
                periods
            }))
        })
    };
    let build = |more: &[(&str, &str)], in_code: bool| {
        let mut variables = vec![("OTEL_TRACES_EXPORTER", "adjusted"), ("OTEL_METRICS_EXPORTER", "adjusted")];
        variables.extend(more);
        let mut builder = with(&variables).with_span_exporter_factory(spans()).with_metric_exporter_factory(metrics());
        if in_code {
            let periods = PeriodicConfig::default().with_interval(Duration::from_secs(7));
            builder = builder.with_span_batch(BatchConfig::SPANS.with_max_queue_size(7)).with_metric_periods(periods);
        }
        drop(builder.build().unwrap());
        std::mem::take(&mut *SEEN.lock().unwrap())
    };
    assert_eq!(build(&[], false), ["2048 spans", "every 60s"]);
    let variables = [("OTEL_BSP_MAX_QUEUE_SIZE", "9"), ("OTEL_METRIC_EXPORT_INTERVAL", "9000")];
    assert_eq!(build(&variables, false), ["9 spans", "every 9s"]);
    assert_eq!(build(&variables, true), ["7 spans", "every 7s"]);
}
