//! The exporters that `OTEL_TRACES_EXPORTER`, `OTEL_LOGS_EXPORTER` and `OTEL_METRICS_EXPORTER` may name, one per row.

#[cfg(any(feature = "console", feature = "viewer"))]
use std::time::Duration;

#[cfg(feature = "viewer")]
use telemark_sdk::batch::BatchConfig;
#[cfg(any(feature = "console", feature = "viewer"))]
use telemark_sdk::config::Env;
use telemark_sdk::install::{Components, Factory};
#[cfg(any(feature = "console", feature = "viewer"))]
use telemark_sdk::metrics::PeriodicConfig;
#[cfg(any(feature = "otlp", feature = "console", feature = "viewer"))]
use telemark_sdk::metrics::ReaderConfig;
use telemark_sdk::signal::{Logs, Metrics, Traces};

pub(crate) static COMPONENTS: Components = Components::NONE
    .with_span_exporters(SPAN_EXPORTERS)
    .with_log_exporters(LOG_EXPORTERS)
    .with_metric_exporters(METRIC_EXPORTERS)
    .with_termination_handler(cfg!(feature = "termination"));

/// Expands to the factory if the feature of the same name is enabled, and otherwise to an error that names the feature.
macro_rules! row {
    ($name:literal, $make:expr) => {{
        #[cfg(feature = $name)]
        {
            use telemark_sdk::install::Pipeline;
            Factory::new($name, $make)
        }
        #[cfg(not(feature = $name))]
        {
            Factory::missing($name, concat!("enable the feature `", $name, "` of telemark"))
        }
    }};
}

const SPAN_EXPORTERS: &[Factory<Traces>] = &[
    row!("otlp", |node| Ok(Pipeline::new(telemark_otlp::OtlpExporter::<Traces>::from_env(node.env())?))),
    row!("console", |node| Ok(Pipeline::new(telemark_console::ConsoleTraceExporter::from_env(node.env())))),
    row!("viewer", |node| {
        let viewer = telemark_viewer::InProcess::shared(node.env())?;
        let pipeline = Pipeline::<Traces>::batched(viewer.span_exporter(), soon(node.env()));
        let running = viewer.clone();
        Ok(pipeline.with_processor(move |resource| running.running_spans(resource)).with_server(viewer))
    }),
];

const LOG_EXPORTERS: &[Factory<Logs>] = &[
    row!("otlp", |node| Ok(Pipeline::new(telemark_otlp::OtlpExporter::<Logs>::from_env(node.env())?))),
    row!("console", |node| Ok(Pipeline::new(telemark_console::ConsoleLogExporter::from_env(node.env())))),
    row!("viewer", |node| {
        let viewer = telemark_viewer::InProcess::shared(node.env())?;
        Ok(Pipeline::new(viewer.log_exporter()).with_server(viewer))
    }),
];

const METRIC_EXPORTERS: &[Factory<Metrics>] = &[
    row!("otlp", |node| {
        let exporter = telemark_otlp::OtlpExporter::<Metrics>::from_env(node.env())?;
        let config = preferred(&exporter);
        Ok(Pipeline::periodic(exporter, config, std::convert::identity))
    }),
    row!("console", |node| {
        let exporter = telemark_console::ConsoleMetricExporter::from_env(node.env());
        // spec: metrics/sdk_exporters/stdout.md — the console exports every 10 s by default.
        let periods = periods_or(node.env(), Duration::from_secs(10));
        Ok(Pipeline::periodic(exporter, ReaderConfig::new(), periods))
    }),
    row!("prometheus", |node| {
        let prometheus = telemark_prometheus::PrometheusExporter::new();
        let server = telemark_prometheus::Server::from_env(prometheus.clone(), node.env())?;
        Ok(Pipeline::reader(prometheus.reader()).with_server(server))
    }),
    row!("viewer", |node| {
        let viewer = telemark_viewer::InProcess::shared(node.env())?;
        let periods = periods_or(node.env(), Duration::from_secs(5));
        Ok(Pipeline::periodic(viewer.metric_exporter(), ReaderConfig::new(), periods).with_server(viewer))
    }),
];

/// Returns the config of a reader that follows the receiver's preferences.
#[cfg(feature = "otlp")]
fn preferred(exporter: &telemark_otlp::OtlpExporter<Metrics>) -> ReaderConfig {
    use telemark_sdk::metrics::{Aggregation, InstrumentKind};

    let histograms = exporter.default_histogram_aggregation();
    ReaderConfig::new().with_temporality(exporter.temporality_preference()).with_aggregation(move |kind| match kind {
        InstrumentKind::Histogram => histograms.clone(),
        _ => Aggregation::Default,
    })
}

/// Returns a function that adjusts the periods of an exporter whose default is another interval. An interval from code or the
/// environment remains.
#[cfg(any(feature = "console", feature = "viewer"))]
fn periods_or(env: &Env, interval: Duration) -> impl FnOnce(PeriodicConfig) -> PeriodicConfig + Send + use<> {
    let is_set = env.string("OTEL_METRIC_EXPORT_INTERVAL").is_some();
    move |periods| match is_set || periods.interval() != PeriodicConfig::default().interval() {
        true => periods,
        false => periods.with_interval(interval),
    }
}

/// Returns a function that adjusts the config of a batch processor whose spans are soon on a page. A delay from code or the environment
/// remains.
#[cfg(feature = "viewer")]
fn soon(env: &Env) -> impl FnOnce(BatchConfig) -> BatchConfig + Send + use<> {
    let is_set = env.string("OTEL_BSP_SCHEDULE_DELAY").is_some();
    move |config| match is_set || config.schedule_delay() != BatchConfig::SPANS.schedule_delay() {
        true => config,
        false => config.with_schedule_delay(Duration::from_millis(500)),
    }
}

#[cfg(all(test, feature = "otlp", feature = "viewer"))]
mod tests {
    use telemark_otlp::OtlpExporter;
    use telemark_sdk::testing::TestTelemetry;

    use super::*;

    fn check(variables: &[(&str, &str)], expected: &str) {
        let exporter = OtlpExporter::<Metrics>::from_env(&Env::from_pairs(variables.iter().copied())).unwrap();
        let telemetry = TestTelemetry::new().with_metrics(preferred(&exporter), |builder| builder);
        telemetry.meter("test").u64_counter("a").build().add(1, &[]);
        telemetry.meter("test").u64_histogram("b").build().record(1, &[]);
        assert_eq!(telemetry.metrics(), expected);
    }

    #[test]
    fn the_reader_reads_what_the_receiver_prefers() {
        let histogram = "histogram count=1 sum=1 min=1 max=1 <=5:1";
        check(&[], &format!("a sum 1\nb {histogram}\n"));
        check(
            &[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")],
            &format!("a delta sum 1\nb delta {histogram}\n"),
        );
        check(
            &[("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram")],
            "a sum 1\nb exponential count=1 sum=1 min=1 max=1 scale=20 +-1:1\n",
        );
    }

    #[test]
    fn an_exporter_shortens_only_times_that_nobody_has_set() {
        let millis = Duration::from_millis;
        let delay = |variables: &[(&str, &str)], config| soon(&Env::from_pairs(variables.iter().copied()))(config);
        let with = |delay| BatchConfig::SPANS.with_max_queue_size(7).with_schedule_delay(delay);
        assert_eq!(delay(&[], with(millis(5_000))), with(millis(500)));
        assert_eq!(delay(&[], with(millis(60_000))), with(millis(60_000)));
        assert_eq!(delay(&[("OTEL_BSP_SCHEDULE_DELAY", "5000")], with(millis(5_000))), with(millis(5_000)));

        let periods = |variables: &[(&str, &str)], config| {
            periods_or(&Env::from_pairs(variables.iter().copied()), millis(5_000))(config)
        };
        let with = |interval| PeriodicConfig::default().with_timeout(millis(7)).with_interval(interval);
        assert_eq!(periods(&[], with(millis(60_000))), with(millis(5_000)));
        assert_eq!(periods(&[], with(millis(30_000))), with(millis(30_000)));
        assert_eq!(periods(&[("OTEL_METRIC_EXPORT_INTERVAL", "60000")], with(millis(60_000))), with(millis(60_000)));
    }
}
