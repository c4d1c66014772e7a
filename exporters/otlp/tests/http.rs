//! The table of faults over HTTP: what the receiver does, what becomes of the batch, and what was sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::time::Duration;

use support::http::{Request, Server, Step, response};
use support::{PATIENCE, export, export_by, names, outcome, quick_retries};
use telemark_otlp::{Builder, Compression, Otlp, Protocol};
use telemark_sdk::Exporter;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;

fn exporter(server: &Server, configure: impl FnOnce(Builder<Traces>) -> Builder<Traces>) -> Otlp<Traces> {
    let builder = Otlp::<Traces>::builder().with_base_endpoint(server.url()).with_retry(quick_retries());
    configure(builder).build().unwrap()
}

/// Sends a batch `a` to a receiver with this script and returns what came in.
fn check(script: &[Step], expected: &str) -> Vec<Request> {
    let server = Server::start(script);
    let mut exporter = exporter(&server, |builder| builder);
    assert_eq!(outcome(&export(&mut exporter, "a")), expected, "{script:?}");
    let requests = server.finish();
    assert_eq!(requests.len(), script.len(), "{script:?}");
    for request in &requests {
        assert_eq!(names(&request.body), "a");
    }
    requests
}

#[test]
fn a_request_is_as_the_specification_wants_it() {
    let requests = check(&[Step::ok()], "taken, 0 rejected, 0 retries");
    let request = &requests[0];
    assert_eq!(request.head.lines().next(), Some("POST /v1/traces HTTP/1.1"));
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(request.header("content-encoding"), None);
    assert!(request.header("host").unwrap().starts_with("127.0.0.1:"));
    let version = env!("CARGO_PKG_VERSION");
    let agent = format!("telemark/{version} OTel-OTLP-Exporter-Rust/{version}");
    assert_eq!(request.header("user-agent"), Some(agent.as_str()));
}

#[test]
fn what_may_pass_is_sent_again() {
    let retried = "taken, 0 rejected, 1 retries";
    for status in ["429 Too Many Requests", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
        check(&[Step::reply(status, "", b""), Step::ok()], retried);
    }
    check(&[Step::ReplyAndClose(vec![]), Step::ok()], retried);
    check(&[Step::ReplyAndClose(b"HTTP/1.1 200 O".to_vec()), Step::ok()], retried);
    check(&[Step::ReplyAndClose(vec![]), Step::reply("503 x", "", b""), Step::ok()], "taken, 0 rejected, 2 retries");
}

#[test]
fn a_connection_that_is_reset_is_replaced() {
    let server = Server::start([Step::Reset, Step::ok(), Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder);
    let long = "x".repeat(10_000_000).leak();
    assert_eq!(outcome(&export(&mut exporter, long)), "taken, 0 rejected, 1 retries");
    assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries");
    let requests = server.finish();
    let seen: Vec<_> = requests.iter().map(|request| (request.connection, request.body.len() > 10_000_000)).collect();
    assert_eq!(seen, [(0, false), (1, true), (1, false)]);
}

#[test]
fn the_memory_of_a_request_is_used_again() {
    let server = Server::start(vec![Step::ok(); 3]);
    let mut exporter = exporter(&server, |builder| builder);
    let long: &'static str = "x".repeat(1_000_000).leak();
    let mut bytes = [0; 3];
    for bytes in &mut bytes {
        let counted = allocation_counter::measure(|| assert!(export(&mut exporter, long).is_ok()));
        *bytes = counted.bytes_total;
    }
    assert!(bytes[0] > 1_000_000 && bytes[2] < 100_000, "{bytes:?}");
}

#[test]
fn what_is_refused_is_not_sent_again() {
    for status in ["400 Bad Request", "401 Unauthorized", "404 Not Found", "408 Request Timeout", "500 Oops", "501 No"]
    {
        check(&[Step::reply(status, "", b"")], "rejected, 0 retries");
    }
    check(&[Step::reply("301 Moved Permanently", "location: http://elsewhere/\r\n", b"")], "rejected, 0 retries");
}

#[test]
fn a_refusal_does_not_cost_the_connection() {
    let server = Server::start([Step::reply("400 Bad Request", "", b"no"), Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder);
    assert_eq!(outcome(&export(&mut exporter, "a")), "rejected, 0 retries");
    assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries");
    assert_eq!(server.finish().iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn errors_say_what_the_receiver_said() {
    let check = |step, expected: &str| {
        let server = Server::start([step]);
        let error = export(&mut exporter(&server, |builder| builder), "a").unwrap_err().to_string();
        assert_eq!(error, format!("{}/v1/traces answered {expected}", server.url()));
    };
    check(
        Step::reply("301 Moved Permanently", "location: http://elsewhere/\r\n", b""),
        "301 Moved Permanently to \"http://elsewhere/\": redirects are not followed, set the endpoint",
    );
    check(
        Step::reply("404 Not Found", "content-type: text/plain\r\n", b"no such route"),
        "404 Not Found: no such route",
    );
    let status = b"\x08\x03\x12\x0bspan broken";
    check(
        Step::reply("400 Bad Request", "content-type: application/x-protobuf\r\n", status),
        "400 Bad Request: span broken",
    );
}

#[test]
fn retry_after_is_honoured_in_both_forms() {
    // Never faster than the receiver asks: these pauses do not fit into the timeout.
    for pause in ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"] {
        let header = format!("retry-after: {pause}\r\n");
        check(&[Step::reply("503 Service Unavailable", &header, b"")], "unavailable, 0 retries");
    }
    for pause in ["0", "Sun, 06 Nov 1994 08:49:37 GMT", "nonsense"] {
        let header = format!("retry-after: {pause}\r\n");
        check(&[Step::reply("429 Too Many", &header, b""), Step::ok()], "taken, 0 rejected, 1 retries");
    }
}

#[test]
fn a_pause_that_is_asked_for_holds_for_the_next_batch() {
    let server = Server::start([Step::reply("429 Slow Down", "retry-after: 3600\r\n", b"")]);
    let mut exporter = exporter(&server, |builder| builder);
    assert_eq!(outcome(&export(&mut exporter, "a")), "unavailable, 0 retries");
    for name in ["b", "c"] {
        let error = export(&mut exporter, name).unwrap_err();
        assert!(error.is_unavailable() && error.to_string().contains("asked for a pause"), "{error}");
    }
    assert_eq!(server.finish().len(), 1);
}

#[test]
fn partial_success() {
    let body = b"\x0a\x0d\x08\x03\x12\x09too large";
    check(
        &[Step::reply("200 OK", "content-type: application/x-protobuf\r\n", body)],
        "taken, 3 rejected, 0 retries (too large)",
    );
    let warning = b"\x0a\x0b\x12\x09too large";
    check(&[Step::reply("200 OK", "", warning)], "taken, 0 rejected, 0 retries (too large)");
}

#[test]
fn an_answer_that_cannot_be_read_does_not_undo_its_status() {
    check(
        &[Step::reply("200 OK", "", b"\xff\xff\xff")],
        "taken, 0 rejected, 0 retries (taken, but the answer is not OTLP)",
    );
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n\x0a".to_vec();
    let server = Server::start([Step::ReplyAndClose(cut)]);
    let result = outcome(&export(&mut exporter(&server, |builder| builder), "a"));
    assert!(result.starts_with("taken, 0 rejected, 0 retries (taken, but the answer is incomplete"), "{result}");
    // A refusal stays one as well.
    let cut = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\nx".to_vec();
    check(&[Step::ReplyAndClose(cut)], "rejected, 0 retries");
    let cut = b"HTTP/1.1 503 Busy\r\ncontent-length: 100\r\n\r\nx".to_vec();
    check(&[Step::ReplyAndClose(cut), Step::ok()], "taken, 0 rejected, 1 retries");
}

#[test]
fn what_is_not_http_is_not_asked_again() {
    check(&[Step::ReplyAndClose(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec())], "_OTHER, 0 retries");
}

#[test]
fn an_answer_beyond_the_limit_is_a_failure() {
    let script = |step| {
        let server = Server::start([step]);
        let mut exporter = exporter(&server, |builder| builder.with_max_response_size(1000));
        outcome(&export(&mut exporter, "a"))
    };
    assert_eq!(script(Step::reply("200 OK", "", &[0; 1001])), "too_large, 0 retries");
    assert_eq!(script(Step::reply("503 Busy", "", &[0; 1001])), "too_large, 0 retries");
    // Without a length, the answer ends when the limit is reached.
    let endless = [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", &[0; 1001][..]].concat();
    assert_eq!(script(Step::ReplyAndClose(endless)), "too_large, 0 retries");
}

#[test]
fn a_request_beyond_the_limit_is_not_sent() {
    let server = Server::start([Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder.with_max_request_size(90));
    let long = "x".repeat(100).leak();
    assert_eq!(outcome(&export(&mut exporter, long)), "too_large, 0 retries");
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 0 rejected, 0 retries");
    assert_eq!(server.finish().iter().map(|r| names(&r.body)).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_slow_receiver_costs_no_more_than_the_timeout_or_the_deadline() {
    let server = Server::start([Step::Hang, Step::Hang, Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder.with_timeout(Duration::from_millis(100)));
    assert_eq!(outcome(&export(&mut exporter, "a")), "timeout, 0 retries");
    let soon = Deadline::after(Duration::from_millis(100));
    assert_eq!(outcome(&export_by(&mut exporter, "b", soon)), "timeout, 0 retries");
    // The next batch starts on a fresh connection.
    let mut exporter = self::exporter(&server, |builder| builder);
    assert_eq!(outcome(&export(&mut exporter, "c")), "taken, 0 rejected, 0 retries");
    let requests = server.finish();
    let seen: Vec<_> = requests.iter().map(|r| (names(&r.body), r.connection)).collect();
    assert_eq!(seen, [("a".to_owned(), 0), ("b".to_owned(), 1), ("c".to_owned(), 2)]);
}

#[test]
fn a_receiver_that_stays_busy_is_given_up_within_the_timeout() {
    let server = Server::start(vec![Step::reply("503 Busy", "", b""); 1000]);
    let mut exporter = exporter(&server, |builder| builder.with_timeout(Duration::from_millis(300)));
    let error = export(&mut exporter, "a").unwrap_err();
    // The time may be over during a wait or during a request: what the receiver said is told in either case.
    assert!(error.is_unavailable() || error.is_timeout(), "{error}");
    assert!(error.retries() > 0 && error.to_string().contains("answered 503"), "{error}");
}

#[test]
fn a_receiver_that_is_down_at_first() {
    let address = Server::start([]).address;
    let builder = Otlp::<Traces>::builder().with_base_endpoint(format!("http://{address}"));
    let mut exporter = builder.with_retry(quick_retries().with_most(2)).build().unwrap();
    let error = export(&mut exporter, "a").unwrap_err();
    assert_eq!(outcome(&Err(error)), "unavailable, 2 retries");
    let server = Server::start_at(address, [Step::ok()]);
    assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries");
    assert_eq!(server.finish().len(), 1);
}

#[test]
fn one_connection_serves_all_batches_until_it_is_closed() {
    let last = Step::ReplyAndClose(response("200 OK", "", b""));
    let server = Server::start([Step::ok(), Step::ok(), last, Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder);
    for name in ["a", "b", "c", "d"] {
        // The receiver closed the connection after `c` without a word: `d` goes out on a new one.
        assert!(export(&mut exporter, name).is_ok(), "{name}");
    }
    let connections: Vec<_> = server.finish().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1]);
}

#[test]
fn a_receiver_that_comes_back() {
    let server = Server::start([Step::ok()]);
    let address = server.address;
    let mut exporter = exporter(&server, |builder| builder.with_retry(quick_retries().with_most(1)));
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 0 rejected, 0 retries");
    assert_eq!(server.finish().len(), 1);
    assert!(export(&mut exporter, "b").unwrap_err().is_unavailable());
    let server = Server::start_at(address, [Step::ok()]);
    assert_eq!(outcome(&export(&mut exporter, "c")), "taken, 0 rejected, 0 retries");
    assert_eq!(names(&server.finish()[0].body), "c");
}

#[test]
fn json() {
    let body = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"why"}}"#;
    let server = Server::start([Step::reply("200 OK", "content-type: application/json\r\n", body), Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder.with_protocol(Protocol::HttpJson));
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 2 rejected, 0 retries (why)");
    assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries");
    let request = &server.finish()[0];
    assert_eq!(request.header("content-type"), Some("application/json"));
    let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "a");
}

#[cfg(feature = "gzip")]
#[test]
fn gzip() {
    use std::io::Read;
    let server = Server::start([Step::reply("503 Busy", "", b""), Step::ok(), Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder.with_compression(Compression::Gzip));
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 0 rejected, 1 retries");
    assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries");
    let requests = server.finish();
    let unpacked: Vec<_> = requests
        .iter()
        .map(|request| {
            assert_eq!(request.header("content-encoding"), Some("gzip"));
            let mut body = Vec::new();
            flate2::read::GzDecoder::new(&*request.body).read_to_end(&mut body).unwrap();
            names(&body)
        })
        .collect();
    assert_eq!(unpacked, ["a", "a", "b"]);
}

#[cfg(not(feature = "gzip"))]
#[test]
fn gzip_without_its_feature_is_a_configuration_error() {
    assert!(Otlp::<Traces>::builder().with_compression(Compression::Gzip).build().is_err());
}

#[test]
fn headers_are_sent_and_never_shown() {
    let server = Server::start([Step::ok()]);
    let mut exporter = exporter(&server, |builder| {
        let builder = builder.with_header("authorization", "Bearer secret").with_header("x-tenant", "größe");
        assert!(!format!("{builder:?}").contains("secret"));
        builder
    });
    assert!(export(&mut exporter, "a").is_ok());
    let debug = format!("{exporter:?} {exporter:#?}");
    assert!(debug.contains("authorization") && !debug.contains("secret"), "{debug}");
    let request = &server.finish()[0];
    assert_eq!(request.header("authorization"), Some("Bearer secret"));
    assert_eq!(request.header("x-tenant"), Some("größe"));
}

#[test]
fn after_shutdown_nothing_is_sent() {
    let server = Server::start([Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder);
    assert!(export(&mut exporter, "a").is_ok());
    exporter.shutdown(Deadline::after(PATIENCE)).unwrap();
    assert!(export(&mut exporter, "b").unwrap_err().is_shutdown());
    assert_eq!(server.finish().len(), 1);
}
