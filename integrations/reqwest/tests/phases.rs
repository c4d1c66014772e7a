//! The phases of new connections, as events of the request that waits for them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod server;
#[path = "../../tower/tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use server::{Server, refusing};
use support::{Seen, Spans, the_span, until};
use telemark_reqwest::dns::{Addrs, Name, Resolve, Resolving};
use telemark_reqwest::{Client, ClientBuilder, ClientConfig, HttpClientInstrumentation};
use tokio::sync::Semaphore;

on_every_provider!(
    a_new_connection_has_phases,
    nothing_is_recorded_by_default,
    each_redirect_may_connect,
    a_name_that_is_not_resolved,
    a_server_that_refuses,
    a_phase_that_is_cut_off,
    a_connection_that_the_request_does_not_use,
    a_resolver_below_the_builder_stays,
    a_builder_of_reqwest_is_observed,
);

fn builder<S: Spans>(spans: &S) -> ClientBuilder {
    let config = ClientConfig::new().with_connection_phases();
    Client::builder().with_instrumentation(HttpClientInstrumentation::new(config, spans.tracer()))
}

/// Returns the events without their durations, which must be there.
fn phases(span: &Seen) -> Vec<String> {
    let phase = |event: &String| {
        let Some((before, after)) = event.split_once("telemark.phase.duration=") else {
            return event.split('{').next().unwrap().to_owned();
        };
        let end = after.find([',', '}']).unwrap();
        assert!(after[..end].parse::<f64>().unwrap() >= 0.0, "{event}");
        format!("{before}{}", &after[end..]).replace(",}", "}").replace("{,", "{")
    };
    span.events.iter().map(phase).collect()
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A resolver that waits for a permit before it finds the server, and counts its calls and its results.
struct Resolver {
    address: SocketAddr,
    permits: Semaphore,
    calls: AtomicUsize,
    found: AtomicUsize,
}

impl Resolver {
    fn new(address: SocketAddr, permits: usize) -> Arc<Self> {
        Arc::new(Resolver {
            address,
            permits: Semaphore::new(permits),
            calls: AtomicUsize::new(0),
            found: AtomicUsize::new(0),
        })
    }
}

/// The resolver as reqwest takes it.
struct Shared(Arc<Resolver>);

impl Resolve for Shared {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = Arc::clone(&self.0);
        resolver.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if name.as_str().starts_with("unknown") {
                return Err("no such name".into());
            }
            resolver.permits.acquire().await?.forget();
            resolver.found.fetch_add(1, Ordering::SeqCst);
            Ok::<Addrs, BoxError>(Box::new(std::iter::once(resolver.address)))
        })
    }
}

async fn a_new_connection_has_phases<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let client = builder(&spans).build().unwrap();
    for _ in 0..2 {
        client.get(server.other_url("/")).send().await.unwrap().bytes().await.unwrap();
    }
    client.get(server.url("/")).send().await.unwrap();
    let found: Vec<_> = spans.finished().iter().map(phases).collect();
    // The second request uses the connection of the first, and an address has no name to resolve.
    assert_eq!(found, [vec!["telemark.dns{}", "telemark.connect{}"], vec![], vec!["telemark.connect{}"]]);
}

async fn nothing_is_recorded_by_default<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let instrumentation = HttpClientInstrumentation::new(ClientConfig::new(), spans.tracer());
    let client = Client::builder().with_instrumentation(instrumentation).build().unwrap();
    client.get(server.other_url("/")).send().await.unwrap();
    assert_eq!(the_span(&spans).await.events, [""; 0]);
}

async fn each_redirect_may_connect<S: Spans>() {
    let (spans, first, second) = (S::new(), Server::start().await, Server::start().await);
    let client = builder(&spans).build().unwrap();
    client.get(first.url(&format!("/redirect/302?{}", second.url("/")))).send().await.unwrap();
    let expected = ["telemark.connect{}", "telemark.redirect", "telemark.connect{}"];
    assert_eq!(phases(&the_span(&spans).await), expected);
}

async fn a_name_that_is_not_resolved<S: Spans>() {
    let spans = S::new();
    let resolver = Resolver::new(refusing(), 1);
    let client = builder(&spans).dns_resolver(Arc::new(Shared(resolver))).build().unwrap();
    let error = client.get("http://unknown.example/").send().await.unwrap_err();
    assert!(error.is_dns(), "{error:?}");
    let span = the_span(&spans).await;
    // The failure belongs to one phase.
    assert_eq!(phases(&span), ["telemark.dns{error.type=dns}"]);
    assert_eq!(span.attributes["error.type"], "\"dns\"");
}

async fn a_server_that_refuses<S: Spans>() {
    let spans = S::new();
    let client = builder(&spans).build().unwrap();
    client.get(format!("http://{}/", refusing())).send().await.unwrap_err();
    assert_eq!(phases(&the_span(&spans).await), ["telemark.connect{error.type=connection_refused}"]);
}

async fn a_phase_that_is_cut_off<S: Spans>() {
    let expected = ["telemark.dns{telemark.outcome=cancelled}"];
    // The resolver is asked before it has passed, on a busy machine too.
    let short = Duration::from_secs(1);
    for timeout in
        [ClientBuilder::timeout as fn(ClientBuilder, Duration) -> ClientBuilder, ClientBuilder::connect_timeout]
    {
        let spans = S::new();
        let resolver = Resolver::new(refusing(), 0);
        let client = timeout(builder(&spans).dns_resolver(Arc::new(Shared(resolver))), short).build().unwrap();
        assert!(client.get("http://shop.example/").send().await.unwrap_err().is_timeout());
        let span = the_span(&spans).await;
        assert_eq!(
            (phases(&span), &*span.attributes["error.type"]),
            (expected.map(str::to_owned).to_vec(), "\"timeout\"")
        );
    }
    // The caller gives up.
    let spans = S::new();
    let resolver = Resolver::new(refusing(), 0);
    let client = builder(&spans).dns_resolver(Arc::new(Shared(Arc::clone(&resolver)))).build().unwrap();
    let mut sending = Box::pin(client.get("http://shop.example/").send());
    until("the resolver", || {
        let waker = std::task::Waker::noop();
        assert!(sending.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        (resolver.calls.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    drop(sending);
    assert_eq!(phases(&the_span(&spans).await), expected);
}

async fn a_connection_that_the_request_does_not_use<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let resolver = Resolver::new(server.address, 1);
    let client = builder(&spans).dns_resolver(Arc::new(Shared(Arc::clone(&resolver)))).build().unwrap();
    let url = |path| format!("http://shop.example:{}{path}", server.address.port());
    let first = client.get(url("/stream")).send().await.unwrap();
    // The second request begins to connect, and then the connection of the first becomes available.
    let mut second = Box::pin(client.get(url("/stall")).send());
    let mut poll = || {
        let waker = std::task::Waker::noop();
        assert!(second.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    };
    until("the resolver", || {
        poll();
        (resolver.calls.load(Ordering::SeqCst) == 2).then_some(())
    })
    .await;
    first.bytes().await.unwrap();
    until("the second request", || {
        poll();
        (server.received().len() == 2).then_some(())
    })
    .await;
    // The new connection is established in the background, while the request still waits for its response.
    resolver.permits.add_permits(1);
    until("the address", || (resolver.found.load(Ordering::SeqCst) == 2).then_some(())).await;
    drop(second);
    let found: Vec<_> = spans.finished().iter().map(phases).collect();
    assert_eq!(found, [vec!["telemark.dns{}", "telemark.connect{}"], vec![]]);
}

async fn a_resolver_below_the_builder_stays<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let resolver = Resolver::new(server.address, 1);
    let below = Arc::clone(&resolver);
    let builder = builder(&spans).map_inner(|inner| inner.dns_resolver(Arc::new(Shared(below))));
    builder.build().unwrap().get("http://shop.example/").send().await.unwrap();
    assert_eq!(phases(&the_span(&spans).await), ["telemark.connect{}"]);
    assert_eq!(resolver.calls.load(Ordering::SeqCst), 1);
}

async fn a_builder_of_reqwest_is_observed<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new().with_connection_phases();
    let instrumentation = HttpClientInstrumentation::new(config, spans.tracer());
    let builder = ClientBuilder::from(reqwest::ClientBuilder::new()).with_instrumentation(instrumentation);
    builder.build().unwrap().get(server.other_url("/")).send().await.unwrap();
    assert_eq!(phases(&the_span(&spans).await), ["telemark.connect{}"]);
}
