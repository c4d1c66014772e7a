//! Measures what a decision of each sampler costs, in ns for each root span, and what the fields cost that `#[traced]` shows it.
//!
//! ```text
//! cargo run --release -p telemark-sdk --example sampler_cost
//! ```

use std::hint::black_box;

use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::id::{IdGenerator, RandomIds};
use telemark_sdk::sampling::{
    Adaptive, AlwaysOff, AlwaysOn, Composite, ParentBased, ParentThreshold, Probability, RateLimiting, Rule, RuleBased,
    Sampler, SamplingRequest, TraceIdRatio,
};
use telemark_sdk::text::Patterns;
use telemark_sdk::time::Clock;

/// Rounds are short, so that most of them are not interrupted by other programs.
const ROUNDS: usize = 301;
const CALLS: usize = 2_000;

fn main() {
    let rows: [(&str, Box<dyn Sampler>); 8] = [
        ("always on", Box::new(AlwaysOn)),
        ("parent based, ratio 0.01", Box::new(ParentBased::new(TraceIdRatio::new(0.01)))),
        ("parent based, probability 0.01", Box::new(ParentBased::new(Probability::new(0.01)))),
        ("ten rules, the last selects, 0.01", Box::new(Composite::new(ten_rules(0.01)))),
        ("ten rules, the last selects, 1.0", Box::new(Composite::new(ten_rules(1.0)))),
        ("ten rules of names, 0.01", Box::new(Composite::new(ten_names(0.01)))),
        ("rate limiting", Box::new(Composite::new(ParentThreshold::new(RateLimiting::new(100.0))))),
        ("adaptive", Box::new(Composite::new(ParentThreshold::new(Adaptive::new(100.0))))),
    ];
    println!("{:>36} {:>8} {:>8} {:>8}", "ns a root", "min", "median", "max");
    for (name, sampler) in &rows {
        let mut times: Vec<f64> = (0..ROUNDS).map(|_| measure(&**sampler)).collect();
        times.sort_by(f64::total_cmp);
        println!("{name:>36} {:8.1} {:8.1} {:8.1}", times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
    }
}

/// Ten rules that look at everything: names, kinds, parents, attributes and patterns. The last one selects the span.
fn ten_rules(ratio: f64) -> RuleBased {
    let path = |pattern: &str| Patterns::new(Some([pattern.to_owned()]), [""; 0]);
    RuleBased::new()
        .with_rule(Rule::new(AlwaysOff).with_span_names(["GET /health*"]))
        .with_rule(Rule::new(AlwaysOff).with_span_names(["GET /metrics", "GET /ready"]))
        .with_rule(Rule::new(AlwaysOn).with_kinds([SpanKind::Consumer]))
        .with_rule(Rule::new(AlwaysOn).with_kinds([SpanKind::Client]).with_span_names(["SELECT *"]))
        .with_rule(Rule::new(AlwaysOn).with_attribute_values("tenant.id", ["17", "23"]))
        .with_rule(Rule::new(AlwaysOn).with_attribute_values("http.request.method", ["POST", "PUT"]))
        .with_rule(Rule::new(AlwaysOff).with_attribute_patterns("url.path", path("/static/*")))
        .with_rule(Rule::new(AlwaysOff).with_attribute_patterns("url.path", path("/assets/*")))
        .with_rule(Rule::new(AlwaysOn).with_attribute_values("debug", ["true"]))
        .with_rule(Rule::new(Probability::new(ratio)))
}

fn ten_names(ratio: f64) -> RuleBased {
    let rule = |number: u32| Rule::new(AlwaysOn).with_span_names([format!("GET /api/v{number}/*")]);
    (2..11).map(rule).fold(RuleBased::new(), RuleBased::with_rule).with_rule(Rule::new(Probability::new(ratio)))
}

/// Returns the time of a decision in nanoseconds.
fn measure(sampler: &dyn Sampler) -> f64 {
    let (context, clock) = (Context::new(), Clock::system());
    let attributes = [
        KeyValue::new("http.request.method", "GET"),
        KeyValue::new("url.path", "/api/v1/orders/17"),
        KeyValue::new("url.scheme", "https"),
        KeyValue::new("server.address", "shop.example.com"),
        KeyValue::new("server.port", 443),
    ];
    let ids: Vec<TraceId> = (0..CALLS).map(|_| RandomIds.trace_id()).collect();
    let start = clock.now();
    for id in &ids {
        let request = SamplingRequest::new(&context, *id, "GET /api/v1/orders/{id}", &SpanKind::Server);
        black_box(sampler.sample(black_box(&request.with_attributes(&attributes))));
    }
    clock.now().since(start).as_nanos() as f64 / CALLS as f64
}
