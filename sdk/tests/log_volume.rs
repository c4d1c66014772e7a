//! The rules that limit the volume of log records, the reports about suppressed ones, and baggage on records.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::Resource;
use telemark_sdk::baggage_attributes::BaggageAttributes;
use telemark_sdk::batch::SimpleProcessor;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::logs::{LogRecordProcessor, LogSite, LogVolume, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use telemark_sdk::metrics::PullReader;
use telemark_sdk::runtime::Runtime;
use telemark_sdk::signal::Logs;
use telemark_sdk::testing::{InMemoryExporter, ManualClock, TestTelemetry, metrics_text};
use telemark_sdk::time::Deadline;

fn with(volume: LogVolume) -> TestTelemetry {
    TestTelemetry::new().with_logs(|builder| builder.with_volume(volume))
}

fn record(logger: &SdkLogger, severity: Severity, body: &str) -> SdkLogRecord {
    let mut record = logger.create_log_record();
    record.set_severity_number(severity);
    record.set_body(body.to_owned().into());
    record
}

fn emit(logger: &SdkLogger, severity: Severity, body: &str) {
    logger.emit(record(logger, severity, body));
}

/// Returns the reports, as `scope severity count of body: reasons`.
fn reports(records: &[SdkLogRecord]) -> Vec<String> {
    let reports = records.iter().filter(|record| record.event_name() == Some("telemark.log.suppressed"));
    let mut reports: Vec<_> = reports.map(report).collect();
    reports.sort();
    reports
}

fn report(record: &SdkLogRecord) -> String {
    let prefix = "telemark.log.suppressed.";
    let mut text = format!("{} {}", record.scope().name(), record.severity_number().unwrap().name());
    for (key, value) in record.attributes() {
        let value = match value {
            AnyValue::String(text) => text.as_str().to_owned(),
            AnyValue::Int(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        text.push_str(&format!(" {}={value}", key.as_str().trim_start_matches(prefix)));
    }
    text
}

/// Returns the number of records that are no reports.
fn kept(telemetry: &TestTelemetry) -> usize {
    let records = telemetry.log_records();
    records.len() - reports(&records).len()
}

fn unsampled() -> Context {
    let span = SpanContext::new(TraceId::from(3), SpanId::from(4), TraceFlags::NOT_SAMPLED, true, TraceState::NONE);
    Context::new().with_remote_span_context(span)
}

#[test]
fn each_call_site_has_a_rate_and_what_exceeds_it_is_reported_once_a_minute() {
    // A flush would report at once.
    let (exporter, clock) = (InMemoryExporter::<Logs>::new(), ManualClock::new());
    let processor = SimpleProcessor::start(exporter.clone(), Resource::empty(), &Runtime::Thread).unwrap();
    let volume = LogVolume::new().with_max_per_minute(10);
    let builder = SdkLoggerProvider::builder().with_volume(volume).with_clock(clock.clock());
    let logger = builder.with_processor(processor).build().logger("shop");
    let reports = || reports(&exporter.items());
    let kept = || exporter.items().len() - reports().len();
    for number in 0..100 {
        emit(&logger, Severity::Error, &format!("order {number} failed"));
    }
    emit(&logger, Severity::Info, "other");
    assert_eq!(kept(), 11);
    clock.advance(Duration::from_secs(6));
    emit(&logger, Severity::Error, "order 100 failed");
    emit(&logger, Severity::Error, "order 101 failed");
    assert_eq!(kept(), 12, "one record's worth of time has passed");
    assert_eq!(reports(), [""; 0], "a minute has not passed");

    clock.advance(Duration::from_secs(54));
    emit(&logger, Severity::Info, "other");
    assert_eq!(reports(), ["shop ERROR count=91 rate_limited=91 body=order 10 failed"]);
    clock.advance(Duration::from_secs(300));
    emit(&logger, Severity::Info, "other");
    assert_eq!(reports().len(), 1, "nothing was suppressed since");
}

/// Logs with a logger of another provider.
#[derive(Debug)]
struct Talkative(SdkLogger);

impl LogRecordProcessor for Talkative {
    fn on_emit(&self, _: &mut SdkLogRecord, _: &Context) {
        emit(&self.0, Severity::Info, "from within");
    }
}

#[test]
fn a_record_from_within_a_processor_leaves_the_report_to_the_next_one() {
    let (exporter, clock) = (InMemoryExporter::<Logs>::new(), ManualClock::new());
    let processor = SimpleProcessor::start(exporter.clone(), Resource::empty(), &Runtime::Thread).unwrap();
    let builder = SdkLoggerProvider::builder().with_volume(LogVolume::new().with_max_per_minute(1));
    let logger = builder.with_clock(clock.clock()).with_processor(processor).build().logger("shop");
    (0..3).for_each(|_| emit(&logger, Severity::Info, "said"));
    clock.advance(Duration::from_secs(60));
    let other = SdkLoggerProvider::builder().with_processor(Talkative(logger.clone())).build();
    emit(&other.logger("bank"), Severity::Info, "hello");
    assert_eq!(exporter.items().len(), 1, "a processor's own records are dropped");
    emit(&logger, Severity::Info, "next");
    assert_eq!(reports(&exporter.items()), ["shop INFO count=2 rate_limited=2 body=said"]);
}

#[test]
fn flush_and_shutdown_report_and_health_counts_at_once() {
    let exporter = InMemoryExporter::<Logs>::new();
    let reader = PullReader::default();
    let env = Env::from_pairs([
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_RUST_LOGS_MAX_PER_MINUTE", "1"),
        ("OTEL_RUST_SELF_METRICS", "true"),
    ]);
    let builder = Telemetry::builder(env).with_log_exporter(exporter.clone()).with_metric_reader(reader.clone());
    let telemetry = builder.build().unwrap();
    let logger = telemetry.logger("shop");
    let repeat = |times| (0..times).for_each(|_| emit(&logger, Severity::Info, "again"));
    let counts = || reports(&exporter.items());
    repeat(4);
    assert_eq!(telemetry.health().logs[0].suppressed, 3);
    telemetry.force_flush(Deadline::NEVER).unwrap();
    assert_eq!(counts(), ["shop INFO count=3 rate_limited=3 body=again"]);
    repeat(2);
    let metrics = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    let processed =
        metrics.lines().filter(|line| line.contains("error.type=suppressed")).collect::<Vec<_>>().join("\n");
    assert!(processed.ends_with(" 5"), "{metrics}");
    telemetry.shutdown(Deadline::NEVER).unwrap();
    assert_eq!(counts().len(), 2);
    assert_eq!(exporter.items().len(), 3);
    let health = telemetry.health().logs[0];
    assert_eq!((health.suppressed, health.exported), (5, 3));
}

/// Descriptions wait for the next report, up to one for each of the 2048 call sites.
#[test]
fn what_a_report_says_about_a_call_site_is_bounded() {
    let telemetry = with(LogVolume::new().with_max_per_minute(1));
    let logger = telemetry.logger_provider().logger("shop");
    let long = |start: &str| start.repeat(10_000);
    for _ in 0..3 {
        let mut record = record(&logger, Severity::Info, &long("body"));
        record.set_target(long("target"));
        record.set_owned_event_name(long("name"));
        record.add_attribute("code.file.path", long("file"));
        record.add_attribute("code.line.number", AnyValue::Bytes(Box::new(vec![0; 100_000])));
        logger.emit(record);
    }
    telemetry.logger_provider().force_flush(Deadline::NEVER).unwrap();
    let records = telemetry.log_records();
    let report = records.iter().find(|record| record.event_name() == Some("telemark.log.suppressed")).unwrap();
    let texts = [report.target(), Some(report.scope().name())].into_iter().flatten().map(str::len);
    let values = report.attributes().iter().map(|(_, value)| format!("{value:?}").len());
    let lengths: Vec<_> = texts.chain(values).collect();
    assert!(lengths.iter().all(|length| *length < 400), "{lengths:?}");
    assert!(report.target().unwrap().starts_with("targettarget") && report.attribute("code.line.number").is_none());
}

#[test]
fn records_of_unsampled_traces_are_dropped_unless_they_are_warnings() {
    let telemetry = with(LogVolume::new().with_sampled_traces_only(true));
    let logger = telemetry.logger_provider().logger("shop");
    let check = |severity: Severity, context: &Context, expected: bool| {
        let before = kept(&telemetry);
        logger.emit_in(record(&logger, severity, severity.name()), context);
        assert_eq!(kept(&telemetry) > before, expected, "{severity:?}");
        let _attached = context.clone().attach();
        assert_eq!(logger.event_enabled(severity, "", None), expected, "{severity:?}");
    };
    for (severity, expected) in
        [(Severity::Trace, false), (Severity::Info4, false), (Severity::Warn, true), (Severity::Fatal, true)]
    {
        check(severity, &unsampled(), expected);
        check(severity, &Context::new(), true);
    }
    logger.emit_in(logger.create_log_record(), &unsampled());
    assert_eq!(kept(&telemetry), 7, "a record without a severity may be an error");
    telemetry.logger_provider().force_flush(Deadline::NEVER).unwrap();
    // A record that was refused before it was made has no body.
    let expected = [
        "shop INFO4 count=1 unsampled_trace=1",
        "shop INFO4 count=1 unsampled_trace=1 body=INFO4",
        "shop TRACE count=1 unsampled_trace=1",
        "shop TRACE count=1 unsampled_trace=1 body=TRACE",
    ];
    assert_eq!(reports(&telemetry.log_records()), expected);
}

#[test]
fn a_key_decides_alike_for_all_its_records_and_in_every_provider() {
    let decisions = |body: &str, scope: &'static str| {
        let telemetry = with(LogVolume::new().with_sampling_by("request.id", 0.3));
        let logger = telemetry.logger_provider().logger(scope);
        for id in 0..1000 {
            let mut record = record(&logger, Severity::Info, body);
            record.add_attribute("request.id", id);
            logger.emit(record);
        }
        let records = telemetry.log_records();
        let ids = records.iter().filter_map(|record| record.attribute("request.id"));
        ids.map(|id| format!("{id:?}")).collect::<Vec<_>>()
    };
    let first = decisions("one", "shop");
    assert_eq!(first, decisions("two", "bank"));
    assert!((250..350).contains(&first.len()), "{}", first.len());

    let telemetry = with(LogVolume::new().with_sampling_by("request.id", 0.0));
    let logger = telemetry.logger_provider().logger("shop");
    for severity in [Severity::Info, Severity::Warn] {
        let mut record = record(&logger, severity, "with");
        record.add_attribute("request.id", 1);
        logger.emit(record);
    }
    emit(&logger, Severity::Info, "without");
    assert!(telemetry.logs().starts_with("WARN with request.id=1\nINFO without\n"), "{}", telemetry.logs());
}

#[test]
fn sampled_out_records_use_up_no_rate() {
    let telemetry = with(LogVolume::new().with_max_per_minute(1).with_sampled_traces_only(true));
    let logger = telemetry.logger_provider().logger("shop");
    for _ in 0..5 {
        logger.emit_in(record(&logger, Severity::Info, "said"), &unsampled());
    }
    emit(&logger, Severity::Info, "said");
    emit(&logger, Severity::Info, "said");
    assert_eq!(kept(&telemetry), 1);
    telemetry.logger_provider().force_flush(Deadline::NEVER).unwrap();
    assert_eq!(reports(&telemetry.log_records()), ["shop INFO count=6 rate_limited=1 unsampled_trace=5 body=said"]);
}

#[test]
fn a_place_is_decided_before_its_record_is_made() {
    let telemetry = with(LogVolume::new().with_max_per_minute(2));
    let logger = telemetry.logger_provider().logger("shop");
    let site = |line| &*Box::leak(Box::new(LogSite::new("shop", "", Severity::Info, "src/shop.rs", line)));
    let (one, two) = (site(1), site(2));
    let begin = |site| logger.begin_at(Some(site), Severity::Info, "shop", None, true);
    let mut made: Vec<_> = (0..5).filter_map(|_| begin(one)).collect();
    made.extend((0..2).filter_map(|_| begin(two)));
    assert_eq!(made.len(), 4);
    made.into_iter().for_each(|record| logger.emit(record));
    assert_eq!(kept(&telemetry), 4, "a record that was begun counts once");
    telemetry.logger_provider().force_flush(Deadline::NEVER).unwrap();
    let expected = "shop INFO count=3 rate_limited=3 code.file.path=src/shop.rs code.line.number=1";
    assert_eq!(reports(&telemetry.log_records()), [expected]);
}

#[test]
fn with_more_call_sites_than_places_every_record_is_kept_or_counted() {
    let telemetry = with(LogVolume::new().with_max_per_minute(1));
    let logger = telemetry.logger_provider().logger("shop");
    let letters = |mut number: usize| {
        let mut text = String::new();
        while number > 0 {
            text.push(char::from(b'a' + (number % 26) as u8));
            number /= 26;
        }
        text
    };
    for number in 0..20_000 {
        emit(&logger, Severity::Info, &letters(number));
    }
    let kept = kept(&telemetry);
    assert!((1000..=2049).contains(&kept), "{kept}");
    telemetry.logger_provider().force_flush(Deadline::NEVER).unwrap();
    let health: u64 = telemetry.logger_provider().health().iter().map(|health| health.suppressed).sum();
    assert_eq!(health as usize, 20_000 - kept);
    let records = telemetry.log_records();
    assert_eq!(reports(&records), [format!(" INFO count={health} rate_limited={health}")]);
}

#[test]
fn threads_together_stay_within_the_rate_and_no_record_is_uncounted() {
    let telemetry = with(LogVolume::new().with_max_per_minute(100));
    let logger = telemetry.logger_provider().logger("shop");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| emit(&logger, Severity::Info, "said")));
        }
    });
    telemetry.logger_provider().force_flush(Deadline::NEVER).unwrap();
    assert_eq!(kept(&telemetry), 100);
    let expected = "shop INFO count=3900 rate_limited=3900 body=said";
    assert_eq!(reports(&telemetry.log_records()), [expected]);
}

#[test]
fn selected_baggage_is_copied_to_records_and_replaces_nothing() {
    let selected = BaggageAttributes::new(["tenant", "user.*"]);
    let telemetry = TestTelemetry::new().with_logs(|builder| builder.with_baggage_attributes(selected));
    let logger = telemetry.logger_provider().logger("shop");
    let entries = [("tenant", "t1"), ("user.id", "ann"), ("secret", "x")];
    let context = Context::new().with_baggage(entries.map(|(key, value)| KeyValue::new(key, value)));
    let _attached = context.attach();
    let mut own = record(&logger, Severity::Info, "said");
    own.add_attribute("tenant", "own");
    logger.emit(own);
    assert_eq!(telemetry.logs(), "INFO said tenant=own user.id=ann\n");
    let mut begun = logger.begin_at(None, Severity::Warn, "shop", None, true);
    logger.emit_begun(&mut begun);
    // Baggage has no order.
    let logs = telemetry.logs();
    let mut copied: Vec<_> = logs.lines().last().unwrap().split(' ').collect();
    copied.sort_unstable();
    assert_eq!((logs.lines().count(), &copied[..]), (2, &["tenant=t1", "user.id=ann"][..]));
}

#[test]
fn one_allowlist_selects_the_baggage_of_spans_and_records() {
    let exporter = InMemoryExporter::<Logs>::new();
    let env = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_RUST_BAGGAGE_ATTRIBUTES", "tenant")];
    let check = |builder: telemark_sdk::install::TelemetryBuilder| {
        let telemetry = builder.with_log_exporter(exporter.clone()).build().unwrap();
        let logger = telemetry.logger("shop");
        logger.emit_in(
            record(&logger, Severity::Info, "said"),
            &Context::new().with_baggage([KeyValue::new("tenant", "t1"), KeyValue::new("user", "ann")]),
        );
        telemetry.shutdown(Deadline::NEVER).unwrap();
        let keys: Vec<_> = exporter.items()[0].attributes().iter().map(|(key, _)| key.to_string()).collect();
        exporter.clear();
        keys.join(" ")
    };
    assert_eq!(check(Telemetry::builder(Env::from_pairs(env))), "tenant");
    let builder = Telemetry::builder(Env::from_pairs(env));
    assert_eq!(check(builder.with_baggage_attributes(BaggageAttributes::new(["user"]))), "user");
    assert_eq!(check(Telemetry::builder(Env::from_pairs([("OTEL_TRACES_EXPORTER", "none")]))), "");
}
