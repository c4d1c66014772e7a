//! The decision for a span as far as it follows from the parent, or from its absence, without asking the sampler.

use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags};
use opentelemetry::{Context, InstrumentationScope};

use super::TracerConfig;
use crate::control::ConfigOf;
use crate::control::State;
use crate::id::{IdGenerator, RandomIds};
use crate::runtime::is_background;
use crate::sampling::ot_entry::with_threshold;
use crate::trace::tracer::RANDOM_FLAG;
use crate::trace::{SdkTracer, SpanData};
use crate::unsampled;

/// The decision for a span, as far as it can be made without the sampler.
#[derive(Debug)]
pub(crate) enum Glance {
    /// No span is created, because telemetry is suppressed or the provider has been shut down.
    Silent,
    /// The span is dropped, and its parent's context already reflects that.
    Dropped(unsampled::Parent),
    /// The span is recorded, and sampled if its local parent is or if it has none. Holds the span's data, including the span context.
    Recorded(SpanData),
    /// The sampler has to decide.
    Unknown,
}

impl SdkTracer {
    /// If possible, makes the decision for a span in `parent` without calling the sampler, and creates the data if the
    /// span is sampled. Runs no user code, so this method can be called during a borrow of the API's context. The scope of the span is
    /// not known yet, so nothing is decided if tracers may be disabled.
    #[inline]
    pub(crate) fn begin_at_once(&self, parent: &Context) -> Glance {
        let state = self.provider.decisions.state();
        if state.has_configs() && !state.is_off() { Glance::Unknown } else { self.glance(state, parent) }
    }

    /// Like [`Self::begin_at_once`], for a span with this scope. May call a configurator of the program.
    #[inline(always)]
    pub(in crate::trace) fn begin_in(
        &self,
        scope: &InstrumentationScope,
        config: &ConfigOf<TracerConfig>,
        parent: &Context,
    ) -> Glance {
        let state = self.provider.decisions.state();
        if self.provider.decisions.takes(state, scope, config) { self.glance(state, parent) } else { Glance::Silent }
    }

    /// Like [`Self::begin_at_once`], for a span that has started already and gets another parent.
    pub(in crate::trace) fn begin_again(&self, parent: &Context) -> Glance {
        self.glance(self.provider.decisions.state().without_pauses(), parent)
    }

    #[inline(always)]
    fn glance(&self, state: State, parent: &Context) -> Glance {
        let provider = &*self.provider;
        if provider.refuses(state) || parent.is_telemetry_suppressed() || is_background() {
            return Glance::Silent;
        }
        let span = parent.span();
        let context = span.span_context();
        match (context.is_valid(), context.is_sampled(), context.is_remote()) {
            (true, false, _) if state.drops_below_unsampled() => Glance::Dropped(unsampled::Parent::new(context)),
            (false, _, _) if state.samples_roots() && provider.ids.is_none() => Glance::Recorded(root_in(context)),
            (true, true, false) if state.samples_below_sampled() && provider.ids.is_none() => {
                Glance::Recorded(child_of(context, true))
            }
            (true, false, false) if state.records_below_unsampled() && provider.ids.is_none() => {
                let is_sampled = provider.decisions.tail().is_some_and(|tail| tail.samples_below(context));
                let mut data = child_of(context, is_sampled);
                if is_sampled {
                    data.context = without_threshold(&data.context);
                }
                Glance::Recorded(data)
            }
            _ => Glance::Unknown,
        }
    }
}

/// Returns the context of a span that is sampled because of an error. The probability of that is not known, and the sampler's threshold,
/// with which the trace was not sampled, says nothing about it.
#[cold]
pub(in crate::trace) fn without_threshold(context: &SpanContext) -> SpanContext {
    let state = with_threshold(context.trace_state(), None).into_owned();
    SpanContext::new(context.trace_id(), context.span_id(), context.trace_flags(), context.is_remote(), state)
}

/// Creates the data of a sampled span without a parent, in a context that has no valid one.
#[inline]
fn root_in(none: &SpanContext) -> SpanData {
    let flags = TraceFlags::new(RANDOM_FLAG).with_sampled(true);
    let mut data = SpanData::blank();
    let state = none.trace_state().clone();
    data.context = SpanContext::new(RandomIds.trace_id(), RandomIds.span_id(), flags, false, state);
    data
}

/// Creates the data of a span below a local parent.
#[inline]
fn child_of(parent: &SpanContext, is_sampled: bool) -> SpanData {
    let flags = TraceFlags::new(parent.trace_flags().to_u8() & RANDOM_FLAG).with_sampled(is_sampled);
    let mut data = SpanData::blank();
    let record = &mut *data;
    let state = parent.trace_state().clone();
    record.context = SpanContext::new(parent.trace_id(), RandomIds.span_id(), flags, false, state);
    record.parent_span_id = parent.span_id();
    data
}
