//! The exporters, propagators and resource detectors that variables and configuration files may name, one per row.

#[cfg(any(feature = "console", feature = "viewer"))]
use std::time::Duration;

#[cfg(feature = "otlp")]
use telemark_otlp::Protocol;
#[cfg(feature = "viewer")]
use telemark_sdk::batch::BatchConfig;
#[cfg(any(feature = "otlp", feature = "console", feature = "prometheus", feature = "viewer"))]
use telemark_sdk::install::Node;
use telemark_sdk::install::{Components, Factory, MakeRedactor, ReadFile};
#[cfg(any(feature = "console", feature = "viewer"))]
use telemark_sdk::metrics::PeriodicConfig;
#[cfg(any(feature = "otlp", feature = "console", feature = "viewer"))]
use telemark_sdk::metrics::ReaderConfig;
use telemark_sdk::propagation::PropagatorFactory;
use telemark_sdk::resource::Detector;
use telemark_sdk::signal::{Logs, Metrics, Traces};
#[cfg(any(feature = "otlp", feature = "prometheus"))]
use telemark_sdk::{ConfigError, config::Settings};

pub(crate) static COMPONENTS: Components = BASE
    .with_span_exporters(SPAN_EXPORTERS)
    .with_log_exporters(LOG_EXPORTERS)
    .with_metric_exporters(METRIC_EXPORTERS)
    .with_propagators(PROPAGATORS)
    .with_resource_detectors(DETECTORS)
    .with_config_files(CONFIG_FILES)
    .with_redaction(REDACTION)
    .with_termination_handler(cfg!(feature = "termination"));

#[cfg(feature = "http")]
const BASE: Components = LIVE.with_served_routes(crate::server::routes);
#[cfg(not(feature = "http"))]
const BASE: Components = LIVE;

#[cfg(any(feature = "http", feature = "sqlx", feature = "tracing"))]
const LIVE: Components = Components::NONE.with_live_settings(crate::config::LIVE_SETTINGS);
#[cfg(not(any(feature = "http", feature = "sqlx", feature = "tracing")))]
const LIVE: Components = Components::NONE;

#[cfg(feature = "config-file")]
const CONFIG_FILES: Result<ReadFile, &str> = Ok(telemark_config::read);
#[cfg(not(feature = "config-file"))]
const CONFIG_FILES: Result<ReadFile, &str> = Err("the feature `config-file` of telemark");

#[cfg(feature = "redaction")]
const REDACTION: Result<MakeRedactor, &str> = Ok(telemark_redaction::from_config);
#[cfg(not(feature = "redaction"))]
const REDACTION: Result<MakeRedactor, &str> = Err("the feature `redaction` of telemark");

/// Expands to the factory if the feature is enabled, and otherwise to an error that names the feature. Unless another name follows, the
/// component has the name of the feature.
macro_rules! row {
    ($feature:literal, $make:expr) => {
        row!($feature, $feature, $make)
    };
    ($feature:literal, $name:literal, $make:expr) => {{
        #[cfg(feature = $feature)]
        {
            use telemark_sdk::install::Pipeline;
            Factory::new($name, $make)
        }
        #[cfg(not(feature = $feature))]
        {
            Factory::missing($name, concat!("enable the feature `", $feature, "` of telemark"))
        }
    }};
}

const SPAN_EXPORTERS: &[Factory<Traces>] = &[
    row!("otlp", |node| Ok(Pipeline::new(telemark_otlp::OtlpExporter::<Traces>::from_env(node.env())?)))
        .only_for_variables(),
    row!("otlp", "otlp_http", |node| Ok(Pipeline::new(otlp::<Traces>(node, Protocol::HttpProtobuf)?))).only_for_files(),
    row!("grpc", "otlp_grpc", |node| Ok(Pipeline::new(otlp::<Traces>(node, Protocol::Grpc)?))).only_for_files(),
    row!("otlp", "otlp_file/development", |node| Ok(Pipeline::new(json_lines::<Traces>(node)?))).only_for_files(),
    row!("console", |node| Ok(Pipeline::new(telemark_console::ConsoleTraceExporter::from_env(node.env())))),
    row!("viewer", |node| {
        let viewer = telemark_viewer::InProcess::shared(node.env())?;
        let pipeline = Pipeline::<Traces>::batched(viewer.span_exporter(), soon(node));
        let running = viewer.clone();
        Ok(pipeline.with_processor(move |resource| running.running_spans(resource)).with_server(viewer))
    }),
];

const LOG_EXPORTERS: &[Factory<Logs>] = &[
    row!("otlp", |node| Ok(Pipeline::new(telemark_otlp::OtlpExporter::<Logs>::from_env(node.env())?)))
        .only_for_variables(),
    row!("otlp", "otlp_http", |node| Ok(Pipeline::new(otlp::<Logs>(node, Protocol::HttpProtobuf)?))).only_for_files(),
    row!("grpc", "otlp_grpc", |node| Ok(Pipeline::new(otlp::<Logs>(node, Protocol::Grpc)?))).only_for_files(),
    row!("otlp", "otlp_file/development", |node| Ok(Pipeline::new(json_lines::<Logs>(node)?))).only_for_files(),
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
    })
    .only_for_variables(),
    row!("otlp", "otlp_http", |node| {
        Ok(Pipeline::periodic(
            otlp::<Metrics>(node, Protocol::HttpProtobuf)?,
            reader_config(node),
            std::convert::identity,
        ))
    })
    .only_for_files(),
    row!("grpc", "otlp_grpc", |node| {
        Ok(Pipeline::periodic(otlp::<Metrics>(node, Protocol::Grpc)?, reader_config(node), std::convert::identity))
    })
    .only_for_files(),
    row!("otlp", "otlp_file/development", |node| {
        Ok(Pipeline::periodic(json_lines::<Metrics>(node)?, reader_config(node), std::convert::identity))
    })
    .only_for_files(),
    row!("console", |node| {
        let exporter = telemark_console::ConsoleMetricExporter::from_env(node.env());
        // spec: metrics/sdk_exporters/stdout.md — the console exports every 10 s by default.
        Ok(Pipeline::periodic(exporter, reader_config(node), periods_or(node, Duration::from_secs(10))))
    }),
    row!("prometheus", |node| {
        let prometheus = telemark_prometheus::PrometheusExporter::new();
        let server = telemark_prometheus::Server::from_env(prometheus.clone(), node.env())?;
        Ok(Pipeline::reader(prometheus.reader()).with_server(server))
    })
    .only_for_variables(),
    row!("prometheus", "prometheus/development", |node| {
        use telemark_prometheus::{PrometheusExporter, Renderer, Server};

        let settings = of_file(node)?;
        let builder = PrometheusExporter::builder().with_renderer(Renderer::new().with_settings(settings));
        let prometheus = builder.with_reader_config(node.reader_config()).build();
        let server = Server::from_settings(prometheus.clone(), settings)?;
        Ok(Pipeline::reader(prometheus.reader()).with_server(server))
    })
    .only_for_files(),
    row!("viewer", |node| {
        let viewer = telemark_viewer::InProcess::shared(node.env())?;
        let periods = periods_or(node, Duration::from_secs(5));
        Ok(Pipeline::periodic(viewer.metric_exporter(), reader_config(node), periods).with_server(viewer))
    }),
];

/// Expands to a detector if the feature is enabled, and otherwise to a row that names the feature.
macro_rules! detector {
    ($name:literal, $feature:literal, $detector:expr) => {{
        #[cfg(feature = $feature)]
        {
            $detector
        }
        #[cfg(not(feature = $feature))]
        {
            Detector::missing($name, concat!("enable the feature `", $feature, "` of telemark"))
        }
    }};
}

/// spec: resource/sdk.md#detecting-resource-information-from-the-environment — those of vendors must not be in the core.
const DETECTORS: &[Detector] = &[
    detector!("container", "container", telemark_container::DETECTORS[0]),
    detector!("kubernetes", "container", telemark_container::DETECTORS[1]),
    detector!("aws", "aws", telemark_aws::DETECTORS[0]),
    detector!("gcp", "gcp", telemark_gcp::DETECTORS[0]),
    detector!("azure", "azure", telemark_azure::DETECTORS[0]),
];

/// spec: context/api-propagators.md#propagators-distribution — X-Ray must not be in the core.
const PROPAGATORS: &[PropagatorFactory] = &[xray("xray", false), xray("xray-lambda", true)];

#[cfg(feature = "xray")]
const fn xray(name: &'static str, in_lambda: bool) -> PropagatorFactory {
    use telemark_sdk::config::Env;
    use telemark_xray::XRayPropagator;

    fn invocation() -> Option<String> {
        Env::process().string("_X_AMZN_TRACE_ID")
    }
    match in_lambda {
        false => PropagatorFactory::new(name, || Box::new(XRayPropagator::new())),
        true => PropagatorFactory::new(name, || Box::new(XRayPropagator::for_lambda(invocation))),
    }
}

#[cfg(not(feature = "xray"))]
const fn xray(name: &'static str, _: bool) -> PropagatorFactory {
    PropagatorFactory::missing(name, "enable the feature `xray` of telemark")
}

/// Returns the settings of a component that only a file can select.
#[cfg(any(feature = "otlp", feature = "prometheus"))]
fn of_file(node: Node<'_>) -> Result<Settings<'_>, ConfigError> {
    node.settings().ok_or_else(|| ConfigError::state("component", "needs the settings of a configuration file"))
}

#[cfg(feature = "otlp")]
fn otlp<S: telemark_otlp::Encode>(
    node: Node<'_>,
    protocol: Protocol,
) -> Result<telemark_otlp::OtlpExporter<S>, ConfigError> {
    telemark_otlp::OtlpExporter::from_settings(of_file(node)?, protocol, node.env())
}

#[cfg(feature = "otlp")]
fn json_lines<S: telemark_otlp::Encode>(node: Node<'_>) -> Result<telemark_otlp::JsonLinesExporter<S>, ConfigError> {
    telemark_otlp::JsonLinesExporter::from_settings(of_file(node)?)
}

/// Returns the config of the reader, with the preferences of its exporter in a configuration file.
#[cfg(any(feature = "otlp", feature = "console", feature = "viewer"))]
fn reader_config(node: Node<'_>) -> ReaderConfig {
    let config = node.reader_config();
    node.settings().map_or_else(|| config.clone(), |settings| config.clone().with_settings(settings))
}

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
/// environment remains, and so do those of a configuration file, which belong to the reader.
#[cfg(any(feature = "console", feature = "viewer"))]
fn periods_or(node: Node<'_>, interval: Duration) -> impl FnOnce(PeriodicConfig) -> PeriodicConfig + Send + use<> {
    let is_set = node.settings().is_some() || node.env().string("OTEL_METRIC_EXPORT_INTERVAL").is_some();
    move |periods| match is_set || periods.interval() != PeriodicConfig::default().interval() {
        true => periods,
        false => periods.with_interval(interval),
    }
}

/// Returns a function that adjusts the config of a batch processor whose spans are soon on a page. A delay from code or the environment
/// remains, and so does that of a configuration file.
#[cfg(feature = "viewer")]
fn soon(node: Node<'_>) -> impl FnOnce(BatchConfig) -> BatchConfig + Send + use<> {
    let is_set = node.settings().is_some() || node.env().string("OTEL_BSP_SCHEDULE_DELAY").is_some();
    move |config| match is_set || config.schedule_delay() != BatchConfig::SPANS.schedule_delay() {
        true => config,
        false => config.with_schedule_delay(Duration::from_millis(500)),
    }
}

#[cfg(test)]
mod names {
    use telemark_sdk::config::Env;
    use telemark_sdk::propagation::Propagators;
    use telemark_sdk::resource::Resource;

    use super::*;

    /// Compares the warnings that result from a variable with `expected`, which is empty if the feature is enabled.
    fn check(env: &Env, is_enabled: bool, expected: &str) {
        let warnings: Vec<_> = env.take_warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings.join("; "), if is_enabled { "" } else { expected });
    }

    #[test]
    fn a_propagator_whose_feature_is_off_names_the_feature() {
        for name in ["xray", "xray-lambda"] {
            let env = Env::from_pairs([("OTEL_PROPAGATORS", name)]);
            drop(Propagators::from_env_with(&env, PROPAGATORS));
            let absent = "expected a propagator that is compiled in: enable the feature `xray` of telemark";
            check(&env, cfg!(feature = "xray"), &format!("OTEL_PROPAGATORS=\"{name}\" cannot be used: {absent}"));
        }
    }

    #[test]
    fn every_detector_has_its_name_or_names_its_feature() {
        for (detector, (name, feature, is_enabled)) in DETECTORS.iter().zip([
            ("container", "container", cfg!(feature = "container")),
            ("kubernetes", "container", cfg!(feature = "container")),
            ("aws", "aws", cfg!(feature = "aws")),
            ("gcp", "gcp", cfg!(feature = "gcp")),
            ("azure", "azure", cfg!(feature = "azure")),
        ]) {
            assert_eq!(detector.name(), name);
            if !is_enabled {
                let env = Env::from_pairs([("OTEL_RUST_RESOURCE_DETECTORS", name)]);
                drop(Resource::from_env_with(&env, DETECTORS));
                let absent = format!("`{name}` is not compiled in: enable the feature `{feature}` of telemark");
                check(&env, false, &format!("OTEL_RUST_RESOURCE_DETECTORS: {absent}"));
            }
        }
        assert_eq!(DETECTORS.len(), 5);
    }

    #[test]
    fn detectors_are_found_by_name() {
        let check = |is_enabled: bool, name: &str, variables: &[(&str, &str)], key: &str| {
            let env = Env::from_pairs([variables, &[("OTEL_RUST_RESOURCE_DETECTORS", name)]].concat());
            let resource = Resource::from_env_with(&env, DETECTORS);
            assert_eq!(resource.get(key).is_some(), is_enabled, "{name}: {resource:?}");
        };
        check(cfg!(feature = "container"), "kubernetes", &[("K8S_POD_NAME", "shop-1")], "k8s.pod.name");
        check(cfg!(feature = "aws"), "aws", &[("AWS_LAMBDA_FUNCTION_NAME", "shop")], "faas.name");
        check(cfg!(feature = "azure"), "azure", &[("WEBSITE_SITE_NAME", "shop")], "cloud.provider");
        // Nothing listens there.
        check(false, "gcp", &[("GCE_METADATA_HOST", "127.0.0.1:1")], "cloud.provider");
    }
}

#[cfg(all(feature = "otlp", feature = "viewer"))]
#[cfg(test)]
mod tests {
    use telemark_otlp::OtlpExporter;
    use telemark_sdk::config::Env;
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
        let delay =
            |variables: &[(&str, &str)], config| soon(Node::new(&Env::from_pairs(variables.iter().copied())))(config);
        let with = |delay| BatchConfig::SPANS.with_max_queue_size(7).with_schedule_delay(delay);
        assert_eq!(delay(&[], with(millis(5_000))), with(millis(500)));
        assert_eq!(delay(&[], with(millis(60_000))), with(millis(60_000)));
        assert_eq!(delay(&[("OTEL_BSP_SCHEDULE_DELAY", "5000")], with(millis(5_000))), with(millis(5_000)));

        let periods = |variables: &[(&str, &str)], config| {
            periods_or(Node::new(&Env::from_pairs(variables.iter().copied())), millis(5_000))(config)
        };
        let with = |interval| PeriodicConfig::default().with_timeout(millis(7)).with_interval(interval);
        assert_eq!(periods(&[], with(millis(60_000))), with(millis(5_000)));
        assert_eq!(periods(&[], with(millis(30_000))), with(millis(30_000)));
        assert_eq!(periods(&[("OTEL_METRIC_EXPORT_INTERVAL", "60000")], with(millis(60_000))), with(millis(60_000)));
    }
}
