//! Runs the facade's HTTP layer on the installed telemetry. Durations go to the global meter set by `init`, use the engine's
//! clock, and have exemplars that lead to the spans. There is only one test, because the installation is global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use telemark::config::Env;
use telemark::testing::{InMemoryExporter, metrics_text};
use telemark::time::Deadline;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{MetricData, PullReader};
use tower::ServiceExt;

#[tokio::test]
async fn durations_are_those_of_the_spans() {
    let router = Router::new().route("/things/{id}", get(async || "thing")).layer(telemark::axum::layer());
    let request = || Request::get("/things/7").body(Body::empty()).unwrap();
    // Requests before `init` are served but not counted.
    assert_eq!(router.clone().oneshot(request()).await.unwrap().status(), 200);

    let (exporter, reader) = (InMemoryExporter::new(), PullReader::default());
    let builder = Telemetry::builder(Env::from_pairs::<&str, &str>([]));
    let builder = builder.with_span_exporter(exporter.clone()).with_metric_reader(reader.clone());
    let telemetry = builder.build().unwrap().install().unwrap();
    let response = router.oneshot(request()).await.unwrap();
    axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    telemetry.force_flush(Deadline::NEVER).unwrap();

    let [span] = &exporter.items()[..] else { panic!("one span") };
    let scopes = reader.collect(Deadline::NEVER).unwrap();
    let scope = scopes.iter().find(|scope| scope.scope.name() == "telemark-axum").unwrap();
    let schema = "https://opentelemetry.io/schemas/1.45.0";
    assert_eq!((scope.scope.schema_url(), span.scope.schema_url()), (Some(schema), Some(schema)));
    let text = metrics_text(std::slice::from_ref(scope));
    let seconds = span.end.since(span.start).as_secs_f64();
    assert!(seconds > 0.0);
    let expected = format!(
        "http.server.request.duration[s]{{http.request.method=GET,http.response.status_code=200,\
         http.route=/things/{{id}},network.protocol.version=1.1,url.scheme=http}} histogram count=1 sum={seconds} \
         min={seconds} max={seconds} <=0.005:1 # {seconds} @{:x}:{:x}\n",
        span.context.trace_id(),
        span.context.span_id()
    );
    assert_eq!(text, expected);
    assert!(matches!(&scope.metrics[0].data, MetricData::Histogram { points, .. } if points[0].bounds.len() == 14));
}
