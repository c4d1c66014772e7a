//! Finds the propagator in use: the program's propagator, or a test's propagator stored in its context.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::{Context, global};

use super::Propagators;
use crate::error::Contained;

type Propagator = dyn TextMapPropagator + Send + Sync;

/// Number of propagators stored in contexts.
static IN_CONTEXTS: AtomicUsize = AtomicUsize::new(0);

/// Writes the span context and baggage of `context` to the headers of a request. Uses the propagator of the test running in
/// `context`, or otherwise the API's global propagator, which `install` sets.
pub fn inject(context: &Context, headers: &mut dyn Injector) {
    match in_context(context) {
        Some(propagator) => propagator.inject_context(context, headers),
        None => global::get_text_map_propagator(|propagator| propagator.inject_context(context, headers)),
    }
}

/// Returns `context` with the span context and baggage read from a request's headers, using the same propagator as
/// [`inject`].
pub fn extract(context: &Context, headers: &dyn Extractor) -> Context {
    match in_context(context) {
        Some(propagator) => propagator.extract_with_context(context, headers),
        None => global::get_text_map_propagator(|propagator| propagator.extract_with_context(context, headers)),
    }
}

/// Returns the names of the fields that [`inject`] may write.
pub(super) fn fields(context: &Context) -> Vec<String> {
    let names = |propagator: &dyn TextMapPropagator| propagator.fields().map(str::to_owned).collect();
    match in_context(context) {
        Some(propagator) => names(propagator),
        None => global::get_text_map_propagator(|propagator| names(propagator)),
    }
}

/// Returns `context` with its own propagator, for use in a test.
///
/// Libraries use the API's global propagator. If the program has not set a global propagator, this function sets one
/// that looks in the context.
pub fn with_propagator(context: &Context, propagator: Arc<Propagator>) -> Context {
    static GLOBAL: Once = Once::new();
    GLOBAL.call_once(|| {
        if global::get_text_map_propagator(|propagator| propagator.fields().next().is_none()) {
            global::set_text_map_propagator(ContextPropagator::new(Contained::new(Box::new(Propagators::none()))));
        }
    });
    IN_CONTEXTS.fetch_add(1, Ordering::Relaxed);
    context.with_value(Scoped(propagator))
}

#[inline]
fn in_context(context: &Context) -> Option<&Propagator> {
    match IN_CONTEXTS.load(Ordering::Relaxed) {
        0 => None,
        _ => context.get::<Scoped>().map(|scoped| &*scoped.0),
    }
}

struct Scoped(Arc<Propagator>);

impl Drop for Scoped {
    fn drop(&mut self) {
        IN_CONTEXTS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The propagator that `install` makes global. It uses the propagator of a test if the context contains one, and
/// otherwise the program's propagator.
#[derive(Debug)]
pub(crate) struct ContextPropagator(Contained<Box<Propagator>>);

impl ContextPropagator {
    pub(crate) fn new(of_the_program: Contained<Box<Propagator>>) -> Self {
        ContextPropagator(of_the_program)
    }

    fn find<'c>(&'c self, context: &'c Context) -> &'c Propagator {
        in_context(context).unwrap_or(&**self.0)
    }
}

impl TextMapPropagator for ContextPropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        self.find(cx).inject_context(cx, injector);
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        self.find(cx).extract_with_context(cx, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}
