//! Faults over gRPC, with the outcome of each batch and the calls that the receiver got.
#![cfg(feature = "grpc")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::time::Duration;

use support::grpc::{Call, Server, Step, frame};
use support::{EXPIRES, export, export_by, names, outcome, quick_retries};
#[cfg(feature = "gzip")]
use telemark_otlp::Compression;
use telemark_otlp::{OtlpBuilder, OtlpExporter, Protocol};
use telemark_sdk::signal::Traces;
use telemark_sdk::time::{Clock, Deadline};

fn exporter(
    server: &Server,
    configure: impl FnOnce(OtlpBuilder<Traces>) -> OtlpBuilder<Traces>,
) -> OtlpExporter<Traces> {
    let builder = OtlpExporter::<Traces>::builder()
        .with_protocol(Protocol::Grpc)
        .with_endpoint(format!("http://{}", server.address))
        .with_retry(quick_retries());
    configure(builder).build().unwrap()
}

/// Sends the batch `a` to a receiver with this script, compares the result, and returns the calls.
fn check(script: &[Step], expected: &str) -> Vec<Call> {
    let server = Server::start(script);
    let mut exporter = exporter(&server, |builder| builder);
    assert_eq!(outcome(&export(&mut exporter, "a")), expected, "{script:?}");
    drop(exporter);
    let calls = server.finish();
    assert_eq!(calls.len(), script.len(), "{script:?}");
    for call in &calls {
        assert_eq!(call.body[..5], frame(&call.body[5..])[..5]);
        assert_eq!(names(&call.body[5..]), "a");
    }
    calls
}

/// Encodes `google.rpc.Status { details: [Any { RetryInfo { retry_delay } }] }`, as in the header.
fn retry_info(seconds: u8) -> String {
    retry_delay(&[0x08, seconds])
}

/// Encodes the same message, given an encoded `Duration`.
fn retry_delay(duration: &[u8]) -> String {
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    let info = [&[0x0a, duration.len() as u8], duration].concat();
    let any = [&[0x0a, url.len() as u8], &url[..], &[0x12, info.len() as u8], &info].concat();
    base64(&[&[0x08, 8, 0x1a, any.len() as u8], &any[..]].concat())
}

fn base64(bytes: &[u8]) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |n: usize| bytes.get(n / 8).is_some_and(|byte| byte >> (7 - n % 8) & 1 == 1);
    let symbols = (bytes.len() * 8).div_ceil(6);
    (0..symbols)
        .map(|s| (0..6).fold(0, |value, b| value << 1 | usize::from(bit(s * 6 + b))))
        .map(|value| char::from(SYMBOLS[value]))
        .collect()
}

#[test]
fn a_call_follows_the_specification() {
    let calls = check(&[Step::ok()], "taken, 0 rejected, 0 retries");
    let call = &calls[0];
    assert_eq!(call.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    assert_eq!(call.headers["content-type"], "application/grpc");
    assert_eq!(call.headers["te"], "trailers");
    assert!(call.headers["user-agent"].to_str().unwrap().contains("OTel-OTLP-Exporter-Rust/"));
    let timeout = call.headers["grpc-timeout"].to_str().unwrap();
    let millis: u64 = timeout.strip_suffix('m').unwrap().parse().unwrap();
    assert!(millis <= 10_000, "{timeout}");
}

#[test]
fn transient_failures_are_retried() {
    for code in ["1", "4", "10", "11", "14", "15"] {
        check(&[Step::trailers_only(&[("grpc-status", code)]), Step::ok()], "taken, 0 rejected, 1 retries");
        check(&[Step::trailers(vec![], &[("grpc-status", code)]), Step::ok()], "taken, 0 rejected, 1 retries");
    }
    check(&[Step::Close, Step::ok()], "taken, 0 rejected, 1 retries");
}

#[test]
fn rejected_batches_are_not_retried() {
    for code in ["2", "3", "5", "6", "7", "8", "9", "12", "13", "16", "99", "x"] {
        check(&[Step::trailers_only(&[("grpc-status", code)])], "rejected, 0 retries");
    }
}

#[test]
fn resource_exhausted_is_retried_after_the_requested_pause() {
    let with = |seconds| {
        let details = retry_info(seconds);
        Step::trailers_only(&[("grpc-status", "8"), ("grpc-status-details-bin", &details)])
    };
    check(&[with(0), Step::ok()], "taken, 0 rejected, 1 retries");
    // The pause is longer than the timeout.
    check(&[with(100)], "unavailable, 0 retries");
    let details = retry_info(100);
    let unavailable = Step::trailers_only(&[("grpc-status", "14"), ("grpc-status-details-bin", &details)]);
    check(&[unavailable], "unavailable, 0 retries");
}

#[test]
fn a_requested_pause_delays_the_next_batch() {
    // 300,000,000 nanoseconds.
    let details = retry_delay(&[0x10, 0x80, 0xc6, 0x86, 0x8f, 0x01]);
    let busy = Step::trailers_only(&[("grpc-status", "14"), ("grpc-status-details-bin", &details)]);
    let server = Server::start([busy, Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder.with_retry(quick_retries().with_max_retries(0)));
    let started = Clock::system().now();
    assert_eq!(outcome(&export(&mut exporter, "a")), "unavailable, 0 retries");
    assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries");
    // The pause begins after the start, and the second call arrives after its end.
    assert!(Clock::system().now().since(started) >= Duration::from_millis(300));
    assert_eq!(server.finish().len(), 2);
}

#[test]
fn partial_success() {
    let body = frame(b"\x0a\x0d\x08\x03\x12\x09too large");
    check(&[Step::trailers(body, &[("grpc-status", "0")])], "taken, 1 rejected, 0 retries (too large)");
    let garbage = Step::trailers(b"garbage".to_vec(), &[("grpc-status", "0")]);
    check(&[garbage], "taken, 0 rejected, 0 retries (accepted, but the response is not OTLP)");
}

#[test]
fn errors_quote_the_receiver() {
    let step = Step::trailers_only(&[("grpc-status", "16"), ("grpc-message", "who%20are you?")]);
    let server = Server::start([step]);
    let error = export(&mut exporter(&server, |builder| builder), "a").unwrap_err().to_string();
    assert!(error.ends_with("answered UNAUTHENTICATED: who are you?"), "{error}");
    let server = Server::start([Step::trailers_only(&[])]);
    let error = export(&mut exporter(&server, |builder| builder), "a").unwrap_err().to_string();
    assert!(error.contains("without a gRPC status: is the port that of another protocol?"), "{error}");
}

#[test]
fn a_response_beyond_the_limit_is_a_failure() {
    let server = Server::start([Step::trailers(frame(&[0; 2000]), &[("grpc-status", "0")])]);
    let mut exporter = exporter(&server, |builder| builder.with_max_response_size(1000));
    assert_eq!(outcome(&export(&mut exporter, "a")), "too_large, 0 retries");
}

#[test]
fn a_slow_receiver_costs_no_more_than_the_timeout() {
    let server = Server::start([Step::Hang, Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder.with_timeout(EXPIRES));
    assert_eq!(outcome(&export(&mut exporter, "a")), "timeout, 0 retries");
    let mut exporter = self::exporter(&server, |builder| builder);
    assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 0 retries");
}

#[test]
fn one_connection_serves_all_calls_until_it_is_closed() {
    let server = Server::start([Step::ok(), Step::ok(), Step::Close, Step::ok(), Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder);
    let results: Vec<_> = ["a", "b", "c", "d"].map(|name| outcome(&export(&mut exporter, name))).into();
    let once = "taken, 0 rejected, 0 retries";
    assert_eq!(results, [once, once, "taken, 0 rejected, 1 retries", once]);
    let connections: Vec<_> = server.finish().iter().map(|call| call.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1, 1]);
}

#[test]
fn a_receiver_that_is_down_or_not_grpc_is_unavailable() {
    let server = Server::start([]);
    let address = server.address;
    server.finish();
    let builder =
        OtlpExporter::<Traces>::builder().with_protocol(Protocol::Grpc).with_endpoint(format!("http://{address}"));
    let mut exporter = builder.with_retry(quick_retries().with_max_retries(2)).build().unwrap();
    assert_eq!(outcome(&export(&mut exporter, "a")), "unavailable, 2 retries");
}

#[cfg(feature = "gzip")]
#[test]
fn gzip() {
    use std::io::Read;
    let server = Server::start([Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder.with_compression(Compression::Gzip));
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 0 rejected, 0 retries");
    let call = &server.finish()[0];
    assert_eq!(call.headers["grpc-encoding"], "gzip");
    assert_eq!((call.body[0], &call.body[1..5]), (1, &(call.body.len() as u32 - 5).to_be_bytes()[..]));
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(&call.body[5..]).read_to_end(&mut body).unwrap();
    assert_eq!(names(&body), "a");
}

/// Compresses a message and adds the prefix.
#[cfg(feature = "gzip")]
fn gzip_frame(message: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(message).unwrap();
    let compressed = encoder.finish().unwrap();
    [&[1], &(compressed.len() as u32).to_be_bytes()[..], &compressed].concat()
}

#[cfg(feature = "gzip")]
#[test]
fn compressed_responses_are_asked_for_and_read() {
    let reply = |encoding: &str, body| Step::Reply {
        headers: vec![("content-type", "application/grpc".to_owned()), ("grpc-encoding", encoding.to_owned())],
        body,
        trailers: vec![("grpc-status", "0".to_owned())],
    };
    let partial = gzip_frame(b"\x0a\x0d\x08\x03\x12\x09too large");
    let calls = check(&[reply("gzip", partial.clone())], "taken, 1 rejected, 0 retries (too large)");
    assert_eq!(calls[0].headers["grpc-accept-encoding"], "gzip");
    check(&[reply("GZip", partial.clone())], "taken, 1 rejected, 0 retries (too large)");
    let nothing = b"\0\0\0\0\0".to_vec();
    check(&[reply("gzip", nothing)], "taken, 0 rejected, 0 retries");
    let unknown = r#"taken, 0 rejected, 0 retries (accepted, but the response is compressed with "snappy")"#;
    check(&[reply("snappy", partial)], unknown);
    let bomb = reply("gzip", gzip_frame(&vec![0; 10 << 20]));
    check(&[bomb], "too_large, 0 retries");
}

#[test]
fn an_http_1_server_is_told_from_a_lost_connection() {
    let server = support::http::Server::start([support::http::Step::ReplyAndClose(support::http::response(
        "400 Bad Request",
        "",
        b"no",
    ))]);
    let builder = OtlpExporter::<Traces>::builder().with_protocol(Protocol::Grpc).with_endpoint(server.url());
    let error = export(&mut builder.with_retry(quick_retries()).build().unwrap(), "a").unwrap_err();
    assert_eq!(error.retries(), 0);
    let expected = "is not HTTP/2: is the port that of another protocol?";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn the_status_of_the_call_is_reported() {
    use telemark_sdk::ResponseStatus;
    let status = |code| Step::trailers_only(&[("grpc-status", code)]);
    let server = Server::start([status("14"), Step::ok(), status("3")]);
    let mut exporter = exporter(&server, |builder| builder);
    // The report contains the status of the last attempt.
    assert_eq!(export(&mut exporter, "a").unwrap().response, Some(ResponseStatus::Rpc("OK")));
    assert_eq!(export(&mut exporter, "b").unwrap_err().response(), Some(ResponseStatus::Rpc("INVALID_ARGUMENT")));
    let soon = Deadline::after(Duration::ZERO);
    assert_eq!(export_by(&mut exporter, "b", soon).unwrap_err().response(), None);
}

/// Sends more than the HTTP/2 windows and the system's buffers hold, so the connection must run while the request waits.
#[test]
fn a_batch_larger_than_every_buffer_arrives() {
    let server = Server::start([Step::ok(), Step::ok()]);
    let mut exporter = exporter(&server, |builder| builder);
    let long: &'static str = "x".repeat(10_000_000).leak();
    for _ in 0..2 {
        assert_eq!(outcome(&export(&mut exporter, long)), "taken, 0 rejected, 0 retries");
    }
    let calls = server.finish();
    assert!(calls.iter().all(|call| call.connection == 0 && call.body.len() > long.len()));
}
