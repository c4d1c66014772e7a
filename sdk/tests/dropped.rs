//! Components of the program that panic when they are dropped. No panic reaches the thread that drops the telemetry, and each
//! component is dropped.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use opentelemetry::Context;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanId, TraceId};
use telemark_sdk::batch::{Stage, Verdict};
use telemark_sdk::config::Env;
use telemark_sdk::control::Configurator;
use telemark_sdk::error::ExportError;
use telemark_sdk::export::{Batch, ExportReport, Exporter};
use telemark_sdk::id::IdGenerator;
use telemark_sdk::install::{Factory, Pipeline, Telemetry, TelemetryBuilder};
use telemark_sdk::logs::{LogRecordProcessor, LoggerConfig, SdkLogRecord};
use telemark_sdk::metrics::exemplar::{ExemplarReservoir, Offer};
use telemark_sdk::metrics::{Exemplar, MetricProducer, PullReader, ReaderConfig, ScopeMetrics, SdkMeterProvider, View};
use telemark_sdk::propagation::Propagators;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::sampling::{ParentBased, Sampler, SamplingRequest, SamplingResult};
use telemark_sdk::signal::Signal;
use telemark_sdk::time::{Clock, Deadline, TimeSource, Timestamp};
use telemark_sdk::trace::{SpanData, SpanProcessor};

/// A component of any kind, which counts that it is dropped and then panics.
#[derive(Debug)]
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("on purpose");
    }
}

impl Sampler for Bomb {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        unreachable!()
    }

    fn description(&self) -> std::borrow::Cow<'static, str> {
        "Bomb".into()
    }
}

impl IdGenerator for Bomb {
    fn trace_id(&self) -> TraceId {
        TraceId::INVALID
    }

    fn span_id(&self) -> SpanId {
        SpanId::INVALID
    }
}

impl TimeSource for Bomb {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(1)
    }
}

impl SpanProcessor for Bomb {
    fn on_end(&self, _: SpanData) {}
}

impl LogRecordProcessor for Bomb {
    fn on_emit(&self, _: &mut SdkLogRecord, _: &Context) {}
}

impl<S: Signal> Stage<S> for Bomb {
    fn process(&mut self, _: &mut S::Item) -> Verdict {
        Verdict::Keep
    }
}

impl<S: Signal> Exporter<S> for Bomb {
    fn export(&mut self, _: Batch<'_, S>, _: Deadline) -> Result<ExportReport, ExportError> {
        Ok(ExportReport::accepted())
    }
}

impl ExemplarReservoir for Bomb {
    fn offer(&mut self, _: &Offer<'_>) {}

    fn collect(&mut self, _: bool) -> Vec<Exemplar> {
        Vec::new()
    }
}

impl MetricProducer for Bomb {
    fn produce(&self) -> Result<Vec<ScopeMetrics>, ExportError> {
        Ok(Vec::new())
    }
}

impl TextMapPropagator for Bomb {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

/// Makes a closure capture a component.
fn touch(_: &Bomb) {}

fn start(captured: Bomb) -> impl FnOnce(&Telemetry) + Send + Sync + 'static {
    move |_| drop(captured)
}

/// Drops what `make` returns, and checks that `expected` components are dropped.
#[track_caller]
fn check<T>(expected: usize, make: impl FnOnce(&dyn Fn() -> Bomb) -> T) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let made = make(&|| Bomb(dropped.clone()));
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    drop(made);
    assert_eq!(dropped.load(Ordering::Relaxed), expected);
}

/// Each kind occurs twice, because a panic that meets another one aborts the program.
fn built(change: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> Telemetry {
    let runtime = Runtime::Manual(ManualRuntime::new());
    let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "none")]);
    change(Telemetry::builder(env).with_runtime(runtime)).build().unwrap()
}

#[test]
fn components_of_traces() {
    check(2, |bomb| built(|builder| builder.with_sampler(ParentBased::new(bomb()).with_remote_parent_sampled(bomb()))));
    check(2, |bomb| {
        let clock = Clock::from_source(bomb());
        built(|builder| builder.with_sampler(bomb()).with_clock(clock))
    });
    check(2, |bomb| built(|builder| builder.with_id_generator(bomb()).with_span_processor(bomb())));
    check(4, |bomb| {
        built(|builder| {
            let builder = builder.with_span_exporter(bomb()).with_span_exporter(bomb());
            builder.with_span_stage(bomb()).with_span_stage(bomb())
        })
    });
}

#[test]
fn components_of_logs() {
    check(2, |bomb| {
        let captured = bomb();
        let config = move |_: &_| {
            touch(&captured);
            LoggerConfig::new()
        };
        built(|builder| builder.with_log_processor(bomb()).with_logger_config(Configurator::from_fn(config)))
    });
    check(4, |bomb| {
        built(|builder| {
            let builder = builder.with_log_exporter(bomb()).with_log_exporter(bomb());
            builder.with_log_stage(bomb()).with_log_stage(bomb())
        })
    });
}

#[test]
fn components_of_metrics() {
    check(2, |bomb| built(|builder| builder.with_metric_exporter(bomb()).with_metric_exporter(bomb())));
    check(2, |bomb| {
        let config = ReaderConfig::new().with_producer(bomb()).with_producer(bomb());
        SdkMeterProvider::builder().with_reader(PullReader::new(config)).build()
    });
    check(2, |bomb| {
        let views = [bomb(), bomb()].map(|captured| {
            View::of_all().with_exemplar_reservoir(move || {
                touch(&captured);
                Bomb(Arc::default())
            })
        });
        views.into_iter().fold(SdkMeterProvider::builder(), |builder, view| builder.with_view(view)).build()
    });
    check(2, |bomb| {
        let provider = SdkMeterProvider::builder().with_reader(PullReader::default()).build();
        for captured in [bomb(), bomb()] {
            provider.meter("test").u64_observable_gauge("g").with_callback(move |_| touch(&captured)).build();
        }
        provider
    });
    // Without a reader, nobody calls the callback.
    let (dropped, provider) = (Arc::new(AtomicUsize::new(0)), SdkMeterProvider::builder().build());
    let captured = Bomb(dropped.clone());
    provider.meter("test").u64_observable_gauge("g").with_callback(move |_| touch(&captured)).build();
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    check(1, |bomb| {
        let provider = SdkMeterProvider::builder().with_reader(PullReader::default()).build();
        let captured = bomb();
        provider.sdk_meter(Default::default()).register_callback(move |_| touch(&captured))
    });
}

#[test]
fn propagators_and_servers() {
    check(2, |bomb| Propagators::none().with_propagator(bomb()).with_propagator(bomb()));
    check(1, |bomb| built(|builder| builder.with_propagator(bomb())));
    check(2, |bomb| built(|builder| builder.with_instrumentation(start(bomb())).with_instrumentation(start(bomb()))));
    static SERVERS: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);
    let factory = Factory::new("page", |_| {
        let server = || Bomb(SERVERS.clone());
        Ok(Pipeline::reader(PullReader::default()).with_server(server()).with_server(server()))
    });
    let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "page")]);
    drop(Telemetry::builder(env).with_metric_exporter_factory(factory).build().unwrap());
    assert_eq!(SERVERS.load(Ordering::Relaxed), 2);
}
