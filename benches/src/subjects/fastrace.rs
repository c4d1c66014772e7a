//! `fastrace` with `fastrace-opentelemetry` and `opentelemetry-otlp`. Its properties are strings, so the integer and the
//! boolean are sent as text.

use std::borrow::Cow;
use std::hint::black_box;

use ::fastrace::prelude::*;
use fastrace_opentelemetry::OpenTelemetryReporter;
use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;

use super::{Subject, Text, USER, opentelemetry_sdk as sdk, path};
use crate::Failure;

/// The two ways to create a span.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Style {
    /// `LocalSpan` with lazily created properties, the cheapest way.
    LocalSpan,
    /// The attribute macro, which formats properties with `format!`.
    Attribute,
}

pub(super) fn install(url: &str, style: Style) -> Result<Box<dyn Subject>, Failure> {
    let reporter = OpenTelemetryReporter::new(
        sdk::exporter(url)?,
        Cow::Owned(Resource::builder().build()),
        InstrumentationScope::builder("benches").build(),
    );
    ::fastrace::set_reporter(reporter, ::fastrace::collector::Config::default());
    Ok(not_installed(style))
}

pub(super) fn not_installed(style: Style) -> Box<dyn Subject> {
    Box::new(Fastrace { style })
}

struct Fastrace {
    style: Style,
}

impl Subject for Fastrace {
    fn tree(&self, nested: i64, text: Text) {
        let root = Span::root("root", SpanContext::random()).with_properties(|| match text {
            Text::Static => properties(USER, nested, true),
            Text::Owned => properties(path(nested), nested, true),
        });
        let _current = root.set_local_parent();
        if nested > 0 {
            match (self.style, text) {
                (Style::LocalSpan, Text::Static) => local(USER, nested - 1, true),
                (Style::LocalSpan, Text::Owned) => local_owned(nested - 1, true),
                (Style::Attribute, Text::Static) => attribute(USER, nested - 1, true),
                (Style::Attribute, Text::Owned) => attribute_owned(nested - 1, true),
            }
        }
    }

    fn unsampled(&self, calls: u64) {
        let root = Span::root("root", SpanContext::random().sampled(false));
        let _current = root.set_local_parent();
        self.calls(calls);
    }

    fn calls(&self, calls: u64) {
        for _ in 0..calls {
            match self.style {
                Style::LocalSpan => local(black_box(USER), black_box(0), black_box(true)),
                Style::Attribute => attribute(black_box(USER), black_box(0), black_box(true)),
            }
        }
    }

    fn flush(&self) {
        ::fastrace::flush();
    }
}

fn local(user: &'static str, below: i64, cached: bool) {
    let _span = LocalSpan::enter_with_local_parent("nested").with_properties(|| properties(user, below, cached));
    if below > 0 {
        local(black_box(user), black_box(below - 1), black_box(cached));
    }
}

fn local_owned(below: i64, cached: bool) {
    let _span = LocalSpan::enter_with_local_parent("nested").with_properties(|| properties(path(below), below, cached));
    if below > 0 {
        local_owned(black_box(below - 1), black_box(cached));
    }
}

/// Repeats the format of [`path`], because the attribute does not accept expressions.
#[trace(properties = { "user.name": "/users/1234567/{below}", "app.depth": "{below}", "app.cached": "{cached}" })]
fn attribute_owned(below: i64, cached: bool) {
    if below > 0 {
        attribute_owned(black_box(below - 1), black_box(cached));
    }
}

#[trace(properties = { "user.name": "{user}", "app.depth": "{below}", "app.cached": "{cached}" })]
fn attribute(user: &'static str, below: i64, cached: bool) {
    if below > 0 {
        attribute(black_box(user), black_box(below - 1), black_box(cached));
    }
}

fn properties(user: impl Into<Cow<'static, str>>, depth: i64, cached: bool) -> [(&'static str, Cow<'static, str>); 3] {
    [
        ("user.name", user.into()),
        ("app.depth", Cow::Owned(depth.to_string())),
        ("app.cached", Cow::Borrowed(if cached { "true" } else { "false" })),
    ]
}
