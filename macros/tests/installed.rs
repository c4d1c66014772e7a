//! `#[traced(metrics)]` and static metrics on installed telemetry. There is only one test, because a process can
//! install telemetry only once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use telemark::{Counter, traced};
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::PullReader;
use telemark_sdk::testing::{InMemoryExporter, ManualClock, TestTelemetry, metrics_text};
use telemark_sdk::time::Deadline;

static ORDERS: Counter<u64> = Counter::new("shop.orders");

#[traced(metrics)]
fn call(clock: &ManualClock, fails: bool) -> Result<(), String> {
    clock.advance(Duration::from_millis(3));
    if fails { Err("on purpose".to_owned()) } else { Ok(()) }
}

#[test]
fn a_call_site_finds_what_is_installed_and_a_test_its_own() {
    let clock = ManualClock::new();
    call(&clock, false).unwrap();
    ORDERS.add(100, ());

    let (reader, exporter) = (PullReader::default(), InMemoryExporter::new());
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "test"); 1]))
        .with_clock(clock.clock())
        .with_metric_reader(reader.clone())
        .with_span_exporter(exporter.clone())
        .build()
        .unwrap()
        .install()
        .unwrap();
    call(&clock, false).unwrap();
    call(&clock, true).unwrap_err();
    for kind in ["web", "app", "web"] {
        ORDERS.add(1, (("kind", kind), ("vip", true), ("voucher", None::<u8>)));
    }
    let test = TestTelemetry::new();
    {
        let _guard = test.attach();
        call(&test.clock, false).unwrap();
        ORDERS.add(7, ());
    }
    call(&clock, false).unwrap();

    telemetry.force_flush(Deadline::NEVER).unwrap();
    // Formatted without leading zeros, as in the text.
    let spans: Vec<_> = exporter.items().iter().map(|span| format!("{:x}", span.context.span_id())).collect();
    assert_eq!(spans.len(), 3);
    let text = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    let [app, web, failed, ok] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!([app, web], ["shop.orders{kind=app,vip=true} sum 1", "shop.orders{kind=web,vip=true} sum 2"]);
    assert!(
        ok.starts_with("telemark.function.duration[s]{code.function.name=installed::call} histogram count=2 sum=0.006"),
        "{ok}"
    );
    assert!(failed.contains("error.type=alloc::string::String} histogram count=1 sum=0.003"), "{text}");
    assert!(ok.contains(&spans[0]) || ok.contains(&spans[2]), "{ok}");
    assert!(failed.contains(&spans[1]), "{failed}");

    let orders = || ORDERS.add(1, (("kind", "web"), ("vip", true), ("items", 3)));
    orders();
    assert_eq!(allocation_counter::measure(orders).count_total, 0);

    // The function itself allocates its error, and a recorded span also allocates.
    let call_once = || drop(call(&clock, false));
    {
        let parent = SpanContext::new(1.into(), 2.into(), TraceFlags::default(), true, TraceState::NONE);
        let _parent = Context::current().with_remote_span_context(parent).attach();
        assert_eq!(allocation_counter::measure(call_once).count_total, 0);
    }
    telemark::suppress(|| assert_eq!(allocation_counter::measure(call_once).count_total, 0));
    assert!(test.metrics().contains("count=1 sum=0.003"), "{}", test.metrics());
    assert!(test.metrics().contains("shop.orders sum 7"), "{}", test.metrics());
}
