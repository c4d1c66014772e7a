//! A flood of log records without a receiver. The file has only one test, because the test measures the memory of its
//! process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::time::Duration;

use opentelemetry::logs::{LogRecord, Logger, Severity};
use telemark::config::Env;
use telemark::time::Deadline;
use telemark_tests::Sink;

fn emit(logger: &impl Logger) {
    let mut record = logger.create_log_record();
    record.set_severity_number(Severity::Info);
    record.set_body("order placed".into());
    record.add_attribute("shop.order.id", String::from("0b6c2c0e-7f5a-4b1c-9d7e-3f4a5b6c7d8e"));
    record.add_attribute("shop.order.items", 3);
    logger.emit(record);
}

/// Returns the anonymous memory of this process in bytes.
fn anonymous() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_flood_without_a_receiver_is_bounded_and_counted() {
    const RECORDS: u64 = 1_000_000;
    let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", Sink::NOBODY)]);
    let telemetry = telemark::builder().with_env(env).build().unwrap();
    let logger = telemetry.logger("shop");
    let before = anonymous();
    let mut peak = before;
    for number in 0..RECORDS {
        emit(&logger);
        if number % 10_000 == 0 {
            peak = peak.max(anonymous());
        }
    }
    let _ = telemetry.shutdown(Deadline::after(Duration::from_secs(5)));
    let [health] = telemetry.health().logs[..] else { unreachable!("one exporter") };
    assert_eq!(health.exported, 0);
    assert_eq!(health.dropped_queue_full + health.failed, RECORDS);
    let grown = (peak - before) >> 20;
    assert!(grown < 32, "memory has grown by {grown} MiB");
    println!("memory has grown by {grown} MiB, {health:?}");
}
