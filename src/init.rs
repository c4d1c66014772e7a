//! `telemark::init()` and the builder behind it.

use std::ops::Deref;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::config::Env;
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::limits::SpanLimits;
use telemark_sdk::metrics::{ExemplarFilter, MetricReader, PeriodicConfig, View};
use telemark_sdk::sampling::Sampler;
use telemark_sdk::signal::{Metrics, Traces};
use telemark_sdk::trace::SpanProcessor;
use telemark_sdk::{ConfigError, Exporter};

use crate::exporters;

/// Starts the telemetry of the program from the environment. Keep the guard in a named variable until the end of `main`: when
/// it is dropped, on a panic too, everything that is left is exported. `let _ = telemark::init()?` drops it at once, which ends
/// the telemetry; the first span or measurement after that says so.
///
/// SIGTERM, Ctrl-C and `std::process::exit` end a program without dropping anything. With the feature `termination`, a default
/// one, what is left is exported then too, on Unix; [`Builder::termination_handler`] switches that off. `std::process::abort`,
/// SIGKILL and a panic with `panic = "abort"` lose what the last batch has not taken: 5 s of spans by default.
///
/// A child made by `fork` without `exec` has no thread to export anything: telemetry that was started before the fork is off
/// in the child, which says so. Call `init` after the fork, in each process.
///
/// Call it once, early, inside or outside of any async runtime. With nothing set, spans and metrics go over
/// OTLP to `http://localhost:4318`. A variable that cannot be understood is reported on standard error and ignored.
///
/// # Errors
/// It has been called before; a variable would silently lose data, such as an endpoint that is no URL or a certificate
/// that cannot be read; an exporter is asked for whose feature is off.
pub fn init() -> Result<Guard, ConfigError> {
    builder().init()
}

/// Starts the telemetry of the program from code and the environment; what is set in code goes before the environment.
///
/// ```no_run
/// let _telemetry = telemark::builder().service_name("shop").resource("deployment.environment.name", "dev").init()?;
/// # Ok::<(), telemark::ConfigError>(())
/// ```
pub fn builder() -> Builder {
    Builder::new(Env::process())
}

/// Configures the telemetry of the program.
#[derive(Debug)]
#[must_use = "nothing starts before `init`"]
pub struct Builder {
    sdk: TelemetryBuilder,
    exporters_in_code: bool,
    metrics_in_code: bool,
    /// As the environment says if it is `None`.
    #[cfg(feature = "termination")]
    termination_handler: Option<bool>,
    #[cfg(feature = "runtime-metrics")]
    runtime_metrics: bool,
}

impl Builder {
    fn new(env: Env) -> Self {
        Builder {
            sdk: Telemetry::builder(env),
            exporters_in_code: false,
            metrics_in_code: false,
            #[cfg(feature = "termination")]
            termination_handler: None,
            #[cfg(feature = "runtime-metrics")]
            runtime_metrics: false,
        }
    }

    /// Reads these variables instead of those of the process, for tests. What was set in code stays.
    pub fn with_env(self, env: Env) -> Self {
        self.map(|sdk| sdk.with_env(env))
    }

    fn map(mut self, change: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> Self {
        self.sdk = change(self.sdk);
        self
    }

    /// The name of the service, `service.name`.
    pub fn service_name(self, name: impl Into<String>) -> Self {
        self.resource("service.name", name.into())
    }

    /// An attribute of the resource; it wins over the environment.
    pub fn resource(self, key: impl Into<opentelemetry::Key>, value: impl Into<opentelemetry::Value>) -> Self {
        let attribute = KeyValue::new(key, value);
        self.map(|sdk| sdk.with_resource([attribute]))
    }

    /// The sampler, instead of that of `OTEL_TRACES_SAMPLER`.
    pub fn sampler(self, sampler: impl Sampler) -> Self {
        self.map(|sdk| sdk.with_sampler(sampler))
    }

    /// The limits of spans, instead of those of the environment.
    pub fn span_limits(self, limits: SpanLimits) -> Self {
        self.map(|sdk| sdk.with_span_limits(limits))
    }

    /// How spans are batched, instead of `OTEL_BSP_*`.
    pub fn batch(self, config: BatchConfig) -> Self {
        self.map(|sdk| sdk.with_batch_config(config))
    }

    /// The propagator, instead of those of `OTEL_PROPAGATORS`.
    pub fn propagator(self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.map(|sdk| sdk.with_propagator(propagator))
    }

    /// Adds an exporter of spans. Then `OTEL_TRACES_EXPORTER` is not read.
    pub fn span_exporter(mut self, exporter: impl Exporter<Traces>) -> Self {
        self.exporters_in_code = true;
        self.map(|sdk| sdk.with_span_exporter(exporter))
    }

    /// Adds a span processor, beside the exporters.
    pub fn span_processor(self, processor: impl SpanProcessor) -> Self {
        self.map(|sdk| sdk.with_span_processor(processor))
    }

    /// Adds an exporter of metrics, with a reader of its own that exports at an interval. Then `OTEL_METRICS_EXPORTER` is not
    /// read.
    pub fn metric_exporter(mut self, exporter: impl Exporter<Metrics>) -> Self {
        self.metrics_in_code = true;
        self.map(|sdk| sdk.with_metric_exporter(exporter))
    }

    /// Adds a reader of metrics, such as that of a Prometheus exporter. Then `OTEL_METRICS_EXPORTER` is not read.
    pub fn metric_reader(mut self, reader: impl MetricReader) -> Self {
        self.metrics_in_code = true;
        self.map(|sdk| sdk.with_metric_reader(reader))
    }

    /// When metrics are exported, instead of `OTEL_METRIC_EXPORT_*`; the console has an interval of its own.
    pub fn metric_periods(self, periods: PeriodicConfig) -> Self {
        self.map(|sdk| sdk.with_metric_periods(periods))
    }

    /// Adds a view: what becomes of the instruments that it selects. One that cannot be used is reported and ignored.
    pub fn view(self, view: View) -> Self {
        self.map(|sdk| sdk.with_view(view))
    }

    /// Which measurements may become exemplars, instead of `OTEL_METRICS_EXEMPLAR_FILTER`.
    pub fn exemplar_filter(self, filter: ExemplarFilter) -> Self {
        self.map(|sdk| sdk.with_exemplar_filter(filter))
    }

    /// Adds the metrics of the SDK itself, `otel.sdk.*`, as `OTEL_RUST_SELF_METRICS=true` does.
    pub fn self_metrics(self) -> Self {
        self.map(TelemetryBuilder::with_self_metrics)
    }

    /// The longest that dropping the guard may take; 5 s by default.
    pub fn flush_timeout(self, timeout: Duration) -> Self {
        self.map(|sdk| sdk.with_flush_timeout(timeout))
    }

    /// Switches off, or on again, the export of what is left when SIGTERM, SIGINT (Ctrl-C) or `exit` ends the program before
    /// the guard is dropped. On by default, unless `OTEL_RUST_TERMINATION_HANDLER_DISABLED=true`; on Unix only.
    ///
    /// A handler of the program's own keeps its signal: see
    /// [`TelemetryBuilder::with_termination_handler`](telemark_sdk::install::TelemetryBuilder::with_termination_handler).
    #[cfg(feature = "termination")]
    pub fn termination_handler(mut self, is_wanted: bool) -> Self {
        self.termination_handler = Some(is_wanted);
        self
    }

    /// Reports how the process is doing (CPU time, memory, threads, open files and more) and, when `init` is called within a
    /// tokio runtime, its workers and tasks.
    #[cfg(feature = "runtime-metrics")]
    pub fn runtime_metrics(mut self) -> Self {
        self.runtime_metrics = true;
        self
    }

    /// Starts the telemetry without making it global: for instances beside each other.
    ///
    /// # Errors
    /// As for [`init`], but for a second call.
    pub fn build(mut self) -> Result<Telemetry, ConfigError> {
        if !self.exporters_in_code {
            self.sdk = exporters::traces(self.sdk)?;
        }
        if !self.metrics_in_code {
            self.sdk = exporters::metrics(self.sdk)?;
        }
        #[cfg(feature = "termination")]
        {
            let is_disabled = self.sdk.env().boolean("OTEL_RUST_TERMINATION_HANDLER_DISABLED");
            self.sdk = self.sdk.with_termination_handler(self.termination_handler.unwrap_or(!is_disabled));
        }
        self.sdk.build()
    }

    /// Starts the telemetry of the program.
    ///
    /// # Errors
    /// As for [`init`].
    pub fn init(self) -> Result<Guard, ConfigError> {
        #[cfg(feature = "runtime-metrics")]
        let runtime_metrics = self.runtime_metrics;
        let telemetry = self.build()?.install()?;
        #[cfg(feature = "runtime-metrics")]
        if runtime_metrics {
            let meters = opentelemetry::metrics::MeterProvider::meter_with_scope;
            telemark_runtime::register_all(&meters(telemetry.meter_provider(), telemark_runtime::scope()));
        }
        Ok(Guard(telemetry))
    }
}

/// The telemetry of the program. Dropping it exports what is left.
#[derive(Debug)]
#[must_use = "telemetry ends when the guard is dropped, with `let _ =` at once: `let _telemetry = telemark::init()?;`"]
pub struct Guard(Telemetry);

impl Deref for Guard {
    type Target = Telemetry;

    fn deref(&self) -> &Telemetry {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::Tracer;
    use telemark_sdk::testing::InMemoryExporter;

    fn with(variables: &[(&str, &str)]) -> Builder {
        builder().with_env(Env::from_pairs(variables.iter().copied()))
    }

    #[test]
    fn code_wins_over_the_environment() {
        let exporter = InMemoryExporter::<Traces>::new();
        let telemetry = with(&[("OTEL_SERVICE_NAME", "env"), ("OTEL_TRACES_EXPORTER", "console")])
            .service_name("code")
            .span_exporter(exporter.clone())
            .build()
            .unwrap();
        let name = telemetry.tracer_provider().resource().get("service.name").unwrap().to_string();
        assert_eq!(name, "code");
        assert_eq!(telemetry.health().len(), 1);
    }

    #[test]
    fn what_is_set_before_the_environment_stays() {
        let exporter = InMemoryExporter::<Traces>::new();
        let telemetry = builder()
            .service_name("code")
            .span_exporter(exporter.clone())
            .metric_exporter(InMemoryExporter::<Metrics>::new())
            .flush_timeout(Duration::from_secs(7))
            .sampler(telemark_sdk::sampling::AlwaysOff)
            .with_env(Env::from_pairs([("OTEL_SERVICE_NAME", "env"), ("OTEL_RESOURCE_ATTRIBUTES", "from=env")]))
            .build()
            .unwrap();
        let resource = telemetry.tracer_provider().resource();
        assert_eq!(resource.get("service.name").unwrap().to_string(), "code");
        assert_eq!(resource.get("from").unwrap().to_string(), "env");
        assert_eq!((telemetry.health().len(), telemetry.metric_health().len()), (1, 1));
        assert_eq!(telemetry.flush_timeout(), Duration::from_secs(7));
        telemetry.tracer("test").in_span("dropped", |_| ());
        telemetry.force_flush(telemark_sdk::time::Deadline::NEVER).unwrap();
        assert!(exporter.items().is_empty(), "the sampler stays");
    }

    #[test]
    fn a_disabled_sdk_records_nothing_whatever_code_says() {
        let exporter = InMemoryExporter::<Traces>::new();
        let telemetry = with(&[("OTEL_SDK_DISABLED", "true")]).span_exporter(exporter).build().unwrap();
        assert!(!telemetry.tracer("test").enabled());
    }

    #[test]
    fn a_disabled_sdk_has_no_metrics_and_a_scrape_of_them_succeeds() {
        let reader = telemark_sdk::metrics::PullReader::default();
        let _telemetry = with(&[("OTEL_SDK_DISABLED", "true")]).metric_reader(reader.clone()).build().unwrap();
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
        let first = with(&[]).span_exporter(exporter).init().unwrap();
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
        assert_eq!(telemetry.health().len(), 2);
    }

    /// Builds with these metrics and no traces; how many readers export.
    fn metric_exporters(value: &str) -> Result<usize, String> {
        let built = with(&[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", value)]).build();
        built.map(|telemetry| telemetry.metric_health().len()).map_err(|error| error.to_string())
    }

    #[test]
    fn metrics_go_where_their_variable_says() {
        let otlp = usize::from(cfg!(feature = "otlp"));
        assert_eq!(metric_exporters(""), Ok(otlp));
        assert_eq!(metric_exporters("unheard-of"), Ok(otlp));
        assert_eq!(metric_exporters("none"), Ok(0));
        let error = metric_exporters("none,otlp").unwrap_err();
        assert!(error.contains("none alone, or a list of otlp, console and prometheus"), "{error}");
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

    #[test]
    fn metrics_in_code_win_over_the_environment() {
        let exporter = InMemoryExporter::<Metrics>::new();
        let variables = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "unheard-of,none,otlp")];
        let telemetry = with(&variables)
            .metric_exporter(exporter.clone())
            .metric_reader(telemark_sdk::metrics::PullReader::default())
            .exemplar_filter(ExemplarFilter::AlwaysOn)
            .view(View::of("orders").with_name("shop.orders"))
            .build()
            .unwrap();
        telemetry.meter("test").u64_counter("orders").build().add(2, &[]);
        telemetry.force_flush(telemark_sdk::time::Deadline::NEVER).unwrap();
        let text = telemark_sdk::testing::metrics_text(&exporter.items());
        assert!(text.starts_with("shop.orders sum 2 # 2"), "{text}");
        assert_eq!(telemetry.metric_health().len(), 1);
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

        // A port that was free a moment ago; if somebody else has got it since, another one.
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
