//! Tests every way in which a request can end, exactly once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use opentelemetry::Context;
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer};
use support::{Spans, the_span};
use telemark_tower::{HttpServerLayer, ServerConfig};
use tower::{Layer, Service, ServiceExt, service_fn};

on_every_provider!(
    completed_with_the_last_frame,
    completed_without_a_body,
    completed_when_the_length_is_reached,
    failed,
    cancelled,
    panicked,
    ends_once,
    bodies_are_polled_in_the_context,
    hints_are_forwarded,
    ends_on_its_own_thread_only,
    a_handler_may_add_to_the_span,
);

type Frames = Vec<Result<Frame<Bytes>, BodyError>>;

#[derive(Debug)]
struct BodyError;

#[derive(Debug)]
struct ServiceError;

fn data(text: &'static str) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn trailers() -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::trailers(HeaderMap::new()))
}

fn frames(frames: Frames) -> impl Body<Data = Bytes, Error = BodyError> + Unpin {
    StreamBody::new(stream::iter(frames))
}

fn layer<S: Spans>(spans: &S) -> HttpServerLayer<telemark_tower::DefaultPolicy, S::Tracer> {
    HttpServerLayer::new().with_config(ServerConfig::new()).with_tracer(spans.tracer())
}

/// Returns the layer's response for a handler's response.
async fn respond<S: Spans, B: Body>(
    spans: &S,
    method: Method,
    response: Response<B>,
) -> Response<telemark_tower::ResponseBody<B>> {
    let mut response = Some(response);
    let service = service_fn(move |_request: Request<()>| {
        let response = response.take().unwrap();
        async move { Ok::<_, Infallible>(response) }
    });
    let request = Request::builder().method(method).body(()).unwrap();
    layer(spans).layer(service).oneshot(request).await.unwrap()
}

fn ends<S: Spans>(spans: &S) -> String {
    spans.finished().iter().map(support::Seen::end).collect::<Vec<_>>().join("; ")
}

async fn completed_with_the_last_frame<S: Spans>() {
    /// Polls frame by frame, and checks that the span ends with the frame at this index and not earlier.
    async fn check<S: Spans>(frames_of: Frames, ended_after: usize) {
        let spans = S::new();
        let mut body = respond(&spans, Method::GET, Response::new(frames(frames_of))).await.into_body();
        for index in 0..=ended_after {
            assert_eq!(ends(&spans), "", "before frame {index}");
            let _frame = body.frame().await;
        }
        assert_eq!(ends(&spans), "GET Unset http.response.status_code=200");
        drop(body);
        assert_eq!(ends(&spans), "GET Unset http.response.status_code=200");
    }
    check::<S>(vec![], 0).await;
    check::<S>(vec![data("a"), data("b")], 2).await;
    check::<S>(vec![data("a"), trailers()], 1).await;

    // A body that reports its end is not polled again, with or without a known length.
    let spans = S::new();
    let mut body = respond(&spans, Method::GET, Response::new(KnowsItsEnd(1))).await.into_body();
    assert_eq!(ends(&spans), "");
    body.frame().await.unwrap().unwrap();
    assert_eq!(ends(&spans), "GET Unset http.response.status_code=200");
    let spans = S::new();
    let mut body = respond(&spans, Method::GET, Response::new(Full::<Bytes>::from("hello"))).await.into_body();
    assert_eq!(ends(&spans), "");
    body.frame().await.unwrap().unwrap();
    assert_eq!(ends(&spans), "GET Unset http.response.status_code=200");
}

async fn completed_without_a_body<S: Spans>() {
    async fn check<S: Spans, B: Body>(method: Method, status: StatusCode, body: B) {
        let spans = S::new();
        let response = Response::builder().status(status).body(body).unwrap();
        let _held = respond(&spans, method.clone(), response).await;
        assert_eq!(ends(&spans), format!("{method} Unset http.response.status_code={}", status.as_u16()));
    }
    check::<S, _>(Method::GET, StatusCode::OK, Empty::<Bytes>::new()).await;
    check::<S, _>(Method::HEAD, StatusCode::OK, Full::<Bytes>::from("never sent")).await;
    check::<S, _>(Method::GET, StatusCode::NO_CONTENT, frames(vec![])).await;
    check::<S, _>(Method::GET, StatusCode::NOT_MODIFIED, frames(vec![])).await;
    check::<S, _>(Method::GET, StatusCode::SWITCHING_PROTOCOLS, frames(vec![])).await;
    check::<S, _>(Method::CONNECT, StatusCode::OK, frames(vec![])).await;
}

async fn completed_when_the_length_is_reached<S: Spans>() {
    async fn check<S: Spans>(length: &str, polls: usize, expected: &str) {
        let spans = S::new();
        let response = Response::builder().header("content-length", length);
        let response = response.body(frames(vec![data("ab"), data("cd")])).unwrap();
        let mut body = respond(&spans, Method::GET, response).await.into_body();
        for _ in 0..polls {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        assert_eq!(ends(&spans), expected, "{length} {polls}");
    }
    let whole = "GET Unset http.response.status_code=200";
    let part = "GET Unset http.response.status_code=200 telemark.outcome=\"cancelled\"";
    check::<S>("4", 2, whole).await;
    check::<S>("4", 1, part).await;
    check::<S>("3", 2, whole).await;
    check::<S>("5", 2, part).await;
    check::<S>("0", 0, whole).await;
    check::<S>("no number", 2, part).await;
    check::<S>("+4", 2, part).await;
    check::<S>("4, 4", 2, whole).await;
}

async fn failed<S: Spans>() {
    let spans = S::new();
    let service = layer(&spans)
        .layer(service_fn(async |_request: Request<()>| Err::<Response<Empty<Bytes>>, ServiceError>(ServiceError)));
    service.oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(ends(&spans), "GET Error { description: \"\" } error.type=\"ends::ServiceError\"");

    let spans = S::new();
    let mut response = Response::new(frames(vec![data("a"), Err(BodyError), data("b")]));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let mut body = respond(&spans, Method::GET, response).await.into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(ends(&spans), "");
    body.frame().await.unwrap().unwrap_err();
    let expected = "GET Error { description: \"\" } http.response.status_code=404 error.type=\"ends::BodyError\"";
    assert_eq!(ends(&spans), expected);
    drop(body);
    assert_eq!(ends(&spans), expected);
}

async fn cancelled<S: Spans>() {
    // Cancelled before the response.
    let spans = S::new();
    let service = layer(&spans)
        .layer(service_fn(async |_request: Request<()>| pending::<Result<Response<Empty<Bytes>>, Infallible>>().await));
    {
        let mut future = pin!(service.clone().oneshot(Request::new(())));
        assert!(poll_once(future.as_mut()).await.is_none());
        assert_eq!(ends(&spans), "");
    }
    assert_eq!(ends(&spans), "GET Unset telemark.outcome=\"cancelled\"");

    // Cancelled without a single poll.
    let spans = S::new();
    let mut never = layer(&spans)
        .layer(service_fn(async |_request: Request<()>| pending::<Result<Response<Empty<Bytes>>, Infallible>>().await));
    drop(never.call(Request::new(())));
    assert_eq!(ends(&spans), "GET Unset telemark.outcome=\"cancelled\"");

    // Cancelled in the middle of the body, and before it; an error status remains an error.
    let cases = [
        (200, 0, "GET Unset http.response.status_code=200 telemark.outcome=\"cancelled\""),
        (200, 1, "GET Unset http.response.status_code=200 telemark.outcome=\"cancelled\""),
        (
            503,
            1,
            "GET Error { description: \"\" } http.response.status_code=503 error.type=\"503\" \
             telemark.outcome=\"cancelled\"",
        ),
    ];
    for (status, polls, expected) in cases {
        let spans = S::new();
        let mut response = Response::new(frames(vec![data("a"), data("b")]));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let mut body = respond(&spans, Method::GET, response).await.into_body();
        for _ in 0..polls {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        assert_eq!(ends(&spans), expected);
    }
}

async fn panicked<S: Spans>() {
    let before = "GET Error { description: \"the handler panicked\" } error.type=\"panic\"";

    let spans = S::new();
    let service = layer(&spans).layer(service_fn(|_request: Request<()>| {
        assert!(Context::current().has_active_span());
        panic!("in call");
        #[allow(unreachable_code)]
        std::future::ready(Ok::<Response<Empty<Bytes>>, Infallible>(Response::default()))
    }));
    let call = std::panic::AssertUnwindSafe(service.oneshot(Request::new(()))).catch_unwind();
    assert_eq!(call.await.unwrap_err().downcast_ref::<&str>(), Some(&"in call"));
    assert_eq!(ends(&spans), before);

    let spans = S::new();
    let service = layer(&spans).layer(service_fn(async |_request: Request<()>| {
        tokio::task::yield_now().await;
        if true {
            panic!("in a poll");
        }
        Ok::<Response<Empty<Bytes>>, Infallible>(Response::default())
    }));
    let mut future = Box::pin(std::panic::AssertUnwindSafe(service.oneshot(Request::new(()))).catch_unwind());
    assert_eq!(future.as_mut().await.unwrap_err().downcast_ref::<&str>(), Some(&"in a poll"));
    // A runtime drops the future after the panic, when the thread is no longer unwinding.
    assert_eq!(ends(&spans), before);
    drop(future);
    assert_eq!(ends(&spans), before);
    assert!(!Context::current().has_active_span());

    let spans = S::new();
    let mut body = respond(&spans, Method::GET, Response::new(PanickingBody)).await.into_body();
    std::panic::AssertUnwindSafe(body.frame()).catch_unwind().await.unwrap_err();
    let expected = before.replace(" error", " http.response.status_code=200 error");
    assert_eq!(ends(&spans), expected);
    drop(body);
    assert_eq!(ends(&spans), expected);
}

async fn ends_once<S: Spans>() {
    // Simulates a careless caller that polls again after the end.
    let spans = S::new();
    let mut body =
        respond(&spans, Method::GET, Response::new(frames(vec![trailers(), Err(BodyError)]))).await.into_body();
    while body.frame().await.is_some() {}
    drop(body);
    assert_eq!(ends(&spans), "GET Unset http.response.status_code=200");

    // A context that outlives the request does not keep the span open.
    let spans = S::new();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let service = layer(&spans).layer(service_fn(move |_request: Request<()>| {
        sender.send(Context::current()).unwrap();
        async { Ok::<Response<Empty<Bytes>>, Infallible>(Response::default()) }
    }));
    let _response = service.oneshot(Request::new(())).await.unwrap();
    let kept = receiver.recv().await.unwrap();
    assert_eq!(ends(&spans), "GET Unset http.response.status_code=200");
    drop(kept);
    assert_eq!(spans.finished().len(), 1);
}

async fn bodies_are_polled_in_the_context<S: Spans>() {
    let spans = S::new();
    let tracer = spans.tracer();
    let body = StreamBody::new(stream::iter(["a", "b"]).map_in_span(tracer));
    let response = respond(&spans, Method::GET, Response::new(body)).await;
    response.into_body().collect().await.unwrap();
    let finished = spans.finished();
    let server = finished.last().unwrap();
    let seen: Vec<_> = finished
        .iter()
        .map(|span| format!("{} {}", span.name, span.parent == server.context.span_id().to_string()))
        .collect();
    assert_eq!(seen, ["frame true", "frame true", "GET false"]);
    assert!(!Context::current().has_active_span());
}

async fn hints_are_forwarded<S: Spans>() {
    async fn check<S: Spans, B: Body>(body: impl Fn() -> B) {
        let spans = S::new();
        let wrapped = respond(&spans, Method::GET, Response::new(body())).await.into_body();
        let shown = |hint: SizeHint| format!("{hint:?}");
        assert_eq!(shown(wrapped.size_hint()), shown(body().size_hint()));
        assert_eq!(wrapped.is_end_stream(), body().is_end_stream());
    }
    check::<S, _>(|| Full::<Bytes>::from("hello")).await;
    check::<S, _>(Empty::<Bytes>::new).await;
    check::<S, _>(|| frames(vec![data("a")])).await;
}

async fn ends_on_its_own_thread_only<S: Spans>() {
    // A request and its body can move between threads: everything is `Send` if the service is.
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let spans = S::new();
    let service = layer(&spans).layer(service_fn(async |_request: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
    }));
    let response = is_send(service.oneshot(Request::new(()))).await.unwrap();
    let worker = tokio::task::spawn_blocking(move || drop(is_send(response)));
    worker.await.unwrap();
    assert_eq!(the_span(&spans).await.end(), "GET Unset http.response.status_code=200 telemark.outcome=\"cancelled\"");
}

async fn a_handler_may_add_to_the_span<S: Spans>() {
    let spans = S::new();
    let service = layer(&spans).layer(service_fn(async |_request: Request<()>| {
        let context = Context::current();
        context.span().set_attribute(opentelemetry::KeyValue::new("shop.cart", 3));
        context.span().update_name("checkout");
        Ok::<Response<Empty<Bytes>>, Infallible>(Response::default())
    }));
    let _response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(the_span(&spans).await.only(&["shop.cart"]), "checkout Unset shop.cart=3");
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// A body of this many frames, without a declared length.
struct KnowsItsEnd(usize);

impl Body for KnowsItsEnd {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"frame")))))
    }

    fn is_end_stream(&self) -> bool {
        self.0 == 0
    }
}

struct PanickingBody;

impl Body for PanickingBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("in the body")
    }
}

/// A stream that starts a span for each frame.
trait MapInSpan: futures_util::Stream<Item = &'static str> + Sized {
    fn map_in_span<T: Tracer>(self, tracer: T) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, BodyError>> {
        futures_util::StreamExt::map(self, move |text| {
            tracer.start("frame").end();
            data(text)
        })
    }
}

impl<I: futures_util::Stream<Item = &'static str>> MapInSpan for I {}
