//! Spans, metrics and propagation of calls to a real server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod server;
#[path = "../../tower/tests/support/mod.rs"]
mod support;

use std::time::Duration;

use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, SpanId, TraceId};
use server::{Server, closing, refusing};
use support::{Spans, the_span, ticking};
use telemark_reqwest::{Client, ClientBuilder, ClientConfig, ClientMetrics, HttpClientInstrumentation};

on_every_provider!(
    a_call,
    the_parent_is_the_current_span,
    below_an_unsampled_parent,
    statuses,
    failures,
    a_request_that_cannot_be_built,
    cancelled,
    names_and_templates,
    body_sizes,
    a_disabled_client_does_nothing,
    a_client_within_a_client_is_one_span,
    excluded_urls_still_propagate,
    suppressed_telemetry,
    the_tower_service,
);

fn instrumentation<S: Spans>(spans: &S, config: ClientConfig) -> HttpClientInstrumentation {
    HttpClientInstrumentation::new(config, spans.tracer()).with_metrics(ClientMetrics::new(&spans.meter()))
}

fn builder<S: Spans>(spans: &S, config: ClientConfig) -> ClientBuilder {
    Client::builder().with_instrumentation(instrumentation(spans, config))
}

fn client<S: Spans>(spans: &S) -> Client {
    builder(spans, ClientConfig::new().with_clock(ticking())).build().unwrap()
}

async fn a_call<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let url = server.url("/users/7?sig=secret&a=b#top");
    let response = client(&spans).get(url).header("x-tenant", "a").send().await.unwrap();
    let span = the_span(&spans).await;
    let (port, version) = (server.address.port(), "1.1");
    assert_eq!(
        span.to_string(),
        format!(
            "GET | Client | Unset\n\
             \x20 http.request.method = \"GET\"\n\
             \x20 http.response.status_code = 200\n\
             \x20 network.peer.address = \"127.0.0.1\"\n\
             \x20 network.peer.port = {port}\n\
             \x20 network.protocol.version = \"{version}\"\n\
             \x20 server.address = \"127.0.0.1\"\n\
             \x20 server.port = {port}\n\
             \x20 url.full = \"http://127.0.0.1:{port}/users/7?sig=REDACTED&a=b#top\"\n"
        )
    );
    // The span has ended with the head, before the body is read.
    assert_eq!((response.text().await.unwrap(), span.duration), ("hello".to_owned(), Duration::from_millis(250)));
    assert_eq!(
        spans.metrics(),
        format!(
            "http.client.request.duration[s]{{http.request.method=GET,http.response.status_code=200,\
             network.protocol.version={version},server.address=127.0.0.1,server.port={port}}} \
             histogram count=1 sum=0.25 min=0.25 max=0.25 <=0.25:1\n"
        )
    );
    let [request] = &server.received()[..] else { panic!() };
    let context = &span.context;
    let expected = format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8());
    assert_eq!((request.header("traceparent"), request.header("x-tenant")), (&*expected, "a"));
    assert_eq!(request.path, "/users/7?sig=secret&a=b", "the server receives what was asked for");
}

fn parent(flags: TraceFlags) -> Context {
    let ids = (TraceId::from(7), SpanId::from(9));
    Context::new().with_remote_span_context(SpanContext::new(ids.0, ids.1, flags, true, TraceState::default()))
}

async fn the_parent_is_the_current_span<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    // As in reqwest, the request begins with the call, not with the first poll.
    let sending = {
        let _attached = parent(TraceFlags::SAMPLED).attach();
        client(&spans).get(server.url("/")).send()
    };
    sending.await.unwrap();
    let span = the_span(&spans).await;
    assert_eq!((span.context.trace_id(), &*span.parent), (TraceId::from(7), "0000000000000009"));
}

async fn below_an_unsampled_parent<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let sending = {
        let _attached = parent(TraceFlags::default()).attach();
        client(&spans).get(server.url("/")).send()
    };
    sending.await.unwrap();
    assert!(spans.finished().is_empty());
    assert!(spans.metrics().contains("count=1"), "unsampled calls are measured as well");
    let header = server.received()[0].header("traceparent").to_owned();
    assert!(header.starts_with("00-00000000000000000000000000000007-") && header.ends_with("-00"), "{header}");

    // A sampler that records nevertheless gets the remaining attributes.
    let log = support::SamplerLog::default();
    let spans = S::watched(&log);
    let sending = {
        let _attached = parent(TraceFlags::default()).attach();
        client(&spans).get(server.url("/")).send()
    };
    sending.await.unwrap();
    assert_eq!(log.text(), "GET: http.request.method server.address server.port");
    assert!(the_span(&spans).await.attributes.contains_key("url.full"));
}

async fn statuses<S: Spans>() {
    for (status, expected) in [
        (200, "GET Unset http.response.status_code=200"),
        (304, "GET Unset http.response.status_code=304"),
        (404, "GET Error { description: \"\" } http.response.status_code=404 error.type=\"404\""),
        (503, "GET Error { description: \"\" } http.response.status_code=503 error.type=\"503\""),
    ] {
        let (spans, server) = (S::new(), Server::start().await);
        let response = client(&spans).get(server.url(&format!("/status/{status}"))).send().await.unwrap();
        assert_eq!((response.status().as_u16(), the_span(&spans).await.end()), (status, expected.to_owned()));
        let has_error = spans.metrics().contains(&format!("error.type={status}"));
        assert_eq!(has_error, status >= 400);
    }
}

/// Returns the end of the only call, and `error.type` in its metric.
async fn end<S: Spans>(spans: &S) -> String {
    let metrics = spans.metrics();
    let in_metric = metrics.split("error.type=").nth(1).map_or("-", |rest| rest.split(',').next().unwrap());
    format!("{} | {in_metric}", the_span(spans).await.end())
}

async fn failures<S: Spans>() {
    let spans = S::new();
    let error = client(&spans).get(format!("http://{}/?sig=secret", refusing())).send().await.unwrap_err();
    assert!(error.is_connect());
    let expected = "GET Error { description: \"Connection refused (os error 111)\" } error.type=\"connection_refused\"";
    assert_eq!(end(&spans).await, format!("{expected} | connection_refused"));

    let spans = S::new();
    let error = client(&spans).get(format!("http://{}/", closing().await)).send().await.unwrap_err();
    assert!(error.is_request());
    let expected =
        "GET Error { description: \"Connection reset by peer (os error 104)\" } error.type=\"connection_reset\"";
    assert_eq!(end(&spans).await, format!("{expected} | connection_reset"));

    let (spans, server) = (S::new(), Server::start().await);
    let timeout = Duration::from_millis(50);
    let error = client(&spans).get(server.url("/stall")).timeout(timeout).send().await.unwrap_err();
    assert!(error.is_timeout());
    let expected = "GET Error { description: \"operation timed out\" } error.type=\"timeout\" | timeout";
    assert_eq!(end(&spans).await, expected);

    let spans = S::new();
    let resolver = std::sync::Arc::new(NoNames);
    let builder = builder(&spans, ClientConfig::new()).dns_resolver(resolver);
    let error = builder.build().unwrap().get("http://shop.example/").send().await.unwrap_err();
    assert!(error.is_dns());
    assert_eq!(end(&spans).await, "GET Error { description: \"no such name\" } error.type=\"dns\" | dns");

    let (spans, server) = (S::new(), Server::start().await);
    let broken = futures_util::stream::iter([Ok("a"), Err(std::io::Error::other("no more"))]);
    let body = telemark_reqwest::Body::wrap_stream(broken);
    client(&spans).post(server.url("/")).body(body).send().await.unwrap_err();
    let ended = end(&spans).await;
    assert!(
        ended.contains("error.type=\"body\" | body") || ended.contains("error.type=\"request\" | request"),
        "{ended}"
    );

    let spans = S::new();
    let url = "ftp://h/".parse().unwrap();
    client(&spans).execute(telemark_reqwest::Request::new(http::Method::GET, url)).await.unwrap_err();
    assert!(end(&spans).await.contains("error.type=\"builder\""));
}

struct NoNames;

impl telemark_reqwest::dns::Resolve for NoNames {
    fn resolve(&self, _name: telemark_reqwest::dns::Name) -> telemark_reqwest::dns::Resolving {
        Box::pin(async { Err("no such name".into()) })
    }
}

async fn a_request_that_cannot_be_built<S: Spans>() {
    let spans = S::new();
    let error = client(&spans).get("no url").send().await.unwrap_err();
    assert!(error.is_builder() && spans.finished().is_empty(), "there was no request");
}

async fn cancelled<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let sending = client(&spans).get(server.url("/stall")).send();
    let mut sending = Box::pin(sending);
    support::until("the request", || {
        let waker = std::task::Waker::noop();
        let polled = sending.as_mut().poll(&mut std::task::Context::from_waker(waker));
        assert!(polled.is_pending());
        (!server.received().is_empty()).then_some(())
    })
    .await;
    drop(sending);
    assert_eq!(end(&spans).await, "GET Unset telemark.outcome=\"cancelled\" | -");
    assert!(spans.metrics().contains("count=1"));

    // A call that was never polled is cancelled as well.
    let spans = S::new();
    drop(client(&spans).get(server.url("/")).send());
    assert_eq!(end(&spans).await, "GET Unset telemark.outcome=\"cancelled\" | -");
}

async fn names_and_templates<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new()
        .with_url_templates(["/users/{id}"])
        .with_server_service_name("127.0.0.1/users/*", "users")
        .with_opt_in_metric_attributes(["url.template", "url.scheme"]);
    let client = builder(&spans, config).build().unwrap();
    client.get(server.url("/users/7")).send().await.unwrap();
    client.get(server.url("/orders/7")).with_url_template("/orders/{order}").send().await.unwrap();
    client.get(server.url("/other")).send().await.unwrap();
    client.request(http::Method::from_bytes(b"PURGE").unwrap(), server.url("/users/8")).send().await.unwrap();
    let shown: Vec<_> =
        spans.finished().iter().map(|span| span.only(&["url.template", "server.service.name"])).collect();
    assert_eq!(
        shown,
        [
            "GET /users/{id} Unset url.template=\"/users/{id}\" server.service.name=\"users\"",
            "GET /orders/{order} Unset url.template=\"/orders/{order}\"",
            "GET Unset",
            "HTTP /users/{id} Unset url.template=\"/users/{id}\" server.service.name=\"users\"",
        ]
    );
    let metrics = spans.metrics();
    assert_eq!(metrics.matches("url.scheme=http").count(), 4);
    assert_eq!(metrics.matches("url.template=/users/{id}").count(), 2);
}

async fn body_sizes<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new().without_duration().with_body_sizes();
    let client = builder(&spans, config).build().unwrap();
    let check = |expected: &[&str]| {
        let metrics = spans.metrics();
        let shown: Vec<_> = metrics
            .lines()
            .map(|line| {
                let (name, rest) = line.split_once("[By]").unwrap();
                let error = rest.split("error.type=").nth(1).map_or("-", |rest| rest.split(',').next().unwrap());
                let values = rest.split(" histogram ").nth(1).unwrap().split(" min").next().unwrap();
                format!("{} {error} {values}", name.trim_start_matches("http.client."))
            })
            .collect();
        assert_eq!(shown, expected);
    };
    let response = client.post(server.url("/stream")).body("12345").send().await.unwrap();
    let url = response.url().clone();
    assert_eq!(url.as_str(), server.url("/stream"), "the URL of a response stays");
    assert_eq!(response.remote_addr(), Some(server.address));
    check(&["request.body.size - count=1 sum=5"]);
    assert_eq!(response.text().await.unwrap(), "abcdefghijkl");
    check(&["request.body.size - count=1 sum=5", "response.body.size - count=1 sum=12"]);

    // A body that is dropped early counts what was read.
    let mut response = client.post(server.url("/stall-in-body")).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "abcd");
    drop(response);
    check(&["request.body.size - count=2 sum=5", "response.body.size - count=2 sum=16"]);

    let response = client.post(server.url("/broken")).send().await.unwrap();
    assert_eq!(response.content_length(), Some(8));
    let error = response.bytes().await.unwrap_err();
    assert!(error.is_decode() || error.is_body());
    check(&[
        "request.body.size - count=3 sum=5",
        "response.body.size body count=1 sum=4",
        "response.body.size - count=2 sum=16",
    ]);

    // A timeout while the body is read is still a timeout for the caller.
    // Enough for the head of the response on a busy machine too.
    let timeout = Duration::from_secs(3);
    let response = client.post(server.url("/stall-in-body")).timeout(timeout).send().await.unwrap();
    assert!(response.bytes().await.unwrap_err().is_timeout());
    assert!(spans.metrics().contains("error.type=timeout"));
}

async fn a_disabled_client_does_nothing<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let _attached = parent(TraceFlags::SAMPLED).attach();
    let client = builder(&spans, ClientConfig::new().with_enabled(false)).build().unwrap();
    let sending = client.get(server.url("/")).send();
    drop(_attached);
    sending.await.unwrap();
    assert_eq!((spans.finished().len(), &*spans.metrics(), server.received()[0].header("traceparent")), (0, "", "-"));
}

async fn a_client_within_a_client_is_one_span<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let outer = instrumentation(&spans, ClientConfig::new());
    let inner = client(&spans);
    let request = http::Request::get(server.url("/")).body(()).unwrap();
    let mut call = outer.begin(telemark_http::ClientRequestHead::new(&request));
    let response = call.run(async { inner.get(server.url("/")).send().await }).await.unwrap();
    let http = http::Response::<telemark_reqwest::Body>::from(response);
    call.respond(telemark_http::ClientResponseHead::new(&http));
    the_span(&spans).await;
    assert!(spans.metrics().contains("count=1"));
    // Below another span within the call, a request is one of its own.
    let mut call = outer.begin(telemark_http::ClientRequestHead::new(&request));
    let handler = parent(TraceFlags::SAMPLED);
    let sending = call.run(async {
        let sending = {
            let _attached = handler.attach();
            inner.get(server.url("/")).send()
        };
        sending.await
    });
    sending.await.unwrap();
    drop(call);
    assert_eq!(spans.finished().len(), 3);
}

async fn excluded_urls_still_propagate<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let client = builder(&spans, ClientConfig::new().with_excluded_urls(["/health"])).build().unwrap();
    let sending = {
        let _attached = parent(TraceFlags::SAMPLED).attach();
        client.get(server.url("/health")).send()
    };
    sending.await.unwrap();
    assert!(spans.finished().is_empty() && spans.metrics().is_empty());
    let header = server.received()[0].header("traceparent").to_owned();
    assert_eq!(header, "00-00000000000000000000000000000007-0000000000000009-01");
}

async fn the_tower_service<S: Spans>() {
    use tower::ServiceExt;

    let (spans, server) = (S::new(), Server::start().await);
    let request = telemark_reqwest::Request::new(http::Method::GET, server.url("/").parse().unwrap());
    let response = client(&spans).oneshot(request).await.unwrap();
    assert_eq!((response.status().as_u16(), the_span(&spans).await.name), (200, "GET".to_owned()));
}

async fn suppressed_telemetry<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let sending = {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        client(&spans).get(server.url("/")).send()
    };
    assert_eq!(sending.await.unwrap().status(), 200);
    assert_eq!((spans.finished().len(), &*spans.metrics()), (0, ""));
    assert_eq!(server.received()[0].header("traceparent"), "-");
}
