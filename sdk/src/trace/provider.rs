//! The tracer provider: the resource, sampler, id generator, limits and processors that its tracers and their spans
//! share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use opentelemetry::trace::{SpanContext, SpanId, TracerProvider};
use opentelemetry::{Context, InstrumentationScope};

use super::attention::Wanted;
use super::decisions::{Decisions, Tail};
use super::processor::Processors;
use super::{ExceptionSignal, Scope, SdkSpan, SdkTracer, SpanProcessor, SpanRecord, TracerConfig};
use crate::baggage_attributes::BaggageAttributes;
use crate::control::State;
use crate::control::{ConfigOf, Configurator};
use crate::diag::{self, Counters, Origin, Outcome, SignalHealth, SpanCounts};
use crate::error::{Contained, ExportError, catch};
use crate::id::IdGenerator;
use crate::limits::SpanLimits;
use crate::redaction::{self, Redaction};
use crate::resource::Resource;
use crate::runtime::OFF_IN_A_FORKED_CHILD;
use crate::sampling::{ParentBased, Sampler};
use crate::sync::Shared;
use crate::time::{Clock, Deadline};

/// Creates tracers. Cheap to clone; clones share the same provider.
///
/// spec: trace/sdk.md#tracer-provider
#[derive(Clone, Debug)]
pub struct SdkTracerProvider(pub(super) ProviderRef);

impl SdkTracerProvider {
    /// Creates a builder with the default configuration.
    pub fn builder() -> TracerProviderBuilder {
        TracerProviderBuilder::default()
    }

    /// Returns a tracer whose spans have this scope.
    pub fn tracer_in(&self, scope: Scope) -> SdkTracer {
        let scope = redaction::shown(&self.0.redaction, scope);
        SdkTracer { provider: self.0.clone(), scope, config: ConfigOf::new() }
    }

    /// Returns the resource.
    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// Exports all ended spans.
    ///
    /// # Errors
    /// Returns the first error from a processor. All processors are flushed regardless.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.processors.each(|processor| processor.flush(deadline))
    }

    /// Exports all ended spans and shuts down: later spans are not recorded, and the sampler is shut down. A second
    /// call waits for the first to finish. Otherwise, a program that exits on two threads at the same time, such as
    /// after a signal, could end during the last export.
    ///
    /// # Errors
    /// Returns the first error from a processor or the sampler. All of them are shut down regardless.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        if self.0.decisions.end() {
            return self.0.processors.each(|processor| match processor.flush(deadline) {
                Err(error) if error.is_shutdown() => Ok(()),
                result => result,
            });
        }
        let processors = self.0.processors.each(|processor| processor.shutdown(deadline));
        // Shut the sampler down last, so that a hanging sampler does not lose any spans.
        processors.and(self.0.decisions.shut_down(deadline))
    }

    /// Returns the counts of exported and dropped spans for each exporter.
    pub fn health(&self) -> Vec<SignalHealth> {
        self.0.processors.health()
    }

    /// Returns the counters of each exporter.
    pub(crate) fn counters(&self) -> Vec<Arc<Counters>> {
        self.0.processors.counters()
    }

    /// Returns the counts of started and ended spans, if they are counted.
    pub(crate) fn span_counts(&self) -> Option<Arc<SpanCounts>> {
        self.0.counts.clone()
    }

    /// Returns the counts of the tail sampler, if there is one.
    pub(crate) fn tail_counts(&self) -> Option<&Arc<diag::Decisions>> {
        self.0.decisions.tail().map(|tail| &tail.counts)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Returns the sampler's name as used in `OTEL_TRACES_SAMPLER`, or the sampler's description if it has no such
    /// name.
    pub(crate) fn sampler_name(&self) -> String {
        crate::sampling::name_of(&self.0.decisions.sampler_description()).into_owned()
    }

    /// Returns true if no spans are ever created, because the provider is disabled or has been shut down.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.has_ended()
    }

    /// Stops recording. Uses only atomics, because it runs in forked children.
    pub(crate) fn turn_off(&self) {
        self.0.decisions.end();
        self.0.note.store(Note::Forked as u8, Ordering::Relaxed);
    }

    /// Records that the telemetry's guard was dropped, so that the next span that starts logs a warning that spans are
    /// being lost.
    pub(super) fn note_that_the_guard_is_gone(&self) {
        self.0.note.store(Note::GuardGone as u8, Ordering::Relaxed);
    }

    /// Keeps this provider alive for as long as the program runs, so that its spans need no reference counting. Leaks
    /// a few hundred bytes per installed provider.
    pub(crate) fn into_static(self) -> Self {
        SdkTracerProvider(self.0.into_static())
    }
}

impl TracerProvider for SdkTracerProvider {
    type Tracer = SdkTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> SdkTracer {
        self.tracer_in(scope.into())
    }
}

/// Configures and builds an [`SdkTracerProvider`].
#[derive(Debug)]
pub struct TracerProviderBuilder {
    resource: Resource,
    sampler: Option<Contained<Box<dyn Sampler>>>,
    configurator: Configurator<TracerConfig>,
    ids: Option<Contained<Box<dyn IdGenerator>>>,
    clock: Clock,
    limits: SpanLimits,
    pub(super) exceptions: ExceptionSignal,
    baggage: BaggageAttributes,
    processors: Vec<Box<dyn SpanProcessor>>,
    tail: Option<Tail>,
    redaction: Option<Redaction>,
    counts_spans: bool,
    is_disabled: bool,
}

impl Default for TracerProviderBuilder {
    fn default() -> Self {
        TracerProviderBuilder {
            resource: Resource::empty(),
            sampler: None,
            configurator: Configurator::default(),
            ids: None,
            clock: Clock::system(),
            limits: SpanLimits::DEFAULT,
            exceptions: ExceptionSignal::default(),
            baggage: BaggageAttributes::default(),
            processors: Vec::new(),
            tail: None,
            redaction: None,
            counts_spans: false,
            is_disabled: false,
        }
    }
}

impl TracerProviderBuilder {
    /// Sets the resource. The default is empty.
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.resource = resource;
        self
    }

    /// Sets the sampler. By default, spans follow their parent, and root spans are sampled.
    pub fn with_sampler(self, sampler: impl Sampler) -> Self {
        self.with_boxed_sampler(Box::new(sampler))
    }

    pub(crate) fn with_boxed_sampler(mut self, sampler: Box<dyn Sampler>) -> Self {
        self.sampler = Some(Contained::new(sampler));
        self
    }

    /// Sets the configs of tracers. By default, every tracer is enabled.
    pub fn with_tracer_config(mut self, configurator: Configurator<TracerConfig>) -> Self {
        self.configurator = configurator;
        self
    }

    /// Sets the id generator. The default generates random ids.
    pub fn with_id_generator(mut self, ids: impl IdGenerator) -> Self {
        self.ids = Some(Contained::new(Box::new(ids)));
        self
    }

    /// Sets the clock. The default is the system clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the span limits.
    pub fn with_limits(mut self, limits: SpanLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets which baggage entries are copied to spans when they start. By default, no entries are copied.
    pub fn with_baggage_attributes(mut self, selected: BaggageAttributes) -> Self {
        self.baggage = selected;
        self
    }

    /// Adds a processor. Without a processor, spans have ids, which are propagated and attached to exemplars, but
    /// record nothing.
    pub fn with_processor(mut self, processor: impl SpanProcessor) -> Self {
        self.processors.push(Box::new(processor));
        self
    }

    /// Returns true if code has set configs of tracers.
    pub(crate) fn has_rules(&self) -> bool {
        !self.configurator.is_default()
    }

    pub(crate) fn has_processors(&self) -> bool {
        !self.processors.is_empty()
    }

    pub(crate) fn with_boxed_processor(mut self, processor: Box<dyn SpanProcessor>) -> Self {
        self.processors.push(processor);
        self
    }

    /// Redacts the attributes of scopes, and the names of spans that have not ended. A stage redacts ended spans.
    pub(crate) fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = Some(redaction);
        self
    }

    /// Records every span and announces local roots, for a tail sampler among the stages.
    pub(crate) fn with_tail(mut self, tail: Tail) -> Self {
        self.tail = Some(tail);
        self
    }

    /// Enables the counting of started and ended spans, for [`SelfMetrics`](crate::self_metrics::SelfMetrics).
    pub fn with_span_counts(mut self) -> Self {
        self.counts_spans = true;
        self
    }

    /// Disables traces: spans get no ids of their own, and incoming span contexts are propagated unchanged.
    ///
    /// spec: configuration/sdk-environment-variables.md, `OTEL_SDK_DISABLED`
    pub(crate) fn disabled(mut self) -> Self {
        self.is_disabled = true;
        self
    }

    /// Builds the provider.
    pub fn build(self) -> SdkTracerProvider {
        // Without a processor, nothing would read a span's contents, so none are stored. The span still counts as recording:
        // according to the specification, a sampled span always records, and the sampled flag must be propagated.
        let limits = if self.processors.is_empty() { SpanLimits::NOTHING } else { self.limits };
        let sampler = self.sampler.unwrap_or_else(|| Contained::new(Box::new(ParentBased::default())));
        let tail = self.tail.filter(|_| !self.processors.is_empty());
        let processors = Processors::new(self.processors);
        let mut wants_start = processors.wanted(|processor| processor.wants_start());
        wants_start.always |= !self.baggage.is_empty();
        let inner = ProviderInner {
            decisions: Decisions::new(sampler, self.configurator, tail, self.is_disabled),
            wants_start,
            wants_ending: processors.wanted(|processor| processor.wants_ending()),
            note: AtomicU8::new(Note::None as u8),
            counts: self.counts_spans.then(|| Arc::new(SpanCounts::new())),
            resource: self.resource,
            ids: self.ids,
            clock: self.clock,
            limits,
            exceptions: self.exceptions,
            baggage: self.baggage,
            redaction: self.redaction,
            processors,
        };
        SdkTracerProvider(ProviderRef::new(inner))
    }
}

#[derive(Debug)]
pub(super) struct ProviderInner {
    pub(super) resource: Resource,
    pub(super) decisions: Decisions,
    /// The times at which spans need their parent's context when they start, either for a processor or to copy baggage.
    pub(super) wants_start: Wanted,
    /// The times at which a processor needs to be called before spans end.
    pub(super) wants_ending: Wanted,
    /// `None` if ids are random.
    pub(super) ids: Option<Contained<Box<dyn IdGenerator>>>,
    pub(super) clock: Clock,
    pub(super) limits: SpanLimits,
    pub(super) exceptions: ExceptionSignal,
    pub(super) baggage: BaggageAttributes,
    pub(super) processors: Processors,
    pub(super) redaction: Option<Redaction>,
    /// `None` unless spans are counted.
    counts: Option<Arc<SpanCounts>>,
    /// A [`Note`], which explains why no spans are created. It is logged once, when the next span starts.
    note: AtomicU8,
}

/// The reason why a new span is lost.
#[repr(u8)]
enum Note {
    None,
    GuardGone,
    Forked,
}

impl ProviderInner {
    /// Returns true if no spans are ever created, because the provider is disabled or has been shut down.
    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        self.decisions.state().has_ended()
    }

    /// Returns true if no span starts in this state. If the span is the first to be lost, logs the reason.
    #[inline]
    pub(super) fn refuses(&self, state: State) -> bool {
        let is_off = state.is_off();
        if is_off {
            self.say_why();
        }
        is_off
    }

    #[cold]
    fn say_why(&self) {
        // Nothing is stored in the common case, so that the threads of a program without telemetry do not disturb each other.
        if self.note.load(Ordering::Relaxed) == Note::None as u8 {
            return;
        }
        match self.note.swap(Note::None as u8, Ordering::Relaxed) {
            note if note == Note::GuardGone as u8 => diag::guard_is_gone("this span"),
            note if note == Note::Forked as u8 => crate::__warn!("fork", "{OFF_IN_A_FORKED_CHILD}"),
            _ => {}
        }
    }

    /// Counts a started span that is not recorded. Costs one branch if spans are not counted.
    #[inline]
    pub(super) fn count_dropped(&self, parent: &SpanContext) {
        if let Some(counts) = &self.counts {
            let origin = Origin::of_parent(parent.is_valid(), parent.is_remote());
            counts.start(origin, Outcome::Dropped);
        }
    }

    /// Counts a started span that is recorded.
    #[inline]
    pub(super) fn count_recorded(&self, span: &SpanRecord) {
        if let Some(counts) = &self.counts {
            let origin = Origin::of_parent(span.parent_span_id != SpanId::INVALID, span.parent_is_remote);
            counts.start(origin, Outcome::of_recorded(span.context.is_sampled()));
        }
    }

    /// Counts the end of a recorded span.
    #[inline]
    pub(super) fn count_end(&self, context: &SpanContext) {
        if let Some(counts) = &self.counts {
            counts.end(context.is_sampled());
        }
    }

    /// Copies baggage to a span that starts, and calls the processors.
    #[cold]
    pub(super) fn started(&self, span: &mut SdkSpan, parent: &Context) {
        self.baggage.in_context(parent).for_each(|entry| span.set_if_missing(entry));
        for processor in self.processors.iter() {
            if catch(|| processor.on_start(span, parent)).is_err() {
                crate::__warn!("processor.panic", "a span processor panicked when a span started");
            }
        }
    }
}

/// A reference to a provider, which is static once the provider is installed.
pub(super) type ProviderRef = Shared<ProviderInner>;
