//! Many clients disconnect at random moments from a real hyper server, and each request is counted exactly once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use support::{Spans, Telemark, Upstream, until};
use telemark_tower::{HttpServerLayer, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::{Layer, ServiceBuilder, service_fn};

const CLIENTS: usize = 200;
/// The requests sent in sequence on each connection, until its client disconnects.
const REQUESTS: [&str; 5] = ["/full", "/stream", "/error", "/slow", "/endless"];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_go_away_upstream() {
    clients_that_go_away::<Upstream>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_go_away_telemark() {
    clients_that_go_away::<Telemark>().await;
}

async fn clients_that_go_away<S: Spans>() {
    let spans = S::new();
    let config = ServerConfig::new().with_active_requests().with_body_sizes();
    let layer = HttpServerLayer::new().with_config(config).with_tracer(spans.tracer()).with_meter(&spans.meter());
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    let service = ServiceBuilder::new()
        .map_request(move |request| {
            counted.fetch_add(1, Ordering::Relaxed);
            request
        })
        .service(layer.layer(service_fn(handle)));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(async move { go_away(TcpStream::connect(address).await.unwrap(), number).await });
    }
    let mut connections = JoinSet::new();
    for _ in 0..CLIENTS {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(service.clone());
        connections.spawn(async move {
            let _closed =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
    clients.join_all().await;
    until("the connections to close", || {
        while connections.try_join_next().is_some() {}
        connections.is_empty().then_some(())
    })
    .await;

    let begun = begun.load(Ordering::Relaxed);
    assert!(begun > CLIENTS, "{begun} requests");
    let metrics = spans.metrics();
    let total = |name: &str| -> usize {
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        lines
            .map(|line| line.split_once(" count=").unwrap().1.split(' ').next().unwrap().parse::<usize>().unwrap())
            .sum()
    };
    assert_eq!(total("http.server.request.duration"), begun, "{metrics}");
    assert_eq!(total("http.server.response.body.size"), begun, "{metrics}");
    assert_eq!(total("http.server.request.body.size"), begun, "{metrics}");
    let active: Vec<_> = metrics.lines().filter(|line| line.starts_with("http.server.active_requests")).collect();
    assert!(active.len() == 1 && active[0].ends_with(" up-down sum 0"), "{active:?}");
    let finished = spans.finished();
    assert_eq!(finished.len(), begun);
    let cancelled = finished.iter().filter(|span| span.attributes.contains_key("telemark.outcome")).count();
    assert!(cancelled > 0 && cancelled < begun, "{cancelled} of {begun}");
}

async fn handle(request: Request<Incoming>) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let chunk = || Ok(Frame::data(Bytes::from_static(&[b'x'; 1000])));
    Ok(match request.uri().path() {
        "/full" => Response::new(Full::from("hello").boxed_unsync()),
        "/stream" => {
            let chunks = stream::iter(0..20).then(move |_| async move {
                tokio::task::yield_now().await;
                chunk()
            });
            Response::new(StreamBody::new(chunks).boxed_unsync())
        }
        "/error" => {
            let mut response = Response::new(Full::from("broken").boxed_unsync());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
        "/slow" => {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            Response::new(Full::from("slow").boxed_unsync())
        }
        _ => Response::new(StreamBody::new(stream::repeat_with(chunk)).boxed_unsync()),
    })
}

/// Sends requests, reads responses, and closes the connection after a random number of bytes.
async fn go_away(mut stream: TcpStream, number: usize) {
    // A multiplicative hash is random enough and gives the same results in every run.
    let mut chance = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut below = |limit: u64| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance % limit
    };
    let asked: String = REQUESTS
        .iter()
        .cycle()
        .skip(number)
        .take(5)
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .collect();
    let cut = if below(4) == 0 { below(asked.len() as u64) as usize } else { asked.len() };
    if stream.write_all(&asked.as_bytes()[..cut]).await.is_err() || below(5) == 0 || cut < asked.len() {
        return;
    }
    let mut left = below(40_000) as usize;
    let mut buffer = [0; 512];
    while left > 0 {
        match stream.read(&mut buffer[..left.min(512)]).await {
            Ok(0) | Err(_) => return,
            Ok(read) => left -= read,
        }
    }
}
