//! Reads `tracer_provider`.

use super::super::signals::traces::Model;
use super::{Reading, extensions, sampler, shared};
use crate::baggage_attributes::BaggageAttributes;
use crate::batch::BatchConfig;
use crate::config::Settings;
use crate::config::schema::Point;
use crate::control::Configurator;
use crate::limits::{AttributeLimits, SpanLimits};
use crate::span_filter::SpanFilter;
use crate::stages::tail::TailSampling;
use crate::trace::{ExceptionSignal, TracerConfig};

impl Model {
    /// Reads tail sampling, unless code has set it.
    pub(super) fn read_tail(&mut self, settings: Option<Settings<'_>>) {
        let read = |settings: Settings<'_>| {
            let tail = TailSampling::from_settings(settings);
            match tail.check() {
                // The schema has said so.
                Err(_) if tail.is_empty() => {}
                Err(error) if error.has_value() => settings.problem(&error.to_string()),
                Err(error) => settings.problem(error.accepted()),
                Ok(()) => {}
            }
            tail
        };
        self.tail = self.tail.take().or_else(|| settings.map(read));
    }

    pub(super) fn complete_from_file(&mut self, provider: Option<Settings<'_>>, reading: &Reading<'_>) {
        let env = reading.env;
        self.exceptions.get_or_insert_with(|| ExceptionSignal::from_env(env));
        self.baggage.get_or_insert_with(|| BaggageAttributes::from_env(env));
        self.filter = self.filter.take().or_else(|| SpanFilter::from_env(env));
        let schedule = BatchConfig::spans_from_env(env);
        let Some(provider) = provider else {
            // spec: configuration/data-model.md — without a provider there are no spans, unless code adds a processor
            self.is_off = !self.pipelines.has_any() && !self.provider.has_processors();
            return self.pipelines.complete_from_file(Vec::new(), schedule);
        };
        if self.sampler.is_none() {
            self.sampler = provider.object("sampler").and_then(|settings| sampler::sampler(settings, reading));
        }
        if self.limits.is_none() {
            self.limits = Some(limits(provider.object("limits"), reading));
        }
        let mut processors = Vec::new();
        let place = (Point::SpanExporter, reading.components.traces);
        let made = self.pipelines.processors(provider, place, schedule, reading, |name, settings| {
            processors.extend(extensions::make(&reading.extensions.span_processors, name, settings, reading));
        });
        self.pipelines.complete_from_file(made, schedule);
        let mut builder = std::mem::take(&mut self.provider);
        if let Some(tracers) = configurator(provider).filter(|_| !builder.has_rules()) {
            builder = builder.with_tracer_config(tracers);
        }
        self.provider =
            processors.into_iter().fold(builder, |builder, processor| builder.with_boxed_processor(processor));
    }
}

/// Returns the configs of tracers.
pub(super) fn configurator(provider: Settings<'_>) -> Option<Configurator<TracerConfig>> {
    let rules = provider.object("tracer_configurator/development")?;
    Some(shared::configurator(rules, "tracers", |settings| {
        TracerConfig::new().with_enabled(settings.boolean("enabled").unwrap_or(true))
    }))
}

fn limits(own: Option<Settings<'_>>, reading: &Reading<'_>) -> SpanLimits {
    let (count, length) = shared::attribute_limits(own, reading);
    let default = SpanLimits::DEFAULT;
    let own = |key, default| own.and_then(|own| own.size(key, 0)).unwrap_or(default);
    SpanLimits {
        attributes: AttributeLimits::new(count, length),
        events: own("event_count_limit", default.events),
        links: own("link_count_limit", default.links),
        attributes_per_event: own("event_attribute_count_limit", default.attributes_per_event),
        attributes_per_link: own("link_attribute_count_limit", default.attributes_per_link),
    }
}
