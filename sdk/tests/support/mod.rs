//! A service with tail sampling, whose time and work a test drives.
#![allow(dead_code, clippy::unwrap_used, reason = "test helpers, not all of which every test uses")]

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry::trace::{Status, TraceContextExt, Tracer};
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::config::Env;
use telemark_sdk::diag::TailHealth;
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::{Logs, Traces};
use telemark_sdk::stages::tail::TailSampling;
use telemark_sdk::testing::{InMemoryExporter, ManualClock};
use telemark_sdk::trace::{END_NOW, SdkTracer};

/// A service whose time and work the test drives.
pub(crate) struct Service {
    pub(crate) telemetry: Telemetry,
    pub(crate) tracer: SdkTracer,
    pub(crate) spans: InMemoryExporter<Traces>,
    pub(crate) logs: InMemoryExporter<Logs>,
    pub(crate) clock: ManualClock,
    pub(crate) runtime: ManualRuntime,
}

/// Returns a builder for a telemetry without metrics.
pub(crate) fn builder(runtime: Runtime) -> TelemetryBuilder {
    Telemetry::builder(Env::from_pairs([("OTEL_METRICS_EXPORTER", "none")])).with_runtime(runtime)
}

impl Service {
    pub(crate) fn new(tail: TailSampling) -> Self {
        Service::with(tail, |builder| builder)
    }

    pub(crate) fn with(tail: TailSampling, configure: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> Self {
        let (spans, logs) = (InMemoryExporter::new(), InMemoryExporter::new());
        let (clock, runtime) = (ManualClock::new(), ManualRuntime::new());
        let builder = builder(Runtime::Manual(runtime.clone()))
            .with_clock(clock.clock())
            .with_span_batch(BatchConfig::SPANS.with_max_queue_size(1 << 20))
            .with_span_exporter(spans.clone())
            .with_log_exporter(logs.clone())
            .with_tail_sampling(tail);
        let telemetry = configure(builder).build().unwrap();
        let tracer = telemetry.tracer("shop");
        Service { telemetry, tracer, spans, logs, clock, runtime }
    }

    pub(crate) fn start(&self, name: impl Into<Cow<'static, str>>, parent: &Context) -> Context {
        parent.with_span(self.tracer.start_with_context(name, parent))
    }

    /// Starts and ends a span with an error.
    pub(crate) fn fail(&self, name: &'static str, parent: &Context) {
        let child = self.start(name, parent);
        child.span().set_status(Status::error("no such table"));
        end(&child);
    }

    /// Writes a log record in this context.
    pub(crate) fn say(&self, context: &Context, text: impl Into<AnyValue>, severity: Severity) {
        let _attached = context.clone().attach();
        let logger = self.telemetry.logger("shop");
        let mut record = logger.create_log_record();
        record.set_body(text.into());
        record.set_severity_number(severity);
        logger.emit(record);
    }

    /// Lets time pass, with a run of the stages and of the exporters.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
        (0..2).for_each(|_| self.runtime.run_timers());
    }

    pub(crate) fn health(&self) -> TailHealth {
        self.telemetry.health().tail.unwrap()
    }
}

/// Ends a span now; the API would take the system's time.
pub(crate) fn end(context: &Context) {
    context.span().end_with_timestamp(END_NOW);
}
