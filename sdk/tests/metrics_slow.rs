//! Callbacks and producers that panic, fail or never return, and their effects on collections, on callers that wait
//! for them, and on everything else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{Span, Tracer};
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{
    MetricProducer, PeriodicConfig, PeriodicReader, PullReader, ReaderConfig, ScopeMetrics, SdkMeterProvider,
};
use telemark_sdk::runtime::Runtime;
use telemark_sdk::signal::{Metrics, Traces};
use telemark_sdk::testing::{InMemoryExporter, ManualClock, TestTelemetry, metrics_text};
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// Returns a deadline short enough for a test to wait for.
fn shortly() -> Deadline {
    Deadline::after(Duration::from_millis(20))
}

/// Returns the metrics that `record` produces, as if they came from another library.
fn metrics_of(record: impl FnOnce(&Meter)) -> Vec<ScopeMetrics> {
    let telemetry = TestTelemetry::new();
    record(&telemetry.meter("elsewhere"));
    telemetry.collect()
}

fn elsewhere() -> Vec<ScopeMetrics> {
    metrics_of(|meter| meter.u64_counter("elsewhere").build().add(1, &[]))
}

/// Checks a collection that includes a counter and two other producers, one before and one after this producer, and then
/// the recorded duration and error of that collection.
fn check_producer(
    producer: impl Fn(&ManualClock) -> Result<Vec<ScopeMetrics>, ExportError> + Send + Sync + 'static,
    expected: &str,
) {
    let good = || Ok(metrics_of(|meter| meter.u64_counter("good").build().add(1, &[])));
    let clock = Arc::new(Mutex::new(None::<ManualClock>));
    let theirs = clock.clone();
    let config = ReaderConfig::new()
        .with_producer(good)
        .with_producer(move || {
            producer(theirs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).as_ref().unwrap())
        })
        .with_producer(good);
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts()).with_metrics(config, |builder| builder);
    *clock.lock().unwrap() = Some(telemetry.clock.clone());
    telemetry.meter("test").u64_counter("c").build().add(1, &[]);
    let is_other = |line: &&str| !line.starts_with("otel.sdk.") && !line.starts_with("telemark.sdk.");
    let mut lines: Vec<_> = telemetry.metrics().lines().filter(is_other).map(str::to_owned).collect();
    let after = telemetry.metrics();
    let duration = after.lines().find_map(|line| line.strip_prefix("otel.sdk.metric_reader.collection.duration[s]"));
    let (attributes, histogram) = duration.unwrap().split_once("} ").unwrap();
    let error = attributes.split([',', '{']).find(|attribute| attribute.starts_with("error.type"));
    lines.push(format!("{} {}", error.unwrap_or("no error"), histogram.split(' ').nth(2).unwrap()));
    assert_eq!(lines.join(", "), expected);
}

#[test]
fn a_producer_that_fails_costs_its_own_metrics_only() {
    check_producer(|_| Ok(elsewhere()), "c sum 1, elsewhere sum 1, good sum 1, good sum 1, no error sum=0");
    check_producer(|_| Err(ExportError::rejected("no")), "c sum 1, good sum 1, good sum 1, error.type=rejected sum=0");
    check_producer(|_| Err(ExportError::timeout("slow")), "c sum 1, good sum 1, good sum 1, error.type=timeout sum=0");
    check_producer(|_| panic!("on purpose"), "c sum 1, good sum 1, good sum 1, error.type=panic sum=0");
    check_producer(
        |clock| {
            clock.advance(Duration::from_secs(1));
            Ok(elsewhere())
        },
        "c sum 1, elsewhere sum 1, good sum 1, good sum 1, no error sum=1",
    );
}

/// Blocks the first caller until the test opens the gate.
struct Gate {
    entered: Sender<()>,
    held: Mutex<Option<Receiver<()>>>,
    passed: AtomicU64,
}

/// Returns the gate, a receiver that is notified when a caller arrives, and a sender that opens the gate when dropped.
fn gate() -> (Arc<Gate>, Receiver<()>, Sender<()>) {
    let ((entered, came), (open, held)) = (channel(), channel());
    (Arc::new(Gate { entered, held: Mutex::new(Some(held)), passed: AtomicU64::new(0) }), came, open)
}

impl Gate {
    /// Blocks only the first caller.
    fn pass(&self) -> u64 {
        let held = self.held.lock().unwrap().take();
        if let Some(held) = held {
            self.entered.send(()).unwrap();
            let _ = held.recv();
        }
        self.passed.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Returns a producer that has to pass the gate.
fn behind(gate: Arc<Gate>) -> impl MetricProducer {
    move || {
        gate.pass();
        Ok(elsewhere())
    }
}

/// An exporter that sends every batch to the test as text.
struct Sends(Sender<String>);

impl Exporter<Metrics> for Sends {
    fn export(&mut self, batch: Batch<'_, Metrics>, _: Deadline) -> Result<ExportReport, ExportError> {
        let _ = self.0.send(metrics_text(batch.as_slice()));
        Ok(ExportReport::accepted())
    }
}

fn periodic(config: ReaderConfig) -> (PeriodicReader, Receiver<String>) {
    let (exports, exported) = channel();
    let reader = PeriodicReader::start(Sends(exports), PeriodicConfig::default(), config, &Runtime::Thread);
    (reader.unwrap(), exported)
}

/// Checks that recording, creating instruments, flushing and shutting down still work during a stuck collection, and
/// that each of them returns in time.
fn check_stuck(provider: &SdkMeterProvider, came: &Receiver<()>) {
    let meter = provider.meter("test");
    let counter = meter.u64_counter("c").build();
    counter.add(1, &[]);
    assert!(provider.force_flush(shortly()).unwrap_err().is_timeout());
    came.recv().unwrap();
    counter.add(1, &[]);
    meter.u64_counter("d").build().add(1, &[]);
    meter.u64_observable_gauge("e").with_callback(|o| o.observe(1, &[])).build();
    assert!(provider.force_flush(shortly()).unwrap_err().is_timeout());
    assert!(provider.shutdown(shortly()).unwrap_err().is_timeout());
    counter.add(1, &[]);
}

#[test]
fn a_callback_that_is_stuck_holds_nobody_beyond_the_deadline() {
    let (gate, came, open) = gate();
    let (reader, exported) = periodic(ReaderConfig::new());
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let theirs = gate.clone();
    provider.meter("test").u64_observable_gauge("g").with_callback(move |o| o.observe(theirs.pass(), &[])).build();
    check_stuck(&provider, &came);
    drop(open);
    // The thread now finishes its collection and then shuts down, as requested.
    provider.shutdown(soon()).unwrap();
    drop(provider);
    let exported: Vec<_> = exported.iter().collect();
    assert_eq!(exported[0], "c sum 3\nd sum 1\ng gauge 1\n");
}

#[test]
fn a_producer_that_is_stuck_holds_nobody_beyond_the_deadline() {
    let (gate, came, open) = gate();
    let (reader, exported) = periodic(ReaderConfig::new().with_producer(behind(gate)));
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    check_stuck(&provider, &came);
    drop(open);
    provider.shutdown(soon()).unwrap();
    drop(provider);
    let exported: Vec<_> = exported.iter().collect();
    // The first export contains everything recorded before the producer got stuck; the last export contains
    // everything.
    assert_eq!(exported.first().unwrap(), "c sum 1\nelsewhere sum 1\n");
    assert_eq!(exported.last().unwrap(), "c sum 3\nd sum 1\nelsewhere sum 1\n");
}

#[test]
fn a_provider_that_is_dropped_while_a_callback_is_stuck_waits_for_nobody() {
    let (gate, came, open) = gate();
    let (reader, exported) = periodic(ReaderConfig::new());
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    provider.meter("test").u64_observable_gauge("g").with_callback(move |o| o.observe(gate.pass(), &[])).build();
    assert!(provider.force_flush(shortly()).unwrap_err().is_timeout());
    came.recv().unwrap();
    drop(provider);
    drop(open);
    assert_eq!(exported.recv().unwrap(), "g gauge 1\n");
    while exported.recv().is_ok() {}
}

/// The first reader's collection is stuck, but the other readers still get the full time.
#[test]
fn a_reader_that_is_stuck_takes_no_time_from_the_others() {
    let (gate, _came, open) = gate();
    let (stuck, _) = periodic(ReaderConfig::new().with_producer(behind(gate)));
    let (free, exported) = periodic(ReaderConfig::new());
    let pulled = PullReader::default();
    let builder = SdkMeterProvider::builder().with_reader(stuck).with_reader(free).with_reader(pulled.clone());
    let provider = builder.build();
    provider.meter("test").u64_counter("c").build().add(1, &[]);
    let flushing = provider.clone();
    std::thread::scope(|scope| {
        let flush = scope.spawn(move || flushing.force_flush(soon()));
        // The first reader is still stuck here.
        assert_eq!(exported.recv_timeout(Duration::from_secs(10)).unwrap(), "c sum 1\n");
        assert_eq!(metrics_text(&pulled.collect(Deadline::NEVER).unwrap()), "c sum 1\n");
        drop(open);
        flush.join().unwrap().unwrap();
    });
}

#[test]
fn those_who_pull_while_another_collection_is_stuck_are_refused_at_their_deadline() {
    let (gate, came, open) = gate();
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts());
    let pulled = PullReader::default();
    let telemetry = telemetry.with_metrics(ReaderConfig::new(), |builder| builder.with_reader(pulled.clone()));
    let meter = telemetry.meter("test");
    let passes = gate.clone();
    meter.u64_observable_gauge("g").with_callback(move |o| o.observe(passes.pass(), &[])).build();
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| pulled.collect(Deadline::NEVER).unwrap());
        came.recv().unwrap();
        assert!(pulled.collect(shortly()).unwrap_err().is_timeout());
        // Shutdown does not wait for the collection, and any later collection fails.
        telemetry.meter_provider().shutdown(soon()).unwrap();
        assert!(pulled.collect(shortly()).unwrap_err().is_shutdown());
        drop(open);
        assert!(metrics_text(&stuck.join().unwrap()).contains("g gauge 1\n"));
    });
}

#[test]
fn a_collection_that_waited_in_vain_is_measured_as_a_timeout() {
    let (gate, came, open) = gate();
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts());
    let pulled = PullReader::default();
    let telemetry = telemetry.with_metrics(ReaderConfig::new(), |builder| builder.with_reader(pulled.clone()));
    let passes = gate.clone();
    telemetry.meter("test").u64_observable_gauge("g").with_callback(move |o| o.observe(passes.pass(), &[])).build();
    std::thread::scope(|scope| {
        scope.spawn(|| pulled.collect(Deadline::NEVER).unwrap());
        came.recv().unwrap();
        assert!(pulled.collect(shortly()).unwrap_err().is_timeout());
        drop(open);
    });
    let metrics = telemetry.metrics();
    let collections: Vec<_> = metrics.lines().filter(|line| line.contains("collection")).collect();
    assert_eq!(collections.iter().filter(|line| line.contains("{error.type=timeout,")).count(), 1, "{metrics}");
    assert_eq!(collections.len(), 2, "{metrics}");
}

struct Hangs(Receiver<()>);

impl Exporter<Traces> for Hangs {
    fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        // Blocks until the test has finished.
        let _over = self.0.recv();
        Err(ExportError::other(format!("{} spans", batch.len())))
    }
}

#[test]
fn a_receiver_of_spans_that_hangs_leaves_time_for_the_metrics() {
    // A fifth of it is enough for the metrics, on a busy machine too.
    const TIMEOUT: Duration = Duration::from_secs(5);
    for shuts_down in [false, true] {
        let (release, hangs) = channel();
        let metrics = InMemoryExporter::<Metrics>::new();
        let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_METRIC_EXPORT_INTERVAL", "3600000")]))
            .with_span_exporter(Hangs(hangs))
            .with_metric_exporter(metrics.clone())
            .with_flush_timeout(TIMEOUT)
            .build()
            .unwrap();
        telemetry.tracer("test").start("span").end();
        telemetry.meter("test").u64_counter("c").build().add(1, &[]);
        let deadline = Deadline::after(TIMEOUT);
        let result = if shuts_down { telemetry.shutdown(deadline) } else { telemetry.force_flush(deadline) };
        assert!(result.unwrap_err().is_timeout());
        assert_eq!(metrics_text(&metrics.items()), "c sum 1\n", "{shuts_down}");
        drop(release);
    }
}
