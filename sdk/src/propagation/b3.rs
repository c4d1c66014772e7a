//! B3, Zipkin's propagation format: the `b3` header or the `x-b3-*` headers.

use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use crate::text::hex;
use crate::unsampled;

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// Extracts both B3 encodings, trying the single header first, and injects one of them.
///
/// The debug flag is propagated and implies that the trace is sampled. If the caller defers the sampling decision, the
/// span context counts as not sampled, and injection also defers the decision until a span in this process has been
/// started. The parent's span id is not sent.
///
/// spec: <https://github.com/openzipkin/b3-propagation>, context/api-propagators.md#b3-requirements
#[derive(Clone, Debug)]
pub struct B3Propagator {
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    Single,
    Multi,
}

impl B3Propagator {
    /// Creates a propagator that injects the single `b3` header.
    pub fn single() -> Self {
        B3Propagator { encoding: Encoding::Single }
    }

    /// Creates a propagator that injects the `x-b3-traceid` and `x-b3-spanid` headers, and either `x-b3-sampled` or
    /// `x-b3-flags`.
    pub fn multi() -> Self {
        B3Propagator { encoding: Encoding::Multi }
    }
}

/// The sampling states of B3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sampling {
    Deny,
    Accept,
    Debug,
    Defer,
}

/// A sampling state that `SpanContext` cannot represent, stored in the `Context` alongside it.
#[derive(Debug)]
struct Carried {
    trace_id: TraceId,
    span_id: SpanId,
    sampling: Sampling,
}

impl TextMapPropagator for B3Propagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        unsampled::with_span_context(cx, |span| self.inject(cx, span, injector));
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let single = extractor.get(SINGLE).and_then(parse_single);
        let Some((trace_id, span_id, sampling)) = single.or_else(|| parse_multi(extractor)) else { return cx.clone() };
        let flags = match sampling {
            Sampling::Accept | Sampling::Debug => TraceFlags::SAMPLED,
            Sampling::Deny | Sampling::Defer => TraceFlags::NOT_SAMPLED,
        };
        let cx = cx.with_remote_span_context(SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE));
        match sampling {
            Sampling::Deny | Sampling::Accept => cx,
            Sampling::Debug | Sampling::Defer => cx.with_value(Carried { trace_id, span_id, sampling }),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 5]> =
            LazyLock::new(|| [SINGLE, TRACE_ID, SPAN_ID, SAMPLED, FLAGS].map(str::to_owned));
        match self.encoding {
            Encoding::Single => FieldIter::new(&FIELDS[..1]),
            Encoding::Multi => FieldIter::new(&FIELDS[1..]),
        }
    }
}

impl B3Propagator {
    fn inject(&self, cx: &Context, span: &SpanContext, injector: &mut dyn Injector) {
        if !span.is_valid() {
            return;
        }
        let sampling = sampling(cx, span);
        let (mut trace_id, mut span_id) = (String::with_capacity(51), String::with_capacity(16));
        hex::push(&mut trace_id, &span.trace_id().to_bytes());
        hex::push(&mut span_id, &span.span_id().to_bytes());
        match self.encoding {
            Encoding::Single => {
                let state = match sampling {
                    Sampling::Deny => "-0",
                    Sampling::Accept => "-1",
                    Sampling::Debug => "-d",
                    Sampling::Defer => "",
                };
                let mut line = trace_id;
                line.push('-');
                line.push_str(&span_id);
                line.push_str(state);
                injector.set(SINGLE, line);
            }
            Encoding::Multi => {
                injector.reserve(3);
                injector.set(TRACE_ID, trace_id);
                injector.set(SPAN_ID, span_id);
                match sampling {
                    Sampling::Deny => injector.set(SAMPLED, "0".to_owned()),
                    Sampling::Accept => injector.set(SAMPLED, "1".to_owned()),
                    // spec: debug implies sampled, so sampled is not sent.
                    Sampling::Debug => injector.set(FLAGS, "1".to_owned()),
                    Sampling::Defer => {}
                }
            }
        }
    }
}

/// Debug applies to the whole trace. A deferred decision applies only to the remote span and no longer applies once a
/// local span has started.
fn sampling(cx: &Context, span: &SpanContext) -> Sampling {
    match cx.get::<Carried>().filter(|carried| carried.trace_id == span.trace_id()) {
        Some(Carried { sampling: Sampling::Debug, .. }) => Sampling::Debug,
        Some(Carried { sampling: Sampling::Defer, span_id, .. }) if *span_id == span.span_id() => Sampling::Defer,
        _ if span.is_sampled() => Sampling::Accept,
        _ => Sampling::Deny,
    }
}

/// Parses `trace-id "-" span-id [ "-" sampling [ "-" parent-span-id ] ]`. A sampling state by itself is not a span context.
fn parse_single(line: &str) -> Option<(TraceId, SpanId, Sampling)> {
    /// Two ids of 32 and 16 digits, the sampling state, a parent id of 16 digits, and three separators.
    const MAX_LENGTH: usize = 68;
    let line = line.trim();
    if line.len() > MAX_LENGTH {
        return None;
    }
    let mut parts = line.split('-');
    let trace_id = parse_trace_id(parts.next()?)?;
    let span_id = hex::parse_span_id(parts.next()?.as_bytes())?;
    let sampling = match parts.next() {
        None => Sampling::Defer,
        Some("0") => Sampling::Deny,
        Some("1") => Sampling::Accept,
        Some("d") => Sampling::Debug,
        Some(_) => return None,
    };
    if let Some(parent) = parts.next() {
        hex::parse::<8>(parent.as_bytes())?;
    }
    parts.next().is_none().then_some((trace_id, span_id, sampling))
}

fn parse_multi(extractor: &dyn Extractor) -> Option<(TraceId, SpanId, Sampling)> {
    let trace_id = parse_trace_id(extractor.get(TRACE_ID)?.trim())?;
    let span_id = hex::parse_span_id(extractor.get(SPAN_ID)?.trim().as_bytes())?;
    let sampling = match (extractor.get(FLAGS).map(str::trim), extractor.get(SAMPLED).map(str::trim)) {
        (Some("1"), _) => Sampling::Debug,
        (_, None) => Sampling::Defer,
        (_, Some("1")) => Sampling::Accept,
        (_, Some("0")) => Sampling::Deny,
        // spec: old senders use words.
        (_, Some(word)) if word.eq_ignore_ascii_case("true") => Sampling::Accept,
        (_, Some(word)) if word.eq_ignore_ascii_case("false") => Sampling::Deny,
        _ => return None,
    };
    Some((trace_id, span_id, sampling))
}

/// Parses 32 digits, or 16 digits as the lower half.
fn parse_trace_id(digits: &str) -> Option<TraceId> {
    match digits.len() {
        16 => {
            let low = u64::from_be_bytes(hex::parse(digits.as_bytes())?);
            Some(TraceId::from(u128::from(low))).filter(|&id| id != TraceId::INVALID)
        }
        _ => hex::parse_trace_id(digits.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashMap};

    type Headers = HashMap<String, String>;

    /// Parses `name: value` lines.
    fn headers(lines: &str) -> Headers {
        let lines = lines.split("; ").filter_map(|line| line.split_once(": "));
        lines.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect()
    }

    fn extract(lines: &str) -> Context {
        B3Propagator::single().extract_with_context(&Context::new(), &headers(lines))
    }

    fn inject(propagator: &B3Propagator, cx: &Context) -> String {
        let mut out = Headers::new();
        propagator.inject_context(cx, &mut out);
        let sorted: BTreeMap<_, _> = out.into_iter().collect();
        sorted.into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
    }

    /// Extracts headers, and compares the headers injected in each of the two encodings with `single` and `multi`.
    fn check(lines: &str, single: &str, multi: &str) {
        let cx = extract(lines);
        assert_eq!(inject(&B3Propagator::single(), &cx), single, "{lines}");
        assert_eq!(inject(&B3Propagator::multi(), &cx), multi, "{lines}");
    }

    const T: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const S: &str = "e457b5a2e4d86bd1";

    #[test]
    fn both_encodings_say_the_same() {
        let ids = format!("x-b3-spanid: {S}; x-b3-traceid: {T}");
        let mut states = BTreeMap::new();
        states.insert("-1", ("x-b3-sampled: 1; ", ""));
        states.insert("-0", ("x-b3-sampled: 0; ", ""));
        states.insert("-d", ("", "x-b3-flags: 1; "));
        states.insert("", ("", ""));
        for (state, (sampled, flags)) in states {
            let single = format!("b3: {T}-{S}{state}");
            let multi = format!("{flags}{sampled}{ids}");
            check(&single, &single, &multi);
            check(&multi, &single, &multi);
        }
    }

    /// spec: context/api-propagators.md#b3-extract — debug implies sampled.
    #[test]
    fn the_flags_are_what_the_caller_decided() {
        for (state, is_sampled) in [("-1", true), ("-d", true), ("-0", false), ("", false)] {
            let cx = extract(&format!("b3: {T}-{S}{state}"));
            assert_eq!(cx.span().span_context().is_sampled(), is_sampled, "{state:?}");
        }
    }

    #[test]
    fn the_parent_is_not_sent_on() {
        let ids = format!("{T}-{S}");
        let multi = format!("x-b3-sampled: 1; x-b3-spanid: {S}; x-b3-traceid: {T}");
        check(&format!("b3: {ids}-1-05e3ac9a4f6e3b90"), &format!("b3: {ids}-1"), &multi);
        check(&format!("{multi}; X-B3-ParentSpanId: 05e3ac9a4f6e3b90"), &format!("b3: {ids}-1"), &multi);
    }

    #[test]
    fn short_trace_ids_are_padded() {
        let cx = extract(&format!("b3: {}-{S}-0", &T[16..]));
        assert_eq!(inject(&B3Propagator::single(), &cx), format!("b3: 0000000000000000{}-{S}-0", &T[16..]));
        assert!(cx.span().span_context().is_remote());
    }

    #[test]
    fn words_and_case_of_old_senders() {
        let ids = format!("X-B3-SpanId: {S}; X-B3-TraceId: {T}");
        for (word, state) in [("true", 1), ("True", 1), ("false", 0)] {
            let cx = extract(&format!("{ids}; X-B3-Sampled: {word}"));
            assert_eq!(inject(&B3Propagator::single(), &cx), format!("b3: {T}-{S}-{state}"));
        }
    }

    #[test]
    fn the_single_header_wins_when_it_is_valid() {
        let multi = format!("x-b3-sampled: 0; x-b3-spanid: {S}; x-b3-traceid: {T}");
        let other = "b3: 00000000000000000000000000000001-0000000000000002-1";
        assert_eq!(inject(&B3Propagator::single(), &extract(&format!("{other}; {multi}"))), other);
        assert_eq!(inject(&B3Propagator::single(), &extract(&format!("b3: 0; {multi}"))), format!("b3: {T}-{S}-0"));
    }

    #[test]
    fn what_is_not_valid_is_ignored() {
        let zeros = "0".repeat(32);
        for value in [
            "0".to_owned(),
            "d".to_owned(),
            String::new(),
            T.to_owned(),
            format!("{T}-{S}-"),
            format!("{T}-{S}-2"),
            format!("{T}-{S}-1-"),
            format!("{T}-{S}-1-{S}-"),
            format!("{}-{S}-1-{S}-1", &T[16..]),
            format!("{T}-{S}-1-{S}x"),
            format!("{T}-{S}-1-zzzzzzzzzzzzzzzz"),
            format!("{}-{S}-1", T.to_uppercase()),
            format!("{}-{S}-1", &T[1..]),
            format!("{T}-{}-1", &S[1..]),
            format!("{zeros}-{S}-1"),
            format!("{}-{S}-1", &zeros[16..]),
            format!("{T}-{}-1", &zeros[16..]),
            "-".repeat(65536),
        ] {
            assert!(!extract(&format!("b3: {value}")).has_active_span(), "{value}");
        }
        assert!(!extract(&format!("x-b3-traceid: {T}; x-b3-sampled: 1")).has_active_span());
        assert!(!extract(&format!("x-b3-traceid: {T}; x-b3-spanid: {S}; x-b3-sampled: maybe")).has_active_span());
    }

    #[test]
    fn a_span_of_ours_ends_the_deferral_but_not_debugging() {
        let child = |cx: &Context| {
            let parent = cx.span().span_context().clone();
            let flags = parent.trace_flags();
            cx.with_remote_span_context(SpanContext::new(parent.trace_id(), 7.into(), flags, false, TraceState::NONE))
        };
        let single = B3Propagator::single();
        assert_eq!(inject(&single, &child(&extract(&format!("b3: {T}-{S}")))), format!("b3: {T}-0000000000000007-0"));
        assert_eq!(inject(&single, &child(&extract(&format!("b3: {T}-{S}-d")))), format!("b3: {T}-0000000000000007-d"));
        let other = SpanContext::new(1.into(), 2.into(), TraceFlags::SAMPLED, false, TraceState::NONE);
        let other = extract(&format!("b3: {T}-{S}-d")).with_remote_span_context(other);
        assert!(inject(&single, &other).ends_with("2-1"), "debugging is not for another trace");
    }

    #[test]
    fn the_fields_are_the_injected_headers() {
        assert_eq!(B3Propagator::single().fields().collect::<Vec<_>>(), ["b3"]);
        assert_eq!(B3Propagator::multi().fields().collect::<Vec<_>>(), [TRACE_ID, SPAN_ID, SAMPLED, FLAGS]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(single: String, trace: String, span: String, sampled: String) {
            let values = [(SINGLE, single), (TRACE_ID, trace), (SPAN_ID, span), (SAMPLED, sampled)];
            let values: Headers = values.map(|(name, value)| (name.to_owned(), value)).into();
            B3Propagator::multi().extract_with_context(&Context::new(), &values);
        }

        #[test]
        fn what_is_injected_is_what_was_extracted(trace_id in 1u128.., span_id in 1u64.., state in "(-[01d])?") {
            let line = format!("b3: {trace_id:032x}-{span_id:016x}{state}");
            let cx = extract(&line);
            prop_assert_eq!(inject(&B3Propagator::single(), &cx), line.clone());
            let multi = extract(&inject(&B3Propagator::multi(), &cx));
            prop_assert_eq!(inject(&B3Propagator::single(), &multi), line);
        }
    }
}
