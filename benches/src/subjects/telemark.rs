//! Telemark as `telemark::init()` sets it up, with the endpoint from the environment.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use ::telemark::config::Env;
use ::telemark::time::Deadline;
use ::telemark::trace::SdkTracer;
use ::telemark::{Guard, traced};

use super::api::{Api, below_unsampled};
use super::{Settings, Subject, Text, USER, path};
use crate::Failure;

/// The two ways to create a span.
#[derive(Clone, Copy)]
pub(super) enum Style {
    /// `#[traced]` functions.
    Attribute,
    /// The plain OpenTelemetry API with the concrete tracer, as for `opentelemetry_sdk`.
    Api,
}

pub(super) fn install(url: &str, settings: Settings, style: Style) -> Result<Box<dyn Subject>, Failure> {
    let telemetry = init(url, settings)?;
    let tracer = telemetry.tracer("benches");
    let flush: Box<dyn Fn() + Sync> = Box::new(move || flush(&telemetry));
    Ok(match style {
        Style::Attribute => Box::new(Traced { tracer: Some(tracer), flush }),
        Style::Api => Box::new(Api { tracer, flush }),
    })
}

/// Installs Telemark for spans of another kind. Returns what flushes it.
pub(super) fn installed(url: &str, settings: Settings) -> Result<Box<dyn Fn() + Sync>, Failure> {
    let telemetry = init(url, settings)?;
    Ok(Box::new(move || flush(&telemetry)))
}

fn init(url: &str, settings: Settings) -> Result<Arc<Guard>, Failure> {
    // Only traces, because the rivals do not record metrics either.
    let mut pairs =
        vec![("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url.to_owned()), ("OTEL_METRICS_EXPORTER", "none".to_owned())];
    pairs.extend(settings.max_queue_size.map(|size| ("OTEL_BSP_MAX_QUEUE_SIZE", size.to_string())));
    let env = Env::from_pairs(pairs);
    Ok(Arc::new(::telemark::builder().with_env(env).init()?))
}

pub(super) fn not_installed() -> Box<dyn Subject> {
    Box::new(Traced { tracer: None, flush: Box::new(|| {}) })
}

fn flush(telemetry: &Guard) {
    if let Err(failure) = telemetry.force_flush(Deadline::after(Duration::from_secs(10))) {
        eprintln!("telemark: {failure}");
    }
}

struct Traced {
    tracer: Option<SdkTracer>,
    flush: Box<dyn Fn() + Sync>,
}

impl Subject for Traced {
    fn tree(&self, nested: i64, text: Text) {
        match text {
            Text::Static => root(USER, nested, true),
            Text::Owned => root_owned(nested, true),
        }
    }

    fn unsampled(&self, calls: u64) {
        let Some(tracer) = &self.tracer else { return };
        below_unsampled(tracer, || self.calls(calls));
    }

    fn calls(&self, calls: u64) {
        for _ in 0..calls {
            nested(black_box(USER), black_box(0), black_box(true));
        }
    }

    fn flush(&self) {
        (self.flush)();
    }
}

#[traced(fields(user.name = user, app.depth = below, app.cached = cached))]
fn root(user: &'static str, below: i64, cached: bool) {
    nested_if(user, below, cached);
}

#[traced(fields(user.name = user, app.depth = below, app.cached = cached))]
fn nested(user: &'static str, below: i64, cached: bool) {
    nested_if(user, below, cached);
}

fn nested_if(user: &'static str, below: i64, cached: bool) {
    if below > 0 {
        nested(black_box(user), black_box(below - 1), black_box(cached));
    }
}

#[traced(fields(user.name = path(below), app.depth = below, app.cached = cached))]
fn root_owned(below: i64, cached: bool) {
    nested_owned_if(below, cached);
}

#[traced(fields(user.name = path(below), app.depth = below, app.cached = cached))]
fn nested_owned(below: i64, cached: bool) {
    nested_owned_if(below, cached);
}

fn nested_owned_if(below: i64, cached: bool) {
    if below > 0 {
        nested_owned(black_box(below - 1), black_box(cached));
    }
}
