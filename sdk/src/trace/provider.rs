//! The tracer provider: resource, sampler, ids, limits and processors, shared by its tracers and their spans.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use opentelemetry::trace::{SpanContext, SpanId, TracerProvider};
use opentelemetry::{Context, InstrumentationScope};

use super::processor::{caught, staged};
use super::{Scope, SdkSpan, SdkTracer, SpanProcessor, SpanRecord};
use crate::batch::{BatchConfig, Stage};
use crate::diag::{self, Counters, Origin, Outcome, SignalHealth, SpanCounts};
use crate::error::{ConfigError, ExportError, catch};
use crate::id::IdGenerator;
use crate::limits::SpanLimits;
use crate::resource::Resource;
use crate::runtime::{OFF_IN_A_FORKED_CHILD, Runtime};
use crate::sampling::Sampler;
use crate::signal::Traces;
use crate::time::{Clock, Deadline};

/// Creates tracers. Cheap to clone; clones share one provider.
///
/// spec: trace/sdk.md#tracer-provider
#[derive(Clone, Debug)]
pub struct SdkTracerProvider(ProviderRef);

impl SdkTracerProvider {
    /// Returns a builder.
    pub fn builder() -> TracerProviderBuilder {
        TracerProviderBuilder::default()
    }

    /// Returns a tracer whose spans have this scope.
    pub fn tracer_in(&self, scope: Scope) -> SdkTracer {
        SdkTracer { provider: self.0.clone(), scope }
    }

    /// Returns the resource.
    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// Exports every span that has ended.
    ///
    /// # Errors
    /// The first error of a processor; the others are flushed nevertheless.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.each_processor(|processor| processor.flush(deadline))
    }

    /// Exports all ended spans and shuts down: later spans are not recorded, and the sampler is shut down. A second call waits
    /// for the first, so that a program that exits on two threads at once (after a signal, for example) does not exit during
    /// the last export.
    ///
    /// # Errors
    /// The first error of a processor or the sampler. The remaining ones are still shut down.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        if self.0.off.swap(true, Ordering::AcqRel) {
            return self.0.each_processor(|processor| match processor.flush(deadline) {
                Err(error) if error.is_shutdown() => Ok(()),
                result => result,
            });
        }
        let processors = self.0.each_processor(|processor| processor.shutdown(deadline));
        // Last, so that a sampler that hangs does not cost any spans.
        processors.and(crate::sampling::shut_down(&*self.0.sampler, deadline))
    }

    /// Returns the counts of exported and dropped spans for each exporter.
    pub fn health(&self) -> Vec<SignalHealth> {
        let health = |processor: &dyn SpanProcessor| match &processor.all_counters()[..] {
            // A processor may know its health without counters.
            [] | [_] => processor.health().into_iter().collect(),
            several => several.iter().map(|counters| counters.snapshot()).collect::<Vec<_>>(),
        };
        self.0.processors.iter().flat_map(|processor| health(&**processor)).collect()
    }

    /// Returns the counters of each exporter.
    pub(crate) fn counters(&self) -> Vec<Arc<Counters>> {
        self.0.processors.iter().flat_map(|processor| processor.all_counters()).collect()
    }

    /// Returns the counts of spans that start and end, if there are any.
    pub(crate) fn span_counts(&self) -> Option<Arc<SpanCounts>> {
        self.0.counts.clone()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Returns the sampler's name in `OTEL_TRACES_SAMPLER`, or its description.
    pub(crate) fn sampler_name(&self) -> String {
        let description = catch(|| self.0.sampler.description()).unwrap_or("one that panics".into());
        crate::sampling::name_of(&description).into_owned()
    }

    /// Returns true if there are no spans: when disabled, and after the shutdown.
    pub(crate) fn is_off(&self) -> bool {
        self.0.is_off()
    }

    /// Stops recording. Uses only atomic stores, because a forked child calls this.
    pub(crate) fn turn_off(&self) {
        self.0.off.store(true, Ordering::Relaxed);
        self.0.note.store(Note::Forked as u8, Ordering::Relaxed);
    }

    /// Lets the next span that starts report that it is lost because the guard of the telemetry was dropped.
    pub(super) fn note_that_the_guard_is_gone(&self) {
        self.0.note.store(Note::GuardGone as u8, Ordering::Relaxed);
    }

    /// Makes this provider live as long as the program, so that its spans count no references. Leaks a few hundred bytes for each
    /// installed provider.
    pub(crate) fn into_static(self) -> Self {
        SdkTracerProvider(match self.0 {
            ProviderRef::Shared(inner) => ProviderRef::Static(Box::leak(Box::new(inner))),
            made @ ProviderRef::Static(_) => made,
        })
    }
}

impl TracerProvider for SdkTracerProvider {
    type Tracer = SdkTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> SdkTracer {
        self.tracer_in(scope.into())
    }
}

/// Configures a [`SdkTracerProvider`].
#[derive(Debug)]
pub struct TracerProviderBuilder {
    resource: Resource,
    sampler: Option<Box<dyn Sampler>>,
    ids: Option<Box<dyn IdGenerator>>,
    clock: Clock,
    limits: SpanLimits,
    processors: Vec<Box<dyn SpanProcessor>>,
    counts_spans: bool,
    is_disabled: bool,
}

impl Default for TracerProviderBuilder {
    fn default() -> Self {
        TracerProviderBuilder {
            resource: Resource::empty(),
            sampler: None,
            ids: None,
            clock: Clock::system(),
            limits: SpanLimits::DEFAULT,
            processors: Vec::new(),
            counts_spans: false,
            is_disabled: false,
        }
    }
}

impl TracerProviderBuilder {
    /// Sets the resource; empty by default.
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.resource = resource;
        self
    }

    /// Sets the sampler; by default spans follow their parent, and roots are sampled.
    pub fn with_sampler(self, sampler: impl Sampler) -> Self {
        self.with_boxed_sampler(Box::new(sampler))
    }

    pub(crate) fn with_boxed_sampler(mut self, sampler: Box<dyn Sampler>) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// Sets the generator of ids; random by default.
    pub fn with_id_generator(mut self, ids: impl IdGenerator) -> Self {
        self.ids = Some(Box::new(ids));
        self
    }

    /// Sets the clock; that of the system by default.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the limits of spans.
    pub fn with_limits(mut self, limits: SpanLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a processor. Without one, spans have ids, which are propagated and which exemplars carry, and record nothing.
    pub fn with_processor(mut self, processor: impl SpanProcessor) -> Self {
        self.processors.push(Box::new(processor));
        self
    }

    /// Adds the processors of exporters, behind `stages` if there are any: see [`Stage`].
    ///
    /// # Errors
    /// The operating system refuses to start another thread.
    pub(crate) fn with_staged(
        mut self,
        stages: Vec<Box<dyn Stage<Traces>>>,
        processors: Vec<Box<dyn SpanProcessor>>,
        config: BatchConfig,
        runtime: &Runtime,
    ) -> Result<Self, ConfigError> {
        self.processors.extend(staged(stages, processors, config, runtime)?);
        Ok(self)
    }

    /// Counts the spans that start and end, for [`SelfMetrics`](crate::self_metrics::SelfMetrics).
    pub fn with_span_counts(mut self) -> Self {
        self.counts_spans = true;
        self
    }

    /// Switches traces off: no span has an id of its own, and incoming span contexts are propagated unchanged.
    ///
    /// spec: configuration/sdk-environment-variables.md, `OTEL_SDK_DISABLED`
    pub(crate) fn disabled(mut self) -> Self {
        self.is_disabled = true;
        self
    }

    /// Builds the provider.
    pub fn build(self) -> SdkTracerProvider {
        // Without a processor, a span holds nothing, because nothing would see it. It still is a recording span: the specification
        // has no span that is sampled and does not record, and the flag must be propagated.
        let limits = if self.processors.is_empty() { SpanLimits::NOTHING } else { self.limits };
        let sampler = self.sampler.unwrap_or_else(|| Box::new(crate::sampling::ParentBased::default()));
        let inner = ProviderInner {
            drops_below_unsampled: sampler.drops_below_unsampled_parents(),
            wants_start: self.processors.iter().any(|processor| processor.wants_start()),
            wants_ending: self.processors.iter().any(|processor| processor.wants_ending()),
            samples_below_sampled: sampler.samples_below_sampled_parents(),
            off: AtomicBool::new(self.is_disabled),
            note: AtomicU8::new(Note::None as u8),
            counts: self.counts_spans.then(|| Arc::new(SpanCounts::new())),
            resource: self.resource,
            sampler,
            ids: self.ids,
            clock: self.clock,
            limits,
            processors: self.processors.into_boxed_slice(),
        };
        SdkTracerProvider(ProviderRef::Shared(Arc::new(inner)))
    }
}

#[derive(Debug)]
pub(super) struct ProviderInner {
    pub(super) resource: Resource,
    pub(super) sampler: Box<dyn Sampler>,
    pub(super) drops_below_unsampled: bool,
    pub(super) samples_below_sampled: bool,
    /// True if a processor wants to see spans that start.
    pub(super) wants_start: bool,
    /// True if a processor wants to see spans that end, while they can be changed.
    pub(super) wants_ending: bool,
    /// `None` for random ids.
    pub(super) ids: Option<Box<dyn IdGenerator>>,
    pub(super) clock: Clock,
    pub(super) limits: SpanLimits,
    pub(super) processors: Box<[Box<dyn SpanProcessor>]>,
    /// `None` unless spans are counted.
    counts: Option<Arc<SpanCounts>>,
    /// Shut down or disabled: there are no spans.
    off: AtomicBool,
    /// A [`Note`]: the message, printed once, for a span that starts after the end.
    note: AtomicU8,
}

/// The reason why a span that starts is lost.
#[repr(u8)]
enum Note {
    None,
    GuardGone,
    Forked,
}

impl ProviderInner {
    #[inline]
    pub(super) fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed)
    }

    /// As [`Self::is_off`], for a span that starts: the first lost one prints the reason.
    #[inline]
    pub(super) fn refuses(&self) -> bool {
        let is_off = self.is_off();
        if is_off {
            self.say_why();
        }
        is_off
    }

    #[cold]
    fn say_why(&self) {
        match self.note.swap(Note::None as u8, Ordering::Relaxed) {
            note if note == Note::GuardGone as u8 => diag::guard_is_gone("this span"),
            note if note == Note::Forked as u8 => crate::__warn!("fork", "{OFF_IN_A_FORKED_CHILD}"),
            _ => {}
        }
    }

    /// Counts a span that starts and is not recorded. A branch unless spans are counted.
    #[inline]
    pub(super) fn count_dropped(&self, parent: &SpanContext) {
        if let Some(counts) = &self.counts {
            let origin = Origin::of_parent(parent.is_valid(), parent.is_remote());
            counts.start(origin, Outcome::Dropped);
        }
    }

    /// Counts a span that starts and is recorded.
    #[inline]
    pub(super) fn count_recorded(&self, span: &SpanRecord) {
        if let Some(counts) = &self.counts {
            let origin = Origin::of_parent(span.parent_span_id != SpanId::INVALID, span.parent_is_remote);
            counts.start(origin, Outcome::of_recorded(span.context.is_sampled()));
        }
    }

    /// Counts the end of a span that recorded.
    #[inline]
    pub(super) fn count_end(&self, context: &SpanContext) {
        if let Some(counts) = &self.counts {
            counts.end(context.is_sampled());
        }
    }

    /// Shows a span that starts to the processors.
    #[cold]
    pub(super) fn started(&self, span: &mut SdkSpan, parent: &Context) {
        for processor in &self.processors {
            if catch(|| processor.on_start(span, parent)).is_err() {
                crate::__warn!("processor.panic", "a span processor panicked when a span started");
            }
        }
    }

    /// Calls those that export first: another that hangs costs none of their spans.
    fn each_processor(&self, call: impl Fn(&dyn SpanProcessor) -> Result<(), ExportError>) -> Result<(), ExportError> {
        let mut processors: Vec<_> = self.processors.iter().collect();
        let exports = |processor: &dyn SpanProcessor| !processor.all_counters().is_empty();
        processors.sort_by_key(|processor| !catch(|| exports(&***processor)).unwrap_or(false));
        let mut result = Ok(());
        for processor in processors {
            // All of them are called; the first error stays.
            result = result.and(caught(|| call(&**processor)));
        }
        result
    }
}

/// A provider, shared by counting references, or for ever once it is installed.
#[derive(Clone, Debug)]
pub(super) enum ProviderRef {
    Shared(Arc<ProviderInner>),
    Static(&'static Arc<ProviderInner>),
}

impl Deref for ProviderRef {
    type Target = ProviderInner;

    #[inline]
    fn deref(&self) -> &ProviderInner {
        match self {
            ProviderRef::Shared(inner) => inner,
            ProviderRef::Static(inner) => inner,
        }
    }
}
