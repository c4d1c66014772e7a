//! The layer's filter, which is separate from log line filters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use telemark_sdk::span_filter::{self, SpanFilter};
use tracing::Metadata;
use tracing::metadata::LevelFilter;
use tracing::subscriber::Interest;
use tracing_subscriber::layer::{Context, Filter};

use crate::events::Handlers;
use crate::sites;

/// Selects the spans and events that the layer sees, using either the program's filters, `OTEL_RUST_SPANS` and `OTEL_RUST_LOGS`, or
/// the layer's own filter.
///
/// The layer also sees the spans that the filter removes if their level is INFO or above. It records none of them, but a parent that
/// is set on them passes through, so that the trace of a request is not lost.
#[derive(Debug)]
pub struct BridgeFilter {
    /// `None` means the program's current filters.
    own: Option<Arc<SpanFilter>>,
    handlers: Handlers,
    events: Events,
}

/// The effects that events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) records: bool,
    pub(crate) span_events: bool,
    /// Errors set the status of the span.
    pub(crate) errors: bool,
}

/// Returns true if the layer sees such a span even if the filter removes it.
pub(crate) fn may_pass_through(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= tracing::Level::INFO
}

/// True once the filter has rejected a span that exists, because another layer keeps it or it may pass a parent on.
static REJECTED: AtomicBool = AtomicBool::new(false);

/// Notes that the filter has rejected a span.
#[inline]
pub(crate) fn note_rejected() {
    if !has_rejected() {
        REJECTED.store(true, Ordering::Relaxed);
    }
}

/// Returns true if this layer may have filtered out a span that exists.
#[inline]
pub(crate) fn has_rejected() -> bool {
    REJECTED.load(Ordering::Relaxed)
}

impl BridgeFilter {
    pub(crate) fn new(own: Option<Arc<SpanFilter>>, handlers: Handlers, events: Events) -> Self {
        BridgeFilter { own, handlers, events }
    }

    #[inline]
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        // `tracing::enabled!` does not say what follows: a span, an event, or both.
        let is_event = metadata.is_event() || !metadata.is_span();
        !metadata.is_event() && self.is_kept(metadata, Filtered::Spans) || is_event && self.wants_event(metadata)
    }

    #[inline]
    fn wants_event(&self, metadata: &Metadata<'_>) -> bool {
        let is_handled = self.handlers.find(metadata.target()).is_some();
        let Events { records, span_events, errors } = self.events;
        let is_for_spans = span_events || errors && *metadata.level() == tracing::Level::ERROR || is_handled;
        records && self.is_kept(metadata, Filtered::Records) || is_for_spans && self.is_kept(metadata, Filtered::Spans)
    }

    #[inline]
    fn is_kept(&self, metadata: &Metadata<'_>, what: Filtered) -> bool {
        let (target, level) = (metadata.target(), sites::level(*metadata.level()));
        match (&self.own, sites::find(metadata), what) {
            (Some(own), ..) => own.enabled(target, level),
            (None, Some(site), Filtered::Spans) => site.switch.is_on(),
            (None, Some(site), Filtered::Records) => site.records.is_on(),
            (None, None, Filtered::Spans) => span_filter::current().enabled(target, level),
            (None, None, Filtered::Records) => span_filter::records::current().enabled(target, level),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Filtered {
    Spans,
    Records,
}

/// Returns true if no event need follow: `tracing::enabled!` asks, or the `log` crate, whose metadata is temporary.
/// `tracing-subscriber` keeps a negative response, and would withhold the next event of this thread from the layer, whichever it is.
#[inline]
pub(crate) fn is_question(metadata: &Metadata<'_>) -> bool {
    let is_of_log = || metadata.name() == "log record" && sites::find(metadata).is_none();
    !metadata.is_span() && (!metadata.is_event() || is_of_log())
}

impl<S> Filter<S> for BridgeFilter {
    #[inline]
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        // The layer itself filters the records of the `log` crate.
        if is_question(metadata) {
            return true;
        }
        let wants = self.wants(metadata) || metadata.is_span() && may_pass_through(metadata);
        if !wants && metadata.is_span() {
            note_rejected();
        }
        wants
    }

    /// The result is valid until the filter changes, after which `tracing` calls this again.
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        sites::site(metadata);
        let passes_through = metadata.is_span() && may_pass_through(metadata);
        if passes_through || self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let most = match &self.own {
            None => span_filter::current().max_level().max(span_filter::records::current().max_level()),
            Some(own) => own.max_level(),
        };
        Some(match most {
            // For the spans that pass a parent on.
            None | Some(span_filter::Level::Error | span_filter::Level::Warn | span_filter::Level::Info) => {
                LevelFilter::INFO
            }
            Some(span_filter::Level::Debug) => LevelFilter::DEBUG,
            Some(span_filter::Level::Trace) => LevelFilter::TRACE,
        })
    }
}
