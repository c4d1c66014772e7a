//! The layer, which handles the creation, entry, exit, change and closing of spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use opentelemetry::trace::{Link, TraceContextExt};
use opentelemetry::{Context as OtelContext, KeyValue};
use telemark_sdk::diag;
use telemark_sdk::instrument::bridge::{self, BridgedSpan, Change, Fields, Parent, contained};
use telemark_sdk::logs::active;
use telemark_sdk::span_filter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::data::{self, Data, Shared};
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

    /// Replaces the options of a layer that may be part of a subscriber.
    pub(crate) fn reconfigure(&mut self, options: Options) {
        self.options = options;
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
        special: &mut Option<Box<Special>>,
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
                let data = data::of(&data::nearest(&parent, self.id)?, self.id)?;
                data.mark_used();
                Some(data.span.context().clone())
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
            attrs.record(&mut SpanFields { attributes, special, has_special_fields: site.has_special_fields });
            if let Some(special) = special {
                set_special(span, special);
            }
        })
    }

    /// Keeps the data of a new span.
    #[inline]
    fn keep<'a, R: LookupSpan<'a>>(&self, attrs: &Attributes<'_>, id: &Id, span: &SpanRef<'a, R>, data: Data) {
        let data = Arc::new(data);
        let recent = Arc::downgrade(&data);
        let taken = span.extensions_mut().replace(Shared(data));
        match taken {
            None => stack::created(self.key(id), recent, attrs.is_contextual()),
            Some(taken) => give_back(span, taken),
        }
    }

    /// Returns true if the span is recorded, or passes a parent on.
    fn is_kept<'a, R: LookupSpan<'a>>(&self, span: &SpanRef<'a, R>) -> bool {
        let metadata = span.metadata();
        data::of(span, self.id).is_some() || self.options.keeps_spans(sites::site(metadata), metadata)
    }

    /// Logs once that the filter removes the parent of a span that is kept.
    #[cold]
    fn say_that_parents_are_missing<S>(&self, attrs: &Attributes<'_>, span: &SpanRef<'_, S>, ctx: &Context<'_, S>)
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
        // The layer also sees removed spans that may pass a parent on.
        let seen = span.parent().filter(|parent| parent.id() == *direct);
        if seen.as_ref().is_some_and(|parent| self.is_kept(parent)) {
            return;
        }
        let metadata = metadata.or_else(|| seen.as_ref().map(SpanRef::metadata));
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
}

/// Returns the id of the layer in a subscriber, or that of the latest layer if something such as `reload` hides it.
pub(crate) fn id_in(dispatch: &Dispatch) -> usize {
    dispatch.downcast_ref::<Bridge>().map_or_else(|| LAYERS.load(Ordering::Relaxed), |layer| layer.id)
}

/// Applies changes to a span of the layer with this id.
pub(crate) fn change<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, layer: usize, changes: Vec<Change>) {
    if let Some(data) = data::of(span, layer) {
        changes.into_iter().for_each(|change| data.span.change(change));
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
        if self.options.log_records {
            active::note_bridge();
        }
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        // If another layer's filter formats values that use `tracing`, the subscriber may call this for a span that does not
        // belong to this layer.
        let Some(span) = ctx.span(id) else { return };
        stack::forget_closed();
        let mut special = None;
        let site = sites::site(attrs.metadata());
        if site.is_carrier {
            let data = Data::passing(self.id, &bridge::current_context());
            return self.keep(attrs, id, &span, data);
        }
        if !self.options.keeps_spans(site, attrs.metadata()) {
            // It may pass a parent on.
            filter::note_rejected();
            return;
        }
        if site.is_of_client && sites::may_loop(true, &bridge::current_context()) {
            return;
        }
        if filter::has_rejected() {
            self.say_that_parents_are_missing(attrs, &span, &ctx);
        }
        let Some(started) = self.start(attrs, &span, site, &mut special) else { return };
        for message in special.iter_mut().flat_map(|special| special.take_exceptions()) {
            let time = started.clock().now();
            Change::Exception { message, time, scope: site.scope() }.apply(started.context());
        }
        let data = Data::new(self.id, started, &self.options);
        if !self.options.span_fields.is_empty() {
            let mut listed = ListedFields { names: &self.options.span_fields, found: Vec::new() };
            contained(|| attrs.record(&mut listed));
            data.keep_for_records(listed.found);
        }
        self.keep(attrs, id, &span, data);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        stack::forget_closed();
        let key = self.key(id);
        let Some(data) = stack::take_recent(key).or_else(|| data::of(&ctx.span(id)?, self.id)) else { return };
        data.entered();
        if let Some(data) = stack::enter(key, data) {
            data.remove_entry();
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        stack::exit(self.key(id));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let Some(data) = data::of(&span, self.id) else { return };
        if !self.options.span_fields.is_empty() {
            let mut listed = ListedFields { names: &self.options.span_fields, found: Vec::new() };
            contained(|| values.record(&mut listed));
            // The formatted values may have set a parent.
            data.newest().keep_for_records(listed.found);
        }
        if !data.span.takes_fields() {
            return;
        }
        let (mut attributes, mut special) = (Vec::with_capacity(values.len()), None);
        let site = sites::site(span.metadata());
        let has_special_fields = site.has_special_fields;
        contained(|| {
            values.record(&mut SpanFields { attributes: &mut attributes, special: &mut special, has_special_fields });
        });
        // The same holds here.
        let data = data.newest();
        if let Some(special) = special {
            special.changes(site, || data.span.clock().now(), |change| data.span.change(change));
        }
        if !attributes.is_empty() {
            data.span.change(Change::Attributes(attributes));
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        let (Some(span), Some(follows)) = (ctx.span(id), ctx.span(follows)) else { return };
        let Some(followed) = data::of(&follows, self.id) else { return };
        followed.mark_used();
        let link = Link::with_context(followed.span.context().span().span_context().clone());
        change(&span, self.id, vec![Change::Link(link)]);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        events::record(event, &ctx, self.id, &self.options);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let key = self.key(&id);
        let Some(data) = stack::take_recent(key).or_else(|| data::of(&ctx.span(&id)?, self.id)) else { return };
        if Data::is_entered(&data) {
            // If no other code holds the span, the registry closes it before it notifies the layers that this thread has exited it.
            stack::exit_all(key);
        }
        data.mark_closed();
        if Data::is_entered(&data) {
            stack::closed_elsewhere();
        }
        if let Some(times) = data.recorded_times() {
            data.span.change(Change::Attributes(times));
        }
        data.span.end(data.end());
    }
}

/// Gives a span back to the layer that has recorded it already.
#[cold]
fn give_back<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, taken: Shared) {
    let own = span.extensions_mut().replace(taken);
    diag::log(
        diag::Level::Warn,
        "tracing.twice",
        format_args!("a subscriber has more than one layer for tracing; each span is recorded once, by the first"),
    );
    // The span is not ended, because it would then be exported.
    if let Some(own) = own {
        own.0.span.discard();
    }
}
