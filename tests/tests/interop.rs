//! `#[traced]`, `tracing` and the plain API create spans in the same trace, in any order of nesting, also below an axum
//! request. `tracing` spans come through Telemark's layer and through tracing-opentelemetry's.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use opentelemetry::trace::{FutureExt, SpanKind, TraceContextExt, TraceFlags, TraceState, Tracer};
use opentelemetry::trace::{SpanContext, SpanId, TraceId};
use opentelemetry::{Context, KeyValue};
use telemark::testing::TestTelemetry;
use telemark::traced;
use telemark::tracing as bridge;
use telemark_sdk::trace::SdkTracer;
use tower::ServiceExt;
use tracing::Dispatch;
use tracing::instrument::{Instrument, WithSubscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

/// The API that creates a span.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Traced,
    Tracing,
    Api,
}

const ALL: [By; 3] = [By::Traced, By::Tracing, By::Api];

/// Returns every nesting of one to three spans, including an API nested within itself.
fn nestings() -> Vec<Vec<By>> {
    let mut nestings: Vec<Vec<By>> = vec![vec![]];
    let mut done = 0;
    while nestings[done].len() < 3 {
        for by in ALL {
            let longer = nestings[done].iter().copied().chain([by]).collect();
            nestings.push(longer);
        }
        done += 1;
    }
    nestings.split_off(1)
}

/// Returns the expected tree for a nesting, with the attribute on the innermost span.
fn expected(nesting: &[By], depth: usize) -> String {
    let name = |by: &By| format!("{by:?}").to_lowercase();
    let lines = nesting.iter().enumerate().map(|(at, by)| {
        let leaf = if at + 1 == nesting.len() { " leaf=true" } else { "" };
        format!("{}{}{leaf}\n", "  ".repeat(depth + at), name(by))
    });
    lines.collect()
}

/// A layer for `tracing` on a subscriber of its own.
type Layer = fn(&TestTelemetry) -> Dispatch;

/// Returns every nesting under either layer.
fn cases() -> Vec<(Layer, Vec<By>)> {
    let under = |layer: Layer| nestings().into_iter().map(move |nesting| (layer, nesting));
    under(subscriber).chain(under(ours)).collect()
}

/// Returns a subscriber that has only Telemark's layer.
fn ours(_: &TestTelemetry) -> Dispatch {
    let layer = bridge::builder().with_location(false).with_events_as_span_events(true).build();
    Dispatch::new(tracing_subscriber::registry().with(layer))
}

/// Returns a subscriber that has only the OpenTelemetry layer, on Telemark's tracer.
fn subscriber(telemetry: &TestTelemetry) -> Dispatch {
    let layer = tracing_opentelemetry::layer()
        .with_tracer(telemetry.tracer("tracing"))
        .with_location(false)
        .with_threads(false)
        .with_level(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    Dispatch::new(tracing_subscriber::registry().with(layer))
}

/// The innermost work, which sets an attribute on the current span.
fn leaf() {
    Context::current().span().set_attribute(KeyValue::new("leaf", true));
}

mod sync {
    use super::*;

    pub(super) fn nest(tracer: &SdkTracer, nesting: &[By]) {
        match nesting.split_first() {
            None => leaf(),
            Some((By::Traced, rest)) => traced(tracer, rest),
            Some((By::Tracing, rest)) => tracing::info_span!("tracing").in_scope(|| nest(tracer, rest)),
            Some((By::Api, rest)) => tracer.in_span("api", |_| nest(tracer, rest)),
        }
    }

    #[traced]
    fn traced(tracer: &SdkTracer, rest: &[By]) {
        nest(tracer, rest);
    }

    #[traced(name = "one")]
    pub(super) fn nest_one() {}
}

/// The asynchronous version, which yields between all steps.
mod asynchronous {
    use super::*;

    pub(super) type Task<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

    pub(super) fn nest<'a>(tracer: &'a SdkTracer, nesting: &'a [By]) -> Task<'a> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            match nesting.split_first() {
                None => leaf(),
                Some((By::Traced, rest)) => traced(tracer, rest).await,
                Some((By::Tracing, rest)) => nest(tracer, rest).instrument(tracing::info_span!("tracing")).await,
                Some((By::Api, rest)) => {
                    let context = Context::current_with_span(tracer.start("api"));
                    nest(tracer, rest).with_context(context).await;
                }
            }
            tokio::task::yield_now().await;
        })
    }

    #[traced]
    async fn traced(tracer: &SdkTracer, rest: &[By]) {
        nest(tracer, rest).await;
    }
}

#[test]
fn the_nestings_are_all_there() {
    assert_eq!(nestings().len(), 3 + 9 + 27);
    assert_eq!(expected(&[By::Traced, By::Tracing, By::Api], 0), "traced\n  tracing\n    api leaf=true\n");
}

#[test]
fn every_nesting_of_synchronous_code_is_one_trace() {
    for (subscriber, nesting) in cases() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let tracer = telemetry.tracer("api");
        tracing::dispatcher::with_default(&subscriber(&telemetry), || sync::nest(&tracer, &nesting));
        assert_eq!(telemetry.tree(), expected(&nesting, 0), "{nesting:?}");
    }
}

#[tokio::test]
async fn every_nesting_of_asynchronous_code_is_one_trace_on_the_current_thread() {
    for (subscriber, nesting) in cases() {
        let telemetry = TestTelemetry::new();
        let tracer = telemetry.tracer("api");
        let task = asynchronous::nest(&tracer, &nesting);
        task.with_context(telemetry.context()).with_subscriber(subscriber(&telemetry)).await;
        assert_eq!(telemetry.tree(), expected(&nesting, 0), "{nesting:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_that_run_at_once_and_change_threads_keep_their_traces_apart() {
    let tasks: Vec<_> = (0..4)
        .flat_map(|_| cases())
        .map(|(subscriber, nesting)| {
            let telemetry = TestTelemetry::new();
            let (tracer, subscriber) = (telemetry.tracer("api"), subscriber(&telemetry));
            let context = telemetry.context();
            let task = {
                let nesting = nesting.clone();
                async move { asynchronous::nest(&tracer, &nesting).await }
            };
            (nesting, telemetry, tokio::spawn(task.with_context(context).with_subscriber(subscriber)))
        })
        .collect();
    for (nesting, telemetry, task) in tasks {
        task.await.unwrap();
        assert_eq!(telemetry.tree(), expected(&nesting, 0), "{nesting:?}");
    }
}

/// The application: the HTTP layer and a handler that creates the nested spans.
fn router(tracer: SdkTracer, nesting: Vec<By>) -> Router {
    let handler = move || async move {
        asynchronous::nest(&tracer, &nesting).await;
        "done"
    };
    Router::new().route("/nest/{what}", get(handler)).layer(telemark::axum::layer())
}

/// Removes the attributes of the server span, which other tests check.
fn without_server_attributes(tree: &str) -> String {
    let lines = tree.lines().map(|line| match line.split_once(" (server)") {
        Some((name, _)) => format!("{name} (server)\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

async fn request(subscriber: Layer, telemetry: &TestTelemetry, nesting: &[By], context: Context) {
    let router = router(telemetry.tracer("api"), nesting.to_vec());
    let request = Request::get("/nest/spans").body(Body::empty()).unwrap();
    let answer = async {
        let response = router.oneshot(request).await.unwrap();
        axum::body::to_bytes(response.into_body(), 100).await.unwrap()
    };
    let body = answer.with_context(context).with_subscriber(subscriber(telemetry)).await;
    assert_eq!(body, "done");
}

#[tokio::test]
async fn every_nesting_below_a_request_is_one_trace() {
    for (subscriber, nesting) in cases() {
        let telemetry = TestTelemetry::new();
        request(subscriber, &telemetry, &nesting, telemetry.context()).await;
        let expected = format!("GET /nest/{{what}} (server)\n{}", expected(&nesting, 1));
        assert_eq!(without_server_attributes(&telemetry.tree()), expected, "{nesting:?}");
    }
}

/// A span around the router, as in a test or a gateway, becomes the parent of the request.
#[tokio::test]
async fn a_request_below_each_of_them_continues_its_trace() {
    for (by, subscriber) in ALL.into_iter().flat_map(|by| [subscriber as Layer, ours].map(|layer| (by, layer))) {
        let telemetry = TestTelemetry::new();
        let attached = telemetry.context();
        let tracer = telemetry.tracer("api");
        let inner = || request(subscriber, &telemetry, &[By::Traced], Context::current());
        let outer = async {
            match by {
                By::Traced => telemark::span("traced").run(async { inner().await }).await,
                By::Tracing => async { inner().await }.instrument(tracing::info_span!("tracing")).await,
                By::Api => {
                    let context = Context::current_with_span(tracer.start("api"));
                    async { inner().await }.with_context(context).await;
                }
            }
        };
        outer.with_context(attached).with_subscriber(subscriber(&telemetry)).await;
        let outermost = format!("{by:?}").to_lowercase();
        let expected = format!("{outermost}\n  GET /nest/{{what}} (server)\n    traced leaf=true\n");
        assert_eq!(without_server_attributes(&telemetry.tree()), expected, "{by:?}");
    }
}

/// Uses `tracing`'s own API to continue a trace and to read the current span.
#[test]
fn a_parent_that_is_set_on_a_tracing_span_is_the_parent_of_all_below() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let remote = SpanContext::new(
        TraceId::from(0xabc_u128),
        SpanId::from(0xdef_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    tracing::dispatcher::with_default(&subscriber(&telemetry), || {
        let span = tracing::info_span!("tracing", otel.kind = "consumer");
        span.set_parent(Context::current().with_remote_span_context(remote)).unwrap();
        span.in_scope(|| {
            let seen = span.context().span().span_context().clone();
            assert_eq!(&seen, Context::current().span().span_context());
            sync::nest(&telemetry.tracer("api"), &[By::Traced, By::Api]);
        });
    });
    assert_eq!(telemetry.tree(), "tracing (consumer)\n  traced\n    api leaf=true\n");
    let spans = telemetry.spans();
    assert!(spans.iter().all(|span| span.context.trace_id() == TraceId::from(0xabc_u128)), "{spans:?}");
    let root = spans.iter().find(|span| span.kind == SpanKind::Consumer).unwrap();
    assert_eq!(root.parent_span_id, SpanId::from(0xdef_u64));
    assert!(root.parent_is_remote);
}

/// Telemark's functions act on the current span, whichever API created it. A `tracing` event is added to the innermost
/// `tracing` span, never to a `#[traced]` span.
#[test]
fn fields_events_and_errors_land_on_the_right_span() {
    #[traced(fields(step = "price"))]
    fn price() -> Result<u32, std::num::ParseIntError> {
        tracing::info!(cart = 7, "priced");
        "x".parse()
    }

    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&subscriber(&telemetry), || {
        let span = tracing::info_span!("checkout", cart.id = 7, user = tracing::field::Empty);
        span.in_scope(|| {
            telemark::set_attribute("set.by", "telemark");
            span.record("user", "ada");
            tracing::info!("in checkout");
            assert!(price().is_err());
        });
        span.set_attribute("after", true);
    });
    let expected = r#"
checkout cart.id=7 set.by=telemark user=ada after=true
  * in checkout level=INFO target=interop
  * priced level=INFO target=interop cart=7
  price error[invalid digit found in string] step=price error.type=core::num::error::ParseIntError
    * exception exception.type=core::num::error::ParseIntError exception.message=invalid digit found in string
"#;
    assert_eq!(telemetry.tree(), expected.trim_start());
}

/// A decision not to record holds for the whole trace, whichever API started it.
#[test]
fn what_is_not_sampled_is_not_recorded_by_anyone() {
    for (subscriber, nesting) in cases() {
        let telemetry = TestTelemetry::with(|builder| builder.with_sampler(telemark_sdk::sampling::AlwaysOff));
        let _attached = telemetry.attach();
        tracing::dispatcher::with_default(&subscriber(&telemetry), || {
            sync::nest(&telemetry.tracer("api"), &nesting);
        });
        assert_eq!(telemetry.tree(), "", "{nesting:?}");
    }
}

/// Nothing is recorded inside a suppressed scope, not even by `tracing`.
#[test]
fn a_suppressed_scope_silences_all() {
    for (subscriber, nesting) in cases() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        tracing::dispatcher::with_default(&subscriber(&telemetry), || {
            telemark::suppress(|| sync::nest(&telemetry.tracer("api"), &nesting));
        });
        assert_eq!(telemetry.tree(), "", "{nesting:?}");
    }
}

/// With Telemark's layer, an event belongs to the current span of any library, and the parent may be set late.
#[test]
fn our_layer_puts_fields_events_and_parents_where_they_belong() {
    #[traced(fields(step = "price"))]
    fn price() -> Result<u32, std::num::ParseIntError> {
        tracing::info!(cart = 7, "priced");
        "x".parse()
    }

    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let remote = SpanContext::new(
        TraceId::from(0xabc_u128),
        SpanId::from(0xdef_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    tracing::dispatcher::with_default(&ours(&telemetry), || {
        let span = tracing::info_span!("checkout", cart.id = 7, user = tracing::field::Empty);
        span.in_scope(|| {
            let parent = Context::current().with_remote_span_context(remote);
            bridge::OpenTelemetrySpanExt::set_parent(&span, parent).unwrap();
            telemark::set_attribute("set.by", "telemark");
            span.record("user", "ada");
            tracing::info!("in checkout");
            assert!(price().is_err());
        });
        bridge::OpenTelemetrySpanExt::set_attribute(&span, "after", true);
    });
    let expected = r#"
checkout cart.id=7 set.by=telemark user=ada after=true
  * in checkout level=INFO target=interop
  price error[invalid digit found in string] step=price error.type=core::num::error::ParseIntError
    * priced level=INFO target=interop cart=7
    * exception exception.type=core::num::error::ParseIntError exception.message=invalid digit found in string
"#;
    assert_eq!(telemetry.tree(), expected.trim_start());
    assert!(telemetry.spans().iter().all(|span| span.context.trace_id() == TraceId::from(0xabc_u128)));
}

/// A `tracing` span carries its context to wherever it is entered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_layer_follows_tasks_blocking_work_and_threads() {
    let telemetry = TestTelemetry::new();
    let dispatch = ours(&telemetry);
    let work = async {
        // The registry finds the parent of a span that closes through the subscriber of the thread, so each span is dropped
        // while that is set.
        let span = tracing::info_span!("task");
        let task = async { async { sync::nest_one() }.instrument(span).await }.with_current_subscriber();
        tokio::spawn(task).await.unwrap();
        telemetry.clock.advance(Duration::from_secs(1));
        let (span, dispatch) = (tracing::info_span!("blocking"), tracing::dispatcher::get_default(Dispatch::clone));
        let blocking = {
            let dispatch = dispatch.clone();
            move || tracing::dispatcher::with_default(&dispatch, move || span.in_scope(sync::nest_one))
        };
        tokio::task::spawn_blocking(blocking).await.unwrap();
        telemetry.clock.advance(Duration::from_secs(1));
        let span = tracing::info_span!("thread");
        std::thread::scope(|scope| {
            scope.spawn(|| tracing::dispatcher::with_default(&dispatch, || span.in_scope(sync::nest_one)));
        });
    };
    let outer = async { work.instrument(tracing::info_span!("outer")).await };
    outer.with_context(telemetry.context()).with_subscriber(dispatch.clone()).await;
    let expected = "outer\n  task\n    one\n  blocking\n    one\n  thread\n    one\n";
    assert_eq!(telemetry.tree(), expected);
}
