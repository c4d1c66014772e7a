//! The OpenTelemetry side of a `tracing` span, with the names of tracing-opentelemetry's extension trait.
//!
//! The data of a span is found in the registry, which a subscriber shows whatever its layers are wrapped in, and not through
//! the layer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanContext, Status, TraceContextExt};
use opentelemetry::{Context, Key, KeyValue, Value};
use telemark_sdk::diag;
use telemark_sdk::instrument::bridge::{self, BridgedSpan, Change, Parent};
use telemark_sdk::time::Timestamp;
use tracing::{Dispatch, Span};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{Extensions, LookupSpan, SpanRef};

use crate::data::{self, Data, Shared};
use crate::filter::may_pass_through;
use crate::layer::{self, Bridge, is_used};
use crate::sites;
use crate::stack::{self, Key as EntryKey};

/// Adds OpenTelemetry features to a `tracing` span: a remote parent, links, a status, and attributes with arbitrary names.
///
/// Each method acts on the span itself and does nothing if the filter of the layer removes it, with the exception of
/// [`context`](Self::context).
///
/// ```
/// use telemark_tracing::OpenTelemetrySpanExt;
/// use opentelemetry::trace::Status;
///
/// let span = tracing::info_span!("import");
/// span.set_attribute("import.rows", 3);
/// span.set_status(Status::Ok);
/// ```
pub trait OpenTelemetrySpanExt {
    /// Sets the parent to the span in `cx`, for instance the span of an incoming request. The span and all spans below it
    /// belong to the parent's trace.
    ///
    /// Works before and after the span is entered, until the first `tracing` child starts, [`context`](Self::context) is called
    /// or the span ends.
    ///
    /// If the filter of the layer removes the span, or telemetry is off, the parent's trace passes through: the spans, log records and
    /// outgoing requests below belong to it. This works for spans at INFO and above.
    ///
    /// # Errors
    /// Returns an error, and logs a warning, if it is too late, if the span was not created, or if there is no layer.
    fn set_parent(&self, cx: Context) -> Result<(), SetParentError>;

    /// Adds a link. Does nothing if the span context is invalid.
    fn add_link(&self, cx: SpanContext);

    /// Adds a link with attributes. Does nothing if the span context is invalid.
    fn add_link_with_attributes(&self, cx: SpanContext, attributes: Vec<KeyValue>);

    /// Returns the context of the span, for instance to send it in the headers of a request. If the filter removes the span,
    /// returns the context that its children would have: the context of the nearest enclosing span that is kept, or the current
    /// context.
    fn context(&self) -> Context;

    /// Sets an attribute, which need not be declared as a field.
    fn set_attribute(&self, key: impl Into<Key>, value: impl Into<Value>);

    /// Sets the status.
    fn set_status(&self, status: Status);

    /// Adds an event.
    fn add_event(&self, name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>);

    /// Adds an event that happened at `timestamp`.
    fn add_event_with_timestamp(
        &self,
        name: impl Into<Cow<'static, str>>,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    );
}

/// The reason why a parent was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetParentError {
    /// The subscriber has no Telemark layer, or the program has no subscriber.
    LayerNotFound,
    /// A span within it has started, its context was used, or it has ended.
    AlreadyStarted,
    /// No span was created: the filter of the layer removes it and its level is below INFO, or a global filter removes it.
    SpanDisabled,
}

impl fmt::Display for SetParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SetParentError::LayerNotFound => {
                "the subscriber has no Telemark layer, or there is no subscriber yet: add `telemark::tracing::layer()` first"
            }
            SetParentError::AlreadyStarted => {
                "too late, because a span within it has started, its `context()` was used, or it has ended: set the parent first"
            }
            SetParentError::SpanDisabled => {
                "no span was created. Either the filter (OTEL_RUST_SPANS) removes spans below INFO, or a global filter removes it, \
                 such as an `EnvFilter` that is a layer of its own: attach it to the layer that writes lines, with `.with_filter(..)`"
            }
        })
    }
}

impl std::error::Error for SetParentError {}

impl OpenTelemetrySpanExt for Span {
    fn set_parent(&self, cx: Context) -> Result<(), SetParentError> {
        let result = self.with_subscriber(|(id, dispatch)| match found(dispatch, id) {
            Some(span) => match data::any(&span) {
                Some(data) if !data.is_passing => set_parent(&span, &data, &cx),
                _ if is_layer_present(self) => pass_on(&span, dispatch, &cx),
                _ => Err(SetParentError::LayerNotFound),
            },
            None => Err(SetParentError::LayerNotFound),
        });
        let result = match result {
            Some(result) => result,
            // Nothing is recorded, and there is no span that could pass the parent on.
            None if !bridge::is_installed() && is_layer_present(self) => return Ok(()),
            None if is_layer_present(self) => Err(SetParentError::SpanDisabled),
            None => Err(SetParentError::LayerNotFound),
        };
        if let Err(error) = result {
            let span = match self.metadata() {
                Some(metadata) => format!("the span {:?} of {:?}", metadata.name(), metadata.target()),
                None => "the current span, of which there is none,".to_owned(),
            };
            diag::log(
                diag::Level::Warn,
                "tracing.set_parent",
                format_args!("the parent of {span} was not set: {error}"),
            );
        }
        result
    }

    fn add_link(&self, cx: SpanContext) {
        self.add_link_with_attributes(cx, Vec::new());
    }

    fn add_link_with_attributes(&self, cx: SpanContext, attributes: Vec<KeyValue>) {
        if cx.is_valid() {
            apply(self, || Change::Link(Link::new(cx, attributes, 0)));
        }
    }

    fn context(&self) -> Context {
        let of_span = self.with_subscriber(|(id, dispatch)| {
            let span = found(dispatch, id)?;
            span.scope().find_map(|span| {
                let data = data::any(&span)?;
                data.mark_used();
                Some(data.span.context().clone())
            })
        });
        of_span.flatten().unwrap_or_else(bridge::current_context)
    }

    fn set_attribute(&self, key: impl Into<Key>, value: impl Into<Value>) {
        apply(self, || Change::Attributes(vec![KeyValue::new(key, value)]));
    }

    fn set_status(&self, status: Status) {
        apply(self, || Change::Status(status));
    }

    fn add_event(&self, name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>) {
        let with_span =
            |(id, dispatch): (&tracing::Id, &Dispatch)| Some(data::any(&found(dispatch, id)?)?.span.clock().now());
        if let Some(now) = self.with_subscriber(with_span).flatten() {
            apply(self, || Change::Event { name: name.into(), time: now, attributes });
        }
    }

    fn add_event_with_timestamp(
        &self,
        name: impl Into<Cow<'static, str>>,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        apply(self, || Change::Event { name: name.into(), time: Timestamp::from(timestamp), attributes });
    }
}

/// Returns the ids of a span from its extensions, for another layer of the same subscriber. Returns `None` if the filter removes the
/// span.
pub fn span_context(extensions: &Extensions<'_>) -> Option<SpanContext> {
    extensions.get::<Shared>().map(|shared| shared.0.span.context().span().span_context().clone())
}

/// Returns the span in the registry, unfiltered.
fn found<'a>(dispatch: &'a Dispatch, id: &tracing::Id) -> Option<SpanRef<'a, Registry>> {
    dispatch.downcast_ref::<Registry>()?.span(id)
}

/// Returns true unless it is certain that the subscriber of the span has no layer. A layer behind `reload` cannot be seen.
fn is_layer_present(span: &Span) -> bool {
    let seen = |dispatch: &Dispatch| dispatch.downcast_ref::<Bridge>().is_some();
    span.with_subscriber(|(_, dispatch)| seen(dispatch)).unwrap_or_else(|| tracing::dispatcher::get_default(seen))
        || is_used()
}

fn apply(span: &Span, make: impl FnOnce() -> Change) {
    span.with_subscriber(|(id, dispatch)| {
        if let Some(data) = found(dispatch, id).and_then(|span| data::any(&span)) {
            data.span.change(make());
        }
    });
}

/// Lets the trace of the parent pass through a span that is not recorded, because the filter removes it or telemetry is off.
fn pass_on(span: &SpanRef<'_, Registry>, dispatch: &Dispatch, parent: &Context) -> Result<(), SetParentError> {
    // The layer does not see when such a span is entered and left.
    if !may_pass_through(span.metadata()) {
        return Err(SetParentError::SpanDisabled);
    }
    let layer = layer::id_in(dispatch);
    let key = EntryKey { layer, span: span.id().into_u64() };
    let data = Arc::new(Data::passing(layer, parent));
    if data::replace(span, &data) {
        stack::replace(key, &data);
    } else if dispatch.current_span().id() == Some(&span.id()) {
        drop(stack::enter(key, data));
    }
    Ok(())
}

fn set_parent(span: &SpanRef<'_, Registry>, data: &Arc<Data>, parent: &Context) -> Result<(), SetParentError> {
    let key = EntryKey { layer: data.layer, span: span.id().into_u64() };
    if data.is_used() || data.is_closed() {
        return Err(SetParentError::AlreadyStarted);
    }
    let old = data.span.context().span().span_context().clone();
    // A span of another library that is current within this one is a child.
    if stack::is_entered(key) && bridge::current_context().span().span_context() != &old {
        return Err(SetParentError::AlreadyStarted);
    }
    // The sampler is user code, so no lock is held here.
    let started = match data.span.reparent().below(parent) {
        Some(started) => started,
        None if old.is_sampled() => return Err(SetParentError::AlreadyStarted),
        // A span that was dropped because of its parent has no stored fields, but its children must belong to the new parent.
        None => {
            let site = sites::site(span.metadata());
            let started = BridgedSpan::start(site.bridged(data.location), Parent::Of(parent), |fields| {
                fields.set_name(site.name)
            });
            started.ok_or(SetParentError::SpanDisabled)?
        }
    };
    let restarted = Arc::new(data.restarted(started));
    data::replace(span, &restarted);
    stack::replace(key, &restarted);
    Ok(())
}
