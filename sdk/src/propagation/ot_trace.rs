//! OT trace, the propagation format of OpenTracing's basic tracers: the `ot-tracer-*` and `ot-baggage-*` headers.

use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::entries;
use crate::text::hex;
use crate::unsampled;

pub(super) const TRACE_ID: &str = "ot-tracer-traceid";
const SPAN_ID: &str = "ot-tracer-spanid";
const SAMPLED: &str = "ot-tracer-sampled";
pub(super) const BAGGAGE_PREFIX: &str = "ot-baggage-";

/// Extracts and injects the span context in the `ot-tracer-*` headers and the baggage in an `ot-baggage-*` header for each entry.
///
/// The format has trace ids of 64 bits: the lower half of a trace id is sent, and nothing if that is zero. Values of baggage are
/// sent as they are, so an entry whose value is not printable ASCII is left out. Baggage is read only beside a valid span context.
///
/// The format is deprecated. Use it for peers that speak no other.
///
/// spec: context/api-propagators.md#propagators-distribution
#[derive(Clone, Debug, Default)]
pub struct OtTracePropagator(());

impl OtTracePropagator {
    /// Creates a propagator.
    pub fn new() -> Self {
        OtTracePropagator(())
    }
}

impl TextMapPropagator for OtTracePropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let is_sent = unsampled::with_span_context(cx, |span| inject(span, injector));
        if is_sent {
            let encode =
                |value: &str| value.bytes().all(|byte| (b' '..=b'~').contains(&byte)).then(|| value.to_owned());
            entries::inject(cx, BAGGAGE_PREFIX, encode, injector);
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let Some(span) = parse(extractor) else { return cx.clone() };
        let cx = cx.with_remote_span_context(span);
        entries::extract(cx, extractor, BAGGAGE_PREFIX, str::to_owned, std::iter::empty())
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 3]> = LazyLock::new(|| [TRACE_ID, SPAN_ID, SAMPLED].map(str::to_owned));
        FieldIter::new(&*FIELDS)
    }
}

/// Returns true if the span context was sent.
fn inject(span: &SpanContext, injector: &mut dyn Injector) -> bool {
    let trace_id = span.trace_id().to_bytes();
    let low = &trace_id[8..];
    if !span.is_valid() || low == [0; 8] {
        return false;
    }
    let (mut trace_id, mut span_id) = (String::with_capacity(16), String::with_capacity(16));
    hex::push(&mut trace_id, low);
    hex::push(&mut span_id, &span.span_id().to_bytes());
    injector.reserve(3);
    injector.set(TRACE_ID, trace_id);
    injector.set(SPAN_ID, span_id);
    injector.set(SAMPLED, span.is_sampled().to_string());
    true
}

fn parse(extractor: &dyn Extractor) -> Option<SpanContext> {
    let trace_id = extractor.get(TRACE_ID)?.trim();
    matches!(trace_id.len(), 16 | 32).then_some(())?;
    let trace_id = hex::parse_padded(trace_id, 32).map(TraceId::from)?;
    let span_id = extractor.get(SPAN_ID)?.trim();
    (span_id.len() == 16).then_some(())?;
    let span_id = SpanId::from(u64::try_from(hex::parse_padded(span_id, 16)?).ok()?);
    let flags = match extractor.get(SAMPLED).map(str::trim) {
        None | Some("0") => TraceFlags::NOT_SAMPLED,
        Some("1") => TraceFlags::SAMPLED,
        Some(word) if word.eq_ignore_ascii_case("true") => TraceFlags::SAMPLED,
        Some(word) if word.eq_ignore_ascii_case("false") => TraceFlags::NOT_SAMPLED,
        Some(_) => return None,
    };
    Some(SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::baggage::BaggageExt;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashMap};

    type Headers = HashMap<String, String>;

    const T: &str = "64fe8b2a57d3eff7";
    const S: &str = "e457b5a2e4d86bd1";

    fn extract(lines: &[(&str, &str)]) -> Context {
        let headers: Headers = lines.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        OtTracePropagator::new().extract_with_context(&Context::new(), &headers)
    }

    fn inject(cx: &Context) -> String {
        let mut out = Headers::new();
        OtTracePropagator::new().inject_context(cx, &mut out);
        let sorted: BTreeMap<_, _> = out.into_iter().collect();
        sorted.into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
    }

    /// Extracts a trace id, a span id and a sampling state, and compares what is injected then: the sampling state if the ids are
    /// `T` and `S`, and an empty text if there is no span context.
    fn check(trace_id: &str, span_id: &str, sampled: &str, expected: &str) {
        let cx = extract(&[(TRACE_ID, trace_id), (SPAN_ID, span_id), (SAMPLED, sampled)]);
        let expected = match expected {
            "" => String::new(),
            state => format!("{SAMPLED}: {state}; {SPAN_ID}: {S}; {TRACE_ID}: {T}"),
        };
        assert_eq!(inject(&cx), expected, "{trace_id} {span_id} {sampled}");
        assert_eq!(cx.span().span_context().is_remote(), !expected.is_empty());
    }

    #[test]
    fn ids_and_the_sampling_state() {
        for (state, sent) in [("true", "true"), ("1", "true"), ("True", "true"), ("false", "false"), ("0", "false")] {
            check(T, S, state, sent);
        }
        check(&format!("80f198ee56343ba8{T}"), S, "true", "true");
        check(&format!(" {T} "), S, "true", "true");
        assert!(inject(&extract(&[(TRACE_ID, T), (SPAN_ID, S)])).starts_with("ot-tracer-sampled: false"));
        let long = extract(&[(TRACE_ID, &format!("80f198ee56343ba8{T}")), (SPAN_ID, S)]);
        assert_eq!(long.span().span_context().trace_id().to_string(), format!("80f198ee56343ba8{T}"));
    }

    #[test]
    fn what_is_not_valid_is_ignored() {
        let zeros = "0".repeat(16);
        for (trace_id, span_id, sampled) in [
            ("", S, "true"),
            (&T[1..], S, "true"),
            (&format!("{T}0"), S, "true"),
            (&format!("{T}{T}0"), S, "true"),
            (&zeros, S, "true"),
            ("+4fe8b2a57d3eff7", S, "true"),
            (T, "", "true"),
            (T, &S[1..], "true"),
            (T, &zeros, "true"),
            (T, &format!("{S}0"), "true"),
            (T, S, ""),
            (T, S, "2"),
            (T, S, "maybe"),
            (&"0".repeat(65536), &"0".repeat(65536), &"0".repeat(65536)),
        ] {
            check(trace_id, span_id, sampled, "");
        }
    }

    #[test]
    fn an_id_whose_lower_half_is_zero_cannot_be_sent() {
        let trace_id = TraceId::from(1u128 << 64);
        let span = SpanContext::new(trace_id, 2.into(), TraceFlags::SAMPLED, false, TraceState::NONE);
        assert_eq!(inject(&Context::new().with_remote_span_context(span)), "");
    }

    #[test]
    fn baggage_goes_with_a_span_context() {
        let ids = [(TRACE_ID, T), (SPAN_ID, S)];
        let entries =
            [("ot-baggage-user", "Amelie P."), ("ot-baggage-name", "Amélie"), ("ot-baggage-line", "a\r\nb: c")];
        let cx = extract(&[&ids[..], &entries[..]].concat());
        assert_eq!(cx.baggage().len(), 3);
        assert!(inject(&cx).starts_with("ot-baggage-user: Amelie P.; ot-tracer-sampled"), "{}", inject(&cx));
        assert!(extract(&entries).baggage().is_empty());
    }

    #[test]
    fn the_fields_are_the_headers() {
        assert_eq!(OtTracePropagator::new().fields().collect::<Vec<_>>(), [TRACE_ID, SPAN_ID, SAMPLED]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(trace_id: String, span_id: String, sampled: String, key: String, value: String) {
            let entry = (&*format!("ot-baggage-{key}"), &*value);
            extract(&[(TRACE_ID, &trace_id), (SPAN_ID, &span_id), (SAMPLED, &sampled), entry]);
            let cx = extract(&[(TRACE_ID, T), (SPAN_ID, S), entry]);
            prop_assert!(inject(&cx).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }

        #[test]
        fn what_is_injected_is_what_was_extracted(trace_id in 1u64.., span_id in 1u64.., sampled: bool) {
            let (trace_id, span_id) = (format!("{trace_id:016x}"), format!("{span_id:016x}"));
            let cx = extract(&[(TRACE_ID, &trace_id), (SPAN_ID, &span_id), (SAMPLED, &sampled.to_string())]);
            prop_assert_eq!(inject(&cx), format!("{SAMPLED}: {sampled}; {SPAN_ID}: {span_id}; {TRACE_ID}: {trace_id}"));
        }
    }
}
