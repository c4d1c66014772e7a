//! The layer that writes a line for each event.

use std::cell::Cell;
use std::io::IsTerminal;
use std::sync::OnceLock;

use opentelemetry::trace::SpanContext;
use telemark_sdk::Resource;
use telemark_sdk::config::Env;
use telemark_sdk::diag;
use telemark_sdk::time::Clock;
use telemark_sdk::trace::active;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{Extensions, LookupSpan};

use crate::fields::SpanFields;
use crate::format::Format;
use crate::line::Line;
use crate::output::{Depth, Output, StandardStream};
use crate::render::Style;
use crate::resource::ResourceKeys;

/// The default maximum size of a line, which is the size at which Docker's log drivers split lines.
const DEFAULT_MAX: usize = 16 * 1024;

/// The smallest accepted maximum, which is enough for the ids, the resource and a short message.
const SMALLEST_MAX: usize = 2 * 1024;

/// A layer for `tracing-subscriber` that writes one line per event, with the ids of the current span.
///
/// It can be combined with filters and other layers, boxed or behind `reload`, and does not filter events itself:
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
/// A line is written on the event's thread, with a single call to the writer. Like `println!`, this call waits while a pipe is
/// full. To let another thread wait instead, pass a writer such as the one from `tracing-appender` to [`Self::with_writer`].
#[derive(Debug)]
#[must_use = "a layer does nothing until it is added to a subscriber"]
pub struct LineLayer<W = StandardStream> {
    format: Format,
    max: usize,
    has_span_fields: bool,
    has_code_location: bool,
    is_colored: bool,
    ids: Option<IdsOfSpan>,
    keys: ResourceKeys,
    /// The rendered resource attributes, once the resource is known.
    resource: OnceLock<String>,
    clock: Clock,
    writer: W,
    output: Output,
}

/// Finds the ids of a `tracing` span in its extensions.
pub(crate) type IdsOfSpan = fn(&Extensions<'_>) -> Option<SpanContext>;

impl LineLayer {
    /// Creates a layer that writes JSON to standard output, and text to standard error, in colours if that is a terminal and
    /// `NO_COLOR` is not set.
    pub fn new(format: Format) -> Self {
        Self::in_format(format, &Env::process())
    }

    fn in_format(format: Format, env: &Env) -> Self {
        LineLayer {
            format,
            max: DEFAULT_MAX,
            has_span_fields: false,
            has_code_location: false,
            is_colored: env.string("NO_COLOR").is_none() && std::io::stderr().is_terminal(),
            ids: None,
            keys: ResourceKeys::default(),
            resource: OnceLock::new(),
            clock: Clock::system(),
            writer: StandardStream(format),
            output: Output::default(),
        }
    }

    /// Creates a layer with the format that [`Format::from_env`] returns. Reports an invalid value once.
    pub fn from_env(env: &Env) -> Self {
        let layer = Self::in_format(Format::from_env(env), env);
        for warning in env.take_warnings() {
            diag::log(diag::Level::Warn, "log format", format_args!("{warning}"));
        }
        layer
    }
}

impl<W> LineLayer<W> {
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Sets the writer for lines.
    ///
    /// If the writer fails or panics, the line is dropped and counted by [`dropped_lines`](crate::dropped_lines). Lines for
    /// events caused by the writer itself are also dropped. Another writer gets no colours unless [`Self::with_color`] enables them.
    pub fn with_writer<N>(self, writer: N) -> LineLayer<N>
    where
        N: for<'a> MakeWriter<'a> + 'static,
    {
        LineLayer {
            format: self.format,
            max: self.max,
            has_span_fields: self.has_span_fields,
            has_code_location: self.has_code_location,
            is_colored: false,
            ids: self.ids,
            keys: self.keys,
            resource: self.resource,
            clock: self.clock,
            writer,
            output: self.output,
        }
    }

    /// Adds the fields of the enclosing `tracing` spans to the event's fields, including fields recorded after their span has
    /// started. If names are equal, the event's field takes precedence, followed by the innermost span's field.
    ///
    /// Fields whose name starts with `otel.` are left out, because they steer the span. Only spans that pass this layer's filter are
    /// included. Values longer than 4 KiB are truncated.
    pub fn with_span_fields(mut self) -> Self {
        self.has_span_fields = true;
        self
    }

    /// Adds the event's source file and line, as `code.file.path` and `code.line.number`, or in ECS as `log.origin.file.*`.
    pub fn with_code_location(mut self) -> Self {
        self.has_code_location = true;
        self
    }

    /// Sets whether text has colours. The other formats never have any.
    pub fn with_color(mut self, is_on: bool) -> Self {
        self.is_colored = is_on;
        self
    }

    /// Sets how the ids of a `tracing` span are found, for events that name their parent: `info!(parent: &span, ..)`. Without this,
    /// or if the event is contextual, the ids are those of the current OpenTelemetry span.
    ///
    /// For spans of Telemark's layer, pass `telemark::tracing::span_context`.
    pub fn with_ids_of_spans(mut self, ids: fn(&Extensions<'_>) -> Option<SpanContext>) -> Self {
        self.ids = Some(ids);
        self
    }

    /// Sets the resource. By default, the installed telemetry's resource is used, starting with the first event after the
    /// installation.
    pub fn with_resource(mut self, resource: &Resource) -> Self {
        self.resource = OnceLock::from(self.keys.render(self.format, resource, self.max / 4));
        self
    }

    /// Sets the resource attributes to include in lines. Call this method before [`Self::with_resource`]. The default is
    /// `service.name`, `service.namespace`, `service.version`, `service.instance.id` and `deployment.environment.name`.
    ///
    /// The text format includes none of them.
    pub fn with_resource_attributes<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys = ResourceKeys::new(keys.into_iter().map(Into::into));
        self
    }

    /// Sets the maximum size of a line in bytes, including its newline: 16 KiB by default, and at least 2 KiB.
    ///
    /// In a longer line, first the message and then the fields are truncated. The line remains valid and contains
    /// `"telemark.truncated":true`.
    pub fn with_max_line_size(mut self, bytes: usize) -> Self {
        self.max = bytes.max(SMALLEST_MAX);
        self
    }

    /// Sets the clock that provides timestamps. The default is the system clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the rendered resource, or empty text if the resource is not known yet.
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
    /// This thread's line buffer. If an event occurs while another event is being formatted, it finds an empty buffer.
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
        // Another layer of this type in the same subscriber has already stored the fields.
        if span.extensions().get::<SpanFields>().is_some() {
            return;
        }
        // Format the fields before taking the lock, because a field's code may log.
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
        // At the end of a thread, there is no buffer to reuse.
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        line.begin(self.max);
        let style = Style {
            format: self.format,
            keys: &self.keys,
            resource: self.resource(),
            has_span_fields: self.has_span_fields,
            has_code_location: self.has_code_location,
            is_colored: self.is_colored,
            ids: self.ids,
        };
        style.render(&mut line, self.clock.now(), event, &context);
        self.output.write(depth, &self.writer, event.metadata(), line.bytes());
        line.shrink(2 * self.max);
        let _ = LINE.try_with(|kept| kept.set(line));
    }
}
