//! Records of the `log` crate. The file has only one test, because the logger, the subscriber and the filter are the program's.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::time::Duration;

use opentelemetry::logs::AnyValue;
use telemark_sdk::logs::{LogVolume, SdkLogRecord};
use telemark_sdk::span_filter::{self, SpanFilter};
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::time::Deadline;
use tracing::info_span;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

fn line(record: &SdkLogRecord) -> String {
    let value = |value: &AnyValue| match value {
        AnyValue::String(text) => text.as_str().to_owned(),
        AnyValue::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let attributes = record.attributes().iter().map(|(key, own)| format!(" {key}={}", value(own)));
    let body = record.body().map(value).unwrap_or_default();
    let target = record.target().unwrap_or_default();
    format!("{} {target} {body}{}", record.severity_text().unwrap(), attributes.collect::<String>())
}

#[test]
fn records_of_the_log_crate_arrive_with_their_own_target_and_place() {
    let telemetry = TestTelemetry::new().with_logs(|logs| logs.with_volume(LogVolume::new().with_max_per_minute(5)));
    let _attached = telemetry.attach();
    log::error!("before there is a logger");
    let layer = telemark_tracing::builder().with_event_handler("sqlx::query", |_| ()).build();
    let lines = support::Lines::default();
    let format = tracing_subscriber::fmt::layer().with_writer(lines.clone()).with_filter(LevelFilter::INFO);
    tracing::dispatcher::set_global_default(tracing_subscriber::registry().with(layer).with(format).into()).unwrap();
    assert!(telemark_tracing::install_log_tracer());
    assert!(!telemark_tracing::install_log_tracer(), "the first logger stays");

    assert_eq!(log::max_level(), log::LevelFilter::Debug, "tower_http and others are at debug");
    let span = info_span!("order");
    let first = line!() + 2;
    span.in_scope(|| {
        log::info!("placed {}", 7);
        log::warn!(target: "shop::cart", "few left");
        log::debug!("the target is not at debug");
        log::debug!(target: "tower_http", "started");
        log::debug!(target: "sqlx::query", "the handler is for events of tracing, and the filter of records does not name the target");
    });
    let records = telemetry.log_records();
    let place = |after: u32| format!("code.file.path={} code.line.number={}", file!(), first + after);
    let expected = [
        format!("INFO log_crate placed 7 {}", place(0)),
        format!("WARN shop::cart few left {}", place(1)),
        format!("DEBUG tower_http started {}", place(3)),
    ];
    assert_eq!(records.iter().map(line).collect::<Vec<_>>(), expected);
    drop(span);
    let span = telemetry.spans()[0].context.clone();
    assert!(records.iter().all(|record| record.trace_context().unwrap().span_id == span.span_id()));
    assert!(records.iter().all(|record| record.event_name().is_none()));

    // A library that asks the `log` crate first loses no later event, whatever the response is.
    span_filter::set(SpanFilter::default().with_target("sqlx::query", None));
    let _ = log::log_enabled!(target: "sqlx::query", log::Level::Debug);
    tracing::info!("after a question");
    span_filter::set(SpanFilter::default());
    assert_eq!(telemetry.log_records().len(), 4);
    assert!(lines.text().contains("after a question"), "{}", lines.text());
    assert!(!log::log_enabled!(log::Level::Trace));

    // The level of the `log` crate follows the filter.
    span_filter::set("error".parse().unwrap());
    // `tracing` has one level for spans and events, and spans at INFO pass a parent on.
    assert_eq!(log::max_level(), log::LevelFilter::Info);
    log::warn!("not wanted");
    span_filter::set("trace".parse().unwrap());
    assert_eq!(log::max_level(), log::LevelFilter::Trace);
    log::trace!("wanted");
    let records = telemetry.log_records();
    assert_eq!(records.len(), 5, "{records:?}");

    // Each macro is a call site of its own.
    telemetry.clock.advance(Duration::from_secs(60));
    for _ in 0..8 {
        log::info!("one");
        log::info!("two");
    }
    telemetry.logger_provider().force_flush(Deadline::NEVER).unwrap();
    let records = telemetry.log_records();
    let reports = records.iter().filter(|record| record.event_name() == Some("telemark.log.suppressed"));
    let count = |record: &SdkLogRecord| record.attribute("telemark.log.suppressed.count").cloned();
    assert_eq!(reports.map(count).collect::<Vec<_>>(), [Some(AnyValue::from(3)), Some(AnyValue::from(3))]);

    each_filter_selects_by_the_target_of_the_record();
}

/// A record at ERROR has two effects, which have a filter each.
fn each_filter_selects_by_the_target_of_the_record() {
    let run = |spans: &str, records: &str| {
        span_filter::set(spans.parse().unwrap());
        span_filter::records::set(Some(records.parse().unwrap()));
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        info_span!("other").in_scope(|| log::error!("a"));
        info_span!("money").in_scope(|| {
            log::error!(target: "bank", "b");
            log::warn!(target: "bank", "c");
        });
        let texts = telemetry.log_records().iter().map(|record| format!("{:?}", record.body())).collect::<String>();
        let found = ["a", "b", "c"].into_iter().filter(|text| texts.contains(&format!("{text:?}"))).collect::<String>();
        format!("{}{found}", telemetry.tree())
    };
    assert_eq!(run("info", "info"), "other error\nmoney error\nabc");
    assert_eq!(run("info", "off"), "other error\nmoney error\n");
    assert_eq!(run("info", "off,bank=error"), "other error\nmoney error\nb");
    assert_eq!(run("info,bank=off", "off,bank=warn"), "other error\nmoney\nbc");
    assert_eq!(run("off,log_crate=info,bank=error", "off"), "other error\nmoney error\n");
    assert_eq!(run("off,bank=error", "off,bank=warn"), "bc");
}
