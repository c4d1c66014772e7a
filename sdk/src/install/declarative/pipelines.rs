//! Reads processors, readers and their exporters.

use super::super::pipeline::{Pipeline, PipelineSignal, Pipelines, Processing};
use super::super::registry::{Factory, Node};
use super::Reading;
use crate::config::Settings;
use crate::config::schema::{self, Point};
use crate::metrics::ReaderConfig;

/// The name of the processor that does nothing.
pub(super) const NO_PROCESSOR: &str = "none";

/// A part of the file that contains an exporter.
pub(super) struct Place<'a, S: PipelineSignal> {
    pub(super) point: Point,
    pub(super) factories: &'a [Factory<S>],
    /// The reader of a metric exporter.
    pub(super) reader: Option<&'a ReaderConfig>,
    pub(super) processing: Processing<S>,
}

/// Returns true if a key has a value.
pub(super) fn is_set(settings: Settings<'_>, key: &str) -> bool {
    settings.get(key).is_some_and(|value| !value.item().is_null())
}

impl<S: PipelineSignal> Pipelines<S> {
    pub(super) fn names_for_files(&self, factories: &[Factory<S>]) -> Vec<&'static str> {
        self.known(factories).into_iter().filter(|row| row.is_for_files()).map(Factory::name).collect()
    }

    /// Creates the pipeline of the exporter in a processor or reader.
    pub(super) fn pipeline(
        &self,
        parent: Settings<'_>,
        place: Place<'_, S>,
        reading: &Reading<'_>,
    ) -> Option<Pipeline<S>> {
        let (name, settings) = parent.object("exporter")?.component()?;
        let known = self.known(place.factories);
        let Some(factory) = known.into_iter().find(|row| row.is_for_files() && row.name() == name) else {
            // The schema has reported any other name.
            if schema::is_standard(place.point, name) {
                settings.problem("has no exporter in this program");
            }
            return None;
        };
        let mut node = Node::new(reading.env).with_settings(settings);
        if let Some(reader) = place.reader {
            node = node.with_reader(reader);
        }
        let is_standard = schema::is_standard(place.point, name);
        let made = factory.make_from_file(node, settings.item(), reading.report, is_standard)?;
        Some(made.with_processing(place.processing))
    }

    /// Creates the pipelines of a provider of spans or log records, and calls `other` with every other processor.
    pub(super) fn processors(
        &self,
        provider: Settings<'_>,
        (point, factories): (Point, &[Factory<S>]),
        schedule: S::Schedule,
        reading: &Reading<'_>,
        mut other: impl FnMut(&str, Settings<'_>),
    ) -> Vec<Pipeline<S>> {
        let mut made = Vec::new();
        for (index, processor) in provider.list("processors").enumerate() {
            let Some((name, settings)) = processor.component() else { continue };
            let processing = match name {
                // Code goes before the file.
                "batch" if self.schedule().is_some() => Processing::Shared,
                "batch" => {
                    Processing::Own(S::schedule_from_file(schedule, settings), is_set(settings, "schedule_delay"))
                }
                "simple" => Processing::Simple,
                // A provider without processors; its spans have ids, unlike those of a program without a provider.
                NO_PROCESSOR => {
                    reading.report.check_all_read(settings.item());
                    continue;
                }
                name => {
                    other(name, settings);
                    continue;
                }
            };
            let place = Place { point, factories, reader: None, processing };
            made.extend(self.pipeline(settings, place, reading).map(|made| made.of_file(index)));
        }
        made
    }
}
