//! Tail sampling sees the spans of `#[traced]`, of `tracing` and of the API alike, though the sampler drops every trace. There is only
//! one test, because the installation is global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry::{Context, global};
use telemark::config::Env;
use telemark::tail_sampling::{Policy, TailSampling};
use telemark::testing::{InMemoryExporter, tree};
use telemark::traced;

/// Returns the flags that another service would be sent.
fn sent() -> String {
    let mut headers = HashMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&Context::current(), &mut headers));
    headers.remove("traceparent").unwrap_or_default().split('-').next_back().unwrap_or_default().to_owned()
}

#[traced(fields(id))]
fn checkout(id: u32) -> Result<String, std::num::ParseIntError> {
    tracing::info_span!("reserve", id).in_scope(|| {
        let library = global::tracer_provider().tracer("library");
        library.start("SELECT").end();
        tracing::debug_span!("below the filter").in_scope(|| pay(id))
    })
}

#[traced]
fn pay(id: u32) -> Result<String, std::num::ParseIntError> {
    if id == 2 { "two".parse::<u32>() } else { Ok(id) }.map(|_| sent())
}

#[test]
fn spans_of_all_three_are_held_and_kept_together() {
    let spans = InMemoryExporter::new();
    let env = Env::from_pairs([("OTEL_TRACES_SAMPLER", "parentbased_always_off"), ("OTEL_METRICS_EXPORTER", "none")]);
    let telemetry = telemark::builder()
        .with_env(env)
        .with_span_exporter(spans.clone())
        .with_log_exporter(InMemoryExporter::new())
        .with_tail_sampling(TailSampling::new().keep(Policy::errors()))
        .with_instrumentation(telemark::tracing::install)
        .init()
        .unwrap();
    // What is sent follows the sampler, with the flag of a random trace id.
    assert_eq!(checkout(1).unwrap(), "02");
    assert!(checkout(2).is_err());
    tracing::info_span!("a root of tracing").in_scope(|| drop(checkout(2)));
    assert_eq!(checkout(3).unwrap(), "02");
    telemetry.flush(Duration::from_secs(20)).unwrap();
    let exported = spans.items();
    let mut names: Vec<_> = exported.iter().map(|span| span.name.to_string()).collect();
    names.sort_unstable();
    let expected =
        ["SELECT", "SELECT", "a root of tracing", "checkout", "checkout", "pay", "pay", "reserve", "reserve"];
    assert_eq!(names, expected, "{}", tree(&exported));
    let health = telemetry.health().tail.unwrap();
    assert_eq!((health.kept[0].1.total, health.dropped.total, health.held_traces), (2, 2, 0));
    let marked =
        |span: &&telemark::trace::SpanData| span.attributes().any(|a| a.key.as_str().ends_with("head_sampled"));
    assert_eq!(exported.iter().filter(marked).count(), 2, "both local roots say that the sampler dropped them");
}
