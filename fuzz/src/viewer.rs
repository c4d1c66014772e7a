//! Input of the viewer: OTLP requests (protobuf and JSON of each signal, compressed bodies, gRPC messages), and queries that a reader
//! types, or that a link contains.

use std::sync::{Arc, OnceLock};

use telemark_viewer::model::Metric;
use telemark_viewer::{Limits, Store, fuzzing};

/// Every request must be decoded or refused, and what is decoded must be saved as lines of JSON that open as the same telemetry.
///
/// The first byte selects the signal and the encoding, and the rest is the request.
pub(crate) fn otlp(input: &[u8]) {
    static STORE: OnceLock<Arc<Store>> = OnceLock::new();
    // A small store also evicts.
    let store = STORE.get_or_init(|| Store::new(Limits::default().with_bytes(1 << 20)));
    let Some((&first, request)) = input.split_first() else { return };
    // Letters are easier to read in the corpus.
    let (signal, encoding) = (first % 3, first / 3 % 4);
    match encoding {
        0 | 1 => {
            fuzzing::decode_request(signal, encoding == 1, request, store);
            let own = Store::new(Limits::default().with_bytes(8 << 20));
            if fuzzing::decode_request(signal, encoding == 1, request, &own) {
                saved_lines_open(&own);
            }
        }
        2 => {
            for name in ["gzip", "deflate", "identity"] {
                let len = fuzzing::decompress(name, request);
                assert!(len.is_none_or(|len| len <= 64 << 20), "a body of {len:?} bytes was accepted");
            }
        }
        _ => {
            fuzzing::grpc_message(request);
        }
    }
}

#[allow(clippy::panic, reason = "a fuzz target reports by panicking")]
fn saved_lines_open(store: &Store) {
    let mut lines = Vec::new();
    if let Err(error) = telemark_viewer::save(store, &mut lines) {
        panic!("writing to memory fails: {error}");
    }
    let again = Store::new(Limits::default().with_bytes(8 << 20));
    match telemark_viewer::read(&*lines, &again) {
        Ok(opened) => assert_eq!(opened.malformed, 0, "{}", String::from_utf8_lossy(&lines)),
        Err(error) => panic!("reading from memory fails: {error}"),
    }
    assert_eq!(lines_of(again.spans()), lines_of(store.spans()));
    assert_eq!(lines_of(again.records()), lines_of(store.records()));
    assert_eq!(points(&again), points(store));
}

/// Returns the items as sorted text, in which no number equals another kind of number, but NaN equals itself.
fn lines_of(items: impl IntoIterator<Item = impl std::fmt::Debug>) -> Vec<String> {
    let mut lines: Vec<_> = items.into_iter().map(|item| format!("{item:?}")).collect();
    lines.sort();
    lines
}

/// Returns each point of a store with its metric.
fn points(store: &Store) -> Vec<String> {
    let metrics = store.metrics();
    lines_of(metrics.iter().flat_map(|metric| {
        let about = Metric { points: Vec::new(), ..metric.clone() };
        metric.points.iter().map(move |point| (about.clone(), point))
    }))
}

/// Every text is parsed, or has an error that points to one of its characters. In quotes, every text stands for itself.
pub(crate) fn query(input: &[u8]) {
    telemark_viewer::fuzzing::query(&String::from_utf8_lossy(input));
}
