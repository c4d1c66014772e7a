//! Jaeger's own propagation format, which its older clients speak: `uber-trace-id` and `uberctx-*`.

use std::borrow::Cow;
use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::entries;
use crate::text::{hex, percent};
use crate::unsampled;

pub(super) const TRACE_ID: &str = "uber-trace-id";
pub(super) const BAGGAGE_PREFIX: &str = "uberctx-";
/// A list of entries that people add to a request by hand.
pub(super) const BAGGAGE: &str = "jaeger-baggage";

const SAMPLED: u8 = 0x01;
const DEBUG: u8 = 0x02;
const FIREHOSE: u8 = 0x08;

/// Extracts and injects the span context in the `uber-trace-id` header and the baggage in a `uberctx-*` header for each entry.
///
/// The flags `debug` and `firehose` are propagated within their trace, `debug` only while the trace is sampled. Baggage is added
/// to that of the context, also from a `jaeger-baggage` header, and does not depend on a valid `uber-trace-id`. The parent's span
/// id is neither read nor sent.
///
/// The format is deprecated. Use it for peers that speak no other.
///
/// spec: <https://www.jaegertracing.io/sdk-migration/#propagation-format>
#[derive(Clone, Debug, Default)]
pub struct JaegerPropagator(());

impl JaegerPropagator {
    /// Creates a propagator.
    pub fn new() -> Self {
        JaegerPropagator(())
    }
}

/// Flags that `SpanContext` cannot represent, stored in the `Context` alongside it.
#[derive(Debug)]
struct Carried {
    trace_id: TraceId,
    flags: u8,
}

impl TextMapPropagator for JaegerPropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        unsampled::with_span_context(cx, |span| {
            if span.is_valid() {
                injector.set(TRACE_ID, write(cx, span));
            }
        });
        entries::inject(cx, BAGGAGE_PREFIX, |value| Some(encode(value)), injector);
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let cx = match extractor.get(TRACE_ID).and_then(parse) {
            None => cx.clone(),
            Some((trace_id, span_id, flags)) => {
                let sampled = TraceFlags::new(flags & SAMPLED);
                let cx =
                    cx.with_remote_span_context(SpanContext::new(trace_id, span_id, sampled, true, TraceState::NONE));
                match flags & (DEBUG | FIREHOSE) {
                    0 => cx,
                    flags => cx.with_value(Carried { trace_id, flags }),
                }
            }
        };
        let list = extractor.get(BAGGAGE).into_iter().flat_map(|list| list.split(','));
        let pairs = list.filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key.trim(), value.trim()));
        entries::extract(cx, extractor, BAGGAGE_PREFIX, percent::decode_lossy, pairs)
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [TRACE_ID.to_owned()]);
        FieldIter::new(&*FIELDS)
    }
}

/// Parses `trace-id ":" span-id ":" parent-span-id ":" flags`, which may arrive percent-encoded.
fn parse(line: &str) -> Option<(TraceId, SpanId, u8)> {
    /// Ids of 32, 16 and 16 digits, two of the flags and three separators, of which each may be an escape.
    const MAX_LENGTH: usize = 3 * (32 + 16 + 16 + 2 + 3);
    let line = line.trim();
    if line.len() > MAX_LENGTH {
        return None;
    }
    let line = if line.contains('%') { Cow::from(percent::decode_lossy(line)) } else { Cow::from(line) };
    let mut parts = line.split(':');
    let trace_id = hex::parse_padded(parts.next()?, 32).filter(|&id| id != 0)?;
    let span_id = hex::parse_padded(parts.next()?, 16).filter(|&id| id != 0)?;
    let _parent = parts.next()?;
    let flags = hex::parse_padded(parts.next()?, 2)?;
    parts.next().is_none().then_some(())?;
    let span_id = u64::try_from(span_id).ok()?;
    Some((TraceId::from(trace_id), SpanId::from(span_id), u8::try_from(flags).ok()?))
}

fn write(cx: &Context, span: &SpanContext) -> String {
    let carried = cx.get::<Carried>().filter(|carried| carried.trace_id == span.trace_id());
    let carried = carried.map_or(0, |carried| carried.flags);
    // spec: debug goes only with sampled.
    let flags = if span.is_sampled() { SAMPLED | carried } else { carried & FIREHOSE };
    let mut line = String::with_capacity(53);
    hex::push(&mut line, &span.trace_id().to_bytes());
    line.push(':');
    hex::push(&mut line, &span.span_id().to_bytes());
    line.push_str(":0:");
    line.push_str(&format!("{flags:x}"));
    line
}

fn encode(value: &str) -> String {
    let mut encoded = String::new();
    percent::push(&mut encoded, value, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::baggage::{Baggage, BaggageExt};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashMap};

    type Headers = HashMap<String, String>;

    const T: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const S: &str = "e457b5a2e4d86bd1";

    fn headers(lines: &[(&str, &str)]) -> Headers {
        lines.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn extract(lines: &[(&str, &str)]) -> Context {
        JaegerPropagator::new().extract_with_context(&Context::new(), &headers(lines))
    }

    fn inject(cx: &Context) -> String {
        let mut out = Headers::new();
        JaegerPropagator::new().inject_context(cx, &mut out);
        let sorted: BTreeMap<_, _> = out.into_iter().collect();
        sorted.into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
    }

    /// Extracts `uber-trace-id`, and compares the header that is injected then with `expected`; empty if none is.
    fn check(line: &str, expected: &str) {
        let cx = extract(&[(TRACE_ID, line)]);
        let expected = if expected.is_empty() { String::new() } else { format!("{TRACE_ID}: {expected}") };
        assert_eq!(inject(&cx), expected, "{line}");
        assert_eq!(cx.span().span_context().is_remote(), !expected.is_empty(), "{line}");
    }

    #[test]
    fn the_flags() {
        for (flags, sent) in [
            ("0", "0"),
            ("1", "1"),
            ("01", "1"),
            ("3", "3"),
            ("2", "0"),
            ("9", "9"),
            ("8", "8"),
            ("0b", "b"),
            ("f5", "1"),
        ] {
            check(&format!("{T}:{S}:0:{flags}"), &format!("{T}:{S}:0:{sent}"));
        }
        assert!(extract(&[(TRACE_ID, &format!("{T}:{S}:0:3"))]).span().span_context().is_sampled());
        assert!(!extract(&[(TRACE_ID, &format!("{T}:{S}:0:2"))]).span().span_context().is_sampled());
        // Two digits are hexadecimal, not decimal.
        check(&format!("{T}:{S}:0:10"), &format!("{T}:{S}:0:0"));
    }

    #[test]
    fn short_ids_are_padded_and_the_parent_is_not_sent_on() {
        let padded = format!("{}1:{}2:0:1", "0".repeat(31), "0".repeat(15));
        check("1:2:0:1", &padded);
        check(" 1:2:cafe:1 ", &padded);
        check("1:2::1", &padded);
        check(&format!("{}:{S}:0:1", &T[16..]), &format!("{}{}:{S}:0:1", "0".repeat(16), &T[16..]));
        check(&format!("{}:{S}:0:1", T.to_uppercase()), &format!("{T}:{S}:0:1"));
    }

    #[test]
    fn a_line_may_be_encoded() {
        check(&format!("{T}%3A{S}%3a0%3A1"), &format!("{T}:{S}:0:1"));
    }

    #[test]
    fn what_is_not_valid_is_ignored() {
        for line in [
            String::new(),
            T.to_owned(),
            format!("{T}:{S}"),
            format!("{T}:{S}:1"),
            format!("{T}:{S}:0:"),
            format!("{T}:{S}:0:1:"),
            format!("{T}:{S}:0:001"),
            format!("{T}:{S}:0:g"),
            format!("{T}:{S}:0:+1"),
            format!("{T}0:{S}:0:1"),
            format!("{T}:{S}0:0:1"),
            format!(":{S}:0:1"),
            format!("{T}::0:1"),
            format!("0:{S}:0:1"),
            format!("{T}:0:0:1"),
            format!("-1:{S}:0:1"),
            format!("{T}%3{S}%3A0%3A1"),
            ":".repeat(65536),
            "%3A".repeat(65536),
        ] {
            check(&line, "");
        }
    }

    #[test]
    fn baggage() {
        let cx = extract(&[
            ("uberctx-user", "Am%C3%A9lie%20P"),
            ("uberctx-half", "50%"),
            ("jaeger-baggage", "a=1, b = 2,,c,=3"),
            ("other", "4"),
        ]);
        let entries: BTreeMap<_, _> =
            cx.baggage().iter().map(|(key, (value, _))| (key.as_str(), value.as_str())).collect();
        assert_eq!(entries, BTreeMap::from([("a", "1"), ("b", "2"), ("half", "50%"), ("user", "Amélie P")]));
        let user = "uberctx-a: 1; uberctx-b: 2; uberctx-half: 50%25; uberctx-user: Am%C3%A9lie%20P";
        assert_eq!(inject(&cx), user, "without a span");
        assert!(extract(&[(TRACE_ID, "x")]).baggage().is_empty());
    }

    #[test]
    fn debugging_is_not_for_another_trace() {
        let other = SpanContext::new(1.into(), 2.into(), TraceFlags::SAMPLED, false, TraceState::NONE);
        let cx = extract(&[(TRACE_ID, &format!("{T}:{S}:0:3"))]).with_remote_span_context(other);
        assert!(inject(&cx).ends_with("2:0:1"), "{}", inject(&cx));
    }

    #[test]
    fn the_field_is_the_header() {
        assert_eq!(JaegerPropagator::new().fields().collect::<Vec<_>>(), [TRACE_ID]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(line: String, key: String, value: String, list: String) {
            let cx = extract(&[(TRACE_ID, &line), (&format!("uberctx-{key}"), &value), (BAGGAGE, &list)]);
            prop_assert!(inject(&cx).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }

        #[test]
        fn what_is_injected_is_what_was_extracted(
            trace_id in 1u128.., span_id in 1u64.., flags in prop::sample::select(vec![0, 1, 3, 8, 9, 11]),
            entries in prop::collection::btree_map("[!#-'*+.0-9a-z^-`|~-]{1,10}", any::<String>(), 0..20),
        ) {
            let baggage: Baggage =
                entries.iter().map(|(key, value)| opentelemetry::KeyValue::new(key.clone(), value.clone())).collect();
            let line = format!("{trace_id:032x}:{span_id:016x}:0:{flags:x}");
            let mut out = Headers::new();
            let propagator = JaegerPropagator::new();
            propagator.inject_context(&extract(&[(TRACE_ID, &line)]).with_baggage(baggage), &mut out);
            prop_assert_eq!(&out[TRACE_ID], &line);
            let back = propagator.extract_with_context(&Context::new(), &out);
            let back: BTreeMap<_, _> = back.baggage().iter().map(|(k, (v, _))| (k.to_string(), v.to_string())).collect();
            prop_assert_eq!(back, entries);
        }
    }
}
