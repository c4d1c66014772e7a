//! The propagator: between headers and contexts.

use std::fmt;
use std::sync::LazyLock;

use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, StringValue};

use crate::header::{Header, is_lineage};

/// Header names have no case. Senders should use lower case, as HTTP/2 does.
const HEADER: &str = "x-amzn-trace-id";
/// The entry of the baggage that holds X-Ray's lineage.
const LINEAGE: &str = "Lineage";

/// Extracts and injects the `X-Amzn-Trace-Id` header of AWS X-Ray.
///
/// If the caller leaves the sampling decision open, the span context counts as not sampled, and injection also leaves it open until
/// a span in this process has been started.
///
/// X-Ray accepts trace ids whose first 32 bits are a recent time only. Random ids are accepted by its OTLP endpoint and by the
/// Collector.
///
/// The format belongs to AWS: see "Tracing header" in the developer guide of X-Ray.
#[derive(Clone)]
pub struct XRayPropagator {
    invocation: Option<fn() -> Option<String>>,
}

impl XRayPropagator {
    /// Creates the propagator that `OTEL_PROPAGATORS` calls `xray`.
    pub fn new() -> Self {
        XRayPropagator { invocation: None }
    }

    /// Creates the propagator that `OTEL_PROPAGATORS` calls `xray-lambda`. If the header leads to no span, it extracts the header
    /// that `invocation` returns: the value of `_X_AMZN_TRACE_ID`, which the Lambda runtime sets anew for each invocation.
    ///
    /// spec: semconv faas/aws-lambda.md#determining-the-parent-of-a-span
    pub fn for_lambda(invocation: fn() -> Option<String>) -> Self {
        XRayPropagator { invocation: Some(invocation) }
    }
}

impl Default for XRayPropagator {
    fn default() -> Self {
        XRayPropagator::new()
    }
}

impl fmt::Debug for XRayPropagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.invocation.is_some() { "XRayPropagator(lambda)" } else { "XRayPropagator" })
    }
}

/// A remote span whose sender has not decided whether it is sampled, stored in the `Context` alongside its span context.
#[derive(Debug)]
struct Undecided(TraceId, SpanId);

impl TextMapPropagator for XRayPropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let span = cx.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let (trace_id, span_id) = (span.trace_id(), span.span_id());
        let is_open = cx.get::<Undecided>().is_some_and(|of| (of.0, of.1) == (trace_id, span_id));
        let lineage = cx.baggage().get(LINEAGE).map(StringValue::as_str).filter(|lineage| is_lineage(lineage));
        let header = Header { trace_id, span_id, is_sampled: (!is_open).then(|| span.is_sampled()), lineage };
        injector.set(HEADER, header.write());
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let extracted = match extractor.get(HEADER).and_then(Header::parse) {
            Some(header) => with_header(cx, &header),
            None => cx.clone(),
        };
        let Some(invocation) = self.invocation.filter(|_| !extracted.span().span_context().is_valid()) else {
            return extracted;
        };
        let line = invocation().unwrap_or_default();
        Header::parse(&line).map_or(extracted, |header| with_header(cx, &header))
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [HEADER.to_owned()]);
        FieldIter::new(&*FIELDS)
    }
}

/// Returns `cx` with the span context and the lineage of a header.
fn with_header(cx: &Context, header: &Header<'_>) -> Context {
    let Header { trace_id, span_id, is_sampled, lineage } = *header;
    let flags = if is_sampled == Some(true) { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let mut cx = cx.with_remote_span_context(SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE));
    if is_sampled.is_none() {
        cx = cx.with_value(Undecided(trace_id, span_id));
    }
    let Some(lineage) = lineage else { return cx };
    let mut baggage = Baggage::new();
    for (key, (value, metadata)) in cx.baggage() {
        baggage.insert_with_metadata(key.clone(), value.clone(), metadata.clone());
    }
    baggage.insert(LINEAGE, lineage.to_owned());
    cx.with_baggage(baggage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    type Headers = HashMap<String, String>;

    const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";
    const PARENT: &str = "Parent=53995c3f42cd8ad8";

    fn headers(line: &str) -> Headers {
        HashMap::from([("x-amzn-trace-id".to_owned(), line.to_owned())])
    }

    fn inject(cx: &Context) -> String {
        let mut out = Headers::new();
        XRayPropagator::new().inject_context(cx, &mut out);
        out.remove(HEADER).unwrap_or_default()
    }

    /// Extracts a header and compares the span context, as trace id, span id and flags, with `expected`.
    fn check(line: &str, expected: &str) {
        let cx = XRayPropagator::new().extract_with_context(&Context::new(), &headers(line));
        let span = cx.span().span_context().clone();
        let text = format!("{} {} {}", span.trace_id(), span.span_id(), span.is_sampled());
        assert_eq!(if span.is_valid() { text } else { String::new() }, expected, "{line}");
        assert_eq!(span.is_remote(), span.is_valid());
    }

    #[test]
    fn span_contexts() {
        let ids = "5759e988bd862e3fe1be46a994272793 53995c3f42cd8ad8";
        check(&format!("{ROOT};{PARENT};Sampled=1"), &format!("{ids} true"));
        check(&format!("{ROOT};{PARENT};Sampled=0"), &format!("{ids} false"));
        check(&format!("{ROOT};{PARENT};Sampled=?"), &format!("{ids} false"));
        check(ROOT, "");
        check(&format!("{ROOT};{PARENT};Sampled=yes"), "");
    }

    #[test]
    fn what_is_not_valid_leaves_the_context_as_it_was() {
        let before = XRayPropagator::new().extract(&headers(&format!("{ROOT};{PARENT};Sampled=1")));
        let after = XRayPropagator::new().extract_with_context(&before, &headers("Root=1"));
        assert_eq!(inject(&after), inject(&before));
        assert_eq!(inject(&Context::new()), "");
    }

    #[test]
    fn an_open_decision_is_open_until_a_span_of_ours() {
        let cx = XRayPropagator::new().extract(&headers(&format!("{ROOT};{PARENT};Sampled=?")));
        assert_eq!(inject(&cx), format!("{ROOT};{PARENT}"));
        let trace_id = cx.span().span_context().trace_id();
        let ours = SpanContext::new(trace_id, 7.into(), TraceFlags::NOT_SAMPLED, false, TraceState::NONE);
        assert_eq!(inject(&cx.with_remote_span_context(ours)), format!("{ROOT};Parent=0000000000000007;Sampled=0"));
    }

    #[test]
    fn the_lineage_travels_in_the_baggage() {
        let mut baggage = Baggage::new();
        baggage.insert_with_metadata("user", "7", "p");
        let line = format!("{ROOT};{PARENT};Sampled=1;Lineage=1:5f3abcde:2");
        let cx = Context::new().with_baggage(baggage);
        let cx = XRayPropagator::new().extract_with_context(&cx, &headers(&line));
        assert_eq!(cx.baggage().get("user").map(StringValue::as_str), Some("7"));
        assert_eq!(cx.baggage().get(LINEAGE).map(StringValue::as_str), Some("1:5f3abcde:2"));
        assert_eq!(inject(&cx), line);
        let mut baggage = Baggage::new();
        baggage.insert(LINEAGE, "1:5f3abcde:2;Sampled=0\r\n");
        assert_eq!(inject(&cx.with_baggage(baggage)), format!("{ROOT};{PARENT};Sampled=1"));
    }

    #[test]
    fn a_lambda_function_continues_its_invocation_unless_the_header_names_a_span() {
        let line = || Some("Root=1-00000001-000000000000000000000002;Parent=0000000000000003;Sampled=1".to_owned());
        let lambda = XRayPropagator::for_lambda(line);
        assert_eq!(Some(inject(&lambda.extract_with_context(&Context::new(), &Headers::new()))), line());
        assert_eq!(Some(inject(&lambda.extract_with_context(&Context::new(), &headers(ROOT)))), line());
        let header = format!("{ROOT};{PARENT};Sampled=0");
        let cx = lambda.extract_with_context(&Context::new(), &headers(&header));
        assert_eq!(inject(&cx), header);
        assert_eq!(inject(&lambda.extract_with_context(&cx, &Headers::new())), header);
        for not in [|| None, || Some("nonsense".to_owned())] as [fn() -> Option<String>; 2] {
            let cx = XRayPropagator::for_lambda(not).extract_with_context(&Context::new(), &Headers::new());
            assert_eq!(inject(&cx), "");
        }
    }

    #[test]
    fn the_field_is_the_header() {
        assert_eq!(XRayPropagator::new().fields().collect::<Vec<_>>(), [HEADER]);
    }
}
