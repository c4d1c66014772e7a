//! Stages for log records.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use opentelemetry::logs::{LogRecord, Logger};
use telemark_sdk::batch::{Stage, Verdict};
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::logs::SdkLogRecord;
use telemark_sdk::signal::Logs;
use telemark_sdk::testing::{InMemoryExporter, logs_text};
use telemark_sdk::time::Deadline;

/// Drops records with the attribute `drop`, and redacts `secret`.
struct Redaction;

impl Stage<Logs> for Redaction {
    fn process(&mut self, record: &mut SdkLogRecord) -> Verdict {
        record.retain_attributes(|key, _| key.as_str() != "secret");
        if record.attribute("drop").is_some() { Verdict::Drop } else { Verdict::Keep }
    }
}

#[test]
fn every_exporter_sees_what_the_stages_leave_and_dropped_records_are_counted() {
    let exporters = [InMemoryExporter::<Logs>::new(), InMemoryExporter::<Logs>::new()];
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_TRACES_EXPORTER", "none")]))
        .with_log_exporter(exporters[0].clone())
        .with_log_exporter(exporters[1].clone())
        .with_log_stage(Redaction)
        .build()
        .unwrap();
    let logger = telemetry.logger("shop");
    for attribute in ["secret", "kept", "drop"] {
        let mut record = logger.create_log_record();
        record.set_body("said".into());
        record.add_attribute(attribute, 1);
        logger.emit(record);
    }
    telemetry.shutdown(Deadline::NEVER).unwrap();
    for exporter in exporters {
        assert_eq!(logs_text(&exporter.items()), "said\nsaid kept=1\n");
    }
    let health = telemetry.health().logs;
    assert!(health.iter().all(|health| (health.exported, health.dropped_by_stage) == (2, 1)), "{health:?}");
}
