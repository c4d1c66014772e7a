//! Runs a program with a subscriber whose spans go to a test's telemetry.
#![allow(dead_code, reason = "each test uses a part")]

use std::sync::{Arc, Mutex};

use telemark_sdk::span_filter::{Level, SpanFilter};
use telemark_sdk::testing::TestTelemetry;
use telemark_tracing::LayerBuilder;
use tracing::Dispatch;
use tracing_subscriber::prelude::*;

/// Returns a builder whose layer keeps every span and records no code location.
pub(crate) fn plain() -> LayerBuilder {
    telemark_tracing::builder().with_location(false).with_span_filter(SpanFilter::up_to(Level::Trace))
}

pub(crate) fn dispatch(builder: LayerBuilder) -> Dispatch {
    Dispatch::new(tracing_subscriber::registry().with(builder.build()))
}

/// Runs `program` with the layer and returns the telemetry.
pub(crate) fn run(builder: LayerBuilder, program: impl FnOnce()) -> TestTelemetry {
    run_in(TestTelemetry::new(), builder, program)
}

/// Runs `program` with the layer in a telemetry, and returns it.
pub(crate) fn run_in(telemetry: TestTelemetry, builder: LayerBuilder, program: impl FnOnce()) -> TestTelemetry {
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch(builder), program);
    telemetry
}

/// Runs `program` and compares the tree of its spans.
#[track_caller]
pub(crate) fn check(program: impl FnOnce(), expected: &str) {
    assert_eq!(run(plain(), program).tree(), expected.trim_start());
}

/// A writer for `fmt`.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}
