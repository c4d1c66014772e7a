//! The logger provider: the resource, limits and processors shared by its loggers.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::LoggerProvider;

use super::processor::caught;
use super::volume::Control;
use super::{LogRecordProcessor, LogVolume, LoggerConfig, Scope, SdkLogger};
use crate::baggage_attributes::BaggageAttributes;
use crate::control::{ConfigOf, Configs, Configurator, Flags, Switch, Switches};
use crate::diag::{self, Counters, LogCount, SignalHealth};
use crate::error::{ExportError, catch};
use crate::limits::LogRecordLimits;
use crate::redaction::{self, Redaction};
use crate::resource::Resource;
use crate::runtime::{OFF_IN_A_FORKED_CHILD, is_background};
use crate::sync::Shared;
use crate::time::{Clock, Deadline};

/// Creates loggers. Cheap to clone; clones share the same provider.
///
/// spec: logs/sdk.md#loggerprovider
#[derive(Clone, Debug)]
pub struct SdkLoggerProvider(pub(super) ProviderRef);

impl SdkLoggerProvider {
    /// Creates a builder with the default configuration.
    pub fn builder() -> LoggerProviderBuilder {
        LoggerProviderBuilder::default()
    }

    /// Returns a logger whose records have this scope.
    pub fn logger_in(&self, scope: Scope) -> SdkLogger {
        let scope = redaction::shown(&self.0.redaction, scope);
        SdkLogger { provider: self.0.clone(), config: ConfigOf::new(), scope }
    }

    /// Returns the resource.
    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// Returns the limits of the provider's records.
    pub fn limits(&self) -> LogRecordLimits {
        self.0.limits
    }

    /// Exports all emitted records.
    ///
    /// # Errors
    /// Returns the first error of a processor. The remaining processors are still flushed.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.report_suppressed();
        self.0.each_processor(|processor| processor.flush(deadline))
    }

    /// Exports all emitted records and shuts down: later records are dropped. A second call waits for the first.
    ///
    /// # Errors
    /// Returns the first error of a processor. The remaining ones are still shut down.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.report_suppressed();
        if self.0.switches.end() {
            return self.0.each_processor(|processor| match processor.flush(deadline) {
                Err(error) if error.is_shutdown() => Ok(()),
                result => result,
            });
        }
        self.0.each_processor(|processor| processor.shutdown(deadline))
    }

    /// Returns the counts of exported and dropped records for each exporter.
    pub fn health(&self) -> Vec<SignalHealth> {
        self.0.processors.iter().flat_map(|processor| catch(|| processor.health()).unwrap_or_default()).collect()
    }

    /// Returns the counters of each exporter.
    pub(crate) fn counters(&self) -> Vec<Arc<Counters>> {
        self.0.processors.iter().flat_map(|processor| catch(|| processor.all_counters()).unwrap_or_default()).collect()
    }

    /// Returns the count of emitted records, if they are counted.
    pub(crate) fn log_count(&self) -> Option<Arc<LogCount>> {
        self.0.count.clone()
    }

    /// Returns true if the provider has a processor and is not shut down.
    pub(crate) fn is_recording(&self) -> bool {
        !self.0.has_ended() && self.has_processors()
    }

    /// Returns true if a record that is emitted now may be recorded.
    pub(crate) fn takes_records(&self) -> bool {
        !self.0.switches.state().is_off() && self.has_processors()
    }

    /// Replaces the rules that limit the volume.
    pub(crate) fn set_volume(&self, mut volume: LogVolume) {
        // Tail sampling then decides about the records of each trace, and the sampler may have sampled none.
        if self.0.follows_tail {
            volume = volume.with_sampled_traces_only(false);
        }
        if let Some(control) = self.0.volume() {
            return control.set(volume);
        }
        if volume.is_unlimited() {
            return;
        }
        let control = Arc::new(Control::new(volume.clone()));
        if self.0.volume.set(control.clone()).is_err() {
            // Another thread was faster.
            return self.set_volume(volume);
        }
        for counters in self.counters() {
            let control = control.clone();
            counters.set_suppressed(move || control.suppressed());
        }
    }

    /// Replaces the rules of loggers.
    pub(crate) fn set_configurator(&self, configurator: Configurator<LoggerConfig>) {
        self.0.configs.replace(configurator).dispose();
    }

    /// Sets one of the switches. While one is off, records are dropped.
    pub(crate) fn set_enabled(&self, switch: Switch, is_enabled: bool) {
        self.0.switches.set(switch, is_enabled);
    }

    pub(crate) fn is_enabled(&self, switch: Switch) -> bool {
        self.0.switches.state().is_on(switch)
    }

    pub(super) fn has_processors(&self) -> bool {
        !self.0.processors.is_empty()
    }

    /// Stops recording. Uses only atomics, because it runs in forked children.
    pub(crate) fn turn_off(&self) {
        self.0.switches.end();
        self.0.note.store(Note::Forked as u8, Ordering::Relaxed);
    }

    /// Makes the next record report that it is lost because the telemetry's guard was dropped.
    pub(crate) fn note_that_the_guard_is_gone(&self) {
        if self.0.has_ended() && self.has_processors() {
            self.0.note.store(Note::GuardGone as u8, Ordering::Relaxed);
        }
    }

    /// Makes this provider live as long as the program, so that its loggers need no reference counting. Leaks a few hundred
    /// bytes per installed provider.
    pub(crate) fn into_static(self) -> Self {
        SdkLoggerProvider(self.0.into_static())
    }
}

impl LoggerProvider for SdkLoggerProvider {
    type Logger = SdkLogger;

    fn logger_with_scope(&self, scope: InstrumentationScope) -> SdkLogger {
        self.logger_in(scope.into())
    }
}

/// Configures and builds an [`SdkLoggerProvider`].
#[derive(Debug)]
pub struct LoggerProviderBuilder {
    resource: Resource,
    clock: Clock,
    limits: LogRecordLimits,
    configurator: Configurator<LoggerConfig>,
    volume: LogVolume,
    baggage: BaggageAttributes,
    processors: Vec<Box<dyn LogRecordProcessor>>,
    redaction: Option<Redaction>,
    counts_records: bool,
    follows_tail: bool,
}

impl Default for LoggerProviderBuilder {
    fn default() -> Self {
        LoggerProviderBuilder {
            resource: Resource::empty(),
            clock: Clock::system(),
            limits: LogRecordLimits::DEFAULT,
            configurator: Configurator::default(),
            volume: LogVolume::new(),
            baggage: BaggageAttributes::default(),
            processors: Vec::new(),
            redaction: None,
            counts_records: false,
            follows_tail: false,
        }
    }
}

impl LoggerProviderBuilder {
    /// Sets the resource. The default is empty.
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.resource = resource;
        self
    }

    /// Sets the clock. The default is the system clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the limits of records.
    pub fn with_limits(mut self, limits: LogRecordLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the rules of loggers. By default, every logger takes every record.
    ///
    /// ```
    /// use opentelemetry::logs::Severity;
    /// use telemark_sdk::control::Configurator;
    /// use telemark_sdk::logs::{LoggerConfig, SdkLoggerProvider};
    ///
    /// let quiet = LoggerConfig::new().with_minimum_severity(Severity::Warn);
    /// let rules = Configurator::default().with_scopes("noisy*", quiet);
    /// let provider = SdkLoggerProvider::builder().with_logger_config(rules);
    /// # let _ = provider;
    /// ```
    pub fn with_logger_config(mut self, configurator: Configurator<LoggerConfig>) -> Self {
        self.configurator = configurator;
        self
    }

    /// Sets the rules that limit the volume of records. By default, every record is kept.
    pub fn with_volume(mut self, volume: LogVolume) -> Self {
        self.volume = volume;
        self
    }

    /// Copies the selected baggage entries to records when they are emitted. An entry never replaces an attribute that the record
    /// already has.
    pub fn with_baggage_attributes(mut self, selected: BaggageAttributes) -> Self {
        self.baggage = selected;
        self
    }

    /// Adds a processor. Without one, records are dropped.
    pub fn with_processor(mut self, processor: impl LogRecordProcessor) -> Self {
        self.processors.push(Box::new(processor));
        self
    }

    pub(crate) fn with_boxed_processor(mut self, processor: Box<dyn LogRecordProcessor>) -> Self {
        self.processors.push(processor);
        self
    }

    /// Redacts the attributes of scopes. A stage redacts records.
    pub(crate) fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = Some(redaction);
        self
    }

    /// Leaves the records of traces that are not sampled to a stage, which follows tail sampling.
    pub(crate) fn following_tail(mut self) -> Self {
        self.follows_tail = true;
        self
    }

    /// Returns true if code has set rules for loggers.
    pub(crate) fn has_rules(&self) -> bool {
        !self.configurator.is_default()
    }

    /// Enables counting of emitted records, for [`SelfMetrics`](crate::self_metrics::SelfMetrics).
    pub fn with_log_count(mut self) -> Self {
        self.counts_records = true;
        self
    }

    /// Builds the provider.
    pub fn build(self) -> SdkLoggerProvider {
        let inner = ProviderInner {
            volume: OnceLock::new(),
            baggage: self.baggage,
            // A processor that panics gets every record and its context.
            wants_context: self.processors.iter().any(|processor| catch(|| processor.wants_context()).unwrap_or(true)),
            is_selective: self.processors.iter().all(|processor| catch(|| processor.is_selective()).unwrap_or(false)),
            switches: Switches::new(false, Flags(0)),
            note: AtomicU8::new(Note::None as u8),
            count: self.counts_records.then(|| Arc::new(LogCount::new())),
            resource: self.resource,
            clock: self.clock,
            limits: self.limits,
            configs: Configs::new(self.configurator),
            processors: self.processors.into_boxed_slice(),
            redaction: self.redaction,
            follows_tail: self.follows_tail,
        };
        let provider = SdkLoggerProvider(ProviderRef::new(inner));
        provider.set_volume(self.volume);
        provider
    }
}

#[derive(Debug)]
pub(super) struct ProviderInner {
    resource: Resource,
    pub(super) clock: Clock,
    pub(super) limits: LogRecordLimits,
    /// The rules of loggers.
    pub(super) configs: Configs<LoggerConfig>,
    /// Empty unless the volume is or has been limited.
    volume: OnceLock<Arc<Control>>,
    pub(super) baggage: BaggageAttributes,
    pub(super) processors: Box<[Box<dyn LogRecordProcessor>]>,
    redaction: Option<Redaction>,
    /// True if a processor reads the context of records.
    pub(super) wants_context: bool,
    /// True if every processor may ignore a record.
    pub(super) is_selective: bool,
    /// `None` unless records are counted.
    count: Option<Arc<LogCount>>,
    switches: Switches,
    /// A [`Note`]: the message for the first record that comes too late, printed once.
    note: AtomicU8,
    follows_tail: bool,
}

/// The reason why a record is lost.
#[repr(u8)]
enum Note {
    None,
    GuardGone,
    Forked,
}

impl ProviderInner {
    /// Returns true after shutdown.
    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        self.switches.state().has_ended()
    }

    /// Returns true if records are dropped. The first lost record logs the reason.
    #[inline]
    pub(super) fn refuses(&self) -> bool {
        let is_off = self.switches.state().is_off();
        if is_off {
            self.say_why();
        }
        is_off || self.processors.is_empty()
    }

    #[cold]
    fn say_why(&self) {
        // A record of the SDK's own threads is not one that the program loses.
        if self.note.load(Ordering::Relaxed) == Note::None as u8 || is_background() {
            return;
        }
        match self.note.swap(Note::None as u8, Ordering::Relaxed) {
            note if note == Note::GuardGone as u8 => diag::guard_is_gone("this log record"),
            note if note == Note::Forked as u8 => crate::__warn!("fork", "{OFF_IN_A_FORKED_CHILD}"),
            _ => {}
        }
    }

    /// Returns true if emitting a record requires more of its context than the trace.
    #[inline]
    pub(super) fn reads_context(&self) -> bool {
        self.wants_context || !self.baggage.is_empty()
    }

    /// Returns the rules that limit the volume, if it is or has been limited.
    #[inline]
    pub(super) fn volume(&self) -> Option<&Arc<Control>> {
        self.volume.get()
    }

    /// Counts an emitted record. Costs one branch if records are not counted.
    #[inline]
    pub(super) fn count_created(&self) {
        if let Some(count) = &self.count {
            count.add();
        }
    }

    /// Calls exporting processors first, so that a hanging processor of another kind cannot lose their records.
    fn each_processor(
        &self,
        call: impl Fn(&dyn LogRecordProcessor) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut processors: Vec<_> = self.processors.iter().collect();
        let exports = |processor: &dyn LogRecordProcessor| !processor.all_counters().is_empty();
        processors.sort_by_key(|processor| !catch(|| exports(&***processor)).unwrap_or(false));
        let mut result = Ok(());
        for processor in processors {
            // Call all processors, and keep the first error.
            result = result.and(caught(|| call(&**processor)));
        }
        result
    }
}

impl Drop for ProviderInner {
    /// Drops each processor by itself: its destructor is code of the program.
    fn drop(&mut self) {
        for processor in std::mem::take(&mut self.processors) {
            if catch(|| drop(processor)).is_err() {
                crate::__warn!("processor.panic", "a log record processor panicked when it was dropped");
            }
        }
    }
}

/// A reference to a provider, which is static once the provider is installed.
pub(super) type ProviderRef = Shared<ProviderInner>;
