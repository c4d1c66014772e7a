//! The cost of a `tracing` log line on the logging thread, when the line is written to a sink.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::Resource;
use telemark_tracing_fmt::{Format, LineLayer};
use tracing::Dispatch;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use crate::Failure;
use crate::allocations::count;
use crate::clock::thread_cpu;
use crate::reading::Reading;
use crate::scenarios::{Layout, Run, Scenario};

const JSON: &str = "telemark json";
const JSON_WITH_SPANS: &str = "telemark json, span fields";
const FLAT: &str = "telemark json_flat";
const ECS: &str = "telemark ecs";
const TEXT: &str = "telemark text";
const RIVAL_JSON: &str = "tracing-subscriber json";
const RIVAL_FLAT: &str = "tracing-subscriber json, flat, no spans";
const RIVAL_TEXT: &str = "tracing-subscriber text";

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "tracing-fmt",
    about: "CPU time of one event with a message and three fields (integer, string, float), within a `tracing` span with one \
            field and under a sampled span, as a line that is written to a sink. Telemark's lines have the ids of the span and \
            three attributes of the resource, which those of tracing-subscriber lack. Its JSON has the fields of the span unless \
            they are switched off.",
    subjects: &[RIVAL_JSON, RIVAL_FLAT, RIVAL_TEXT, JSON, JSON_WITH_SPANS, FLAT, ECS, TEXT],
    regimes: crate::scenarios::ONE_REGIME,
    layout: Layout::TablePerValue,
    reference: RIVAL_JSON,
    measure,
};

const WARM_UP: u64 = 20_000;
const EVENTS: u64 = 500_000;
const COUNTED: u64 = 1_000;

fn measure(run: &Run<'_>) -> Result<Vec<Reading>, Failure> {
    tracing::dispatcher::set_global_default(dispatch(run.subject)?)?;
    let ids = (TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), SpanId::from(0xb7ad_6b71_6920_3331));
    let span = SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, false, TraceState::default());
    let _context = Context::current().with_remote_span_context(span).attach();
    let _span = tracing::info_span!("order", shop = "web").entered();

    let events = if run.is_quick { EVENTS / 5 } else { EVENTS };
    log(WARM_UP);
    let started = thread_cpu();
    log(events);
    let cost = thread_cpu() - started;
    let before = BYTES.load(Ordering::Relaxed);
    let allocated = count(|| log(COUNTED));
    let bytes = BYTES.load(Ordering::Relaxed) - before;
    Ok(vec![
        Reading::per("CPU, ns/event", cost, events),
        Reading::per("allocations/event", allocated.calls, COUNTED),
        Reading::per("bytes/line", bytes, COUNTED),
    ])
}

fn log(events: u64) {
    for id in 0..events {
        tracing::info!(order.id = id, user = "alice@example.com", price = 12.5, "order placed");
    }
}

fn dispatch(subject: &str) -> Result<Dispatch, Failure> {
    let rival = || tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Counted);
    let rival_json = || rival().fmt_fields(JsonFields::new());
    Ok(match subject {
        JSON => with(lines(Format::Json)),
        JSON_WITH_SPANS => with(lines(Format::Json).with_span_fields()),
        FLAT => with(lines(Format::JsonFlat)),
        ECS => with(lines(Format::Ecs)),
        TEXT => with(lines(Format::Text)),
        RIVAL_JSON => with(rival_json().json()),
        RIVAL_FLAT => with(rival_json().json().flatten_event(true).with_current_span(false).with_span_list(false)),
        RIVAL_TEXT => with(rival()),
        other => return Err(format!("unknown subject {other:?}").into()),
    })
}

fn with(layer: impl Layer<Registry> + Send + Sync) -> Dispatch {
    Dispatch::new(tracing_subscriber::registry().with(layer))
}

fn lines(format: Format) -> LineLayer<fn() -> Counted> {
    let resource = [("service.name", "shop"), ("service.version", "1.2.3"), ("deployment.environment.name", "dev")];
    let resource = Resource::new(resource.map(|(key, value)| KeyValue::new(key, value)));
    LineLayer::new(format).with_resource(&resource).with_writer((|| Counted) as fn() -> Counted)
}

static BYTES: AtomicU64 = AtomicU64::new(0);

/// Counts the bytes and discards them.
struct Counted;

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BYTES.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
