//! The W3C conformance suite for trace context, as a table of the headers that a service receives and sends.
//!
//! The suite calls a service over HTTP and checks the calls that the service makes. Here, the service consists of three
//! steps: extract, start a span, inject. The limits are those of the suite's strict mode, and keys follow level 2.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::TraceContextPropagator;

/// Request headers, one `name: value` per line.
struct Request<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Request<'a> {
    fn new(lines: &'a str) -> Self {
        Request(lines.split('\n').filter_map(|line| line.split_once(": ")).collect())
    }
}

impl Extractor for Request<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|&(_, value)| value)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|&(name, _)| name).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let named = self.0.iter().filter(|(name, _)| name.eq_ignore_ascii_case(key));
        Some(named.map(|&(_, value)| value).collect::<Vec<_>>()).filter(|values| !values.is_empty())
    }
}

#[derive(Default)]
struct Sent(Vec<(String, String)>);

impl Injector for Sent {
    fn set(&mut self, key: &str, value: String) {
        self.0.push((key.to_owned(), value));
    }
}

const NEW_TRACE: TraceId = TraceId::from_bytes([0xee; 16]);

/// Summarizes the headers of the service's `call`th request: `kept` or `new` for the trace id, then the flags and the state.
fn serve(lines: &str, call: u64) -> String {
    let propagator = TraceContextPropagator::new();
    let cx = propagator.extract_with_context(&Context::new(), &Request::new(lines));
    let (parent, own) = (cx.span().span_context().clone(), SpanId::from(0xaa00 + call));
    let span = if parent.is_valid() {
        let state = parent.trace_state().clone();
        SpanContext::new(parent.trace_id(), own, parent.trace_flags(), false, state)
    } else {
        SpanContext::new(NEW_TRACE, own, TraceFlags::new(3), false, TraceState::NONE)
    };
    let mut sent = Sent::default();
    propagator.inject_context(&cx.with_remote_span_context(span), &mut sent);

    let [traceparent, state @ ..] = &sent.0[..] else { return "nothing".to_owned() };
    let state: Vec<_> = state.iter().map(|(name, value)| format!(" {name}: {value}")).collect();
    let line = format!("{}: {}{}", traceparent.0, traceparent.1, state.concat());
    let own = format!("-{own}-");
    line.replace("traceparent: 00-12345678901234567890123456789012", "kept")
        .replace(&format!("traceparent: 00-{NEW_TRACE}"), "new")
        .replace(&own, " ")
}

const P: &str = "traceparent: 00-12345678901234567890123456789012-1234567890123456-00";

/// Returns a valid `traceparent` line followed by a `tracestate` line for each of `lines`.
fn states(lines: &[&str]) -> String {
    lines.iter().fold(P.to_owned(), |request, line| format!("{request}\ntracestate: {line}"))
}

struct Suite {
    methods: usize,
    failures: Vec<String>,
}

impl Suite {
    /// Runs one method of the suite. Each case pairs a request with the expected headers.
    fn method<R: AsRef<str>, E: AsRef<str>>(&mut self, name: &str, cases: impl IntoIterator<Item = (R, E)>) {
        self.methods += 1;
        for (request, expected) in cases {
            for call in 0..3 {
                let sent = serve(request.as_ref(), call);
                if sent != expected.as_ref() {
                    let (request, expected) = (request.as_ref(), expected.as_ref());
                    self.failures.push(format!("{name}: {request:?}\n  expected {expected}\n  sent     {sent}"));
                }
            }
        }
    }

    /// Runs one method of the suite with each of these `traceparent` values, all of which must produce the same
    /// result.
    fn parents(&mut self, name: &str, values: impl IntoIterator<Item = String>, expected: &str) {
        self.method(name, values.into_iter().map(|value| (format!("traceparent: {value}"), expected)));
    }
}

#[test]
fn every_method_of_the_suite() {
    let mut suite = Suite { methods: 0, failures: Vec::new() };
    traceparent(&mut suite);
    tracestate(&mut suite);
    advanced(&mut suite);
    assert!(suite.failures.is_empty(), "{}", suite.failures.join("\n"));
    assert_eq!(suite.methods, 41);
}

fn traceparent(suite: &mut Suite) {
    const T: &str = "12345678901234567890123456789012";
    const S: &str = "1234567890123456";
    let valid = format!("00-{T}-{S}-01");
    let parent = |version: &str, trace: &str, span: &str, flags: &str| format!("{version}-{trace}-{span}-{flags}");

    suite.method("both missing", [("", "new 03")]);
    suite.method("only traceparent", [(format!("traceparent: {valid}"), "kept 01")]);
    let twice = format!("traceparent: 00-12345678901234567890123456789011-{S}-01\ntraceparent: {valid}");
    suite.method("traceparent twice", [(twice, "new 03")]);
    let named = |name: &str| format!("{name}: {valid}");
    suite.method("wrong name", ["trace-parent", "trace.parent"].map(|name| (named(name), "new 03")));
    suite
        .method("case of the name", ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"].map(|name| (named(name), "kept 01")));
    suite.parents("version 00", [format!("{valid}."), format!("{valid}-what-the-future-will-be-like")], "new 03");
    let future = parent("cc", T, S, "01");
    let futures = [("", "kept 01"), ("-what-the-future-will-be-like", "kept 01"), (".what-the-future", "new 03")];
    suite.method("version cc", futures.map(|(more, expected)| (format!("traceparent: {future}{more}"), expected)));
    suite.parents("version ff", [parent("ff", T, S, "01")], "new 03");
    suite.parents("version characters", [parent(".0", T, S, "01"), parent("0.", T, S, "01")], "new 03");
    suite.parents("version too long", [parent("000", T, S, "01"), parent("0000", T, S, "01")], "new 03");
    suite.parents("version too short", [parent("0", T, S, "01")], "new 03");
    suite.parents("trace id of zeros", [parent("00", &"0".repeat(32), S, "01")], "new 03");
    let characters = [format!(".{}", &T[1..]), format!("{}.", &T[..31])];
    suite.parents("trace id characters", characters.map(|t| parent("00", &t, S, "01")), "new 03");
    suite.parents("trace id too long", [parent("00", &format!("{T}3"), S, "01")], "new 03");
    suite.parents("trace id too short", [parent("00", &T[..31], S, "01")], "new 03");
    suite.parents("parent id of zeros", [parent("00", T, &"0".repeat(16), "01")], "new 03");
    let characters = [format!(".{}", &S[1..]), format!("{}.", &S[..15])];
    suite.parents("parent id characters", characters.map(|s| parent("00", T, &s, "01")), "new 03");
    suite.parents("parent id too long", [parent("00", T, &format!("{S}7"), "01")], "new 03");
    suite.parents("parent id too short", [parent("00", T, &S[..15], "01")], "new 03");
    suite.parents("flags characters", [parent("00", T, S, ".0"), parent("00", T, S, "0.")], "new 03");
    suite.parents("flags too long", [parent("00", T, S, "001")], "new 03");
    suite.parents("flags too short", [parent("00", T, S, "1")], "new 03");
    let spaced = [("", " "), (" ", ""), ("\t", ""), ("", "\t"), ("\t ", " \t")];
    let spaced = spaced.map(|(before, after)| (format!("traceparent: {before}{valid}{after}"), "kept 01"));
    suite.method("white space around traceparent", spaced);
}

fn tracestate(suite: &mut Suite) {
    let kept = |state: &str| format!("kept 00 tracestate: {state}");
    let discarded = || "kept 00".to_owned();

    suite
        .method("only tracestate", ["tracestate: foo=1", "tracestate: foo=1,bar=2"].map(|request| (request, "new 03")));
    suite.method("traceparent and tracestate", [(states(&["foo=1,bar=2"]), kept("foo=1,bar=2"))]);
    let named = |name: &str| format!("{P}\n{name}: foo=1");
    suite.method("wrong name of tracestate", ["trace-state", "trace.state"].map(|name| (named(name), discarded())));
    let names = ["TraceState", "TrAcEsTaTe", "TRACESTATE"];
    suite.method("case of the name of tracestate", names.map(|name| (named(name), kept("foo=1"))));
    suite.method(
        "empty tracestate",
        [
            (states(&[""]), discarded()),
            (states(&["foo=1", ""]), kept("foo=1")),
            (states(&["", "foo=1"]), kept("foo=1")),
        ],
    );
    let lines = states(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]);
    suite.method("several lines of tracestate", [(lines, kept("foo=1,bar=2,rojo=1,congo=2,baz=3"))]);
    // The suite accepts either all members or only one.
    let twice: [&[&str]; 4] = [&["foo=1,foo=1"], &["foo=1,foo=2"], &["foo=1", "foo=1"], &["foo=1", "foo=2"]];
    suite.method("a key twice", twice.map(|lines| (states(lines), kept("foo=1"))));
    let value: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    let key: String = ('a'..='z').chain('0'..='9').chain("_-*/".chars()).collect();
    let members = [format!("{key}={value}"), format!("{key}@a-z0-9_-*/={value}")];
    suite.method("all allowed characters", members.map(|member| (states(&[&member]), kept(&member))));
    let mut spaced: Vec<_> =
        [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"].map(|l| (states(&[l]), kept("foo=1"))).into();
    spaced.extend(
        ["foo=1 \t , \t bar=2, \t baz=3", "foo=1\t \t,\t \tbar=2,\t \tbaz=3"]
            .map(|line| (states(&[line]), kept("foo=1,bar=2,baz=3"))),
    );
    suite.method("white space in tracestate", spaced);
    suite.method("key characters", ["foo =1", "FOO=1", "foo.bar=1"].map(|line| (states(&[line]), discarded())));
    // Level 1 rejected all of these keys; level 2 allows `@` anywhere except at the start.
    let vendors = ["foo@=1,bar=2", "foo@@bar=1,bar=2", "foo@bar@baz=1,bar=2"];
    let mut vendors: Vec<_> = vendors.map(|line| (states(&[line]), kept(line))).into();
    vendors.push((states(&["@foo=1,bar=2"]), discarded()));
    suite.method("vendor in the key", vendors);
    let bars =
        |range: std::ops::RangeInclusive<u8>| range.map(|n| format!("bar{n:02}={n:02}")).collect::<Vec<_>>().join(",");
    let lines = |last: &str| states(&[&bars(1..=10), &bars(11..=20), &bars(21..=30), last]);
    suite.method(
        "number of members",
        [(lines(&bars(31..=32)), kept(&bars(1..=32))), (lines(&bars(31..=33)), discarded())],
    );
    let key = |key: String| states(&["foo=1", &format!("{key}=1")]);
    let (z256, tenant) = ("z".repeat(256), format!("{}@{}", "t".repeat(241), "v".repeat(14)));
    suite.method(
        "length of the key",
        [
            (key(z256.clone()), kept(&format!("foo=1,{z256}=1"))),
            (key("z".repeat(257)), discarded()),
            (key(tenant.clone()), kept(&format!("foo=1,{tenant}=1"))),
        ],
    );
    suite.method("value characters", ["foo=bar=baz", "foo=,bar=3"].map(|line| (states(&[line]), discarded())));
}

fn advanced(suite: &mut Suite) {
    let parent = "traceparent: 00-12345678901234567890123456789012-1234567890123456-01";
    suite.method("several calls with a parent", [(parent, "kept 01")]);
    suite.method("several calls without a parent", [("", "new 03")]);
    let zeros = format!("traceparent: 00-{}-1234567890123456-01", "0".repeat(32));
    suite.method("several calls with an invalid parent", [(zeros, "new 03")]);
    let random = "traceparent: 00-12345678901234567890123456789012-1234567890123456-02";
    suite.method("the random flag travels on", [(random, "kept 02")]);
}
