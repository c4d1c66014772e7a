//! The libraries under test, all with the same workload: a root span with a chain of nested spans, each with three
//! attributes (string, integer, boolean).

mod api;
mod fastrace;
mod opentelemetry_0_32;
mod opentelemetry_sdk;
mod telemark;
mod tracing_opentelemetry;

use std::hint::black_box;

pub(crate) use opentelemetry_0_32::{install_0_32, install_bridge_0_32};

use crate::Failure;

pub(crate) const TRACED: &str = "telemark #[traced]";
pub(crate) const TELEMARK_API: &str = "telemark, plain API";
pub(crate) const SDK: &str = "opentelemetry_sdk";
pub(crate) const BRIDGE: &str = "tracing-opentelemetry";
pub(crate) const LAYER: &str = "telemark::tracing::layer()";
pub(crate) const FASTRACE: &str = "fastrace";
pub(crate) const FASTRACE_MACRO: &str = "fastrace #[trace]";

/// All subjects: Telemark first, then its rivals.
pub(crate) static ALL: [&str; 6] = [TRACED, TELEMARK_API, SDK, BRIDGE, FASTRACE, FASTRACE_MACRO];

/// A library, which may or may not be installed in this process.
pub(crate) trait Subject: Sync {
    /// Creates and ends a root span and `nested` spans, each inside the previous one.
    fn tree(&self, nested: i64, text: Text);

    /// Creates `calls` single spans, one after another, under an unsampled parent.
    fn unsampled(&self, calls: u64);

    /// Creates `calls` single spans under the current context.
    fn calls(&self, calls: u64);

    /// Waits until every ended span has left the process.
    fn flush(&self);
}

/// The string attribute of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// [`USER`].
    Static,
    /// A new `String` for each span, created by [`path`].
    Owned,
}

/// Longer than any small-string optimisation supports.
const USER: &str = "alice@example.com";

/// Returns text of about the same length as [`USER`], different for each span.
fn path(depth: i64) -> String {
    format!("/users/{}/{depth}", black_box(1_234_567))
}

/// The settings that differ from a library's defaults.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    /// `OTEL_BSP_MAX_QUEUE_SIZE`. fastrace has no equivalent.
    pub(crate) max_queue_size: Option<usize>,
}

/// Installs a library that exports with OTLP over HTTP to the sink at `endpoint` (host and port).
pub(crate) fn install(name: &str, endpoint: &str, settings: Settings) -> Result<Box<dyn Subject>, Failure> {
    let url = format!("http://{endpoint}/v1/traces");
    match name {
        TRACED => telemark::install(&url, settings, telemark::Style::Attribute),
        TELEMARK_API => telemark::install(&url, settings, telemark::Style::Api),
        SDK => opentelemetry_sdk::install(&url, settings),
        BRIDGE => tracing_opentelemetry::install(&url, settings),
        LAYER => tracing_opentelemetry::install_layer(&url, settings),
        FASTRACE => fastrace::install(&url, fastrace::Style::LocalSpan),
        FASTRACE_MACRO => fastrace::install(&url, fastrace::Style::Attribute),
        other => Err(unknown(other)),
    }
}

/// Returns the same instrumented code for a process that never installs a pipeline.
pub(crate) fn not_installed(name: &str) -> Result<Box<dyn Subject>, Failure> {
    match name {
        TRACED => Ok(telemark::not_installed()),
        // With the plain API, the code is the same whichever library is not installed.
        TELEMARK_API | SDK => Ok(opentelemetry_sdk::not_installed()),
        BRIDGE | LAYER => Ok(tracing_opentelemetry::not_installed()),
        FASTRACE => Ok(fastrace::not_installed(fastrace::Style::LocalSpan)),
        FASTRACE_MACRO => Ok(fastrace::not_installed(fastrace::Style::Attribute)),
        other => Err(unknown(other)),
    }
}

fn unknown(name: &str) -> Failure {
    format!("unknown subject {name:?}").into()
}
