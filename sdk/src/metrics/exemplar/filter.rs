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
    /// Selects measurements made while a sampled span is current.
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

    /// Returns true if a measurement made now may become an exemplar.
    #[inline(always)]
    pub(crate) fn offers(self) -> bool {
        match self {
            ExemplarFilter::TraceBased => context::while_alive(in_sampled_span).unwrap_or(false),
            ExemplarFilter::AlwaysOff => false,
            ExemplarFilter::AlwaysOn => true,
        }
    }

    /// Like [`Self::offers`], for a thread that is ready: its context is known to be alive.
    #[inline(always)]
    pub(crate) fn offers_on_ready_thread(self) -> bool {
        match self {
            ExemplarFilter::TraceBased => in_sampled_span(),
            ExemplarFilter::AlwaysOff => false,
            ExemplarFilter::AlwaysOn => true,
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
