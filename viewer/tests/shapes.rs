//! Telemetry of all shapes reaches the store unchanged on every way: copied in the process, sent by the OTLP exporter in each
//! protocol, read from a file of our file exporter, and saved and opened again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use support::{check_equal, metrics, metrics_of, receiver, records, resource, spans, store};
use telemark_otlp::{Compression, JsonLinesExporter, OtlpExporter, Protocol};
use telemark_sdk::signal::{Logs, Metrics, Traces};
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, Exporter};
use telemark_viewer::{Store, ViewerExporter};

/// Exports everything with these exporters.
fn export(mut traces: impl Exporter<Traces>, mut logs: impl Exporter<Logs>, mut to_metrics: impl Exporter<Metrics>) {
    let (resource, deadline) = (resource(), Deadline::after(std::time::Duration::from_secs(60)));
    traces.export(Batch::new(&resource, &spans()), deadline).unwrap();
    logs.export(Batch::new(&resource, &records()), deadline).unwrap();
    to_metrics.export(Batch::new(&resource, &metrics()), deadline).unwrap();
}

/// Returns a store into which everything was copied in the process.
fn copied() -> Arc<Store> {
    let store = store();
    export(
        ViewerExporter::<Traces>::new(store.clone()),
        ViewerExporter::<Logs>::new(store.clone()),
        ViewerExporter::<Metrics>::new(store.clone()),
    );
    store
}

fn send(address: SocketAddr, protocol: Protocol, compression: Compression) {
    macro_rules! exporter {
        ($signal:ty) => {
            OtlpExporter::<$signal>::builder()
                .with_protocol(protocol)
                .with_compression(compression)
                .with_base_endpoint(format!("http://{address}"))
                .build()
                .unwrap()
        };
    }
    export(exporter!(Traces), exporter!(Logs), exporter!(Metrics));
}

#[test]
fn nothing_is_missing_from_the_copy() {
    let store = copied();
    assert_eq!(store.spans().len(), 6);
    assert_eq!(store.records().len(), 4);
    assert_eq!(metrics_of(&store).len(), 7);
    let span = store.spans().into_iter().find(|span| &*span.name == "span 3").unwrap();
    let expected = "Span { trace_id: TraceId(129127208515966861312), span_id: SpanId(3), parent: SpanId(2), name: \"span 3\", \
        kind: Client, start: 1767225603000000001, end: 1767225605000000001, status: Error(\"boom\"), trace_state: \"vendor=1\"";
    let shown = format!("{span:?}");
    assert!(shown.starts_with(expected), "{shown}");
    assert_eq!((span.attributes.len(), span.events.len(), span.links.len()), (9, 2, 2));
    assert_eq!((span.dropped.attributes, span.dropped.events, span.dropped.links), (3, 1, 1));
    assert_eq!(&*span.resource.service, "shop");
    assert_eq!((&*span.scope.name, &*span.scope.version), ("test", "1.2"));
}

#[test]
fn the_receiver_gets_what_is_copied_in_each_protocol() {
    let expected = copied();
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson] {
        for compression in [Compression::None, Compression::Gzip] {
            let (store, _receiver, address) = receiver();
            send(address, protocol, compression);
            check_equal(&store, &expected);
        }
    }
}

/// A writer into a shared vector.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_of_the_file_exporter_open() {
    let lines = Lines::default();
    export(
        JsonLinesExporter::<Traces>::to_writer(lines.clone()),
        JsonLinesExporter::<Logs>::to_writer(lines.clone()),
        JsonLinesExporter::<Metrics>::to_writer(lines.clone()),
    );
    let mut bytes = lines.0.lock().unwrap().clone();
    // The last line of a program that was killed, a blank line, a line of something else, and one of invalid UTF-8.
    bytes.extend_from_slice(b"\n{\"resourceSpans\":[{\"resou\n\n[1]\n\xff\xfe\n");
    // Two spans without ids.
    bytes.extend_from_slice(
        b"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"a\"},{\"name\":\"b\"}]}]}]}\n",
    );
    let store = store();
    let opened = telemark_viewer::read(&*bytes, &store).unwrap();
    assert_eq!((opened.lines, opened.malformed, opened.refused), (4, 3, 2));
    check_equal(&store, &copied());
}

#[test]
fn a_saved_store_opens_again() {
    let (first, second) = (copied(), store());
    let path = std::env::temp_dir().join(format!("telemark-viewer-{}.jsonl", std::process::id()));
    telemark_viewer::save(&first, &mut std::fs::File::create(&path).unwrap()).unwrap();
    let opened = telemark_viewer::open(&path, &second);
    std::fs::remove_file(&path).unwrap();
    let opened = opened.unwrap();
    assert_eq!((opened.malformed, opened.refused), (0, 0));
    check_equal(&first, &second);
}
