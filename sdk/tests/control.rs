//! Changes while telemetry runs: the sampler, the switches, and what other threads see of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests of threads and of panics")]

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use opentelemetry::logs::{LogRecord, Logger, Severity};
use opentelemetry::trace::{Span, SpanContext, TraceContextExt, TraceFlags, TraceState, Tracer};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::config::Env;
use telemark_sdk::control::Configurator;
use telemark_sdk::install::{Control, Factory, Node, Pipeline, Telemetry, TelemetryBuilder};
use telemark_sdk::logs::{LogVolume, LoggerConfig, SdkLogRecord};
use telemark_sdk::metrics::{MeterConfig, PeriodicConfig, PullReader};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::sampling::{AlwaysOff, AlwaysOn, Decision, ParentBased, Sampler, SamplingRequest, SamplingResult};
use telemark_sdk::signal::{Logs, Metrics, Traces};
use telemark_sdk::testing::{InMemoryExporter, metrics_text, tree};
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::TracerConfig;
use telemark_sdk::{ConfigError, ExportError};

fn builder(spans: &InMemoryExporter<Traces>) -> TelemetryBuilder {
    Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "test")]))
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .with_span_exporter(spans.clone())
}

fn flush(telemetry: &Telemetry) {
    telemetry.force_flush(Deadline::NEVER).unwrap();
}

/// What happens to a sampler: its decisions by their number, its shutdowns and its destructors.
#[derive(Debug, Default)]
struct Fates {
    sampled: AtomicUsize,
    shut_down: AtomicUsize,
    dropped: AtomicUsize,
}

/// Samples every span or none, and marks those that it samples with its number.
#[derive(Debug)]
struct Numbered {
    number: usize,
    samples: bool,
    fates: Arc<Fates>,
}

impl Sampler for Numbered {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        if !self.samples {
            return SamplingResult::new(Decision::Drop);
        }
        self.fates.sampled.fetch_add(1, Ordering::Relaxed);
        let number = KeyValue::new("sampler", i64::try_from(self.number).unwrap());
        SamplingResult::new(Decision::RecordAndSample).with_attributes(vec![number])
    }

    fn description(&self) -> Cow<'static, str> {
        format!("Numbered{{{}}}", self.number).into()
    }

    fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
        self.fates.shut_down.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        self.fates.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

const CHANGES: usize = 1000;

/// Sets its flag when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Threads start roots with children while the sampler changes. Every span is recorded exactly when it was sampled at its start, and
/// the thread that changes the sampler sees each change at once.
#[test]
fn a_thousand_changes_under_load_lose_no_span_and_confuse_none() {
    let exporter = InMemoryExporter::<Traces>::new();
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "test")]))
        .with_span_exporter(exporter.clone())
        .with_span_batch(BatchConfig::SPANS.with_max_queue_size(1 << 22).with_max_queue_bytes(usize::MAX))
        .build()
        .unwrap();
    let (control, fates) = (telemetry.control(), Arc::new(Fates::default()));
    let numbered = |number: usize| Numbered { number, samples: number % 2 == 0, fates: fates.clone() };
    let set = |number: usize| match number % 4 {
        // Children follow their parent without asking the sampler.
        0 | 1 => control.set_sampler(ParentBased::new(numbered(number))),
        _ => control.set_sampler(numbered(number)),
    };
    set(0);
    let (is_over, started, sampled) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let root_with_children = || {
        let tracer = telemetry.tracer("load");
        let root = tracer.start_with_context("root", &Context::new());
        let mut count = usize::from(root.span_context().is_sampled());
        let context = Context::new().with_span(root);
        for _ in 0..3 {
            let child = tracer.start_with_context("child", &context);
            count += usize::from(child.span_context().is_sampled());
            assert_eq!(child.span_context().is_sampled(), child.is_recording());
        }
        sampled.fetch_add(count, Ordering::Relaxed);
        started.fetch_add(4, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        let load = || {
            while !is_over.load(Ordering::Relaxed) {
                root_with_children();
            }
        };
        let threads = [(); 3].map(|()| scope.spawn(load));
        // Ends the threads also if an assertion fails.
        let over = Over(&is_over);
        for number in 1..=CHANGES {
            set(number);
            let before = started.load(Ordering::Relaxed);
            let own = telemetry.tracer("own").start_with_context("own", &Context::new());
            assert_eq!(own.span_context().is_sampled(), number % 2 == 0, "sampler {number} decides from now on");
            sampled.fetch_add(usize::from(own.is_recording()), Ordering::Relaxed);
            // The change takes place under load.
            while number % 100 == 0 && started.load(Ordering::Relaxed) == before {
                thread::yield_now();
            }
        }
        drop(over);
        // Joined one by one, because the end of the scope does not wait for what threads keep.
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    flush(&telemetry);
    let spans = exporter.items();
    assert_eq!(spans.len(), sampled.load(Ordering::Relaxed));
    assert_eq!(telemetry.health().traces[0].dropped_queue_full, 0);
    let numbers: Vec<_> = spans
        .iter()
        .filter_map(|span| span.own_attributes.iter().find(|own| own.key.as_str() == "sampler"))
        .map(|own| own.value.as_str().parse::<usize>().unwrap())
        .collect();
    assert_eq!(numbers.len(), fates.sampled.load(Ordering::Relaxed), "each decision has its span");
    assert!(numbers.iter().all(|number| number % 2 == 0), "no span has the mark of a sampler that drops");
    assert_eq!(fates.shut_down.load(Ordering::Relaxed), CHANGES, "all but the last one");
    let dropped = fates.dropped.load(Ordering::Relaxed);
    assert!((CHANGES - 3..=CHANGES).contains(&dropped), "{dropped}: each thread kept one at most");
    telemetry.shutdown(Deadline::NEVER).unwrap();
    assert_eq!(fates.shut_down.load(Ordering::Relaxed), CHANGES + 1);
    assert_eq!(fates.dropped.load(Ordering::Relaxed), CHANGES, "threads that have ended keep nothing");
    // A sampler that comes too late is shut down and dropped as well.
    set(CHANGES + 1);
    let [shut_down, dropped] = [&fates.shut_down, &fates.dropped].map(|fate| fate.load(Ordering::Relaxed));
    assert_eq!((shut_down, dropped), (CHANGES + 2, CHANGES + 1));
}

#[test]
fn what_was_known_about_a_sampler_does_not_outlive_it() {
    let exporter = InMemoryExporter::new();
    let telemetry = builder(&exporter).build().unwrap();
    let (control, tracer) = (telemetry.control(), telemetry.tracer("shop"));
    let root = Context::new().with_span(tracer.start_with_context("root", &Context::new()));
    let unsampled = {
        control.set_sampler(AlwaysOff);
        Context::new().with_span(tracer.start_with_context("root", &Context::new()))
    };
    let check = |a_root: bool, below_sampled: bool, below_unsampled: bool| {
        let sampled = [&Context::new(), &root, &unsampled].map(|parent| {
            let child = tracer.start_with_context("child", parent);
            child.span_context().is_sampled()
        });
        assert_eq!(sampled, [a_root, below_sampled, below_unsampled]);
    };
    check(false, false, false);
    control.set_sampler(AlwaysOn);
    check(true, true, true);
    control.set_sampler(ParentBased::new(AlwaysOff));
    check(false, true, false);
    control.set_sampler(ParentBased::new(AlwaysOn).with_local_parent_sampled(AlwaysOff));
    check(true, false, false);
    assert!(telemetry.handle().control().is_enabled());
}

/// A sampler that panics in each of its methods but `sample`.
#[derive(Debug)]
struct Panics;

impl Sampler for Panics {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        SamplingResult::new(Decision::RecordAndSample)
    }

    fn description(&self) -> Cow<'static, str> {
        panic!("description")
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        panic!("drops")
    }

    fn samples_below_sampled_parents(&self) -> bool {
        panic!("samples")
    }

    fn samples_roots(&self) -> bool {
        panic!("roots")
    }

    fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
        panic!("shutdown")
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("drop")
    }
}

/// Fails to shut down with an error that cannot be shown.
#[derive(Debug)]
struct FailsUnshown;

impl Sampler for FailsUnshown {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        SamplingResult::new(Decision::RecordAndSample)
    }

    fn description(&self) -> Cow<'static, str> {
        "fails".into()
    }

    fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
        Err(ExportError::other("the sampler cannot end").with_source(Unshown))
    }
}

#[derive(Debug)]
struct Unshown;

impl std::fmt::Display for Unshown {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("shown")
    }
}

impl std::error::Error for Unshown {}

#[test]
fn an_error_that_panics_when_it_is_shown_reaches_no_caller() {
    let telemetry = builder(&InMemoryExporter::<Traces>::new()).build().unwrap();
    let control = telemetry.control();
    control.set_sampler(FailsUnshown);
    control.set_sampler(FailsUnshown);
    drop(telemetry);
}

/// Changes the sampler and starts a span while it decides.
#[derive(Debug)]
struct Nested(Mutex<Option<Telemetry>>);

impl Sampler for Nested {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        if let Some(telemetry) = self.0.lock().unwrap().take() {
            telemetry.control().set_sampler(AlwaysOff);
            let inner = telemetry.tracer("inner").start_with_context("inner", &Context::new());
            assert!(!inner.is_recording());
            std::mem::forget(telemetry);
        }
        SamplingResult::new(Decision::RecordAndSample)
    }

    fn description(&self) -> Cow<'static, str> {
        "Nested".into()
    }
}

#[test]
fn a_sampler_may_panic_anywhere_and_change_itself() {
    let exporter = InMemoryExporter::new();
    let telemetry = builder(&exporter).build().unwrap();
    let (control, tracer) = (telemetry.control(), telemetry.tracer("shop"));
    let is_recorded = || tracer.start_with_context("root", &Context::new()).is_recording();
    control.set_sampler(Panics);
    assert!(is_recorded());
    control.set_sampler(Panics);
    control.set_sampler(Nested(Mutex::new(Some(telemetry))));
    assert!(is_recorded(), "the sampler decides about its own span");
    assert!(!is_recorded());
}

#[test]
fn one_switch_disables_everything_and_each_signal_has_its_own() {
    let (spans, records, reader) =
        (InMemoryExporter::<Traces>::new(), InMemoryExporter::<Logs>::new(), PullReader::default());
    let telemetry =
        builder(&spans).with_log_exporter(records.clone()).with_metric_reader(reader.clone()).build().unwrap();
    let control = telemetry.control();
    let (tracer, logger, meter) = (telemetry.tracer("shop"), telemetry.logger("shop"), telemetry.meter("shop"));
    let calls = Arc::new(AtomicUsize::new(0));
    let of_callback = calls.clone();
    let _observed = meter
        .u64_observable_counter("observed")
        .with_callback(move |observer| {
            of_callback.fetch_add(1, Ordering::Relaxed);
            observer.observe(1, &[]);
        })
        .build();
    let counter = meter.u64_counter("orders").build();
    let bound = meter.f64_histogram("seconds").build().bind(&[]);
    let check = |traces: bool, logs: bool, metrics: bool| {
        let root = tracer.start_with_context("root", &Context::new());
        assert_eq!((root.is_recording(), root.span_context().is_valid(), tracer.enabled()), (traces, traces, traces));
        let before = records.items().len();
        assert_eq!(logger.event_enabled(Severity::Error, "shop", None), logs);
        assert_eq!(logger.begin_at(None, Severity::Error, "shop", None, true).is_some(), logs);
        emit(&logger, Severity::Error);
        flush(&telemetry);
        assert_eq!(records.items().len() - before, usize::from(logs));
        let before = calls.load(Ordering::Relaxed);
        counter.add(1, &[]);
        bound.record(1.0);
        counter.add(0, &[KeyValue::new("is", "on")]);
        assert_eq!(reader.collect(Deadline::NEVER).unwrap().is_empty(), !metrics);
        assert_eq!(calls.load(Ordering::Relaxed) - before, usize::from(metrics));
    };
    check(true, true, true);
    // A span that has started is recorded to its end.
    let started = tracer.start_with_context("started", &Context::new());
    control.disable();
    assert!(!control.is_enabled());
    check(false, false, false);
    let parent = Context::new().with_span(started);
    let below = tracer.start_with_context("below", &parent);
    assert_eq!(below.span_context(), parent.span().span_context(), "the parent is what is propagated");
    drop((below, parent));
    control.set_logs_enabled(false);
    control.enable();
    check(true, false, true);
    control.set_traces_enabled(false);
    check(false, false, true);
    control.set_metrics_enabled(false);
    check(false, false, false);
    for set in [control.clone(), telemetry.handle().control()] {
        set.set_traces_enabled(true);
        set.set_logs_enabled(true);
        set.set_metrics_enabled(true);
    }
    check(true, true, true);
    flush(&telemetry);
    let names: Vec<_> = spans.items().iter().map(|span| span.name.to_string()).collect();
    assert_eq!(names, ["root", "started", "root", "root"]);
    // Of seven rounds, four took measurements, and the others rejected none.
    let text = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    let histogram = "seconds histogram count=4 sum=4 min=1 max=1 <=5:4";
    assert_eq!(text, format!("observed sum 1\norders sum 4\norders{{is=on}} sum 0\n{histogram}\n"));
    assert_eq!(telemetry.meter_provider().rejected_measurements(), 0);
    assert_eq!(telemetry.health().logs[0].suppressed, 0);
    telemetry.shutdown(Deadline::after(Duration::from_secs(60))).unwrap();
    control.enable();
    assert!(!tracer.start_with_context("late", &Context::new()).is_recording());
}

/// A callback that observes values and then has its meter disabled, before the collection reaches them.
#[test]
fn what_was_observed_before_a_pause_is_not_reported_after_it() {
    for pause in [(|control, is_on| control.set_metrics_enabled(is_on)) as fn(&Control, bool), |control, is_on| {
        control.set_meter_config(Configurator::new(MeterConfig::new().with_enabled(is_on)));
    }] {
        let (spans, reader) = (InMemoryExporter::<Traces>::new(), PullReader::default());
        let telemetry = builder(&spans).with_metric_reader(reader.clone()).build().unwrap();
        let (control, rounds) = (telemetry.control(), AtomicUsize::new(0));
        let of_callback = control.clone();
        let _observed = telemetry
            .meter("shop")
            .u64_observable_gauge("waiting")
            .with_callback(move |observer| {
                let round = rounds.fetch_add(1, Ordering::Relaxed);
                observer.observe(1, &[KeyValue::new("queue", i64::try_from(round).unwrap())]);
                if round == 0 {
                    pause(&of_callback, false);
                }
            })
            .build();
        let collect = || metrics_text(&reader.collect(Deadline::NEVER).unwrap());
        assert_eq!(collect(), "");
        pause(&control, true);
        assert_eq!(collect(), "waiting{queue=1} gauge 1\n");
    }
}

/// Emits a record of this severity.
fn emit(logger: &impl Logger<LogRecord = SdkLogRecord>, severity: Severity) {
    let mut record = logger.create_log_record();
    record.set_severity_number(severity);
    logger.emit(record);
}

#[test]
fn configs_follow_the_names_of_scopes_and_reach_what_exists() {
    let (spans, records, reader) =
        (InMemoryExporter::<Traces>::new(), InMemoryExporter::<Logs>::new(), PullReader::default());
    let off = (TracerConfig::new().with_enabled(false), MeterConfig::new().with_enabled(false));
    let telemetry = builder(&spans)
        .with_log_exporter(records.clone())
        .with_metric_reader(reader.clone())
        .with_tracer_config(Configurator::new(off.0).with_scopes("shop", TracerConfig::new()))
        .with_meter_config(Configurator::new(off.1).with_scopes("sh?p", MeterConfig::new()))
        .with_logger_config(
            Configurator::default()
                .with_scopes("bank", LoggerConfig::new().with_minimum_severity(Severity::Warn))
                .with_scopes("b*", LoggerConfig::new().with_enabled(false)),
        )
        .build()
        .unwrap();
    let control = telemetry.control();
    let calls = Arc::new(AtomicUsize::new(0));
    let parts = ["shop", "bank", "barn"].map(|name| {
        let (meter, calls) = (telemetry.meter(name), calls.clone());
        let sdk_meter = telemetry.meter_provider().sdk_meter(InstrumentationScope::builder(name).build());
        let gauge = sdk_meter.observable_gauge::<u64>("gauge").build();
        let observed = gauge.clone();
        let callback = sdk_meter.register_callback(move |observer| {
            calls.fetch_add(1, Ordering::Relaxed);
            observer.observe(&observed, 1, &[]);
        });
        (name, telemetry.tracer(name), telemetry.logger(name), meter.u64_counter("counter").build().bind(&[]), callback)
    });
    // What each scope records: spans, records of two severities, and measurements.
    let check = |expected: &str| {
        let mut seen = Vec::new();
        for (name, tracer, logger, counter, _) in &parts {
            let span = tracer.start_with_context("span", &Context::new());
            assert_eq!((span.is_recording(), span.span_context().is_valid()), (tracer.enabled(), tracer.enabled()));
            let before = records.items().len();
            [Severity::Info, Severity::Error].into_iter().for_each(|severity| emit(logger, severity));
            flush(&telemetry);
            let emitted = records.items().len() - before;
            let wanted = [Severity::Info, Severity::Error].map(|severity| logger.event_enabled(severity, "", None));
            assert_eq!(wanted.iter().filter(|is_wanted| **is_wanted).count(), emitted);
            counter.add(1);
            seen.push(format!("{name}: {} {emitted}", u8::from(span.is_recording())));
        }
        let before = calls.load(Ordering::Relaxed);
        let scopes = reader.collect(Deadline::NEVER).unwrap();
        let names: Vec<_> = scopes.iter().map(|scope| scope.scope.name()).collect();
        assert_eq!(calls.load(Ordering::Relaxed) - before, names.len(), "only callbacks of enabled meters are called");
        assert_eq!(format!("{}; {}", seen.join(", "), names.join(" ")), expected);
    };
    check("shop: 1 2, bank: 0 1, barn: 0 0; shop");
    control.set_tracer_config(Configurator::default().with_scopes("b*k", off.0));
    check("shop: 1 2, bank: 0 1, barn: 1 0; shop");
    control.set_logger_config(Configurator::new(LoggerConfig::new().with_enabled(false)));
    control.set_meter_config(Configurator::default().with_scopes("shop", off.1));
    check("shop: 1 0, bank: 0 0, barn: 1 0; bank barn");
    control.set_tracer_config(Configurator::from_fn(|scope| TracerConfig::new().with_enabled(scope.name() == "bank")));
    control.set_logger_config(Configurator::from_fn(|_| panic!("rules")));
    control.set_meter_config(Configurator::new(off.1));
    check("shop: 0 2, bank: 1 2, barn: 0 2; ");
    control.set_tracer_config(Configurator::default());
    control.set_logger_config(Configurator::default());
    control.set_meter_config(Configurator::default());
    check("shop: 1 2, bank: 1 2, barn: 1 2; shop bank barn");
    // What was measured before a meter was disabled is still there: `shop` was enabled in three of five rounds.
    let text = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    assert_eq!(text, ["counter sum 2\n"; 2].concat() + "counter sum 3\n" + &["gauge gauge 1\n"; 3].concat());
}

#[test]
fn a_disabled_tracer_passes_the_parent_on_to_the_tracers_below() {
    let spans = InMemoryExporter::new();
    let middle = TracerConfig::new().with_enabled(false);
    let telemetry =
        builder(&spans).with_tracer_config(Configurator::default().with_scopes("middle", middle)).build().unwrap();
    telemetry.tracer("outer").in_span("outer", |_| {
        telemetry.tracer("middle").in_span("middle", |_| telemetry.tracer("inner").in_span("inner", |_| {}));
    });
    flush(&telemetry);
    assert_eq!(tree(&spans.items()), "outer\n  inner\n");
}

#[test]
fn a_configurator_may_use_what_it_configures() {
    let (spans, records) = (InMemoryExporter::<Traces>::new(), InMemoryExporter::<Logs>::new());
    let telemetry = Arc::new(builder(&spans).with_log_exporter(records.clone()).build().unwrap());
    let (inner, calls) = (telemetry.clone(), Arc::new(AtomicUsize::new(0)));
    let of_rules = calls.clone();
    telemetry.control().set_logger_config(Configurator::from_fn(move |_| {
        of_rules.fetch_add(1, Ordering::Relaxed);
        emit(&inner.logger("shop"), Severity::Warn);
        LoggerConfig::new().with_minimum_severity(Severity::Error)
    }));
    let logger = telemetry.logger("shop");
    (0..3).for_each(|_| emit(&logger, Severity::Info));
    flush(&telemetry);
    assert_eq!(calls.load(Ordering::Relaxed), 1, "a scope is asked about once");
    assert_eq!(records.items().len(), 1, "the record of the rules themselves, which have the default");
    // Ends the cycle between the telemetry and its rules.
    telemetry.control().set_logger_config(Configurator::default());
    assert_eq!(Arc::strong_count(&telemetry), 1);
}

/// Waits for a condition that another thread brings about.
fn until(is_so: impl Fn() -> bool) {
    let deadline = Deadline::after(Duration::from_secs(60));
    while !is_so() {
        assert!(!deadline.has_passed(), "in vain");
        thread::yield_now();
    }
}

#[test]
fn a_shorter_delay_applies_at_once_to_the_exporters_without_a_schedule_of_their_own() {
    let hour = Duration::from_secs(3600);
    // A factory is a function without surroundings.
    static OWN: OnceLock<InMemoryExporter<Traces>> = OnceLock::new();
    let own = OWN.get_or_init(InMemoryExporter::new);
    let spans = InMemoryExporter::<Traces>::new();
    let (records, metrics) = (InMemoryExporter::<Logs>::new(), InMemoryExporter::<Metrics>::new());
    let make: fn(Node<'_>) -> Result<Pipeline<Traces>, ConfigError> = |_| {
        let config = BatchConfig::SPANS.with_schedule_delay(Duration::from_secs(7200));
        Ok(Pipeline::batched(OWN.get_or_init(InMemoryExporter::new).clone(), move |_| config))
    };
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_TRACES_EXPORTER", "own")]))
        .with_span_exporter_factory(Factory::new("own", make))
        .with_additional_span_exporter(spans.clone())
        .with_log_exporter(records.clone())
        .with_metric_exporter(metrics.clone())
        .with_span_batch(BatchConfig::SPANS.with_schedule_delay(hour))
        .with_log_batch(BatchConfig::LOGS.with_schedule_delay(hour))
        .with_metric_periods(PeriodicConfig::default().with_interval(hour))
        .build()
        .unwrap();
    let control = telemetry.control();
    drop(telemetry.tracer("shop").start_with_context("span", &Context::new()));
    emit(&telemetry.logger("shop"), Severity::Info);
    telemetry.meter("shop").u64_counter("orders").build().add(1, &[]);
    control.set_span_batch_delay(Duration::ZERO);
    until(|| spans.items().len() == 1);
    control.set_log_batch_delay(Duration::from_millis(1));
    until(|| records.items().len() == 1);
    control.set_metric_interval(Duration::ZERO);
    // A change is no export: several exports follow from the new interval.
    until(|| metrics.items().len() > 3);
    control.set_span_batch_delay(Duration::MAX);
    control.set_metric_interval(hour);
    assert_eq!(own.items().len(), 0);
    flush(&telemetry);
    assert_eq!((own.items().len(), spans.items().len()), (1, 1));
}

#[test]
fn a_change_of_the_interval_exports_nothing_by_itself() {
    let (metrics, runtime) = (InMemoryExporter::<Metrics>::new(), ManualRuntime::new());
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "test")]))
        .with_runtime(Runtime::Manual(runtime.clone()))
        .with_metric_exporter(metrics.clone())
        .build()
        .unwrap();
    telemetry.meter("shop").u64_counter("orders").build().add(1, &[]);
    telemetry.control().set_metric_interval(Duration::from_secs(3600));
    assert_eq!((runtime.run_woken(), metrics.items().len()), (1, 0));
    runtime.run_timers();
    assert_eq!(metrics.items().len(), 1);
}

#[test]
fn the_volume_of_logs_is_limited_while_the_program_runs() {
    let (spans, records) = (InMemoryExporter::<Traces>::new(), InMemoryExporter::<Logs>::new());
    let telemetry = builder(&spans).with_log_exporter(records.clone()).build().unwrap();
    let (control, logger) = (telemetry.control(), telemetry.logger("shop"));
    let kept = || {
        let before = records.items().len();
        (0..5).for_each(|_| emit(&logger, Severity::Info));
        flush(&telemetry);
        let all = records.items();
        all[before..].iter().filter(|record| record.event_name().is_none()).count()
    };
    assert_eq!(kept(), 5);
    control.set_log_volume(LogVolume::new());
    assert_eq!(kept(), 5);
    control.set_log_volume(LogVolume::new().with_max_per_minute(2));
    assert_eq!((kept(), kept()), (2, 0));
    assert_eq!(telemetry.health().logs[0].suppressed, 8);
    control.set_log_volume(LogVolume::new());
    assert_eq!((kept(), telemetry.health().logs[0].suppressed), (5, 8));
    control.set_log_volume(LogVolume::new().with_sampled_traces_only(true));
    let unsampled = SpanContext::new(1.into(), 2.into(), TraceFlags::default(), true, TraceState::default());
    let attached = Context::new().with_remote_span_context(unsampled).attach();
    assert_eq!(kept(), 0);
    drop(attached);
    assert_eq!((kept(), telemetry.health().logs[0].suppressed), (5, 13));
}
