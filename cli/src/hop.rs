//! `probe-hop`: sends a sampled trace context with a trace state and baggage through a proxy or a service, and says what came through.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use telemark_sdk::id::{IdGenerator, RandomIds};
use telemark_sdk::text;
use telemark_sdk::time::Deadline;

use crate::connection::{self, Trust};
use crate::encryption::{self, Names};

/// The maximum time for the request to come out and for the response to come back.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The time between two looks for a connection.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The maximum size of a request or a response that is read.
const MAX_SIZE: u64 = 256 << 10;

/// The context that is sent.
struct Context {
    trace_id: String,
    span_id: String,
}

/// Where the hop is.
pub(crate) struct Hop<'a> {
    /// The host and the port, and the path.
    address: (&'a str, u16),
    authority: &'a str,
    path: String,
    url: &'a str,
    /// How to verify a server with TLS, and `None` for http.
    trust: Option<Trust>,
}

/// What became of each header.
#[derive(Debug)]
pub(crate) struct Passage {
    lines: Vec<String>,
    is_whole: bool,
}

impl Passage {
    pub(crate) fn has_problems(&self) -> bool {
        !self.is_whole
    }
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl Context {
    fn new() -> Self {
        Context { trace_id: RandomIds.trace_id().to_string(), span_id: RandomIds.span_id().to_string() }
    }

    fn trace_state(&self) -> String {
        format!("telemark=probe-{}", self.span_id)
    }

    fn baggage(&self) -> String {
        format!("telemark.probe={}", self.span_id)
    }

    fn headers(&self) -> String {
        format!(
            "traceparent: 00-{}-{}-01\r\ntracestate: {}\r\nbaggage: {}\r\n",
            self.trace_id,
            self.span_id,
            self.trace_state(),
            self.baggage()
        )
    }

    /// Returns true if a request carries anything of this context.
    fn is_in(&self, text: &str) -> bool {
        text.contains(&self.trace_id) || text.contains(&self.span_id)
    }

    /// Reads what became of the context in a request that came out, or in a response that repeats headers of its request.
    fn passage(&self, text: &str, place: &str) -> Passage {
        let mut is_whole = true;
        let mut line = |name: &str, is_well: bool, what: &str| {
            is_whole &= is_well;
            format!("{name:14}{what}")
        };
        let parent = format!("00-{}-", self.trace_id);
        let lines = match text.split_once(&parent).map(|(_, rest)| rest) {
            None if text.to_ascii_lowercase().contains("traceparent") => {
                vec![line(
                    "traceparent",
                    false,
                    "another trace: the hop starts one of its own. Let it trust the incoming context",
                )]
            }
            None => vec![line("traceparent", false, "lost: the hop removes it. Let it pass the header on")],
            Some(rest) => {
                let is_same = rest.starts_with(&self.span_id);
                let is_sampled = rest
                    .get(17..19)
                    .is_some_and(|flags| u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1));
                let what = if is_same { "unchanged" } else { "the same trace, continued by a span of the hop" };
                let sampled = if is_sampled {
                    "kept"
                } else {
                    "cleared: the hop's sampler drops the trace for everyone behind it"
                };
                vec![line("traceparent", true, what), line("sampled flag", is_sampled, sampled)]
            }
        };
        let mut other = |name: &str, value: &str| {
            let is_there = text.contains(value);
            line(name, is_there, if is_there { "came through" } else { "lost: the hop removes or replaces it" })
        };
        let others = [other("tracestate", &self.trace_state()), other("baggage", &self.baggage())];
        let first = format!("{:14}{place}", "read");
        Passage { lines: [first].into_iter().chain(lines).chain(others).collect(), is_whole }
    }
}

impl<'a> Hop<'a> {
    /// Parses an `http` or `https` URL. A server with TLS must have a certificate that `trust` accepts.
    pub(crate) fn new(url: &'a str, trust: Trust) -> Option<Self> {
        let (rest, default_port, trust) = match url.strip_prefix("https://") {
            Some(rest) => (rest, 443, Some(trust)),
            None => (url.strip_prefix("http://")?, 80, None),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, default_port),
        };
        let is_safe = !host.is_empty() && !url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
        let address = (host.trim_start_matches('[').trim_end_matches(']'), port);
        is_safe.then_some(Hop { address, authority, path, url, trust })
    }

    /// Returns what an error of TLS means and what to do.
    pub(crate) fn meaning(&self, error: &io::Error) -> Option<String> {
        let (host, port) = self.address;
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let names = Names { place: &place, host, url: "the URL", trusted: "--ca-file", client: None };
        Some(encryption::meaning(connection::refusal(error)?, names))
    }

    /// Sends the context through the hop. With `behind`, waits there for the request that comes out; without, looks for the context in
    /// the response.
    ///
    /// # Errors
    /// Fails if the hop cannot be reached, if nothing can listen behind it, or if no response comes.
    pub(crate) fn probe(&self, behind: Option<&str>) -> io::Result<Passage> {
        let context = Context::new();
        let deadline = Deadline::after(TIMEOUT);
        let listener = behind.map(TcpListener::bind).transpose()?;
        let mut stream = connection::connect(self.address, self.trust.as_ref(), deadline)?;
        let head =
            format!("GET {} HTTP/1.1\r\nhost: {}\r\naccept: */*\r\nconnection: close\r\n", self.path, self.authority);
        stream.write_all(format!("{head}{}\r\n", context.headers()).as_bytes())?;
        stream.flush()?;
        if let Some(listener) = listener {
            let request = arrival(&listener, &context, deadline)?;
            return Ok(context.passage(&request, &format!("the request that left {}", text::url(self.url))));
        }
        let mut response = Vec::new();
        // A server may keep the connection open. What has come by then is the response.
        let read = stream.take(MAX_SIZE).read_to_end(&mut response);
        if response.is_empty() {
            read?;
            return Err(io::Error::other("the connection was closed without a response"));
        }
        let response = String::from_utf8_lossy(&response);
        if !context.is_in(&response) {
            let line = "the response repeats nothing of the request, so nothing is known. Call a service that echoes headers, or listen behind \
                        the hop with --behind ADDRESS";
            return Ok(Passage { lines: vec![line.to_owned()], is_whole: false });
        }
        Ok(context.passage(&response, &format!("the response of {}", text::url(self.url))))
    }
}

/// Waits for the request that carries the context, or for the deadline. Answers all requests, such as health checks.
fn arrival(listener: &TcpListener, context: &Context, deadline: Deadline) -> io::Result<String> {
    listener.set_nonblocking(true)?;
    let mut others = None;
    while !deadline.has_passed() {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(POLL_INTERVAL);
                continue;
            }
            Err(error) => return Err(error),
        };
        // A connection without a request must not hold the others up.
        let Ok(request) = receive(stream) else { continue };
        if context.is_in(&request) {
            return Ok(request);
        }
        others = Some(request);
    }
    // A hop that removes all three headers leaves a request that cannot be told from others.
    others.ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "no request came out of the hop"))
}

/// Reads the head of a request and answers it.
fn receive(stream: TcpStream) -> io::Result<String> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut reader = BufReader::new(stream.take(MAX_SIZE));
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    reader.get_mut().get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    Ok(String::from_utf8_lossy(&head).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |url, expected: Option<(&str, u16, &str)>| {
            let hop = Hop::new(url, Trust::System);
            assert_eq!(
                hop.as_ref().is_some_and(|hop| hop.trust.is_some()),
                expected.is_some() && url.starts_with("https")
            );
            assert_eq!(hop.as_ref().map(|hop| (hop.address.0, hop.address.1, &*hop.path)), expected, "{url}");
        };
        check("http://proxy", Some(("proxy", 80, "/")));
        check("https://proxy", Some(("proxy", 443, "/")));
        check("https://proxy:8443/a", Some(("proxy", 8443, "/a")));
        check("http://proxy:8080/a?b=c", Some(("proxy", 8080, "/a?b=c")));
        check("http://proxy?b", Some(("proxy", 80, "/?b")));
        check("http://[::1]:8080/", Some(("::1", 8080, "/")));
        check("http://[::1]", Some(("::1", 80, "/")));
        for url in ["proxy:80", "http://", "http://a:b", "http://a/ HTTP/1.1", "http://u:p@a", "http://a/\r\nx: y"] {
            check(url, None);
        }
    }

    #[test]
    fn what_becomes_of_the_context() {
        let context = Context { trace_id: "a".repeat(32), span_id: "b".repeat(16) };
        let check = |text: String, expected: &[&str]| {
            let passage = context.passage(&text, "here");
            assert_eq!(passage.lines[1..], *expected, "{text}");
            assert_eq!(
                passage.is_whole,
                !passage.to_string().contains("lost") && !passage.to_string().contains("cleared")
            );
        };
        let through = ["tracestate    came through", "baggage       came through"];
        let (trace, others) =
            ("a".repeat(32), format!("tracestate: {}\nbaggage: {}", context.trace_state(), context.baggage()));
        check(context.headers(), &[&["traceparent   unchanged", "sampled flag  kept"], &through[..]].concat());
        let continued = "traceparent   the same trace, continued by a span of the hop";
        check(
            format!("traceparent: 00-{trace}-{}-03\n{others}", "c".repeat(16)),
            &[&[continued, "sampled flag  kept"], &through[..]].concat(),
        );
        check(
            format!("traceparent: 00-{trace}-{}-00", "c".repeat(16)),
            &[
                continued,
                "sampled flag  cleared: the hop's sampler drops the trace for everyone behind it",
                "tracestate    lost: the hop removes or replaces it",
                "baggage       lost: the hop removes or replaces it",
            ],
        );
        check(others, &[&["traceparent   lost: the hop removes it. Let it pass the header on"], &through[..]].concat());
    }

    #[test]
    fn another_trace_is_not_whole() {
        let context = Context::new();
        let text =
            format!("Traceparent: 00-{}-{}-01\r\nbaggage: {}", "a".repeat(32), "b".repeat(16), context.baggage());
        let passage = context.passage(&text, "here");
        assert!(passage.has_problems());
        assert!(passage.lines[1].starts_with("traceparent   another trace: "), "{passage}");
    }
}
