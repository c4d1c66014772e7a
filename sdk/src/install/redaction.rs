//! The redactor that code, a variable or a configuration file selects.

use super::TelemetryBuilder;
use super::components::Components;
use super::registry::Node;
use crate::config::{Env, Report, Settings};
use crate::error::ConfigError;
use crate::redaction::{Redaction, Redactor};

/// The variable with the names of presets.
const VARIABLE: &str = "OTEL_RUST_REDACTION";

/// Returns the redactor that code has set, or else that of the variable.
///
/// # Errors
/// Returns an error if the variable cannot be used. To ignore it would export what it is to hide.
pub(super) fn from_env(
    of_code: Option<Redaction>,
    env: &Env,
    components: &Components,
) -> Result<Option<Redaction>, ConfigError> {
    let value = match env.verbatim(VARIABLE)? {
        Some(value) if of_code.is_none() && !value.trim().is_empty() => value,
        _ => return Ok(of_code),
    };
    match components.redaction {
        Ok(make) => make(Node::new(env)).map(|redactor| Some(Redaction::new(redactor))),
        Err(remedy) => Err(ConfigError::invalid(VARIABLE, value, format!("no value, or {remedy}, which redacts"))),
    }
}

/// Returns the redactor of the file with this root. Reports why it cannot be created.
pub(super) fn from_file(
    root: Settings<'_>,
    report: &Report<'_>,
    env: &Env,
    components: &Components,
) -> Option<Redaction> {
    let settings = root.object("distribution")?.object("telemark")?.object("redaction")?;
    if settings.item().entries().is_empty() {
        return None;
    }
    let made = match components.redaction {
        Ok(make) => make(Node::new(env).with_settings(settings)),
        Err(remedy) => {
            settings.problem(&format!("is not compiled in: {remedy} is required"));
            return None;
        }
    };
    made.map(Redaction::new).map_err(|error| report.component_error(settings.item(), &error)).ok()
}

/// Redaction.
impl TelemetryBuilder {
    /// Hides values in spans, log records and metrics before any exporter sees them, and in the resource. Overrides
    /// `OTEL_RUST_REDACTION` and the configuration file. Off by default; see [`Redactor`].
    ///
    /// Processors that code adds with [`Self::with_span_processor`] and [`Self::with_log_processor`] see what is not redacted yet. The
    /// points of a [`MetricProducer`](crate::metrics::MetricProducer) and log lines on standard output are not redacted.
    pub fn with_redaction(mut self, redactor: impl Redactor) -> Self {
        self.model.redaction = Some(Redaction::new(Box::new(redactor)));
        self
    }
}
