//! Builders for metrics on pages, and readers for pages.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod checker;
pub mod random;

use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_prometheus::{Escaping, Format, Protocol, Renderer};
use telemark_sdk::Resource;
use telemark_sdk::metrics::{Attributes, Metric, MetricData, NumberPoint, ScopeMetrics, Temporality};

pub const OPEN_METRICS: Format = Format::new(Protocol::OpenMetrics1_0_0, Escaping::Underscores);
pub const TEXT: Format = Format::new(Protocol::Text0_0_4, Escaping::Underscores);

pub fn attributes(pairs: &[(&'static str, &'static str)]) -> Attributes {
    Attributes::new(pairs.iter().map(|&(key, value)| KeyValue::new(key, value)))
}

pub fn scope(name: &'static str, metrics: Vec<Metric>) -> ScopeMetrics {
    ScopeMetrics::new(InstrumentationScope::builder(name).build(), metrics)
}

/// Creates counter data.
pub fn sum(points: Vec<NumberPoint>) -> MetricData {
    MetricData::Sum { points, temporality: Temporality::Cumulative, monotonic: true }
}

pub fn gauge(points: Vec<NumberPoint>) -> MetricData {
    MetricData::Gauge { points }
}

pub fn page(renderer: &Renderer, format: Format, resource: &Resource, scopes: &[ScopeMetrics]) -> String {
    let mut out = Vec::new();
    renderer.render(format, resource, scopes, &mut out);
    String::from_utf8(out).unwrap()
}

/// Returns the lines of an expected page without their indentation.
pub fn lines(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect()
}
