//! The head of a response in HTTP/1.1: its end, and the status and the headers in it.
//!
//! spec: RFC 9112, 2.2, 4 and 5

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The maximum number of headers, as in hyper.
const MAX_HEADERS: usize = 100;

/// The parts of a head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// True for HTTP/1.0, whose connections end after a response.
    pub(super) is_old: bool,
}

/// The reason why bytes are not the head of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    StatusLine,
    Header,
    TooManyHeaders,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::StatusLine => "no status line",
            Malformed::Header => "an invalid header",
            Malformed::TooManyHeaders => "too many headers",
        })
    }
}

impl std::error::Error for Malformed {}

/// Returns false if this is the beginning of something else, such as the greeting of another protocol.
pub(super) fn could_be_http(bytes: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";
    let len = bytes.len().min(START.len());
    bytes[..len] == START[..len]
}

/// Returns the place behind the empty line that ends a head, unless it is before `from`, up to where an earlier call has seen no end.
/// Some peers end lines with a line feed alone.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    // The line feed of the last header may have been seen before.
    let from = from.saturating_sub(2);
    let rest = bytes.get(from..)?;
    rest.iter().enumerate().find_map(|(at, byte)| match (byte, rest.get(at + 1..)?) {
        (b'\n', [b'\n', ..]) => Some(from + at + 2),
        (b'\n', [b'\r', b'\n', ..]) => Some(from + at + 3),
        _ => None,
    })
}

/// Returns the status in a head.
#[cfg_attr(not(feature = "hyper-client"), allow(dead_code, reason = "for tunnels, whose headers do not matter"))]
pub(super) fn status(head: &[u8]) -> Option<StatusCode> {
    let line = head.split(|&byte| byte == b'\n').next()?;
    let code = line.split(|&byte| byte == b' ').nth(1)?;
    StatusCode::from_bytes(code.trim_ascii()).ok()
}

/// Parses a whole head.
pub(super) fn parse(head: &[u8]) -> Result<Head, Malformed> {
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = lines.next().unwrap_or_default();
    let is_old = match line.strip_prefix(b"HTTP/1.") {
        Some([b'1', b' ', ..]) => false,
        Some([b'0', b' ', ..]) => true,
        _ => return Err(Malformed::StatusLine),
    };
    let status = status(head).ok_or(Malformed::StatusLine)?;
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        if headers.len() == MAX_HEADERS {
            return Err(Malformed::TooManyHeaders);
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(Malformed::Header)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        // A name with white space, which also continues a header over two lines, is invalid.
        let name = HeaderName::from_bytes(name).map_err(|_| Malformed::Header)?;
        let value = HeaderValue::from_bytes(value.trim_ascii()).map_err(|_| Malformed::Header)?;
        headers.append(name, value);
    }
    Ok(Head { status, headers, is_old })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ends() {
        assert_eq!(end(b"HTTP/1.1 200 OK\r\na: b\r\n\r\nrest", 0), Some(25));
        assert_eq!(end(b"HTTP/1.0 200\n\nrest", 0), Some(14));
        assert_eq!(end(b"HTTP/1.1 200 OK\r\n\r", 0), None);
        assert_eq!(end(b"", 9), None);
    }

    #[test]
    fn statuses() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(StatusCode::OK));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED));
        assert_eq!([status(b"HTTP/1.1 \r\n\r\n"), status(b"HTTP/1.1 2x0 OK\r\n\r\n"), status(b"")], [None; 3]);
        assert!(could_be_http(b"HTT") && could_be_http(b"HTTP/1.1 2") && !could_be_http(b"SSH-2.0"));
    }

    fn check(head: &str, expected: &str) {
        let shown = match parse(head.as_bytes()) {
            Ok(Head { status, headers, is_old }) => format!("{} {headers:?} {is_old}", status.as_u16()),
            Err(malformed) => malformed.to_string(),
        };
        assert_eq!(shown, expected, "{head:?}");
    }

    #[test]
    fn heads() {
        check("HTTP/1.1 200 OK\r\nA: b \r\nc:\r\n\r\n", r#"200 {"a": "b", "c": ""} false"#);
        check("HTTP/1.0 503\na:\tb\na: c\n\n", r#"503 {"a": "b", "a": "c"} true"#);
        check("HTTP/1.1 204 \r\n\r\n", "204 {} false");
        for line in ["", "HTTP/1.1", "HTTP/1.1200", "HTTP/1.2 200 OK", "HTTP/2 200", "HTTP/1.1 99", "200 OK"] {
            check(&format!("{line}\r\n\r\n"), "no status line");
        }
        for line in ["a", "a : b", " a: b", ": b", "a: \0", "a: b\r\n c"] {
            check(&format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n"), "an invalid header");
        }
        check(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101)), "too many headers");
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>, lines in "[A-Za-z:\r\n \\PC]{0,60}", from in 0_usize..99) {
            for bytes in [bytes, [b"HTTP/1.1 200 OK\r\n", lines.as_bytes()].concat()] {
                let found = end(&bytes, 0);
                prop_assert!(found.is_none_or(|end| end <= bytes.len()));
                end(&bytes, from);
                let _ = (parse(&bytes), status(&bytes));
            }
        }

        #[test]
        fn the_end_is_the_same_however_the_bytes_arrive(lines in "[a\r\n]{0,30}", cuts in prop::collection::vec(0_usize..30, 0..9)) {
            let bytes = lines.as_bytes();
            let whole = end(bytes, 0);
            let mut cuts = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect::<Vec<_>>();
            cuts.sort_unstable();
            let (mut found, mut seen) = (None, 0);
            for cut in cuts.into_iter().chain([bytes.len()]) {
                found = found.or_else(|| end(&bytes[..cut], seen));
                seen = cut;
            }
            prop_assert_eq!(found, whole);
        }
    }
}
