//! Real calls between tonic's client and server over HTTP/2, of all four kinds, with every kind of end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tower/tests/support/mod.rs"]
mod support;
#[path = "support/echo.rs"]
mod support_echo;

use std::time::Duration;

use futures_util::stream;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, context::FutureExt};
use support::{Seen, Spans, until};
use support_echo::{Echo, EchoClient, Running, drained};
use telemark_tonic::{GrpcClientLayer, GrpcClientService, GrpcConfig, GrpcServerLayer};
use tonic::transport::{Channel, Server};
use tonic::{Code, Request};
use tower::Layer;

on_every_provider!(
    all_four_kinds_of_calls,
    failed_calls_have_the_status_of_the_trailers,
    calls_that_the_client_gives_up,
    calls_whose_time_is_up,
    calls_that_never_arrive,
    methods_that_do_not_exist,
    a_handler_that_panics,
    a_layer_around_one_service,
    a_layer_within_a_layer,
    excluded_methods,
    metadata_that_is_asked_for,
    the_trace_goes_through,
    a_thousand_calls_at_once,
);

type Client<S> = EchoClient<GrpcClientService<Channel, <S as Spans>::Tracer>>;

/// A server and a client whose spans and metrics go to the same provider.
struct Pair<S: Spans> {
    spans: S,
    server: Running,
    client: Client<S>,
}

impl<S: Spans> Pair<S> {
    async fn new() -> Self {
        Pair::with(|config| config, |config| config).await
    }

    async fn with(
        of_server: impl FnOnce(GrpcConfig) -> GrpcConfig,
        of_client: impl FnOnce(GrpcConfig) -> GrpcConfig,
    ) -> Self {
        let spans = S::new();
        let layer = GrpcServerLayer::new().with_tracer(spans.tracer()).with_meter(&spans.meter()).map_config(of_server);
        let server = running!(Server::builder().layer(layer).add_service(Echo));
        let client = client(&spans, &server.target(), of_client);
        Pair { spans, server, client }
    }

    /// Returns the ends of the finished calls, sorted, once there are this many.
    async fn ends(&self, number: usize) -> String {
        self.finished(number).await.iter().map(end).collect::<Vec<_>>().join("\n")
    }

    async fn finished(&self, number: usize) -> Vec<Seen> {
        let mut finished = until("spans", || Some(self.spans.finished()).filter(|spans| spans.len() >= number)).await;
        assert_eq!(finished.len(), number, "{finished:?}");
        finished.sort_by_key(end);
        finished
    }
}

fn client<S: Spans>(spans: &S, target: &str, change: impl FnOnce(GrpcConfig) -> GrpcConfig) -> Client<S> {
    let layer = GrpcClientLayer::new(target).with_tracer(spans.tracer()).with_meter(&spans.meter()).map_config(change);
    let channel = Channel::from_shared(target.to_owned()).unwrap().connect_lazy();
    EchoClient::new(layer.layer(channel))
}

fn end(span: &Seen) -> String {
    format!("{}: {}", span.kind, span.only(&["rpc.status_code", "error.type", "telemark.outcome"]))
}

/// Returns the series and their counts, without the addresses.
fn counts(metrics: &str) -> String {
    let lines = metrics.lines().map(|line| {
        let (series, values) = line.split_once("} ").unwrap();
        let series = series.split(",server.address").next().unwrap();
        let count = values.split("count=").nth(1).unwrap().split(' ').next().unwrap();
        format!("{series}}} {count}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

async fn all_four_kinds_of_calls<S: Spans>() {
    let mut pair = Pair::<S>::new().await;
    assert_eq!(pair.client.unary("hello").await.unwrap(), "hello");
    let (texts, status) = drained(pair.client.server_stream("a\nb\nc").await.unwrap()).await;
    assert_eq!((texts.join(" "), status.is_ok()), ("a b c".to_owned(), true));
    assert_eq!(pair.client.client_stream(&["a", "b"]).await.unwrap(), "a b");
    let texts = stream::iter(["x".to_owned(), "y".to_owned()]);
    let (texts, status) = drained(pair.client.bidi(texts).await.unwrap()).await;
    assert_eq!((texts.join(" "), status.is_ok()), ("x y".to_owned(), true));

    assert_eq!(
        pair.ends(8).await,
        "Client: test.Echo/Bidi Unset rpc.status_code=\"OK\"\n\
         Client: test.Echo/ClientStream Unset rpc.status_code=\"OK\"\n\
         Client: test.Echo/ServerStream Unset rpc.status_code=\"OK\"\n\
         Client: test.Echo/Unary Unset rpc.status_code=\"OK\"\n\
         Server: test.Echo/Bidi Unset rpc.status_code=\"OK\"\n\
         Server: test.Echo/ClientStream Unset rpc.status_code=\"OK\"\n\
         Server: test.Echo/ServerStream Unset rpc.status_code=\"OK\"\n\
         Server: test.Echo/Unary Unset rpc.status_code=\"OK\""
    );
    let metrics = pair.spans.metrics();
    for side in ["client", "server"] {
        for method in ["Bidi", "ClientStream", "ServerStream", "Unary"] {
            let series = format!(
                "rpc.{side}.call.duration[s]{{rpc.method=test.Echo/{method},rpc.status_code=OK,rpc.system.name=grpc}} 1"
            );
            assert!(counts(&metrics).contains(&series), "{metrics}");
        }
    }
}

async fn failed_calls_have_the_status_of_the_trailers<S: Spans>() {
    let mut pair = Pair::<S>::new().await;
    assert_eq!(pair.client.unary("fail 5 no such cup").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(pair.client.unary("fail 13 broken").await.unwrap_err().code(), Code::Internal);
    // After messages: not in the headers, which other layers take for success.
    let (texts, status) = drained(pair.client.server_stream("a\nfail 14 gone away\nb").await.unwrap()).await;
    assert_eq!((texts.len(), status.unwrap_err().code()), (1, Code::Unavailable));
    let failing = stream::iter(["a".to_owned(), "fail 9 not now".to_owned()]);
    let (texts, status) = drained(pair.client.bidi(failing).await.unwrap()).await;
    assert_eq!((texts.len(), status.unwrap_err().code()), (1, Code::FailedPrecondition));
    let refused = pair.client.client_stream(&["a", "fail 16 who are you?"]).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);

    let error = |description: &str| format!("Error {{ description: {description:?} }}");
    let client = |method: &str, description: &str, code: &str| {
        format!("Client: test.Echo/{method} {} rpc.status_code={code:?} error.type={code:?}\n", error(description))
    };
    let server = |method: &str, description: &str, code: &str| {
        format!("Server: test.Echo/{method} {} rpc.status_code={code:?} error.type={code:?}\n", error(description))
    };
    let unset = |method: &str, code: &str| format!("Server: test.Echo/{method} Unset rpc.status_code={code:?}\n");
    assert_eq!(
        pair.ends(10).await + "\n",
        client("Bidi", "not now", "FAILED_PRECONDITION")
            + &client("ClientStream", "who are you?", "UNAUTHENTICATED")
            + &client("ServerStream", "gone away", "UNAVAILABLE")
            + &client("Unary", "broken", "INTERNAL")
            + &client("Unary", "no such cup", "NOT_FOUND")
            + &unset("Bidi", "FAILED_PRECONDITION")
            + &unset("ClientStream", "UNAUTHENTICATED")
            + &server("ServerStream", "gone away", "UNAVAILABLE")
            + &server("Unary", "broken", "INTERNAL")
            + &unset("Unary", "NOT_FOUND")
    );
    let counts = counts(&pair.spans.metrics());
    let name = "rpc.client.call.duration[s]";
    let failed = "{error.type=NOT_FOUND,rpc.method=test.Echo/Unary,rpc.status_code=NOT_FOUND,rpc.system.name=grpc} 1";
    assert!(counts.contains(&format!("{name}{failed}")), "{counts}");
    let not_the_servers_fault = "rpc.server.call.duration[s]{rpc.method=test.Echo/Unary,rpc.status_code=NOT_FOUND";
    assert!(counts.contains(not_the_servers_fault), "{counts}");
}

async fn calls_that_the_client_gives_up<S: Spans>() {
    let mut pair = Pair::<S>::new().await;
    // Before the response.
    {
        let mut call = Box::pin(pair.client.unary("hang"));
        let started = pair.spans.metrics();
        assert_eq!(started, "");
        for _ in 0..200 {
            tokio::select! {
                biased;
                _ = &mut call => panic!("it hangs"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    // Within the response.
    let mut messages = pair.client.server_stream("a\nhang").await.unwrap();
    assert_eq!(messages.message().await.unwrap().as_deref(), Some("a"));
    drop(messages);

    let finished = until("the client's spans", || {
        Some(pair.spans.finished()).filter(|spans| spans.iter().filter(|span| span.kind == "Client").count() == 2)
    })
    .await;
    let clients: Vec<_> = finished.iter().filter(|span| span.kind == "Client").map(end).collect();
    let cancelled = "Error { description: \"\" } rpc.status_code=\"CANCELLED\" error.type=\"CANCELLED\" telemark.outcome=\"cancelled\"";
    assert_eq!(
        clients,
        [format!("Client: test.Echo/Unary {cancelled}"), format!("Client: test.Echo/ServerStream {cancelled}")]
    );
    // The server learns of it, and it is not the server's fault.
    let of_server = |spans: Vec<Seen>| spans.into_iter().filter(|span| span.kind == "Server").collect::<Vec<_>>();
    let is_cancelled = |span: &Seen| {
        end(span) == "Server: test.Echo/ServerStream Unset rpc.status_code=\"CANCELLED\" telemark.outcome=\"cancelled\""
    };
    until("the server's span", || of_server(pair.spans.finished()).iter().any(is_cancelled).then_some(())).await;
}

async fn calls_whose_time_is_up<S: Spans>() {
    let mut pair = Pair::<S>::new().await;
    // The call arrives before its time is up, on a busy machine too.
    let status = pair.client.within(Duration::from_secs(1), "hang").await.unwrap_err();
    // What tonic says; the protocol's word is the other one.
    assert_eq!(status.code(), Code::Cancelled);
    let finished = pair.finished(2).await;
    let up = "rpc.status_code=\"DEADLINE_EXCEEDED\" error.type=\"DEADLINE_EXCEEDED\"";
    assert!(end(&finished[0]).starts_with("Client: test.Echo/Unary Error"), "{finished:?}");
    assert!(end(&finished[0]).ends_with(up), "{finished:?}");
    // The client cancels at the same time, and the server has received the call later. `semconv.rs` has the server's view.
    let server = end(&finished[1]);
    assert!(server.ends_with(up) || server.ends_with("telemark.outcome=\"cancelled\""), "{finished:?}");
    // A call that is in time is not late.
    assert!(pair.client.within(Duration::from_secs(60), "hello").await.is_ok());
    assert!(pair.finished(4).await.iter().any(|span| end(span).ends_with("\"OK\"")));
}

async fn calls_that_never_arrive<S: Spans>() {
    let spans = S::new();
    // Nothing listens there.
    let port = 1;
    let mut client = client(&spans, &format!("http://127.0.0.1:{port}"), |config| config);
    let status = client.unary("hello").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let span = support::the_span(&spans).await;
    assert_eq!(
        span.only(&["rpc.status_code", "error.type", "server.address", "server.port"]),
        format!(
            "test.Echo/Unary Error {{ description: {:?} }} rpc.status_code=\"UNAVAILABLE\" error.type=\"UNAVAILABLE\" \
             server.address=\"127.0.0.1\" server.port={port}",
            status.message()
        )
    );
}

async fn methods_that_do_not_exist<S: Spans>() {
    let mut pair = Pair::<S>::new().await;
    for method in ["/test.Echo/Nope", "/test.Echo/Nope", "/other.Service/Nope"] {
        let status = pair.client.call(method, Request::new(String::new())).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
    // The application may not implement a method that exists.
    assert_eq!(pair.client.unary("fail 12 later").await.unwrap_err().code(), Code::Unimplemented);
    let finished = pair.finished(8).await;
    let servers = finished.iter().filter(|span| span.kind == "Server");
    let shown: Vec<_> =
        servers.map(|span| span.only(&["rpc.method", "rpc.method_original", "rpc.status_code"])).collect();
    let unknown = |original| {
        format!(
            "grpc Error {{ description: \"\" }} rpc.method=\"_OTHER\" rpc.method_original={original:?} \
             rpc.status_code=\"UNIMPLEMENTED\""
        )
    };
    let known = "test.Echo/Unary Error { description: \"later\" } rpc.method=\"test.Echo/Unary\" rpc.status_code=\"UNIMPLEMENTED\"";
    let mut expected =
        [unknown("test.Echo/Nope"), unknown("test.Echo/Nope"), unknown("other.Service/Nope"), known.to_owned()];
    let mut shown = shown;
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);
    let counts = counts(&pair.spans.metrics());
    let series = "rpc.server.call.duration[s]{error.type=UNIMPLEMENTED,rpc.method=_OTHER,rpc.status_code=UNIMPLEMENTED,rpc.system.name=grpc} 3";
    assert!(counts.contains(series), "{counts}");
    assert!(
        counts.contains("rpc.client.call.duration[s]{error.type=UNIMPLEMENTED,rpc.method=test.Echo/Nope"),
        "{counts}"
    );

    // With a list, the server knows only what is listed.
    let mut pair = Pair::<S>::with(|config| config.with_known_methods(["test.Echo/Bidi"]), |config| config).await;
    pair.client.unary("hello").await.unwrap();
    let finished = pair.finished(2).await;
    let shown = finished[1].only(&["rpc.method", "rpc.method_original"]);
    assert_eq!(shown, "grpc Unset rpc.method=\"_OTHER\" rpc.method_original=\"test.Echo/Unary\"");
}

async fn a_handler_that_panics<S: Spans>() {
    let mut pair = Pair::<S>::new().await;
    pair.client.unary("panic").await.unwrap_err();
    let finished = pair.finished(2).await;
    assert_eq!(
        end(&finished[1]),
        "Server: test.Echo/Unary Error { description: \"the handler panicked\" } rpc.status_code=\"UNKNOWN\" error.type=\"panic\""
    );
    assert!(end(&finished[0]).starts_with("Client: test.Echo/Unary Error"), "{finished:?}");
}

async fn a_layer_around_one_service<S: Spans>() {
    let spans = S::new();
    let layer = GrpcServerLayer::new().with_tracer(spans.tracer()).with_meter(&spans.meter());
    let server = running!(Server::builder().add_service(layer.layer(Echo)));
    let mut plain = EchoClient::new(Channel::from_shared(server.target()).unwrap().connect_lazy());
    plain.unary("hello").await.unwrap();
    plain.call("/other.Service/Nope", Request::new(String::new())).await.unwrap_err();
    let span = support::the_span(&spans).await;
    assert_eq!(end(&span), "Server: test.Echo/Unary Unset rpc.status_code=\"OK\"");
}

async fn a_layer_within_a_layer<S: Spans>() {
    let spans = S::new();
    let of_server = || GrpcServerLayer::new().with_tracer(spans.tracer()).with_meter(&spans.meter());
    let server = running!(Server::builder().layer(of_server()).add_service(of_server().layer(Echo)));
    let target = server.target();
    let of_client = || GrpcClientLayer::new(&target).with_tracer(spans.tracer()).with_meter(&spans.meter());
    let channel = Channel::from_shared(target.clone()).unwrap().connect_lazy();
    let mut client = EchoClient::new(of_client().layer(of_client().layer(channel)));
    client.unary("hello").await.unwrap();
    client.unary("hello").await.unwrap();
    let finished = until("spans", || Some(spans.finished()).filter(|spans| spans.len() >= 4)).await;
    assert_eq!(finished.len(), 4, "{finished:?}");
    let counts = counts(&spans.metrics());
    assert!(counts.lines().count() == 2 && counts.lines().all(|line| line.ends_with(" 2")), "{counts}");
}

async fn excluded_methods<S: Spans>() {
    let exclude = |config: GrpcConfig| config.with_excluded_methods(["test.Echo/Un*"]);
    let mut pair = Pair::<S>::with(exclude, exclude).await;
    pair.client.unary("hello").await.unwrap();
    pair.client.client_stream(&["a"]).await.unwrap();
    assert!(pair.finished(2).await.iter().all(|span| span.name == "test.Echo/ClientStream"));
    assert_eq!(counts(&pair.spans.metrics()).lines().count(), 2);
    // The caller's trace continues in the server's span, although the call has none of its own.
    let mut pair = Pair::<S>::with(|config| config, exclude).await;
    let tracer = pair.spans.tracer();
    let caller = tracer.start("caller");
    let caller = Context::new().with_span(caller);
    pair.client.unary("hello").with_context(caller.clone()).await.unwrap();
    caller.span().end();
    let finished = pair.finished(2).await;
    let served = finished.iter().find(|span| span.kind == "Server").unwrap();
    assert_eq!(served.parent, caller.span().span_context().span_id().to_string());
    let disable = |config: GrpcConfig| config.with_enabled(false);
    let mut pair = Pair::<S>::with(disable, disable).await;
    pair.client.unary("hello").await.unwrap();
    assert_eq!((pair.spans.finished().len(), pair.spans.metrics()), (0, String::new()));
}

async fn metadata_that_is_asked_for<S: Spans>() {
    let ask = |config: GrpcConfig| {
        config
            .with_captured_request_headers(["x-ask", "x-ask-bin"])
            .with_captured_response_headers(["X-Reply", "x-absent"])
            .with_captured_response_trailers(["grpc-message"])
    };
    let mut pair = Pair::<S>::with(ask, ask).await;
    let mut request = Request::new("hello".to_owned());
    request.metadata_mut().insert("x-ask", "a".parse().unwrap());
    request.metadata_mut().append("x-ask", "b".parse().unwrap());
    request.metadata_mut().insert_bin("x-ask-bin", tonic::metadata::MetadataValue::from_bytes(&[0, 1, 2]));
    request.metadata_mut().insert("x-secret", "s3cret".parse().unwrap());
    pair.client.call("/test.Echo/Unary", request).await.unwrap();
    pair.client.unary("fail 5 gone").await.unwrap_err();
    let finished = pair.finished(4).await;
    for span in finished.iter().filter(|span| span.status == "Unset" && end(span).contains("OK")) {
        let keys = ["rpc.request.header.x-ask", "rpc.request.header.x-ask-bin", "rpc.response.header.x-reply"];
        let [ask, binary, reply] = keys.map(|key| span.attributes[key].as_str());
        assert_eq!((ask, binary, reply), ("[\"a\",\"b\"]", "[\"AAEC\"]", "[\"from the server\"]"));
    }
    let failed: Vec<_> = finished.iter().filter(|span| end(span).contains("NOT_FOUND")).collect();
    assert!(
        failed.iter().all(|span| span.attributes["rpc.response.trailer.grpc-message"] == "[\"gone\"]"),
        "{failed:?}"
    );
    assert_eq!(failed.len(), 2);
    assert!(!format!("{finished:?}").contains("s3cret"));
}

async fn the_trace_goes_through<S: Spans>() {
    let mut pair = Pair::<S>::new().await;
    let root = pair.spans.tracer().start("root");
    let context = Context::new().with_span(root);
    let root = context.span().span_context().clone();
    pair.client.unary("hello").with_context(context.clone()).await.unwrap();
    drop(context);
    let finished = pair.finished(3).await;
    let [client, root_span, server] = &finished[..] else { panic!("{finished:?}") };
    assert!(finished.iter().all(|span| span.context.trace_id() == root.trace_id()), "{finished:?}");
    assert_eq!(root_span.name, "root");
    assert_eq!(client.parent, root.span_id().to_string());
    assert_eq!(server.parent, client.context.span_id().to_string());
    let port = pair.server.address.port();
    let peer = &server.attributes["network.peer.port"];
    assert_eq!(
        server.only(&["network.peer.address", "server.address", "server.port"]),
        format!(
            "test.Echo/Unary Unset network.peer.address=\"127.0.0.1\" server.address=\"127.0.0.1\" server.port={port}"
        )
    );
    assert_ne!(*peer, port.to_string(), "the client's port");
    assert!(client.duration >= server.duration);
}

async fn a_thousand_calls_at_once<S: Spans>() {
    let pair = Pair::<S>::new().await;
    let calls = (0..1000).map(|number| {
        let mut client = EchoClient(pair.client.0.clone());
        async move {
            match number % 5 {
                0 => client.unary("hello").await.is_ok(),
                1 => client.unary("fail 14 gone").await.is_err(),
                2 => drained(client.server_stream("a\nb").await.unwrap()).await.1.is_ok(),
                3 => drained(client.server_stream("a\nfail 13 broken").await.unwrap()).await.1.is_err(),
                _ => drained(client.bidi(stream::iter(["a".to_owned()])).await.unwrap()).await.1.is_ok(),
            }
        }
    });
    assert!(futures_util::future::join_all(calls).await.into_iter().all(|is_right| is_right));
    let finished = pair.finished(2000).await;
    let with = |text: &str| finished.iter().filter(|span| end(span).contains(text)).count();
    assert_eq!([with("\"OK\""), with("UNAVAILABLE"), with("INTERNAL")], [1200, 400, 400]);
    let metrics = counts(&pair.spans.metrics());
    let total: usize = metrics.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!((total, metrics.lines().count()), (2000, 10), "{metrics}");
}
