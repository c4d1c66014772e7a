//! The address of a proxy, and the credentials in it.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use crate::encode::base64::encode;
use crate::endpoint::Endpoint;

pub(super) const ACCEPTED: &str = "an http:// URL such as http://proxy:3128 or http://user:password@proxy:3128";

/// A proxy that speaks HTTP. Shown without its credentials.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// The host, without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<HeaderValue>,
    /// The decoded password.
    password: Vec<u8>,
    /// The variable or argument that names the proxy.
    setting: Cow<'static, str>,
}

impl Proxy {
    /// Parses a URL, whose scheme is optional. Returns `None` if it is not usable.
    pub(super) fn parse(text: &str, setting: Cow<'static, str>) -> Option<Proxy> {
        let text = text.trim();
        let uri: Uri = if text.contains("://") { text.parse().ok()? } else { format!("http://{text}").parse().ok()? };
        if uri.scheme_str()? != "http" {
            return None;
        }
        let authority = uri.authority()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (credentials, address) = authority.as_str().rsplit_once('@').unwrap_or(("", authority.as_str()));
        // `port_u16` does not distinguish a malformed port from a missing one.
        let port = match authority.port() {
            Some(port) => port.as_str().parse().ok().filter(|&port| port != 0)?,
            None if address.len() > authority.host().len() => return None,
            None => 80,
        };
        if host.is_empty() {
            return None;
        }
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let password: Vec<u8> = percent_decode_str(password).collect();
        let authorization = if credentials.is_empty() { None } else { Some(basic(user, &password)?) };
        Some(Proxy { host, port, authorization, password, setting })
    }

    /// Returns the message about a proxy that refuses the credentials, or the lack of them.
    pub(crate) fn refusal_of_credentials(&self, endpoint: &Endpoint) -> String {
        let wants = if self.authorization.is_some() { "refuses these credentials" } else { "wants credentials" };
        format!(
            "the proxy {self} {wants}, so {endpoint} cannot be reached: it answered 407 Proxy Authentication Required"
        )
    }

    /// Returns the values that must not appear in messages, because the proxy may echo them.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        let authorization = self.authorization.iter().map(HeaderValue::as_bytes);
        authorization.chain([self.password.as_slice()]).filter(|secret| !secret.is_empty())
    }
}

/// Returns the header value of these credentials.
///
/// spec: RFC 7617
fn basic(user: &str, password: &[u8]) -> Option<HeaderValue> {
    let user: Vec<u8> = percent_decode_str(user).collect();
    let mut value = b"Basic ".to_vec();
    encode(&mut value, &[&user, &b":"[..], password].concat());
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proxy { host, port, setting, .. } = self;
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "http://{open}{host}{close}:{port} ({setting})")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match Proxy::parse(text, "X".into()) {
            Some(proxy) => {
                assert!(!format!("{proxy:?}").contains("s3cret"));
                let authorization = proxy.authorization.as_ref().map_or("", |value| value.to_str().unwrap());
                format!("{proxy} {authorization}").trim_end().to_owned()
            }
            None => "refused".to_owned(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn addresses() {
        check("http://proxy:3128", "http://proxy:3128 (X)");
        check(" proxy:3128 ", "http://proxy:3128 (X)");
        check("proxy", "http://proxy:80 (X)");
        check("HTTP://proxy/", "http://proxy:80 (X)");
        check("http://[::1]:8080", "http://[::1]:8080 (X)");
        check("http://[::1]", "http://[::1]:80 (X)");
        check("10.0.0.1:8080", "http://10.0.0.1:8080 (X)");
        for text in [
            "",
            "http://",
            "socks5://proxy:1080",
            "https://proxy",
            "http://proxy:0",
            "http://proxy:x",
            "http://proxy:",
            "a b",
        ] {
            check(text, "refused");
        }
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        check("http://user:s3cret@proxy:3128", "http://proxy:3128 (X) Basic dXNlcjpzM2NyZXQ=");
        check("user:s3cret@proxy", "http://proxy:80 (X) Basic dXNlcjpzM2NyZXQ=");
        // user and a@b:c
        check("http://user:a%40b%3Ac@proxy", "http://proxy:80 (X) Basic dXNlcjphQGI6Yw==");
        check("http://user@[::1]:1", "http://[::1]:1 (X) Basic dXNlcjo=");
        let proxy = Proxy::parse("http://u:p%40ss@h", "X".into()).unwrap();
        assert_eq!(proxy.secrets().collect::<Vec<_>>(), [&b"Basic dTpwQHNz"[..], b"p@ss"]);
    }
}
