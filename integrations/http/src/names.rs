//! Span names and route texts that live as long as the program, so that a request allocates neither.
//!
//! The table is bounded: at most [`MAX_ROUTES`] routes of at most [`MAX_ROUTE_BYTES`] bytes, each with at most one
//! name per standard method. Texts beyond that are made anew for every request. Entries are never taken out, which
//! is what allows the `&'static str` that the API's span builder holds without an allocation.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::Value;

use crate::methods::MethodName;

const MAX_ROUTES: usize = 1024;
const MAX_ROUTE_BYTES: usize = 256;

static TABLE: RwLock<Option<Table>> = RwLock::new(None);

type Table = HashMap<&'static str, Vec<(&'static str, &'static str)>>;

thread_local! {
    static RECENT: [Cell<Option<Entry>>; 64] = const { [const { Cell::new(None) }; 64] };
}

#[derive(Clone, Copy)]
struct Entry {
    method: &'static str,
    route: &'static str,
    name: &'static str,
}

/// The value of `http.route`; span and metrics share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RouteText {
    /// One of the table's.
    Kept(&'static str),
    Own(Arc<str>),
}

impl From<RouteText> for Value {
    fn from(route: RouteText) -> Self {
        match route {
            RouteText::Kept(text) => text.into(),
            RouteText::Own(text) => text.into(),
        }
    }
}

/// The name of a server span, and the value of `http.route`.
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
fn recent(method: &'static str, route: &str) -> Option<(&'static str, &'static str)> {
    // Where a text lies only says where to look: routers keep theirs in one place.
    let place = (route.as_ptr().addr() >> 4) ^ method.len();
    let known = RECENT.try_with(|recent| recent[place % recent.len()].get()).ok().flatten();
    match known {
        Some(entry) if entry.method == method && entry.route == route => Some((entry.name, entry.route)),
        _ => {
            let (name, route) = intern(method, route)?;
            let entry = Entry { method, route, name };
            // Without its locals a thread is about to end.
            let _ = RECENT.try_with(|recent| recent[place % recent.len()].set(Some(entry)));
            Some((name, route))
        }
    }
}

fn intern(method: &'static str, route: &str) -> Option<(&'static str, &'static str)> {
    if route.len() > MAX_ROUTE_BYTES {
        return None;
    }
    {
        let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
        match table.as_ref().map(|table| (table.len(), table.get_key_value(route))) {
            Some((_, Some((route, names)))) => {
                if let Some((_, name)) = names.iter().find(|(of, _)| *of == method) {
                    return Some((name, route));
                }
            }
            Some((MAX_ROUTES.., None)) => return None,
            _ => {}
        }
    }
    add(method, route)
}

#[cold]
fn add(method: &'static str, route: &str) -> Option<(&'static str, &'static str)> {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let table = table.get_or_insert_default();
    // Another thread may have been faster, or may have taken the last place.
    let route: &'static str = match table.get_key_value(route) {
        Some((route, _)) => route,
        None if table.len() >= MAX_ROUTES => return None,
        None => Box::leak(Box::from(route)),
    };
    let names = table.entry(route).or_default();
    if let Some((_, name)) = names.iter().find(|(of, _)| *of == method) {
        return Some((name, route));
    }
    let name: &'static str = Box::leak(format!("{method} {route}").into_boxed_str());
    names.push((method, name));
    Some((name, route))
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
        // The bound holds, and a full table still answers.
        for i in 0..2 * MAX_ROUTES {
            let route = format!("/full/{i}");
            assert_eq!(span_name(&MethodName::Standard("GET"), Some(&route)).0, format!("GET {route}"));
        }
        assert_eq!(TABLE.read().unwrap().as_ref().map(HashMap::len), Some(MAX_ROUTES));
        assert_eq!(span_name(&MethodName::Standard("POST"), Some("/u/{id}")).0, "POST /u/{id}");
    }
}
