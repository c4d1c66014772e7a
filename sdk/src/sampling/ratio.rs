//! A sampler that selects a fraction of all traces, based on the random part of the trace id.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{TraceContextExt, TraceId};

use super::{Decision, Sampler, SamplingRequest, SamplingResult};

/// Samples a fraction of all traces. All processes with the same ratio make the same decision for a trace, and a higher ratio
/// samples every trace that a lower one samples.
///
/// Like the specification's probability sampler, it uses the rightmost seven bytes of the trace id, whose randomness
/// is guaranteed by the W3C random flag, and samples the upper end of their range. It uses only the trace id, even for
/// spans with a parent, and ignores the parent's decision, so it is usually the root of a
/// [`ParentBased`](super::ParentBased).
///
/// spec: trace/sdk.md#traceidratiobased
#[derive(Debug)]
pub struct TraceIdRatio {
    ratio: f64,
    /// The smallest random part that is sampled, between 0 and [`RANDOM_VALUES`]. With the latter value, nothing is
    /// sampled.
    threshold: u64,
    has_warned: AtomicBool,
}

/// Number of possible values of a trace id's random part, which has 56 bits.
const RANDOM_VALUES: u64 = 1 << 56;

impl TraceIdRatio {
    /// Creates a sampler that samples `ratio` of all traces, such as 0.25 for a quarter. A ratio below 0 counts as 0; a ratio
    /// above 1 or NaN counts as 1.
    pub fn new(ratio: f64) -> Self {
        let ratio = if ratio.is_nan() { 1.0 } else { ratio.clamp(0.0, 1.0) };
        // Scaling by a power of two is exact, whereas subtracting a very small ratio from one would lose it.
        let sampled = (ratio * RANDOM_VALUES as f64) as u64;
        TraceIdRatio { ratio, threshold: RANDOM_VALUES - sampled, has_warned: AtomicBool::new(false) }
    }

    fn samples(&self, trace_id: TraceId) -> bool {
        let random_part = (u128::from_be_bytes(trace_id.to_bytes()) % u128::from(RANDOM_VALUES)) as u64;
        random_part >= self.threshold
    }

    /// spec: trace/sdk.md#compatibility-warnings-for-traceidratiobased-sampler — the ratios of child and parent may diverge
    /// at some point, which leaves traces incomplete.
    #[cold]
    fn warn_about_child(&self) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            crate::__warn!(
                "sampling.ratio_child",
                "{} decides about spans that have a parent, so traces may be incomplete; use it as the root of a \
                 parent-based sampler (OTEL_TRACES_SAMPLER=parentbased_traceidratio)",
                self.description()
            );
        }
    }
}

impl Sampler for TraceIdRatio {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        if !self.has_warned.load(Ordering::Relaxed) && request.parent.span().span_context().is_valid() {
            self.warn_about_child();
        }
        let decision = if self.samples(request.trace_id) { Decision::RecordAndSample } else { Decision::Drop };
        SamplingResult::new(decision)
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Owned(format!("TraceIdRatioBased{{{:.6}}}", self.ratio))
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        self.threshold == RANDOM_VALUES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::Context;
    use opentelemetry::trace::SpanKind;
    use proptest::prelude::*;

    /// Returns the decision for the root span of a trace.
    fn decide(ratio: f64, trace_id: u128) -> Decision {
        let parent = Context::new();
        let request = SamplingRequest::new(&parent, TraceId::from(trace_id), "span", &SpanKind::Internal);
        TraceIdRatio::new(ratio).sample(&request).decision
    }

    /// Compares the lowest and highest sampled values of the random part with `expected`.
    fn check(ratio: f64, expected: &str) {
        let ids = [
            ("lowest", 0xffff_ffff_ffff_ffff_ff00_0000_0000_0000),
            ("below half", 0xffff_ffff_ffff_ffff_ff7f_ffff_ffff_ffff),
            ("half", 0x0000_0000_0000_0001_0080_0000_0000_0000),
            ("highest", 0x0000_0000_0000_0001_00ff_ffff_ffff_ffff),
        ];
        let sampled: Vec<_> = ids
            .iter()
            .filter(|(_, id)| decide(ratio, *id) == Decision::RecordAndSample)
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(format!("{}: {}", TraceIdRatio::new(ratio).description(), sampled.join(", ")), expected, "{ratio}");
    }

    #[test]
    fn the_high_end_of_the_random_part_is_sampled_and_the_rest_of_the_id_does_not_matter() {
        check(0.0, "TraceIdRatioBased{0.000000}: ");
        check(-1.0, "TraceIdRatioBased{0.000000}: ");
        check(0.0001, "TraceIdRatioBased{0.000100}: highest");
        check(0.5, "TraceIdRatioBased{0.500000}: half, highest");
        check(0.51, "TraceIdRatioBased{0.510000}: below half, half, highest");
        check(1.0, "TraceIdRatioBased{1.000000}: lowest, below half, half, highest");
        check(7.0, "TraceIdRatioBased{1.000000}: lowest, below half, half, highest");
        check(f64::NAN, "TraceIdRatioBased{1.000000}: lowest, below half, half, highest");
        check(f64::INFINITY, "TraceIdRatioBased{1.000000}: lowest, below half, half, highest");
        check(f64::MIN_POSITIVE, "TraceIdRatioBased{0.000000}: ");
    }

    #[test]
    fn the_smallest_ratio_samples_exactly_one_value() {
        let smallest = 1.0 / RANDOM_VALUES as f64;
        assert_eq!(decide(smallest, 0x00ff_ffff_ffff_ffff), Decision::RecordAndSample);
        assert_eq!(decide(smallest, 0x00ff_ffff_ffff_fffe), Decision::Drop);
    }

    /// Checks the thresholds in the specification's table of probabilities (`ot=th`), both at each threshold and one
    /// below.
    #[test]
    fn thresholds_are_those_of_the_probability_sampler() {
        for (ratio, threshold) in
            [(0.5, 0x80_0000_0000_0000), (0.25, 0xc0_0000_0000_0000), (1.0 / 16.0, 0xf0_0000_0000_0000u128)]
        {
            assert_eq!(decide(ratio, threshold), Decision::RecordAndSample, "{ratio}");
            assert_eq!(decide(ratio, threshold - 1), Decision::Drop, "{ratio}");
        }
    }

    #[test]
    fn the_share_of_random_traces_is_the_ratio() {
        const TRACES: u32 = 100_000;
        for ratio in [0.001, 0.01, 0.1, 0.25, 0.5, 0.9] {
            let sampler = TraceIdRatio::new(ratio);
            // SplitMix64 with a fixed seed, which produces the same trace ids in every run.
            let mut state = 42u64;
            let sampled = (0..TRACES)
                .filter(|_| {
                    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                    sampler.samples(TraceId::from(u128::from(mixed ^ mixed >> 31)))
                })
                .count();
            let mean = f64::from(TRACES) * ratio;
            let deviation = (mean * (1.0 - ratio)).sqrt();
            assert!((sampled as f64 - mean).abs() < 4.0 * deviation, "{ratio}: {sampled} of {TRACES}");
        }
    }

    #[test]
    fn a_ratio_of_zero_drops_below_unsampled_parents_and_no_other_does() {
        assert!(TraceIdRatio::new(0.0).drops_below_unsampled_parents());
        assert!(!TraceIdRatio::new(1e-9).drops_below_unsampled_parents());
    }

    proptest! {
        #[test]
        fn a_higher_ratio_samples_what_a_lower_one_samples(id: u128, a in -0.1..1.1f64, b in -0.1..1.1f64) {
            let (low, high) = (TraceIdRatio::new(a.min(b)), TraceIdRatio::new(a.max(b)));
            prop_assert!(!low.samples(TraceId::from(id)) || high.samples(TraceId::from(id)));
        }

        #[test]
        fn the_first_nine_bytes_do_not_matter(id: u128, other: u128, ratio in 0.0..1.0f64) {
            let mask = u128::from(RANDOM_VALUES - 1);
            let same_random_part = other & !mask | id & mask;
            let sampler = TraceIdRatio::new(ratio);
            prop_assert_eq!(sampler.samples(TraceId::from(id)), sampler.samples(TraceId::from(same_random_part)));
        }
    }
}
