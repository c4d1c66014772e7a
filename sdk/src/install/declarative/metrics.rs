//! Reads `meter_provider`.

use super::super::pipeline::Processing;
use super::super::signals::metrics::Model;
use super::pipelines::{Place, is_set};
use super::{Reading, shared, view};
use crate::config::Settings;
use crate::config::schema::Point;
use crate::control::Configurator;
use crate::metrics::{DEFAULT_CARDINALITY_LIMIT, ExemplarFilter, MeterConfig, PeriodicConfig, ReaderConfig};

impl Model {
    /// Reads the time after which series expire, unless code has set it.
    pub(super) fn read_expiry(&mut self, limits: Option<Settings<'_>>) {
        let expiry = limits.and_then(|limits| limits.duration("series_expiry"));
        if let Some(expiry) = expiry.filter(|_| !self.provider.has_series_expiry()) {
            self.provider = std::mem::take(&mut self.provider).with_series_expiry(expiry);
        }
    }

    pub(super) fn complete_from_file(&mut self, provider: Option<Settings<'_>>, reading: &Reading<'_>) {
        let shared = PeriodicConfig::default();
        let Some(provider) = provider else {
            return self.pipelines.complete_from_file(Vec::new(), shared);
        };
        if self.exemplars.is_none() {
            let filters = [
                ("always_on", ExemplarFilter::AlwaysOn),
                ("always_off", ExemplarFilter::AlwaysOff),
                ("trace_based", ExemplarFilter::TraceBased),
            ];
            self.exemplars = provider.one_of("exemplar_filter", &filters);
        }
        let mut made = Vec::new();
        for (index, reader) in provider.list("readers").enumerate() {
            let Some((name, settings)) = reader.component() else { continue };
            let reader = &reader_config(settings);
            let (point, processing) = match name {
                // Code goes before the file.
                "periodic" if self.pipelines.schedule().is_some() => (Point::PushMetricExporter, Processing::Shared),
                "periodic" => (
                    Point::PushMetricExporter,
                    Processing::Own(shared.overridden_by(settings), is_set(settings, "interval")),
                ),
                _ => (Point::PullMetricExporter, Processing::Shared),
            };
            let place = Place { point, factories: reading.components.metrics, reader: Some(reader), processing };
            made.extend(self.pipelines.pipeline(settings, place, reading).map(|made| made.of_file(index)));
        }
        self.pipelines.complete_from_file(made, shared);
        let builder = std::mem::take(&mut self.provider);
        self.provider = match configurator(provider) {
            Some(meters) if !builder.has_rules() => builder.with_meter_config(meters),
            _ => builder,
        };
        for view in provider.list("views").filter_map(view::view) {
            self.provider = std::mem::take(&mut self.provider).with_view(view);
        }
    }
}

/// Returns the configs of meters.
pub(super) fn configurator(provider: Settings<'_>) -> Option<Configurator<MeterConfig>> {
    let rules = provider.object("meter_configurator/development")?;
    Some(shared::configurator(rules, "meters", |settings| {
        MeterConfig::new().with_enabled(settings.boolean("enabled").unwrap_or(true))
    }))
}

/// Returns the config of a reader with these cardinality limits.
fn reader_config(reader: Settings<'_>) -> ReaderConfig {
    let Some(limits) = reader.object("cardinality_limits") else { return ReaderConfig::new() };
    let default = limits.size("default", 1).unwrap_or(DEFAULT_CARDINALITY_LIMIT);
    let of_kind = view::KINDS.map(|(name, kind)| (kind, limits.size(name, 1).unwrap_or(default)));
    ReaderConfig::new().with_cardinality_limit(move |kind| {
        of_kind.iter().find(|(known, _)| *known == kind).map_or(default, |(_, limit)| *limit)
    })
}
