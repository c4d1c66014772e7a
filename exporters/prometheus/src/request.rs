//! The head of a request: all that the server wants to know of it.

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The page, with these headers.
    Page { accept: String, accept_encoding: String },
    /// Something that the server does not have; the status says why.
    Refused(&'static str),
}

/// Reads a head without the empty line after it.
pub(crate) fn parse(head: &[u8]) -> Request {
    const BAD: Request = Request::Refused("400 Bad Request");
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return BAD;
    };
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") || method.is_empty() {
        return BAD;
    }
    let (mut accept, mut accept_encoding) = (Vec::new(), Vec::new());
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return BAD };
        if name.eq_ignore_ascii_case("accept") {
            accept.push(value.trim());
        } else if name.eq_ignore_ascii_case("accept-encoding") {
            accept_encoding.push(value.trim());
        }
    }
    if target.split('?').next() != Some("/metrics") {
        return Request::Refused("404 Not Found");
    }
    if method != "GET" {
        return Request::Refused("405 Method Not Allowed");
    }
    Request::Page { accept: accept.join(","), accept_encoding: accept_encoding.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(head: &str, expected: &str) {
        let shown = match parse(head.as_bytes()) {
            Request::Page { accept, accept_encoding } => format!("page {accept:?} {accept_encoding:?}"),
            Request::Refused(status) => status.to_owned(),
        };
        assert_eq!(shown, expected, "{head:?}");
    }

    #[test]
    fn requests() {
        check("GET /metrics HTTP/1.1", r#"page "" """#);
        check("GET /metrics?name[]=x HTTP/1.0\r\nHost: a", r#"page "" """#);
        let headers = "GET /metrics HTTP/1.1\r\naccept: text/plain\r\nACCEPT:  */* \r\nAccept-Encoding: gzip";
        check(headers, r#"page "text/plain,*/*" "gzip""#);
        check("GET / HTTP/1.1", "404 Not Found");
        check("GET /metrics/ HTTP/1.1", "404 Not Found");
        check("POST /metrics HTTP/1.1\r\nContent-Length: 3", "405 Method Not Allowed");
        check("", "400 Bad Request");
        check("GET /metrics", "400 Bad Request");
        check("GET  /metrics HTTP/1.1", "400 Bad Request");
        check("GET /metrics HTTP/2", "400 Bad Request");
        check("GET /metrics HTTP/1.1\r\nbroken", "400 Bad Request");
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            parse(&bytes);
        }
    }
}
