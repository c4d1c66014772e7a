//! An adapter for `opentelemetry_sdk` id generators.

use opentelemetry::trace::{SpanId, TraceId};
use telemark_sdk::id::IdGenerator;

/// Generates ids with an `opentelemetry_sdk` id generator.
#[derive(Debug)]
pub struct UpstreamIdGenerator<G> {
    generator: G,
    is_random: bool,
}

impl<G: opentelemetry_sdk::trace::IdGenerator> UpstreamIdGenerator<G> {
    /// Adapts `generator`.
    pub fn new(generator: G) -> Self {
        UpstreamIdGenerator { generator, is_random: false }
    }

    /// Declares that the rightmost seven bytes of trace ids are uniformly random, so that the W3C random flag
    /// is set. The upstream trait does not provide this information. It is true for `RandomIdGenerator`.
    pub fn with_random_flag(mut self) -> Self {
        self.is_random = true;
        self
    }
}

impl<G: opentelemetry_sdk::trace::IdGenerator + 'static> IdGenerator for UpstreamIdGenerator<G> {
    fn trace_id(&self) -> TraceId {
        self.generator.new_trace_id()
    }

    fn span_id(&self) -> SpanId {
        self.generator.new_span_id()
    }

    fn is_random(&self) -> bool {
        self.is_random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed;

    impl opentelemetry_sdk::trace::IdGenerator for Fixed {
        fn new_trace_id(&self) -> TraceId {
            TraceId::from(0xabc)
        }

        fn new_span_id(&self) -> SpanId {
            SpanId::from(0xdef)
        }
    }

    #[test]
    fn ids_pass_through_and_are_not_called_random_unasked() {
        let ids = UpstreamIdGenerator::new(Fixed);
        assert_eq!((ids.trace_id(), ids.span_id()), (TraceId::from(0xabc), SpanId::from(0xdef)));
        assert!(!ids.is_random());
        assert!(ids.with_random_flag().is_random());
    }
}
