//! The SDK's own metrics after various scenarios, with every point shown as text.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use opentelemetry::trace::{
    Span, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope};
use telemark_sdk::batch::{BatchConfig, BatchProcessor, SimpleProcessor};
use telemark_sdk::config::Env;
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::instrument::spans::{span, suppress};
use telemark_sdk::metrics::{PullReader, ReaderConfig, TemporalityPreference};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::sampling::{Decision, Sampler, SamplingRequest, SamplingResult};
use telemark_sdk::self_metrics::SelfMetrics;
use telemark_sdk::signal::{Metrics, Signal, Traces};
use telemark_sdk::testing::{InMemoryExporter, ManualClock, TestTelemetry, metrics_text};
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource, ResponseStatus};

/// Compares the metrics that contain `part` with `expected`, which omits the `otel.` prefix of names and attributes, and the
/// part of a component's type that repeats its name.
#[track_caller]
fn check(metrics: &str, part: &str, expected: &str) {
    let mut lines: Vec<_> = metrics.lines().filter(|line| line.contains(part)).map(shorten).collect();
    let mut expected: Vec<_> = expected.lines().map(str::trim).collect();
    // The shortened lines are no longer sorted.
    lines.sort();
    expected.sort_unstable();
    assert_eq!(lines, expected, "\n{}\n", lines.join("\n"));
}

fn shorten(line: &str) -> String {
    let Some((before, after)) = line.split_once(",otel.component.type=") else { return line.replace("otel.", "") };
    let name = before.split_once("otel.component.name=").unwrap().1;
    let after = after.strip_prefix(name.rsplit_once('/').unwrap().0).unwrap();
    format!("{before}{after}").replace("otel.component.name=", "").replace("otel.", "")
}

/// Returns the results that the test provides, each after half a second.
#[derive(Clone, Default)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<Result<ExportReport, ExportError>>>>,
    clock: Arc<OnceLock<ManualClock>>,
}

impl<S: Signal> Exporter<S> for Scripted {
    fn export(&mut self, _: Batch<'_, S>, _: Deadline) -> Result<ExportReport, ExportError> {
        if let Some(clock) = self.clock.get() {
            clock.advance(Duration::from_millis(500));
        }
        self.answers.lock().unwrap().pop_front().unwrap_or_else(|| Ok(ExportReport::accepted()))
    }

    fn component_type(&self) -> &'static str {
        "scripted"
    }
}

/// Decides based on the span name.
#[derive(Debug)]
struct ByName;

impl Sampler for ByName {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        SamplingResult::new(match request.name {
            "dropped" => Decision::Drop,
            "recorded" => Decision::RecordOnly,
            _ => Decision::RecordAndSample,
        })
    }

    fn description(&self) -> Cow<'static, str> {
        "ByName".into()
    }
}

fn parent(flags: TraceFlags, is_remote: bool) -> Context {
    let context = SpanContext::new(TraceId::from(7), SpanId::from(7), flags, is_remote, TraceState::NONE);
    Context::new().with_remote_span_context(context)
}

fn manual(exporter: impl Exporter<Traces>, runtime: &ManualRuntime) -> BatchProcessor<Traces> {
    let config = BatchConfig::SPANS.with_max_queue_size(4).with_max_batch_size(2);
    BatchProcessor::start(exporter, Resource::empty(), config, &Runtime::Manual(runtime.clone())).unwrap()
}

#[test]
fn spans_are_counted_by_the_origin_of_their_parent_and_by_what_became_of_them() {
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts().with_sampler(ByName));
    let tracer = telemetry.tracer("test");
    let origins = [Context::new(), parent(TraceFlags::SAMPLED, false), parent(TraceFlags::SAMPLED, true)];
    let mut open = Vec::new();
    for (repeat, origin) in (1..).zip(&origins) {
        for name in ["dropped", "recorded", "sampled"] {
            (0..repeat).for_each(|_| open.push(tracer.start_with_context(name, origin)));
        }
        open.push(tracer.start_with_context("sampled", origin));
    }
    check(
        &telemetry.metrics(),
        "otel.sdk.span.",
        "sdk.span.live[{span}]{span.sampling_result=RECORD_AND_SAMPLE} up-down sum 9
         sdk.span.live[{span}]{span.sampling_result=RECORD_ONLY} up-down sum 6
         sdk.span.started[{span}]{span.parent.origin=local,span.sampling_result=DROP} sum 2
         sdk.span.started[{span}]{span.parent.origin=local,span.sampling_result=RECORD_AND_SAMPLE} sum 3
         sdk.span.started[{span}]{span.parent.origin=local,span.sampling_result=RECORD_ONLY} sum 2
         sdk.span.started[{span}]{span.parent.origin=none,span.sampling_result=DROP} sum 1
         sdk.span.started[{span}]{span.parent.origin=none,span.sampling_result=RECORD_AND_SAMPLE} sum 2
         sdk.span.started[{span}]{span.parent.origin=none,span.sampling_result=RECORD_ONLY} sum 1
         sdk.span.started[{span}]{span.parent.origin=remote,span.sampling_result=DROP} sum 3
         sdk.span.started[{span}]{span.parent.origin=remote,span.sampling_result=RECORD_AND_SAMPLE} sum 4
         sdk.span.started[{span}]{span.parent.origin=remote,span.sampling_result=RECORD_ONLY} sum 3",
    );
    // The end of a span is counted only once, whether it is ended explicitly or dropped.
    open[2].end();
    drop(open);
    check(
        &telemetry.metrics(),
        "otel.sdk.span.live",
        "sdk.span.live[{span}]{span.sampling_result=RECORD_AND_SAMPLE} up-down sum 0
         sdk.span.live[{span}]{span.sampling_result=RECORD_ONLY} up-down sum 0",
    );
}

#[test]
fn every_way_of_starting_a_span_counts_it_once() {
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts());
    let _attached = telemetry.attach();
    let remote = |flags| parent(flags, true).span().span_context().clone();
    let unsampled = remote(TraceFlags::NOT_SAMPLED);
    // Spans inside an unsampled parent: with an explicit parent, in the current context, and through the API.
    span("a").with_parent(&unsampled).in_scope(|| ());
    {
        let _current = telemetry.context().with_remote_span_context(unsampled.clone()).attach();
        (0..2).for_each(|_| span("b").in_scope(|| ()));
        telemetry.tracer("test").start("c");
    }
    // Recorded spans: a root span, its child, and the child of a remote parent.
    span("d").in_scope(|| (0..3).for_each(|_| span("e").in_scope(|| ())));
    telemetry.tracer("test").start("d");
    span("f").with_parent(remote(TraceFlags::SAMPLED)).in_scope(|| ());
    // Suppressed spans must not be counted.
    suppress(|| span("g").in_scope(|| ()));
    suppress(|| telemetry.tracer("test").start("g"));
    let started = "sdk.span.started[{span}]{span.parent.origin=local,span.sampling_result=RECORD_AND_SAMPLE} sum 3
                   sdk.span.started[{span}]{span.parent.origin=none,span.sampling_result=RECORD_AND_SAMPLE} sum 2
                   sdk.span.started[{span}]{span.parent.origin=remote,span.sampling_result=DROP} sum 4
                   sdk.span.started[{span}]{span.parent.origin=remote,span.sampling_result=RECORD_AND_SAMPLE} sum 1";
    check(&telemetry.metrics(), "span.started", started);
    telemetry.provider().shutdown(Deadline::NEVER).unwrap();
    span("h").in_scope(|| ());
    span("h").with_parent(&unsampled).in_scope(|| ());
    check(&telemetry.metrics(), "span.started", started);
}

#[test]
fn a_processor_and_its_exporter_count_what_becomes_of_spans() {
    let (scripted, runtime) = (Scripted::default(), ManualRuntime::new());
    let processor = manual(scripted.clone(), &runtime);
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts().with_processor(processor));
    drop(scripted.clock.set(telemetry.clock.clone()));
    let tracer = telemetry.tracer("test");
    let spans = |count| (0..count).for_each(|_| drop(tracer.start("span")));

    // Six spans end, but the queue has room for only four.
    spans(6);
    check(
        &telemetry.metrics(),
        "batching_span_processor/1",
        "sdk.processor.span.processed[{span}]{batching_span_processor/1} sum 0
         sdk.processor.span.processed[{span}]{error.type=queue_full,batching_span_processor/1} sum 2
         sdk.processor.span.queue.capacity[{span}]{batching_span_processor/1} up-down sum 4
         sdk.processor.span.queue.size[{span}]{batching_span_processor/1} up-down sum 4",
    );
    let answers = [
        Ok(ExportReport::accepted()),
        Ok(ExportReport::partial(1, "too old")),
        Err(ExportError::unavailable("down").with_retries(3)),
        Err(ExportError::rejected("never")),
        Ok(ExportReport::partial(0, "a warning")),
    ];
    scripted.answers.lock().unwrap().extend(answers);
    runtime.run_timers();
    spans(4);
    runtime.run_timers();
    spans(1);
    let open = tracer.start("open");
    telemetry.provider().shutdown(Deadline::NEVER).unwrap();
    drop(open);
    let metrics = telemetry.metrics();
    check(
        &metrics,
        "batching_span_processor/1",
        "sdk.processor.span.processed[{span}]{batching_span_processor/1} sum 9
         sdk.processor.span.processed[{span}]{error.type=already_shutdown,batching_span_processor/1} sum 1
         sdk.processor.span.processed[{span}]{error.type=queue_full,batching_span_processor/1} sum 2
         sdk.processor.span.queue.capacity[{span}]{batching_span_processor/1} up-down sum 4
         sdk.processor.span.queue.size[{span}]{batching_span_processor/1} up-down sum 0",
    );
    check(
        &metrics,
        "scripted/0",
        "sdk.exporter.operation.duration[s]{scripted/0} histogram count=2 sum=1 min=0.5 max=0.5 <=inf:2
         sdk.exporter.operation.duration[s]{error.type=rejected,scripted/0} histogram count=2 sum=1 min=0.5 max=0.5 <=inf:2
         sdk.exporter.operation.duration[s]{error.type=unavailable,scripted/0} histogram count=1 sum=0.5 min=0.5 max=0.5 <=inf:1
         sdk.exporter.span.exported[{span}]{scripted/0} sum 4
         sdk.exporter.span.exported[{span}]{error.type=rejected,scripted/0} sum 3
         sdk.exporter.span.exported[{span}]{error.type=unavailable,scripted/0} sum 2
         sdk.exporter.span.inflight[{span}]{scripted/0} up-down sum 0",
    );
    // The other pipeline belongs to the test telemetry. Its exporter does not override the component type.
    check(
        &metrics,
        "memory::InMemoryExporter/0",
        "sdk.exporter.operation.duration[s]{telemark_sdk::testing::memory::InMemoryExporter/0} histogram count=1 sum=0 min=0 max=0 <=inf:1
         sdk.exporter.span.exported[{span}]{telemark_sdk::testing::memory::InMemoryExporter/0} sum 11
         sdk.exporter.span.inflight[{span}]{telemark_sdk::testing::memory::InMemoryExporter/0} up-down sum 0",
    );
}

#[test]
fn an_exporter_names_its_server_and_the_status_of_the_last_response() {
    struct Remote(Scripted);
    impl Exporter<Traces> for Remote {
        fn export(&mut self, batch: Batch<'_, Traces>, deadline: Deadline) -> Result<ExportReport, ExportError> {
            self.0.export(batch, deadline)
        }
        fn component_type(&self) -> &'static str {
            "remote"
        }
        fn server(&self) -> Option<(String, u16)> {
            Some(("collector".to_owned(), 4318))
        }
    }
    let (scripted, runtime) = (Scripted::default(), ManualRuntime::new());
    // Boxed, as in the facade.
    let boxed: Box<dyn Exporter<Traces>> = Box::new(Remote(scripted.clone()));
    let processor = manual(boxed, &runtime);
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts().with_processor(processor));
    let answers = [
        Ok(ExportReport::accepted().with_response(ResponseStatus::Http(200))),
        Err(ExportError::unavailable("busy").with_response(ResponseStatus::Http(503))),
        Err(ExportError::rejected("no").with_response(ResponseStatus::Rpc("INVALID_ARGUMENT"))),
        Err(ExportError::timeout("no answer")),
    ];
    scripted.answers.lock().unwrap().extend(answers);
    for _ in 0..4 {
        drop(telemetry.tracer("test").start("span"));
        runtime.run_timers();
    }
    let server = "server.address=collector,server.port=4318";
    check(
        &telemetry.metrics(),
        "remote/0",
        &format!(
            "sdk.exporter.operation.duration[s]{{error.type=rejected,remote/0,rpc.status_code=INVALID_ARGUMENT,{server}}} histogram count=1 sum=0 min=0 max=0 <=inf:1
             sdk.exporter.operation.duration[s]{{error.type=timeout,remote/0,{server}}} histogram count=1 sum=0 min=0 max=0 <=inf:1
             sdk.exporter.operation.duration[s]{{error.type=unavailable,http.response.status_code=503,remote/0,{server}}} histogram count=1 sum=0 min=0 max=0 <=inf:1
             sdk.exporter.operation.duration[s]{{http.response.status_code=200,remote/0,{server}}} histogram count=1 sum=0 min=0 max=0 <=inf:1
             sdk.exporter.span.exported[{{span}}]{{error.type=rejected,remote/0,{server}}} sum 1
             sdk.exporter.span.exported[{{span}}]{{error.type=timeout,remote/0,{server}}} sum 1
             sdk.exporter.span.exported[{{span}}]{{error.type=unavailable,remote/0,{server}}} sum 1
             sdk.exporter.span.exported[{{span}}]{{remote/0,{server}}} sum 1
             sdk.exporter.span.inflight[{{span}}]{{remote/0,{server}}} up-down sum 0"
        ),
    );
}

#[test]
fn credentials_that_could_not_be_renewed_are_counted() {
    struct Stale;
    impl Exporter<Traces> for Stale {
        fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
            Ok(ExportReport::accepted())
        }

        fn component_type(&self) -> &'static str {
            "stale"
        }

        fn failed_refreshes(&self) -> u64 {
            3
        }
    }
    let runtime = Runtime::Manual(ManualRuntime::new());
    let simple = SimpleProcessor::start(Stale, Resource::empty(), &runtime).unwrap();
    let telemetry = TestTelemetry::with(|builder| builder.with_processor(simple));
    let _sdk = SelfMetrics::observe(telemetry.provider(), telemetry.meter_provider());
    assert!(!telemetry.metrics().contains("failed_refreshes"));
    drop(telemetry.tracer("test").start("a"));
    let metrics = telemetry.metrics();
    let line = metrics.lines().find(|line| line.starts_with("telemark.sdk.exporter.span.failed_refreshes")).unwrap();
    assert!(line.contains("stale/0") && line.ends_with(" sum 3"), "{metrics}");
    assert!(telemetry.provider().health().iter().any(|health| health.failed_refreshes == 3));
}

#[test]
fn what_the_exporter_has_in_hand_is_in_flight_and_processed_and_no_longer_in_the_queue() {
    struct Looks(Arc<OnceLock<TestTelemetry>>, Arc<Mutex<Vec<String>>>);
    impl Exporter<Traces> for Looks {
        fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
            self.1.lock().unwrap().push(self.0.get().unwrap().metrics());
            Err(ExportError::other("no"))
        }
        fn component_type(&self) -> &'static str {
            "looks"
        }
    }
    let (slot, seen, runtime) = (Arc::new(OnceLock::new()), Arc::new(Mutex::default()), ManualRuntime::new());
    let processor = manual(Looks(slot.clone(), seen.clone()), &runtime);
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts().with_processor(processor));
    drop(slot.set(telemetry.clone()));
    (0..3).for_each(|_| drop(telemetry.tracer("test").start("span")));
    runtime.run_timers();
    let seen = seen.lock().unwrap();
    check(
        &seen[0],
        "otel.sdk.processor.span.processed[{span}]{otel.component.name=batching_span_processor/1",
        "sdk.processor.span.processed[{span}]{batching_span_processor/1} sum 2",
    );
    check(
        &seen[0],
        "queue.size[{span}]{otel.component.name=batching_span_processor/1",
        "sdk.processor.span.queue.size[{span}]{batching_span_processor/1} up-down sum 1",
    );
    check(
        &seen[1],
        "looks/0",
        "sdk.exporter.operation.duration[s]{error.type=_OTHER,looks/0} histogram count=1 sum=0 min=0 max=0 <=inf:1
         sdk.exporter.span.exported[{span}]{looks/0} sum 0
         sdk.exporter.span.exported[{span}]{error.type=_OTHER,looks/0} sum 2
         sdk.exporter.span.inflight[{span}]{looks/0} up-down sum 1",
    );
}

#[test]
fn a_simple_processor_has_no_queue() {
    let runtime = Runtime::Manual(ManualRuntime::new());
    let simple = SimpleProcessor::start(Scripted::default(), Resource::empty(), &runtime).unwrap();
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts().with_processor(simple));
    drop(telemetry.tracer("test").start("span"));
    check(
        &telemetry.metrics(),
        "simple_span_processor",
        "sdk.processor.span.processed[{span}]{simple_span_processor/0} sum 1",
    );
}

#[test]
fn what_shutdown_has_no_time_for_was_never_exported() {
    let runtime = ManualRuntime::new();
    let processor = manual(Scripted::default(), &runtime);
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts().with_processor(processor));
    (0..3).for_each(|_| drop(telemetry.tracer("test").start("span")));
    assert!(telemetry.provider().shutdown(Deadline::after(Duration::ZERO)).unwrap_err().is_timeout());
    let metrics = telemetry.metrics();
    check(
        &metrics,
        "processed[{span}]{error.type=timeout,otel.component.name=batching_span_processor/1",
        "sdk.processor.span.processed[{span}]{error.type=timeout,batching_span_processor/1} sum 3",
    );
    check(
        &metrics,
        "exporter.span.exported[{span}]{otel.component.name=scripted",
        "sdk.exporter.span.exported[{span}]{scripted/0} sum 0",
    );
}

#[test]
fn the_durations_of_collections_and_deltas() {
    let config = || ReaderConfig::new().with_temporality(TemporalityPreference::Delta);
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts());
    let telemetry = telemetry.with_metrics(config(), |builder| builder);
    let parts = |metrics: &str| -> String {
        let is_part = |line: &&str| line.contains("started") || line.contains("duration");
        metrics.lines().filter(is_part).map(|line| shorten(line) + "\n").collect()
    };
    drop(telemetry.tracer("test").start("span"));
    let started = "sdk.span.started[{span}]{span.parent.origin=none,span.sampling_result=RECORD_AND_SAMPLE}";
    assert_eq!(parts(&telemetry.metrics()), format!("{started} delta sum 1\n"));
    (0..2).for_each(|_| drop(telemetry.tracer("test").start("span")));
    let collection = "sdk.metric_reader.collection.duration[s]{telemark_sdk::metrics::PullReader/0}";
    let collected = format!("{collection} delta histogram count=1 sum=0 min=0 max=0 <=inf:1\n");
    assert_eq!(parts(&telemetry.metrics()), format!("{collected}{started} delta sum 2\n"));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test of many threads")]
fn many_threads_are_counted_exactly() {
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts());
    let tracer = telemetry.tracer("test");
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let spans: Vec<_> = (0..50).map(|_| tracer.start("span")).collect();
                // End the spans on a different thread.
                scope.spawn(move || drop(spans));
            });
        }
    });
    check(
        &telemetry.metrics(),
        "otel.sdk.span.",
        "sdk.span.live[{span}]{span.sampling_result=RECORD_AND_SAMPLE} up-down sum 0
         sdk.span.started[{span}]{span.parent.origin=none,span.sampling_result=RECORD_AND_SAMPLE} sum 5000",
    );
}

/// Builds a telemetry with a span exporter and a reader, and returns the names of the metrics exported after one span.
fn after_a_span(variables: &[(&str, &str)], configure: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> String {
    let reader = PullReader::default();
    let builder = Telemetry::builder(Env::from_pairs(variables.iter().copied()))
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .with_clock(ManualClock::new().clock())
        .with_span_exporter(InMemoryExporter::new())
        .with_metric_reader(reader.clone());
    let telemetry = configure(builder).build().unwrap();
    drop(telemetry.tracer_provider().tracer("test").start("span"));
    // A disabled SDK has no readers.
    let scopes = reader.collect(Deadline::NEVER).unwrap_or_default();
    let schema_url = Some("https://opentelemetry.io/schemas/1.45.0");
    let is_ours = |scope: &InstrumentationScope| scope.name() == "telemark.sdk" && scope.schema_url() == schema_url;
    assert!(scopes.iter().all(|scope| is_ours(&scope.scope)));
    metrics_text(&scopes).lines().map(|line| line.split(['[', '{']).next().unwrap().to_owned() + "\n").collect()
}

#[test]
fn they_are_there_only_for_those_who_ask() {
    const ALL: &str = "otel.sdk.exporter.span.exported\notel.sdk.exporter.span.inflight\n\
                       otel.sdk.processor.span.processed\notel.sdk.processor.span.queue.capacity\n\
                       otel.sdk.processor.span.queue.size\notel.sdk.span.live\notel.sdk.span.started\n";
    let same = |builder| builder;
    assert_eq!(after_a_span(&[], same), "");
    assert_eq!(after_a_span(&[("OTEL_RUST_SELF_METRICS", "false")], same), "");
    assert_eq!(after_a_span(&[("OTEL_RUST_SELF_METRICS", "true")], same), ALL);
    assert_eq!(after_a_span(&[], TelemetryBuilder::with_self_metrics), ALL);
    assert_eq!(after_a_span(&[("OTEL_SDK_DISABLED", "true")], TelemetryBuilder::with_self_metrics), "");
}

#[test]
fn they_end_with_their_handle() {
    let telemetry = TestTelemetry::with(|builder| builder);
    let handle = SelfMetrics::observe(telemetry.provider(), telemetry.meter_provider());
    assert!(telemetry.metrics().contains("otel.sdk.processor.span.queue.size"));
    // This provider was built without span counts.
    assert!(!telemetry.metrics().contains("otel.sdk.span."));
    drop(handle);
    drop(telemetry.metrics());
    let after = telemetry.metrics();
    check(
        &after,
        "sdk",
        "sdk.metric_reader.collection.duration[s]{telemark_sdk::metrics::PullReader/0} histogram count=2 sum=0 min=0 max=0 <=inf:2",
    );
}

#[test]
fn the_export_of_metrics_is_measured_and_does_not_feed_itself() {
    let (runtime, scripted, kept) = (ManualRuntime::new(), Scripted::default(), InMemoryExporter::<Metrics>::new());
    let clock = ManualClock::new();
    drop(scripted.clock.set(clock.clone()));
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_RUST_SELF_METRICS", "true")]))
        .with_runtime(Runtime::Manual(runtime.clone()))
        .with_clock(clock.clock())
        .with_metric_exporter(kept.clone())
        .with_metric_exporter(scripted.clone())
        .build()
        .unwrap();
    scripted.answers.lock().unwrap().extend([Ok(ExportReport::partial(2, "bad")), Err(ExportError::timeout("slow"))]);
    let mut points = Vec::new();
    for _ in 0..6 {
        kept.clear();
        telemetry.force_flush(Deadline::NEVER).ok();
        points.push(metrics_text(&kept.items()).lines().count());
    }
    // Each new outcome adds its points only once.
    assert_eq!(points, [4, 9, 11, 12, 12, 12]);
    let in_memory = "telemark_sdk::testing::memory::InMemoryExporter/0";
    let expected = "
        sdk.exporter.metric_data_point.exported[{data_point}]{error.type=rejected,scripted/0} sum 2
        sdk.exporter.metric_data_point.exported[{data_point}]{error.type=timeout,scripted/0} sum 9
        sdk.exporter.metric_data_point.exported[{data_point}]{scripted/0} sum 39
        sdk.exporter.metric_data_point.exported[{data_point}]{MEMORY} sum 48
        sdk.exporter.metric_data_point.inflight[{data_point}]{scripted/0} up-down sum 0
        sdk.exporter.metric_data_point.inflight[{data_point}]{MEMORY} up-down sum 0
        sdk.exporter.operation.duration[s]{error.type=rejected,scripted/0} histogram count=1 sum=0.5 min=0.5 max=0.5 <=inf:1
        sdk.exporter.operation.duration[s]{error.type=timeout,scripted/0} histogram count=1 sum=0.5 min=0.5 max=0.5 <=inf:1
        sdk.exporter.operation.duration[s]{scripted/0} histogram count=3 sum=1.5 min=0.5 max=0.5 <=inf:3
        sdk.exporter.operation.duration[s]{MEMORY} histogram count=5 sum=0 min=0 max=0 <=inf:5
        sdk.metric_reader.collection.duration[s]{periodic_metric_reader/0} histogram count=5 sum=0 min=0 max=0 <=inf:5
        sdk.metric_reader.collection.duration[s]{periodic_metric_reader/1} histogram count=5 sum=0 min=0 max=0 <=inf:5";
    check(&metrics_text(&kept.items()), "sdk", expected.trim_start().replace("MEMORY", in_memory).as_str());
}

#[test]
fn a_collection_that_fails_says_why() {
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts());
    let producer = || Err(ExportError::unavailable("not now"));
    let telemetry = telemetry.with_metrics(ReaderConfig::new().with_producer(producer), |builder| builder);
    drop(telemetry.metrics());
    check(
        &telemetry.metrics(),
        "collection",
        "sdk.metric_reader.collection.duration[s]{error.type=unavailable,telemark_sdk::metrics::PullReader/0} \
         histogram count=1 sum=0 min=0 max=0 <=inf:1",
    );
}
