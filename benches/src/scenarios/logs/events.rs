//! The cost of a `tracing` event until its log record has left the process, with Telemark's layer and with
//! opentelemetry-appender-tracing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use telemark::config::Env;
use telemark::time::Deadline;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::Failure;
use crate::allocations::count;
use crate::load::{Bursts, Load, Pause};
use crate::reading::{PRODUCED, Reading};
use crate::scenarios::{Layout, Run, Scenario, export};

pub(crate) const NAME: &str = "events";

const LAYER: &str = "telemark::tracing::layer()";
const APPENDER: &str = "opentelemetry-appender-tracing";

pub(crate) static SCENARIO: Scenario = Scenario {
    name: NAME,
    about: "CPU time per exported log record of a `tracing` event with a message and three fields (integer, string, boolean) \
            within a sampled span, on a registry with one layer, OTLP/HTTP protobuf to a sink in another process, default \
            settings, nothing lost. One thread makes bursts of 440 events and sleeps 4 ms after each, or makes an event a \
            millisecond. The pauses and the cost of the loop are subtracted.",
    subjects: &[LAYER, APPENDER],
    regimes: &[export::SLEEPING, EVENT_A_MILLISECOND],
    layout: Layout::RowPerRegime(&[(LAYER, APPENDER)]),
    reference: APPENDER,
    measure,
};

const EVENT_A_MILLISECOND: &str = "an event a millisecond";
const COUNTED: u64 = 200;

fn measure(run: &Run<'_>) -> Result<Vec<Reading>, Failure> {
    let (pause, events, bursts) = match run.regime {
        EVENT_A_MILLISECOND => (1, 1, Bursts { warm_up: 500, measured: 5_000 }),
        _ => (4, 440, Bursts { warm_up: 100, measured: 600 }),
    };
    let load = Load { producers: 1, pause: Pause::Sleep(Duration::from_millis(pause)) };
    let bursts = run.shortened(bursts);
    let empty = load.empty(bursts)?;
    let flush = install(run.subject, &format!("http://{}/v1/logs", run.endpoint))?;
    let ids = (TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), SpanId::from(0xb7ad_6b71_6920_3331));
    let context = || {
        let span = SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, false, TraceState::default());
        Context::current().with_remote_span_context(span)
    };
    let started = Instant::now();
    let within = || {
        let _current = context().attach();
        log(events);
    };
    let cost = load.run(bursts, within, &flush)?;
    let made = |bursts: u64| (bursts * events) as f64;
    let all = made(bursts.measured + bursts.warm_up);
    let pace = all / started.elapsed().as_secs_f64();
    let allocated = {
        let _current = context().attach();
        count(|| log(COUNTED))
    };
    flush();
    let measured = made(bursts.measured);
    Ok(vec![
        Reading::new("total CPU, ns/record", (cost.process - empty.process) / measured),
        Reading::new("foreground, ns/record", (cost.foreground - empty.foreground) / measured),
        Reading::per("allocations/record", allocated.calls, COUNTED),
        Reading::new("records/s", pace),
        Reading::new(PRODUCED, all + COUNTED as f64),
    ])
}

fn log(events: u64) {
    for id in 0..events {
        tracing::info!(
            order.id = black_box(id),
            user = black_box("alice@example.com"),
            cached = black_box(true),
            "order placed"
        );
    }
}

/// Installs a subscriber that exports to `url`. Returns what flushes it.
fn install(subject: &str, url: &str) -> Result<Box<dyn Fn() + Sync>, Failure> {
    match subject {
        LAYER => {
            let pairs = [
                ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", url),
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_METRICS_EXPORTER", "none"),
            ];
            let telemetry = telemark::builder().with_env(Env::from_pairs(pairs)).init()?;
            tracing_subscriber::registry().with(telemark::tracing::layer()).try_init()?;
            Ok(Box::new(move || {
                if let Err(failure) = telemetry.force_flush(Deadline::after(Duration::from_secs(10))) {
                    eprintln!("telemark: {failure}");
                }
            }))
        }
        APPENDER => {
            let exporter =
                LogExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(url).build()?;
            let resource = Resource::builder().with_service_name("benches").build();
            let provider = SdkLoggerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
            let layer = OpenTelemetryTracingBridge::new(&provider).with_filter(LevelFilter::INFO);
            tracing_subscriber::registry().with(layer).try_init()?;
            Ok(Box::new(move || {
                if let Err(failure) = provider.force_flush() {
                    eprintln!("opentelemetry_sdk: {failure}");
                }
            }))
        }
        other => Err(format!("unknown subject {other:?}").into()),
    }
}
