//! The periodic reader: when it exports, how it flushes and shuts down, and what it counts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_sdk::config::Env;
use telemark_sdk::diag;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{
    ExemplarFilter, PeriodicConfig, PeriodicReader, PullReader, ReaderConfig, ScopeMetrics, SdkMeterProvider,
    TemporalityPreference,
};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Metrics;
use telemark_sdk::testing::{InMemoryExporter, metrics_text};
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource};

fn provider(exporter: impl Exporter<Metrics>, runtime: &Runtime, periods: PeriodicConfig) -> SdkMeterProvider {
    let reader = PeriodicReader::start(exporter, periods, ReaderConfig::new(), runtime).unwrap();
    let resource = Resource::new([KeyValue::new("service.name", "shop")]);
    SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// Reports every call, and returns the results that the test provides.
struct Scripted {
    calls: Sender<String>,
    answers: Arc<Mutex<Vec<Result<ExportReport, ExportError>>>>,
}

impl Exporter<Metrics> for Scripted {
    fn export(&mut self, batch: Batch<'_, Metrics>, _: Deadline) -> Result<ExportReport, ExportError> {
        let _ = self.calls.send(metrics_text(batch.as_slice()));
        let answer = self.answers.lock().unwrap().pop();
        answer.unwrap_or_else(|| Ok(ExportReport::accepted()))
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        let _ = self.calls.send("flush".to_owned());
        Ok(())
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        let _ = self.calls.send("shutdown".to_owned());
        Ok(())
    }
}

fn scripted(answers: Vec<Result<ExportReport, ExportError>>) -> (Scripted, Receiver<String>) {
    let (calls, log) = channel();
    (Scripted { calls, answers: Arc::new(Mutex::new(answers)) }, log)
}

#[test]
fn it_exports_at_every_interval_and_nothing_when_there_is_nothing() {
    let (runtime, exporter) = (ManualRuntime::new(), InMemoryExporter::<Metrics>::new());
    let provider = provider(exporter.clone(), &Runtime::Manual(runtime.clone()), PeriodicConfig::default());
    runtime.run_timers();
    assert!(exporter.batches().is_empty());
    let counter = provider.meter("test").u64_counter("c").build();
    counter.add(1, &[]);
    runtime.run_timers();
    counter.add(1, &[]);
    runtime.run_timers();
    let texts: Vec<_> =
        exporter.items().iter().map(|one: &ScopeMetrics| metrics_text(std::slice::from_ref(one))).collect();
    assert_eq!(texts, ["c sum 1\n", "c sum 2\n"]);
    assert_eq!(exporter.resource(), Some(provider.resource().clone()));
    assert_eq!(provider.health()[0].exported, 2);
}

#[test]
fn on_its_thread_it_exports_by_itself() {
    let (exporter, log) = scripted(vec![]);
    let periods = PeriodicConfig::default().with_interval(Duration::from_millis(1));
    let provider = provider(exporter, &Runtime::Thread, periods);
    provider.meter("test").u64_counter("c").build().add(1, &[]);
    assert_eq!(log.recv().unwrap(), "c sum 1\n");
    assert_eq!(log.recv().unwrap(), "c sum 1\n");
    provider.shutdown(soon()).unwrap();
}

#[test]
fn flush_and_shutdown_export_what_is_there_and_later_calls_are_harmless() {
    let (exporter, log) = scripted(vec![]);
    let provider = provider(exporter, &Runtime::Thread, PeriodicConfig::default());
    let counter = provider.meter("test").u64_counter("c").build();
    counter.add(1, &[]);
    provider.force_flush(soon()).unwrap();
    counter.add(1, &[]);
    provider.shutdown(soon()).unwrap();
    counter.add(1, &[]);
    provider.shutdown(soon()).unwrap();
    assert!(provider.force_flush(soon()).unwrap_err().is_shutdown());
    drop(provider);
    assert_eq!(log.iter().collect::<Vec<_>>(), ["c sum 1\n", "flush", "c sum 2\n", "flush", "shutdown"]);
}

#[test]
fn after_shutdown_nothing_is_exported_counted_or_kept() {
    let (runtime, exporter) = (ManualRuntime::new(), InMemoryExporter::<Metrics>::new());
    let provider = provider(exporter.clone(), &Runtime::Manual(runtime.clone()), PeriodicConfig::default());
    let meter = provider.meter("test");
    let own_meter = provider.sdk_meter(InstrumentationScope::builder("test").build());
    let calls = Arc::new(AtomicU64::new(0));
    let observe = |meter: &Meter| {
        let calls = calls.clone();
        let callback = move |o: &dyn AsyncInstrument<u64>| o.observe(calls.fetch_add(1, Ordering::Relaxed), &[]);
        meter.u64_observable_gauge("g").with_callback(callback).build();
    };
    let counter = meter.u64_counter("c").build();
    let bound = meter.u64_histogram("h").build().bind(&[]);
    observe(&meter);
    counter.add(1, &[]);
    bound.record(1);
    provider.shutdown(soon()).unwrap();
    let (items, health) = (metrics_text(&exporter.items()), provider.health());
    assert_eq!((items.lines().count(), health[0].exported), (3, 3));
    assert_eq!(Arc::strong_count(&calls), 1, "callbacks end with the provider");

    // Records into an existing instrument, a new instrument from an old meter, and a new meter.
    counter.add(1, &[]);
    bound.record(1);
    let late = meter.f64_counter("late").build();
    late.add(1.0, &[]);
    late.bind(&[]).add(1.0);
    observe(&meter);
    provider.meter("other").u64_counter("c").build().add(1, &[]);
    observe(&provider.meter("other"));
    let kept = calls.clone();
    drop(own_meter.register_callback(move |_| {
        kept.fetch_add(1, Ordering::Relaxed);
    }));
    assert_eq!(Arc::strong_count(&calls), 1, "nobody keeps a callback that nobody calls");
    runtime.run_timers();
    assert!(provider.force_flush(soon()).unwrap_err().is_shutdown());
    provider.shutdown(soon()).unwrap();
    assert_eq!((metrics_text(&exporter.items()), provider.health()), (items, health));
    assert_eq!((calls.load(Ordering::Relaxed), exporter.shutdowns()), (1, 1));
}

#[test]
fn errors_are_returned_by_a_flush_and_counted() {
    let answers = vec![Ok(ExportReport::partial(1, "too old")), Err(ExportError::unavailable("down"))];
    let (exporter, log) = scripted(answers);
    let provider = provider(exporter, &Runtime::Thread, PeriodicConfig::default());
    provider.meter("test").u64_counter("c").build().add(1, &[]);
    provider.meter("test").u64_gauge("g").build().record(1, &[]);
    assert_eq!(provider.force_flush(soon()).unwrap_err().to_string(), "down");
    provider.force_flush(soon()).unwrap();
    assert_eq!(log.iter().take(4).filter(|call| call == "flush").count(), 2, "the exporter is flushed all the same");
    let health = provider.health()[0];
    assert_eq!((health.failed, health.rejected, health.exported), (2, 1, 1));
}

/// This is the only test in this file that checks messages, because the sink is global to the process.
#[test]
fn deltas_that_an_export_loses_are_counted_and_said_and_totals_are_not() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = said.clone();
    assert!(diag::set_sink(move |level, text| sink.lock().unwrap().push(format!("{level}: {text}"))));
    let fails = || Err(ExportError::unavailable("down"));
    // The results are popped from the end. In the first collection, the first batch is exported and the second fails;
    // in the second collection, the first batch fails.
    let (exporter, log) = scripted(vec![fails(), fails(), Ok(ExportReport::accepted())]);
    let config = ReaderConfig::new().with_temporality(TemporalityPreference::Delta);
    let periods = PeriodicConfig::default().with_max_batch_size(4);
    let reader = PeriodicReader::start(exporter, periods, config, &Runtime::Thread).unwrap();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let meter = provider.meter("test");
    let record = || {
        meter.u64_counter("c").build().add(1, &[]);
        meter.u64_counter("c").build().add(1, &[KeyValue::new("k", 1)]);
        meter.i64_up_down_counter("u").build().add(1, &[]);
        meter.u64_gauge("g").build().record(1, &[]);
        meter.u64_histogram("h").build().record(1, &[]);
    };
    let calls = || log.try_iter().map(|text| text.lines().count()).collect::<Vec<_>>();
    record();
    assert_eq!(provider.force_flush(soon()).unwrap_err().to_string(), "down");
    // One batch of four points, a batch with only the histogram, and the flush of the exporter. The histogram was
    // lost.
    assert_eq!((calls(), provider.lost_delta_points()), (vec![4, 1, 1], 1));
    record();
    assert_eq!(provider.force_flush(soon()).unwrap_err().to_string(), "down");
    // Two more counter points were lost. The histogram arrived, and the next export repeats the up-down counter
    // and the gauge.
    assert_eq!((calls(), provider.lost_delta_points()), (vec![4, 1, 1], 3));
    assert_eq!((provider.health()[0].failed, provider.health()[0].exported), (5, 5));
    provider.force_flush(soon()).unwrap();
    assert_eq!(log.try_iter().collect::<Vec<_>>(), ["g gauge 1\nu up-down sum 2\n", "flush"]);
    assert_eq!(provider.lost_delta_points(), 3);
    let said = said.lock().unwrap();
    let told: Vec<_> = said.iter().filter(|text| text.contains("delta data")).collect();
    assert_eq!(
        told,
        ["error: 1 delta data points were lost in a failed export, 1 so far; no later export contains them"]
    );
}

#[test]
fn of_a_batch_that_failed_in_part_no_more_deltas_are_lost_than_points_failed() {
    let too_large = ExportError::too_large("one point is too large");
    let (exporter, log) = scripted(vec![Ok(ExportReport::accepted().with_failed(1, &too_large))]);
    let config = ReaderConfig::new().with_temporality(TemporalityPreference::Delta);
    let reader = PeriodicReader::start(exporter, PeriodicConfig::default(), config, &Runtime::Thread).unwrap();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let counter = provider.meter("test").u64_counter("c").build();
    (0..3).for_each(|value| counter.add(1, &[KeyValue::new("k", value)]));
    assert!(provider.force_flush(soon()).unwrap_err().is_too_large());
    assert_eq!(log.try_iter().next().unwrap().lines().count(), 3);
    assert_eq!(provider.lost_delta_points(), 1);
    let health = provider.health()[0];
    assert_eq!((health.exported, health.failed), (2, 1));
}

#[test]
fn a_flush_returns_at_its_deadline_though_the_exporter_hangs_and_recording_goes_on() {
    struct Hangs(Receiver<()>);
    impl Exporter<Metrics> for Hangs {
        fn export(&mut self, _: Batch<'_, Metrics>, _: Deadline) -> Result<ExportReport, ExportError> {
            let _ = self.0.recv();
            Ok(ExportReport::accepted())
        }
    }
    let (release, held) = channel();
    let provider = provider(Hangs(held), &Runtime::Thread, PeriodicConfig::default());
    let counter = provider.meter("test").u64_counter("c").build();
    counter.add(1, &[]);
    assert!(provider.force_flush(Deadline::after(Duration::from_millis(10))).unwrap_err().is_timeout());
    counter.add(1, &[]);
    drop(release);
    provider.shutdown(soon()).unwrap();
}

#[test]
fn an_exporter_that_panics_is_reported_and_asked_again() {
    struct Panics(u32);
    impl Exporter<Metrics> for Panics {
        fn export(&mut self, _: Batch<'_, Metrics>, _: Deadline) -> Result<ExportReport, ExportError> {
            self.0 += 1;
            assert!(self.0 > 1, "on purpose");
            Ok(ExportReport::accepted())
        }
    }
    let provider = provider(Panics(0), &Runtime::Thread, PeriodicConfig::default());
    provider.meter("test").u64_counter("c").build().add(1, &[]);
    assert_eq!(provider.force_flush(soon()).unwrap_err().to_string(), "the exporter panicked");
    provider.force_flush(soon()).unwrap();
}

#[test]
fn a_callback_that_flushes_its_own_reader_is_refused_not_waited_for() {
    let (exporter, log) = scripted(vec![]);
    let provider = provider(exporter, &Runtime::Thread, PeriodicConfig::default());
    let inside = provider.clone();
    provider
        .meter("test")
        .u64_observable_gauge("g")
        .with_callback(move |o| o.observe(u64::from(inside.force_flush(Deadline::NEVER).is_err()), &[]))
        .build();
    provider.force_flush(soon()).unwrap();
    assert_eq!(log.recv().unwrap(), "g gauge 1\n");
    provider.shutdown(soon()).unwrap();
}

#[test]
fn the_telemetry_of_a_program_has_metrics_with_its_resource_and_settings() {
    let (exporter, pulled) = (InMemoryExporter::<Metrics>::new(), PullReader::default());
    let env = Env::from_pairs([("OTEL_SERVICE_NAME", "shop"), ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on")]);
    let telemetry = Telemetry::builder(env)
        .with_metric_exporter(exporter.clone())
        .with_metric_reader(pulled.clone())
        .build()
        .unwrap();
    telemetry.meter("test").u64_counter("c").build().add(1, &[]);
    assert_eq!(metrics_text(&pulled.collect(Deadline::NEVER).unwrap()), "c sum 1 # 1\n");
    telemetry.shutdown(soon()).unwrap();
    assert_eq!(metrics_text(&exporter.items()), "c sum 1 # 1\n");
    assert_eq!(exporter.resource().unwrap().get("service.name").unwrap().as_str(), "shop");
    assert_eq!(telemetry.health().metrics[0].exported, 1);
    assert_eq!(exporter.shutdowns(), 1);
}

#[test]
fn a_disabled_sdk_records_nothing() {
    let exporter = InMemoryExporter::<Metrics>::new();
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_SDK_DISABLED", "true")]))
        .with_metric_exporter(exporter.clone())
        .with_exemplar_filter(ExemplarFilter::AlwaysOn)
        .build()
        .unwrap();
    telemetry.meter("test").u64_counter("c").build().add(1, &[]);
    telemetry.shutdown(soon()).unwrap();
    assert!(exporter.items().is_empty());
}

#[test]
fn a_collection_with_more_points_than_an_export_may_have_is_several() {
    let (runtime, (exporter, calls)) = (ManualRuntime::new(), scripted(vec![Ok(ExportReport::accepted()), refused()]));
    let periods = PeriodicConfig::default().with_max_batch_size(2);
    let provider = provider(exporter, &Runtime::Manual(runtime.clone()), periods);
    let meter = provider.meter("test");
    let counter = meter.u64_counter("c").build();
    (0..3).for_each(|number| counter.add(number, &[KeyValue::new("n", number as i64)]));
    meter.f64_gauge("g").build().record(0.5, &[]);
    meter.u64_counter("z").build().add(1, &[]);
    // The first export fails. The other batches are still exported, and the flush returns the error.
    assert!(provider.force_flush(Deadline::NEVER).unwrap_err().to_string().contains("no"));
    let exports: Vec<_> = calls.try_iter().map(|call| call.lines().map(series).collect::<Vec<_>>().join(" ")).collect();
    let of_counter = exports[0].matches("c{n=").count() + exports[1].matches("c{n=").count();
    assert_eq!((of_counter, exports.len()), (3, 4), "{exports:?}");
    assert!(exports[1].ends_with(" g") && exports[2] == "z" && exports[3] == "flush", "{exports:?}");
    let health = &provider.health()[0];
    assert_eq!((health.exported, health.failed), (3, 2));
}

fn refused() -> Result<ExportReport, ExportError> {
    Err(ExportError::other("no"))
}

/// Returns the series to which a line belongs.
fn series(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(series, _)| series)
}
