//! The original request as proxies describe it: `Forwarded` and the older `X-Forwarded-*` headers.
//!
//! Any client can write these headers, so they are read only where the settings trust them.

use std::borrow::Cow;
use std::net::IpAddr;

use http::HeaderMap;

use super::host;

/// The original client's entry in the proxy chain, which is the first element of each header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded<'a> {
    pub(crate) client: Option<(IpAddr, Option<u16>)>,
    pub(crate) host: Option<(Cow<'a, str>, Option<u16>)>,
    pub(crate) scheme: Option<&'static str>,
}

impl<'a> Forwarded<'a> {
    // spec: http/http-spans.md: each field is taken from `Forwarded` first, then from `X-Forwarded-*`
    pub(crate) fn read(headers: &'a HeaderMap) -> Self {
        let mut found = first(headers, "forwarded").map(standard).unwrap_or_default();
        found.client = found.client.or_else(|| item(headers, "x-forwarded-for").and_then(host::ip));
        found.host =
            found.host.or_else(|| item(headers, "x-forwarded-host").and_then(|text| host(Cow::Borrowed(text))));
        found.scheme = found.scheme.or_else(|| item(headers, "x-forwarded-proto").and_then(scheme));
        found
    }
}

/// Returns the scheme in lower case if it is `http`, `https`, `ws` or `wss`.
pub(crate) fn scheme(text: &str) -> Option<&'static str> {
    ["https", "http", "wss", "ws"].into_iter().find(|known| known.eq_ignore_ascii_case(text.trim()))
}

fn host(text: Cow<'_, str>) -> Option<(Cow<'_, str>, Option<u16>)> {
    match text {
        Cow::Borrowed(text) => host::split(text).map(|(host, port)| (Cow::Borrowed(host), port)),
        Cow::Owned(text) => host::split(&text).map(|(host, port)| (Cow::Owned(host.to_owned()), port)),
    }
}

/// Parses a header of RFC 7239: `for=192.0.2.60;proto=http;host="example.com", for=…`
fn standard(value: &str) -> Forwarded<'_> {
    let mut found = Forwarded::default();
    for pair in element(value) {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = unquote(value.trim());
        match name.trim() {
            name if name.eq_ignore_ascii_case("for") => found.client = found.client.or_else(|| host::ip(&value)),
            name if name.eq_ignore_ascii_case("host") => found.host = found.host.or_else(|| host(value)),
            name if name.eq_ignore_ascii_case("proto") => found.scheme = found.scheme.or_else(|| scheme(&value)),
            _ => {}
        }
    }
    found
}

/// Returns the pairs of the first non-empty element. Separators within quotes do not count.
///
/// spec: RFC 9110 sections 5.6.1, empty elements of a list are ignored, and 5.6.4, quoted strings
fn element(value: &str) -> impl Iterator<Item = &str> {
    let value = value.trim_start_matches([' ', '\t', ',']);
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut is_quoted, mut is_escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_quoted => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                b';' | b',' => return !is_quoted,
                _ => {}
            }
            false
        });
        let (pair, separator) = match end {
            Some(end) => (&text[..end], text.as_bytes().get(end)),
            None => (text, None),
        };
        rest = end.filter(|_| separator == Some(&b';')).and_then(|end| text.get(end + 1..));
        Some(pair)
    })
}

/// Returns the content of a quoted string, or the token itself.
fn unquote(value: &str) -> Cow<'_, str> {
    let Some(quoted) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return Cow::Borrowed(value);
    };
    if !quoted.contains('\\') {
        return Cow::Borrowed(quoted);
    }
    let mut letters = quoted.chars();
    let unescaped = std::iter::from_fn(|| match letters.next()? {
        '\\' => letters.next(),
        letter => Some(letter),
    });
    Cow::Owned(unescaped.collect())
}

/// Returns the first non-empty item of a list.
fn item<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    first(headers, name)?.split(',').map(str::trim).find(|item| !item.is_empty())
}

fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn read(lines: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let Forwarded { client, host, scheme } = Forwarded::read(&headers);
        let client = client.map_or("-".to_owned(), |(ip, port)| format!("{ip} {port:?}"));
        let host = host.map_or("-".to_owned(), |(host, port)| format!("{host} {port:?}"));
        format!("{client} | {host} | {}", scheme.unwrap_or("-"))
    }

    #[test]
    fn reads() {
        fn check(lines: &[(&str, &str)], expected: &str) {
            assert_eq!(read(lines), expected, "{lines:?}");
        }
        check(&[], "- | - | -");
        check(
            &[("forwarded", "For=\"[2001:db8::17]:4711\"; proto=HTTPS ;host=\"a.example:8443\", for=10.0.0.1;host=b")],
            "2001:db8::17 Some(4711) | a.example Some(8443) | https",
        );
        check(&[("forwarded", "for=_hidden;by=x")], "- | - | -");
        check(&[("forwarded", "for=\"1.2.3.4, 5.6.7.8\";proto=http")], "- | - | http");
        check(&[("forwarded", "proto=gopher"), ("x-forwarded-proto", "https, http")], "- | - | https");
        check(
            &[("x-forwarded-for", "203.0.113.195, 70.41.3.18"), ("x-forwarded-host", "shop.example")],
            "203.0.113.195 None | shop.example None | -",
        );
        check(&[("forwarded", " ,, FOR=192.0.2.1;Proto=\"HTTPS\"")], "192.0.2.1 None | - | https");
        check(
            &[("forwarded", r#"by="a\",b";host="shop\.example:80";for=192.0.2.1"#)],
            "192.0.2.1 None | shop.example Some(80) | -",
        );
        check(&[("forwarded", r#"by="a\\",for=192.0.2.1"#)], "- | - | -");
        check(&[("forwarded", "host=shop.example:+80")], "- | shop.example None | -");
        check(
            &[("x-forwarded-for", " , 203.0.113.195"), ("x-forwarded-proto", ",HTTPS")],
            "203.0.113.195 None | - | https",
        );
        check(&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "203.0.113.1")], "192.0.2.1 None | - | -");
        check(&[("x-forwarded-for", "<script>"), ("x-forwarded-host", "a b"), ("x-forwarded-proto", "")], "- | - | -");
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "[ -~]{0,80}|(for=|host=|\"|;|,|=|\\[|\\]|\\\\){0,20}") {
            read(&[("forwarded", &value), ("x-forwarded-for", &value), ("x-forwarded-host", &value)]);
        }
    }
}
