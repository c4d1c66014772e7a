//! `cargo telemark probe-hop` through a proxy and to a service that echoes headers.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test helpers")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use support::tls::{Authority, Unusual};
use support::{NOBODY, Script, http, run};

/// Starts a server that treats the lines of each request's head with `respond`.
fn server(respond: impl Fn(Vec<String>, &mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let lines = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            respond(lines, reader.get_mut());
        }
    });
    address
}

fn echo(lines: Vec<String>, stream: &mut TcpStream) {
    let body = lines.join("\n");
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).unwrap();
}

#[test]
fn a_service_that_echoes_headers() {
    let url = format!("http://{}/echo", server(echo));
    let expected = format!(
        "read          the response of {url}\ntraceparent   unchanged\nsampled flag  kept\ntracestate    came through\nbaggage       came \
         through\n"
    );
    assert_eq!(run(&["probe-hop", &url], &[]), (0, expected));
}

#[test]
fn a_service_over_https() {
    let authority = Authority::new("ours");
    // The response repeats nothing, so that the test shows the connection alone.
    let address = authority.https("localhost", Unusual::Nothing, Script::status("200 OK"), "");
    let (url, file) = (format!("https://localhost:{}/", address.port()), authority.file("hop.pem"));
    let (status, text) = run(&["probe-hop", &url, "--ca-file", file.path()], &[]);
    assert!(status == 1 && text.starts_with("the response repeats nothing of the request"), "{text}");
    let (status, text) = run(&["probe-hop", &url, "--ca-file", Authority::new("other").file("other.pem").path()], &[]);
    let expected = format!(
        "cargo telemark: {url}: invalid peer certificate: UnknownIssuer\n   The certificate of localhost:{} comes from an authority that is \
         not trusted here. Set --ca-file to a PEM file with the certificate of that authority.\n",
        address.port()
    );
    assert_eq!((status, text), (1, expected));
    let plain = format!("https://{}/", http(Script::status("200 OK"), ""));
    let (status, text) = run(&["probe-hop", &plain, "--ca-file", file.path()], &[]);
    assert!(status == 1 && text.contains("does not speak TLS. Write http:// in the URL"), "{text}");
    let (status, text) = run(&["probe-hop", &url, "--ca-file", "/nowhere.pem"], &[]);
    assert!(status == 1 && text.contains("/nowhere.pem: No such file"), "{text}");
}

#[test]
fn a_service_that_echoes_nothing() {
    let address =
        server(|_, stream| stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap());
    let (status, text) = run(&["probe-hop", &format!("http://{address}/")], &[]);
    assert!(text.starts_with("the response repeats nothing of the request, so nothing is known. "), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn a_proxy_that_removes_baggage_and_clears_the_flag() {
    // The command listens there as soon as it has started. The system gives ports of this range to no server of another test.
    let first = std::process::id() as u16;
    let mut ports = (0..10_000).map(|step| 10_000 + first.wrapping_add(step) % 10_000);
    let behind = ports.find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).unwrap().local_addr().unwrap();
    let proxy = server(move |lines, client| {
        let kept =
            lines.iter().filter(|line| !line.starts_with("baggage")).map(|line| match line.strip_suffix("-01") {
                Some(unsampled) => format!("{unsampled}-00\r\n"),
                None => format!("{line}\r\n"),
            });
        let mut next = TcpStream::connect(behind).unwrap();
        // A health check comes first.
        TcpStream::connect(behind).unwrap().write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
        next.write_all(format!("{}\r\n", kept.collect::<String>()).as_bytes()).unwrap();
        let mut response = Vec::new();
        let _ = next.read_to_end(&mut response);
        let _ = client.write_all(&response);
    });
    let url = format!("http://{proxy}/");
    let expected = format!(
        "read          the request that left {url}\ntraceparent   unchanged\n\
         sampled flag  cleared: the hop's sampler drops the trace for everyone behind it\n\
         tracestate    came through\nbaggage       lost: the hop removes or replaces it\n"
    );
    assert_eq!(run(&["probe-hop", &url, "--behind", &behind.to_string()], &[]), (1, expected));
}

#[test]
fn a_hop_that_cannot_be_reached_and_a_url_that_cannot_be_used() {
    let (status, text) = run(&["probe-hop", &format!("http://{NOBODY}/")], &[]);
    assert_eq!((status, text), (1, format!("cargo telemark: http://{NOBODY}/: Connection refused (os error 111)\n")));
    let (status, text) = run(&["probe-hop", "https://u:s3cret@h/"], &[]);
    assert!(
        status == 2 && !text.contains("s3cret") && text.contains("is no URL such as http://host:8080/path"),
        "{text}"
    );
}
