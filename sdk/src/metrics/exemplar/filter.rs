//! The exemplar filter, which selects the measurements that are offered to reservoirs.

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};

use crate::config::Env;
use crate::context;

/// Selects the measurements that may become exemplars. Set by `OTEL_METRICS_EXEMPLAR_FILTER`.
///
/// spec: metrics/sdk.md#exemplarfilter
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExemplarFilter {
    /// Selects measurements made while a sampled span is current. With tail sampling, these are those made while any recorded span is current
    /// whose trace is kept later, whether the sampler has sampled it or not.
    #[default]
    TraceBased,
    /// Selects all measurements.
    AlwaysOn,
    /// Selects no measurements.
    AlwaysOff,
}

impl ExemplarFilter {
    /// Reads the filter from the environment. Returns the default if the variable is unset or invalid.
    pub fn from_env(env: &Env) -> Self {
        let filters = [
            ("trace_based", ExemplarFilter::TraceBased),
            ("always_on", ExemplarFilter::AlwaysOn),
            ("always_off", ExemplarFilter::AlwaysOff),
        ];
        env.one_of("OTEL_METRICS_EXEMPLAR_FILTER", &filters).unwrap_or_default()
    }
}

/// The measurements that are offered to reservoirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    Sampled,
    None,
    All,
    /// Those in spans that are recorded, sampled or not, because a trace is decided later.
    Recorded,
}

impl Selection {
    pub(crate) fn new(filter: ExemplarFilter, has_tail: bool) -> Self {
        match filter {
            ExemplarFilter::TraceBased if has_tail => Selection::Recorded,
            ExemplarFilter::TraceBased => Selection::Sampled,
            ExemplarFilter::AlwaysOn => Selection::All,
            ExemplarFilter::AlwaysOff => Selection::None,
        }
    }

    /// Returns true if a measurement made now may become an exemplar.
    #[inline(always)]
    pub(crate) fn offers(self) -> bool {
        match self {
            Selection::Sampled => context::while_alive(in_sampled_span).unwrap_or(false),
            Selection::None => false,
            Selection::All => true,
            Selection::Recorded => context::while_alive(in_recorded_span).unwrap_or(false),
        }
    }

    /// Like [`Self::offers`], for a thread that is ready: its context is known to be alive.
    #[inline(always)]
    pub(crate) fn offers_on_ready_thread(self) -> bool {
        match self {
            Selection::Sampled => in_sampled_span(),
            Selection::None => false,
            Selection::All => true,
            Selection::Recorded => in_recorded_span(),
        }
    }
}

/// The span of a measurement that may become an exemplar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eligible {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
}

impl Eligible {
    const OUTSIDE: Eligible = Eligible { trace_id: TraceId::INVALID, span_id: SpanId::INVALID };

    /// Returns the current span. Called only for measurements that are kept, which are few of those that a filter
    /// offers.
    pub(crate) fn current() -> Self {
        context::while_alive(any_span).unwrap_or(Eligible::OUTSIDE)
    }
}

#[inline(always)]
fn in_sampled_span() -> bool {
    Context::map_current(|cx| cx.has_active_span() && cx.span().span_context().is_sampled())
}

/// With tail sampling, all spans of this process are recorded. Asks the span itself for nothing, because it may be locked.
fn in_recorded_span() -> bool {
    Context::map_current(|cx| {
        let span = cx.span();
        let context = span.span_context();
        context.is_valid() && !context.is_remote()
    })
}

fn any_span() -> Eligible {
    Context::map_current(|cx| {
        let span = cx.span();
        let context = span.span_context();
        Eligible { trace_id: context.trace_id(), span_id: context.span_id() }
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_variable() {
        for (value, expected) in [
            ("trace_based", ExemplarFilter::TraceBased),
            ("Always_On", ExemplarFilter::AlwaysOn),
            ("always_off", ExemplarFilter::AlwaysOff),
            ("sometimes", ExemplarFilter::TraceBased),
        ] {
            let env = Env::from_pairs([("OTEL_METRICS_EXEMPLAR_FILTER", value)]);
            assert_eq!(ExemplarFilter::from_env(&env), expected, "{value}");
            assert_eq!(env.take_warnings().len(), usize::from(value == "sometimes"));
        }
    }
}
