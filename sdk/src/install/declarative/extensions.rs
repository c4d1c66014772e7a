//! The components that a program has registered by name, beside exporters.

use std::fmt;

use super::super::TelemetryBuilder;
use super::super::components::Components;
use super::super::model::Model;
use super::super::registry::Node;
use super::Reading;
use super::pipelines::NO_PROCESSOR;
use crate::config::Settings;
use crate::config::schema::Point;
use crate::error::ConfigError;
use crate::logs::LogRecordProcessor;
use crate::propagation::Propagators;
use crate::resource::{DETECTORS, Detector};
use crate::sampling::Sampler;
use crate::trace::SpanProcessor;

/// Creates a component of a configuration file.
pub type Extension<T> = fn(Node<'_>) -> Result<T, ConfigError>;

type List<T> = Vec<(&'static str, Extension<T>)>;

/// The registered components of each kind.
#[derive(Default)]
pub(in crate::install) struct Extensions {
    pub(super) samplers: List<Box<dyn Sampler>>,
    pub(super) span_processors: List<Box<dyn SpanProcessor>>,
    pub(super) log_processors: List<Box<dyn LogRecordProcessor>>,
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extensions")
    }
}

/// Creates the component with this name. Reports why it cannot be created, and settings that it does not read.
pub(super) fn make<T>(list: &List<T>, name: &str, settings: Settings<'_>, reading: &Reading<'_>) -> Option<T> {
    let (_, make) = list.iter().find(|(known, _)| *known == name)?;
    match make(Node::new(reading.env).with_settings(settings)) {
        Ok(component) => {
            reading.report.check_all_read(settings.item());
            Some(component)
        }
        Err(error) => {
            reading.report.component_error(settings.item(), &error);
            None
        }
    }
}

impl Model {
    /// Returns the names of the components that this program has, by the points of the file.
    pub(in crate::install) fn names(&self, components: &Components) -> Vec<(Point, Vec<&'static str>)> {
        Point::ALL.iter().map(|point| (*point, self.names_at(*point, components))).collect()
    }

    /// Returns the names of the components that this program has at a point of the file.
    pub(super) fn names_at(&self, point: Point, components: &Components) -> Vec<&'static str> {
        fn names<T>(list: &List<T>) -> Vec<&'static str> {
            list.iter().map(|(name, _)| *name).collect()
        }
        match point {
            Point::SpanExporter => self.signals.traces.pipelines.names_for_files(components.traces),
            Point::LogRecordExporter => self.signals.logs.pipelines.names_for_files(components.logs),
            Point::PushMetricExporter | Point::PullMetricExporter => {
                self.signals.metrics.pipelines.names_for_files(components.metrics)
            }
            Point::Sampler => names(&self.extensions.samplers),
            Point::TextMapPropagator => Propagators::names(&[&self.propagators, components.propagators].concat()),
            Point::SpanProcessor => [names(&self.extensions.span_processors), vec![NO_PROCESSOR]].concat(),
            Point::LogRecordProcessor => names(&self.extensions.log_processors),
            Point::ResourceDetector => {
                let known = self.detectors.iter().chain(components.detectors).chain(DETECTORS);
                known.map(Detector::name).collect()
            }
            Point::Fixed => Vec::new(),
        }
    }
}

/// Adds a component, which replaces one with the same name.
fn register<T>(list: &mut List<T>, name: &'static str, make: Extension<T>) {
    list.retain(|(known, _)| *known != name);
    list.push((name, make));
}

/// Components of a configuration file by name. Exporters are registered with
/// [`TelemetryBuilder::with_span_exporter_factory`] and its siblings, propagators and resource detectors with
/// [`TelemetryBuilder::with_propagator_factory`] and [`TelemetryBuilder::with_resource_detector`].
impl TelemetryBuilder {
    /// Registers a sampler under a name that a configuration file can select.
    pub fn with_sampler_factory(mut self, name: &'static str, make: Extension<Box<dyn Sampler>>) -> Self {
        register(&mut self.model.extensions.samplers, name, make);
        self
    }

    /// Registers a span processor under a name that a configuration file can select. It runs before the exporters' processors.
    pub fn with_span_processor_factory(mut self, name: &'static str, make: Extension<Box<dyn SpanProcessor>>) -> Self {
        register(&mut self.model.extensions.span_processors, name, make);
        self
    }

    /// Registers a log record processor under a name that a configuration file can select. It runs before the exporters' processors.
    pub fn with_log_processor_factory(
        mut self,
        name: &'static str,
        make: Extension<Box<dyn LogRecordProcessor>>,
    ) -> Self {
        register(&mut self.model.extensions.log_processors, name, make);
        self
    }
}
