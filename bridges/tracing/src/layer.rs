//! The layer, which handles the creation, entry, exit, change and closing of spans.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use opentelemetry::trace::{Link, TraceContextExt};
use opentelemetry::{Context as OtelContext, KeyValue};
use telemark_sdk::diag;
use telemark_sdk::instrument::bridge::{self, BridgedSpan, Change, Fields, Parent, contained};
use telemark_sdk::span_filter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::data::{self, Data};
use crate::events;
use crate::fields::{ListedFields, SpanFields, Special};
use crate::filter;
use crate::options::Options;
use crate::sites::{self, Site};
use crate::stack::{self, Key};

/// The layer without its filter, which selects the spans and events that it sees.
#[derive(Debug)]
pub struct Bridge {
    /// Distinguishes this layer from others on the same registry or thread. Zero until it is part of a subscriber.
    id: usize,
    options: Options,
}

/// The number of layers that became part of a subscriber.
static LAYERS: AtomicUsize = AtomicUsize::new(0);

/// Returns true if a layer of this kind was ever part of a subscriber.
pub(crate) fn is_used() -> bool {
    LAYERS.load(Ordering::Relaxed) != 0
}

impl Bridge {
    pub(crate) fn new(options: Options) -> Self {
        Bridge { id: 0, options }
    }

    #[inline]
    fn key(&self, id: &Id) -> Key {
        Key { layer: self.id, span: id.into_u64() }
    }

    /// Starts the span below the nearest enclosing span that is kept.
    fn start<S>(
        &self,
        attrs: &Attributes<'_>,
        span: &SpanRef<'_, S>,
        site: &'static Site,
        special: &mut Special,
    ) -> Option<BridgedSpan>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let explicit: Option<OtelContext>;
        let parent = if attrs.is_contextual() {
            Parent::Current
        } else if attrs.is_root() {
            Parent::Root
        } else {
            explicit = span.parent().and_then(|parent| {
                mark_used(&parent, self.id);
                data::context(&parent, self.id)
            });
            explicit.as_ref().map_or(Parent::Current, Parent::Of)
        };
        BridgedSpan::start(site.bridged(self.options.location), parent, |span| {
            span.set_name(site.name);
            if self.options.threads {
                add_thread(span.attributes());
            }
            let attributes = span.attributes();
            attributes.reserve(attrs.fields().len());
            let mut fields = SpanFields {
                attributes,
                special: std::mem::take(special),
                has_special_fields: site.has_special_fields,
            };
            attrs.record(&mut fields);
            *special = fields.special;
            set_special(span, special);
        })
    }

    /// Records the values of fields that are copied to log records.
    fn record_listed<'a, R: LookupSpan<'a>>(&self, span: &SpanRef<'a, R>, values: &Record<'_>) {
        let mut listed = ListedFields { names: &self.options.span_fields, found: Vec::new() };
        contained(|| values.record(&mut listed));
        if let Some(data) = span.extensions_mut().get_mut::<Data>() {
            for (name, value) in listed.found {
                data.for_records.retain(|(own, _)| *own != name);
                data.for_records.push((name, value));
            }
        }
    }

    /// Leaves the spans of this thread that were closed on another one, for which the subscriber does not call `on_exit`.
    #[inline]
    fn forget_closed<S>(&self, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        stack::forget_closed(self.id, |id| {
            ctx.span(&Id::from_u64(id)).is_some_and(|span| span.extensions().get::<Data>().is_some())
        });
    }

    /// Applies changes to a span, without a lock on its extensions if it is recording.
    pub(crate) fn change<'a, R: LookupSpan<'a>>(&self, span: &SpanRef<'a, R>, changes: Vec<Change>) {
        change(span, self.id, changes);
    }
}

/// Applies changes to a span of the layer with this id.
pub(crate) fn change<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, layer: usize, changes: Vec<Change>) {
    let Some(context) = data::context(span, layer) else { return };
    if bridge::is_recording(&context) {
        changes.into_iter().for_each(|change| change.apply(&context));
    } else if let Some(data) = span.extensions_mut().get_mut::<Data>().filter(|data| data.layer == layer) {
        changes.into_iter().for_each(|change| data.span.change(change));
    }
}

/// Marks a span whose identity has been used, so that its parent can no longer change.
pub(crate) fn mark_used<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, layer: usize) {
    if let Some(data) = span.extensions().get::<Data>().filter(|data| data.layer == layer) {
        data.mark_used();
    }
}

fn set_special(span: &mut Fields<'_>, special: &mut Special) {
    if let Some(name) = special.name.take() {
        span.set_name(name);
    }
    if let Some(kind) = special.kind.take() {
        span.set_kind(kind);
    }
    if let Some(status) = special.status() {
        span.set_status(status);
    }
}

/// spec: semconv registry/attributes/thread.md
fn add_thread(attributes: &mut Vec<KeyValue>) {
    thread_local!(static NUMBER: i64 = number());
    fn number() -> i64 {
        let digits = |c: &char| c.is_ascii_digit();
        let id = format!("{:?}", thread::current().id());
        id.chars().filter(digits).collect::<String>().parse().unwrap_or(0)
    }
    attributes.push(KeyValue::new("thread.id", NUMBER.try_with(|number| *number).unwrap_or_else(|_| number())));
    if let Some(name) = thread::current().name() {
        attributes.push(KeyValue::new("thread.name", name.to_owned()));
    }
}

impl<S> Layer<S> for Bridge
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_layer(&mut self, _: &mut S) {
        self.id = LAYERS.fetch_add(1, Ordering::Relaxed) + 1;
        span_filter::on_change(tracing::callsite::rebuild_interest_cache);
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        // If another layer's filter formats values that use `tracing`, the subscriber may call this for a span that does not
        // belong to this layer.
        let Some(span) = ctx.span(id) else { return };
        self.forget_closed(&ctx);
        if filter::has_rejected() {
            say_that_parents_are_missing(attrs, &span, &ctx);
        }
        if attrs.is_contextual() {
            stack::note_child(self.id);
        }
        let mut special = Special::default();
        let site = sites::site(attrs.metadata());
        if site.is_of_client && sites::may_loop(true, &bridge::current_context()) {
            return;
        }
        let Some(started) = self.start(attrs, &span, site, &mut special) else { return };
        for message in special.take_exceptions() {
            let time = started.clock().now();
            Change::Exception { message, time, scope: site.scope() }.apply(started.context());
        }
        let mut data = Data::new(self.id, started, &self.options);
        if !self.options.span_fields.is_empty() {
            let mut listed = ListedFields { names: &self.options.span_fields, found: Vec::new() };
            contained(|| attrs.record(&mut listed));
            data.for_records = listed.found;
        }
        let mut extensions = span.extensions_mut();
        let is_taken = extensions.get_mut::<Data>().is_some();
        if !is_taken {
            extensions.insert(data);
            return;
        }
        drop(extensions);
        diag::log(
            diag::Level::Warn,
            "tracing.twice",
            format_args!("a subscriber has more than one layer for tracing; each span is recorded once, by the first"),
        );
        // The span is not ended, because it would then be exported.
        data.span.discard();
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        self.forget_closed(&ctx);
        let (context, clock, records_times) = {
            let extensions = span.extensions();
            let Some(data) = extensions.get::<Data>().filter(|data| data.layer == self.id) else { return };
            data.add_entry();
            (data.span.context().clone(), data.span.clock().clone(), data.records_times())
        };
        let now = records_times.then(|| clock.now());
        let is_entered = stack::enter(self.key(id), &context, clock);
        if is_entered && now.is_none() {
            return;
        }
        if let Some(data) = span.extensions().get::<Data>().filter(|data| data.layer == self.id) {
            match now {
                _ if !is_entered => data.remove_entry(),
                Some(now) => data.entered(now),
                None => {}
            }
        }
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        let Some(exit) = stack::exit(self.key(id)) else { return };
        let Some(span) = ctx.span(id) else { return };
        if let Some(data) = span.extensions().get::<Data>().filter(|data| data.layer == self.id) {
            data.exited(exit);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let (clock, takes_fields) = {
            let extensions = span.extensions();
            let Some(data) = extensions.get::<Data>().filter(|data| data.layer == self.id) else { return };
            (data.span.clock().clone(), data.span.takes_fields())
        };
        if !self.options.span_fields.is_empty() {
            self.record_listed(&span, values);
        }
        if !takes_fields {
            return;
        }
        let mut attributes = Vec::with_capacity(values.len());
        let site = sites::site(span.metadata());
        let mut fields = SpanFields {
            attributes: &mut attributes,
            special: Special::default(),
            has_special_fields: site.has_special_fields,
        };
        contained(|| values.record(&mut fields));
        let special = fields.special;
        let mut changes = Vec::new();
        special.changes(site, || clock.now(), |change| changes.push(change));
        if !attributes.is_empty() {
            changes.push(Change::Attributes(attributes));
        }
        self.change(&span, changes);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        let (Some(span), Some(follows)) = (ctx.span(id), ctx.span(follows)) else { return };
        let Some(followed) = data::context(&follows, self.id) else { return };
        mark_used(&follows, self.id);
        let link = Link::with_context(followed.span().span_context().clone());
        self.change(&span, vec![Change::Link(link)]);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        events::record(event, &ctx, self.id, &self.options);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        // If no other code holds the span, the registry closes it before it notifies the layers that this thread has exited it.
        let lefts = std::iter::from_fn(|| stack::exit(self.key(&id)));
        let left: Vec<_> = lefts.collect();
        let Some(span) = ctx.span(&id) else { return };
        let data = {
            let mut extensions = span.extensions_mut();
            match extensions.remove::<Data>() {
                Some(data) if data.layer != self.id => {
                    extensions.insert(data);
                    return;
                }
                data => data,
            }
        };
        let Some(data) = data else { return };
        left.into_iter().for_each(|exit| data.exited(exit));
        if data.is_entered() {
            stack::closed_elsewhere();
        }
        let times = data.times();
        if !times.is_empty() {
            Change::Attributes(times).apply(data.span.context());
        }
        let end = data.end();
        data.span.end(end);
    }
}

/// Logs one warning that the filter removes the parent of a span that is kept.
#[cold]
fn say_that_parents_are_missing<S>(attrs: &Attributes<'_>, span: &SpanRef<'_, S>, ctx: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    static SAID: AtomicBool = AtomicBool::new(false);
    if SAID.load(Ordering::Relaxed) || attrs.is_root() {
        return;
    }
    let current = ctx.current_span();
    let contextual = || Some((current.id()?, current.metadata()));
    let direct = attrs.parent().map(|id| (id, None)).or_else(|| contextual().filter(|_| attrs.is_contextual()));
    let Some((direct, metadata)) = direct else { return };
    if span.parent().is_some_and(|kept| kept.id() == *direct) {
        return;
    }
    let (name, target) = metadata.map_or(("a span", ""), |metadata| (metadata.name(), metadata.target()));
    if !SAID.swap(true, Ordering::Relaxed) {
        diag::log(
            diag::Level::Info,
            "tracing.parents",
            format_args!(
                "the filter of spans (OTEL_RUST_SPANS) removes {name:?} of {target:?}; a span within it, such as {:?} of {:?}, \
                 becomes the child of the nearest span that is kept. This message is shown once",
                attrs.metadata().name(),
                attrs.metadata().target(),
            ),
        );
    }
}
