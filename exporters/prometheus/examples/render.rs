//! What rendering costs: a page of 10,000 histogram series, of points that are there already.
//!
//! `cargo run --release -p telemark-prometheus --example render -- [durations|decimals|filtered|plain|floor] [pages] [warm|parts]`
//!
//! `durations` and `decimals` have an exemplar in every bucket, whose values are nanoseconds as seconds or as short as
//! `0.25`; `filtered` are durations with an attribute besides the span; `plain` has none. `floor` copies a page into fresh
//! memory, which is what rendering cannot be faster than. With `warm`, all pages have the same memory; with `parts`, they
//! are written in parts that are thrown away.
#![allow(clippy::disallowed_methods, clippy::expect_used, reason = "a program that measures and prints")]

use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_prometheus::{Escaping, Format, Protocol, Renderer};
use telemark_sdk::Resource;
use telemark_sdk::metrics::{Attributes, Exemplar, HistogramPoint, Metric, MetricData, ScopeMetrics, Temporality};
use telemark_sdk::time::Timestamp;

const SERIES: u64 = 10_000;
const BOUNDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const DECIMALS: [f64; 14] = [0.004, 0.009, 0.02, 0.03, 0.06, 0.2, 0.3, 0.7, 0.9, 2.0, 4.0, 7.0, 9.0, 20.0];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_else(|| "durations".to_owned());
    let pages = arguments.next().and_then(|pages| pages.parse().ok()).unwrap_or(11);
    let how = arguments.next().unwrap_or_default();
    let is_warm = how == "warm";
    let scopes = [scope(&kind)];
    let format = Format::new(Protocol::OpenMetrics1_0_0, Escaping::Underscores);
    let renderer = Renderer::new();
    let resource = Resource::new([KeyValue::new("service.name", "shop")]);
    let mut first = Vec::new();
    if pages > 0 {
        renderer.render(format, &resource, &scopes, &mut first);
    }
    let mut last = Vec::new();
    let mut times: Vec<_> = (1..pages)
        .map(|_| {
            let mut page: Vec<u8> = if is_warm { std::mem::take(&mut last) } else { Vec::new() };
            page.clear();
            let started = Instant::now();
            if how == "parts" {
                renderer.write(format, &resource, &scopes, &mut std::io::sink()).expect("nothing fails here");
                return started.elapsed();
            }
            page.reserve(first.len());
            if kind == "floor" {
                page.extend_from_slice(&first);
            } else {
                renderer.render(format, &resource, &scopes, &mut page);
            }
            let took = started.elapsed();
            assert!(page == first);
            last = if is_warm { page } else { Vec::new() };
            took
        })
        .collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or(Duration::ZERO);
    let least = times.first().copied().unwrap_or(Duration::ZERO);
    println!("{kind}: {:.1} MB, median {median:.1?}, least {least:.1?}", first.len() as f64 / 1e6);
}

fn scope(kind: &str) -> ScopeMetrics {
    let mut random = Random(1);
    let bounds: std::sync::Arc<[f64]> = BOUNDS.into();
    let points = (0..SERIES).map(|series| {
        let attributes = [
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("http.route", format!("/shop/{series}")),
            KeyValue::new("http.response.status_code", 200),
        ];
        let counts = (0..=BOUNDS.len()).map(|_| random.next() % 1000).collect();
        let mut point = HistogramPoint::new(Attributes::new(attributes), bounds.clone(), counts).with_sum(1234.5678);
        if kind != "plain" {
            point.exemplars.extend((0..=BOUNDS.len()).map(|bucket| {
                let value = match kind {
                    "decimals" => DECIMALS[bucket],
                    _ => {
                        let least = bucket.checked_sub(1).map_or(0.0, |below| BOUNDS[below]);
                        let most = BOUNDS.get(bucket).copied().unwrap_or(20.0);
                        let nanos = (least * 1e9) as u64 + 1 + random.next() % ((most - least) * 1e9 - 1.0) as u64;
                        Duration::from_nanos(nanos).as_secs_f64()
                    }
                };
                let time = 1_763_000_000_000_000_000 + random.next() % 3_600_000_000_000;
                let trace = u128::from(random.next()) << 64 | u128::from(random.next());
                let exemplar = Exemplar::new(value, Timestamp::from_nanos(time));
                let exemplar = exemplar.in_span(TraceId::from(trace), SpanId::from(random.next() | 1));
                match kind {
                    "filtered" => {
                        let user = KeyValue::new("user.id", format!("{:06}", random.next() % 1_000_000));
                        exemplar.with_filtered_attributes(Attributes::new([user]))
                    }
                    _ => exemplar,
                }
            }));
        }
        point
    });
    let data = MetricData::Histogram { points: points.collect(), temporality: Temporality::Cumulative };
    let metric = Metric::new("http.server.request.duration", data).with_unit("s");
    ScopeMetrics::new(InstrumentationScope::builder("benches").build(), vec![metric])
}

/// xorshift64*: the same numbers with every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
