//! The layer's filter, which is separate from log line filters.

use std::sync::atomic::{AtomicBool, Ordering};

use telemark_sdk::span_filter::{self, SpanFilter};
use tracing::Metadata;
use tracing::metadata::LevelFilter;
use tracing::subscriber::Interest;
use tracing_subscriber::layer::{Context, Filter};

use crate::sites;

/// Selects the spans and events that the layer sees, using either the program's span filter, `OTEL_RUST_SPANS`, or the
/// layer's own filter.
#[derive(Debug)]
pub struct BridgeFilter {
    /// `None` means the program's current filter.
    own: Option<SpanFilter>,
    events: Events,
}

/// The events that have an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Events {
    None,
    /// Errors, for the status of the span.
    Errors,
    All,
}

/// True once the filter has rejected a span that another layer keeps.
static REJECTED: AtomicBool = AtomicBool::new(false);

/// Returns true if this layer may have filtered out a span that another layer keeps.
#[inline]
pub(crate) fn has_rejected() -> bool {
    REJECTED.load(Ordering::Relaxed)
}

impl BridgeFilter {
    pub(crate) fn new(own: Option<SpanFilter>, events: Events) -> Self {
        BridgeFilter { own, events }
    }

    #[inline]
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_event() {
            let matters = match self.events {
                Events::None => false,
                Events::Errors => *metadata.level() == tracing::Level::ERROR,
                Events::All => true,
            };
            if !matters {
                return false;
            }
        }
        match (&self.own, sites::find(metadata)) {
            (None, Some(site)) => site.switch.is_on(),
            (None, None) => span_filter::current().enabled(metadata.target(), sites::level(*metadata.level())),
            (Some(own), _) => own.enabled(metadata.target(), sites::level(*metadata.level())),
        }
    }
}

impl<S> Filter<S> for BridgeFilter {
    #[inline]
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        let wants = self.wants(metadata);
        if !wants && metadata.is_span() && !has_rejected() {
            REJECTED.store(true, Ordering::Relaxed);
        }
        wants
    }

    /// The result is valid until the filter changes, after which `tracing` calls this again.
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        sites::site(metadata);
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let most = match &self.own {
            None => span_filter::current().max_level(),
            Some(own) => own.max_level(),
        };
        Some(match most {
            None => LevelFilter::OFF,
            Some(span_filter::Level::Error) => LevelFilter::ERROR,
            Some(span_filter::Level::Warn) => LevelFilter::WARN,
            Some(span_filter::Level::Info) => LevelFilter::INFO,
            Some(span_filter::Level::Debug) => LevelFilter::DEBUG,
            Some(span_filter::Level::Trace) => LevelFilter::TRACE,
        })
    }
}
