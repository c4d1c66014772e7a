//! Configured request headers: the syntax in the environment, and names reserved for the protocol.
//!
//! spec: protocol/exporter.md#specifying-headers-via-environment-variables

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use telemark_sdk::ConfigError;
use telemark_sdk::config::Env;

/// Configured headers. Their values may be tokens and are never shown.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Headers(HeaderMap);

const ACCEPTED: &str = "key=value,key=value with percent-encoded values, and no header that belongs to the protocol";

impl Headers {
    /// Sets a header.
    ///
    /// # Errors
    /// Fails if the name or the value is not valid in a header, or if the name is reserved for the protocol.
    pub(crate) fn set(&mut self, setting: &'static str, name: &str, value: &str) -> Result<(), ConfigError> {
        match parse(name, value.as_bytes()).and_then(|(name, value)| self.insert(name, value)) {
            Some(()) => Ok(()),
            None => Err(ConfigError::redacted(setting, format!("{name}=…"), ACCEPTED)),
        }
    }

    /// Sets a header. Returns `None` beyond the number of headers that a request can have.
    fn insert(&mut self, name: HeaderName, value: HeaderValue) -> Option<()> {
        self.0.try_insert(name, value).ok().map(|_| ())
    }

    /// Reads the variable. Skips unusable entries and reports them to `env` without their values.
    pub(crate) fn from_variable(env: &Env, variable: &str) -> Option<Headers> {
        let list = env.string(variable)?;
        Some(Headers::from_list(&list, variable, |error| env.warn(error)))
    }

    /// Parses a list in the grammar of the variable. Skips unusable entries and passes them to `report` without their values.
    pub(crate) fn from_list(list: &str, variable: &str, report: impl Fn(ConfigError)) -> Headers {
        let mut headers = Headers::default();
        for (index, item) in list.split(',').map(str::trim).filter(|item| !item.is_empty()).enumerate() {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            // A `%` that does not start an escape is literal, as in some tokens.
            let decoded: Vec<u8> = percent_decode_str(value.trim()).collect();
            // An item without a value may be a bare token, and the padding of a token looks like an empty value.
            let is_token = !item.contains('=') || !value.is_empty() && value.bytes().all(|byte| byte == b'=');
            let parsed = parse(name.trim(), &decoded).filter(|_| !is_token);
            match parsed.and_then(|(name, value)| headers.insert(name, value)) {
                Some(()) => {}
                None => {
                    report(if is_token {
                        let entry = format!("entry {} of {variable}", index + 1);
                        ConfigError::state(entry, format!("cannot be used, expected {ACCEPTED}"))
                    } else {
                        ConfigError::redacted(variable.to_owned(), format!("{name}=…"), ACCEPTED)
                    });
                }
            }
        }
        headers
    }

    /// Adds the headers of `other` whose names are not set.
    pub(crate) fn or(mut self, other: Headers) -> Headers {
        for (name, value) in other.0 {
            if let Some(name) = name {
                // Fails beyond the number of headers that a request can have.
                let _ = self.0.try_entry(name).map(|entry| entry.or_insert(value));
            }
        }
        self
    }

    /// Adds the headers of `other`, which replace those with the same names. Takes time in proportion to their number.
    pub(crate) fn add(&mut self, other: Headers) {
        for (name, value) in other.0 {
            _ = name.and_then(|name| self.insert(name, value));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> Vec<HeaderName> {
        self.0.keys().cloned().collect()
    }

    pub(crate) fn into_map(self) -> HeaderMap {
        self.0
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name.as_str(), "…"))).finish()
    }
}

fn parse(name: &str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let name: HeaderName = name.parse().ok()?;
    if belongs_to_protocol(name.as_str()) {
        return None;
    }
    // Use `from_bytes`, because decoded values may be UTF-8. It refuses control characters such as line breaks.
    let mut value = HeaderValue::from_bytes(value).ok()?;
    // Excludes the value from HPACK's table and from `Debug` output.
    value.set_sensitive(true);
    Some((name, value))
}

/// Returns true for headers that describe the body or the connection. Other values would break the request.
fn belongs_to_protocol(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.contains(&name) || name.starts_with("grpc-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads the variable and compares the headers, followed by the warnings.
    fn check(value: &str, expected: &str) {
        let env = Env::from_pairs([("X", value)]);
        let headers = Headers::from_variable(&env, "X").unwrap_or_default();
        let mut lines: Vec<_> = headers
            .0
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        lines.sort();
        let warnings: Vec<_> = env.take_warnings().iter().map(|w| w.to_string().replace(ACCEPTED, "")).collect();
        assert_eq!([lines, warnings].concat().join("; "), expected, "{value:?}");
    }

    #[test]
    fn headers_beyond_those_of_a_request_are_reported() {
        let list: String = (0..100_000).map(|at| format!("k{at}=1,")).collect();
        let env = Env::from_pairs([("X", &list)]);
        let mut headers = Headers::from_variable(&env, "X").unwrap();
        assert!((10_000..100_000).contains(&headers.0.len()) && !env.take_warnings().is_empty());
        assert!(headers.set("header", "one-more", "1").is_err());
        let other = Headers::from_list("k0=2,other=1", "", |_| ());
        headers.add(other.clone());
        assert!(!headers.or(other.clone()).0.contains_key("other"));
        let mut few = Headers::from_list("k0=1,a=1", "", |_| ());
        few.add(other);
        assert_eq!((few.0.len(), few.0["k0"].as_bytes()), (3, &b"2"[..]));
    }

    #[test]
    fn the_variable() {
        check("api-key=secret, X-Tenant = a ,", "api-key: secret; x-tenant: a");
        check("authorization=Bearer%20a%3Db%2Cc", "authorization: Bearer a=b,c");
        check("authorization=Basic dXNlcjpwYXNz==", "authorization: Basic dXNlcjpwYXNz==");
        check("name=gr%C3%B6%C3%9Fe", "name: größe");
        check("a=1,a=2", "a: 2");
        check("empty=", "empty: ");
        check("token=100%, a=5%zz%20%4", "a: 5%zz %4; token: 100%");
    }

    #[test]
    fn unusable_entries_are_reported_without_their_values() {
        check("a=1,secret-token", "a: 1; entry 2 of X: cannot be used, expected ");
        check(
            "c2VjcmV0IHRva2Vu==,b c==",
            "entry 1 of X: cannot be used, expected ; entry 2 of X: cannot be used, expected ",
        );
        check("a=x%0d%0aevil: 1", r#"X="a=…" cannot be used: expected "#);
        check("a b=secret", r#"X="a b=…" cannot be used: expected "#);
        check("Content-Length=3", r#"X="Content-Length=…" cannot be used: expected "#);
        check("grpc-timeout=3", r#"X="grpc-timeout=…" cannot be used: expected "#);
    }

    #[test]
    fn debug_shows_names_alone() {
        let mut headers = Headers::default();
        headers.set("header", "authorization", "Bearer secret").unwrap();
        assert_eq!(format!("{headers:?}"), r#"{"authorization": "…"}"#);
        assert!(!format!("{:?}", headers.clone().into_map()).contains("secret"));
        let error = headers.set("header", "a", "secret\n").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }

    #[test]
    fn code_wins_over_the_environment() {
        let mut code = Headers::default();
        code.set("header", "a", "code").unwrap();
        let env = Env::from_pairs([("X", "a=env,b=env")]);
        let map = code.or(Headers::from_variable(&env, "X").unwrap()).into_map();
        assert_eq!((map["a"].as_bytes(), map["b"].as_bytes()), (&b"code"[..], &b"env"[..]));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_no_line_breaks_pass(value in "\\PC{0,60}", escapes in "(%[0-9a-fA-F]{2}|[ -~]){0,20}") {
            for text in [value, format!("a={escapes}")] {
                let env = Env::from_pairs([("X", text)]);
                let headers = Headers::from_variable(&env, "X").unwrap_or_default();
                prop_assert!(headers.0.values().all(|v| !v.as_bytes().iter().any(|b| matches!(b, b'\r' | b'\n' | 0))));
            }
        }
    }
}
