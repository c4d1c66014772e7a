//! Records through a provider: what the logger fills in, whom it asks, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use telemark_sdk::batch::{BatchConfig, BatchProcessor, SimpleProcessor};
use telemark_sdk::config::Env;
use telemark_sdk::control::Configurator;
use telemark_sdk::install::Telemetry;
use telemark_sdk::limits::LogRecordLimits;
use telemark_sdk::logs::active::ActiveLogger;
use telemark_sdk::logs::{
    Exception, LogRecordProcessor, LoggerConfig, Scope, SdkLogRecord, SdkLogger, SdkLoggerProvider,
};
use telemark_sdk::metrics::PullReader;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::sampling::AlwaysOff;
use telemark_sdk::signal::Logs;
use telemark_sdk::testing::{InMemoryExporter, TestTelemetry, logs_text, metrics_text};
use telemark_sdk::time::{Deadline, TimeSource, Timestamp};
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource};

fn emit(logger: &SdkLogger, body: &'static str) {
    logger.emit(record(logger, Some(Severity::Info), body));
}

fn record(logger: &SdkLogger, severity: Option<Severity>, body: &'static str) -> SdkLogRecord {
    let mut record = logger.create_log_record();
    if let Some(severity) = severity {
        record.set_severity_number(severity);
    }
    record.set_body(body.into());
    record
}

#[test]
fn a_record_gets_its_time_its_scope_and_the_current_span() {
    let telemetry = TestTelemetry::new();
    let now = telemetry.clock.now();
    let scope = InstrumentationScope::builder("shop")
        .with_version("1.2")
        .with_attributes([KeyValue::new("", 0), KeyValue::new("team", "a")])
        .build();
    let logger = telemetry.logger_provider().logger_with_scope(scope);
    emit(&logger, "outside");
    let span = telemetry.tracer("shop").in_span("order", |context| {
        emit(&logger, "inside");
        context.span().span_context().clone()
    });
    let records = telemetry.log_records();
    let [outside, inside] = &records[..] else { panic!("{records:?}") };
    assert_eq!((outside.timestamp(), outside.observed_timestamp()), (None, Some(now)));
    assert_eq!((outside.scope().name(), outside.scope().version()), ("shop", Some("1.2")));
    assert_eq!(outside.scope().attributes().count(), 1, "an attribute without a key is dropped");
    assert_eq!(outside.trace_context(), None);
    let context = inside.trace_context().unwrap();
    assert_eq!((context.trace_id, context.span_id), (span.trace_id(), span.span_id()));
    assert_eq!(context.trace_flags, Some(span.trace_flags()));
}

#[test]
fn what_a_bridge_has_set_stays() {
    let telemetry = TestTelemetry::new();
    let logger = telemetry.logger_provider().logger("shop");
    let (early, late) = (Timestamp::from_nanos(1), Timestamp::from_nanos(2));
    telemetry.tracer("shop").in_span("order", |_| {
        let mut record = logger.create_log_record();
        record.set_timestamp(early.into());
        record.set_observed_timestamp(late.into());
        record.set_trace_context(TraceId::from(7), SpanId::from(8), None);
        record.set_target("shop::orders");
        record.set_severity_text("notice");
        logger.emit(record);
    });
    let records = telemetry.log_records();
    assert_eq!((records[0].timestamp(), records[0].observed_timestamp()), (Some(early), Some(late)));
    let context = records[0].trace_context().unwrap();
    assert_eq!((context.trace_id, context.span_id, context.trace_flags), (TraceId::from(7), SpanId::from(8), None));
    assert_eq!((records[0].target(), records[0].severity_text()), (Some("shop::orders"), Some("notice")));
}

#[test]
fn an_event_has_a_timestamp() {
    let telemetry = TestTelemetry::new();
    let logger = telemetry.logger_provider().logger("shop");
    let mut record = logger.create_log_record();
    record.set_owned_event_name(format!("shop.{}", "opened"));
    logger.emit(record);
    assert_eq!(telemetry.log_records()[0].timestamp(), Some(telemetry.clock.now()));
    assert_eq!(telemetry.logs(), "(shop.opened)\n");
}

#[test]
fn the_span_may_come_from_another_context() {
    let telemetry = TestTelemetry::new();
    let logger = telemetry.logger_provider().logger("shop");
    let span = SpanContext::new(TraceId::from(3), SpanId::from(4), TraceFlags::SAMPLED, true, TraceState::NONE);
    logger.emit_in(record(&logger, None, "later"), &Context::new().with_remote_span_context(span));
    assert_eq!(telemetry.log_records()[0].trace_context().unwrap().span_id, SpanId::from(4));
}

#[test]
fn an_unsampled_span_is_named_by_its_own_id() {
    let telemetry = TestTelemetry::with(|builder| builder.with_sampler(AlwaysOff));
    let _attached = telemetry.attach();
    let logger = telemetry.logger_provider().logger("shop");
    telemark_sdk::instrument::spans::span("outer").in_scope(|| {
        telemark_sdk::instrument::spans::span("inner").in_scope(|| {
            let own = telemark_sdk::instrument::spans::current_span_context();
            emit(&logger, "inside");
            let context = *telemetry.log_records()[0].trace_context().unwrap();
            assert_eq!((context.span_id, context.trace_flags), (own.span_id(), Some(own.trace_flags())));
        });
    });
}

#[test]
fn nothing_is_recorded_while_telemetry_is_suppressed() {
    let telemetry = TestTelemetry::new();
    let logger = telemetry.logger_provider().logger("shop");
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    assert!(!logger.event_enabled(Severity::Fatal, "", None));
    emit(&logger, "a loop");
    assert_eq!(telemetry.logs(), "");
}

#[test]
fn the_rules_of_a_logger_apply_before_and_after_a_record_is_made() {
    let telemetry = TestTelemetry::new().with_logs(|builder| {
        builder.with_logger_config(Configurator::from_fn(|scope| match scope.name() {
            "noisy" => LoggerConfig::new().with_minimum_severity(Severity::Warn),
            "off" => LoggerConfig::new().with_enabled(false),
            "traced" => LoggerConfig::new().with_trace_based(true),
            _ => LoggerConfig::new(),
        }))
    });
    let check = |scope: &'static str, severity: Option<Severity>, expected: bool| {
        let logger = telemetry.logger_provider().logger(scope);
        let before = telemetry.log_records().len();
        logger.emit(record(&logger, severity, scope));
        assert_eq!(telemetry.log_records().len() - before, usize::from(expected), "{scope} {severity:?}");
        if let Some(severity) = severity {
            assert_eq!(logger.event_enabled(severity, "target", None), expected, "{scope} {severity:?}");
        }
    };
    check("any", Some(Severity::Trace), true);
    check("off", Some(Severity::Fatal4), false);
    check("noisy", Some(Severity::Info4), false);
    check("noisy", Some(Severity::Warn), true);
    check("noisy", None, true);
    check("traced", Some(Severity::Info), true);
    for (flags, expected) in [(TraceFlags::SAMPLED, true), (TraceFlags::default(), false)] {
        let span = SpanContext::new(TraceId::from(3), SpanId::from(4), flags, true, TraceState::NONE);
        let _attached = Context::current().with_remote_span_context(span).attach();
        check("traced", Some(Severity::Fatal), expected);
        check("any", Some(Severity::Info), true);
    }
}

#[test]
fn the_trace_of_a_record_for_another_context_is_that_contexts() {
    let telemetry = TestTelemetry::new()
        .with_logs(|builder| builder.with_logger_config(Configurator::new(LoggerConfig::new().with_trace_based(true))));
    let logger = telemetry.logger_provider().logger("traced");
    let span = |flags| {
        let span = SpanContext::new(TraceId::from(3), SpanId::from(4), flags, true, TraceState::NONE);
        Context::new().with_remote_span_context(span)
    };
    let check = |current: TraceFlags, own: TraceFlags, expected: usize| {
        let _attached = span(current).attach();
        let before = telemetry.log_records().len();
        let begun = logger.begin_at(None, Severity::Info, "shop", None, false).unwrap();
        logger.emit_in(begun, &span(own));
        assert_eq!(telemetry.log_records().len() - before, expected, "{current:?} {own:?}");
    };
    check(TraceFlags::NOT_SAMPLED, TraceFlags::SAMPLED, 1);
    check(TraceFlags::SAMPLED, TraceFlags::NOT_SAMPLED, 0);
    let _attached = span(TraceFlags::NOT_SAMPLED).attach();
    assert_eq!(logger.begin_at(None, Severity::Info, "shop", None, true), None);
}

#[test]
fn a_configuration_that_panics_takes_every_record() {
    let telemetry = TestTelemetry::new()
        .with_logs(|builder| builder.with_logger_config(Configurator::from_fn(|_| panic!("rules"))));
    emit(&telemetry.logger_provider().logger("shop"), "kept");
    assert_eq!(telemetry.logs(), "INFO kept\n");
}

#[test]
fn an_error_becomes_the_exception_of_a_record() {
    let telemetry = TestTelemetry::new();
    let logger = telemetry.logger_provider().logger("shop");
    let error = std::io::Error::new(std::io::ErrorKind::NotFound, "x".parse::<u8>().unwrap_err());
    let mut record = record(&logger, Some(Severity::Error), "no order");
    record.add_attribute("exception.message", "kept");
    logger.emit_exception(record, &Exception::for_error(&error));
    logger.emit_exception(logger.create_log_record(), &Exception::for_error(&error));
    let kind = "exception.type=std::io::ErrorKind::NotFound";
    assert_eq!(
        telemetry.logs(),
        format!(
            "ERROR no order exception.message=kept {kind}\n{kind} exception.message=invalid digit found in string\n"
        )
    );
}

/// Edits each record and keeps what it saw.
#[derive(Debug, Default)]
struct Editor {
    name: &'static str,
    seen: Arc<Mutex<Vec<String>>>,
}

impl LogRecordProcessor for Editor {
    fn on_emit(&self, record: &mut SdkLogRecord, context: &Context) {
        let span = context.span().span_context().span_id();
        self.seen.lock().unwrap().push(format!("{}: {span} {}", self.name, logs_text(std::slice::from_ref(record))));
        record.retain_attributes(|key, value| {
            if key.as_str() == "password" {
                *value = AnyValue::from("…");
            }
            key.as_str() != "secret"
        });
        record.add_attribute(self.name, true);
    }

    fn enabled(&self, _: &Scope, severity: Severity, target: &str, event: Option<&str>) -> bool {
        severity >= Severity::Warn || target == "wanted" || event == Some("wanted")
    }
}

#[test]
fn processors_see_the_changes_of_those_before_them_and_exports_do_not_change_later() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (first, last) = (InMemoryExporter::<Logs>::new(), InMemoryExporter::<Logs>::new());
    let runtime = ManualRuntime::new();
    let start = |exporter: &InMemoryExporter<Logs>| {
        let runtime = Runtime::Manual(runtime.clone());
        BatchProcessor::start(exporter.clone(), Resource::empty(), BatchConfig::LOGS, &runtime).unwrap()
    };
    let provider = SdkLoggerProvider::builder()
        .with_processor(Editor { name: "one", seen: seen.clone() })
        .with_processor(start(&first))
        .with_processor(Editor { name: "two", seen: seen.clone() })
        .with_processor(start(&last))
        .build();
    let logger = provider.logger("shop");
    let span = SpanContext::new(TraceId::from(3), SpanId::from(4), TraceFlags::SAMPLED, true, TraceState::NONE);
    let _attached = Context::new().with_remote_span_context(span).attach();
    let mut record = logger.create_log_record();
    record.add_attributes([("secret", "x"), ("password", "y")]);
    logger.emit(record);
    provider.force_flush(Deadline::NEVER).unwrap();
    assert_eq!(logs_text(&first.items()), "password=… one=true\n");
    assert_eq!(logs_text(&last.items()), "password=… one=true two=true\n");
    assert_eq!(
        seen.lock().unwrap().join(""),
        "one: 0000000000000004 secret=x password=y\ntwo: 0000000000000004 password=… one=true\n"
    );
}

#[test]
fn a_record_that_was_begun_has_its_trace_and_processors_see_its_context() {
    let span = |id| {
        let span = SpanContext::new(TraceId::from(3), SpanId::from(id), TraceFlags::SAMPLED, true, TraceState::NONE);
        Context::new().with_remote_span_context(span)
    };
    let telemetry = TestTelemetry::new();
    let logger = telemetry.logger_provider().logger("shop");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let provider = SdkLoggerProvider::builder().with_processor(Editor { name: "one", seen: seen.clone() }).build();
    let watched = provider.logger("shop");
    let _attached = span(4).attach();
    for logger in [&logger, &watched] {
        let mut record = logger.begin_at(None, Severity::Warn, "shop", None, true);
        assert_eq!(record.as_ref().unwrap().trace_context().unwrap().span_id, SpanId::from(4));
        logger.emit_begun(&mut record);
        assert_eq!(record, None);
    }
    assert_eq!(telemetry.log_records()[0].trace_context().unwrap().span_id, SpanId::from(4));
    assert_eq!(seen.lock().unwrap().join("").trim(), "one: 0000000000000004");
    let elsewhere = logger.begin_at(None, Severity::Info, "shop", None, false).unwrap();
    assert_eq!(elsewhere.trace_context(), None);
    logger.emit_in(elsewhere, &span(5));
    assert_eq!(telemetry.log_records()[1].trace_context().unwrap().span_id, SpanId::from(5));
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    assert_eq!(logger.begin_at(None, Severity::Fatal, "shop", None, true), None);
}

#[test]
fn a_record_that_no_processor_wants_need_not_be_made() {
    let provider = SdkLoggerProvider::builder().with_processor(Editor::default()).build();
    let logger = provider.logger("shop");
    assert!(logger.event_enabled(Severity::Warn, "", None));
    assert!(logger.event_enabled(Severity::Info, "wanted", None));
    assert!(logger.event_enabled(Severity::Info, "", Some("wanted")));
    assert!(!logger.event_enabled(Severity::Info, "", None));
    assert!(!SdkLoggerProvider::builder().build().logger("shop").event_enabled(Severity::Fatal, "", None));
}

/// Logs from within, and panics.
#[derive(Clone, Debug, Default)]
struct Troubled {
    logger: Arc<OnceLock<SdkLogger>>,
    calls: Arc<AtomicUsize>,
}

impl LogRecordProcessor for Troubled {
    fn on_emit(&self, _: &mut SdkLogRecord, _: &Context) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(logger) = self.logger.get() {
            emit(logger, "from within");
            assert!(!logger.event_enabled(Severity::Fatal, "", None));
        }
        panic!("on_emit");
    }

    fn enabled(&self, _: &Scope, _: Severity, _: &str, _: Option<&str>) -> bool {
        panic!("enabled");
    }

    fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
        panic!("shutdown");
    }
}

#[test]
fn a_processor_that_panics_or_logs_hurts_nobody() {
    let troubled = Troubled::default();
    let telemetry = TestTelemetry::new().with_logs(|builder| builder.with_processor(troubled.clone()));
    let logger = telemetry.logger_provider().logger("shop");
    troubled.logger.set(logger.clone()).unwrap();
    assert!(logger.event_enabled(Severity::Info, "", None));
    emit(&logger, "one");
    emit(&logger, "two");
    assert_eq!((telemetry.logs(), troubled.calls.load(Ordering::Relaxed)), ("INFO one\nINFO two\n".to_owned(), 2));
    let as_the_last = SdkLoggerProvider::builder().with_processor(troubled.clone()).build();
    emit(&as_the_last.logger("shop"), "three");
    assert_eq!(troubled.calls.load(Ordering::Relaxed), 3);
    assert!(telemetry.logger_provider().shutdown(Deadline::NEVER).is_err());
}

#[test]
fn after_shutdown_records_are_dropped() {
    let telemetry = TestTelemetry::new();
    let logger = telemetry.logger_provider().logger("shop");
    emit(&logger, "before");
    telemetry.logger_provider().shutdown(Deadline::NEVER).unwrap();
    telemetry.logger_provider().shutdown(Deadline::NEVER).unwrap();
    emit(&logger, "after");
    assert!(!logger.event_enabled(Severity::Fatal, "", None));
    assert_eq!(telemetry.logs(), "INFO before\n");
}

#[test]
fn what_a_full_queue_drops_is_counted() {
    let exporter = InMemoryExporter::<Logs>::new();
    let config = BatchConfig::LOGS.with_max_queue_size(10);
    let runtime = Runtime::Manual(ManualRuntime::new());
    let processor = BatchProcessor::start(exporter.clone(), Resource::empty(), config, &runtime).unwrap();
    let provider = SdkLoggerProvider::builder().with_processor(processor).build();
    let logger = provider.logger("shop");
    (0..25).for_each(|_| emit(&logger, "flood"));
    provider.force_flush(Deadline::NEVER).unwrap();
    let health = provider.health();
    assert_eq!((health[0].exported, health[0].dropped_queue_full, exporter.items().len()), (10, 15, 10));
}

#[test]
fn a_simple_processor_exports_at_once() {
    let exporter = InMemoryExporter::<Logs>::new();
    let processor = SimpleProcessor::start(exporter.clone(), Resource::empty(), &Runtime::Thread).unwrap();
    let provider = SdkLoggerProvider::builder().with_processor(processor).build();
    emit(&provider.logger("shop"), "now");
    assert_eq!(logs_text(&exporter.items()), "INFO now\n");
    provider.shutdown(Deadline::NEVER).unwrap();
}

#[test]
fn an_active_logger_finds_the_telemetry_of_a_test() {
    let logger = ActiveLogger::new(InstrumentationScope::builder("shop").build());
    let emit = |body: &'static str| {
        let mut record = logger.create_log_record();
        record.set_body(body.into());
        record.add_attribute("n", 1);
        record.add_attribute("m", 2);
        logger.emit(record);
    };
    emit("nowhere");
    let telemetry = TestTelemetry::new().with_logs(|builder| {
        let limits = telemark_sdk::limits::AttributeLimits::new(1, None);
        builder.with_limits(LogRecordLimits::DEFAULT.with_attributes(limits))
    });
    {
        let _attached = telemetry.attach();
        assert!(logger.event_enabled(Severity::Info, "", None));
        emit("here");
    }
    emit("gone");
    assert_eq!(telemetry.logs(), "here n=1 (1 attributes dropped)\n");
}

/// Emits when its thread is about to end and its context may be gone.
#[test]
fn a_record_from_the_destructor_of_a_thread_local_hurts_nobody() {
    struct Last(SdkLogger);
    impl Drop for Last {
        fn drop(&mut self) {
            emit(&self.0, "last");
        }
    }
    thread_local!(static LAST: OnceLock<Last> = const { OnceLock::new() });

    let telemetry = TestTelemetry::new();
    let logger = telemetry.logger_provider().logger("shop");
    std::thread::scope(|scope| {
        let threads = [false, true].map(|context_first| {
            let logger = logger.clone();
            scope.spawn(move || {
                if context_first {
                    emit(&logger, "first");
                }
                LAST.with(|last| drop(last.set(Last(logger.clone()))));
                emit(&logger, "first");
            })
        });
        // Joining waits for the destructors too, which the end of the scope does not.
        for thread in threads {
            assert!(thread.join().is_ok());
        }
    });
    assert_eq!(telemetry.logs().matches("last").count(), 2);
}

#[test]
fn records_of_many_threads_are_exported_or_counted() {
    const THREADS: usize = 8;
    const EACH: usize = 2_000;
    let exporter = InMemoryExporter::<Logs>::new();
    let config = BatchConfig::LOGS.with_max_queue_size(500).with_max_batch_size(100);
    let processor = BatchProcessor::start(exporter, Resource::empty(), config, &Runtime::Thread).unwrap();
    let provider = SdkLoggerProvider::builder().with_processor(processor).build();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let logger = provider.logger("shop");
            scope.spawn(move || (0..EACH).for_each(|_| emit(&logger, "many")));
        }
    });
    provider.shutdown(Deadline::NEVER).unwrap();
    let health = provider.health()[0];
    assert_eq!(health.exported + health.dropped_queue_full, (THREADS * EACH) as u64);
    assert!(health.exported > 0);
}

/// Sees, while it exports, the metrics that a reader would collect.
struct Watched {
    reader: PullReader,
    seen: Arc<Mutex<String>>,
}

impl Exporter<Logs> for Watched {
    fn export(&mut self, _: Batch<'_, Logs>, _: Deadline) -> Result<ExportReport, ExportError> {
        *self.seen.lock().unwrap() = log_metrics(&self.reader);
        Ok(ExportReport::partial(1, "too old"))
    }

    fn component_type(&self) -> &'static str {
        "watched"
    }
}

/// Returns the SDK's own metrics about logs.
fn log_metrics(reader: &PullReader) -> String {
    let text = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    let lines = text.lines().filter(|line| line.contains(".log."));
    lines.map(|line| line.replace("otel.component.", "").replace("[{log_record}]", "") + "\n").collect()
}

#[test]
fn the_sdk_measures_its_work_on_logs() {
    let reader = PullReader::default();
    let seen = Arc::new(Mutex::new(String::new()));
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_RUST_SELF_METRICS", "true")]))
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .with_metric_reader(reader.clone())
        .with_log_exporter(Watched { reader: reader.clone(), seen: seen.clone() })
        .with_logger_config(Configurator::new(LoggerConfig::new().with_minimum_severity(Severity::Info)))
        .build()
        .unwrap();
    let logger = telemetry.logger("shop");
    (0..3).for_each(|_| emit(&logger, "counted"));
    logger.emit(record(&logger, Some(Severity::Debug), "created, though dropped by a rule"));
    let (processor, exporter) =
        ("{name=batching_log_processor/0,type=batching_log_processor}", "{name=watched/0,type=watched}");
    let check = |metrics: &str, expected: &[(&str, &str)]| {
        let mut lines: Vec<_> = expected.iter().map(|(name, value)| format!("otel.sdk.{name} {value}\n")).collect();
        lines.sort();
        assert_eq!(metrics, lines.concat());
    };
    let capacity = format!("processor.log.queue.capacity{processor}");
    let size = format!("processor.log.queue.size{processor}");
    let in_flight = format!("exporter.log.inflight{exporter}");
    check(
        &log_metrics(&reader),
        &[
            ("log.created", "sum 4"),
            (&capacity, "up-down sum 2048"),
            (&size, "up-down sum 3"),
            (&in_flight, "up-down sum 0"),
            (&format!("exporter.log.exported{exporter}"), "sum 0"),
            (&format!("processor.log.processed{processor}"), "sum 0"),
        ],
    );
    telemetry.force_flush(Deadline::NEVER).unwrap();
    check(
        &seen.lock().unwrap(),
        &[
            ("log.created", "sum 4"),
            (&capacity, "up-down sum 2048"),
            (&size, "up-down sum 0"),
            (&in_flight, "up-down sum 3"),
            (&format!("exporter.log.exported{exporter}"), "sum 0"),
            (&format!("processor.log.processed{processor}"), "sum 3"),
        ],
    );
    let rejected = "{error.type=rejected,name=watched/0,type=watched}";
    check(
        &log_metrics(&reader),
        &[
            ("log.created", "sum 4"),
            (&capacity, "up-down sum 2048"),
            (&size, "up-down sum 0"),
            (&in_flight, "up-down sum 0"),
            (&format!("exporter.log.exported{exporter}"), "sum 2"),
            (&format!("exporter.log.exported{rejected}"), "sum 1"),
            (&format!("processor.log.processed{processor}"), "sum 3"),
        ],
    );
}
