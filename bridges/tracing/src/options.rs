//! The options of the layer, and its construction.

use std::borrow::Cow;
use std::sync::Arc;

use telemark_sdk::span_filter::{self, SpanFilter};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::registry::LookupSpan;

use crate::events::Handlers;
use crate::filter::{BridgeFilter, Events};
use crate::layer::Bridge;
use crate::log_crate;
use crate::sites::{self, Site};

/// The layer together with its filter.
pub type TelemarkLayer<S> = Filtered<Bridge, BridgeFilter, S>;

/// Returns the layer with its default options.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let subscriber = tracing_subscriber::registry().with(telemark_tracing::layer());
/// # drop(subscriber);
/// ```
pub fn layer<S>() -> TelemarkLayer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    builder().build()
}

/// Returns a builder of the layer.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let layer = telemark_tracing::builder().with_threads(true).with_events_as_span_events(true).build();
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # drop(subscriber);
/// ```
pub fn builder() -> LayerBuilder {
    LayerBuilder { options: Options::default() }
}

/// Builds the layer.
#[derive(Clone, Debug)]
#[must_use]
pub struct LayerBuilder {
    options: Options,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) location: bool,
    pub(crate) threads: bool,
    pub(crate) times: bool,
    pub(crate) log_records: bool,
    pub(crate) span_fields: Vec<Cow<'static, str>>,
    pub(crate) span_events: bool,
    pub(crate) errors: bool,
    /// The functions that record the events of some targets.
    pub(crate) handlers: Handlers,
    /// The layer's own filter; `None` means the program's current filters.
    pub(crate) filter: Option<Arc<SpanFilter>>,
}

impl Options {
    /// Returns true if the filter keeps spans of this site.
    #[inline]
    pub(crate) fn keeps_spans(&self, site: &'static Site, metadata: &Metadata<'_>) -> bool {
        match &self.filter {
            None => site.switch.is_on(),
            Some(own) => own.enabled(metadata.target(), sites::level(*metadata.level())),
        }
    }

    /// Returns true if events at this level may become span events or set the status of a span.
    #[inline]
    pub(crate) fn may_concern_spans(&self, level: Level) -> bool {
        self.span_events || self.errors && level == Level::ERROR
    }

    /// Returns true if the filter of spans lets an event become a span event or set the status of a span.
    #[inline]
    pub(crate) fn keeps_for_spans(&self, site: &'static Site, event: &Event<'_>) -> bool {
        match &site.log_site {
            Some(_) => self.keeps_spans(site, event.metadata()),
            None => self.keeps_of_log(site, event, span_filter::current),
        }
    }

    /// Returns true if the filter keeps the log record of an event.
    #[inline]
    pub(crate) fn keeps_records(&self, site: &'static Site, event: &Event<'_>) -> bool {
        match &site.log_site {
            // The layer's own filter has already decided.
            Some(_) => self.filter.is_some() || site.records.is_on(),
            None => self.keeps_of_log(site, event, span_filter::records::current),
        }
    }

    /// Returns true if the layer's own filter, or else the program's, keeps an event of the `log` crate. All of these share a few sites,
    /// so only the event itself tells its target.
    fn keeps_of_log(&self, site: &'static Site, event: &Event<'_>, current: fn() -> Arc<SpanFilter>) -> bool {
        let filter = self.filter.clone().unwrap_or_else(current);
        log_crate::is_kept(event, |target| filter.enabled(target, sites::level(site.level)))
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            location: true,
            threads: false,
            times: false,
            log_records: true,
            span_fields: Vec::new(),
            span_events: false,
            errors: true,
            handlers: Handlers::default(),
            filter: None,
        }
    }
}

impl LayerBuilder {
    /// Sets whether spans have `code.file.path` and `code.line.number`. On by default.
    pub fn with_location(mut self, is_on: bool) -> Self {
        self.options.location = is_on;
        self
    }

    /// Sets whether spans have `thread.id` and `thread.name` of the thread that creates them. Off by default.
    pub fn with_threads(mut self, is_on: bool) -> Self {
        self.options.threads = is_on;
        self
    }

    /// Sets whether spans have `busy_ns` and `idle_ns`, the times during which they were entered and not entered. Off by
    /// default.
    pub fn with_busy_and_idle_times(mut self, is_on: bool) -> Self {
        self.options.times = is_on;
        self
    }

    /// Sets whether events become log records. On by default.
    pub fn with_events_as_log_records(mut self, is_on: bool) -> Self {
        self.options.log_records = is_on;
        self
    }

    /// Copies fields with these names from the spans around an event to its log record, including values recorded later. The
    /// innermost span takes precedence. No fields are copied by default.
    pub fn with_span_fields_on_records<K: Into<Cow<'static, str>>>(
        mut self,
        names: impl IntoIterator<Item = K>,
    ) -> Self {
        self.options.span_fields = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether events become span events of the current span. Off by default.
    pub fn with_events_as_span_events(mut self, is_on: bool) -> Self {
        self.options.span_events = is_on;
        self
    }

    /// Sets whether an event at the level ERROR gives its span the error status, and whether an event with a field `error` but
    /// without a message, such as the one from `#[instrument(err)]`, is recorded as an exception: as a span event, as a log record,
    /// or as both, as selected by `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`. On by default.
    pub fn with_error_events(mut self, is_on: bool) -> Self {
        self.options.errors = is_on;
        self
    }

    /// Passes the events of a target to `handle` instead of recording them, if the filter of spans keeps them. This is for libraries
    /// that report finished work as events, from which `handle` makes spans. A second handler of the same target replaces the first.
    ///
    /// Such an event is no span event and sets no status. It becomes a log record as well if the filter of log records keeps it, but
    /// not if the layer has a filter of its own.
    ///
    /// The layer calls `handle` for each event, on its thread, while the context of the event is current. `handle` must not block. If
    /// it panics, that event is not recorded.
    ///
    /// ```
    /// use tracing_subscriber::prelude::*;
    ///
    /// let layer = telemark_tracing::builder().with_event_handler("jobs::done", |event| println!("{event:?}")).build();
    /// let subscriber = tracing_subscriber::registry().with(layer);
    /// # drop(subscriber);
    /// ```
    pub fn with_event_handler(
        mut self,
        target: &'static str,
        handle: impl Fn(&Event<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.options.handlers.set(target, Arc::new(handle));
        self
    }

    /// Gives the layer its own filter for spans and events, instead of the program's filters, which are set by `OTEL_RUST_SPANS` and
    /// `OTEL_RUST_LOGS`.
    pub fn with_span_filter(mut self, filter: SpanFilter) -> Self {
        self.options.filter = Some(Arc::new(filter));
        self
    }

    /// Builds the layer.
    pub fn build<S>(self) -> TelemarkLayer<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let filter = self.filter();
        Bridge::new(self.options).with_filter(filter)
    }

    /// Replaces the options and the filter of a layer that is part of a subscriber.
    ///
    /// `reload::Handle::reload` must not be called with a new layer, because `tracing-subscriber` cannot replace a filtered layer
    /// that it has registered: it panics in debug builds, and no longer filters in release builds. `modify` keeps the layer:
    ///
    /// ```
    /// use tracing_subscriber::prelude::*;
    ///
    /// let (layer, handle) = tracing_subscriber::reload::Layer::new(telemark_tracing::layer());
    /// let subscriber = tracing_subscriber::registry().with(layer);
    /// # let _default = tracing::subscriber::set_default(subscriber);
    ///
    /// handle.modify(|layer| telemark_tracing::builder().with_threads(true).reconfigure(layer))?;
    /// # Ok::<(), tracing_subscriber::reload::Error>(())
    /// ```
    pub fn reconfigure<S>(self, layer: &mut TelemarkLayer<S>) {
        *layer.filter_mut() = self.filter();
        layer.inner_mut().reconfigure(self.options);
    }

    fn filter(&self) -> BridgeFilter {
        let Options { log_records: records, span_events, errors, .. } = self.options;
        let handlers = self.options.handlers.clone();
        BridgeFilter::new(self.options.filter.clone(), handlers, Events { records, span_events, errors })
    }
}
