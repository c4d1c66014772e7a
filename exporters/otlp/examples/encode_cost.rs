//! Measures the encoding cost in nanoseconds and bytes per span, for traces of 11 spans with three attributes each.
//!
//! ```text
//! cargo run --release -p telemark-otlp --example encode_cost
//! ```

use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_otlp::Encode;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::{Clock, Timestamp};
use telemark_sdk::trace::{CallSite, Scope, SpanChunk, SpanData};
use telemark_sdk::{Batch, Resource, id};

const BATCH: usize = 512;
const SPANS_PER_TRACE: usize = 11;

static SITES: [CallSite; 3] = [
    CallSite::new("shop", "1.0.0", "shop::cart::checkout", "src/cart.rs", 42),
    CallSite::new("shop", "1.0.0", "shop::cart::total", "src/cart.rs", 91),
    CallSite::new("shop", "1.0.0", "shop::payment::charge", "src/payment.rs", 17),
];

fn main() {
    let resource = Resource::new([KeyValue::new("service.name", "shop"), KeyValue::new("process.pid", 4711)]);
    let shared = Scope::from(InstrumentationScope::builder("shop").with_version("1.0.0").build());
    measure("one scope, no call sites", &resource, &spans(|_| (shared.clone(), None)));
    let of_site = |index: usize| {
        let site = &SITES[index % SITES.len()];
        (Scope::Static(site.scope()), Some(site))
    };
    measure("call sites in turn", &resource, &spans(of_site));
}

fn spans(scope: impl Fn(usize) -> (Scope, Option<&'static CallSite>)) -> SpanChunk {
    let mut trace_id = TraceId::INVALID;
    let mut root = SpanId::INVALID;
    (0..BATCH)
        .map(|index| {
            let is_root = index % SPANS_PER_TRACE == 0;
            if is_root {
                trace_id = TraceId::from(u128::from(id::random()) << 64 | u128::from(id::random()));
            }
            let span_id = SpanId::from(id::random());
            let context = SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE);
            let (scope, site) = scope(index);
            let mut span = SpanData::new(context, "checkout step", scope);
            span.call_site = site;
            span.parent_span_id = if is_root { SpanId::INVALID } else { root };
            if is_root {
                root = span_id;
            }
            span.start = Timestamp::from_nanos(1_700_000_000_000_000_000 + index as u64 * 1000);
            span.end = Timestamp::from_nanos(1_700_000_000_000_500_000 + index as u64 * 1000);
            span.own_attributes = vec![
                KeyValue::new("customer.name", "Ada Lovelace"),
                KeyValue::new("cart.items", index as i64),
                KeyValue::new("cart.gift", index % 2 == 0),
            ];
            span
        })
        .collect()
}

fn measure(what: &str, resource: &Resource, spans: &SpanChunk) {
    for (format, encode) in [("protobuf", Traces::protobuf as Encoder), ("json", Traces::json as Encoder)] {
        let mut cache = <Traces as Encode>::Cache::default();
        let mut out = Vec::new();
        let mut best = Duration::MAX;
        // Use the fastest of many batches, because interference can only slow a batch down.
        for _ in 0..2000 {
            let start = Clock::system().now();
            out.clear();
            encode(Batch::new(resource, spans), &mut cache, &mut out);
            best = best.min(Clock::system().now().since(start));
        }
        let ns = best.as_nanos() as f64 / BATCH as f64;
        let bytes = out.len() as f64 / BATCH as f64;
        println!("{what}, {format}: {ns:.1} ns/span, {bytes:.1} bytes/span");
    }
}

type Encoder = fn(Batch<'_, Traces>, &mut <Traces as Encode>::Cache, &mut Vec<u8>);
