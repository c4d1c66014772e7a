//! Spans of other instrumentation libraries: their start, and the changes that the API's `SpanRef` does not offer.
//!
//! Such a library lets a program set the kind and the parent of a span that has already started. The span lies in a context,
//! where only the API's calls reach it. The change is therefore passed in a thread-local while the span's status is set to
//! unset, which otherwise has no effect.

use std::cell::Cell;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, SpanRef, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::exceptions;
use super::span::{Recording, is_ending};
use super::{CallSite, ExceptionSignal, Glance, Scope, SdkSpan, SdkTracer, SpanData, SpanRecord};
use crate::attributes;
use crate::control::ConfigOf;
use crate::time::{Clock, Timestamp};
use crate::unsampled;

/// The result of starting a span of another library.
#[derive(Debug)]
pub(crate) enum Bridged {
    /// The span exists, recorded or not.
    Span(SdkSpan),
    /// The sampler dropped the span, which had no local parent. Holds what the span would have recorded, for the case that the
    /// program sets the parent later.
    Dropped(SpanContext, SpanData),
}

impl SdkTracer {
    /// Returns the clock of the spans.
    pub(crate) fn clock(&self) -> Clock {
        self.provider.clock.clone()
    }

    /// Sets an attribute of a span that is not recorded, within the limits.
    pub(crate) fn set_attribute(&self, data: &mut SpanData, attribute: KeyValue) {
        let record = &mut **data;
        let limits = self.provider.limits.attributes;
        attributes::set(&mut record.own_attributes, &mut record.dropped_attributes, attribute, limits);
    }

    /// Returns the signal in which exceptions are recorded.
    pub(crate) fn exception_signal(&self) -> ExceptionSignal {
        self.provider.exceptions
    }

    /// Starts a span. Calls `fill` for the name, the kind, the status and the attributes, before the decision if the sampler
    /// has to be asked, and not at all if the span is dropped like its parent. Returns `None` if no span is created.
    pub(crate) fn start_bridged(
        &self,
        call_site: &'static CallSite,
        code_attributes: bool,
        parent: &Context,
        fill: impl FnOnce(&mut SpanRecord),
    ) -> Option<Bridged> {
        let glance = self.begin_in(call_site.scope(), &call_site.config, parent);
        let (mut data, is_decided) = match glance {
            Glance::Silent => return None,
            Glance::Dropped(_) => {
                self.count_dropped(parent);
                let context = unsampled::child(parent.span().span_context(), self.span_id());
                return Some(Bridged::Span(SdkSpan::not_recording(context)));
            }
            Glance::Recorded(data) => (data, true),
            Glance::Unknown => (SpanData::blank(), false),
        };
        let start = self.provider.clock.now();
        data.scope = Scope::Static(call_site.scope());
        data.call_site = Some(call_site).filter(|_| code_attributes);
        fill(&mut data);
        let added = if is_decided {
            Vec::new()
        } else {
            match self.decide_for(&mut data, parent) {
                Ok(added) => added,
                Err(context) => {
                    self.count_dropped(parent);
                    data.start = start;
                    return Some(self.dropped(context, data, parent));
                }
            }
        };
        data.own_attributes.extend(added);
        let mut span = SdkSpan::recording(self.record(data, false, Some(start)));
        self.show_start(&mut span, parent);
        Some(Bridged::Span(span))
    }

    /// Records a span whose data was created by [`begin_at_once`](Self::begin_at_once). Does not call the processors.
    #[inline]
    pub(crate) fn record_bridged(
        &self,
        call_site: &'static CallSite,
        code_attributes: bool,
        mut data: SpanData,
        fill: impl FnOnce(&mut SpanRecord),
    ) -> SdkSpan {
        let start = self.provider.clock.now();
        data.scope = Scope::Static(call_site.scope());
        data.call_site = Some(call_site).filter(|_| code_attributes);
        fill(&mut data);
        SdkSpan::recording(self.record(data, false, Some(start)))
    }

    /// Gives a span, of which `data` has everything but the identity, another parent than that of the context `old`, in which the
    /// span lay. Returns `None` if no span is created below that parent.
    ///
    /// A span that was recorded and still is counts as one span that started. Attributes that a sampler added for the old parent
    /// stay, unless the sampler sets them again.
    pub(crate) fn restart_bridged(
        &self,
        mut data: SpanData,
        old: &Context,
        was_recorded: bool,
        parent: &Context,
    ) -> Option<Bridged> {
        let count_end = |data: &SpanData| was_recorded.then(|| self.count_end(data));
        for entry in self.provider.baggage.in_context(old) {
            data.own_attributes.retain(|own| *own != entry);
        }
        let added = match self.begin_again(parent) {
            Glance::Silent => {
                count_end(&data);
                return None;
            }
            Glance::Dropped(_) => {
                count_end(&data);
                let context = unsampled::child(parent.span().span_context(), self.span_id());
                return Some(Bridged::Span(SdkSpan::not_recording(context)));
            }
            Glance::Recorded(fresh) => {
                identify(&mut data, &fresh);
                Vec::new()
            }
            Glance::Unknown => match self.decide_for(&mut data, parent) {
                Ok(added) => added,
                Err(context) => {
                    count_end(&data);
                    return Some(self.dropped(context, data, parent));
                }
            },
        };
        let start = data.start;
        data.own_attributes.extend(added);
        let recording = if was_recorded {
            let (record, limits) = (&mut *data, self.provider.limits.attributes);
            attributes::normalize(&mut record.own_attributes, &mut record.dropped_attributes, limits);
            Recording::new(data, self.provider.clone())
        } else {
            self.record(data, false, Some(start))
        };
        let mut span = SdkSpan::recording(recording);
        self.show_start(&mut span, parent);
        Some(Bridged::Span(span))
    }

    /// Counts the end of a recorded span that is given up.
    pub(crate) fn count_end(&self, data: &SpanData) {
        self.provider.count_end(&data.context);
    }

    /// Asks the sampler, and makes the new identity that of `data`.
    fn decide_for(&self, data: &mut SpanData, parent: &Context) -> Result<Vec<KeyValue>, SpanContext> {
        let (fresh, added) = self.decide(parent, &data.name, &data.kind, &data.own_attributes, &data.links)?;
        identify(data, &fresh);
        Ok(added)
    }

    /// Keeps the data of a dropped span only if it has no parent, because only such a span is usually given one later.
    fn dropped(&self, context: SpanContext, data: SpanData, parent: &Context) -> Bridged {
        if parent.span().span_context().is_valid() {
            Bridged::Span(SdkSpan::not_recording(context))
        } else {
            Bridged::Dropped(context, data)
        }
    }
}

/// Gives `data` the identity of `fresh`.
fn identify(data: &mut SpanData, fresh: &SpanData) {
    data.context = fresh.context.clone();
    data.parent_span_id = fresh.parent_span_id;
    data.parent_is_remote = fresh.parent_is_remote;
}

/// A change of a span in a context.
#[derive(Debug)]
enum Change {
    SetKind(SpanKind),
    /// Sets the status to error, unless the span has a status.
    Fail,
    /// Remembers an exception with this message.
    Note(String),
    /// The exception is a new one, on a span of this kind.
    Noted(SpanKind),
    /// Takes what is recorded, which ends the span without exporting it.
    Take,
    Taken(Box<(SpanData, SdkTracer)>),
}

thread_local!(static CHANGE: Cell<Option<Change>> = const { Cell::new(None) });

impl Change {
    /// Applies this to a span. Returns what the span left in its place.
    fn tell(self, span: &SpanRef<'_>) -> Option<Change> {
        if is_ending(span.span_context()) {
            return None;
        }
        CHANGE.try_with(|change| change.set(Some(self))).ok()?;
        span.set_status(Status::Unset);
        CHANGE.try_with(Cell::take).ok().flatten()
    }
}

/// Sets the kind of a recording span in a context.
pub(crate) fn set_kind(span: &SpanRef<'_>, kind: SpanKind) {
    Change::SetKind(kind).tell(span);
}

/// Sets the status of a recording span in a context to error, unless it already has a status.
pub(crate) fn fail(span: &SpanRef<'_>) {
    Change::Fail.tell(span);
}

/// Remembers an exception on a recording span in a context. Returns the kind of the span, or `None` if the span already knows the
/// exception.
pub(crate) fn note_exception(span: &SpanRef<'_>, message: &str) -> Option<SpanKind> {
    match Change::Note(message.to_owned()).tell(span) {
        Some(Change::Noted(kind)) => Some(kind),
        _ => None,
    }
}

/// Takes the data of a recording span in a context, with a tracer on its provider. The span no longer records, and its end is yet
/// to be counted.
pub(crate) fn take(span: &SpanRef<'_>) -> Option<(SpanData, SdkTracer)> {
    match Change::Take.tell(span) {
        Some(Change::Taken(taken)) => Some(*taken),
        _ => None,
    }
}

/// Applies the change that is being passed on this thread, if there is one. Returns false if there is none.
pub(super) fn apply(recording: &mut Option<Recording>) -> bool {
    let Some(change) = CHANGE.try_with(Cell::take).ok().flatten() else { return false };
    match (change, &mut *recording) {
        (Change::SetKind(kind), Some(recording)) => recording.data.kind = kind,
        (Change::Fail, Some(recording)) if recording.data.status == Status::Unset => {
            recording.data.status = Status::error("");
            recording.note_failure();
        }
        (Change::Note(message), Some(recording)) => {
            let appears = exceptions::appears(&message, &message, recording);
            let noted = appears.then(|| Change::Noted(recording.data.kind.clone()));
            let _ = CHANGE.try_with(|change| change.set(noted));
        }
        (Change::Take, place) => {
            if let Some(Recording { mut data, provider, .. }) = place.take() {
                if let Some(tail) = provider.decisions.tail() {
                    tail.gives_up(&data);
                }
                data.end = Timestamp::default();
                data.parent_span_id = SpanId::INVALID;
                let tracer = SdkTracer { provider, scope: data.scope.clone(), config: ConfigOf::new() };
                let _ = CHANGE.try_with(|change| change.set(Some(Change::Taken(Box::new((data, tracer))))));
            }
        }
        _ => {}
    }
    true
}
