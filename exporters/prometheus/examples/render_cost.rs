//! What a page costs: milliseconds and bytes for 10,000 histogram series of 12 buckets, with more and more exemplars.
//!
//! ```text
//! cargo run --release -p telemark-prometheus --example render_cost
//! ```

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_prometheus::{Escaping, Format, Protocol, Renderer};
use telemark_sdk::metrics::{Attributes, Exemplar, HistogramPoint, Metric, MetricData, ScopeMetrics, Temporality};
use telemark_sdk::time::{Clock, Timestamp};
use telemark_sdk::{Resource, id};

const SERIES: usize = 10_000;
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

fn main() {
    let resource = Resource::new([KeyValue::new("service.name", "shop"), KeyValue::new("host.name", "a")]);
    let scope = InstrumentationScope::builder("shop").build();
    for (what, exemplars) in [("no exemplars", 0), ("an exemplar a series", 1), ("exemplars in all buckets", 12)] {
        let metric = Metric::new("http.server.request.duration", histogram(exemplars))
            .with_unit("s")
            .with_description("Duration of HTTP server requests.");
        let scopes = [ScopeMetrics::new(scope.clone(), vec![metric])];
        for protocol in [Protocol::OpenMetrics1_0_0, Protocol::Text0_0_4] {
            measure(what, Format::new(protocol, Escaping::Underscores), &resource, &scopes);
        }
    }
}

fn histogram(exemplars: usize) -> MetricData {
    let bounds: Arc<[f64]> = BOUNDS.into();
    let point = |index: usize| {
        let attributes = Attributes::new([
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("http.response.status_code", 200 + (index % 5) as i64),
            KeyValue::new("http.route", format!("/shop/{index}")),
        ]);
        let counts = (0..=BOUNDS.len() as u64).map(|bucket| bucket * index as u64 % 977).collect();
        let mut point = HistogramPoint::new(attributes, bounds.clone(), counts).with_sum(index as f64 * 0.123);
        for exemplar in 0..exemplars {
            let value = BOUNDS[exemplar * BOUNDS.len() / exemplars.max(1)] * 0.99;
            let time = Timestamp::from_nanos(1_700_000_000_123_456_789 + index as u64);
            let trace = TraceId::from(u128::from(id::random()) << 64 | u128::from(id::random()));
            point = point.with_exemplar(Exemplar::new(value, time).in_span(trace, SpanId::from(id::random())));
        }
        point
    };
    MetricData::Histogram { points: (0..SERIES).map(point).collect(), temporality: Temporality::Cumulative }
}

fn measure(what: &str, format: Format, resource: &Resource, scopes: &[ScopeMetrics]) {
    let renderer = Renderer::new();
    let (mut out, mut best, mut first) = (Vec::new(), Duration::MAX, None);
    // The best of many pages: what disturbs a measurement only makes it longer. The first one has no memory yet.
    for _ in 0..40 {
        let start = Clock::system().now();
        out.clear();
        renderer.render(format, resource, scopes, &mut out);
        let took = Clock::system().now().since(start);
        first.get_or_insert(took);
        best = best.min(took);
    }
    let lines = out.iter().filter(|&&byte| byte == b'\n').count();
    let first = first.unwrap_or_default();
    println!("{what}, {format}: {best:.2?} (first {first:.2?}) for {} bytes in {lines} lines", out.len());
}
