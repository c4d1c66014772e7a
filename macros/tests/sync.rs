//! `#[traced]` on synchronous functions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "panics are what is tested")]

mod support;

use std::fmt;
use std::io;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, Context, Value};
use support::check;
use telemark::traced;
use telemark_sdk::testing::TestTelemetry;

#[traced]
fn plain() -> u32 {
    7
}

#[traced]
fn nested(depth: u32) -> u32 {
    if depth == 0 {
        return plain();
    }
    nested(depth - 1)
}

#[test]
fn a_span_has_the_name_of_the_function_and_the_current_one_as_its_parent() {
    check(|| assert_eq!(nested(1), 7), "nested\n  nested\n    plain");
}

#[test]
fn the_call_site_is_known() {
    let telemetry = TestTelemetry::new();
    let guard = telemetry.attach();
    Cart::default().total();
    plain();
    drop(guard);
    let spans = telemetry.spans();
    let text = |index: usize| {
        let attributes: Vec<_> = spans[index].attributes().map(|a| format!("{}={}", a.key, a.value)).collect();
        format!("{} {}", spans[index].scope.name(), attributes.join(" "))
    };
    assert_eq!(
        text(0),
        format!(
            "telemark-macros code.function.name=sync::Cart::total code.file.path=macros/tests/sync.rs code.line.number={}",
            Cart::TOTAL_LINE
        )
    );
    assert!(text(1).contains("code.function.name=sync::plain "), "{}", text(1));
}

#[derive(Default)]
struct Cart {
    items: Vec<u32>,
}

#[traced(kind = server)]
impl Cart {
    const TOTAL_LINE: u32 = line!() + 1;
    fn total(&self) -> u32 {
        self.items.iter().sum()
    }

    #[traced(name = "cart.add", kind = client, fields(item))]
    fn add(&mut self, item: u32) -> &mut Self {
        self.items.push(item);
        self
    }

    #[traced(skip)]
    fn len(&self) -> usize {
        self.items.len()
    }

    const fn constant() -> u32 {
        1
    }

    fn first(&mut self) -> Result<&mut u32, &'static str> {
        self.items.first_mut().ok_or("empty")
    }
}

impl fmt::Display for Cart {
    #[traced(err = off)]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items", self.items.len())
    }
}

#[test]
fn an_impl_block_traces_its_functions_and_inner_options_win() {
    check(
        || {
            let mut cart = Cart::default();
            assert_eq!(cart.add(3).add(4).total(), 7);
            assert_eq!(cart.len() as u32 + Cart::constant(), 3);
            *cart.first().unwrap() = 5;
            assert_eq!(cart.to_string(), "2 items");
        },
        "
        cart.add (client) item=3
        cart.add (client) item=4
        Cart::total (server)
        Cart::first (server)
        fmt
        ",
    );
    check(|| assert!(Cart::default().first().is_err()), "Cart::first (server) error[empty] error.type=str");
}

#[traced(code = off)]
mod pricing {
    pub(super) fn price(of: &str) -> usize {
        inner::discount(of.len())
    }

    #[traced(skip)]
    pub(super) fn untraced() {}

    mod inner {
        #[traced(fields(full))]
        pub(super) fn discount(full: usize) -> usize {
            full / 2
        }
    }
}

#[test]
fn a_module_traces_everything_in_it() {
    let telemetry = TestTelemetry::new();
    let guard = telemetry.attach();
    assert_eq!(pricing::price("four"), 2);
    pricing::untraced();
    drop(guard);
    assert_eq!(telemetry.tree(), "price\n  discount full=4\n");
    assert_eq!(telemetry.spans()[1].attributes().count(), 0);
}

trait Shop {
    #[traced]
    fn open(&self) -> u32 {
        self.close()
    }
    fn close(&self) -> u32;
}

#[traced]
impl Shop for Cart {
    fn close(&self) -> u32 {
        0
    }
}

#[test]
fn trait_methods_are_traced() {
    check(|| assert_eq!(Cart::default().open(), 0), "open\n  Cart::close");
}

#[derive(Debug)]
struct Pair(u32, u32);

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

#[traced(fields(
    a,
    left = pair.0,
    %pair,
    pair.debug = ?pair,
    pair.display = %pair,
    "quoted key" = [1.5, 2.0],
    type = "literal",
    none = None::<bool>,
    computed = a.len() * 2,
    flag,
    r#match = 1u64,
))]
fn captures(a: &str, pair: Pair, (flag, _): (bool, u8), unnamed: u32) -> u32 {
    pair.0 + pair.1 + unnamed + u32::from(flag)
}

#[test]
fn fields_are_typed_and_only_named_arguments_are_captured() {
    check(
        || assert_eq!(captures("abc", Pair(1, 2), (true, 9), 4), 8),
        "captures a=abc left=1 pair=1/2 pair.debug=Pair(1, 2) pair.display=1/2 quoted key=[1.5,2] type=literal computed=6 flag=true match=1",
    );
}

#[test]
fn types_survive() {
    let telemetry = TestTelemetry::new();
    let guard = telemetry.attach();
    captures("abc", Pair(1, 2), (true, 9), 4);
    drop(guard);
    let spans = telemetry.spans();
    let kinds = spans[0].own_attributes.iter().map(|attribute| match &attribute.value {
        Value::Bool(_) => "bool",
        Value::I64(_) => "i64",
        Value::F64(_) => "f64",
        Value::String(_) => "string",
        Value::Array(Array::F64(_)) => "f64s",
        _ => "other",
    });
    assert_eq!(kinds.collect::<Vec<_>>().join(" "), "string i64 string string string f64s string i64 bool i64");
}

#[derive(Debug)]
struct Failure<T>(T);

impl<T: fmt::Debug> fmt::Display for Failure<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed at {:?}", self.0)
    }
}

#[derive(Debug)]
struct Silent;

#[traced]
fn fallible(step: u32) -> Result<u32, Failure<u32>> {
    if step == 1 {
        return Err(Failure(1));
    }
    let step = Err(Failure(step)).or(if step == 2 { Ok(2) } else { Err(Failure(3)) })?;
    Ok(step)
}

#[traced(err(Debug))]
fn debugged() -> Result<(), Silent> {
    Err(Silent)
}

#[traced]
fn silent() -> Result<(), Silent> {
    Err(Silent)
}

#[traced]
fn generic<E>(error: E) -> Result<(), E> {
    Err(error)
}

#[traced]
fn io_error() -> io::Result<()> {
    Err(io::Error::other("disk full"))
}

#[traced]
fn boxed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    io_error()?;
    Ok(())
}

#[traced(err = off)]
fn off() -> Result<(), Silent> {
    Err(Silent)
}

type Alias = Result<u32, Silent>;

#[traced]
fn alias() -> Alias {
    Err(Silent)
}

#[traced(err, ret)]
fn known_alias(good: bool) -> Alias {
    good.then_some(5).ok_or(Silent)
}

#[test]
fn errors_become_the_status() {
    check(|| _ = fallible(1), "fallible error[failed at 1] error.type=sync::Failure");
    check(|| _ = fallible(2), "fallible");
    check(|| _ = fallible(3), "fallible error[failed at 3] error.type=sync::Failure");
    check(|| _ = debugged(), "debugged error[Silent] error.type=sync::Silent");
    check(|| _ = silent(), "silent error error.type=sync::Silent");
    check(|| _ = generic(1.5), "generic error error.type=f64");
    check(|| _ = off(), "off");
    check(|| _ = alias(), "alias error error.type=sync::Silent");
    check(|| _ = known_alias(false), "known_alias error error.type=sync::Silent");
    check(|| _ = known_alias(true), "known_alias return=5");
    check(
        || _ = boxed(),
        "
        boxed error[disk full] error.type=std::io::ErrorKind::Other
          io_error error[disk full] error.type=std::io::ErrorKind::Other
        ",
    );
}

#[traced(ret)]
fn returns(text: &str) -> &str {
    text.trim()
}

#[traced(ret(Debug))]
fn returns_debug() -> Pair {
    Pair(1, 2)
}

#[traced(ret(Display), err = off)]
fn returns_ok() -> Result<Pair, Silent> {
    Ok(Pair(3, 4))
}

#[traced(ret)]
fn returns_iterator() -> Result<impl Iterator<Item = u8>, Silent>
where
    u8: Copy,
{
    fn none() -> Result<std::vec::IntoIter<u8>, Silent> {
        Err(Silent)
    }
    none().map(|iterator| iterator.collect::<Vec<_>>()).map(Opaque)
}

struct Opaque(Vec<u8>);

impl Iterator for Opaque {
    type Item = u8;
    fn next(&mut self) -> Option<u8> {
        self.0.pop()
    }
}

impl telemark::__private::ToValue for Opaque {
    fn to_value(&self) -> Option<opentelemetry::Value> {
        Some(opentelemetry::Value::from("opaque"))
    }
}

#[test]
fn return_values_are_recorded_when_asked() {
    check(|| assert_eq!(returns(" x "), "x"), "returns return=x");
    check(|| _ = returns_debug(), "returns_debug return=Pair(1, 2)");
    check(|| _ = returns_ok(), "returns_ok return=3/4");
    check(|| _ = returns_iterator(), "returns_iterator error error.type=sync::Silent");
}

const PREFIXED: &str = concat!("shop.", "checkout");

#[traced(name = PREFIXED, root)]
fn rooted() {
    plain();
}

#[traced(parent = of)]
fn below(of: &Context) {}

#[traced(parent = remote(), links = [remote(), remote()])]
fn continued() {}

fn remote() -> SpanContext {
    let (trace, span) = (TraceId::from(0xabcu128), SpanId::from(0x12u64));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE)
}

#[traced]
fn family() {
    rooted();
    let own = Context::current();
    let _guard = Context::new().attach();
    below(&own);
}

#[test]
fn the_parent_can_be_chosen() {
    let telemetry = TestTelemetry::new();
    let guard = telemetry.attach();
    family();
    continued();
    drop(guard);
    assert_eq!(
        telemetry.tree(),
        "shop.checkout\n  plain\nfamily\n  below\ncontinued\n  > 00000000000000000000000000000abc:0000000000000012\n  > 00000000000000000000000000000abc:0000000000000012\n"
    );
    let continued = &telemetry.spans()[4];
    assert_eq!(continued.context.trace_id(), remote().trace_id());
    assert_eq!(continued.parent_span_id, remote().span_id());
    assert!(continued.parent_is_remote);
}

#[traced]
fn panics() {
    plain();
    panic!("oops");
}

struct TracesInDrop;

impl Drop for TracesInDrop {
    fn drop(&mut self) {
        plain();
    }
}

#[traced]
fn panics_and_drops() {
    let _drops = TracesInDrop;
    panics();
}

#[test]
fn a_panic_marks_only_the_spans_it_leaves_and_continues() {
    check(
        || assert!(std::panic::catch_unwind(panics_and_drops).is_err()),
        "
        panics_and_drops error[panic] error.type=panic telemark.outcome=panicked
          panics error[panic] error.type=panic telemark.outcome=panicked
            plain
          plain
        ",
    );
}

#[traced(fields(x = [0u8; 0][list.len()], y = plain()))]
fn bad_field(list: &[u8]) -> usize {
    list.len()
}

#[test]
fn a_field_that_panics_costs_itself_and_a_field_may_call_traced_functions() {
    check(|| assert_eq!(bad_field(&[1]), 1), "bad_field");
    check(|| assert_eq!(good_field(&[1]), 1), "plain\ngood_field y=7");
}

#[traced(fields(y = plain()))]
fn good_field(list: &[u8]) -> usize {
    list.len()
}

#[traced]
fn keeps_context() -> Context {
    Context::current()
}

#[test]
fn a_span_ends_with_its_function_even_if_its_context_is_kept() {
    let telemetry = TestTelemetry::new();
    let guard = telemetry.attach();
    let kept = keeps_context();
    assert_eq!(telemetry.tree(), "keeps_context\n");
    assert!(!kept.span().is_recording());
    drop(guard);
}

#[traced]
extern "C" fn for_c(value: u32) -> u32 {
    value
}

#[test]
fn extern_functions_are_traced() {
    check(|| assert_eq!(for_c(5), 5), "for_c");
}

#[traced]
fn takes(telemetry: &TestTelemetry, time: Duration) {
    telemetry.clock.advance(time);
}

#[test]
fn the_end_is_read_from_the_clock_of_the_provider() {
    let telemetry = TestTelemetry::new();
    let guard = telemetry.attach();
    takes(&telemetry, Duration::from_millis(7));
    drop(guard);
    assert_eq!(telemetry.spans()[0].duration(), Duration::from_millis(7));
}

#[test]
fn a_static_text_is_not_copied() {
    static TEXT: &str = "a text that lives as long as the program";

    #[traced(fields(given, renamed = given, copied = borrowed))]
    fn takes(given: &'static str, borrowed: &str) -> usize {
        given.len() + borrowed.len()
    }

    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    takes(TEXT, TEXT);
    let spans = telemetry.spans();
    let is_the_same = |key: &str| {
        let attribute = spans[0].own_attributes.iter().find(|attribute| attribute.key.as_str() == key).unwrap();
        let Value::String(text) = &attribute.value else { panic!("{key} is no text") };
        assert_eq!(text.as_str(), TEXT);
        std::ptr::eq(text.as_str(), TEXT)
    };
    assert_eq!(["given", "renamed", "copied"].map(is_the_same), [true, true, false]);
}
