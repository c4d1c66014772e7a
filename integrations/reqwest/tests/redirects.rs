//! Redirects: events of the span, and the trace context that arrives at other hosts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod server;
#[path = "../../tower/tests/support/mod.rs"]
mod support;

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use server::Server;
use support::{Spans, the_span};
use telemark_reqwest::dns::{Name, Resolve, Resolving};
use telemark_reqwest::redirect::Policy;
use telemark_reqwest::{
    Client, ClientBuilder, ClientConfig, ClientPolicy, ClientRequestHead, HttpClientInstrumentation,
};

on_every_provider!(
    a_redirect_is_an_event_of_the_span,
    a_loop_is_an_error,
    policies_decide_as_before,
    a_foreign_client_has_no_events,
    hosts_off_the_list_receive_no_trace_context,
    a_context_set_by_hand_is_withheld_too,
    a_redirect_off_the_list_follows_the_rules_of_reqwest,
    a_custom_policy_sends_the_trace_context_along,
    default_credentials_stay_with_their_host,
    replaced_settings_apply_to_redirects,
    the_limit_counts_redirects_off_the_list,
    referers_are_those_of_reqwest,
    a_disabled_client_changes_no_redirect,
    requests_inside_of_a_call_are_not_withheld,
    a_policy_that_panics_does_not_widen_the_list,
    a_redirect_that_https_only_refuses,
);

fn builder<S: Spans>(spans: &S, config: ClientConfig) -> ClientBuilder {
    Client::builder().with_instrumentation(HttpClientInstrumentation::new(config, spans.tracer()))
}

fn redirect(status: u16, server: &Server, to: &str) -> String {
    server.url(&format!("/redirect/{status}?{to}"))
}

async fn a_redirect_is_an_event_of_the_span<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let client = builder(&spans, ClientConfig::new()).build().unwrap();
    let to = server.url("/status/404?a=1&sig=secret");
    let url = redirect(302, &server, &to);
    let response = client.get(&url).send().await.unwrap();
    assert_eq!(response.url().as_str(), to);
    let span = the_span(&spans).await;
    assert_eq!(span.attributes["url.full"], format!("{url:?}").replace("secret", "REDACTED"), "what was asked for");
    assert_eq!(span.attributes["http.response.status_code"], "404", "the last status");
    let event = format!(
        "telemark.redirect{{http.response.status_code=302,url.full={}}}",
        server.url("/status/404?a=1&sig=REDACTED")
    );
    assert_eq!(span.events, [event]);
    let [first, second] = &server.received()[..] else { panic!() };
    assert_eq!(first.header("traceparent"), second.header("traceparent"));
    assert!(first.header("traceparent").contains(&span.context.span_id().to_string()));
}

async fn a_loop_is_an_error<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let client = builder(&spans, ClientConfig::new()).redirect(Policy::limited(3)).build().unwrap();
    // The server redirects to whatever the query names, so the target carries its own target.
    let url = (0..5).fold(server.url("/"), |to, _| redirect(307, &server, &to));
    let error = client.get(&url).send().await.unwrap_err();
    assert!(error.is_redirect());
    let span = the_span(&spans).await;
    let expected = "GET Error { description: \"too many redirects\" } error.type=\"redirect\"";
    assert_eq!((&*span.end(), span.events.len(), server.received().len()), (expected, 3, 4));
}

struct Unprintable;

impl std::fmt::Debug for Unprintable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("a policy's error is not this crate's to format")
    }
}

impl std::fmt::Display for Unprintable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Follow")
    }
}

impl std::error::Error for Unprintable {}

async fn policies_decide_as_before<S: Spans>() {
    let custom =
        || Policy::custom(|attempt| if attempt.url().path() == "/stop" { attempt.stop() } else { attempt.follow() });
    let refuse = || Policy::custom(|attempt| attempt.error("refused"));
    // These errors look like a decision to follow, and one of them must not be formatted.
    let misleading = || Policy::custom(|attempt| attempt.error("Follow-ups are not allowed"));
    let unprintable = || Policy::custom(|attempt| attempt.error(Unprintable));
    type Case = (fn() -> Policy, &'static str, &'static str);
    let cases: [Case; 8] = [
        (Policy::none, "/next", "302 0"),
        (Policy::default, "/next", "200 1"),
        (|| Policy::limited(0), "/next", "too many redirects 0"),
        (custom, "/next", "200 1"),
        (custom, "/stop", "302 0"),
        (refuse, "/next", "refused 0"),
        (misleading, "/next", "Follow-ups are not allowed 0"),
        (unprintable, "/next", "Follow 0"),
    ];
    for (policy, path, expected) in cases {
        let (spans, server) = (S::new(), Server::start().await);
        let client = builder(&spans, ClientConfig::new()).redirect(policy()).build().unwrap();
        let result = client.get(redirect(302, &server, &server.url(path))).send().await;
        let plain = reqwest::Client::builder().redirect(policy()).build().unwrap();
        let plain = plain.get(redirect(302, &server, &server.url(path))).send().await;
        let shown = |result: Result<reqwest::Response, reqwest::Error>| match result {
            Ok(response) => response.status().as_u16().to_string(),
            Err(error) => std::error::Error::source(&error).unwrap().to_string(),
        };
        let (shown, plain) = (shown(result), shown(plain));
        let events = the_span(&spans).await.events.len();
        assert_eq!((format!("{shown} {events}"), shown), (expected.to_owned(), plain));
    }
}

async fn a_foreign_client_has_no_events<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let instrumentation = HttpClientInstrumentation::new(ClientConfig::new(), spans.tracer());
    let client = Client::from(reqwest::Client::new()).with_instrumentation(instrumentation.clone());
    client.get(redirect(302, &server, &server.url("/"))).send().await.unwrap();
    assert_eq!(the_span(&spans).await.events, [""; 0]);
    let builder = ClientBuilder::from(reqwest::Client::builder()).with_instrumentation(instrumentation);
    let client = builder.redirect(Policy::default()).build().unwrap();
    client.get(redirect(302, &server, &server.url("/"))).send().await.unwrap();
    assert_eq!(spans.finished()[1].events.len(), 1);
}

/// Returns the path and the presence of the trace context for each request.
fn arrived(server: &Server) -> Vec<(String, bool)> {
    let shown = |request: &server::Received| {
        let path = request.path.split('?').next().unwrap().to_owned();
        (path, request.headers.contains_key("traceparent"))
    };
    server.received().iter().map(shown).collect()
}

async fn hosts_off_the_list_receive_no_trace_context<S: Spans>() {
    let server = Server::start().await;
    let (listed, other) = (server.url("/listed"), server.other_url("/other"));
    let off_and_on = server.other_url(&format!("/redirect/307?{listed}"));
    for (url, expected) in [
        (listed.clone(), vec![("/listed", true)]),
        (other.clone(), vec![("/other", false)]),
        (redirect(302, &server, &listed), vec![("/redirect/302", true), ("/listed", true)]),
        (redirect(302, &server, &other), vec![("/redirect/302", true), ("/other", false)]),
        (
            redirect(302, &server, &redirect(308, &server, &other)),
            vec![("/redirect/302", true), ("/redirect/308", true), ("/other", false)],
        ),
        // Once the context has been left out, it stays out.
        (
            redirect(307, &server, &off_and_on),
            vec![("/redirect/307", true), ("/redirect/307", false), ("/listed", false)],
        ),
        // Without it from the start, there is nothing to leave out.
        (off_and_on.clone(), vec![("/redirect/307", false), ("/listed", false)]),
    ] {
        let (spans, before) = (S::new(), server.received().len());
        let config = ClientConfig::new().with_propagation_hosts(["127.0.0.1"]);
        let response = builder(&spans, config).build().unwrap().get(&url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let expected: Vec<_> = expected.into_iter().map(|(path, has)| (path.to_owned(), has)).collect();
        assert_eq!(arrived(&server)[before..], expected, "{url}");
        let span = the_span(&spans).await;
        assert_eq!((span.events.len(), &*span.attributes["url.full"]), (expected.len() - 1, &*format!("{url:?}")));
    }
}

async fn a_context_set_by_hand_is_withheld_too<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new().with_propagation_hosts(["127.0.0.1"]);
    let request = builder(&spans, config).build().unwrap().get(redirect(302, &server, &server.other_url("/other")));
    request.header("traceparent", "00-00000000000000000000000000000007-0000000000000009-01").send().await.unwrap();
    assert_eq!(arrived(&server), [("/redirect/302".to_owned(), true), ("/other".to_owned(), false)]);
}

async fn a_redirect_off_the_list_follows_the_rules_of_reqwest<S: Spans>() {
    for status in [301, 302, 303, 307, 308] {
        for method in ["GET", "HEAD", "POST", "PUT"] {
            for chain in [false, true] {
                let server = Server::start().await;
                let first = if chain {
                    redirect(308, &server, &redirect(status, &server, &server.other_url("/x")))
                } else {
                    redirect(status, &server, &server.other_url("/x"))
                };
                let method = http::Method::from_bytes(method.as_bytes()).unwrap();
                let spans = S::new();
                let config = ClientConfig::new().with_propagation_hosts(["127.0.0.1"]);
                let ours = builder(&spans, config).build().unwrap();
                let ours = ours.request(method.clone(), &first).bearer_auth("t").header("content-type", "a/b");
                let ours = ours.header("x-own", "1").body("body").send().await.unwrap();
                let arrived = server.received();
                let theirs = reqwest::Client::new().request(method.clone(), &first).bearer_auth("t");
                let theirs =
                    theirs.header("content-type", "a/b").header("x-own", "1").body("body").send().await.unwrap();
                assert_eq!((ours.status(), ours.url()), (theirs.status(), theirs.url()));
                let expected: Vec<_> = server.received().drain(arrived.len()..).collect();
                assert_eq!(arrived.len(), expected.len());
                for (ours, theirs) in arrived.iter().zip(&expected) {
                    let mut headers = ours.headers.clone();
                    headers.remove("traceparent");
                    headers.remove("tracestate");
                    assert_eq!((ours.shown(), headers), (theirs.shown(), theirs.headers.clone()), "{status} {method}");
                }
                assert!(!arrived.last().unwrap().headers.contains_key("traceparent"));
            }
        }
    }
    // Neither reqwest nor this client can repeat a stream.
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new().with_propagation_hosts(["127.0.0.1"]);
    let stream = || telemark_reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("a")]));
    let client = builder(&spans, config).build().unwrap();
    for (status, expected) in [(307, 307), (303, 200)] {
        let url = redirect(status, &server, &server.other_url("/x"));
        let theirs = reqwest::Client::new().post(&url).body(stream()).send().await.unwrap();
        let ours = client.post(&url).body(stream()).send().await.unwrap();
        assert_eq!((ours.status().as_u16(), theirs.status().as_u16()), (expected, expected));
    }
}

async fn a_custom_policy_sends_the_trace_context_along<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new().with_propagation_hosts(["127.0.0.1"]);
    let client = builder(&spans, config).redirect(Policy::custom(|attempt| attempt.follow())).build().unwrap();
    client.get(redirect(302, &server, &server.other_url("/other"))).send().await.unwrap();
    assert_eq!(arrived(&server), [("/redirect/302".to_owned(), true), ("/other".to_owned(), true)], "as documented");
}

async fn default_credentials_stay_with_their_host<S: Spans>() {
    type With = fn(http::HeaderMap, HttpClientInstrumentation) -> ClientBuilder;
    let ways: [With; 3] = [
        |headers, instrumentation| Client::builder().with_instrumentation(instrumentation).default_headers(headers),
        |headers, instrumentation| {
            let builder = Client::builder().with_instrumentation(instrumentation);
            builder.map_inner(|inner| inner.default_headers(headers))
        },
        |headers, instrumentation| {
            let inner = reqwest::Client::builder().default_headers(headers);
            ClientBuilder::from(inner).with_instrumentation(instrumentation).redirect(Policy::default())
        },
    ];
    let names = ["authorization", "cookie", "cookie2", "proxy-authorization", "www-authenticate", "x-own"];
    for (name, with) in names.into_iter().flat_map(|name| ways.map(|with| (name, with))) {
        let (spans, server) = (S::new(), Server::start().await);
        let mut value = http::HeaderValue::from_static("secret");
        value.set_sensitive(true);
        let headers = http::HeaderMap::from_iter([(http::HeaderName::from_static(name), value)]);
        let config = ClientConfig::new().with_propagation_hosts(["127.0.0.1"]);
        let ours = with(headers.clone(), HttpClientInstrumentation::new(config, spans.tracer())).build().unwrap();
        let theirs = reqwest::Client::builder().default_headers(headers).build().unwrap();
        let url = redirect(302, &server, &server.other_url("/other"));
        ours.get(&url).send().await.unwrap();
        theirs.get(&url).send().await.unwrap();
        let received = server.received();
        let arrived: Vec<_> = received.iter().map(|request| request.header(name)).collect();
        let other = if name == "x-own" { "secret" } else { "-" };
        assert_eq!(arrived, ["secret", other, "secret", other], "{name}");
        // As documented, such a client does not withhold the trace context.
        assert_eq!(received[1].headers.contains_key("traceparent"), name != "x-own");
    }
}

async fn replaced_settings_apply_to_redirects<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new().with_propagation_hosts(["127.0.0.1"]).with_sensitive_query_parameters(["own"]);
    let instrumentation = HttpClientInstrumentation::new(config, spans.tracer());
    let built = builder(&spans, ClientConfig::new()).build().unwrap();
    let url = redirect(302, &server, &server.other_url("/other?own=secret"));
    built.clone().with_instrumentation(instrumentation).clone().get(&url).send().await.unwrap();
    built.get(&url).send().await.unwrap();
    assert_eq!(
        arrived(&server).into_iter().map(|(_, has)| has).collect::<Vec<_>>(),
        [true, false, true, true],
        "the new settings, then those of the builder"
    );
    let events: Vec<_> = spans.finished().into_iter().flat_map(|span| span.events).collect();
    assert_eq!(events.iter().map(|event| event.contains("secret")).collect::<Vec<_>>(), [false, true], "{events:?}");
}

async fn the_limit_counts_redirects_off_the_list<S: Spans>() {
    for hops in 1..6 {
        let server = Server::start().await;
        // The second redirect leaves the list.
        let url = (2..hops).fold(server.other_url("/end"), |to, _| server.other_url(&format!("/redirect/307?{to}")));
        let url = (0..hops.min(2)).fold(url, |to, _| redirect(307, &server, &to));
        let config = ClientConfig::new().with_propagation_hosts(["127.0.0.1"]);
        let ours = builder(&S::new(), config).redirect(Policy::limited(3)).build().unwrap().get(&url).send().await;
        let sent = server.received().len();
        let theirs = reqwest::Client::builder().redirect(Policy::limited(3)).build().unwrap().get(&url).send().await;
        let shown = |result: Result<reqwest::Response, reqwest::Error>| match result {
            Ok(response) => response.url().to_string(),
            Err(error) => format!(
                "{} {error} {:?}",
                error.is_redirect(),
                std::error::Error::source(&error).map(ToString::to_string)
            ),
        };
        assert_eq!((shown(ours), 2 * sent), (shown(theirs), server.received().len()), "{hops}");
    }
}

async fn referers_are_those_of_reqwest<S: Spans>() {
    type Way = fn(HttpClientInstrumentation) -> ClientBuilder;
    let ways: [(bool, Way); 4] = [
        (true, |instrumentation| Client::builder().with_instrumentation(instrumentation)),
        (false, |instrumentation| Client::builder().with_instrumentation(instrumentation).referer(false)),
        (false, |instrumentation| {
            Client::builder().with_instrumentation(instrumentation).map_inner(|inner| inner.referer(false))
        }),
        (false, |instrumentation| {
            ClientBuilder::from(reqwest::Client::builder().referer(false)).with_instrumentation(instrumentation)
        }),
    ];
    // Only the first host is on the list.
    let chains: [&[&str]; 4] = [
        &["https://a.example", "https://b.example", "http://c.example"],
        &["http://a.example", "https://b.example", "http://c.example", "http://d.example"],
        &["https://a.example", "https://b.example", "https://c.example", "http://d.example", "http://e.example"],
        &["https://a.example", "https://b.example", "http://c.example", "https://d.example", "http://e.example"],
    ];
    // Without TLS, reqwest sends requests for `https` unencrypted to the proxy.
    let server = Server::start().await;
    let proxy = || reqwest::Proxy::all(server.url("/")).unwrap();
    for ((sends, with), chain) in ways.into_iter().flat_map(|way| chains.map(|chain| (way, chain))) {
        let (last, before) = chain.split_last().unwrap();
        let url = before.iter().rev().fold(format!("{last}/end"), |to, from| format!("{from}/redirect/302?{to}"));
        for (own, limit) in [(None, 10), (Some("http://own.example/"), 10), (None, 2), (None, 3)] {
            let config = ClientConfig::new().with_propagation_hosts(["a.example"]);
            let policy = || Policy::limited(limit);
            let ours = with(HttpClientInstrumentation::new(config, S::new().tracer()));
            let ours = ours.proxy(proxy()).redirect(policy()).build().unwrap().get(&url);
            let theirs = reqwest::Client::builder().referer(sends).proxy(proxy()).redirect(policy()).build().unwrap();
            let theirs = theirs.get(&url);
            let (ours, theirs) = match own {
                Some(own) => (ours.header("referer", own), theirs.header("referer", own)),
                None => (ours, theirs),
            };
            let start = server.received().len();
            let ours = ours.send().await.map(|response| response.url().clone());
            let middle = server.received().len();
            let theirs = theirs.send().await.map(|response| response.url().clone());
            let received = server.received();
            let shown =
                |request: &server::Received| format!("{} <- {}", request.header("host"), request.header("referer"));
            let (sent, expected) = (&received[start..middle], &received[middle..]);
            assert_eq!(
                sent.iter().map(shown).collect::<Vec<_>>(),
                expected.iter().map(shown).collect::<Vec<_>>(),
                "{sends} {url} {own:?}"
            );
            let contexts = sent.iter().filter(|request| request.headers.contains_key("traceparent")).count();
            assert_eq!((ours.is_ok(), ours.ok(), contexts), (theirs.is_ok(), theirs.ok(), 1));
        }
    }
}

async fn a_disabled_client_changes_no_redirect<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new().with_propagation_hosts(["127.0.0.1"]).with_enabled(false);
    let client = builder(&spans, config).build().unwrap();
    let url = redirect(302, &server, &server.other_url("/other"));
    let request = client.get(&url).header("traceparent", "00-00000000000000000000000000000007-0000000000000009-01");
    // The span belongs to another client, which is still enabled.
    let method = http::Method::GET;
    let headers = http::HeaderMap::new();
    let head = ClientRequestHead::from_parts(&method, telemark_http::Target::parse("http://outer.example/"), &headers);
    let mut outer = HttpClientInstrumentation::new(ClientConfig::new(), spans.tracer()).begin(head);
    outer.run(request.send()).await.unwrap();
    drop(outer);
    assert_eq!(arrived(&server), [("/redirect/302".to_owned(), true), ("/other".to_owned(), true)], "as in reqwest");
    assert_eq!(the_span(&spans).await.events, [""; 0]);
}

/// Sends a request and keeps its status before it resolves a name to the address of the server.
struct Asking {
    server: Server,
    ask: Box<dyn Fn() -> Asked + Send + Sync>,
    status: Arc<Mutex<Option<u16>>>,
}

type Asked = std::pin::Pin<Box<dyn Future<Output = Result<reqwest::Response, reqwest::Error>> + Send>>;

impl Resolve for Asking {
    fn resolve(&self, _name: Name) -> Resolving {
        let (asked, address, status) = ((self.ask)(), self.server.address, self.status.clone());
        Box::pin(async move {
            *status.lock().unwrap() = Some(asked.await?.status().as_u16());
            Ok(Box::new(std::iter::once(address)) as telemark_reqwest::dns::Addrs)
        })
    }
}

async fn requests_inside_of_a_call_are_not_withheld<S: Spans>() {
    for is_wrapped in [true, false] {
        let (spans, server) = (S::new(), Server::start().await);
        let outer = format!("http://outer.example:{}/redirect/302?{}", server.address.port(), server.url("/end"));
        // None of its hosts is on its list.
        let config = ClientConfig::new().with_propagation_hosts(["listed.example"]);
        let inner = builder(&spans, config).resolve("outer.example", server.address).build().unwrap();
        let (same, other) = (outer.clone(), redirect(302, &server, &server.other_url("/inner")));
        let bare = inner.clone().into_inner();
        let ask: Box<dyn Fn() -> Asked + Send + Sync> = if is_wrapped {
            Box::new(move || Box::pin(inner.get(&same).send()))
        } else {
            Box::new(move || Box::pin(bare.get(&other).send()))
        };
        let status = Arc::new(Mutex::new(None));
        let resolver = Asking { server: server.clone(), ask, status: status.clone() };
        let config = ClientConfig::new().with_propagation_hosts(["outer.example"]);
        let client = builder(&spans, config).dns_resolver(Arc::new(resolver)).build().unwrap();
        let response = client.get(&outer).send().await.unwrap();
        assert_eq!((*status.lock().unwrap(), response.url().path()), (Some(200), "/end"), "{is_wrapped}");
        let last = server.received().pop().unwrap();
        assert_eq!((last.header("traceparent"), server.received().len()), ("-", 4));
    }
}

async fn a_policy_that_panics_does_not_widen_the_list<S: Spans>() {
    struct Panics;
    impl ClientPolicy for Panics {
        fn is_excluded(&self, _request: &ClientRequestHead<'_>) -> bool {
            resume_unwind(Box::new("on purpose"))
        }
    }
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new().with_propagation_hosts(["127.0.0.1"]).with_policy(Panics);
    let client = builder(&spans, config).build().unwrap();
    let (trace, span, flags) = (TraceId::from(7), SpanId::from(9), TraceFlags::SAMPLED);
    let parent = SpanContext::new(trace, span, flags, true, TraceState::default());
    let parent = Context::new().with_remote_span_context(parent);
    for url in [server.url("/listed"), server.other_url("/other")] {
        let sending = {
            let _current = parent.clone().attach();
            client.get(&url).send()
        };
        sending.await.unwrap();
    }
    assert_eq!(arrived(&server), [("/listed".to_owned(), true), ("/other".to_owned(), false)]);
}

async fn a_redirect_that_https_only_refuses<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    // Without a TLS feature, reqwest sends requests for `https` to a proxy as they are.
    let proxy = telemark_reqwest::Proxy::all(server.url("")).unwrap();
    for hosts in [None, Some(["first.example"])] {
        let config = hosts.map_or(ClientConfig::new(), |hosts| ClientConfig::new().with_propagation_hosts(hosts));
        let client = builder(&spans, config).https_only(true).proxy(proxy.clone()).build().unwrap();
        let sent = client.get("https://first.example/redirect/302?http://second.example/").send().await;
        let error = sent.unwrap_err();
        assert!(error.is_redirect(), "{error:?}");
    }
    assert_eq!(server.received().len(), 2, "nothing was sent to the other host");
    for span in spans.finished() {
        assert_eq!((&*span.attributes["error.type"], span.events.len()), ("\"redirect\"", 0));
    }
}
