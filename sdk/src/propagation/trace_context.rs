//! W3C Trace Context, level 2: the `traceparent` and `tracestate` headers.

use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::trace_state::{self, Carried};
use crate::text::hex;
use crate::unsampled;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Extracts and injects the `traceparent` and `tracestate` headers.
///
/// - A malformed or repeated `traceparent` is ignored together with the `tracestate`.
/// - A single invalid member invalidates the whole `tracestate`, but never the `traceparent`.
/// - The flags `sampled` and `random` are propagated; unknown flags are not.
///
/// The API's [`TraceState`] still enforces the key rules of level 1 and rejects some keys that level 2 allows, such as
/// `a@b@c` or a key with 14 or more characters after its `@`. Members with such keys are not visible through the API,
/// but they are propagated: extraction stores them in the [`Context`], and injection puts them back in their original
/// position.
///
/// spec: <https://www.w3.org/TR/trace-context-2/>
#[derive(Clone, Debug, Default)]
pub struct TraceContextPropagator(());

impl TraceContextPropagator {
    /// Creates a propagator.
    pub fn new() -> Self {
        TraceContextPropagator(())
    }
}

impl TextMapPropagator for TraceContextPropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        unsampled::with_span_context(cx, |span| self.inject(cx, span, injector));
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let Some((trace_id, span_id, flags)) = parent(extractor) else { return cx.clone() };
        // spec: tracestate must not be parsed if traceparent is invalid, so this comes second.
        let parsed = extractor.get_all(TRACESTATE).and_then(|lines| trace_state::parse(&lines));
        let (state, refused) = match parsed {
            Some(parsed) => (parsed.held, parsed.refused),
            None => (TraceState::NONE, None),
        };
        let cx = cx.with_remote_span_context(SpanContext::new(trace_id, span_id, flags, true, state));
        match refused {
            None => cx,
            Some(members) => cx.with_value(Carried::new(trace_id, members)),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 2]> = LazyLock::new(|| [TRACEPARENT.to_owned(), TRACESTATE.to_owned()]);
        FieldIter::new(&*FIELDS)
    }
}

impl TraceContextPropagator {
    fn inject(&self, cx: &Context, span: &SpanContext, injector: &mut dyn Injector) {
        if !span.is_valid() {
            return;
        }
        injector.reserve(2);
        injector.set(TRACEPARENT, write(span));
        let carried = cx.get::<Carried>().filter(|carried| carried.belongs_to(span.trace_id()));
        let state = match carried {
            None => trace_state::write(span.trace_state()),
            Some(carried) => carried.merge(span.trace_state()),
        };
        // spec: context/api-propagators.md — a propagator must not send an empty tracestate.
        if !state.is_empty() {
            injector.set(TRACESTATE, state);
        }
    }
}

/// The flags that level 2 defines: sampled and random.
const KNOWN_FLAGS: u8 = 0b11;

fn parent(extractor: &dyn Extractor) -> Option<(TraceId, SpanId, TraceFlags)> {
    match extractor.get_all(TRACEPARENT)?[..] {
        [line] => parse(line),
        // With two parents, neither of them can be trusted, so the trace restarts.
        _ => None,
    }
}

/// Parses `version "-" trace-id "-" parent-id "-" flags`. Versions above `00` may contain more data after another `-`.
fn parse(line: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    const LENGTH: usize = 55;
    let line = trim(line.as_bytes());
    let (known, future) = line.split_at_checked(LENGTH)?;
    let [version] = hex::parse(&known[..2])?;
    match (version, future) {
        (0xff, _) => return None,
        (_, []) => {}
        (0, _) => return None,
        (_, [b'-', ..]) => {}
        _ => return None,
    }
    if [known[2], known[35], known[52]] != [b'-'; 3] {
        return None;
    }
    let trace_id = hex::parse_trace_id(&known[3..35])?;
    let span_id = hex::parse_span_id(&known[36..52])?;
    let [flags] = hex::parse(&known[53..])?;
    Some((trace_id, span_id, TraceFlags::new(flags & KNOWN_FLAGS)))
}

/// Trims whitespace. There is usually none, because servers have already trimmed the header.
#[inline]
fn trim(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

fn write(span: &SpanContext) -> String {
    let mut line = String::with_capacity(55);
    line.push_str("00-");
    hex::push(&mut line, &span.trace_id().to_bytes());
    line.push('-');
    hex::push(&mut line, &span.span_id().to_bytes());
    line.push('-');
    hex::push(&mut line, &[span.trace_flags().to_u8() & KNOWN_FLAGS]);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn carrier(traceparent: &str, tracestate: &str) -> HashMap<String, String> {
        let headers = [(TRACEPARENT, traceparent), (TRACESTATE, tracestate)];
        headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn there_and_back(traceparent: &str, tracestate: &str) -> String {
        let propagator = TraceContextPropagator::new();
        let cx = propagator.extract_with_context(&Context::new(), &carrier(traceparent, tracestate));
        let mut out = HashMap::new();
        propagator.inject_context(&cx, &mut out);
        let get = |name: &str| out.get(name).map_or("absent", String::as_str).to_owned();
        format!("{} {}", get(TRACEPARENT), get(TRACESTATE))
    }

    const IDS: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

    #[test]
    fn flags_that_are_not_known_do_not_travel_on() {
        for (given, expected) in [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("ff", "03"), ("fc", "00")] {
            assert_eq!(there_and_back(&format!("00-{IDS}-{given}"), ""), format!("00-{IDS}-{expected} absent"));
        }
    }

    #[test]
    fn a_higher_version_is_sent_on_as_version_00() {
        assert_eq!(there_and_back(&format!("42-{IDS}-03-more"), "a=1"), format!("00-{IDS}-03 a=1"));
        assert_eq!(there_and_back(&format!("42-{IDS}-03-"), "a=1"), format!("00-{IDS}-03 a=1"));
        assert_eq!(there_and_back(&format!("42-{IDS}-030"), "a=1"), "absent absent");
    }

    #[test]
    fn upper_case_is_refused() {
        assert_eq!(there_and_back(&format!("00-{}-01", IDS.to_uppercase()), ""), "absent absent");
        assert_eq!(there_and_back(&format!("0A-{IDS}-01"), ""), "absent absent");
    }

    #[test]
    fn an_invalid_header_leaves_the_context_as_it_was() {
        let span = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, false, TraceState::NONE);
        let cx = Context::new().with_remote_span_context(span.clone());
        let extracted = TraceContextPropagator::new().extract_with_context(&cx, &carrier("00-nonsense", "a=1"));
        assert_eq!(extracted.span().span_context(), &span);
        let extracted = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier("", "a=1"));
        assert!(!extracted.has_active_span());
    }

    #[test]
    fn nothing_is_injected_without_a_valid_span() {
        let mut out = HashMap::new();
        TraceContextPropagator::new().inject_context(&Context::new(), &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn keys_that_the_api_cannot_hold_travel_on_in_their_place() {
        let state = "a=1,b@c@d=2,e=3,f@@=4";
        assert_eq!(there_and_back(&format!("00-{IDS}-01"), state), format!("00-{IDS}-01 {state}"));

        let propagator = TraceContextPropagator::new();
        let cx = propagator.extract_with_context(&Context::new(), &carrier(&format!("00-{IDS}-01"), state));
        let parent = cx.span().span_context().clone();
        assert_eq!(parent.trace_state().header(), "a=1,e=3");
        // A child that updates one member, adds one, and deletes one.
        let changed = parent.trace_state().insert("e", "new").and_then(|state| state.insert("z", "9"));
        let changed = changed.and_then(|state| state.delete("a")).unwrap();
        let child = |trace_id| SpanContext::new(trace_id, SpanId::from(7), TraceFlags::SAMPLED, false, changed.clone());
        let tracestate = |child| {
            let mut out = HashMap::new();
            propagator.inject_context(&cx.with_remote_span_context(child), &mut out);
            out.remove(TRACESTATE).unwrap()
        };
        assert_eq!(tracestate(child(parent.trace_id())), "z=9,e=new,b@c@d=2,f@@=4");
        assert_eq!(tracestate(child(TraceId::from(1))), "z=9,e=new", "what was carried belongs to another trace");
    }

    #[test]
    fn the_fields_are_the_headers() {
        assert_eq!(TraceContextPropagator::new().fields().collect::<Vec<_>>(), [TRACEPARENT, TRACESTATE]);
    }

    #[test]
    fn huge_headers_are_survived() {
        for unit in [",", "a=1,", "a", "=", "-", " ", "ü", "a@@=1,", "00-"] {
            let huge = unit.repeat(65536 / unit.len());
            there_and_back(&huge, &huge);
            there_and_back(&format!("00-{IDS}-01"), &huge);
            there_and_back(&format!("01-{IDS}-01-{huge}"), &huge);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(traceparent: String, tracestate: String) {
            there_and_back(&traceparent, &tracestate);
            there_and_back(&format!("00-{IDS}-01"), &tracestate);
        }

        #[test]
        fn what_is_nearly_right_is_survived(traceparent in "[0-9a-f]{2}-[0-9a-fA-F]{30,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}.{0,3}") {
            there_and_back(&traceparent, "");
        }

        #[test]
        fn what_is_injected_is_what_was_extracted(
            trace_id in 1u128.., span_id in 1u64.., flags in 0u8..4,
            state in prop::collection::btree_map("[a-z0-9][a-z0-9_*/@-]{0,20}", "[ -+\\--<>-~]{0,20}[!-+\\--<>-~]", 0..=32)
        ) {
            let state: Vec<_> = state.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let state = if state.is_empty() { "absent".to_owned() } else { state.join(",") };
            let parent = format!("00-{trace_id:032x}-{span_id:016x}-{flags:02x}");
            let given = if state == "absent" { "" } else { &state };
            prop_assert_eq!(there_and_back(&parent, given), format!("{parent} {state}"));
        }
    }
}
