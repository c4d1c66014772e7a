//! The pipelines of one signal, generic over the signal: exporters set in code or selected by name, and how they are started.

use std::any::Any;
use std::cell::Cell;
use std::fmt::{self, Debug};
use std::time::Duration;

use super::registry::{Factory, Node};
use crate::config::{Env, Settings};
use crate::diag;
use crate::error::{ConfigError, Contained};
use crate::export::Exporter;
use crate::resource::Resource;
use crate::runtime::{Pacer, Runtime};
use crate::signal::Signal;

/// A signal that can be installed: the types and constants from which its pipelines are built. Sealed, as [`Signal`]
/// is.
pub trait PipelineSignal: Signal + Sized {
    /// Name of the variable that selects the exporters, such as `OTEL_TRACES_EXPORTER`.
    const EXPORTERS: &'static str;
    /// Timing and size of exports, shared by all pipelines of the signal that do not set their own.
    type Schedule: Copy + PartialEq + Debug + Send + Sync;
    /// The part of a pipeline that the provider holds: a processor or a reader.
    type End: Debug + Send + Sync;
    /// An object that observes the signal beside the exporters: a function that creates a span processor, or nothing.
    type Observer: Send + Sync;

    /// Reads the schedule from the environment.
    fn schedule_from_env(env: &Env) -> Self::Schedule;

    /// Returns what changes the time between the exports of a processor or reader.
    #[doc(hidden)]
    fn pacer(end: &Self::End) -> Option<Pacer>;

    /// Overrides a schedule with the settings of a batch processor or a periodic reader in a configuration file.
    #[doc(hidden)]
    fn schedule_from_file(schedule: Self::Schedule, settings: Settings<'_>) -> Self::Schedule;

    /// Starts the processor or reader for an exporter.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses to start another thread.
    fn start(
        exporter: impl Exporter<Self>,
        schedule: Self::Schedule,
        resource: &Resource,
        runtime: &Runtime,
    ) -> Result<Self::End, ConfigError>;

    /// Starts a processor that exports each item on its own, if the signal has one.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses to start another thread.
    #[doc(hidden)]
    fn start_simple(
        exporter: impl Exporter<Self>,
        resource: &Resource,
        runtime: &Runtime,
    ) -> Result<Self::End, ConfigError>;
}

/// An exporter together with its processor or reader, not yet started. Created by a [`Factory`].
pub struct Pipeline<S: PipelineSignal> {
    start: Start<S>,
    companions: Vec<Companion>,
    pub(super) observers: Vec<S::Observer>,
    processing: Processing<S>,
    /// The number of its processor or reader in the configuration file.
    in_file: Option<usize>,
}

/// The processor or reader in front of an exporter.
pub(super) enum Processing<S: PipelineSignal> {
    /// As the signal has it.
    Shared,
    /// With a schedule of a configuration file, and true if the file sets the time between exports, which code then does not change.
    Own(S::Schedule, bool),
    /// A processor that exports each item on its own.
    Simple,
}

type Starter<S> = dyn FnOnce(&Site<'_, S>) -> Result<<S as PipelineSignal>::End, ConfigError> + Send;

enum Start<S: PipelineSignal> {
    /// Not started yet; this function starts it.
    Later(Box<Starter<S>>),
    /// Already started, such as a reader created in code.
    Ready(S::End),
}

/// An object kept alive as long as the telemetry, such as an HTTP server.
pub(super) type Companion = Box<dyn Any + Send + Sync>;

/// Everything a pipeline needs in order to start.
pub(super) struct Site<'a, S: PipelineSignal> {
    schedule: S::Schedule,
    pub(super) resource: &'a Resource,
    pub(super) runtime: &'a Runtime,
    is_simple: bool,
    /// True if the pipeline has another schedule than its signal.
    has_own_schedule: Cell<bool>,
}

impl<S: PipelineSignal> Site<'_, S> {
    /// Returns the schedule of the pipeline, which is that of the signal as `adjust` changes it.
    pub(super) fn schedule(&self, adjust: impl FnOnce(S::Schedule) -> S::Schedule) -> S::Schedule {
        let own = adjust(self.schedule);
        if own != self.schedule {
            self.has_own_schedule.set(true);
        }
        own
    }
}

impl<S: PipelineSignal> Pipeline<S> {
    /// Creates a pipeline that runs `exporter` behind its signal's batch processor or periodic reader.
    pub fn new(exporter: impl Exporter<S>) -> Self {
        Pipeline::adjusted(exporter, std::convert::identity)
    }

    pub(super) fn starting(start: impl FnOnce(&Site<'_, S>) -> Result<S::End, ConfigError> + Send + 'static) -> Self {
        Pipeline::with_start(Start::Later(Box::new(start)))
    }

    /// Creates a pipeline that runs `exporter` behind its signal's processor or reader, with the signal's schedule as `adjust` changes it.
    pub(super) fn adjusted(
        exporter: impl Exporter<S>,
        adjust: impl FnOnce(S::Schedule) -> S::Schedule + Send + 'static,
    ) -> Self {
        Pipeline::starting(move |site| match site.is_simple {
            true => S::start_simple(exporter, site.resource, site.runtime),
            false => S::start(exporter, site.schedule(adjust), site.resource, site.runtime),
        })
    }

    fn with_start(start: Start<S>) -> Self {
        let processing = Processing::Shared;
        Pipeline { start, companions: Vec::new(), observers: Vec::new(), processing, in_file: None }
    }

    /// Sets the processor or reader in front of the exporter.
    pub(super) fn with_processing(mut self, processing: Processing<S>) -> Self {
        self.processing = processing;
        self
    }

    /// Sets the number of the processor or reader in the configuration file.
    pub(super) fn of_file(mut self, index: usize) -> Self {
        self.in_file = Some(index);
        self
    }

    pub(super) fn ready(end: S::End) -> Self {
        Pipeline::with_start(Start::Ready(end))
    }

    /// Adds a server that serves this pipeline's page. It is dropped with the telemetry, after the last export.
    pub fn with_server(mut self, server: impl Send + Sync + 'static) -> Self {
        self.companions.push(Box::new(Contained::new(server)));
        self
    }
}

impl<S: PipelineSignal> Debug for Pipeline<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pipeline({})", S::NAME)
    }
}

/// The pipelines of a signal, from code and the environment. `None` marks settings that are still open.
#[derive(Debug)]
pub(super) struct Pipelines<S: PipelineSignal> {
    exporters: Option<Vec<Choice<S>>>,
    /// Exporters beside those that the variable selects.
    additional: Vec<Pipeline<S>>,
    /// Exporters that code has registered by name, in addition to those of the registry.
    named: Vec<Factory<S>>,
    schedule: Option<S::Schedule>,
}

/// An exporter in the configuration.
#[derive(Debug)]
enum Choice<S: PipelineSignal> {
    /// Name under which the exporter is registered.
    Named(&'static str),
    Made(Pipeline<S>),
}

impl<S: PipelineSignal> Default for Pipelines<S> {
    fn default() -> Self {
        Pipelines { exporters: None, additional: Vec::new(), named: Vec::new(), schedule: None }
    }
}

impl<S: PipelineSignal> Pipelines<S> {
    pub(super) fn add(&mut self, pipeline: Pipeline<S>) {
        self.exporters.get_or_insert_default().push(Choice::Made(pipeline));
    }

    /// Adds a pipeline beside those that the variable selects.
    pub(super) fn add_beside(&mut self, pipeline: Pipeline<S>) {
        self.additional.push(pipeline);
    }

    /// Registers an exporter that the variable can select. Of two with the same name, the last one applies.
    pub(super) fn register(&mut self, factory: Factory<S>) {
        self.named.retain(|known| known.name() != factory.name());
        self.named.push(factory);
    }

    /// Returns the registered exporters. Those of the code take precedence over those of the registry.
    pub(super) fn known<'a>(&'a self, factories: &'a [Factory<S>]) -> Vec<&'a Factory<S>> {
        let is_replaced = |factory: &Factory<S>| self.named.iter().any(|own| own.name() == factory.name());
        factories.iter().filter(|factory| !is_replaced(factory)).chain(&self.named).collect()
    }

    pub(super) fn set_schedule(&mut self, schedule: S::Schedule) {
        self.schedule = Some(schedule);
    }

    /// Returns the schedule if it is already known.
    pub(super) fn schedule(&self) -> Option<S::Schedule> {
        self.schedule
    }

    /// Fills the settings that code left open from the environment.
    ///
    /// # Errors
    /// Returns an error if the value of the variable that selects exporters is contradictory.
    pub(super) fn complete(&mut self, env: &Env, factories: &[Factory<S>]) -> Result<(), ConfigError> {
        if self.exporters.is_none() {
            let names = self.selected(env, factories)?;
            self.exporters = Some(names.into_iter().map(Choice::Named).collect());
        } else if env.string(S::EXPORTERS).is_some() {
            diag::started(format_args!("{} is not read, because code sets the exporters", S::EXPORTERS));
        }
        self.exporters.get_or_insert_default().extend(self.additional.drain(..).map(Choice::Made));
        self.schedule.get_or_insert_with(|| S::schedule_from_env(env));
        Ok(())
    }

    /// Returns the names of the exporters that the variable selects.
    ///
    /// # Errors
    /// Returns an error if the value of the variable is contradictory.
    pub(super) fn selected(&self, env: &Env, factories: &[Factory<S>]) -> Result<Vec<&'static str>, ConfigError> {
        let known: Vec<_> = self.known(factories).into_iter().filter(|row| row.is_for_variables()).collect();
        names::<S>(env, &known)
    }

    /// Returns true if code has set or added an exporter.
    pub(super) fn has_any(&self) -> bool {
        self.exporters.as_ref().is_some_and(|exporters| !exporters.is_empty()) || !self.additional.is_empty()
    }

    /// Completes the settings that code left open with the pipelines of a configuration file.
    pub(super) fn complete_from_file(&mut self, made: Vec<Pipeline<S>>, schedule: S::Schedule) {
        let of_file = || made.into_iter().map(Choice::Made).collect();
        let additional = std::mem::take(&mut self.additional);
        self.exporters.get_or_insert_with(of_file).extend(additional.into_iter().map(Choice::Made));
        self.schedule.get_or_insert(schedule);
    }

    /// Replaces each name with the pipeline its factory creates.
    ///
    /// # Errors
    /// Returns an error if a factory fails.
    pub(super) fn make(&mut self, node: Node<'_>, factories: &[Factory<S>]) -> Result<(), ConfigError> {
        let mut exporters = std::mem::take(&mut self.exporters);
        let known: Vec<_> = self.known(factories).into_iter().filter(|row| row.is_for_variables()).collect();
        for choice in exporters.iter_mut().flatten() {
            let Choice::Named(name) = choice else { continue };
            if let Some(factory) = known.iter().find(|factory| factory.name() == *name) {
                *choice = Choice::Made(factory.make(node)?);
            }
        }
        self.exporters = exporters;
        Ok(())
    }

    /// Describes each pipeline by its processing, which is `None` if it has started already, and by the schedule of the signal.
    #[cfg(test)]
    pub(super) fn each(self, describe: impl Fn(Option<Processing<S>>, Option<S::Schedule>) -> String) -> Vec<String> {
        let schedule = self.schedule;
        let made = self.exporters.into_iter().flatten().filter_map(|choice| match choice {
            Choice::Made(pipeline) => Some(pipeline),
            Choice::Named(_) => None,
        });
        made.map(|pipeline| match pipeline.start {
            Start::Later(_) => describe(Some(pipeline.processing), schedule),
            Start::Ready(_) => describe(None, schedule),
        })
        .collect()
    }

    /// Returns the processors or readers that already exist, without starting any others.
    pub(super) fn ready(self) -> impl Iterator<Item = S::End> {
        let made = self.exporters.into_iter().flatten().filter_map(|choice| match choice {
            Choice::Made(pipeline) => Some(pipeline),
            Choice::Named(_) => None,
        });
        made.chain(self.additional).filter_map(|pipeline| match pipeline.start {
            Start::Ready(end) => Some(end),
            Start::Later(_) => None,
        })
    }

    /// Removes and returns the observers of all created pipelines.
    pub(super) fn take_observers(&mut self) -> Vec<S::Observer> {
        let made = self.exporters.iter_mut().flatten().filter_map(|choice| match choice {
            Choice::Made(pipeline) => Some(pipeline),
            Choice::Named(_) => None,
        });
        made.flat_map(|pipeline| std::mem::take(&mut pipeline.observers)).collect()
    }

    /// Starts all created pipelines, returns their processors or readers, and adds their servers to `companions` and what changes the
    /// schedule of the signal to `pacers`.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses to start another thread.
    pub(super) fn start(
        self,
        resource: &Resource,
        runtime: &Runtime,
        companions: &mut Vec<Companion>,
        pacers: &mut SignalPacers,
    ) -> Result<Vec<S::End>, ConfigError> {
        let Some(schedule) = self.schedule else { return Ok(Vec::new()) };
        let mut stages = Vec::new();
        for choice in self.exporters.into_iter().flatten() {
            if let Choice::Made(pipeline) = choice {
                // Code goes before the file.
                let is_of_file = matches!(pipeline.processing, Processing::Own(..));
                let (schedule, is_fixed, is_simple) = match pipeline.processing {
                    Processing::Shared => (schedule, false, false),
                    Processing::Own(schedule, is_fixed) => (schedule, is_fixed, false),
                    Processing::Simple => (schedule, false, true),
                };
                let site = Site { schedule, resource, runtime, is_simple, has_own_schedule: Cell::new(is_fixed) };
                let end = match pipeline.start {
                    Start::Later(start) => start(&site)?,
                    Start::Ready(end) => {
                        site.has_own_schedule.set(true);
                        end
                    }
                };
                let pacer = S::pacer(&end);
                pacers.of_file.extend(pipeline.in_file.zip(pacer.clone()).filter(|_| is_of_file));
                pacers.shared.extend(pacer.filter(|_| !site.has_own_schedule.get()));
                stages.push(end);
                companions.extend(pipeline.companions);
            }
        }
        Ok(stages)
    }
}

/// What changes the time between the exports of a signal.
#[derive(Debug, Default)]
pub(super) struct SignalPacers {
    /// Those of the pipelines that have the schedule of the signal.
    pub(super) shared: Vec<Pacer>,
    /// Those of the processors and readers whose schedule the configuration file sets, by their numbers.
    pub(super) of_file: Vec<(usize, Pacer)>,
}

impl SignalPacers {
    /// Sets the time between the exports of a processor or reader of the configuration file.
    pub(super) fn set_of_file(&self, number: usize, delay: Duration) {
        self.of_file.iter().filter(|(known, _)| *known == number).for_each(|(_, pacer)| pacer.set(delay));
    }
}

/// The default exporter of the specification, used when the variable names none.
const DEFAULT: &str = "otlp";

/// Returns the exporters that the environment selects, or the default one if it is compiled in.
fn names<S: PipelineSignal>(env: &Env, factories: &[&Factory<S>]) -> Result<Vec<&'static str>, ConfigError> {
    const NONE: &str = "none";
    if factories.is_empty() {
        return Ok(Vec::new());
    }
    let all = || factories.iter().map(|factory| factory.name());
    let known: Vec<_> = all().chain([NONE]).map(|name| (name, name)).collect();
    // spec: configuration/common.md#enum — a value without any known name is ignored, so the default applies.
    let Some(names) = env.list_of(S::EXPORTERS, &known).filter(|names| !names.is_empty()) else {
        // By building the program without the feature, its author has chosen to export nothing by default.
        let default = factories.iter().filter(|factory| factory.name() == DEFAULT && !factory.is_missing());
        return Ok(default.map(|factory| factory.name()).collect());
    };
    if !names.contains(&NONE) {
        return Ok(names);
    }
    if names.len() > 1 {
        let value = env.string(S::EXPORTERS).unwrap_or_default();
        let list = and_list(&all().collect::<Vec<_>>());
        return Err(ConfigError::invalid(S::EXPORTERS, value, format!("none alone, or a list of {list}")));
    }
    Ok(Vec::new())
}

/// Joins names for a message, as in `otlp, console and prometheus`.
fn and_list(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Traces;
    use crate::testing::InMemoryExporter;

    const FACTORIES: &[Factory<Traces>] = &[
        Factory::new("otlp", |_| Ok(Pipeline::new(InMemoryExporter::<Traces>::new()))),
        Factory::new("page", |_| Ok(Pipeline::new(InMemoryExporter::<Traces>::new()))),
        Factory::missing("console", "enable the feature `console`"),
    ];

    /// Compares the pipelines created from a variable's value, plus the warnings, or the error, with `expected`.
    fn check(value: &str, factories: &[Factory<Traces>], expected: &str) {
        let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", value)]);
        let mut pipelines = Pipelines::<Traces>::default();
        let named = pipelines.complete(&env, factories).map(|()| format!("{:?}", pipelines.exporters));
        let made = named.and_then(|named| pipelines.make(Node::new(&env), factories).map(|()| named));
        let shown = made.unwrap_or_else(|error| error.to_string());
        let warnings = env.take_warnings().iter().map(ToString::to_string).collect();
        assert_eq!([vec![shown], warnings].concat().join("; "), expected, "{value:?}");
    }

    #[test]
    fn names_become_pipelines() {
        check("", FACTORIES, "Some([Named(\"otlp\")])");
        check("", &FACTORIES[1..], "Some([])");
        check("none", FACTORIES, "Some([])");
        check("page, OTLP", FACTORIES, "Some([Named(\"page\"), Named(\"otlp\")])");
        check(
            "zipkin",
            FACTORIES,
            "Some([Named(\"otlp\")]); OTEL_TRACES_EXPORTER=\"zipkin\" cannot be used: expected one of otlp, page, \
             console, none",
        );
        check("zipkin", &[], "Some([])");
    }

    #[test]
    fn what_cannot_be_made_is_an_error_with_the_remedy() {
        check(
            "otlp,none",
            FACTORIES,
            "OTEL_TRACES_EXPORTER=\"otlp,none\" cannot be used: expected none alone, or a list of otlp, page and console",
        );
        check(
            "console",
            FACTORIES,
            "OTEL_TRACES_EXPORTER=\"console\" cannot be used: expected an exporter that is compiled in: enable the \
             feature `console`",
        );
    }

    #[test]
    fn a_name_that_code_registers_is_added_and_replaces_only_its_own() {
        let shown = |value, register: &[&'static str]| {
            let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", value)]);
            let mut pipelines = Pipelines::<Traces>::default();
            let make: fn(Node<'_>) -> Result<Pipeline<Traces>, ConfigError> =
                |_| Ok(Pipeline::new(InMemoryExporter::<Traces>::new()));
            register.iter().for_each(|name| pipelines.register(Factory::new(name, make)));
            pipelines.add_beside(Pipeline::new(InMemoryExporter::<Traces>::new()));
            pipelines.complete(&env, FACTORIES).unwrap();
            let named = format!("{:?}", pipelines.exporters);
            let made = pipelines.make(Node::new(&env), FACTORIES).map_err(|error| error.to_string());
            (named, made, env.take_warnings().iter().map(ToString::to_string).collect::<String>())
        };
        let beside = "Made(Pipeline(traces))";
        let is = |list: &str| (format!("Some([{list}{beside}])"), Ok(()), String::new());
        assert_eq!(shown("otlp,view", &["view"]), is("Named(\"otlp\"), Named(\"view\"), "));
        assert_eq!(shown("", &["view"]), is("Named(\"otlp\"), "));
        assert_eq!(shown("none", &["view"]), is(""));
        // Its own `console` replaces the one that is not compiled in.
        assert_eq!(shown("console", &["console", "console"]), is("Named(\"console\"), "));
        let (_, _, warning) = shown("zipkin", &["view"]);
        assert!(warning.ends_with("expected one of otlp, page, console, view, none"), "{warning}");
    }

    #[test]
    fn an_exporter_in_code_replaces_the_variable() {
        let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "unheard-of,none,otlp")]);
        let mut pipelines = Pipelines::default();
        pipelines.add(Pipeline::new(InMemoryExporter::<Traces>::new()));
        pipelines.complete(&env, FACTORIES).unwrap();
        assert_eq!(format!("{:?}", pipelines.exporters), "Some([Made(Pipeline(traces))])");
        assert_eq!(env.take_warnings().len(), 0);
    }
}
