//! The layer that writes a line for each event.

use std::cell::Cell;
use std::sync::OnceLock;

use telemark_sdk::Resource;
use telemark_sdk::config::Env;
use telemark_sdk::diag;
use telemark_sdk::time::Clock;
use telemark_sdk::trace::active;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::fields::SpanFields;
use crate::format::Format;
use crate::line::Line;
use crate::output::{Depth, Output, StandardStream};
use crate::render::Style;
use crate::resource::ResourceKeys;

/// The default for the maximum size of a line, at which the log drivers of Docker split lines.
const DEFAULT_MAX: usize = 16 * 1024;

/// Smallest accepted maximum: enough for the ids, the resource and a short message.
const SMALLEST_MAX: usize = 2 * 1024;

/// A layer for `tracing-subscriber` that writes a line for each event, with the ids of the span that is running.
///
/// It composes with filters and other layers, boxed or behind `reload`. It filters nothing itself:
///
/// ```
/// use telemark_tracing_fmt::{Format, LineLayer};
/// use tracing_subscriber::filter::LevelFilter;
/// use tracing_subscriber::prelude::*;
///
/// let lines = LineLayer::new(Format::JsonFlat).with_span_fields();
/// let subscriber = tracing_subscriber::registry().with(lines.with_filter(LevelFilter::INFO));
/// # drop(subscriber);
/// ```
///
/// A line is written on the thread of the event, by one call of the writer. Like `println!`, that call waits while a pipe is
/// full. With [`Self::with_writer`] and a writer such as that of `tracing-appender`, another thread waits instead.
#[derive(Debug)]
#[must_use = "a layer does nothing until it is added to a subscriber"]
pub struct LineLayer<W = StandardStream> {
    format: Format,
    max: usize,
    has_span_fields: bool,
    has_code_location: bool,
    keys: ResourceKeys,
    /// The rendered attributes of the resource, once it is known.
    resource: OnceLock<String>,
    clock: Clock,
    writer: W,
    output: Output,
}

impl LineLayer {
    /// Creates a layer that writes JSON to standard output, and text to standard error.
    pub fn new(format: Format) -> Self {
        LineLayer {
            format,
            max: DEFAULT_MAX,
            has_span_fields: false,
            has_code_location: false,
            keys: ResourceKeys::default(),
            resource: OnceLock::new(),
            clock: Clock::system(),
            writer: StandardStream(format),
            output: Output::default(),
        }
    }

    /// Creates a layer in the format that `OTEL_RUST_LOG_FORMAT` names. Reports an invalid value once.
    pub fn from_env(env: &Env) -> Self {
        let layer = LineLayer::new(Format::from_env(env));
        for warning in env.take_warnings() {
            diag::log(diag::Level::Warn, "log format", format_args!("{warning}"));
        }
        layer
    }
}

impl<W> LineLayer<W> {
    /// Sets where lines are written.
    ///
    /// A writer that fails or panics costs the line, which [`dropped_lines`](crate::dropped_lines) counts. Lines of events
    /// that the writer itself causes are dropped as well.
    pub fn with_writer<N>(self, writer: N) -> LineLayer<N>
    where
        N: for<'a> MakeWriter<'a> + 'static,
    {
        LineLayer {
            format: self.format,
            max: self.max,
            has_span_fields: self.has_span_fields,
            has_code_location: self.has_code_location,
            keys: self.keys,
            resource: self.resource,
            clock: self.clock,
            writer,
            output: self.output,
        }
    }

    /// Adds the fields of the enclosing `tracing` spans to those of the event, including fields recorded after the start of
    /// their span. If names are equal, the event wins, then the innermost span.
    ///
    /// Only spans that the filter of this layer lets through are seen. Values longer than 4 KiB are truncated.
    pub fn with_span_fields(mut self) -> Self {
        self.has_span_fields = true;
        self
    }

    /// Adds the file and the line of the event, as `code.file.path` and `code.line.number`; in ECS, `log.origin.file.*`.
    pub fn with_code_location(mut self) -> Self {
        self.has_code_location = true;
        self
    }

    /// Sets the resource. The default is that of the installed telemetry, from the first event after its installation on.
    pub fn with_resource(mut self, resource: &Resource) -> Self {
        self.resource = OnceLock::from(self.keys.render(self.format, resource, self.max / 4));
        self
    }

    /// Sets which attributes of the resource lines carry; call it before [`Self::with_resource`]. The default is
    /// `service.name`, `service.namespace`, `service.version`, `service.instance.id` and `deployment.environment.name`.
    ///
    /// Text for people carries none of them.
    pub fn with_resource_attributes<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys = ResourceKeys::new(keys.into_iter().map(Into::into));
        self
    }

    /// Sets the maximum size of a line in bytes, including its newline: 16 KiB by default, and at least 2 KiB.
    ///
    /// A longer line is cut at the end of its message, then of its fields, remains valid, and says `"telemark.truncated":true`.
    pub fn with_max_line_size(mut self, bytes: usize) -> Self {
        self.max = bytes.max(SMALLEST_MAX);
        self
    }

    /// Sets the clock of the timestamps. The default is the system clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the rendered resource, or nothing before it is known.
    fn resource(&self) -> &str {
        if let Some(resource) = self.resource.get() {
            return resource;
        }
        match active::resource() {
            Some(resource) => self.resource.get_or_init(|| self.keys.render(self.format, resource, self.max / 4)),
            None => "",
        }
    }
}

thread_local! {
    /// The line of this thread. An event within the formatting of another finds an empty one.
    static LINE: Cell<Line> = Cell::default();
}

impl<S, W> Layer<S> for LineLayer<W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !self.has_span_fields {
            return;
        }
        let Some(span) = context.span(id) else { return };
        // Another layer of this type in the same subscriber has been here already.
        if span.extensions().get::<SpanFields>().is_some() {
            return;
        }
        // Formats before it takes the lock, because the code of a field may log.
        let mut fields = SpanFields::default();
        attributes.record(&mut fields);
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if !self.has_span_fields {
            return;
        }
        let mut later = SpanFields::default();
        values.record(&mut later);
        if later.is_empty() {
            return;
        }
        if let Some(span) = context.span(id) {
            if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
                fields.merge(later);
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(depth) = Depth::enter() else { return };
        // At the end of a thread there is none to reuse.
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        line.begin(self.max);
        let style = Style {
            format: self.format,
            keys: &self.keys,
            resource: self.resource(),
            has_span_fields: self.has_span_fields,
            has_code_location: self.has_code_location,
        };
        style.render(&mut line, self.clock.now(), event, &context);
        self.output.write(depth, &self.writer, event.metadata(), line.bytes());
        line.shrink(2 * self.max);
        let _ = LINE.try_with(|kept| kept.set(line));
    }
}
