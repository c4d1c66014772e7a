//! An OTLP/HTTP receiver in a separate process, which counts spans and discards them.
//!
//! Prints `listening\tADDRESS`, serves until its standard input ends, then prints the totals. The response to `GET` is
//! the number of spans received so far.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Failure;
use crate::reading::Reading;

static SPANS: AtomicU64 = AtomicU64::new(0);
static REQUESTS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Serves until standard input ends.
pub(crate) fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening\t{}", listener.local_addr()?);
    accept(listener);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for (metric, value) in [("spans", &SPANS), ("requests", &REQUESTS), ("bytes", &BYTES)] {
        println!("{}", Reading::new(metric, value.load(Ordering::Relaxed) as f64));
    }
    Ok(())
}

/// Serves connections on another thread, until the process ends.
pub(crate) fn accept(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || connection(stream));
        }
    });
}

/// Queries a sink's span count over one connection.
pub(crate) struct Counter(BufReader<TcpStream>);

impl Counter {
    pub(crate) fn connect(endpoint: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(endpoint)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Returns the number of spans received so far.
    pub(crate) fn spans(&mut self) -> Result<u64, Failure> {
        self.0.get_mut().write_all(b"GET / HTTP/1.1\r\nhost: sink\r\n\r\n")?;
        let head = Head::read(&mut self.0)?.ok_or("the sink has ended")?;
        let mut body = Vec::new();
        head.body(&mut self.0, &mut body)?;
        Ok(String::from_utf8(body)?.parse()?)
    }
}

/// Serves a connection. A client that disconnects or sends invalid data ends only its own connection.
fn connection(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::with_capacity(64 * 1024, stream);
    let mut body = Vec::new();
    while let Ok(Some(head)) = Head::read(&mut reader) {
        if head.fetches {
            let count = SPANS.load(Ordering::Relaxed).to_string();
            let _ = write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{count}", count.len());
            continue;
        }
        if head.body(&mut reader, &mut body).is_err() {
            return;
        }
        SPANS.fetch_add(spans(&body), Ordering::Relaxed);
        REQUESTS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(body.len() as u64, Ordering::Relaxed);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if writer.write_all(answer).is_err() {
            return;
        }
    }
}

#[derive(Default)]
struct Head {
    fetches: bool,
    length: usize,
    chunked: bool,
}

impl Head {
    fn read(reader: &mut impl BufRead) -> Result<Option<Self>, Failure> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut head = Self { fetches: line.starts_with("GET"), ..Self::default() };
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(Some(head)) };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                head.length = value.parse()?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.chunked = value.eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("content-encoding") && value != "identity" {
                return Err("compression would be measured as well".into());
            }
        }
    }

    fn body(&self, reader: &mut impl BufRead, body: &mut Vec<u8>) -> Result<(), Failure> {
        body.clear();
        if !self.chunked {
            body.resize(self.length, 0);
            return Ok(reader.read_exact(body)?);
        }
        let mut line = String::new();
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16)?;
            let start = body.len();
            body.resize(start + size, 0);
            reader.read_exact(&mut body[start..])?;
            reader.read_line(&mut line)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

/// Counts the spans in an `ExportTraceServiceRequest`: `resource_spans` (1) of `scope_spans` (2) of `spans` (2). Log records have
/// the same numbers in an `ExportLogsServiceRequest`.
fn spans(request: &[u8]) -> u64 {
    fields(request, 1).flat_map(|resource| fields(resource, 2)).map(|scope| fields(scope, 2).count() as u64).sum()
}

/// Returns a message's length-delimited fields with the number `wanted`.
fn fields(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    let mut rest = message;
    std::iter::from_fn(move || {
        loop {
            let key = varint(&mut rest)?;
            let length = match key & 7 {
                0 => varint(&mut rest).map(|_| 0)?,
                1 => 8,
                2 => usize::try_from(varint(&mut rest)?).ok()?,
                5 => 4,
                _ => return None,
            };
            let (value, after) = rest.split_at_checked(length)?;
            rest = after;
            if key == (wanted << 3 | 2) {
                return Some(value);
            }
        }
    })
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u8, parts: &[&[u8]]) -> Vec<u8> {
        parts.iter().flat_map(|part| [&[number << 3 | 2, part.len() as u8], *part].concat()).collect()
    }

    #[test]
    fn counts_spans_of_all_resources_and_scopes() {
        let scope = message(2, &[b"", b"\x2a\x01x", b""]);
        let other = [message(1, &[b"name"]), message(2, &[b""])].concat();
        let resource = message(2, &[&scope, &other]);
        let request = message(1, &[&resource, b"", &resource]);
        assert_eq!(spans(&request), 8);
        assert_eq!(spans(b""), 0);
    }

    #[test]
    fn reads_chunked_and_plain_bodies() {
        let mut input: &[u8] = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n\
            POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nfg";
        let mut bodies = Vec::new();
        while let Ok(Some(head)) = Head::read(&mut input) {
            let mut body = Vec::new();
            head.body(&mut input, &mut body).unwrap();
            bodies.push(String::from_utf8(body).unwrap());
        }
        assert_eq!(bodies, ["abcde", "fg"]);
    }
}
