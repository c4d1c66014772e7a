//! The mark of a kept trace: what is written on its spans, also on those that end later.

use std::borrow::Cow;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, TraceFlags};

use super::is_local_root;
use crate::sampling::Threshold;
use crate::sampling::ot_entry::with_threshold;
use crate::trace::SpanData;

/// The policy that kept a trace, and the weight of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// `None` if the probability is not known.
    pub(super) threshold: Option<Threshold>,
    pub(super) policy: u8,
}

const POLICY: &str = "telemark.sampling.policy";
const HEAD_SAMPLED: &str = "telemark.sampling.head_sampled";
const INCOMPLETE: &str = "telemark.sampling.incomplete";

const UNKNOWN: u64 = 1 << 63;
const THRESHOLD: u64 = (1 << 56) - 1;

impl Mark {
    /// The number of policies that a mark tells apart.
    pub(super) const MAX_POLICIES: usize = 128;

    /// Returns the mark as the table of decisions keeps it.
    pub(super) fn to_bits(self) -> u64 {
        let weight = self.threshold.map_or(UNKNOWN, Threshold::bits);
        weight | u64::from(self.policy) << 56
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        let threshold = (bits & UNKNOWN == 0).then(|| Threshold::from_bits(bits & THRESHOLD));
        Mark { threshold, policy: (bits >> 56) as u8 & 0x7f }
    }

    /// Writes the mark on a span. `policy` is the name of the policy.
    ///
    /// The span is marked as sampled: exporters receive sampled spans only, and so do most receivers. An attribute of the local root says
    /// that the sampler had not sampled it.
    pub(super) fn write(self, span: &mut SpanData, policy: Option<&Cow<'static, str>>, is_incomplete: bool) {
        let context = &span.context;
        let was_sampled = context.is_sampled();
        let state = with_threshold(context.trace_state(), self.threshold);
        if let (true, Cow::Borrowed(_)) = (was_sampled, &state) {
            // Nothing changes.
        } else {
            let flags = TraceFlags::new(context.trace_flags().to_u8()).with_sampled(true);
            let state = state.into_owned();
            span.context = SpanContext::new(context.trace_id(), context.span_id(), flags, context.is_remote(), state);
        }
        if is_local_root(span) {
            span.own_attributes.extend(policy.map(|name| KeyValue::new(POLICY, name.clone())));
            span.own_attributes.extend((!was_sampled).then(|| KeyValue::new(HEAD_SAMPLED, false)));
            span.own_attributes.extend(is_incomplete.then(|| KeyValue::new(INCOMPLETE, true)));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use opentelemetry::trace::{SpanId, TraceId, TraceState};

    use super::*;
    use crate::instrumentation_scope::Scope;

    #[test]
    fn a_mark_survives_the_table() {
        for threshold in [None, Some(Threshold::ALWAYS), Threshold::for_probability(0.1)] {
            for policy in [0, 7, 127] {
                let mark = Mark { threshold, policy };
                assert_eq!(Mark::from_bits(mark.to_bits()), mark);
            }
        }
    }

    #[track_caller]
    fn check(sampled: bool, state: &[(&str, &str)], probability: Option<f64>, root: bool, expected: &str) {
        let flags = TraceFlags::default().with_sampled(sampled);
        let state = TraceState::from_key_value(state.iter().copied()).unwrap_or_default();
        let context = SpanContext::new(TraceId::from(1), SpanId::from(2), flags, false, state);
        let mut span = SpanData::new(context, "GET /", Scope::unnamed());
        span.parent_span_id = SpanId::from(u64::from(!root));
        let mark = Mark { threshold: probability.and_then(Threshold::for_probability), policy: 0 };
        mark.write(&mut span, Some(&"errors".into()), true);
        assert!(span.context.is_sampled());
        let attributes: Vec<_> = span.own_attributes.iter().map(|a| format!(" {}={}", a.key, a.value)).collect();
        assert_eq!(span.context.trace_state().header() + &attributes.concat(), expected);
    }

    #[test]
    fn what_is_written_on_spans() {
        let (policy, incomplete) = (" telemark.sampling.policy=errors", " telemark.sampling.incomplete=true");
        check(true, &[], Some(1.0), false, "ot=th:0");
        check(
            true,
            &[("ot", "th:c;rv:d0000000000000"), ("a", "b")],
            Some(0.125),
            false,
            "ot=th:e;rv:d0000000000000,a=b",
        );
        check(true, &[("ot", "th:c")], None, false, "");
        check(false, &[("a", "b")], None, false, "a=b");
        check(true, &[("ot", "th:c")], Some(0.25), true, &format!("ot=th:c{policy}{incomplete}"));
        check(false, &[], None, true, &format!("{policy} telemark.sampling.head_sampled=false{incomplete}"));
    }
}
