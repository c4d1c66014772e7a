//! The parts of an absolute URL, and the value of `url.full`.

use std::borrow::Cow;

use http::{HeaderMap, Uri, header};
use opentelemetry::StringValue;
use telemark_kit::BoundedText;

use crate::shared::host::{self, Host};
use crate::shared::query::{self, REDACTED};

/// The URL of an outgoing request, split into its parts.
///
/// The split copies nothing, accepts any text and does not validate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'u> {
    scheme: &'u str,
    userinfo: Option<&'u str>,
    /// The host with its port, as written.
    authority: &'u str,
    path: &'u str,
    query: Option<&'u str>,
    fragment: Option<&'u str>,
    /// The URL that consists of these parts, if there is one.
    whole: Option<&'u str>,
}

impl<'u> Target<'u> {
    /// Splits an absolute URL. A text without a scheme is a path, with neither scheme nor host.
    pub fn parse(url: &'u str) -> Self {
        let (before, rest) = split_before(url, |byte| matches!(byte, b'?' | b'#'));
        let (query, fragment) = split_before(rest, |byte| byte == b'#');
        let (scheme, rest) = match before.as_bytes().windows(3).position(|bytes| bytes == b"://") {
            Some(end) => (&before[..end], &before[end + 3..]),
            None => ("", before),
        };
        let (authority, path) = match scheme {
            "" => ("", rest),
            _ => split_before(rest, |byte| byte == b'/'),
        };
        let (query, fragment) = (query.strip_prefix('?'), fragment.strip_prefix('#'));
        let (userinfo, authority) = without_userinfo(authority);
        Target { scheme, userinfo, authority, path, query, fragment, whole: Some(url) }
    }

    /// Returns the parts of a request's target. If it has no host, as in HTTP/1 requests on a given connection, the host
    /// comes from the `Host` header. Without a scheme, it is `https` for port 443 and otherwise `http`.
    pub fn of(uri: &'u Uri, headers: &'u HeaderMap) -> Self {
        let in_header = || headers.get(header::HOST)?.to_str().ok();
        let authority = uri.authority().map(http::uri::Authority::as_str).or_else(in_header).unwrap_or_default();
        let (userinfo, authority) = without_userinfo(authority);
        let scheme = uri.scheme_str().unwrap_or(if authority.ends_with(":443") { "https" } else { "http" });
        Target { scheme, userinfo, authority, path: uri.path(), query: uri.query(), fragment: None, whole: None }
    }

    /// Returns a target of which only the host is known, which is an IP address without brackets.
    pub(crate) fn of_address(address: &'u str) -> Self {
        Target { scheme: "", userinfo: None, authority: address, path: "", query: None, fragment: None, whole: None }
    }

    /// Returns the scheme as written; empty if there is none.
    pub fn scheme(&self) -> &'u str {
        self.scheme
    }

    /// Returns the path, without the query.
    pub fn path(&self) -> &'u str {
        self.path
    }

    /// Returns the host, without a port and without the brackets of an IPv6 address; empty if there is none.
    pub fn host(&self) -> &'u str {
        host::split(self.authority).map_or("", |(host, _)| host)
    }

    /// Returns the port, or else the default port of the scheme.
    ///
    /// spec: http/http-spans.md#http-client-span: server.port is required, so the default port is recorded as well
    pub fn port(&self) -> Option<u16> {
        self.port_or_default(host::split(self.authority).and_then(|(_, port)| port))
    }

    fn port_or_default(&self, port: Option<u16>) -> Option<u16> {
        port.or(match self.known_scheme() {
            Some("https" | "wss") => Some(443),
            Some(_) => Some(80),
            None => None,
        })
    }

    /// Returns the scheme in lower case; `None` for an unknown one.
    pub(crate) fn known_scheme(&self) -> Option<&'static str> {
        ["https", "http", "wss", "ws"].into_iter().find(|known| known.eq_ignore_ascii_case(self.scheme))
    }

    /// Returns the values of `server.address` and `server.port`.
    pub(crate) fn server(&self) -> Option<Server> {
        let kept = host::kept_parts(self.authority);
        if let Some((host, port)) = kept {
            let port = self.port_or_default(port);
            return Some(Server { address: host.into(), port, kept: Some(host), is_cut: false });
        }
        let (host, port) = host::split(self.authority)?;
        let Host { address, port, is_cut } = Host::new(host, port);
        Some(Server { address, port: self.port_or_default(port), kept: None, is_cut })
    }

    /// Returns the value of `url.full`: without credentials, and with `REDACTED` for the values of sensitive parameters.
    ///
    /// spec: http/http-spans.md#http-client-span, url.full
    pub(crate) fn full(&self, sensitive: &[Cow<'static, str>]) -> BoundedText {
        let has_secret = self.query.is_some_and(|query| query::has_secret(query, sensitive));
        if let (Some(whole), false, None) = (self.whole, has_secret, self.userinfo) {
            return BoundedText::new(whole);
        }
        let length = |part: Option<&str>| part.map_or(0, |part| part.len() + 1);
        let known = self.scheme.len() + self.authority.len() + self.path.len() + 3;
        let mut full = String::with_capacity(known + length(self.query) + length(self.fragment) + 32);
        if !self.authority.is_empty() {
            full.push_str(self.scheme);
            full.push_str("://");
        }
        if let Some(userinfo) = self.userinfo {
            full.push_str(REDACTED);
            if userinfo.contains(':') {
                full.push(':');
                full.push_str(REDACTED);
            }
            full.push('@');
        }
        full.push_str(self.authority);
        full.push_str(self.path);
        if let Some(query) = self.query {
            full.push('?');
            query::redact_into(&mut full, query, sensitive);
        }
        if let Some(fragment) = self.fragment {
            full.push('#');
            full.push_str(fragment);
        }
        BoundedText::from(full)
    }
}

/// The server of a request, as values of attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) address: StringValue,
    pub(crate) port: Option<u16>,
    /// The address, if it is cached for the life of the program.
    pub(crate) kept: Option<&'static str>,
    pub(crate) is_cut: bool,
}

/// Splits at the first ASCII character that is a separator, or at the end. The searchers of the standard library take longer to set
/// up than this loop takes for the length of a URL.
fn split_before(text: &str, is_separator: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(is_separator).unwrap_or(text.len()))
}

/// The last `@` ends the credentials, because a password may contain others.
fn without_userinfo(authority: &str) -> (Option<&str>, &str) {
    match authority.bytes().rposition(|byte| byte == b'@') {
        Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
        None => (None, authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::query::SENSITIVE;
    use proptest::prelude::*;
    use telemark_kit::MAX_TEXT_BYTES;

    #[test]
    fn full_urls_hide_secrets() {
        fn check(url: &str, expected: &str) {
            assert_eq!(Target::parse(url).full(&SENSITIVE).text, expected);
            // A `Uri` has no fragment, and an empty path becomes `/`.
            if let (Ok(uri), false) = (url.parse::<Uri>(), url.contains('#') || !url.contains("://")) {
                let target = Target::of(&uri, &HeaderMap::new()).full(&SENSITIVE).text;
                assert_eq!(target.replace("h/?", "h?"), expected.replace("h/?", "h?"), "of a Uri");
            }
        }
        check("https://u:p@h/", "https://REDACTED:REDACTED@h/");
        check("https://u@h/", "https://REDACTED@h/");
        check("https://u:p:q@h:8443/a/b?c=d", "https://REDACTED:REDACTED@h:8443/a/b?c=d");
        check("http://u:p@ss@h/", "http://REDACTED:REDACTED@h/");
        check("https://h/?a=1&sig=abc", "https://h/?a=1&sig=REDACTED");
        check("https://h?a=1&sig=abc", "https://h?a=1&sig=REDACTED");
        check("https://h/?Signature=x&AWSAccessKeyId=y", "https://h/?Signature=REDACTED&AWSAccessKeyId=REDACTED");
        check("https://h/?signature=x", "https://h/?signature=x");
        check(
            "https://h/?X-Amz-Signature=a&X-Amz-Credential=b&X-Amz-Security-Token=c&X-Goog-Signature=d",
            "https://h/?X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED&X-Goog-Signature=REDACTED",
        );
        check("https://h/a?sig=b#c", "https://h/a?sig=REDACTED#c");
        check("https://h/a@b?c=d@e", "https://h/a@b?c=d@e");
        check("http://[::1]:8080/x", "http://[::1]:8080/x");
        check("/only/a/path?sig=x", "/only/a/path?sig=REDACTED");
        check("", "");
    }

    #[test]
    fn a_long_url_is_redacted_before_it_is_cut() {
        let url = format!("http://h/{}?sig=secret", "x".repeat(MAX_TEXT_BYTES - 15));
        let full = Target::parse(&url).full(&SENSITIVE);
        assert!(full.is_cut && full.text.len() == MAX_TEXT_BYTES && full.text.ends_with("?sig=R"), "{}", full.text);
    }

    #[test]
    fn servers() {
        fn check(url: &str, expected: &str) {
            let target = Target::parse(url);
            for _ in 0..2 {
                let server = target.server().map(|server| format!("{} {:?}", server.address, server.port));
                assert_eq!(server.as_deref().unwrap_or("-"), expected, "{url}");
            }
            if let Some(server) = target.server() {
                assert_eq!((target.host(), target.port()), (server.address.as_str(), server.port));
            }
        }
        check("http://h/", "h Some(80)");
        check("https://h", "h Some(443)");
        check("WSS://h", "h Some(443)");
        check("https://u:p@h:8443?a", "h Some(8443)");
        check("http://[2001:db8::1]:81/", "2001:db8::1 Some(81)");
        check("gopher://h/", "h None");
        check("unix:/socket", "-");
        check("/path", "-");
        check(&format!("http://{}/", "x".repeat(200)), &format!("{} Some(80)", "x".repeat(200)));
    }

    #[test]
    fn the_target_of_a_request_without_a_host_has_the_one_of_its_header() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, header::HeaderValue::from_static("shop.example:8080"));
        let uri = Uri::from_static("/users/7?a=b");
        let target = Target::of(&uri, &headers);
        assert_eq!(target.full(&[]).text, "http://shop.example:8080/users/7?a=b");
        assert_eq!(Target::of(&uri, &HeaderMap::new()).full(&[]).text, "/users/7?a=b");
        let tunnel = Uri::from_static("db.example:443");
        assert_eq!(
            (Target::of(&tunnel, &headers).host(), Target::of(&tunnel, &headers).scheme()),
            ("db.example", "https")
        );
    }

    proptest! {
        #[test]
        fn splits_like_the_standard_library(url in ".{0,40}|[a:/?#@]{0,20}|http://[a:/?#@]{0,20}") {
            let (before, fragment) = url.split_once('#').map_or((&*url, None), |(before, after)| (before, Some(after)));
            let (before, query) = before.split_once('?').map_or((before, None), |(before, after)| (before, Some(after)));
            let (scheme, rest) = before.split_once("://").unwrap_or(("", before));
            let host = if scheme.is_empty() { 0 } else { rest.find('/').unwrap_or(rest.len()) };
            let (authority, path) = rest.split_at(host);
            let (userinfo, authority) =
                authority.rsplit_once('@').map_or((None, authority), |(userinfo, rest)| (Some(userinfo), rest));
            let expected = Target { scheme, userinfo, authority, path, query, fragment, whole: Some(&url) };
            prop_assert_eq!(Target::parse(&url), expected);
        }

        #[test]
        fn no_url_panics_and_no_password_survives(
            url in ".{0,80}",
            password in "[a-z:@]{0,8}",
            rest in "[a-z0-9./?#&=]{0,30}",
        ) {
            let _ = Target::parse(&url).full(&SENSITIVE);
            let _ = Target::parse(&url).server();
            let with_password = format!("https://user:QQ{password}QQ@{rest}");
            prop_assert!(!Target::parse(&with_password).full(&SENSITIVE).text.contains("QQ"), "{}", with_password);
        }
    }
}
