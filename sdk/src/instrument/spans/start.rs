//! The start of a span, and the decision whether to record it.

mod setup;

use opentelemetry::trace::{Span, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, global};

use self::setup::Origin;
pub use self::setup::{IntoLink, IntoParent, NoOptions, Options, Plan, Setup};
use super::entered::Entered;
use super::open::{OpenSpan, StartedSpan, State};
use crate::context;
use crate::instrument::shield::shielded;
use crate::runtime::is_background;
use crate::span_filter::SpanSwitch;
use crate::trace::{CallSite, Fields, Glance, SpanData, Started, TracedSpan, active};
use crate::unsampled::{self, Unsampled};

/// The options and the fields of a call site. Behind `dyn`, so that all call sites share the code that starts a span.
trait Site: Fields {
    /// Returns the options. Called at most once.
    fn setup(&mut self) -> Option<Setup>;
}

struct Given<O, F> {
    options: Option<O>,
    fields: F,
}

impl<O: FnOnce() -> Setup, F: Fields> Given<O, F> {
    #[inline]
    fn new(options: O, fields: F) -> Self {
        Given { options: Some(options), fields }
    }
}

impl<O: FnOnce() -> Setup, F: Fields> Site for Given<O, F> {
    fn setup(&mut self) -> Option<Setup> {
        self.options.take().map(|options| options())
    }
}

impl<O, F: Fields> Fields for Given<O, F> {
    fn show(&self, list: &mut Vec<KeyValue>) {
        self.fields.show(list);
    }

    fn add(&mut self, list: &mut Vec<KeyValue>) {
        self.fields.add(list);
    }
}

/// The fields of another call site. If evaluating a field panics, that field and all later ones are lost, but the span is not.
struct Shielded<'a>(&'a mut dyn Site);

impl Fields for Shielded<'_> {
    fn show(&self, list: &mut Vec<KeyValue>) {
        shielded(|| self.0.show(list));
    }

    fn add(&mut self, list: &mut Vec<KeyValue>) {
        shielded(|| self.0.add(list));
    }
}

/// Starts a span. If no tracer is installed, this costs one relaxed load and evaluates nothing. If the filter
/// rejects the span, the context of its parent still applies to the spans inside it.
#[inline]
pub(crate) fn start(
    switch: Option<&'static SpanSwitch>,
    options: impl FnOnce() -> Setup,
    fields: impl Fields,
) -> StartedSpan {
    if !active::is_installed() {
        return StartedSpan(State::Off);
    }
    let is_on = switch.is_none_or(SpanSwitch::is_on);
    StartedSpan(start_anywhere(is_on, &mut Given::new(options, fields)))
}

/// Starts a span in the current context. Checks the filter and that context first: the options are not evaluated if the call site
/// is switched off, which costs one relaxed load, or inside an unrecorded span.
#[inline]
pub(crate) fn start_here(
    switch: Option<&'static SpanSwitch>,
    options: impl FnOnce() -> Setup,
    fields: impl Fields,
) -> StartedSpan {
    if switch.is_some_and(|switch| !switch.is_on()) || !active::is_installed() {
        return StartedSpan(State::Off);
    }
    StartedSpan(start_for_later(&mut Given::new(options, fields)))
}

/// Starts a span like [`start_here`] and makes it current.
#[inline]
pub(crate) fn enter_here(switch: &'static SpanSwitch, options: impl FnOnce() -> Setup, fields: impl Fields) -> Entered {
    if !switch.is_on() || !active::is_installed() {
        return Entered::new(StartedSpan(State::Off));
    }
    enter_in_current(&mut Given::new(options, fields))
}

#[inline(never)]
fn enter_in_current(site: &mut dyn Site) -> Entered {
    Entered::new(StartedSpan(start_in_current(site)))
}

#[inline(never)]
fn start_for_later(site: &mut dyn Site) -> State {
    start_in_current(site)
}

#[inline(always)]
fn start_in_current(site: &mut dyn Site) -> State {
    match look_at_the_current() {
        Look::Off => State::Off,
        Look::Dropped(parent) => State::Unsampled(Unsampled::below(parent)),
        Look::Recorded(data) => begun(|| record_below(data, site)),
        Look::Undecided => start_undecided(site),
    }
}

/// Starts a span about which the tracer has to decide, such as a root.
#[inline(never)]
fn start_undecided(site: &mut dyn Site) -> State {
    begun(|| match site.setup() {
        Some(Setup { span, .. }) => begin_below(&Context::current(), true, span, site),
        None => State::Off,
    })
}

#[inline(never)]
fn start_anywhere(is_on: bool, site: &mut dyn Site) -> State {
    begun(|| {
        let Some(Setup { span, origin }) = site.setup() else { return State::Off };
        match origin.context() {
            parent if !is_on => left_out(parent),
            Some(parent) => begin_below(&parent, false, span, site),
            None => start_for_later(&mut Given::new(|| Setup { span, origin: Origin::Current }, Shielded(site))),
        }
    })
}

/// Runs `begin`, which evaluates the user's options and fields. A panic in `begin` loses the span but does not
/// interrupt the call.
#[inline]
fn begun(begin: impl FnOnce() -> State) -> State {
    shielded(begin).unwrap_or_default()
}

/// Opens the context in which a span that the filter rejects would have started.
fn left_out(context: Option<Context>) -> State {
    context.map_or(State::Off, |context| State::Open(OpenSpan::new(context, None)))
}

/// Records a span in the current context, whose span is recorded.
#[inline]
fn record_below(data: SpanData, site: &mut dyn Site) -> State {
    let Some(tracer) = active::installed() else { return State::Off };
    let Some(setup) = site.setup() else { return State::Off };
    let (context, start) = tracer.start_in_current(data, setup.span, |list| _ = shielded(|| site.add(list)));
    State::Open(OpenSpan::new(context, Some(start)))
}

/// Starts a span in `parent`. The tracer decides whether the span is recorded.
fn begin_below(parent: &Context, is_current: bool, span: TracedSpan, site: &mut dyn Site) -> State {
    let Some(tracer) = active::tracer(parent) else { return elsewhere(parent, span, site) };
    let (context, started) = match tracer.start_traced(span, parent, &mut Shielded(site)) {
        Started::Recording(span) => {
            let started = span.data().map(|data| data.start);
            (span.in_context(parent), started)
        }
        Started::NotRecorded(context) => (parent.with_remote_span_context(context), None),
        Started::Inherit(span) if is_current => return State::Unsampled(span),
        Started::Silent if is_current => return State::Off,
        // Calls made by the function belong to this context rather than to the context around the function.
        Started::Inherit(span) => (span.context_in(parent), None),
        Started::Silent => (parent.clone(), None),
    };
    State::Open(OpenSpan::new(context, started))
}

/// Starts a span on the API's global provider, which may belong to another SDK, if the program has opted in.
#[cold]
fn elsewhere(parent: &Context, call: TracedSpan, site: &mut dyn Site) -> State {
    if !active::uses_global() || parent.is_telemetry_suppressed() || is_background() {
        return State::Off;
    }
    let scope = call.call_site.map_or_else(|| (*active::scope()).clone(), |site| site.scope().clone());
    let mut builder = opentelemetry::trace::SpanBuilder::from_name(call.name).with_kind(call.kind);
    if !call.links.is_empty() {
        builder = builder.with_links(call.links);
    }
    let mut span = global::tracer_provider().tracer_with_scope(scope).build_with_context(builder, parent);
    if span.is_recording() {
        let mut list = Vec::new();
        Shielded(site).add(&mut list);
        let site = call.call_site.filter(|_| call.code_attributes).map(CallSite::attributes);
        span.set_attributes(site.into_iter().flatten().cloned());
        span.set_attributes(list);
    } else if span.span_context() == parent.span().span_context() {
        // The program has not set a global provider.
        return State::Off;
    }
    State::Open(OpenSpan::foreign(parent.with_span(span)))
}

/// The state of the current context, for a span that is about to start in it. Two words in size, so that it is
/// returned in registers.
enum Look {
    /// There is no span: no tracer is installed, or telemetry is suppressed.
    Off,
    /// Neither the span nor its parent is sampled.
    Dropped(unsampled::Parent),
    /// The installed tracer records the span, as it does the parent, and no processor needs the context. This is the
    /// common case and does not clone the context.
    Recorded(SpanData),
    /// The tracer decides, based on a clone of the context.
    Undecided,
}

/// Inspects the current context. Must not run user code: the API's context is borrowed, and attaching another one would
/// panic.
#[inline(never)]
fn look_at_the_current() -> Look {
    let look = |current: &Context| {
        let only = active::only_installed().filter(|only| !only.wants_start());
        let Some(tracer) = only.or_else(|| active::tracer(current)) else {
            return if active::uses_global() { Look::Undecided } else { Look::Off };
        };
        match tracer.begin_at_once(current) {
            Glance::Silent => Look::Off,
            Glance::Dropped(parent) if !tracer.has_own_ids() => {
                tracer.count_dropped(current);
                Look::Dropped(parent)
            }
            Glance::Recorded(data) if only.is_some() => Look::Recorded(data),
            _ => Look::Undecided,
        }
    };
    context::look(look).unwrap_or(Look::Off)
}
