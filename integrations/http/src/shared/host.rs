//! Parses `host[:port]`: the Host header, an authority, or a node of a Forwarded header.

use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr};

use opentelemetry::StringValue;
use telemark_kit::{BoundedText, Interner};

use super::content_length::number;

/// Clients use only a few names for a server, so the first names are cached in split form and spans do not need to copy
/// them.
static KEPT: Interner<Split> = Interner::new(128, 128);

thread_local! {
    static RECENT: [Cell<Option<Kept>>; 8] = const { [const { Cell::new(None) }; 8] };
}

/// The result of [`split`].
type Split = Option<(&'static str, Option<u16>)>;
type Kept = (&'static str, &'static Split);

/// A host as the value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) address: StringValue,
    pub(crate) port: Option<u16>,
    pub(crate) is_cut: bool,
}

impl Host {
    pub(crate) fn new(host: &str, port: Option<u16>) -> Self {
        let host = BoundedText::new(host);
        Host { address: host.text.into(), port, is_cut: host.is_cut }
    }
}

/// Splits `text` like [`split`], and returns the host as an attribute value.
pub(crate) fn attribute(text: &str) -> Option<Host> {
    match kept(text) {
        Some((_, kept)) => kept.map(|(host, port)| Host { address: host.into(), port, is_cut: false }),
        None => split(text).map(|(host, port)| Host::new(host, port)),
    }
}

/// Returns the cached parts of `text`, or `None` if it is not cached.
fn kept(text: &str) -> Option<Kept> {
    let place = text.len() % 8;
    let known = RECENT.try_with(|recent| recent[place].get()).ok().flatten().filter(|(of, _)| *of == text);
    known.or_else(|| {
        let kept = KEPT.get(text, split)?;
        // The thread-local is not available while the thread is ending.
        let _ = RECENT.try_with(|recent| recent[place].set(Some(kept)));
        Some(kept)
    })
}

/// Returns the cached host and port, or `None` if the text is invalid or not cached.
pub(crate) fn kept_parts(text: &str) -> Option<(&'static str, Option<u16>)> {
    *kept(text)?.1
}

/// Splits `host`, `host:port` or `[v6]:port`, and removes the brackets of an IPv6 address.
///
/// Returns `None` for anything else. An invalid port counts as absent.
pub(crate) fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((address, self::port(port))),
            None if rest.is_empty() => Some((address, None)),
            None => None,
        };
    }
    let (host, port) = match text.split_once(':') {
        // After a second colon, the text can only be an IPv6 address without brackets.
        Some((_, rest)) if rest.contains(':') && text.parse::<Ipv6Addr>().is_ok() => return Some((text, None)),
        Some((host, port)) => (host, self::port(port)),
        None => (text, None),
    };
    (!host.is_empty() && host.bytes().all(is_host_byte)).then_some((host, port))
}

/// spec: RFC 3986 section 3.2.3: only digits, without the sign that `std` would accept
fn port(text: &str) -> Option<u16> {
    u16::try_from(number(text.as_bytes())?).ok()
}

/// Returns an IP address with an optional port; `None` for names, `unknown` and obfuscated nodes.
pub(crate) fn ip(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let (address, port) = split(text)?;
    Some((address.parse::<IpAddr>().ok()?.to_canonical(), port))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b'%' | b'!' | b'$' | b'+')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits() {
        fn check(text: &str, expected: &str) {
            let split = split(text).map(|(host, port)| format!("{host} {port:?}"));
            assert_eq!(split.as_deref().unwrap_or("-"), expected, "{text}");
        }
        check("example.com", "example.com None");
        check("example.com:8080", "example.com Some(8080)");
        check(" example.com:x ", "example.com None");
        check("example.com:70000", "example.com None");
        check("example.com:+80", "example.com None");
        check("example.com:", "example.com None");
        check("[::1]:+80", "::1 None");
        check("[::1]:80", "::1 Some(80)");
        check("[::1]", "::1 None");
        check("::1", "::1 None");
        check("[::1]x", "-");
        check("[nope]:80", "-");
        check("[::1", "-");
        check("a:b:c", "a None");
        check("user@host", "-");
        check("", "-");
        check(":80", "-");
    }

    #[test]
    fn addresses() {
        fn check(text: &str, expected: &str) {
            let ip = ip(text).map(|(ip, port)| format!("{ip} {port:?}"));
            assert_eq!(ip.as_deref().unwrap_or("-"), expected, "{text}");
        }
        check("192.0.2.1", "192.0.2.1 None");
        check("192.0.2.1:4711", "192.0.2.1 Some(4711)");
        check("[2001:db8::1]:4711", "2001:db8::1 Some(4711)");
        check("::ffff:192.0.2.1", "192.0.2.1 None");
        check("unknown", "-");
        check("_hidden", "-");
    }

    #[test]
    fn attributes_are_what_is_split() {
        for text in ["first.example:8080", "other.example:8080", "user@host", "[::1]:80", &"x".repeat(129)] {
            for _ in 0..2 {
                let expected = split(text).map(|(host, port)| Host::new(host, port));
                assert_eq!(attribute(text), expected, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}|\\[.{0,30}\\]:.{0,8}") {
            let _ = split(&text);
            let _ = ip(&text);
        }
    }
}
