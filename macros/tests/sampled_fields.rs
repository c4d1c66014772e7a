//! Fields that a sampler looks at before it decides.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::{Arc, Mutex};

use support::block_on;
use telemark::traced;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::sampling::{
    AlwaysOff, AlwaysOn, Composite, Decision, ParentBased, Rule, RuleBased, Sampler, SamplingRequest, SamplingResult,
};
use telemark_sdk::testing::{InMemoryExporter, TestTelemetry};
use telemark_sdk::text::Patterns;

/// Remembers the attributes that it sees, and drops spans with `drop=true`.
#[derive(Clone, Debug)]
struct Curious {
    seen: Arc<Mutex<Vec<String>>>,
    wants_attributes: bool,
}

impl Curious {
    fn new(wants_attributes: bool) -> Self {
        Curious { seen: Arc::default(), wants_attributes }
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Sampler for Curious {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        let shown: Vec<_> = request.attributes.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
        self.seen.lock().unwrap().push(shown.join(" "));
        let drops = shown.iter().any(|attribute| attribute == "drop=true");
        SamplingResult::new(if drops { Decision::Drop } else { Decision::RecordAndSample })
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Borrowed("Curious")
    }

    fn wants_attributes(&self) -> bool {
        self.wants_attributes
    }
}

thread_local! {
    static EVALUATED: Cell<u32> = const { Cell::new(0) };
}

/// A field that costs something.
fn costly() -> u32 {
    EVALUATED.set(EVALUATED.get() + 1);
    EVALUATED.get()
}

#[traced(fields(text = "a", number = -7, drop, path, copied = *size, size, owned, costly = costly(), shown = %drop, last = 1.5))]
fn mixed(drop: bool, path: &str, size: &u64, owned: String) -> usize {
    path.len() + owned.len() + usize::try_from(*size).unwrap() + usize::from(drop)
}

#[traced(fields(drop, path))]
async fn ready(drop: bool, path: &'static str) -> usize {
    path.len() + usize::from(drop)
}

#[traced(fields(drop, moved = into(given)))]
fn moves(drop: bool, given: String) -> bool {
    !drop
}

fn into(given: String) -> String {
    given + "!"
}

#[traced(fields(drop, changing, sum = { changing += 1; changing }))]
fn changes(drop: bool, mut changing: u32) -> u32 {
    changing += u32::from(drop);
    changing
}

fn telemetry(sampler: &Curious) -> TestTelemetry {
    TestTelemetry::with(|builder| builder.with_sampler(ParentBased::new(sampler.clone())))
}

#[test]
fn a_sampler_that_wants_attributes_sees_what_is_at_hand_and_nothing_else_is_evaluated() {
    let sampler = Curious::new(true);
    let telemetry = telemetry(&sampler);
    let guard = telemetry.attach();
    EVALUATED.set(0);
    mixed(true, "/a", &3, "owned".into());
    assert_eq!(sampler.seen(), ["text=a number=-7 drop=true path=/a size=3 last=1.5"]);
    assert_eq!(EVALUATED.get(), 0);
    mixed(false, "/a", &3, "owned".into());
    assert_eq!(sampler.seen(), ["text=a number=-7 drop=false path=/a size=3 last=1.5"]);
    assert_eq!(EVALUATED.get(), 1);
    block_on(ready(true, "/b"));
    block_on(ready(false, "/b"));
    moves(true, "m".into());
    moves(false, "m".into());
    changes(true, 1);
    changes(false, 1);
    let expected = ["drop=true path=/b", "drop=false path=/b", "drop=true", "drop=false", "drop=true", "drop=false"];
    assert_eq!(sampler.seen(), expected);
    drop(guard);
    // Each field is recorded once, in the order in which it is written.
    assert_eq!(
        telemetry.tree(),
        "mixed text=a number=-7 drop=false path=/a copied=3 size=3 owned=owned costly=1 shown=false last=1.5\n\
         ready drop=false path=/b\nmoves drop=false moved=m!\nchanges drop=false changing=1 sum=2\n"
    );
}

#[test]
fn no_field_is_evaluated_for_a_sampler_that_wants_none() {
    let sampler = Curious::new(false);
    let telemetry = telemetry(&sampler);
    let _guard = telemetry.attach();
    mixed(true, "/a", &3, "owned".into());
    block_on(ready(true, "/b"));
    telemark_sdk::instrument::spans::span("manual").with("drop", true).in_scope(|| ());
    assert_eq!(sampler.seen(), ["", "", ""]);
    assert_eq!(telemetry.spans().len(), 3);
}

#[test]
fn attributes_of_manual_spans_are_at_hand() {
    let sampler = Curious::new(true);
    let telemetry = telemetry(&sampler);
    let guard = telemetry.attach();
    let span = |drop: bool| telemark_sdk::instrument::spans::span("manual").with("drop", drop).with("text", "a");
    span(true).in_scope(|| ());
    span(false).in_scope(|| ());
    span(false).with_new_root().in_scope(|| ());
    assert_eq!(sampler.seen(), ["drop=true text=a", "drop=false text=a", "drop=false text=a"]);
    drop(guard);
    assert_eq!(telemetry.tree(), "manual drop=false text=a\nmanual drop=false text=a\n");
}

#[test]
fn rules_decide_by_fields() {
    #[traced(fields(path, tenant))]
    fn handle(path: &str, tenant: u64) -> usize {
        path.len() + usize::try_from(tenant).unwrap()
    }

    let rules = RuleBased::new()
        .with_rule(Rule::new(AlwaysOff).with_attribute_patterns("path", Patterns::new(Some(["/health*"]), [""; 0])))
        .with_rule(Rule::new(AlwaysOn).with_attribute_values("tenant", ["17"]));
    let telemetry = TestTelemetry::with(|builder| builder.with_sampler(Composite::new(rules)));
    let guard = telemetry.attach();
    for (path, tenant) in [("/healthz", 17), ("/a", 17), ("/a", 18)] {
        handle(path, tenant);
    }
    drop(guard);
    assert_eq!(telemetry.tree(), "handle path=/a tenant=17\n");
}

/// What a sampler wants is asked when it is set.
#[test]
fn a_sampler_that_replaces_another_one_gets_what_it_wants() {
    let (first, second) = (Curious::new(false), Curious::new(true));
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "test")]))
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .with_span_exporter(InMemoryExporter::new())
        .with_sampler(first.clone())
        .build()
        .unwrap()
        .install()
        .unwrap();
    block_on(ready(false, "/b"));
    telemetry.control().set_sampler(second.clone());
    block_on(ready(false, "/b"));
    assert_eq!((first.seen(), second.seen()), (vec![String::new()], vec!["drop=false path=/b".to_owned()]));
}
