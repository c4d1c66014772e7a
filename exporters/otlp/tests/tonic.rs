//! Exports to a tonic server with a small limit, which refuses large messages with a code that OTLP lists as retryable.
#![cfg(feature = "grpc")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use support::{PATIENCE, export_all, numbered, numbers, on_a_thread, outcome, quick_retries};
#[cfg(feature = "gzip")]
use telemark_otlp::Compression;
use telemark_otlp::{OtlpBuilder, OtlpExporter, Protocol};
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

/// The requests that have arrived.
#[derive(Clone, Debug, Default)]
struct Collector(Arc<Mutex<Vec<Vec<u8>>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner().encode_to_vec());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Serves on a thread until the process ends. `limit` is the maximum message size in bytes, by default 4 MiB.
    fn serve(&self, limit: Option<usize>) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut service = TraceServiceServer::new(self.clone()).accept_compressed(CompressionEncoding::Gzip);
        if let Some(limit) = limit {
            service = service.max_decoding_message_size(limit);
        }
        on_a_thread(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let service = TowerToHyperService::new(service.clone());
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
                }
            })
        });
        address
    }

    /// Returns the numbers of the spans that have arrived since the last call, and the number of requests.
    fn take(&self) -> (Vec<usize>, usize) {
        let requests = std::mem::take(&mut *self.0.lock().unwrap());
        (numbers(requests.iter().map(Vec::as_slice)), requests.len())
    }
}

fn exporter(
    address: SocketAddr,
    configure: impl FnOnce(OtlpBuilder<Traces>) -> OtlpBuilder<Traces>,
) -> OtlpExporter<Traces> {
    let builder = OtlpExporter::<Traces>::builder()
        .with_protocol(Protocol::Grpc)
        .with_endpoint(format!("http://{address}"))
        .with_retry(quick_retries());
    configure(builder).build().unwrap()
}

#[test]
fn a_batch_beyond_the_limit_of_a_server_arrives_in_parts() {
    let check = |configure: fn(OtlpBuilder<Traces>) -> OtlpBuilder<Traces>| {
        let collector = Collector::default();
        let mut exporter = exporter(collector.serve(Some(2000)), configure);
        // Span 50 does not fit into any request.
        let spans = numbered((0..100).map(|index| if index == 50 { 3000 } else { 100 }));
        let expected: Vec<_> = (0..100).filter(|&index| index != 50).collect();
        for _ in 0..2 {
            let result = export_all(&mut exporter, &spans, Deadline::after(PATIENCE));
            assert_eq!(outcome(&result), "taken, 1 failed, 0 rejected, 0 retries");
            assert_eq!(collector.take().0, expected);
        }
    };
    check(|builder| builder);
    #[cfg(feature = "gzip")]
    check(|builder| builder.with_compression(Compression::Gzip));
}

#[test]
fn a_server_as_it_is_by_default_takes_every_part_at_the_first_try() {
    let collector = Collector::default();
    let mut exporter = exporter(collector.serve(None), |builder| builder);
    let result = export_all(&mut exporter, &numbered([1_000_000; 9]), Deadline::after(PATIENCE));
    assert_eq!(outcome(&result), "taken, 0 rejected, 0 retries");
    assert_eq!(collector.take(), ((0..9).collect(), 3));
    // A request with a single span may have almost 4 MiB, but no more.
    for (len, expected) in [(4_194_000, "taken, 0 rejected, 0 retries"), (4_194_304, "too_large, 0 retries")] {
        let result = export_all(&mut exporter, &numbered([len]), Deadline::after(PATIENCE));
        assert_eq!(outcome(&result), expected, "{len}");
    }
}
