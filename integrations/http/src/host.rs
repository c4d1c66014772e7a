//! `host[:port]` texts: the Host header, an authority, the nodes of a Forwarded header.

use std::net::{IpAddr, Ipv6Addr};

/// Splits `host`, `host:port` or `[v6]:port`; the brackets of an IPv6 address are taken off.
///
/// `None` if it is none of these. A port that is no number is as good as none.
pub(crate) fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((address, port.parse().ok())),
            None if rest.is_empty() => Some((address, None)),
            None => None,
        };
    }
    let (host, port) = match text.split_once(':') {
        // A second colon: only an address without brackets can be meant.
        Some((_, rest)) if rest.contains(':') && text.parse::<Ipv6Addr>().is_ok() => return Some((text, None)),
        Some((host, port)) => (host, port.parse().ok()),
        None => (text, None),
    };
    (!host.is_empty() && host.bytes().all(is_host_byte)).then_some((host, port))
}

/// An IP address with an optional port; names, `unknown` and obfuscated nodes are none.
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

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,60}|\\[.{0,30}\\]:.{0,8}") {
            let _ = split(&text);
            let _ = ip(&text);
        }
    }
}
