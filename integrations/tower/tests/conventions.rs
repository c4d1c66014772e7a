//! The name, status and attributes of server spans, as exact text.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{Empty, Full};
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use support::{SamplerLog, Seen, Spans, the_span};
use telemark_tower::{
    DefaultPolicy, HttpPolicy, HttpServerLayer, LocalAddr, PeerAddr, RequestHead, ResponseHead, Route, ServerConfig,
};
use tower::{Layer, Service, ServiceExt, service_fn};

on_every_provider!(
    a_plain_request,
    methods,
    routes,
    statuses,
    targets,
    addresses,
    forwarding_headers,
    captured_headers,
    hostile_headers,
    each_cut_attribute_is_named_once,
    opt_in_attributes,
    excluded_paths,
    parents,
    unsampled_parents,
    attributes_that_a_sampler_sees,
    trace_response,
    policies,
    panicking_policies,
);

type Body = Full<Bytes>;

/// Serves one request with an empty response; returns the response and the spans that have ended.
async fn serve<S: Spans, P: HttpPolicy + Clone>(
    spans: &S,
    config: ServerConfig,
    policy: P,
    request: Request<Empty<Bytes>>,
    response: Response<Body>,
) -> Response<()> {
    let layer = HttpServerLayer::new().with_config(config).with_policy(policy).with_tracer(spans.tracer());
    let service = layer.layer(service_fn(move |_request: Request<Empty<Bytes>>| {
        let response = response.clone();
        async move { Ok::<_, Infallible>(response) }
    }));
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    http_body_util::BodyExt::collect(body).await.unwrap();
    Response::from_parts(head, ())
}

async fn seen<S: Spans>(config: ServerConfig, request: http::request::Builder) -> Seen {
    let spans = S::new();
    serve(&spans, config, DefaultPolicy, request.body(Empty::new()).unwrap(), ok()).await;
    the_span(&spans).await
}

fn ok() -> Response<Body> {
    Response::new(Full::from("hello"))
}

fn peer() -> PeerAddr {
    PeerAddr(SocketAddr::from(([192, 0, 2, 7], 5151)))
}

async fn a_plain_request<S: Spans>() {
    let request = Request::get("/users/7?color=blue")
        .version(Version::HTTP_11)
        .header("host", "shop.example:8080")
        .header("user-agent", "curl/8.9.1")
        .extension(peer())
        .extension(Route("/users/{id}".into()));
    let expected = "\
GET /users/{id} | Server | Unset
  client.address = \"192.0.2.7\"
  http.request.method = \"GET\"
  http.response.status_code = 200
  http.route = \"/users/{id}\"
  network.peer.address = \"192.0.2.7\"
  network.peer.port = 5151
  network.protocol.version = \"1.1\"
  server.address = \"shop.example\"
  server.port = 8080
  url.path = \"/users/7\"
  url.query = \"color=blue\"
  url.scheme = \"http\"
  user_agent.original = \"curl/8.9.1\"
";
    assert_eq!(seen::<S>(ServerConfig::new(), request).await.to_string(), expected);

    let bare = "\
GET | Server | Unset
  http.request.method = \"GET\"
  http.response.status_code = 200
  network.protocol.version = \"1.1\"
  url.path = \"/\"
  url.scheme = \"http\"
";
    assert_eq!(seen::<S>(ServerConfig::new(), Request::get("/")).await.to_string(), bare);
}

async fn methods<S: Spans>() {
    async fn check<S: Spans>(config: ServerConfig, method: &str, expected: &str) {
        let request = Request::builder().method(method).uri("/x").extension(Route("/x".into()));
        let seen = seen::<S>(config, request).await;
        assert_eq!(seen.only(&["http.request.method", "http.request.method_original"]), expected);
    }
    let new = ServerConfig::new;
    check::<S>(new(), "POST", "POST /x Unset http.request.method=\"POST\"").await;
    check::<S>(new(), "QUERY", "QUERY /x Unset http.request.method=\"QUERY\"").await;
    let other = "HTTP /x Unset http.request.method=\"_OTHER\" http.request.method_original=";
    check::<S>(new(), "PURGE", &format!("{other}\"PURGE\"")).await;
    check::<S>(new(), "get", &format!("{other}\"get\"")).await;
    let own = || new().with_known_methods(["PURGE"]);
    check::<S>(own(), "PURGE", "PURGE /x Unset http.request.method=\"PURGE\"").await;
    check::<S>(own(), "GET", &format!("{other}\"GET\"")).await;
}

async fn routes<S: Spans>() {
    async fn check<S: Spans>(request: http::request::Builder, response: Response<Body>, expected: &str) {
        check_with::<S>(ServerConfig::new(), request, response, expected).await;
    }
    async fn check_with<S: Spans>(
        config: ServerConfig,
        request: http::request::Builder,
        response: Response<Body>,
        expected: &str,
    ) {
        let spans = S::new();
        serve(&spans, config, DefaultPolicy, request.body(Empty::new()).unwrap(), response).await;
        assert_eq!(the_span(&spans).await.only(&["http.route"]), expected);
    }
    let route = |route: &'static str| Route(Cow::Borrowed(route));
    let mut late = ok();
    late.extensions_mut().insert(route("/late/{x}"));
    check::<S>(Request::get("/a"), ok(), "GET Unset").await;
    check::<S>(Request::get("/a").extension(route("/{a}")), ok(), "GET /{a} Unset http.route=\"/{a}\"").await;
    check::<S>(Request::get("/a"), late.clone(), "GET /late/{x} Unset http.route=\"/late/{x}\"").await;
    check::<S>(Request::get("/a").extension(route("/{a}")), late.clone(), "GET /{a} Unset http.route=\"/{a}\"").await;
    // Templates and guesses apply only to requests without another route, also if that is known late.
    let template = ServerConfig::new().with_route_templates(["/late/{x}", "/{other}"]);
    let guess = ServerConfig::new().with_guessed_routes();
    for (config, early) in [(template, "/{other}"), (guess, "/{id}")] {
        let expected = format!("GET {early} Unset http.route=\"{early}\"");
        check_with::<S>(config.clone(), Request::get("/7"), ok(), &expected).await;
        for path in ["/7", "/late/7"] {
            let expected = "GET /late/{x} Unset http.route=\"/late/{x}\"";
            check_with::<S>(config.clone(), Request::get(path), late.clone(), expected).await;
        }
        let spans = S::new();
        let layer = HttpServerLayer::new().with_config(config.clone()).with_tracer(spans.tracer());
        let mut never = layer
            .layer(service_fn(|_request: Request<()>| std::future::pending::<Result<Response<Body>, Infallible>>()));
        drop(never.call(Request::get("/7").body(()).unwrap()));
        assert_eq!(the_span(&spans).await.only(&["http.route"]), expected, "without a response");
        let named = Request::get("/7").header("x-op", "buy").body(Empty::new()).unwrap();
        let spans = S::new();
        serve(&spans, config, Own, named, late.clone()).await;
        let expected = "op buy Unset http.route=\"/late/{x}\"";
        assert_eq!(the_span(&spans).await.only(&["http.route"]), expected);
    }
}

async fn statuses<S: Spans>() {
    async fn check<S: Spans>(status: u16, expected: &str) {
        let spans = S::new();
        let mut response = ok();
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        serve(&spans, ServerConfig::new(), DefaultPolicy, Request::new(Empty::new()), response).await;
        assert_eq!(the_span(&spans).await.end(), expected);
    }
    for status in [101, 200, 204, 301, 304, 400, 404, 499] {
        check::<S>(status, &format!("GET Unset http.response.status_code={status}")).await;
    }
    for status in [500, 503, 511, 599] {
        let error = "GET Error { description: \"\" }";
        check::<S>(status, &format!("{error} http.response.status_code={status} error.type=\"{status}\"")).await;
    }
}

async fn targets<S: Spans>() {
    async fn check<S: Spans>(config: ServerConfig, target: &str, expected: &str) {
        let request = Request::get(target).header("host", "from.header");
        let seen = seen::<S>(config, request).await;
        let keys = ["url.scheme", "server.address", "server.port", "url.path", "url.query"];
        assert_eq!(seen.only(&keys).replace("GET Unset ", ""), expected);
    }
    let new = ServerConfig::new;
    let header = "url.scheme=\"http\" server.address=\"from.header\"";
    check::<S>(new(), "/a%20b", &format!("{header} url.path=\"/a%20b\"")).await;
    check::<S>(new(), "/?", &format!("{header} url.path=\"/\"")).await;
    check::<S>(new(), "*", &format!("{header} url.path=\"*\"")).await;
    check::<S>(
        new(),
        "https://user:secret@a.example:8443/p?q=1",
        "url.scheme=\"https\" server.address=\"a.example\" server.port=8443 url.path=\"/p\" url.query=\"q=1\"",
    )
    .await;
    check::<S>(
        new(),
        "/p?sig=1&X-Amz-Credential=2&color=blue",
        &format!("{header} url.path=\"/p\" url.query=\"sig=REDACTED&X-Amz-Credential=REDACTED&color=blue\""),
    )
    .await;
    check::<S>(
        new().with_sensitive_query_parameters(["color"]),
        "/p?sig=1&color=blue",
        &format!("{header} url.path=\"/p\" url.query=\"sig=1&color=REDACTED\""),
    )
    .await;
}

async fn addresses<S: Spans>() {
    async fn check<S: Spans>(request: http::request::Builder, expected: &str) {
        let seen = seen::<S>(ServerConfig::new(), request).await;
        let keys = ["server.address", "server.port", "client.address", "network.peer.address", "network.peer.port"];
        assert_eq!(seen.only(&keys), format!("GET Unset{expected}"));
    }
    check::<S>(
        Request::get("/").header("host", "[::1]:80").extension("[::ffff:192.0.2.9]:6".parse::<SocketAddr>().unwrap()),
        " server.address=\"::1\" server.port=80 client.address=\"192.0.2.9\" \
         network.peer.address=\"192.0.2.9\" network.peer.port=6",
    )
    .await;
    let longest = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535".parse::<SocketAddr>().unwrap();
    check::<S>(
        Request::get("/").extension(PeerAddr(longest)),
        " client.address=\"1111:2222:3333:4444:5555:6666:7777:8888\" \
         network.peer.address=\"1111:2222:3333:4444:5555:6666:7777:8888\" network.peer.port=65535",
    )
    .await;
    check::<S>(Request::get("/").header("host", "<script>"), "").await;
}

async fn forwarding_headers<S: Spans>() {
    async fn check<S: Spans>(config: ServerConfig, headers: &[(&str, &str)], expected: &str) {
        let mut request = Request::get("/").header("host", "inner:3000").extension(peer());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let keys =
            ["url.scheme", "server.address", "server.port", "client.address", "client.port", "network.peer.address"];
        let config = config.with_opt_in_attributes(["client.port"]);
        assert_eq!(seen::<S>(config, request).await.only(&keys).replace("GET Unset ", ""), expected);
    }
    let standard = [("forwarded", "for=\"[2001:db8::1]:44\";proto=https;host=shop.example, for=10.0.0.1")];
    let older = [
        ("x-forwarded-for", "203.0.113.5, 10.0.0.1"),
        ("x-forwarded-host", "shop.example:443"),
        ("x-forwarded-proto", "https"),
    ];
    let ignored = "url.scheme=\"http\" server.address=\"inner\" server.port=3000 client.address=\"192.0.2.7\" \
                   client.port=5151 network.peer.address=\"192.0.2.7\"";
    check::<S>(ServerConfig::new(), &standard, ignored).await;
    check::<S>(ServerConfig::new(), &older, ignored).await;
    let trusting = || ServerConfig::new().with_forwarded_headers();
    check::<S>(trusting(), &[("x-forwarded-for", "nonsense")], ignored).await;
    check::<S>(
        trusting(),
        &standard,
        "url.scheme=\"https\" server.address=\"shop.example\" client.address=\"2001:db8::1\" client.port=44 \
         network.peer.address=\"192.0.2.7\"",
    )
    .await;
    check::<S>(
        trusting(),
        &older,
        "url.scheme=\"https\" server.address=\"shop.example\" server.port=443 client.address=\"203.0.113.5\" \
         network.peer.address=\"192.0.2.7\"",
    )
    .await;
}

async fn captured_headers<S: Spans>() {
    let config = ServerConfig::new()
        .with_captured_request_headers(["X-Tenant", "accept", "absent"])
        .with_captured_response_headers(["ETag"]);
    let spans = S::new();
    let request = Request::get("/")
        .header("x-tenant", "a")
        .header("accept", "text/html")
        .header("accept", "text/plain, */*")
        .header("authorization", "secret");
    let mut response = ok();
    response.headers_mut().insert("etag", HeaderValue::from_static("\"1\""));
    response.headers_mut().insert("set-cookie", HeaderValue::from_static("secret"));
    serve(&spans, config, DefaultPolicy, request.body(Empty::new()).unwrap(), response).await;
    let seen = the_span(&spans).await;
    let mut headers = seen.attributes.clone();
    headers.retain(|key, _| key.contains("header"));
    assert_eq!(
        format!("{headers:?}").replace('\\', ""),
        r#"{"http.request.header.accept": "["text/html","text/plain, */*"]", "http.request.header.x-tenant": "["a"]", "http.response.header.etag": "[""1""]"}"#
    );
    assert!(!seen.to_string().contains("secret"));
}

async fn hostile_headers<S: Spans>() {
    let long = "é€".repeat(16 * 1024);
    let mut request = Request::get("/")
        .header("user-agent", HeaderValue::from_str(&long).unwrap())
        .header("host", HeaderValue::from_bytes(b"\xff\xfe").unwrap())
        .header("x-odd", HeaderValue::from_bytes(b"a\xffb").unwrap())
        .header("traceparent", HeaderValue::from_bytes(b"\xff").unwrap())
        .header("forwarded", HeaderValue::from_str(&";=\",".repeat(16 * 1024)).unwrap());
    for i in 0..1000 {
        request = request.header("x-many", i).header("tracestate", format!("k{i}=v"));
    }
    let config = ServerConfig::new().with_captured_request_headers(["x-many", "x-odd"]).with_forwarded_headers();
    let seen = seen::<S>(config, request).await;
    let length = |key| seen.attributes.get(key).map_or(0, String::len);
    assert!((4000..=4200).contains(&length("user_agent.original")), "{}", length("user_agent.original"));
    assert_eq!(seen.attributes["telemark.truncated"], "[\"user_agent.original\",\"http.request.header.x-many\"]");
    let many = &seen.attributes["http.request.header.x-many"];
    assert!(many.starts_with("[\"0\",\"1\"") && many.ends_with("\"63\"]"), "{many}");
    assert_eq!(
        seen.only(&["http.request.header.x-odd", "server.address"]),
        "GET Unset http.request.header.x-odd=[\"a\u{fffd}b\"]"
    );
}

async fn each_cut_attribute_is_named_once<S: Spans>() {
    let long = "x".repeat(5000);
    for flags in ["01", "00"] {
        let log = SamplerLog::default();
        let spans = S::watched(&log);
        let request = Request::builder()
            .method(&*long)
            .uri(format!("/{long}?{long}"))
            .header("host", &long)
            .header("user-agent", &long)
            .header("x-a", &long)
            .header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"));
        let mut response = ok();
        response.headers_mut().insert("x-b", HeaderValue::from_str(&long).unwrap());
        let config = ServerConfig::new().with_captured_request_headers(["x-a"]).with_captured_response_headers(["x-b"]);
        serve(&spans, config, DefaultPolicy, request.body(Empty::new()).unwrap(), response).await;
        let seen = the_span(&spans).await;
        let named = "[\"url.path\",\"http.request.method_original\",\"url.query\",\"user_agent.original\",\
                     \"server.address\",\"http.request.header.x-a\",\"http.response.header.x-b\"]";
        assert_eq!(seen.attributes["telemark.truncated"], named);
        let longest = seen.attributes.values().map(String::len).max().unwrap();
        assert!(longest <= 4096 + "[\"\"]".len(), "{longest}");
    }
}

async fn opt_in_attributes<S: Spans>() {
    async fn check<S: Spans>(names: &[&str], expected: &str) {
        let spans = S::new();
        let local = LocalAddr("[::ffff:192.0.2.1]:443".parse().unwrap());
        let request = Request::post("/").header("content-length", "12").extension(peer()).extension(local);
        let config = ServerConfig::new().with_opt_in_attributes(names);
        assert!(config.problems().is_empty());
        serve(&spans, config, DefaultPolicy, request.body(Empty::new()).unwrap(), ok()).await;
        let keys = [
            "client.port",
            "network.local.address",
            "network.local.port",
            "http.request.body.size",
            "http.response.body.size",
        ];
        assert_eq!(the_span(&spans).await.only(&keys), format!("POST Unset{expected}"));
    }
    check::<S>(&[], "").await;
    check::<S>(&["client.port"], " client.port=5151").await;
    check::<S>(&["network.local.address"], " network.local.address=\"192.0.2.1\"").await;
    check::<S>(&["network.local.port"], " network.local.port=443").await;
    check::<S>(
        &["http.response.body.size", "http.request.body.size"],
        " http.request.body.size=12 http.response.body.size=5",
    )
    .await;

    // An invalid length is ignored, and without a peer there is no port.
    let spans = S::new();
    let request = Request::post("/").header("content-length", "+12").body(Empty::new()).unwrap();
    let config = ServerConfig::new().with_opt_in_attributes(["http.request.body.size", "client.port"]);
    serve(&spans, config, DefaultPolicy, request, ok()).await;
    assert_eq!(the_span(&spans).await.only(&["http.request.body.size", "client.port"]), "POST Unset");
}

async fn excluded_paths<S: Spans>() {
    let spans = S::new();
    let config = ServerConfig::new().with_excluded_paths(["/health", "/internal/*"]).with_trace_response();
    for path in ["/health", "/internal/a", "/internal/?x", "/healthy", "/internal"] {
        let request = Request::get(path).body(Empty::new()).unwrap();
        let response = serve(&spans, config.clone(), DefaultPolicy, request, ok()).await;
        assert_eq!(response.status(), 200);
    }
    let paths: Vec<_> = spans.finished().iter().map(|span| span.attributes["url.path"].clone()).collect();
    assert_eq!(paths, ["\"/healthy\"", "\"/internal\""]);
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Serves a request with this `traceparent`, and returns the span context that the handler and its child see.
async fn handled_below<S: Spans>(spans: &S, traceparent: Option<&str>) -> Context {
    let tracer = spans.tracer();
    let layer = HttpServerLayer::new().with_tracer(spans.tracer());
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let service = layer.layer(service_fn(move |_request: Request<Empty<Bytes>>| {
        let (sender, tracer) = (sender.clone(), tracer.clone());
        async move {
            tokio::task::yield_now().await; // the second poll is in the context as well
            tracer.in_span("child", |_| ());
            sender.send(Context::current()).unwrap();
            Ok::<_, Infallible>(ok())
        }
    }));
    let mut request = Request::get("/");
    if let Some(value) = traceparent {
        request = request.header("traceparent", value);
    }
    drop(service.oneshot(request.body(Empty::new()).unwrap()).await.unwrap());
    assert!(!Context::current().span().span_context().is_valid(), "the context stays inside");
    receiver.recv().await.unwrap()
}

async fn parents<S: Spans>() {
    let spans = S::new();
    let seen_inside = handled_below(&spans, Some(&format!("00-{TRACE}-{PARENT}-01"))).await;
    let finished = spans.finished();
    let [child, server] = &finished[..] else { panic!("{finished:?}") };
    assert_eq!((server.parent.as_str(), server.context.trace_id().to_string().as_str()), (PARENT, TRACE));
    assert_eq!(seen_inside.span().span_context(), &server.context);
    assert_eq!((child.name.as_str(), child.parent.clone()), ("child", server.context.span_id().to_string()));

    for broken in [None, Some(""), Some("00-0-0-01"), Some("hello")] {
        let spans = S::new();
        handled_below(&spans, broken).await;
        assert_eq!(spans.finished()[1].parent, "0000000000000000", "{broken:?}");
    }
}

async fn unsampled_parents<S: Spans>() {
    let spans = S::new();
    let inside = handled_below(&spans, Some(&format!("00-{TRACE}-{PARENT}-00"))).await;
    let span = inside.span();
    let context = span.span_context();
    assert_eq!((context.trace_id().to_string().as_str(), context.is_sampled()), (TRACE, false));
    assert_ne!(context.span_id().to_string(), PARENT, "an unsampled span has an id of its own");
    assert!(!context.is_remote());
    assert!(spans.finished().is_empty());
}

async fn attributes_that_a_sampler_sees<S: Spans>() {
    async fn check<S: Spans>(flags: &str, expected: &str) {
        let log = SamplerLog::default();
        let spans = S::watched(&log);
        let request = Request::builder()
            .method("PURGE")
            .uri("/users/7?a=b")
            .version(Version::HTTP_11)
            .header("host", "shop.example:8080")
            .header("user-agent", "curl/8.9.1")
            .header("x-tenant", "a")
            .header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"))
            .extension(peer())
            .extension(Route("/users/{id}".into()));
        let config = ServerConfig::new().with_captured_request_headers(["x-tenant"]);
        serve(&spans, config, DefaultPolicy, request.body(Empty::new()).unwrap(), ok()).await;
        assert_eq!(log.text(), expected);
        // The span also has the attributes hidden from the sampler.
        let keys: Vec<_> = the_span(&spans).await.attributes.into_keys().collect();
        let all = "client.address http.request.header.x-tenant http.request.method \
                   http.request.method_original http.response.status_code http.route network.peer.address \
                   network.peer.port network.protocol.version server.address server.port url.path url.query url.scheme \
                   user_agent.original";
        assert_eq!(keys.join(" "), all);
    }
    check::<S>(
        "01",
        "HTTP /users/{id}: client.address http.request.header.x-tenant http.request.method \
         http.request.method_original http.route network.peer.address network.peer.port network.protocol.version \
         server.address server.port url.path url.query url.scheme user_agent.original",
    )
    .await;
    check::<S>("00", "HTTP /users/{id}: http.request.method http.route url.path url.scheme").await;
}

async fn trace_response<S: Spans>() {
    async fn check<S: Spans>(config: ServerConfig, flags: &str, expected: impl Fn(&S) -> Option<String>) {
        let spans = S::new();
        let request = Request::get("/").header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"));
        let response = serve(&spans, config, DefaultPolicy, request.body(Empty::new()).unwrap(), ok()).await;
        let header = response.headers().get("traceresponse").map(|value| value.to_str().unwrap().to_owned());
        match expected(&spans) {
            Some(start) => assert!(header.as_ref().is_some_and(|header| header.starts_with(&start)), "{header:?}"),
            None => assert_eq!(header, None),
        }
        assert!(header.is_none_or(|header| header.len() == 55 && header.ends_with(&format!("-{flags}"))));
    }
    check::<S>(ServerConfig::new(), "01", |_| None).await;
    let on = || ServerConfig::new().with_trace_response();
    check::<S>(on(), "01", |spans| Some(format!("00-{TRACE}-{}-", spans.finished()[0].context.span_id()))).await;
    check::<S>(on(), "00", |_| Some(format!("00-{TRACE}-"))).await;
}

#[derive(Clone)]
struct Own;

impl HttpPolicy for Own {
    fn span_name(&self, request: &RequestHead<'_>) -> Option<Cow<'static, str>> {
        request.headers.get("x-op").map(|op| Cow::Owned(format!("op {}", op.to_str().unwrap())))
    }
    fn scheme(&self, _request: &RequestHead<'_>) -> &'static str {
        "https"
    }
    fn is_excluded(&self, request: &RequestHead<'_>) -> bool {
        request.headers.contains_key("x-skip")
    }
    fn is_error(&self, status: StatusCode) -> bool {
        status == 404
    }
    fn request_attributes(&self, _request: &RequestHead<'_>, attributes: &mut Vec<KeyValue>) {
        attributes.push(KeyValue::new("own.request", true));
    }
    fn response_attributes(&self, response: &ResponseHead<'_>, attributes: &mut Vec<KeyValue>) {
        attributes.push(KeyValue::new("own.response", i64::from(response.status.as_u16()) * 2));
    }
}

async fn policies<S: Spans>() {
    async fn check<S: Spans>(header: &str, status: u16, expected: &str) {
        let spans = S::new();
        let request = Request::get("/").header(header, "buy").body(Empty::new()).unwrap();
        let mut response = ok();
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.extensions_mut().insert(Route("/late".into()));
        serve(&spans, ServerConfig::new(), Own, request, response).await;
        let keys = ["url.scheme", "http.route", "own.request", "own.response", "error.type"];
        let seen: Vec<String> = spans.finished().iter().map(|span| span.only(&keys)).collect();
        assert_eq!(seen.concat(), expected);
    }
    check::<S>("x-skip", 200, "").await;
    check::<S>(
        "x",
        500,
        "GET /late Unset url.scheme=\"https\" http.route=\"/late\" own.request=true own.response=1000",
    )
    .await;
    let named = "op buy Error { description: \"\" } url.scheme=\"https\" http.route=\"/late\" own.request=true";
    check::<S>("x-op", 404, &format!("{named} own.response=808 error.type=\"404\"")).await;
}

#[derive(Clone)]
struct Broken;

impl HttpPolicy for Broken {
    fn is_excluded(&self, request: &RequestHead<'_>) -> bool {
        assert!(!request.headers.contains_key("x-early"), "on purpose");
        false
    }
    fn response_attributes(&self, _response: &ResponseHead<'_>, _attributes: &mut Vec<KeyValue>) {
        panic!("on purpose")
    }
}

async fn panicking_policies<S: Spans>() {
    let spans = S::new();
    let early = Request::get("/").header("x-early", "1").body(Empty::new()).unwrap();
    assert_eq!(serve(&spans, ServerConfig::new(), Broken, early, ok()).await.status(), 200);
    assert!(spans.finished().is_empty());
    let late = Request::get("/").body(Empty::new()).unwrap();
    let config = ServerConfig::new().with_guessed_routes();
    assert_eq!(serve(&spans, config, Broken, late, ok()).await.status(), 200);
    let keys = ["http.response.status_code", "http.route"];
    assert_eq!(the_span(&spans).await.only(&keys), "GET / Unset http.response.status_code=200 http.route=\"/\"");
}
