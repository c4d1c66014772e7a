//! Installs the program's subscriber, which writes the lines, unless the program already has one.

use telemark_sdk::config::Env;
use telemark_sdk::diag::{self, Level};
use telemark_sdk::error::ConfigError;
use telemark_sdk::install::Telemetry;
use telemark_sdk::span_filter::is_misspelt_level;
use tracing_core::dispatcher::{self, Dispatch};
use tracing_core::{LevelFilter, Subscriber};
use tracing_subscriber::filter::{Directive, EnvFilter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Identity, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::layer::LineLayer;

/// Writes the program's log lines by installing [`subscriber()`] as the global subscriber. If the program already has a global
/// subscriber, keeps it, logs a message on standard error, and returns false.
///
/// If another subscriber's `init` is called afterwards, it panics, as it does whenever a subscriber is installed; `try_init`
/// returns an error. A program that builds its own subscriber should add a [`LineLayer`] to it instead of calling this
/// function.
///
/// ```
/// assert!(telemark_tracing_fmt::init());
/// assert!(!telemark_tracing_fmt::init());
/// ```
pub fn init() -> bool {
    init_with(Identity::new())
}

/// Does the same as [`init()`], but adds another layer below the [`LineLayer`]. This layer sees all spans and events,
/// regardless of `RUST_LOG`.
pub fn init_with(layer: impl Layer<Registry> + Send + Sync) -> bool {
    set_global(subscriber_with(layer))
}

/// Does the same as [`init()`], with the resource from `telemetry`. Intended for the telemetry builder:
/// `builder.with_instrumentation(telemark_tracing_fmt::install)`.
pub fn install(telemetry: &Telemetry) {
    install_with(telemetry, Identity::new());
}

/// Does the same as [`install`], but adds another layer below the [`LineLayer`]. This layer sees all spans and events,
/// regardless of `RUST_LOG`.
pub fn install_with(telemetry: &Telemetry, layer: impl Layer<Registry> + Send + Sync) {
    install_lines(layer, LineLayer::from_env(&Env::process()).with_resource(telemetry.tracer_provider().resource()));
}

/// Installs these lines, filtered by `RUST_LOG`, with another layer below them. This layer sees all spans and events, regardless of
/// `RUST_LOG`. If the program already has a global subscriber, keeps it, logs a message on standard error, and returns false.
///
/// ```
/// use telemark_tracing_fmt::{Format, LineLayer, install_lines};
/// use tracing_subscriber::layer::Identity;
///
/// assert!(install_lines(Identity::new(), LineLayer::new(Format::Text)));
/// ```
pub fn install_lines<W>(layer: impl Layer<Registry> + Send + Sync, lines: LineLayer<W>) -> bool
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, format) = (filter(&Env::process()), lines.format().name());
    let filters = filter.to_string();
    let is_set = set_global(compose(layer, lines, filter));
    if is_set {
        diag::started(format_args!("log lines: {format}, filter {filters}"));
    }
    is_set
}

/// Returns a subscriber that writes lines as configured by the environment. `RUST_LOG` sets the filter, by default `info`, and
/// `OTEL_RUST_LOG_FORMAT` sets the format: by default text on standard error beside a console exporter, otherwise JSON on standard
/// output.
pub fn subscriber() -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync {
    subscriber_with(Identity::new())
}

/// Returns the same as [`subscriber()`], but adds another layer below the [`LineLayer`]. This layer sees all spans and events,
/// regardless of `RUST_LOG`.
pub fn subscriber_with(
    layer: impl Layer<Registry> + Send + Sync,
) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync {
    let env = Env::process();
    compose(layer, LineLayer::from_env(&env), filter(&env))
}

/// Combines the layers. No other code does this.
fn compose<W>(
    below: impl Layer<Registry> + Send + Sync,
    lines: LineLayer<W>,
    filter: EnvFilter,
) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    Registry::default().with(below).with(lines.with_filter(filter))
}

/// Returns the filter for lines from `RUST_LOG`, by default `info`. Reports and ignores directives that cannot be parsed.
///
/// A program that builds its own subscriber can replace the filter of its lines while it runs:
///
/// ```
/// use telemark_sdk::config::Env;
/// use telemark_tracing_fmt::{Format, LineLayer, filter};
/// use tracing_subscriber::prelude::*;
/// use tracing_subscriber::reload;
///
/// let (lines, handle) = reload::Layer::new(filter(&Env::process()));
/// let subscriber = tracing_subscriber::registry().with(LineLayer::new(Format::Json).with_filter(lines));
/// # let _default = tracing::subscriber::set_default(subscriber);
///
/// handle.reload("warn,shop::cart=debug".parse::<tracing_subscriber::EnvFilter>()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn filter(env: &Env) -> EnvFilter {
    let value = env.string(VARIABLE).unwrap_or_default();
    let (valid, invalid): (Vec<_>, Vec<_>) = (value.split(',').map(str::trim))
        .filter(|text| !text.is_empty())
        .partition(|text| text.parse::<Directive>().is_ok());
    for text in invalid {
        let error = ConfigError::invalid(VARIABLE, text, "a list of levels and target=level");
        diag::log(Level::Warn, "log filter", format_args!("{error}"));
    }
    for word in valid.iter().filter(|text| is_misspelt_level(text)) {
        let lines = format_args!(
            "{VARIABLE} has the target {word:?}, which selects the lines of that target; is it a misspelt level?"
        );
        diag::log(Level::Warn, "log filter", lines);
    }
    EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse_lossy(valid.join(","))
}

const VARIABLE: &str = "RUST_LOG";

fn set_global(subscriber: impl Subscriber + Send + Sync) -> bool {
    let is_set = dispatcher::set_global_default(Dispatch::new(subscriber)).is_ok();
    if !is_set {
        diag::log(Level::Warn, "subscriber", format_args!("{SET_ALREADY}"));
    }
    is_set
}

const SET_ALREADY: &str = "the program has set a subscriber of `tracing` already, which stays, so that Telemark writes no log \
    lines; add its line layer to that subscriber, or do not set one";
