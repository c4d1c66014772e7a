//! An appender beside Telemark's layer records each event twice, which a warning reports. There is only one test, because a process
//! has only one message sink.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::sync::{Arc, Mutex};

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use telemark_sdk::diag;
use telemark_sdk::testing::TestTelemetry;
use tracing_subscriber::prelude::*;

#[test]
fn an_appender_beside_the_layer_is_reported() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&said);
    assert!(diag::set_sink(move |_, text| sink.lock().unwrap().push(text.to_owned())));
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let appender = || OpenTelemetryTracingBridge::new(telemetry.logger_provider());

    // Without the layer, the appender is right, and so is a logger of the program beside the layer.
    tracing::subscriber::with_default(tracing_subscriber::registry().with(appender()), || tracing::info!("once"));
    let layered = tracing_subscriber::registry().with(telemark::tracing::layer());
    tracing::subscriber::with_default(layered, || tracing::info!("once"));
    let logger = telemetry.logger_provider().logger("shop");
    let mut record = logger.create_log_record();
    record.set_target("shop");
    logger.emit(record);
    assert_eq!((telemetry.log_records().len(), &said.lock().unwrap()[..]), (3, &[][..]));

    let both = tracing_subscriber::registry().with(telemark::tracing::layer()).with(appender());
    tracing::subscriber::with_default(both, || (0..3).for_each(|_| tracing::info!("twice")));
    assert_eq!(telemetry.log_records().len(), 9);
    let said = said.lock().unwrap();
    assert!(said.len() == 1 && said[0].contains("recorded twice: remove the OpenTelemetryTracingBridge"), "{said:?}");
}
