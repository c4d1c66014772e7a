//! Responses: their grammar, and the values in them.

/// The maximum length of a response's head.
const MAX_HEAD: usize = 16 * 1024;
/// The maximum length of a response's body.
const MAX_BODY: usize = 64 * 1024;
/// The maximum length of both, with the sizes of chunks.
const MAX_RECEIVED: usize = MAX_HEAD + 2 * MAX_BODY;

/// A response with the status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    head: String,
    body: String,
}

impl Response {
    /// Returns the body.
    pub fn text(&self) -> &str {
        &self.body
    }

    /// Returns the body if it is one value: a single line of at most 1024 bytes.
    pub fn line(&self) -> Option<String> {
        value(&self.body)
    }

    /// Returns the value of a header. `name` is lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// Returns a text from a metadata service if it can be the value of an attribute: a single line of at most 1024 bytes.
pub(crate) fn value(text: &str) -> Option<String> {
    const MAX: usize = 1024;
    let text = text.trim();
    ((1..=MAX).contains(&text.len()) && !text.contains(char::is_control)).then(|| text.to_owned())
}

pub(crate) enum Parsed {
    Whole(Response),
    Incomplete,
    /// Not a response with the status 200, or too long.
    Unusable,
}

/// Parses what has been received so far. `is_closed` means that nothing follows.
pub(crate) fn parse(received: &[u8], is_closed: bool) -> Parsed {
    if received.len() > MAX_RECEIVED {
        return Parsed::Unusable;
    }
    let Some(end) = received.windows(4).take(MAX_HEAD).position(|window| window == b"\r\n\r\n") else {
        return if received.len() > MAX_HEAD { Parsed::Unusable } else { Parsed::Incomplete };
    };
    let (head, body) = (&received[..end], &received[end + 4..]);
    let Ok(head) = std::str::from_utf8(head) else { return Parsed::Unusable };
    if !is_success(head) {
        return Parsed::Unusable;
    }
    let body = match body_of(head, body, is_closed) {
        Ok(Some(body)) => body,
        Ok(None) => return Parsed::Incomplete,
        Err(TooLong) => return Parsed::Unusable,
    };
    match String::from_utf8(body) {
        Ok(body) => Parsed::Whole(Response { head: head.to_owned(), body }),
        Err(_) => Parsed::Unusable,
    }
}

fn is_success(head: &str) -> bool {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    matches!(words.next(), Some("HTTP/1.1" | "HTTP/1.0")) && words.next() == Some("200")
}

/// The body is longer than the limit, or its framing is not valid.
struct TooLong;

/// Returns the body, or `None` if it is not complete.
fn body_of(head: &str, body: &[u8], is_closed: bool) -> Result<Option<Vec<u8>>, TooLong> {
    if header(head, "transfer-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked")) {
        return chunks(body);
    }
    let length = match header(head, "content-length").map(str::parse::<usize>) {
        Some(Ok(length)) if length <= MAX_BODY => Some(length),
        Some(_) => return Err(TooLong),
        None => None,
    };
    match length {
        Some(length) => Ok(body.get(..length).map(<[u8]>::to_vec)),
        None if body.len() > MAX_BODY => Err(TooLong),
        None => Ok(is_closed.then(|| body.to_vec())),
    }
}

/// Joins the chunks of a body.
fn chunks(mut rest: &[u8]) -> Result<Option<Vec<u8>>, TooLong> {
    /// A size with its extensions.
    const MAX_LINE: usize = 256;
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).take(MAX_LINE).position(|window| window == b"\r\n") else {
            return if rest.len() > MAX_LINE { Err(TooLong) } else { Ok(None) };
        };
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| TooLong)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok().filter(|size| *size <= MAX_BODY).ok_or(TooLong)?;
        if size == 0 {
            // Trailers, if there are any, are of no use.
            return Ok(Some(body));
        }
        let Some((chunk, after)) = rest[end + 2..].split_at_checked(size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        if body.len() > MAX_BODY {
            return Err(TooLong);
        }
        match after {
            [b'\r', b'\n', after @ ..] => rest = after,
            [] | [b'\r'] => return Ok(None),
            _ => return Err(TooLong),
        }
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parses a response whose connection is closed at its end, and compares the body with `expected`; `None` if it is unusable or
    /// incomplete.
    fn check(text: &str, expected: Option<&str>) {
        let parsed = match parse(text.as_bytes(), true) {
            Parsed::Whole(response) => Some(response.body),
            Parsed::Incomplete | Parsed::Unusable => None,
        };
        assert_eq!(parsed.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn bodies() {
        check("HTTP/1.1 200 OK\r\n\r\nall", Some("all"));
        check("HTTP/1.0 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nabc", Some("ab"));
        check("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", Some(""));
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n",
            Some("abcde"),
        );
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n", None);
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", None);
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nab", None);
        check("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n", None);
        check("HTTP/1.1 200 OK\r\ncontent-length: 65537\r\n\r\n", None);
        check("HTTP/1.1 404 Not Found\r\n\r\nall", None);
        check("HTTP/1.1 2000 OK\r\n\r\nall", None);
        check("HTTP/2 200 OK\r\n\r\nall", None);
        check("", None);
    }

    #[test]
    fn a_value_is_one_short_line() {
        for (text, expected) in [
            ("a", Some("a")),
            (" a b\n", Some("a b")),
            ("größe", Some("größe")),
            ("", None),
            ("\n", None),
            ("a\nb", None),
            ("a\u{1b}[31m", None),
            (&"a".repeat(1024), Some(&*"a".repeat(1024))),
            (&"a".repeat(1025), None),
        ] {
            assert_eq!(value(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn headers() {
        let Parsed::Whole(response) = parse(b"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n\r\n", true) else {
            panic!("it is whole");
        };
        assert_eq!(response.header("metadata-flavor"), Some("Google"));
        assert_eq!(response.header("metadata"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, chunked in "[0-9a-f;\r\n]{0,50}", is_closed: bool) {
            parse(&bytes, is_closed);
            let mut whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            whole.extend(chunked.as_bytes());
            parse(&whole, is_closed);
        }

        #[test]
        fn a_body_is_the_same_however_it_is_split(parts in prop::collection::vec("[a-z\r\n]{1,20}", 0..10), cut: prop::sample::Index) {
            let chunks: String = parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len())).collect();
            let whole = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
            check(&whole, Some(&parts.concat()));
            // A part of it is never taken for the whole.
            let end = whole.len() - "\r\n\r\n".len();
            let part = &whole.as_bytes()[..cut.index(end)];
            prop_assert!(matches!(parse(part, false), Parsed::Incomplete));
        }
    }
}
