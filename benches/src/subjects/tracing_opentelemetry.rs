//! `tracing` spans through `tracing-opentelemetry` into `opentelemetry_sdk`, and through Telemark's layer, each with its default
//! settings.

use std::hint::black_box;

use opentelemetry::trace::TracerProvider as _;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use super::api::unsampled_parent;
use super::{Settings, Subject, Text, USER, opentelemetry_sdk, path, telemark};
use crate::Failure;

pub(super) fn install(url: &str, settings: Settings) -> Result<Box<dyn Subject>, Failure> {
    let provider = opentelemetry_sdk::provider(url, settings)?;
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("benches"));
    tracing_subscriber::registry().with(LevelFilter::INFO).with(layer).try_init()?;
    Ok(Box::new(Bridge { flush: opentelemetry_sdk::flush(provider) }))
}

pub(super) fn install_layer(url: &str, settings: Settings) -> Result<Box<dyn Subject>, Failure> {
    let flush = telemark::installed(url, settings)?;
    tracing_subscriber::registry().with(::telemark::tracing::layer()).try_init()?;
    Ok(Box::new(Bridge { flush }))
}

pub(super) fn not_installed() -> Box<dyn Subject> {
    Box::new(Bridge { flush: Box::new(|| {}) })
}

struct Bridge {
    flush: Box<dyn Fn() + Sync>,
}

impl Subject for Bridge {
    fn tree(&self, nested: i64, text: Text) {
        match text {
            Text::Static => root(USER, nested, true),
            Text::Owned => root_owned(nested, true),
        }
    }

    fn unsampled(&self, calls: u64) {
        let span = tracing::info_span!("root");
        if let Err(failure) = span.set_parent(unsampled_parent()) {
            eprintln!("tracing-opentelemetry: {failure}");
        }
        let _current = span.entered();
        self.calls(calls);
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

#[tracing::instrument(skip_all, fields(user.name = user, app.depth = below, app.cached = cached))]
fn root(user: &str, below: i64, cached: bool) {
    nested_if(user, below, cached);
}

#[tracing::instrument(skip_all, fields(user.name = user, app.depth = below, app.cached = cached))]
fn nested(user: &str, below: i64, cached: bool) {
    nested_if(user, below, cached);
}

fn nested_if(user: &str, below: i64, cached: bool) {
    if below > 0 {
        nested(black_box(user), black_box(below - 1), black_box(cached));
    }
}

#[tracing::instrument(skip_all, fields(user.name = path(below), app.depth = below, app.cached = cached))]
fn root_owned(below: i64, cached: bool) {
    nested_owned_if(below, cached);
}

#[tracing::instrument(skip_all, fields(user.name = path(below), app.depth = below, app.cached = cached))]
fn nested_owned(below: i64, cached: bool) {
    nested_owned_if(below, cached);
}

fn nested_owned_if(below: i64, cached: bool) {
    if below > 0 {
        nested_owned(black_box(below - 1), black_box(cached));
    }
}
