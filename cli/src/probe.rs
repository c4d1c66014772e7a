//! Probes: one span, metric or log record of the service `telemark-doctor`, sent with the configured exporter.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry::trace::Tracer;
use telemark_otlp::{Encode, OtlpExporter, Protocol, RetryConfig};
use telemark_sdk::config::{Data, Env, Item, Report, Settings, Tree, schema};
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::signal::{Logs, Metrics, Traces};
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ConfigError, ExportError, ExportReport, Exporter};

use crate::configuration::Signal;
use crate::connection::Trust;

/// The maximum time for a probe, unless the exporter's own timeout is shorter.
const MAX_TIMEOUT: Duration = Duration::from_secs(5);
/// The name of the service, by which a probe can be found and ignored.
const SERVICE: &str = "telemark-doctor";

/// An exporter for a signal, as the configuration selects it.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    signal: Signal,
    settings: &'a Item,
    protocol: Protocol,
    /// The variable that names the file or the command with headers.
    pub(crate) source: Option<String>,
    /// The protocol and the URL without secrets.
    pub(crate) destination: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The outcome of a probe.
#[derive(Debug)]
pub(crate) enum Outcome {
    Accepted,
    /// The receiver accepted the request, but rejected the item or has something to say.
    Partial {
        rejected: bool,
        message: String,
    },
    Failed(ExportError),
}

impl<'a> Target<'a> {
    /// Returns the target of an exporter, or `None` if it is not an OTLP exporter that sends.
    ///
    /// # Errors
    /// Fails if the exporter cannot be created.
    pub(crate) fn new(
        signal: Signal,
        (name, settings): (&str, &'a Item),
        tree: &Tree,
    ) -> Result<Option<Self>, ConfigError> {
        let protocol = match name {
            "otlp_http" => Protocol::HttpProtobuf,
            "otlp_grpc" => Protocol::Grpc,
            _ => return Ok(None),
        };
        let source = header_source(signal, tree);
        let target =
            Target { signal, settings, protocol, source, destination: String::new(), host: String::new(), port: 0 };
        let (destination, server) = match signal {
            Signal::Traces => target.place::<Traces>(tree)?,
            Signal::Metrics => target.place::<Metrics>(tree)?,
            Signal::Logs => target.place::<Logs>(tree)?,
        };
        let (host, port) = server.unwrap_or_default();
        Ok(Some(Target { destination, host, port, ..target }))
    }

    fn place<S: Encode>(&self, tree: &Tree) -> Result<(String, Option<(String, u16)>), ConfigError> {
        let exporter = self.exporter::<S>(tree)?;
        Ok((exporter.destination(), exporter.server()))
    }

    pub(crate) fn is_grpc(&self) -> bool {
        self.protocol == Protocol::Grpc
    }

    pub(crate) fn uses_tls(&self) -> bool {
        self.destination.contains("https://")
    }

    /// Returns how to verify a server with TLS, and `None` if the exporter uses none.
    pub(crate) fn trust(&self) -> Option<Trust> {
        let file = self.settings.get("tls").and_then(|tls| tls.get("ca_file")).and_then(crate::configuration::text);
        self.uses_tls().then(|| file.map_or(Trust::System, |file| Trust::File(file.into())))
    }

    /// Returns the configured timeout, or `None` if there is no limit.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self.settings.get("timeout").map(|timeout| &timeout.data) {
            Some(Data::Integer(0)) => None,
            Some(Data::Integer(millis)) => Some(Duration::from_millis(millis.unsigned_abs())),
            _ => Some(Duration::from_secs(10)),
        }
    }

    /// Returns the maximum time for the probe.
    pub(crate) fn limit(&self) -> Duration {
        self.timeout().map_or(MAX_TIMEOUT, |timeout| timeout.min(MAX_TIMEOUT))
    }

    /// Returns the names of the headers.
    pub(crate) fn headers(&self) -> Vec<&str> {
        let text = crate::configuration::text;
        let headers = self.settings.get("headers").map(Item::items).unwrap_or_default();
        let list = self.settings.get("headers_list").and_then(text).unwrap_or_default();
        let of_list = list.split(',').filter_map(|entry| entry.split_once('=')).map(|(name, _)| name.trim());
        headers.iter().filter_map(|header| header.get("name").and_then(text)).chain(of_list).collect()
    }

    /// Returns true if requests are compressed.
    pub(crate) fn compresses(&self) -> bool {
        self.settings.get("compression").and_then(crate::configuration::text).is_some_and(|name| name != "none")
    }

    /// Sends one item.
    ///
    /// # Errors
    /// Fails if the exporter cannot be created or no thread can be started.
    pub(crate) fn send(&self, tree: &Tree) -> Result<Outcome, ConfigError> {
        match self.signal {
            Signal::Traces => self.send_with::<Traces>(tree, TelemetryBuilder::with_span_exporter, |telemetry| {
                telemetry.tracer(SERVICE).in_span("probe", |_| ());
            }),
            Signal::Metrics => self.send_with::<Metrics>(tree, TelemetryBuilder::with_metric_exporter, |telemetry| {
                telemetry.meter(SERVICE).u64_counter("telemark.doctor.probes").build().add(1, &[]);
            }),
            Signal::Logs => self.send_with::<Logs>(tree, TelemetryBuilder::with_log_exporter, |telemetry| {
                let logger = telemetry.logger(SERVICE);
                let mut record = logger.create_log_record();
                record.set_severity_number(Severity::Info);
                record.set_body(AnyValue::from("probe"));
                logger.emit(record);
            }),
        }
    }

    fn send_with<S: Encode>(
        &self,
        tree: &Tree,
        with: impl FnOnce(TelemetryBuilder, Watched<S>) -> TelemetryBuilder,
        record: impl FnOnce(&Telemetry),
    ) -> Result<Outcome, ConfigError> {
        let watched = Watched { exporter: self.exporter::<S>(tree)?, result: Arc::default() };
        let result = watched.result.clone();
        let builder = Telemetry::builder(Env::from_pairs::<String, String>([])).with_service_name(SERVICE);
        let telemetry = with(builder, watched).build()?;
        record(&telemetry);
        // The result says why an export failed. An export gets a part of a flush's time, and must reach its own limit.
        let _ = telemetry.force_flush(Deadline::after(self.limit() * 2 + Duration::from_secs(1)));
        drop(telemetry);
        let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(match result {
            Some(Ok(report)) => match report.message {
                None if report.rejected == 0 => Outcome::Accepted,
                message => Outcome::Partial { rejected: report.rejected > 0, message: message.unwrap_or_default() },
            },
            Some(Err(error)) => Outcome::Failed(error),
            None => Outcome::Failed(ExportError::timeout("the probe was not sent in time")),
        })
    }

    fn exporter<S: Encode>(&self, tree: &Tree) -> Result<OtlpExporter<S>, ConfigError> {
        // The configuration has been checked, so this report stays empty.
        let report = Report::new(tree);
        OtlpExporter::<S>::builder()
            .with_settings(Settings::new(self.settings, &report), self.protocol, &env(tree))
            .with_timeout(self.limit())
            .with_retry(RetryConfig::default().with_max_retries(0))
            .build()
    }
}

/// Returns the variables that exporters read in addition to their settings: those of the system, and ours with the values of the file.
fn env(tree: &Tree) -> Env {
    let report = Report::new(tree);
    let ours = schema::to_variables(&report).into_iter().map(|(name, value, _)| (name.to_owned(), value.into()));
    let others = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    Env::from_pairs(others.filter(|(name, _)| !name.starts_with("OTEL_")).chain(ours))
}

fn header_source(signal: Signal, tree: &Tree) -> Option<String> {
    let env = env(tree);
    let of_signal = format!("{}_", signal.name().to_ascii_uppercase());
    let names = [&*of_signal, ""]
        .into_iter()
        .flat_map(|signal| ["FILE", "COMMAND"].map(|kind| format!("OTEL_RUST_EXPORTER_OTLP_{signal}HEADERS_{kind}")));
    names.into_iter().find(|name| env.string(name).is_some())
}

type Kept = Arc<Mutex<Option<Result<ExportReport, ExportError>>>>;

/// An exporter that sends one batch and keeps the result.
struct Watched<S: Encode> {
    exporter: OtlpExporter<S>,
    result: Kept,
}

impl<S: Encode> Exporter<S> for Watched<S> {
    fn export(&mut self, batch: Batch<'_, S>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        let is_sent = self.result.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if !is_sent {
            let result = self.exporter.export(batch, deadline);
            *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
        // The doctor reports the result, so the sdk has nothing to log.
        Ok(ExportReport::accepted())
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.exporter.shutdown(deadline)
    }
}
