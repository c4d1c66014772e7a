//! Measures what redaction costs on the thread of the stages: a span of five attributes, and a kilobyte of text.
//!
//! ```text
//! cargo run --release -p telemark-redaction --example cost
//! ```
#![allow(clippy::disallowed_methods, reason = "an example that measures time")]

use std::hint::black_box;
use std::time::Instant;

use opentelemetry::KeyValue;
use telemark_redaction::{Preset, Redaction, Rule};
use telemark_sdk::redaction::Redactor;

/// Returns the shortest time of a call in nanoseconds, over many rounds.
fn nanos(rounds: u32, mut call: impl FnMut()) -> f64 {
    let round = || {
        let start = Instant::now();
        (0..1000).for_each(|_| call());
        start.elapsed().as_secs_f64() * 1e6
    };
    std::iter::repeat_with(round).take(rounds as usize).fold(f64::INFINITY, f64::min)
}

/// A span of an HTTP server.
fn span() -> (&'static str, Vec<KeyValue>) {
    let attributes = vec![
        KeyValue::new("http.request.method", "GET"),
        KeyValue::new("http.route", "/api/orders/{id}"),
        KeyValue::new("url.path", "/api/orders/81734"),
        KeyValue::new("server.address", "shop.example.com"),
        KeyValue::new("http.response.status_code", 200),
    ];
    ("GET /api/orders/{id}", attributes)
}

fn of_span(redaction: &Redaction) -> f64 {
    let (name, attributes) = span();
    nanos(2000, || {
        let redactor: &dyn Redactor = black_box(redaction);
        black_box(redactor.text(black_box(name)));
        for attribute in &attributes {
            // Nothing is found, so that the value stays as it is.
            let mut value = attribute.value.clone();
            black_box(redactor.attribute(black_box(attribute.key.as_str()), &mut value));
        }
    })
}

fn of_text(redaction: &Redaction, text: &str) -> f64 {
    nanos(200, || {
        black_box(redaction.text(black_box(text)));
    })
}

fn main() {
    let none = Redaction::new();
    let two = none.clone().with_presets([Preset::EmailAddress, Preset::PaymentCard]);
    let all = none.clone().with_presets(Preset::ALL);
    let keys = two.clone().with_rule(Rule::for_keys(["user.id", "enduser.*"]));
    let Ok(rule) = Rule::for_values([r"\bACME-\d{6}\b"]) else { return };
    let pattern = none.clone().with_rule(rule);
    println!("a span of five attributes");
    for (name, redaction) in [
        ("no rule", &none),
        ("two presets", &two),
        ("two presets and a rule for keys", &keys),
        ("all presets", &all),
        ("a pattern", &pattern),
    ] {
        println!("  {name}: {:.0} ns", of_span(redaction));
    }
    println!("a kilobyte of text");
    let prose = "the order was placed and paid within the usual time, no further action needed ".repeat(14);
    let numbers = "order 81734 of 2026-11-30T10:15:02Z took 17 ms, status=200 peer=10.0.0.7:443; ".repeat(14);
    let secrets = "mail ann@example.com and pay with 4111 1111 1111 1111 or 5555555555554444, then. ".repeat(13);
    for (name, text) in [("prose", &prose[..1024]), ("numbers", &numbers[..1024]), ("secrets", &secrets[..1024])] {
        println!(
            "  {name}: two presets {:.0} ns, all presets {:.0} ns, a pattern {:.0} ns",
            of_text(&two, text),
            of_text(&all, text),
            of_text(&pattern, text)
        );
    }
}
