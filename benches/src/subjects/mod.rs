//! The libraries under measurement, each behind the same workload: a root span with a chain of nested spans, three
//! attributes each (string, integer, boolean).

mod api;
mod fastrace;
mod opentelemetry_sdk;
mod telemark;
mod tracing_opentelemetry;

use std::hint::black_box;

use crate::Failure;

pub(crate) const TRACED: &str = "telemark #[traced]";
pub(crate) const TELEMARK_API: &str = "telemark, plain API";
pub(crate) const SDK: &str = "opentelemetry_sdk";
pub(crate) const BRIDGE: &str = "tracing-opentelemetry";
pub(crate) const LAYER: &str = "telemark::tracing::layer()";
pub(crate) const FASTRACE: &str = "fastrace";
pub(crate) const FASTRACE_MACRO: &str = "fastrace #[trace]";

/// Telemark first, then the rivals.
pub(crate) static ALL: [&str; 6] = [TRACED, TELEMARK_API, SDK, BRIDGE, FASTRACE, FASTRACE_MACRO];

/// One library, installed in this process or not.
pub(crate) trait Subject: Sync {
    /// Ends a root span and `nested` spans, each inside the one before it.
    fn tree(&self, nested: i64, text: Text);

    /// Makes `calls` single spans under a parent that is not sampled, one after the other.
    fn unsampled(&self, calls: u64);

    /// Makes `calls` single spans under whatever the current context is.
    fn calls(&self, calls: u64);

    /// Waits until every ended span has left the process.
    fn flush(&self);
}

/// The string attribute of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// [`USER`].
    Static,
    /// A `String` that is made for each span: [`path`].
    Owned,
}

/// Longer than any small-string optimisation cares for.
const USER: &str = "alice@example.com";

/// Returns a text of about the same length, which is another one for each span.
fn path(depth: i64) -> String {
    format!("/users/{}/{depth}", black_box(1_234_567))
}

/// The settings of a library where they are not its defaults.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    /// `OTEL_BSP_MAX_QUEUE_SIZE`; fastrace has nothing like it.
    pub(crate) max_queue_size: Option<usize>,
}

/// Installs a library with OTLP over HTTP to the sink at `endpoint` (host and port).
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

/// The same instrumented code in a process that never installs anything.
pub(crate) fn not_installed(name: &str) -> Result<Box<dyn Subject>, Failure> {
    match name {
        TRACED => Ok(telemark::not_installed()),
        // Code on the plain API does not know what is not installed.
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
