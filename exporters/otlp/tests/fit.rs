//! Batches that are larger than the receiver accepts. They must arrive in parts, and only items that do not fit into any
//! request may be dropped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use support::http::{Server, Step};
use support::limited::{Limited, Refuses};
use support::{EXPIRES, PATIENCE, export_all, numbered, numbers, outcome, over_http, quick_retries};
use telemark_otlp::{OtlpBuilder, OtlpExporter};
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SpanChunk;

fn exporter(url: String, configure: impl FnOnce(OtlpBuilder<Traces>) -> OtlpBuilder<Traces>) -> OtlpExporter<Traces> {
    let builder = over_http().with_base_endpoint(url).with_retry(quick_retries());
    configure(builder).build().unwrap()
}

fn send(exporter: &mut OtlpExporter<Traces>, spans: &SpanChunk) -> String {
    outcome(&export_all(exporter, spans, Deadline::after(PATIENCE)))
}

fn arrived(bodies: &[Vec<u8>]) -> Vec<usize> {
    numbers(bodies.iter().map(Vec::as_slice))
}

#[test]
fn no_request_exceeds_the_configured_limit() {
    let server = Limited::start(usize::MAX, Refuses::Politely, b"");
    let mut exporter = exporter(server.url(), |builder| builder.with_max_request_size(1000));
    assert_eq!(send(&mut exporter, &numbered([100; 50])), "taken, 0 rejected, 0 retries");
    let seen = server.take();
    assert!(seen.taken.iter().all(|body| body.len() <= 1000));
    assert_eq!(arrived(&seen.taken), (0..50).collect::<Vec<_>>());
    // The envelope and six spans of 147 bytes fit, but a seventh span does not.
    assert_eq!(seen.taken.len(), 50_usize.div_ceil(6));
    // Zero means no limit.
    drop(exporter);
    let mut exporter = self::exporter(server.url(), |builder| builder.with_max_request_size(0));
    assert_eq!(send(&mut exporter, &numbered([100; 50])), "taken, 0 rejected, 0 retries");
    assert_eq!(server.take().taken.len(), 1);
}

#[test]
fn by_default_parts_have_the_size_that_every_receiver_takes() {
    let server = Limited::start(usize::MAX, Refuses::Politely, b"");
    let mut exporter = exporter(server.url(), |builder| builder);
    // Only the last span is larger. It is sent because the receiver may accept it.
    let mut lengths = vec![1_000_000; 9];
    lengths.push(5_000_000);
    assert_eq!(send(&mut exporter, &numbered(lengths)), "taken, 0 rejected, 0 retries");
    let sizes: Vec<_> = server.take().taken.iter().map(|body| body.len() / 1_000_000).collect();
    assert_eq!(sizes, [4, 4, 1, 5]);
}

#[test]
fn what_is_refused_as_too_large_is_halved_until_it_passes() {
    for refuses in [Refuses::Politely, Refuses::AtOnce] {
        let server = Limited::start(2000, refuses, b"");
        let mut exporter = exporter(server.url(), |builder| builder);
        // Span 50 does not fit into any request.
        let spans = numbered((0..100).map(|index| if index == 50 { 3000 } else { 100 }));
        let expected: Vec<_> = (0..100).filter(|&index| index != 50).collect();
        assert_eq!(send(&mut exporter, &spans), "taken, 1 failed, 0 rejected, 0 retries", "{refuses:?}");
        let seen = server.take();
        assert_eq!(arrived(&seen.taken), expected, "{refuses:?}");
        assert_eq!(seen.refused.len(), 4, "{:?}", seen.refused);
        // For the next batch, the exporter remembers the size limit and the size of the refused span.
        assert_eq!(send(&mut exporter, &spans), "taken, 1 failed, 0 rejected, 0 retries", "{refuses:?}");
        let seen = server.take();
        assert_eq!((arrived(&seen.taken), seen.refused), (expected, vec![]), "{refuses:?}");
    }
}

/// The refusal arrives while most of the request is still unsent.
#[test]
fn a_refusal_before_the_end_of_a_large_request_is_heard() {
    for refuses in [Refuses::Politely, Refuses::AtOnce, Refuses::WithoutReading] {
        let server = Limited::start(1 << 20, refuses, b"");
        let mut exporter = exporter(server.url(), |builder| builder);
        assert_eq!(send(&mut exporter, &numbered([500_000; 20])), "taken, 0 rejected, 0 retries", "{refuses:?}");
        let seen = server.take();
        assert_eq!(arrived(&seen.taken), (0..20).collect::<Vec<_>>());
        assert_eq!(seen.refused.len(), 2, "{:?}", seen.refused);
    }
}

#[test]
fn a_receiver_that_refuses_everything_gets_few_requests() {
    let server = Limited::start(0, Refuses::Politely, b"");
    let mut exporter = exporter(server.url(), |builder| builder);
    for refusals in [9, 0] {
        assert_eq!(send(&mut exporter, &numbered([100; 512])), "too_large, 0 retries");
        let seen = server.take();
        assert_eq!((seen.taken.len(), seen.refused.len()), (0, refusals), "{:?}", seen.refused);
    }
}

#[test]
fn a_single_span_that_is_refused_is_not_sent_again() {
    let server = Limited::start(100, Refuses::Politely, b"");
    let mut exporter = exporter(server.url(), |builder| builder);
    assert_eq!(send(&mut exporter, &numbered([200])), "too_large, 0 retries");
    assert_eq!(send(&mut exporter, &numbered([200])), "too_large, 0 retries");
    assert_eq!(send(&mut exporter, &numbered([10])), "taken, 0 rejected, 0 retries");
    let seen = server.take();
    assert_eq!((seen.taken.len(), seen.refused.len()), (1, 1));
}

#[test]
fn a_limit_that_falls_is_learned_again() {
    let server = Limited::start(5000, Refuses::Politely, b"");
    let mut exporter = exporter(server.url(), |builder| builder);
    for limit in [5000, 1000, 300] {
        server.set_limit(limit);
        assert_eq!(send(&mut exporter, &numbered([100; 100])), "taken, 0 rejected, 0 retries");
        assert_eq!(arrived(&server.take().taken), (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn a_large_batch_of_tiny_spans_takes_no_more_requests_than_it_needs() {
    let server = Limited::start(1000, Refuses::Politely, b"");
    // On a busy machine, several hundred requests take longer than the default timeout.
    let mut exporter = exporter(server.url(), |builder| builder.with_max_request_size(1000).with_timeout(PATIENCE));
    assert_eq!(send(&mut exporter, &numbered([0; 10_000])), "taken, 0 rejected, 0 retries");
    let seen = server.take();
    assert_eq!(arrived(&seen.taken), (0..10_000).collect::<Vec<_>>());
    let bytes: usize = seen.taken.iter().map(Vec::len).sum();
    assert!(seen.taken.len() < bytes / 850, "{} requests for {bytes} bytes", seen.taken.len());
}

#[test]
fn the_partial_successes_of_the_parts_add_up() {
    // `partial_success { rejected_spans: 2, error_message: "too old" }`
    let server = Limited::start(1000, Refuses::Politely, b"\x0a\x0b\x08\x02\x12\x07too old");
    let mut exporter = exporter(server.url(), |builder| builder.with_max_request_size(1000));
    assert_eq!(send(&mut exporter, &numbered([100; 20])), "taken, 8 rejected, 0 retries (too old)");
    assert_eq!(server.take().taken.len(), 4);
}

#[test]
fn each_part_is_retried_and_a_rejected_one_costs_only_its_own_spans() {
    let busy = || Step::reply("503 Busy", "", b"");
    let script = [busy(), Step::ok(), Step::reply("400 Bad Request", "", b""), busy(), busy(), Step::ok()];
    let server = Server::start(script);
    let mut exporter = exporter(server.url(), |builder| builder.with_max_request_size(1000));
    assert_eq!(send(&mut exporter, &numbered([100; 18])), "taken, 6 failed, 0 rejected, 3 retries");
    assert_eq!(server.finish().len(), 6);
}

#[test]
fn a_deadline_in_the_middle_costs_the_rest_once() {
    let server = Server::start([Step::ok(), Step::Hang]);
    let mut exporter = exporter(server.url(), |builder| builder.with_max_request_size(1000).with_timeout(EXPIRES));
    let report = export_all(&mut exporter, &numbered([100; 60]), Deadline::after(PATIENCE)).unwrap();
    assert_eq!(report.failed(), 54);
    assert_eq!(numbers([&*server.finish()[0].body]), (0..6).collect::<Vec<_>>());
}

/// Sends spans of a megabyte to a receiver that never responds, and measures the memory held by the request and its
/// source data.
#[test]
fn the_memory_of_an_export_is_bounded() {
    let spans = numbered([1_000_000; 48]);
    let server = Server::start([Step::Hang]);
    let mut exporter = exporter(server.url(), |builder| builder.with_timeout(EXPIRES));
    let counted = allocation_counter::measure(|| {
        assert_eq!(send(&mut exporter, &spans), "timeout, 0 retries");
    });
    assert!(counted.bytes_max < 13 << 20, "{counted:?}");
    assert!(counted.bytes_current < 100_000, "the buffers are freed: {counted:?}");
}

#[cfg(feature = "gzip")]
#[test]
fn the_limit_holds_before_compression_too() {
    use std::io::Read;
    use telemark_otlp::Compression;
    let server = Limited::start(usize::MAX, Refuses::Politely, b"");
    let mut exporter =
        exporter(server.url(), |builder| builder.with_max_request_size(1000).with_compression(Compression::Gzip));
    // Span 3 would fit after compression.
    let lengths = (0..20).map(|index| if index == 3 { 2000 } else { 100 });
    assert_eq!(send(&mut exporter, &numbered(lengths)), "taken, 1 failed, 0 rejected, 0 retries");
    let plain: Vec<Vec<u8>> = server
        .take()
        .taken
        .iter()
        .map(|body| {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            plain
        })
        .collect();
    assert!(plain.iter().all(|body| body.len() <= 1000));
    assert_eq!(arrived(&plain), (0..20).filter(|&index| index != 3).collect::<Vec<_>>());
}

#[cfg(feature = "gzip")]
#[test]
fn the_memory_of_a_compressed_export_is_bounded() {
    use telemark_otlp::Compression;
    // Text that gzip can hardly compress.
    let noise: &'static str =
        (0..500_000).map(|_| char::from(b'!' + (telemark_sdk::id::random() % 90) as u8)).collect::<String>().leak();
    let spans: SpanChunk = (0..60).map(|_| support::span(noise)).collect();
    let server = Server::start([Step::Hang]);
    let mut exporter =
        exporter(server.url(), |builder| builder.with_timeout(EXPIRES).with_compression(Compression::Gzip));
    let counted = allocation_counter::measure(|| {
        assert_eq!(send(&mut exporter, &spans), "timeout, 0 retries");
    });
    assert!(counted.bytes_max < 16 << 20, "{counted:?}");
    assert!(counted.bytes_current < 3 << 20, "{counted:?}");
}
