//! Call sites: static data about each span and event macro, prepared once.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use opentelemetry::Context;
use opentelemetry::logs::Severity;
use opentelemetry::trace::TraceContextExt;
use telemark_sdk::instrument::bridge::{self, BridgedSite, PerProcess};
use telemark_sdk::logs::active::ActiveLogger;
use telemark_sdk::logs::{LogSite, Scope};
use telemark_sdk::span_filter::{Level, SpanSwitch};
use telemark_sdk::trace::CallSite;
use tracing::Metadata;
use tracing::field::Field;

use crate::events::KnownMessage;

/// The name of the field that is the message of an event.
const MESSAGE: &str = "message";

/// The name of a span that is not recorded, but carries the current context to wherever the span is entered: to a thread or into a
/// future of a library that passes on only the span of `tracing`.
///
/// Crates that create such a span repeat the name, because they do not depend on this one.
const CARRIER: &str = "telemark.context";

/// One call site.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) level: tracing::Level,
    /// The scope, which is the target, and the place.
    call_site: &'static CallSite,
    /// The logger of the scope.
    pub(crate) logger: ActiveLogger,
    /// The place of the event's records. `None` for spans, and for the records of the `log` crate, which share a macro.
    pub(crate) log_site: Option<LogSite>,
    /// True if the target is that of a library with which exporters send.
    pub(crate) is_of_client: bool,
    /// The event's name, if the program has set one.
    pub(crate) event_name: Option<&'static str>,
    /// The decision of the filter of spans.
    pub(crate) switch: SpanSwitch,
    /// The decision of the filter of log records, for events.
    pub(crate) records: SpanSwitch,
    /// True for a span that carries the current context.
    pub(crate) is_carrier: bool,
    /// True if a field has a special meaning, such as `otel.name`.
    pub(crate) has_special_fields: bool,
    /// True if the names of an event's fields are the keys of its attributes, and each name occurs once.
    pub(crate) has_plain_fields: bool,
    /// The index of the field that is the message.
    message: Option<usize>,
    /// The message, if it is constant.
    pub(crate) known_message: KnownMessage,
}

impl Site {
    fn new(metadata: &'static Metadata<'static>) -> Self {
        let (file, line) = (metadata.file().unwrap_or(""), metadata.line().unwrap_or(0));
        // Lives as long as the macro.
        let call_site: &'static CallSite = Box::leak(Box::new(CallSite::for_target(metadata.target(), file, line)));
        // Otherwise, `tracing` names an event after its source location.
        let is_named = metadata.is_event() && !metadata.name().starts_with("event ");
        let is_of_log = metadata.name() == "log event";
        let severity = severity(*metadata.level());
        let log_site = || LogSite::new(metadata.target(), metadata.name(), severity, file, line);
        Site {
            is_of_client: is_of_client(metadata.target()),
            log_site: (metadata.is_event() && !is_of_log).then(log_site),
            name: metadata.name(),
            level: *metadata.level(),
            call_site,
            logger: ActiveLogger::in_scope(Scope::Static(call_site.scope())),
            event_name: (is_named && !is_of_log).then(|| metadata.name()),
            switch: SpanSwitch::new(metadata.target(), level(*metadata.level())),
            records: SpanSwitch::for_records(metadata.target(), level(*metadata.level())),
            is_carrier: metadata.is_span() && metadata.name() == CARRIER,
            has_special_fields: metadata.fields().iter().any(|field| field.name().starts_with("otel.")),
            has_plain_fields: are_plain(&metadata.fields().iter().map(|field| field.name()).collect::<Vec<_>>()),
            message: metadata.fields().iter().position(|field| field.name() == MESSAGE),
            known_message: KnownMessage::default(),
        }
    }

    /// Returns true if a field of an event is the message.
    #[inline]
    pub(crate) fn is_message(&self, field: &Field) -> bool {
        self.message == Some(field.index())
    }

    /// Returns the scope of the records.
    pub(crate) fn scope(&self) -> Scope {
        Scope::Static(self.call_site.scope())
    }

    pub(crate) fn bridged(&'static self, code_attributes: bool) -> BridgedSite {
        BridgedSite { call_site: self.call_site, code_attributes }
    }
}

/// Returns true if each of these fields of an event becomes the attribute of the same name, whatever its value, and no two become
/// the same attribute.
fn are_plain(names: &[&str]) -> bool {
    let is_special = |name: &str| {
        name.is_empty() || name == "error" || ["log.", "exception."].iter().any(|prefix| name.starts_with(prefix))
    };
    names.iter().enumerate().all(|(index, name)| !is_special(name) && !names[..index].contains(name))
}

/// Returns true for the targets of the libraries with which exporters of other SDKs send, and of those SDKs themselves.
pub(crate) fn is_of_client(target: &str) -> bool {
    let library = target.split(':').next().unwrap_or_default();
    let libraries = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tonic", "tower"];
    libraries.contains(&library) || library.starts_with("opentelemetry")
}

/// Returns true if nothing at a call site of `target` is recorded in `context`, because it may be what an export says.
#[inline]
pub(crate) fn may_loop(is_of_client: bool, context: &Context) -> bool {
    is_of_client && bridge::has_foreign_exporter() && !context.span().span_context().is_valid()
}

/// Converts a `tracing` level.
pub(crate) fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

/// Returns the severity of the records at a level.
pub(crate) fn severity(level: tracing::Level) -> Severity {
    match level {
        tracing::Level::ERROR => Severity::Error,
        tracing::Level::WARN => Severity::Warn,
        tracing::Level::INFO => Severity::Info,
        tracing::Level::DEBUG => Severity::Debug,
        tracing::Level::TRACE => Severity::Trace,
    }
}

/// The sites, keyed by the address of their static metadata. Their number is bounded by the number of macros in the program.
///
/// A thread may fork while another one holds the lock, which is then locked forever in the child. Children have tables of their own, up
/// to seven forks deep.
static SITES: PerProcess<Sites> = PerProcess::new([const { Sites::new(None) }; PerProcess::<Sites>::PLACES]);

type Sites = RwLock<Option<HashMap<usize, &'static Site>>>;

/// The number of sites that a thread caches.
const REMEMBERED: usize = 64;

thread_local! {
    // Has no destructor, so that spans of the destructors of other thread-locals are recorded too.
    static RECENT: [Cell<Option<(usize, &'static Site)>>; REMEMBERED] = const { [const { Cell::new(None) }; REMEMBERED] };
}

/// Returns the site of a macro, and prepares it the first time.
#[inline]
pub(crate) fn site(metadata: &'static Metadata<'static>) -> &'static Site {
    let address = address(metadata);
    match recent(address) {
        Some(site) => site,
        None => known(address).unwrap_or_else(|| prepare(address, metadata)),
    }
}

/// Returns the site of metadata that may be temporary, such as that of a record of the `log` crate, if it has been prepared.
#[inline]
pub(crate) fn find(metadata: &Metadata<'_>) -> Option<&'static Site> {
    let address = address(metadata);
    recent(address).or_else(|| known(address))
}

#[inline]
fn address(metadata: &Metadata<'_>) -> usize {
    std::ptr::from_ref(metadata).addr()
}

#[inline]
fn slot(address: usize) -> usize {
    // The low bits are those of the alignment.
    (address >> 4 ^ address >> 11) % REMEMBERED
}

#[inline]
fn recent(address: usize) -> Option<&'static Site> {
    RECENT.with(|recent| recent[slot(address)].get()).filter(|(of, _)| *of == address).map(|(_, site)| site)
}

fn remember(address: usize, site: &'static Site) {
    RECENT.with(|recent| recent[slot(address)].set(Some((address, site))));
}

#[cold]
fn known(address: usize) -> Option<&'static Site> {
    let sites = SITES.get().read().unwrap_or_else(PoisonError::into_inner);
    let site = *sites.as_ref()?.get(&address)?;
    remember(address, site);
    Some(site)
}

#[cold]
fn prepare(address: usize, metadata: &'static Metadata<'static>) -> &'static Site {
    let mut sites = SITES.get().write().unwrap_or_else(PoisonError::into_inner);
    let site = sites.get_or_insert_default().entry(address).or_insert_with(|| Box::leak(Box::new(Site::new(metadata))));
    let site = *site;
    remember(address, site);
    site
}
