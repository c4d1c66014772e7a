//! The known request methods, and the representation of unknown ones.

use std::sync::Arc;

use http::Method;
use opentelemetry::StringValue;

/// The methods that may appear as `http.request.method`.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownMethods(Option<Vec<Arc<str>>>);

/// A request method, as represented in the conventions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MethodName {
    /// One of the standard methods.
    Standard(&'static str),
    /// A non-standard method listed in the settings.
    Custom(Arc<str>),
    /// An unknown method, recorded as `_OTHER`; a separate attribute holds the original.
    Other,
}

impl KnownMethods {
    /// Replaces the entire default list.
    ///
    /// spec: http/http-spans.md note [1]: the list is a full override and case-sensitive
    pub(crate) fn only(methods: Vec<Arc<str>>) -> Self {
        KnownMethods(Some(methods))
    }

    pub(crate) fn resolve(&self, method: &Method) -> MethodName {
        match &self.0 {
            None => standard(method).map_or(MethodName::Other, MethodName::Standard),
            Some(known) => match known.iter().find(|known| ***known == *method.as_str()) {
                None => MethodName::Other,
                Some(known) => standard(method).map_or_else(|| MethodName::Custom(known.clone()), MethodName::Standard),
            },
        }
    }
}

impl MethodName {
    /// Returns the value of `http.request.method`.
    pub(crate) fn attribute(&self) -> StringValue {
        match self {
            MethodName::Standard(name) => (*name).into(),
            MethodName::Custom(name) => name.clone().into(),
            MethodName::Other => "_OTHER".into(),
        }
    }

    /// Returns the name of the method as used in span names.
    ///
    /// spec: http/http-spans.md#name: `_OTHER` becomes `HTTP`
    pub(crate) fn in_span_name(&self) -> &str {
        match self {
            MethodName::Standard(name) => name,
            MethodName::Custom(name) => name,
            MethodName::Other => "HTTP",
        }
    }
}

/// The methods that the conventions define as known.
///
/// spec: http/http-spans.md note [1]
pub(crate) static STANDARD: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY"];

fn standard(method: &Method) -> Option<&'static str> {
    let index = match *method {
        Method::GET => 0,
        Method::POST => 1,
        _ => STANDARD.iter().position(|name| method == name)?,
    };
    STANDARD.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves() {
        fn check(known: &KnownMethods, method: &str, expected: &str) {
            let name = known.resolve(&Method::from_bytes(method.as_bytes()).unwrap());
            assert_eq!(format!("{} {}", name.attribute(), name.in_span_name()), expected, "{method}");
        }
        let default = KnownMethods::default();
        for method in STANDARD {
            check(&default, method, &format!("{method} {method}"));
        }
        check(&default, "get", "_OTHER HTTP");
        check(&default, "PURGE", "_OTHER HTTP");
        let own = KnownMethods::only(vec!["PURGE".into(), "GET".into()]);
        check(&own, "PURGE", "PURGE PURGE");
        check(&own, "GET", "GET GET");
        check(&own, "POST", "_OTHER HTTP");
    }
}
