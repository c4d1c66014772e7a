//! The service: its address, and requests to it.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use telemark_sdk::time::Deadline;

use crate::response::{self, Response};

/// A metadata service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    address: SocketAddr,
    host: String,
}

impl Service {
    /// Creates the service at this address.
    pub fn at(address: SocketAddr) -> Self {
        Service { address, host: address.to_string() }
    }

    /// Sets the name that requests contain.
    pub fn with_host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Returns the service and the path of a URL such as `http://169.254.170.2/v4/1`. Returns `None` if it is not plain HTTP, or has
    /// a name that would have to be resolved.
    pub fn from_url(url: &str) -> Option<(Self, &str)> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Some((Service::from_authority(authority)?, path))
    }

    /// Returns the service at `address` or `address:port`.
    pub fn from_authority(authority: &str) -> Option<Self> {
        const PORT: u16 = 80;
        let address = match authority.parse::<SocketAddr>() {
            Ok(address) => address,
            Err(_) => match authority.strip_prefix("localhost") {
                Some("") => (Ipv4Addr::LOCALHOST, PORT).into(),
                Some(port) => (Ipv4Addr::LOCALHOST, port.strip_prefix(':')?.parse().ok()?).into(),
                None => {
                    let ip = authority.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(authority);
                    (ip.parse::<IpAddr>().ok()?, PORT).into()
                }
            },
        };
        Some(Service { address, host: authority.to_owned() })
    }

    /// Gets a document. Returns `None` unless it arrives whole before the deadline, with the status 200.
    pub fn get(&self, path: &str, headers: &[(&str, &str)], deadline: Deadline) -> Option<Response> {
        self.request("GET", path, headers, deadline)
    }

    /// Puts nothing, to obtain a token. Returns `None` as [`Self::get`] does.
    pub fn put(&self, path: &str, headers: &[(&str, &str)], deadline: Deadline) -> Option<Response> {
        self.request("PUT", path, headers, deadline)
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], deadline: Deadline) -> Option<Response> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.host);
        if method == "PUT" {
            head.push_str("content-length: 0\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        // What a server sent or a variable holds must not become a header of its own.
        let breaks = |text: &str| text.bytes().any(|byte| !(b'!'..=b'~').contains(&byte));
        if breaks(path) || headers.iter().any(|(_, value)| breaks(value)) {
            return None;
        }
        let mut stream = match remaining(deadline)? {
            Some(remaining) => TcpStream::connect_timeout(&self.address, remaining).ok()?,
            None => TcpStream::connect(self.address).ok()?,
        };
        stream.set_write_timeout(remaining(deadline)?).ok()?;
        stream.write_all(head.as_bytes()).ok()?;
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            stream.set_read_timeout(remaining(deadline)?).ok()?;
            let count = stream.read(&mut buffer).ok()?;
            received.extend_from_slice(&buffer[..count]);
            match response::parse(&received, count == 0) {
                response::Parsed::Whole(response) => return Some(response),
                response::Parsed::Incomplete if count > 0 => {}
                _ => return None,
            }
        }
    }
}

/// Returns the time for the next step: `None` if there is none left, `Some(None)` if it is not limited.
fn remaining(deadline: Deadline) -> Option<Option<Duration>> {
    match deadline.remaining() {
        None => Some(None),
        Some(left) if left.is_zero() => None,
        Some(left) => Some(Some(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Reply, Server};

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn urls() {
        for (url, address, path) in [
            ("http://169.254.170.2/v4/1", "169.254.170.2:80", "/v4/1"),
            ("http://127.0.0.1:51678", "127.0.0.1:51678", ""),
            ("http://[fd00:ec2::254]", "[fd00:ec2::254]:80", ""),
            ("http://[::1]:81/a/b?c", "[::1]:81", "/a/b?c"),
            ("http://localhost/a", "127.0.0.1:80", "/a"),
            ("http://localhost:8/", "127.0.0.1:8", "/"),
        ] {
            let (service, rest) = Service::from_url(url).unwrap();
            assert_eq!((service.address.to_string().as_str(), rest), (address, path), "{url}");
        }
        for url in [
            "",
            "https://1.2.3.4/",
            "http://",
            "http:///a",
            "http://example.com/",
            "http://user@1.2.3.4/",
            "http://1.2.3.4:x/",
            "http://localhostile/",
        ] {
            assert_eq!(Service::from_url(url), None, "{url}");
        }
    }

    /// Requests a document and returns its text.
    fn get(reply: Reply, deadline: Deadline) -> Option<String> {
        let server = Server::start(move |_| reply.clone());
        server.service().get("/a", &[("x-test", "1")], deadline).map(|response| response.text().to_owned())
    }

    #[test]
    fn a_document() {
        let server = Server::start(|request| match request {
            "GET /a x-test=1" => Reply::text("content"),
            "PUT /b content-length=0" => Reply::text("token"),
            other => panic!("{other}"),
        });
        let deadline = Deadline::after(LONG);
        assert_eq!(server.service().get("/a", &[("x-test", "1")], deadline).unwrap().text(), "content");
        assert_eq!(server.service().put("/b", &[], deadline).unwrap().text(), "token");
    }

    #[test]
    fn what_is_not_a_document_is_none() {
        let deadline = Deadline::after(LONG);
        let raw = |text: &str| Reply::Raw(text.as_bytes().to_vec());
        assert_eq!(get(raw("HTTP/1.1 302 Found\r\nlocation: /b\r\n\r\n"), deadline), None);
        assert_eq!(get(raw("HTTP/1.1 401 Unauthorized\r\n\r\nno"), deadline), None);
        assert_eq!(get(raw("SSH-2.0-OpenSSH_9\r\n"), deadline), None);
        assert_eq!(get(raw(""), deadline), None);
        assert_eq!(get(raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"), deadline), None);
        assert_eq!(get(Reply::Raw(b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe".to_vec()), deadline), None);
    }

    #[test]
    fn what_never_ends_is_cut() {
        let deadline = Deadline::after(LONG);
        assert_eq!(get(Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), deadline), None);
        assert_eq!(get(Reply::Endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"), deadline), None);
        assert_eq!(
            get(Reply::Endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), deadline),
            None
        );
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let deadline = Deadline::after(Duration::from_millis(50));
        assert_eq!(get(Reply::Silence, deadline), None);
        assert!(deadline.has_passed());
        // Each byte arrives in time, but not all of them.
        let deadline = Deadline::after(Duration::from_millis(50));
        assert_eq!(get(Reply::Dripping, deadline), None);
        assert!(deadline.has_passed());
        assert_eq!(get(Reply::text("late"), deadline), None);
    }

    #[test]
    fn nobody_there_is_none() {
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert_eq!(Service::at(nobody).get("/", &[], Deadline::after(LONG)), None);
    }

    #[test]
    fn a_token_cannot_add_a_header() {
        let server = Server::start(Reply::text);
        let deadline = Deadline::after(LONG);
        assert!(server.service().get("/a", &[("token", "a")], deadline).is_some());
        assert_eq!(server.service().get("/a", &[("token", "a\r\nb: c")], deadline), None);
        assert_eq!(server.service().get("/a b", &[], deadline), None);
    }
}
