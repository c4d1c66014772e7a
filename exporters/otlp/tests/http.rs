//! Faults over HTTP, with the outcome of each batch and the requests that the receiver got.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::time::Duration;

use support::http::{Request, Server, Step, response};
use support::{EXPIRES, PATIENCE, export, export_by, names, outcome, over_http, quick_retries};
use telemark_otlp::{Compression, OtlpBuilder, OtlpExporter, Protocol, RetryConfig};
use telemark_sdk::Exporter;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::{Clock, Deadline};

fn exporter(
    server: &Server,
    configure: impl FnOnce(OtlpBuilder<Traces>) -> OtlpBuilder<Traces>,
) -> OtlpExporter<Traces> {
    let builder = over_http().with_base_endpoint(server.url()).with_retry(quick_retries());
    configure(builder).build().unwrap()
}

/// Sends the batch `a` to a receiver with this script, compares the result, and returns the requests.
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
fn a_request_follows_the_specification() {
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
fn transient_failures_are_retried() {
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
fn the_memory_of_a_request_is_reused() {
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
fn rejected_batches_are_not_retried() {
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
fn errors_quote_the_receiver() {
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
fn foreign_text_is_short_and_harmless_to_a_terminal() {
    let check = |step| {
        let server = Server::start([step]);
        let error = export(&mut exporter(&server, |builder| builder), "a").unwrap_err().to_string();
        assert!(!error.contains('\x1b') && error.len() < 600, "{} bytes: {error:.700}", error.len());
    };
    let long = [b"\x1b[2J".as_slice(), &b"x".repeat(100_000)].concat();
    check(Step::reply("400 Bad Request", "content-type: text/plain\r\n", &long));
    check(Step::reply("301 Moved", "location: http://elsewhere/?token=\t\r\n", b""));
    let partial = [&[0x0a, 0xa5, 0x8d, 0x06, 0x12, 0xa1, 0x8d, 0x06], &b"\x1b".repeat(100_001)[..]].concat();
    let server = Server::start([Step::reply("200 OK", "", &partial)]);
    let message = export(&mut exporter(&server, |builder| builder), "a").unwrap().message.unwrap();
    assert!(message.starts_with(r"\u{1b}") && message.len() < 600, "{message}");
}

#[test]
fn the_error_of_an_unknown_path_names_the_likely_mistake() {
    let check = |set: fn(OtlpBuilder<Traces>, String) -> OtlpBuilder<Traces>, path: &str, expected: &str| {
        let server = Server::start([Step::reply("404 Not Found", "", b"")]);
        let url = server.url();
        let mut exporter = set(over_http(), format!("{url}{path}")).build().unwrap();
        let error = export(&mut exporter, "a").unwrap_err().to_string();
        assert_eq!(error.replace(&url, "URL"), expected);
    };
    let own = |builder: OtlpBuilder<Traces>, url| {
        builder.with_env(&telemark_sdk::config::Env::from_pairs([("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url)]))
    };
    check(
        own,
        "",
        "URL/ answered 404 Not Found (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is: is URL/v1/traces meant?)",
    );
    check(
        own,
        "/api?key=secret",
        "URL/api?… answered 404 Not Found (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is: is URL/api/v1/traces meant?)",
    );
    check(own, "/v1/traces", "URL/v1/traces answered 404 Not Found");
    check(
        OtlpBuilder::with_base_endpoint,
        "/v1/traces",
        "URL/v1/traces/v1/traces answered 404 Not Found (v1/traces is appended to base_endpoint, which ends with v1/traces already)",
    );
    check(
        OtlpBuilder::with_base_endpoint,
        "/v1/logs",
        "URL/v1/logs/v1/traces answered 404 Not Found (v1/traces is appended to base_endpoint, which ends with v1/logs already)",
    );
    check(OtlpBuilder::with_base_endpoint, "", "URL/v1/traces answered 404 Not Found");
}

#[test]
fn the_status_of_the_last_response_is_reported() {
    use telemark_sdk::ResponseStatus;
    let server = Server::start([Step::reply("503 Busy", "", b""), Step::reply("202 Accepted", "", b""), Step::Hang]);
    let mut exporter = exporter(&server, |builder| builder.with_timeout(EXPIRES));
    assert_eq!(export(&mut exporter, "a").unwrap().response, Some(ResponseStatus::Http(202)));
    let error = export(&mut exporter, "b").unwrap_err();
    assert!(error.is_timeout() && error.response().is_none(), "{error}");
    let server = Server::start([Step::reply("400 Bad Request", "", b"")]);
    let mut exporter = self::exporter(&server, |builder| builder);
    assert_eq!(export(&mut exporter, "a").unwrap_err().response(), Some(ResponseStatus::Http(400)));
}

#[test]
fn the_timeout_covers_all_attempts_and_waits() {
    let clock = Clock::system();
    let timed = |timeout: Duration, deadline: Deadline, retry: RetryConfig| {
        let server = Server::start(vec![Step::reply("503 Busy", "", b""); 1000]);
        let mut exporter = exporter(&server, |builder| builder.with_timeout(timeout).with_retry(retry));
        let start = clock.now();
        let error = export_by(&mut exporter, "a", deadline).unwrap_err();
        assert!(error.retries() > 0, "{error}");
        clock.now().since(start)
    };
    // A thousand retries would take a minute at least.
    let steady = RetryConfig::default()
        .with_initial_backoff(Duration::from_millis(80))
        .with_max_backoff(Duration::from_millis(80))
        .with_max_retries(1000);
    let limit = Duration::from_secs(5);
    assert!(timed(EXPIRES, Deadline::NEVER, steady) < limit);
    // The caller's deadline passes first.
    assert!(timed(Duration::from_secs(60), Deadline::after(EXPIRES), steady) < limit);
}

#[test]
fn a_wait_beyond_the_timeout_is_not_started() {
    let server = Server::start([Step::reply("503 Busy", "", b"")]);
    let waits =
        RetryConfig::default().with_initial_backoff(Duration::from_secs(50)).with_max_backoff(Duration::from_secs(50));
    let mut exporter = exporter(&server, |builder| builder.with_retry(waits));
    let clock = Clock::system();
    let start = clock.now();
    assert_eq!(outcome(&export(&mut exporter, "a")), "unavailable, 0 retries");
    assert!(clock.now().since(start) < Duration::from_secs(5));
}

#[test]
fn retry_after_is_honoured_in_both_forms() {
    // These pauses exceed the timeout, and a retry before their end is not allowed.
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
fn a_requested_pause_is_reported() {
    let server = Server::start([Step::ok(), Step::reply("429 Slow Down", "retry-after: 3600\r\n", b"")]);
    let mut exporter = exporter(&server, |builder| builder);
    assert!(export(&mut exporter, "a").is_ok());
    assert_eq!(exporter.pause(), Duration::ZERO);
    assert!(export(&mut exporter, "b").is_err());
    // Requested pauses are limited to one minute.
    assert!(exporter.pause() > Duration::from_secs(30) && exporter.pause() <= Duration::from_secs(60));
}

#[test]
fn a_requested_pause_holds_for_the_next_batch() {
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
        "taken, 1 rejected, 0 retries (too large)",
    );
    let warning = b"\x0a\x0b\x12\x09too large";
    check(&[Step::reply("200 OK", "", warning)], "taken, 0 rejected, 0 retries (too large)");
}

#[test]
fn a_response_that_cannot_be_read_does_not_undo_its_status() {
    check(
        &[Step::reply("200 OK", "", b"\xff\xff\xff")],
        "taken, 0 rejected, 0 retries (accepted, but the response is not OTLP)",
    );
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n\x0a".to_vec();
    let server = Server::start([Step::ReplyAndClose(cut)]);
    let result = outcome(&export(&mut exporter(&server, |builder| builder), "a"));
    assert!(result.starts_with("taken, 0 rejected, 0 retries (accepted, but the response is incomplete"), "{result}");
    // A rejection with an incomplete response is still a rejection.
    let cut = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\nx".to_vec();
    check(&[Step::ReplyAndClose(cut)], "rejected, 0 retries");
    let cut = b"HTTP/1.1 503 Busy\r\ncontent-length: 100\r\n\r\nx".to_vec();
    check(&[Step::ReplyAndClose(cut), Step::ok()], "taken, 0 rejected, 1 retries");
}

#[test]
fn a_peer_that_does_not_speak_http_is_not_retried() {
    check(&[Step::ReplyAndClose(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec())], "_OTHER, 0 retries");
}

#[test]
fn a_response_beyond_the_limit_is_a_failure() {
    let script = |step| {
        let server = Server::start([step]);
        let mut exporter = exporter(&server, |builder| builder.with_max_response_size(1000));
        outcome(&export(&mut exporter, "a"))
    };
    assert_eq!(script(Step::reply("200 OK", "", &[0; 1001])), "too_large, 0 retries");
    assert_eq!(script(Step::reply("503 Busy", "", &[0; 1001])), "too_large, 0 retries");
    // Without a length, the response is read only up to the limit.
    let endless = [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", &[0; 1001][..]].concat();
    assert_eq!(script(Step::ReplyAndClose(endless)), "too_large, 0 retries");
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn a_response_in_chunks() {
    let body = "4\r\n\x0a\x0d\x08\x03\r\n3;x=y\r\n\x12\x09t\r\n8\r\noo large\r\n0\r\na: b\r\n\r\n";
    let partial = Step::Reply(format!("{CHUNKED}{body}").into_bytes());
    let server = Server::start([partial, Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder);
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 1 rejected, 0 retries (too large)");
    assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries");
    assert_eq!(server.finish().iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn a_response_without_an_end_costs_no_more_than_the_timeout_and_the_limits() {
    let script = |step: Step| {
        let timeout = if matches!(step, Step::Drip(..)) { EXPIRES } else { PATIENCE };
        let server = Server::start([step, Step::ok()]);
        let mut exporter = exporter(&server, |builder| builder.with_max_response_size(1000).with_timeout(timeout));
        let first = outcome(&export(&mut exporter, "a"));
        // Nothing of this response is taken for the next one.
        let mut exporter = self::exporter(&server, |builder| builder);
        assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries", "{first}");
        assert_eq!(server.finish().iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 1]);
        first
    };
    const HEAD: &str = "HTTP/1.1 200 OK\r\n";
    const LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n";
    let endless = [(HEAD, "a: b\r\n"), (HEAD, "a"), (LENGTH, "b"), (CHUNKED, "1\r\na\r\n"), (CHUNKED, "0")];
    std::thread::scope(|scope| {
        let started = endless.map(|(start, repeated)| scope.spawn(move || script(Step::Drip(start, repeated))));
        for (case, outcome) in endless.into_iter().zip(started) {
            assert_eq!(outcome.join().unwrap(), "timeout, 0 retries", "{case:?}");
        }
    });
    for (start, repeated) in [(HEAD, "a: b\r\n"), (HEAD, "a: \r\n"), ("HTTP/1.1 200 OK\r\na: ", "b")] {
        assert_eq!(script(Step::Flood(start, repeated)), "too_large, 0 retries", "{start:?}, {repeated:?}");
    }
    for (start, repeated) in [("HTTP/1.1 200 OK\r\n\r\n", "b"), (CHUNKED, "1\r\na\r\n")] {
        assert_eq!(script(Step::Flood(start, repeated)), "too_large, 0 retries", "{start:?}, {repeated:?}");
    }
    // What surrounds the chunks is limited as well.
    for (start, repeated) in
        [("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", "a"), (CHUNKED, "0\r\na: b\r\n")]
    {
        let shown = script(Step::Flood(start, repeated));
        assert!(shown.starts_with("taken, 0 rejected, 0 retries (accepted, but the response is incomplete"), "{shown}");
    }
}

#[test]
fn interim_responses_are_skipped() {
    let reply =
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\na: b\r\n\r\n", &response("200 OK", "", b"")[..]].concat();
    check(&[Step::Reply(reply)], "taken, 0 rejected, 0 retries");
}

#[test]
fn a_response_with_an_unusable_length_is_not_http() {
    for length in ["-1", "x", "1\r\ncontent-length: 2"] {
        let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\nab").into_bytes();
        check(&[Step::Reply(reply)], "_OTHER, 0 retries");
    }
}

#[test]
fn what_follows_a_response_is_not_taken_for_the_next_one() {
    let two = [response("200 OK", "", b""), response("400 Bad Request", "", b"")].concat();
    let server = Server::start([Step::Reply(two), Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder);
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 0 rejected, 0 retries");
    assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries");
    assert_eq!(server.finish().iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 1]);
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
    let mut exporter = exporter(&server, |builder| builder.with_timeout(EXPIRES));
    assert_eq!(outcome(&export(&mut exporter, "a")), "timeout, 0 retries");
    let soon = Deadline::after(EXPIRES / 2);
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
    let mut exporter = exporter(&server, |builder| builder.with_timeout(EXPIRES));
    let error = export(&mut exporter, "a").unwrap_err();
    // The timeout may expire during a wait or during a request. In either case, the error quotes the receiver.
    assert!(error.is_unavailable() || error.is_timeout(), "{error}");
    assert!(error.retries() > 0 && error.to_string().contains("answered 503"), "{error}");
}

#[test]
fn a_receiver_that_is_down_at_first() {
    let address = Server::start([]).address;
    let builder = over_http().with_base_endpoint(format!("http://{address}"));
    let mut exporter = builder.with_retry(quick_retries().with_max_retries(2)).build().unwrap();
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
        // The receiver silently closed the connection after `c`, so `d` needs a new one.
        assert!(export(&mut exporter, name).is_ok(), "{name}");
    }
    let connections: Vec<_> = server.finish().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1]);
}

#[test]
fn a_receiver_that_comes_back() {
    let server = Server::start([Step::ok()]);
    let address = server.address;
    let mut exporter = exporter(&server, |builder| builder.with_retry(quick_retries().with_max_retries(1)));
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
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 1 rejected, 0 retries (why)");
    assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries");
    let request = &server.finish()[0];
    assert_eq!(request.header("content-type"), Some("application/json"));
    let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "a");
}

#[test]
fn media_types_ignore_case() {
    let body = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"why"}}"#;
    for content_type in ["Application/JSON", "APPLICATION/JSON; charset=utf-8", "application/json"] {
        let server = Server::start([Step::reply("200 OK", &format!("Content-Type: {content_type}\r\n"), body)]);
        let mut exporter = exporter(&server, |builder| builder.with_protocol(Protocol::HttpJson));
        assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 1 rejected, 0 retries (why)", "{content_type}");
    }
}

#[cfg(feature = "gzip")]
#[test]
fn compressed_responses_are_asked_for_and_read() {
    use std::io::Write;
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let partial = gzip(b"\x0a\x0d\x08\x03\x12\x09too large");
    for encoding in ["gzip", "GZIP", "x-gzip"] {
        let step = Step::reply("200 OK", &format!("Content-Encoding: {encoding}\r\n"), &partial);
        let requests = check(&[step], "taken, 1 rejected, 0 retries (too large)");
        assert_eq!(requests[0].header("accept-encoding"), Some("gzip"));
    }
    let bomb = Step::reply("200 OK", "content-encoding: gzip\r\n", &gzip(&vec![0; 10 << 20]));
    check(&[bomb], "too_large, 0 retries");
    let unknown = "taken, 0 rejected, 0 retries (accepted, but the response is compressed with \"br\")";
    check(&[Step::reply("200 OK", "content-encoding: br\r\n", &partial)], unknown);
    let step = Step::reply("400 Bad Request", "content-encoding: gzip\r\n", &gzip(b"why"));
    let server = Server::start([step]);
    let error = export(&mut exporter(&server, |builder| builder), "a").unwrap_err().to_string();
    assert!(error.ends_with("answered 400 Bad Request: why"), "{error}");
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
    assert!(over_http().with_compression(Compression::Gzip).build().is_err());
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
