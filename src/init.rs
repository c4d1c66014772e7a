//! `telemark::init()` and `telemark::builder()`.

mod auto;
mod span_counts;

use telemark_sdk::ConfigError;
use telemark_sdk::config::Env;
use telemark_sdk::install::{Telemetry as Guard, TelemetryBuilder as Builder};

pub use self::auto::auto;
use crate::components::COMPONENTS;

/// Starts the program's telemetry, configured by the environment. Keep the guard in a named variable until the end of
/// `main`: dropping it, even during a panic, exports all remaining telemetry. `let _ = telemark::init()?` drops the guard
/// immediately and thereby ends the telemetry. The next span or measurement then logs a warning.
///
/// SIGTERM, Ctrl-C and `std::process::exit` end a program without dropping anything. On Unix, the default feature
/// `termination` exports the remaining telemetry in these cases as well; [`Builder::with_termination_handler`] can
/// disable this. `std::process::abort`, SIGKILL and a panic with `panic = "abort"` lose everything recorded since the
/// last batch, by default up to 5 s of spans. With `OTEL_RUST_PANICS=true`, and if log records are exported, such a panic first
/// exports everything that the flush timeout allows.
///
/// A child process created by `fork` without `exec` has no export thread. Telemetry started before the fork is off in the
/// child, and a warning is logged. Call `init` after the fork, in each process.
///
/// Call it once, early, inside or outside of any async runtime. By default, spans, metrics and log records are sent over
/// OTLP to `http://localhost:4318`. A variable with an invalid value is reported on standard error and ignored. With
/// `OTEL_CONFIG_FILE`, a file replaces the variables, and everything in it that cannot be used is an error.
///
/// # Errors
/// Fails if it has already been called, if the configuration file cannot be used, if a variable names an exporter whose feature is off, or if a mistake in a
/// variable would silently lose data, such as an endpoint that is not a URL or a certificate that cannot be read.
pub fn init() -> Result<Guard, ConfigError> {
    builder().init()
}

/// Returns a builder that starts the program's telemetry, configured by code and the environment. Code takes precedence
/// over the environment.
///
/// ```no_run
/// let _telemetry = telemark::builder()
///     .with_service_name("shop")
///     .with_resource_attribute("deployment.environment.name", "dev")
///     .with_sampler(telemark::sampling::TraceIdRatio::new(0.1))
///     .init()?;
/// # Ok::<(), telemark::ConfigError>(())
/// ```
pub fn builder() -> Builder {
    Guard::builder(Env::process()).with_components(&COMPONENTS)
}

/// Reports metrics of the process, such as CPU time, memory, threads and open files. If `init` is called inside a tokio
/// runtime, also reports its workers and tasks.
///
/// ```no_run
/// let _telemetry = telemark::builder().with_instrumentation(telemark::runtime_metrics).init()?;
/// # Ok::<(), telemark::ConfigError>(())
/// ```
#[cfg(feature = "runtime-metrics")]
pub fn runtime_metrics(telemetry: &Guard) {
    use opentelemetry::metrics::MeterProvider;

    if !crate::enabled::is_enabled("runtime-metrics", &Env::process()) {
        return;
    }
    telemark_runtime::register_all(&telemetry.meter_provider().meter_with_scope(telemark_runtime::scope()));
}

/// Returns the link to the page of this program's viewer, or `None` if no exporter named `viewer` is in use.
///
/// `OTEL_TRACES_EXPORTER=viewer`, `OTEL_METRICS_EXPORTER=viewer` and `OTEL_LOGS_EXPORTER=viewer` start the viewer, which all signals
/// share. It holds the most recent telemetry of the program, up to `OTEL_RUST_VIEWER_MAX_MEMORY`, and serves a page at
/// `http://localhost:4380/`. If the port is taken, it takes a free one. The link is also written to standard error once. The page is
/// there as long as the guard.
///
/// ```no_run
/// let _telemetry = telemark::init()?; // with OTEL_TRACES_EXPORTER=viewer
/// if let Some(link) = telemark::viewer() {
///     println!("traces: {link}");
/// }
/// # Ok::<(), telemark::ConfigError>(())
/// ```
///
/// In code, name the viewer in the environment that the builder reads:
///
/// ```
/// use telemark::config::Env;
///
/// let env = Env::from_pairs([
///     ("OTEL_TRACES_EXPORTER", "viewer"),
///     ("OTEL_METRICS_EXPORTER", "viewer"),
///     ("OTEL_LOGS_EXPORTER", "viewer"),
/// ]);
/// let telemetry = telemark::builder().with_env(env).init()?;
/// assert!(telemark::viewer().is_some_and(|link| link.starts_with("http://")));
/// drop(telemetry);
/// assert_eq!(telemark::viewer(), None);
/// # Ok::<(), telemark::ConfigError>(())
/// ```
#[cfg(feature = "viewer")]
pub fn viewer() -> Option<String> {
    telemark_viewer::link()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::Tracer;
    use telemark_sdk::metrics::{ExemplarFilter, View};
    use telemark_sdk::signal::{Metrics, Traces};
    use telemark_sdk::testing::InMemoryExporter;

    use super::*;

    fn with(variables: &[(&str, &str)]) -> Builder {
        builder().with_env(Env::from_pairs(variables.iter().copied()))
    }

    #[test]
    fn code_wins_over_the_environment() {
        let exporter = InMemoryExporter::<Traces>::new();
        let telemetry = with(&[("OTEL_SERVICE_NAME", "env"), ("OTEL_TRACES_EXPORTER", "console")])
            .with_service_name("code")
            .with_span_exporter(exporter.clone())
            .build()
            .unwrap();
        let name = telemetry.tracer_provider().resource().get("service.name").unwrap().to_string();
        assert_eq!(name, "code");
        assert_eq!(telemetry.health().traces.len(), 1);
    }

    #[test]
    fn what_is_set_before_the_environment_stays() {
        let exporter = InMemoryExporter::<Traces>::new();
        let telemetry = builder()
            .with_service_name("code")
            .with_span_exporter(exporter.clone())
            .with_metric_exporter(InMemoryExporter::<Metrics>::new())
            .with_flush_timeout(Duration::from_secs(7))
            .with_sampler(telemark_sdk::sampling::AlwaysOff)
            .with_env(Env::from_pairs([("OTEL_SERVICE_NAME", "env"), ("OTEL_RESOURCE_ATTRIBUTES", "from=env")]))
            .build()
            .unwrap();
        let resource = telemetry.tracer_provider().resource();
        assert_eq!(resource.get("service.name").unwrap().to_string(), "code");
        assert_eq!(resource.get("from").unwrap().to_string(), "env");
        assert_eq!((telemetry.health().traces.len(), telemetry.health().metrics.len()), (1, 1));
        assert_eq!(telemetry.flush_timeout(), Duration::from_secs(7));
        telemetry.tracer("test").in_span("dropped", |_| ());
        telemetry.force_flush(telemark_sdk::time::Deadline::NEVER).unwrap();
        assert!(exporter.items().is_empty(), "the sampler stays");
    }

    #[test]
    fn a_disabled_sdk_records_nothing_whatever_code_says() {
        let exporter = InMemoryExporter::<Traces>::new();
        let variables = [("OTEL_SDK_DISABLED", "true"), ("OTEL_SERVICE_NAME", "shop")];
        let telemetry = with(&variables).with_span_exporter(exporter).build().unwrap();
        assert!(!telemetry.tracer("test").enabled());
        // Log lines still contain it.
        assert_eq!(telemetry.tracer_provider().resource().get("service.name").unwrap().as_str(), "shop");
    }

    #[test]
    fn a_disabled_sdk_has_no_metrics_and_a_scrape_of_them_succeeds() {
        let reader = telemark_sdk::metrics::PullReader::default();
        let _telemetry = with(&[("OTEL_SDK_DISABLED", "true")]).with_metric_reader(reader.clone()).build().unwrap();
        assert!(reader.collect(telemark_sdk::time::Deadline::NEVER).unwrap().is_empty());
    }

    #[test]
    fn no_exporter_is_a_choice() {
        let telemetry = with(&[("OTEL_TRACES_EXPORTER", "none")]).build().unwrap();
        assert!(!telemetry.tracer("test").enabled());
    }

    #[test]
    fn a_second_init_is_an_error_and_the_first_stays() {
        let exporter = InMemoryExporter::<Traces>::new();
        let first = with(&[]).with_span_exporter(exporter).init().unwrap();
        let error = with(&[("OTEL_TRACES_EXPORTER", "none")]).init().unwrap_err();
        assert_eq!(error.to_string(), "init: telemetry has been installed already; the first one stays");
        assert!(first.tracer("test").enabled());
    }

    #[test]
    fn none_goes_with_nothing_else() {
        let error = with(&[("OTEL_TRACES_EXPORTER", "none,console")]).build().unwrap_err();
        assert!(error.to_string().starts_with("OTEL_TRACES_EXPORTER=\"none,console\" cannot be used"), "{error}");
    }

    #[cfg(all(feature = "otlp", feature = "console"))]
    #[test]
    fn a_list_names_several_exporters() {
        let telemetry = with(&[("OTEL_TRACES_EXPORTER", "otlp, console")]).build().unwrap();
        assert_eq!(telemetry.health().traces.len(), 2);
    }

    /// Builds the telemetry with this `OTEL_METRICS_EXPORTER` and no other signals. Returns the number of exporting
    /// readers.
    fn metric_exporters(value: &str) -> Result<usize, String> {
        let built = with(&[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", value)]).build();
        built.map(|telemetry| telemetry.health().metrics.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn metrics_go_where_their_variable_says() {
        let otlp = usize::from(cfg!(feature = "otlp"));
        assert_eq!(metric_exporters(""), Ok(otlp));
        assert_eq!(metric_exporters("unheard-of"), Ok(otlp));
        assert_eq!(metric_exporters("none"), Ok(0));
        let error = metric_exporters("none,otlp").unwrap_err();
        assert!(error.contains("none alone, or a list of otlp, console, prometheus and viewer"), "{error}");
        for (name, is_on) in [("otlp", cfg!(feature = "otlp")), ("console", cfg!(feature = "console"))] {
            match metric_exporters(name) {
                Ok(count) => assert!(is_on && count == 1, "{name}"),
                Err(error) => assert!(!is_on && error.contains(&format!("enable the feature `{name}`")), "{error}"),
            }
        }
        if cfg!(not(feature = "prometheus")) {
            let error = metric_exporters("prometheus").unwrap_err();
            assert!(error.contains("enable the feature `prometheus`"), "{error}");
        }
    }

    /// Builds the telemetry with this `OTEL_LOGS_EXPORTER` and no other signals. Returns the number of exporters.
    fn log_exporters(value: &str) -> Result<usize, String> {
        let others = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")];
        let built = with(&[&others[..], &[("OTEL_LOGS_EXPORTER", value)]].concat()).build();
        built.map(|telemetry| telemetry.health().logs.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn logs_go_where_their_variable_says() {
        let otlp = usize::from(cfg!(feature = "otlp"));
        assert_eq!(log_exporters(""), Ok(otlp));
        assert_eq!(log_exporters("unheard-of"), Ok(otlp));
        assert_eq!(log_exporters("none"), Ok(0));
        let error = log_exporters("none,otlp").unwrap_err();
        assert!(error.contains("none alone, or a list of otlp, console and viewer"), "{error}");
        for (name, is_on) in [("otlp", cfg!(feature = "otlp")), ("console", cfg!(feature = "console"))] {
            match log_exporters(name) {
                Ok(count) => assert!(is_on && count == 1, "{name}"),
                Err(error) => assert!(!is_on && error.contains(&format!("enable the feature `{name}`")), "{error}"),
            }
        }
    }

    #[test]
    fn logs_in_code_win_over_the_environment() {
        use opentelemetry::logs::{LogRecord, Logger, Severity};
        use telemark_sdk::control::Configurator;
        use telemark_sdk::limits::LogRecordLimits;
        use telemark_sdk::logs::LoggerConfig;
        use telemark_sdk::signal::Logs;

        let exporter = InMemoryExporter::<Logs>::new();
        let variables = [
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "unheard-of,none,otlp"),
            ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "1"),
        ];
        let run = |builder: Builder| {
            exporter.clear();
            let telemetry = builder.build().unwrap();
            let logger = telemetry.logger("test");
            for severity in [Severity::Info, Severity::Error] {
                let mut record = logger.create_log_record();
                record.set_severity_number(severity);
                record.add_attributes([("a", 1), ("b", 2)]);
                logger.emit(record);
            }
            telemetry.force_flush(telemark_sdk::time::Deadline::NEVER).unwrap();
            telemark_sdk::testing::logs_text(&exporter.items())
        };
        let builder = || with(&variables).with_log_exporter(exporter.clone());
        let one = "a=1 (1 attributes dropped)";
        assert_eq!(run(builder()), format!("INFO {one}\nERROR {one}\n"));
        let rules = LoggerConfig::new().with_minimum_severity(Severity::Warn);
        let in_code = builder().with_log_limits(LogRecordLimits::DEFAULT).with_logger_config(Configurator::new(rules));
        assert_eq!(run(in_code), "ERROR a=1 b=2\n");
        assert_eq!(run(builder().with_env(Env::from_pairs([("OTEL_SDK_DISABLED", "true")]))), "");
    }

    #[test]
    fn metrics_in_code_win_over_the_environment() {
        let exporter = InMemoryExporter::<Metrics>::new();
        let variables = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "unheard-of,none,otlp")];
        let telemetry = with(&variables)
            .with_metric_exporter(exporter.clone())
            .with_metric_reader(telemark_sdk::metrics::PullReader::default())
            .with_exemplar_filter(ExemplarFilter::AlwaysOn)
            .with_view(View::of("orders").with_name("shop.orders"))
            .build()
            .unwrap();
        telemetry.meter("test").u64_counter("orders").build().add(2, &[]);
        telemetry.force_flush(telemark_sdk::time::Deadline::NEVER).unwrap();
        let text = telemark_sdk::testing::metrics_text(&exporter.items());
        assert!(text.starts_with("shop.orders sum 2 # 2"), "{text}");
        assert_eq!(telemetry.health().metrics.len(), 1);
    }

    #[test]
    fn a_disabled_sdk_measures_nothing_and_shows_no_page() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let variables = [
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", &*port),
        ];
        if cfg!(feature = "prometheus") {
            assert!(!with(&variables).build().unwrap().meter_provider().enabled());
            let error = with(&variables[1..]).build().unwrap_err();
            assert!(error.to_string().contains(&port), "{error}");
        }
    }

    #[cfg(feature = "prometheus")]
    #[test]
    fn the_prometheus_page_is_there_as_long_as_the_telemetry() {
        use std::io::{Read, Write};
        use std::net::{TcpListener, TcpStream};

        // Picks a free port, and tries another one if a different program takes it first.
        let start = || {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let variables = [
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_METRICS_EXPORTER", "prometheus"),
                ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
                ("OTEL_EXPORTER_PROMETHEUS_PORT", &*port.to_string()),
            ];
            with(&variables).build().ok().map(|telemetry| (telemetry, port))
        };
        let (telemetry, port) = (0..20).find_map(|_| start()).unwrap();
        telemetry.meter("test").u64_counter("orders").build().add(2, &[]);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        assert!(page.contains("\norders_total{otel_scope_name=\"test\"} 2"), "{page}");
        drop(telemetry);
        let deadline = telemark_sdk::time::Deadline::after(Duration::from_secs(10));
        while TcpStream::connect(("127.0.0.1", port)).is_ok() {
            assert!(!deadline.has_passed(), "the server ends with the telemetry");
        }
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn an_endpoint_that_is_no_url_would_lose_data_and_is_an_error() {
        let error = with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")]).build().unwrap_err();
        assert_eq!(error.setting(), "OTEL_EXPORTER_OTLP_ENDPOINT");
    }
}
