//! Reads `logger_provider`.

use opentelemetry::logs::Severity;

use super::super::signals::logs::Model;
use super::{Reading, extensions, shared};
use crate::baggage_attributes::BaggageAttributes;
use crate::batch::BatchConfig;
use crate::config::Settings;
use crate::config::schema::Point;
use crate::control::Configurator;
use crate::limits::{AttributeLimits, LogRecordLimits};
use crate::logs::{LogVolume, LoggerConfig, LoggerProviderBuilder};
use crate::span_filter;

impl Model {
    pub(super) fn complete_from_file(&mut self, provider: Option<Settings<'_>>, reading: &Reading<'_>) {
        let env = reading.env;
        self.volume.get_or_insert_with(|| LogVolume::from_env(env));
        self.baggage.get_or_insert_with(|| BaggageAttributes::from_env(env));
        self.filter = self.filter.take().or_else(|| span_filter::records::from_env(env));
        let schedule = BatchConfig::logs_from_env(env);
        let Some(provider) = provider else {
            return self.pipelines.complete_from_file(Vec::new(), schedule);
        };
        if self.limits.is_none() {
            let own = provider.object("limits");
            let (count, length) = shared::attribute_limits(own, reading);
            let limits = LogRecordLimits::DEFAULT.with_attributes(AttributeLimits::new(count, length));
            let depth = [own, reading.limits]
                .into_iter()
                .flatten()
                .find_map(|limits| limits.size("attribute_value_depth_limit", 1));
            self.limits = Some(depth.map_or(limits, |depth| limits.with_value_depth(depth)));
        }
        let mut processors = Vec::new();
        let place = (Point::LogRecordExporter, reading.components.logs);
        let made = self.pipelines.processors(provider, place, schedule, reading, |name, settings| {
            processors.extend(extensions::make(&reading.extensions.log_processors, name, settings, reading));
        });
        self.pipelines.complete_from_file(made, schedule);
        let builder = std::mem::take(&mut self.provider);
        let mut builder =
            processors.into_iter().fold(builder, |builder, processor| builder.with_boxed_processor(processor));
        if !builder.has_rules() {
            builder = configurator(provider).into_iter().fold(builder, LoggerProviderBuilder::with_logger_config);
        }
        self.provider = builder;
    }
}

/// Returns the configs of loggers.
pub(super) fn configurator(provider: Settings<'_>) -> Option<Configurator<LoggerConfig>> {
    let rules = provider.object("logger_configurator/development")?;
    Some(shared::configurator(rules, "loggers", config))
}

fn config(settings: Settings<'_>) -> LoggerConfig {
    let mut config = LoggerConfig::new();
    if let Some(is_enabled) = settings.boolean("enabled") {
        config = config.with_enabled(is_enabled);
    }
    if let Some(severity) = settings.text("minimum_severity").and_then(severity) {
        config = config.with_minimum_severity(severity);
    }
    if let Some(is_trace_based) = settings.boolean("trace_based") {
        config = config.with_trace_based(is_trace_based);
    }
    config
}

/// Returns the severity with a name of the schema, such as `warn2`.
fn severity(name: &str) -> Option<Severity> {
    use Severity::{
        Debug, Debug2, Debug3, Debug4, Error, Error2, Error3, Error4, Fatal, Fatal2, Fatal3, Fatal4, Info, Info2,
        Info3, Info4, Trace, Trace2, Trace3, Trace4, Warn, Warn2, Warn3, Warn4,
    };
    let all = [
        Trace, Trace2, Trace3, Trace4, Debug, Debug2, Debug3, Debug4, Info, Info2, Info3, Info4, Warn, Warn2, Warn3,
        Warn4, Error, Error2, Error3, Error4, Fatal, Fatal2, Fatal3, Fatal4,
    ];
    all.into_iter().find(|severity| severity.name().eq_ignore_ascii_case(name))
}
