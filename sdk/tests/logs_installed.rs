//! The installed logger provider, and its end. The file has only one test, because a program has one telemetry.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::{Arc, Mutex};

use opentelemetry::logs::{LogRecord, Logger, Severity};
use opentelemetry::{Context, InstrumentationScope};
use telemark_sdk::config::Env;
use telemark_sdk::diag;
use telemark_sdk::install::Telemetry;
use telemark_sdk::logs::active::{self, ActiveLogger};
use telemark_sdk::signal::Logs;
use telemark_sdk::testing::{InMemoryExporter, TestTelemetry, logs_text};

fn emit(logger: &impl Logger, body: &'static str) {
    let mut record = logger.create_log_record();
    record.set_body(body.into());
    logger.emit(record);
}

#[test]
fn an_active_logger_finds_the_installed_provider_and_the_first_record_after_the_guard_says_why_it_is_lost() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = said.clone();
    diag::set_sink(move |_, message| heard.lock().unwrap().push(message.to_owned()));
    let logger = ActiveLogger::new(InstrumentationScope::builder("shop").build());
    emit(&logger, "before");
    assert!(!active::is_installed() && active::provider(&Context::new()).is_none());

    let exporter = InMemoryExporter::<Logs>::new();
    let builder = Telemetry::builder(Env::from_pairs([("OTEL_TRACES_EXPORTER", "none")]));
    let telemetry = builder.with_log_exporter(exporter.clone()).init().unwrap();
    assert!(active::only_installed().is_some());
    assert!(logger.event_enabled(Severity::Info, "", None));
    emit(&logger, "during");
    let test = TestTelemetry::new();
    {
        // A test's own telemetry takes precedence in its context.
        let _attached = test.attach();
        emit(&logger, "in a test");
    }
    let kept = telemetry.logger("kept");
    drop(telemetry);
    assert_eq!(logs_text(&exporter.items()), "during\n");
    assert_eq!(exporter.items()[0].scope().name(), "shop");
    assert_eq!(test.logs(), "in a test\n");

    emit(&kept, "after");
    emit(&logger, "after");
    assert!(!logger.event_enabled(Severity::Fatal, "", None));
    assert_eq!(exporter.items().len(), 1);
    let said = said.lock().unwrap();
    let lost: Vec<_> = said.iter().filter(|message| message.contains("this log record")).collect();
    assert_eq!(lost.len(), 1, "{said:?}");
}
