//! Reads a response, up to its limits.
//!
//! spec: RFC 9112, 6 and 7; protocol/exporter.md, max response size

use std::io::{self, ErrorKind};

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use telemark_sdk::time::Deadline;

use super::super::head::{self, Head, Malformed};

/// The maximum size of a head in bytes, including those of interim responses.
const MAX_HEAD: usize = 64 << 10;
/// The maximum size in bytes of what surrounds the chunks of one body: sizes, extensions and trailers, beyond a few bytes for each.
const MAX_EXTRA: usize = 16 << 10;
/// The bytes that are read at once.
const READ: usize = 4 << 10;

/// A source of bytes, which ends with zero bytes.
pub(super) trait Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// The reason why there is no response.
#[derive(Debug)]
pub(super) enum Cut {
    Timeout,
    Lost(io::Error),
    NotHttp(Malformed),
    HeadTooLarge,
    TooLarge,
}

/// A response, and whether another request can follow on its connection.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Result<Vec<u8>, io::Error>,
    pub(super) keeps_alive: bool,
}

/// The extent of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

/// The bytes that have arrived and have not been consumed.
struct Incoming<'s, S> {
    source: &'s mut S,
    bytes: Vec<u8>,
    start: usize,
}

/// Reads a response whose body has at most `limit` bytes.
pub(super) fn read(source: &mut impl Source, limit: usize) -> Result<Response, Cut> {
    let mut incoming = Incoming { source, bytes: Vec::new(), start: 0 };
    let Head { status, headers, is_old } = incoming.head()?;
    let framing = framing(status, &headers)?;
    let body = match framing {
        Framing::Length(length) if length > limit => Err(Cut::TooLarge),
        Framing::Length(length) => incoming.exactly(length),
        Framing::Chunked => incoming.chunks(limit),
        Framing::UntilClosed => incoming.rest(limit),
    };
    let body = match body {
        Ok(body) => Ok(body),
        Err(Cut::Lost(error)) => Err(error),
        Err(cut) => return Err(cut),
    };
    let has_token = |token: &str| {
        let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
    };
    let lasts = if is_old { has_token("keep-alive") } else { !has_token("close") };
    // What follows the response belongs to no request.
    let is_exact = framing != Framing::UntilClosed && incoming.start == incoming.bytes.len();
    Ok(Response { keeps_alive: lasts && is_exact && body.is_ok(), status, headers, body })
}

/// spec: RFC 9112, 6.3
fn framing(status: StatusCode, headers: &HeaderMap) -> Result<Framing, Cut> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    if let Some(last) = headers.get_all(TRANSFER_ENCODING).into_iter().next_back() {
        let last = last.as_bytes().rsplit(|&byte| byte == b',').next().unwrap_or_default();
        let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if is_chunked { Framing::Chunked } else { Framing::UntilClosed });
    }
    let invalid = || Cut::NotHttp(Malformed::Header);
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let digits = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
        // A number that does not fit is larger than any limit.
        let this = digits.ok_or_else(invalid)?.parse().unwrap_or(usize::MAX);
        if length.replace(this).is_some_and(|other| other != this) {
            return Err(invalid());
        }
    }
    Ok(length.map_or(Framing::UntilClosed, Framing::Length))
}

impl<S: Source> Incoming<'_, S> {
    /// Waits for more bytes. Returns false at the end of the stream.
    fn fill(&mut self) -> Result<bool, Cut> {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        let mut buffer = [0; READ];
        match self.source.read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(read) => {
                self.bytes.extend_from_slice(&buffer[..read]);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(Cut::Timeout),
            Err(error) => Err(Cut::Lost(error)),
        }
    }

    /// Waits for more bytes, which must follow.
    fn require(&mut self) -> Result<(), Cut> {
        if self.fill()? { Ok(()) } else { Err(Cut::Lost(ErrorKind::UnexpectedEof.into())) }
    }

    fn available(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Takes up to `max` of the available bytes.
    fn take(&mut self, max: usize, into: &mut Vec<u8>) -> usize {
        let available = self.available();
        let len = available.len().min(max);
        into.extend_from_slice(&available[..len]);
        self.start += len;
        len
    }

    /// Reads the head of the final response.
    fn head(&mut self) -> Result<Head, Cut> {
        let mut left = MAX_HEAD;
        loop {
            let mut seen = 0;
            let end = loop {
                let available = self.available();
                // Stops early on anything else, such as the greeting of another protocol, which may never end a head.
                if !head::could_be_http(available) {
                    return Err(Cut::NotHttp(Malformed::StatusLine));
                }
                match head::end(available, seen) {
                    Some(end) if end <= left => break end,
                    None if available.len() <= left => seen = available.len(),
                    _ => return Err(Cut::HeadTooLarge),
                }
                self.require()?;
            };
            let head = head::parse(&self.available()[..end]).map_err(|malformed| match malformed {
                Malformed::TooManyHeaders => Cut::HeadTooLarge,
                malformed => Cut::NotHttp(malformed),
            })?;
            left -= end;
            self.start += end;
            // Another response follows.
            if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(head);
            }
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Cut> {
        let mut body = Vec::new();
        self.append(length, &mut body)?;
        Ok(body)
    }

    fn append(&mut self, mut length: usize, body: &mut Vec<u8>) -> Result<(), Cut> {
        loop {
            length -= self.take(length, body);
            if length == 0 {
                return Ok(());
            }
            self.require()?;
        }
    }

    fn rest(&mut self, limit: usize) -> Result<Vec<u8>, Cut> {
        let mut body = Vec::new();
        loop {
            self.take(usize::MAX, &mut body);
            if body.len() > limit {
                return Err(Cut::TooLarge);
            }
            if !self.fill()? {
                return Ok(body);
            }
        }
    }

    fn chunks(&mut self, limit: usize) -> Result<Vec<u8>, Cut> {
        let mut body = Vec::new();
        let mut extra = MAX_EXTRA;
        loop {
            let line = self.line(&mut extra)?;
            let digits = line.split(|byte| b"; \t".contains(byte)).next().unwrap_or_default();
            let size = size(digits).ok_or_else(|| invalid("an invalid size of a chunk"))?;
            if size == 0 {
                break;
            }
            // The digits of ordinary sizes do not count as extra, because there may be any number of chunks.
            extra = extra.saturating_add(digits.len().min(16)).min(MAX_EXTRA);
            if size > limit - body.len() {
                return Err(Cut::TooLarge);
            }
            self.append(size, &mut body)?;
            if !self.line(&mut extra)?.is_empty() {
                return Err(invalid("a chunk that is longer than its size"));
            }
        }
        // No trailer of a response over HTTP/1.1 matters here.
        while !self.line(&mut extra)?.is_empty() {}
        Ok(body)
    }

    /// Takes a line, whose length is subtracted from `left`.
    fn line(&mut self, left: &mut usize) -> Result<Vec<u8>, Cut> {
        let mut seen = 0;
        loop {
            let available = self.available();
            let end = available.iter().skip(seen).position(|&byte| byte == b'\n').map(|end| seen + end);
            if end.unwrap_or(available.len()) > *left {
                return Err(invalid("too much between chunks"));
            }
            if let Some(end) = end {
                let line = available[..end].trim_ascii_end().to_vec();
                *left -= line.len();
                self.start += end + 1;
                return Ok(line);
            }
            seen = available.len();
            self.require()?;
        }
    }
}

fn size(digits: &[u8]) -> Option<usize> {
    let is_hexadecimal = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hexadecimal)?;
    // A number that does not fit is larger than any limit.
    Some(usize::from_str_radix(digits, 16).unwrap_or(usize::MAX))
}

fn invalid(problem: &'static str) -> Cut {
    Cut::Lost(io::Error::new(ErrorKind::InvalidData, problem))
}

/// A socket up to a deadline.
pub(super) struct Until<'s>(pub(super) &'s mut super::socket::Socket, pub(super) Deadline);

impl Source for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that arrive in pieces.
    struct Pieces<'b>(Vec<&'b [u8]>);

    impl Source for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(piece) = self.0.first_mut() else { return Ok(0) };
            let len = piece.len().min(buffer.len());
            buffer[..len].copy_from_slice(&piece[..len]);
            *piece = &piece[len..];
            if piece.is_empty() {
                self.0.remove(0);
            }
            Ok(len)
        }
    }

    /// Describes a response that arrives in pieces of one size.
    fn show(text: &[u8], size: usize, limit: usize) -> String {
        match read(&mut Pieces(text.chunks(size).collect()), limit) {
            Ok(Response { status, body, keeps_alive, .. }) => {
                let body = body.map_or_else(|error| format!("<{error}>"), |body| String::from_utf8(body).unwrap());
                format!("{} {body:?}{}", status.as_u16(), if keeps_alive { "" } else { ", closed" })
            }
            Err(Cut::Lost(error)) => error.to_string(),
            Err(cut) => format!("{cut:?}"),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        for size in [1, 2, 3, 7, 10_000] {
            assert_eq!(show(text.as_bytes(), size, 10), expected, "{text:?} in pieces of {size}");
        }
    }

    #[test]
    fn bodies() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", "200 \"ab\"");
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nab", "200 \"ab\"");
        check("HTTP/1.1 200 OK\r\n\r\nab", "200 \"ab\", closed");
        check("HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n", "204 \"\"");
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", "200 \"a\"");
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ncontent-length: 1\r\n\r\nab", "200 \"ab\", closed");
        check("HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 1\r\n\r\na", "200 \"a\", closed");
        check("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", "200 \"a\", closed");
        check("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\ncontent-length: 1\r\n\r\na", "200 \"a\"");
    }

    #[test]
    fn what_follows_a_response_costs_the_connection() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabHTTP/1.1 200 OK";
        assert_eq!(show(text, 1000, 10), "200 \"ab\", closed");
    }

    #[test]
    fn chunks() {
        let check = |text: &str, expected| {
            check(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n{text}"), expected)
        };
        check("2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n", "200 \"abcde\"");
        check("00A \n0123456789\n0\na: b\nc: d\n\n", "200 \"0123456789\"");
        check("0\r\n\r\n", "200 \"\"");
        check("2\r\nab\r\n", "200 \"<unexpected end of file>\", closed");
        check("2\r\nabc\r\n0\r\n\r\n", "200 \"<a chunk that is longer than its size>\", closed");
        check("x\r\n", "200 \"<an invalid size of a chunk>\", closed");
        check("\r\n", "200 \"<an invalid size of a chunk>\", closed");
        check("b\r\n", "TooLarge");
        check("9\r\n012345678\r\n2\r\n", "TooLarge");
        check("ffffffffffffffffffff\r\n", "TooLarge");
    }

    #[test]
    fn what_has_no_end_is_cut() {
        let endless =
            |start: &str, repeated: &str| show(format!("{start}{}", repeated.repeat(100_000)).as_bytes(), 4096, 10);
        assert_eq!(endless("HTTP/1.1 200 OK\r\n", "a: b\r\n"), "HeadTooLarge");
        assert_eq!(endless("HTTP/1.1 200 OK\r\na: ", "b"), "HeadTooLarge");
        assert_eq!(endless("", "HTTP/1.1 100 Continue\r\n\r\n"), "HeadTooLarge");
        assert_eq!(endless("HTTP/1.1 200 OK\r\n\r\n", "b"), "TooLarge");
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let much = "200 \"<too much between chunks>\", closed";
        assert_eq!(endless(&format!("{chunked}1;"), "a"), much);
        assert_eq!(endless(&format!("{chunked}0\r\n"), "a: b\r\n"), much);
    }

    #[test]
    fn a_body_may_have_any_number_of_chunks() {
        let text =
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", "1\r\na\r\n".repeat(50_000));
        assert!(show(text.as_bytes(), 4096, 50_000).starts_with("200 \"aaa"));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        check("", "unexpected end of file");
        check("HTTP/1.1 200 OK\r\n", "unexpected end of file");
        check("SSH-2.0", "NotHttp(StatusLine)");
        check("HTTP/1.1 200 OK\r\na b\r\n\r\n", "NotHttp(Header)");
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na", "200 \"<unexpected end of file>\", closed");
        check("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n", "TooLarge");
        check("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n", "TooLarge");
        for length in ["-1", "+1", "1, 2", "", "0x1", "1\r\ncontent-length: 2"] {
            check(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\nab"), "NotHttp(Header)");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, body in "[0-9a-f;\r\n]{0,50}", size in 1_usize..20) {
            show(&bytes, size, 10);
            let start = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let _ = read(&mut Pieces([start, body.as_bytes()].concat().chunks(size).collect()), 10);
        }

        #[test]
        fn a_body_is_the_same_however_it_is_split(parts in prop::collection::vec("[a-z\r\n]{1,20}", 0..10), size in 1_usize..50) {
            let chunks: String = parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len())).collect();
            let whole = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
            prop_assert_eq!(show(whole.as_bytes(), size, 1000), format!("200 {:?}", parts.concat()));
            // A part of it is never taken for the whole.
            let cut = show(&whole.as_bytes()[..whole.len() - 1], size, 1000);
            prop_assert!(cut.ends_with("closed"), "{}", cut);
        }
    }
}
