//! Caches span names and routes for the life of the program, to avoid allocating them for each request.
//!
//! The first short routes are cached, each with a span name for each standard method and with the counts of its requests. For other
//! routes, the strings are built on every request.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use opentelemetry::Value;
use telemark_kit::{Interner, OriginCounts};

use super::methods::{MethodName, STANDARD};

const MAX_ROUTES: usize = 1024;
const MAX_ROUTE_BYTES: usize = 256;

static ROUTES: Interner<KeptRoute> = Interner::new(MAX_ROUTES, MAX_ROUTE_BYTES);

thread_local! {
    static RECENT: [Cell<Option<Entry>>; 64] = const { [const { Cell::new(None) }; 64] };
}

/// A route that is cached for the life of the program.
#[derive(Debug)]
pub(crate) struct KeptRoute {
    pub(crate) text: &'static str,
    /// One for each method of [`STANDARD`], and one for all other methods.
    span_names: [OnceLock<Box<str>>; STANDARD.len() + 1],
    /// The requests that servers have received for it.
    pub(crate) requests: OriginCounts,
}

impl KeptRoute {
    fn new(text: &'static str) -> Self {
        KeptRoute { text, span_names: Default::default(), requests: OriginCounts::new() }
    }
}

/// Two routes with the same text are the same entry of the table.
impl PartialEq for KeptRoute {
    fn eq(&self, other: &KeptRoute) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for KeptRoute {}

#[derive(Clone, Copy)]
struct Entry {
    method: &'static str,
    route: &'static KeptRoute,
    name: &'static str,
}

/// The value of `http.route`, shared by span and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RouteText {
    /// Cached for the life of the program.
    Kept(&'static KeptRoute),
    Own(Arc<str>),
}

impl From<RouteText> for Value {
    fn from(route: RouteText) -> Self {
        match route {
            RouteText::Kept(route) => route.text.into(),
            RouteText::Own(text) => text.into(),
        }
    }
}

/// Returns the span name and the value of `http.route`.
///
/// spec: http/http-spans.md#name
pub(crate) fn span_name(method: &MethodName, route: Option<&str>) -> (Cow<'static, str>, Option<RouteText>) {
    let Some(route) = route else {
        let name = match method {
            MethodName::Standard(name) => Cow::Borrowed(*name),
            MethodName::Other => Cow::Borrowed("HTTP"),
            MethodName::Custom(name) => Cow::Owned(String::from(&**name)),
        };
        return (name, None);
    };
    let shared = match method {
        MethodName::Standard(name) => recent(name, route),
        MethodName::Other => recent("HTTP", route),
        MethodName::Custom(_) => None,
    };
    match shared {
        Some((name, route)) => (Cow::Borrowed(name), Some(RouteText::Kept(route))),
        None => (Cow::Owned(format!("{} {route}", method.in_span_name())), Some(RouteText::Own(route.into()))),
    }
}

#[inline]
fn recent(method: &'static str, route: &str) -> Option<(&'static str, &'static KeptRoute)> {
    // A router keeps each route at a fixed address, so the address selects the slot. Only equal text counts as a hit.
    let place = (route.as_ptr().addr() >> 4) ^ method.len();
    let known = RECENT.try_with(|recent| recent[place % recent.len()].get()).ok().flatten();
    match known {
        Some(entry) if entry.method == method && entry.route.text == route => Some((entry.name, entry.route)),
        _ => {
            let (name, route) = kept(method, route)?;
            let entry = Entry { method, route, name };
            // The thread-local is not available while the thread is ending.
            let _ = RECENT.try_with(|recent| recent[place % recent.len()].set(Some(entry)));
            Some((name, route))
        }
    }
}

fn kept(method: &'static str, text: &str) -> Option<(&'static str, &'static KeptRoute)> {
    let (text, route) = ROUTES.get(text, KeptRoute::new)?;
    let index = STANDARD.iter().position(|standard| *standard == method).unwrap_or(STANDARD.len());
    let name = route.span_names.get(index)?.get_or_init(|| format!("{method} {text}").into_boxed_str());
    Some((name, route))
}

/// Returns all cached routes.
pub(crate) fn kept_routes() -> Vec<&'static KeptRoute> {
    ROUTES.values()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: MethodName, route: Option<&str>, expected: &str) {
        let (name, route) = span_name(&method, route);
        assert_eq!(format!("{name} | {route:?}"), expected);
    }

    fn route_text(text: &str) -> Option<Value> {
        Some(text.to_owned().into())
    }

    #[test]
    fn names_follow_the_conventions_and_are_shared() {
        check(MethodName::Standard("GET"), None, "GET | None");
        check(MethodName::Other, None, "HTTP | None");
        check(MethodName::Custom("PURGE".into()), None, "PURGE | None");
        let long = format!("/{}", "x".repeat(MAX_ROUTE_BYTES));
        for _ in 0..2 {
            for (method, text) in [
                (MethodName::Standard("GET"), "GET"),
                (MethodName::Standard("PUT"), "PUT"),
                (MethodName::Other, "HTTP"),
                (MethodName::Custom("PURGE".into()), "PURGE"),
            ] {
                let (name, route) = span_name(&method, Some("/u/{id}"));
                assert_eq!(
                    (name.as_ref(), route.map(Value::from)),
                    (format!("{text} /u/{{id}}").as_str(), route_text("/u/{id}"))
                );
                let (name, route) = span_name(&method, Some(&long));
                assert_eq!(
                    (name.as_ref(), route.map(Value::from)),
                    (format!("{text} {long}").as_str(), route_text(&long))
                );
            }
        }
        let shared = |method| matches!(span_name(&method, Some("/u/{id}")).0, Cow::Borrowed(_));
        assert!(shared(MethodName::Standard("GET")) && shared(MethodName::Other));
        // A full table does not grow but still returns names.
        for i in 0..2 * MAX_ROUTES {
            let route = format!("/full/{i}");
            assert_eq!(span_name(&MethodName::Standard("GET"), Some(&route)).0, format!("GET {route}"));
        }
        assert!(!matches!(span_name(&MethodName::Standard("GET"), Some("/one/more")).0, Cow::Borrowed(_)));
        assert_eq!(span_name(&MethodName::Standard("POST"), Some("/u/{id}")).0, "POST /u/{id}");
    }
}
