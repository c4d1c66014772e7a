//! A real Prometheus scrapes a real server, and its exemplars lead to the received traces.
#![allow(clippy::unwrap_used, reason = "test helpers")]
#![allow(clippy::disallowed_methods, reason = "a call measures itself with a clock of its own")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use serde_json::Value;
use telemark::prometheus::{PrometheusExporter as Exporter, Server};
use telemark::{Counter, Histogram, traced};
use telemark_sdk::config::Env;
use telemark_sdk::metrics::{Aggregation, SdkMeterProvider, View};
use telemark_sdk::testing::ManualClock;
use telemark_sdk::time::Deadline;
use telemark_tests::{Prometheus, Script, Sink, Span, http_get};

static ORDERS: Counter<u64> = Counter::new("shop.orders").with_unit("{order}").with_description("Orders placed.");
static WEIGHT: Histogram<f64> =
    Histogram::new("shop.parcel.weight").with_unit("kg").with_description("Weight of parcels.").with_boundaries(&[1.0]);

/// How long the body of each call took, in seconds, by the id of its span.
static BODIES: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());

#[traced(metrics)]
async fn place(kind: &'static str) -> Result<(), std::io::Error> {
    let start = Instant::now();
    ORDERS.add(1, ("shop.order.kind", kind));
    WEIGHT.record(0.5, ());
    tokio::task::yield_now().await;
    let span_id = telemark::current_span_context().span_id().to_string();
    BODIES.lock().unwrap().insert(span_id, start.elapsed().as_secs_f64());
    if kind == "odd" { Err(std::io::Error::other("odd")) } else { Ok(()) }
}

async fn order(Path(kind): Path<String>) -> StatusCode {
    match place(if kind == "odd" { "odd" } else { "web" }).await {
        Ok(()) => StatusCode::CREATED,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn metrics(State(exporter): State<Exporter>, headers: HeaderMap) -> Result<Response, StatusCode> {
    let page = tokio::task::spawn_blocking(move || exporter.respond::<Body>(&headers)).await;
    page.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// Serves the shop on a separate runtime.
fn serve(exporter: Exporter) -> (tokio::runtime::Runtime, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new()
        .route("/orders/{kind}", get(order))
        .layer(telemark::axum::layer())
        .route("/metrics", get(metrics))
        .with_state(exporter);
    runtime.spawn(async move { axum::serve(listener, app).await });
    (runtime, address)
}

/// Returns the trace id and the span id of an exemplar.
fn ids(exemplar: &Value) -> (String, String) {
    let label = |name: &str| exemplar["labels"][name].as_str().unwrap_or_default().to_owned();
    (label("trace_id"), label("span_id"))
}

/// Returns the duration of a span in seconds.
fn duration(span: &Span) -> f64 {
    (span.end - span.start) as f64 / 1e9
}

fn value(sample: &Value) -> String {
    sample["value"][1].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_exemplar_that_prometheus_scraped_leads_to_its_trace() {
    let Some(prometheus) = Prometheus::running() else { return };
    let sink = Sink::start(Script::Take).unwrap();
    let env = Env::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint()),
        ("OTEL_SERVICE_NAME", "prometheus test".to_owned()),
    ]);
    let exporter = Exporter::new();
    let telemetry = telemark::builder().with_env(env).with_metric_reader(exporter.reader()).init().unwrap();
    let (_runtime, address) = serve(exporter);

    for (kind, expected) in [("web", "201"), ("odd", "500"), ("web", "201")] {
        let (head, _) = http_get(address, &format!("/orders/{kind}"), "").unwrap();
        assert_eq!(head.split(' ').nth(1), Some(expected), "{head}");
    }
    telemetry.force_flush(Deadline::after(Duration::from_secs(30))).unwrap();
    let spans = sink.received().spans;
    assert_eq!(spans.len(), 6);

    let test = format!("exemplars_{}", std::process::id());
    let _target = prometheus.scrape(address, &test).unwrap();
    let of_test = |name: &str, labels: &str| format!("{name}{{test=\"{test}\"{labels}}}");

    prometheus.wait_for("a scrape that went well", || {
        let health = prometheus.health(&test).unwrap();
        assert_ne!(health.0, "down", "{health:?}");
        (health == ("up".to_owned(), String::new())).then_some(())
    });
    for (name, labels, expected) in [
        ("shop_orders_total", ", shop_order_kind=\"web\"", "2"),
        ("shop_orders_total", ", shop_order_kind=\"odd\"", "1"),
        ("shop_parcel_weight_kg_count", "", "3"),
        ("shop_parcel_weight_kg_sum", "", "1.5"),
        ("http_server_request_duration_seconds_count", ", http_response_status_code=\"201\"", "2"),
        ("http_server_request_duration_seconds_count", ", http_route=\"/orders/{kind}\", error_type=\"500\"", "1"),
        ("telemark_function_duration_seconds_count", ", error_type=\"std::io::ErrorKind::Other\"", "1"),
        ("target_info", ", service_name=\"prometheus test\"", "1"),
    ] {
        let selector = of_test(name, labels);
        let sample = prometheus.wait_for(&selector, || prometheus.query(&selector).unwrap().pop());
        assert_eq!(value(&sample), expected, "{selector}");
    }

    // The exemplars for requests and calls have the durations of their spans.
    for (name, span_name, least) in [
        ("http_server_request_duration_seconds_bucket", "GET /orders/{kind}", 2),
        ("telemark_function_duration_seconds_bucket", "place", 2),
    ] {
        let selector = of_test(name, "");
        let exemplars = prometheus.wait_for(&selector, || {
            let exemplars = prometheus.exemplars(&selector).unwrap();
            (exemplars.len() >= least).then_some(exemplars)
        });
        for exemplar in exemplars {
            let (trace_id, span_id) = ids(&exemplar);
            let span = spans.iter().find(|span| span.trace_id == trace_id && span.span_id == span_id);
            let span = span.unwrap_or_else(|| unreachable!("{exemplar} belongs to no exported span"));
            assert_eq!(span.name, span_name);
            let measured: f64 = exemplar["value"].as_str().unwrap().parse().unwrap();
            let took = duration(span);
            // A request's duration comes from the clock readings of its span. A call's measurement ends after its body and just
            // before its span; the body's clock is another one.
            let agrees = match span_name {
                "place" => (BODIES.lock().unwrap()[&span_id] - 1e-6..=took).contains(&measured),
                _ => (measured - took).abs() < 1e-9,
            };
            assert!(agrees, "{name}: {exemplar}, but the span took {took}");
            let moment = exemplar["timestamp"].as_f64().unwrap();
            assert!((moment - span.end as f64 / 1e9).abs() < 0.1, "{exemplar}, but the span ended at {}", span.end);
        }
    }
    // The exemplars for measurements inside a call lead to the call's span.
    for name in ["shop_orders_total", "shop_parcel_weight_kg_bucket"] {
        let selector = of_test(name, "");
        let exemplars = prometheus.wait_for(&selector, || {
            let exemplars = prometheus.exemplars(&selector).unwrap();
            (!exemplars.is_empty()).then_some(exemplars)
        });
        for exemplar in exemplars {
            let (_, span_id) = ids(&exemplar);
            let span = spans.iter().find(|span| span.span_id == span_id);
            assert_eq!(span.map(|span| &*span.name), Some("place"), "{name}: {exemplar}");
        }
    }
}

/// Serves many series, strings that need escaping, and extreme numbers from the exporter's own server. Each page is
/// compressed and uses a new connection.
#[test]
fn what_the_own_server_shows_is_scraped_as_it_was_measured() {
    let Some(prometheus) = Prometheus::running() else { return };
    let exporter = Exporter::new();
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter.reader())
        .with_view(View::of("exponential").with_aggregation(Aggregation::exponential()))
        .build();
    let meter = provider.meter("shop");
    let many = meter.u64_counter("many").build();
    (0..1000).for_each(|i| many.add(1, &[KeyValue::new("i", i)]));
    let text = "a \"quoted\" \\ käse 🧀\n{x=\"y\"} # {trace_id=\"no\"} 1";
    meter.f64_gauge("hard").build().record(-5e-324, &[KeyValue::new("text", text)]);
    meter.i64_up_down_counter("low").build().add(-(1 << 53), &[]);
    let exponential = meter.f64_histogram("exponential").with_unit("s").build();
    (1..=1000).for_each(|i| exponential.record(f64::from(i) / 1000.0, &[]));
    let server = Server::start(exporter, "127.0.0.1", 0).unwrap();

    let test = format!("own_server_{}", std::process::id());
    let _target = prometheus.scrape(server.address(), &test).unwrap();
    let of_test = |expression: &str| {
        let selector = expression.replace("TEST", &format!("test=\"{test}\""));
        prometheus.wait_for(&selector, || prometheus.query(&selector).unwrap().pop())
    };
    assert_eq!(value(&of_test("sum(many_total{TEST})")), "1000");
    assert_eq!(value(&of_test("count(many_total{TEST})")), "1000");
    assert_eq!(value(&of_test("low{TEST}")), "-9007199254740992");
    let hard = of_test("hard{TEST}");
    assert_eq!((hard["metric"]["text"].as_str(), value(&hard)), (Some(text), "-5e-324".to_owned()));
    assert_eq!(value(&of_test("exponential_seconds_count{TEST}")), "1000");
    let median: f64 = value(&of_test("histogram_quantile(0.5, exponential_seconds_bucket{TEST})")).parse().unwrap();
    assert!((0.47..0.53).contains(&median), "{median}");
    assert_eq!(prometheus.health(&test).unwrap(), ("up".to_owned(), String::new()));
}

/// Returns a page with every kind of instrument.
fn page(accept: &str) -> String {
    let exporter = Exporter::new();
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter.reader())
        .with_view(View::of("exponential").with_aggregation(Aggregation::exponential()))
        .with_exemplar_filter(telemark_sdk::metrics::ExemplarFilter::AlwaysOn)
        .build();
    let meter = provider.meter("shop");
    let attributes = [KeyValue::new("kind", "a \"quoted\" \\ käse\n")];
    meter.u64_counter("orders").with_unit("{order}").with_description("Orders \\ \n more.").build().add(3, &attributes);
    meter.f64_counter("energy").with_unit("J").with_description("Energy.").build().add(0.1, &[]);
    meter.i64_up_down_counter("waiting").with_description("Who waits.").build().add(-2, &attributes);
    meter.f64_gauge("temperature").with_unit("Cel").with_description("How warm.").build().record(-0.5, &[]);
    let duration = meter.f64_histogram("duration").with_unit("s").with_description("How long.").build();
    duration.record(0.2, &attributes);
    duration.record(20_000.0, &attributes);
    let exponential = meter.f64_histogram("exponential").with_unit("By").with_description("How big.").build();
    for value in [0.0, 0.001, 1.0, 1e9] {
        exponential.record(value, &[]);
    }
    let response = exporter.response_for(accept, "");
    assert_eq!(response.status, 200);
    String::from_utf8(response.body).unwrap()
}

#[test]
fn promtool_finds_nothing_wrong_with_the_text_format() {
    let Some(prometheus) = Prometheus::running() else { return };
    let page = page("text/plain; version=0.0.4");
    assert_eq!(prometheus.promtool(&["check", "metrics"], &page).unwrap(), Ok(()), "{page}");
    let broken = page.replace("# TYPE", "# TIPE").replace("orders_total{", "orders_total{{");
    assert!(prometheus.promtool(&["check", "metrics"], &broken).unwrap().is_err());
}

/// promtool reads OpenMetrics only for an import, which requires timestamps. A scraped page has none, so the test adds
/// them.
#[test]
fn promtool_imports_a_page_of_openmetrics() {
    let Some(prometheus) = Prometheus::running() else { return };
    let timed = |line: &str| match line.split_once(" # {") {
        _ if line.starts_with('#') => format!("{line}\n"),
        Some((sample, exemplar)) => format!("{sample} 1700000000 # {{{exemplar}\n"),
        None => format!("{line} 1700000000\n"),
    };
    let page: String = page("application/openmetrics-text; version=1.0.0").lines().map(timed).collect();
    assert!(page.contains(" # {") && page.ends_with("# EOF\n"), "{page}");
    let folder = std::env::temp_dir().join(format!("telemark-promtool-{}", std::process::id()));
    let import = |page: &str| {
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("page.txt");
        std::fs::write(&file, page).unwrap();
        let (file, data) = (file.display().to_string(), folder.join("data").display().to_string());
        let result = prometheus.promtool(&["tsdb", "create-blocks-from", "openmetrics", &file, &data], "").unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        result
    };
    assert_eq!(import(&page), Ok(()), "{page}");
    assert!(import(&page.replace("# EOF\n", "")).is_err());
}

/// A series that expires, and one that is removed, disappear from the page, so that Prometheus marks them as stale. When they come back, they
/// begin anew, and no query sees a step.
#[test]
fn a_series_that_expires_or_is_removed_is_stale_and_begins_anew() {
    const EXPIRY: Duration = Duration::from_secs(600);

    let Some(prometheus) = Prometheus::running() else { return };
    let (clock, exporter) = (ManualClock::new(), Exporter::new());
    let provider = SdkMeterProvider::builder()
        .with_clock(clock.clock())
        .with_series_expiry(EXPIRY)
        .with_reader(exporter.reader())
        .build();
    let meter = provider.meter("shop");
    let orders = meter.u64_counter("orders").build();
    // Each thread ends and no longer holds its series.
    let add = |tenant: &'static str, count: u64| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| orders.add(count, &[KeyValue::new("tenant", tenant)]));
            thread.join().unwrap();
        });
    };
    let server = Server::start(exporter, "127.0.0.1", 0).unwrap();
    let test = format!("expiry_{}", std::process::id());
    let _target = prometheus.scrape(server.address(), &test).unwrap();
    let all = || {
        let samples = prometheus.query(&format!("orders_total{{test=\"{test}\"}}")).unwrap();
        let tenant = |sample: &Value| sample["metric"]["tenant"].as_str().unwrap_or_default().to_owned();
        samples.iter().map(|sample| (tenant(sample), value(sample))).collect::<BTreeMap<_, _>>()
    };
    let totals = |expected: &[(&str, &str)]| {
        let expected = expected.iter().map(|(tenant, total)| ((*tenant).to_owned(), (*total).to_owned())).collect();
        prometheus.wait_for(&format!("{expected:?}"), || (all() == expected).then_some(()));
    };

    add("gone", 100);
    add("idle", 50);
    totals(&[("gone", "100"), ("idle", "50")]);
    assert_eq!(provider.remove_series("orders", &[KeyValue::new("tenant", "gone")]), 1);
    totals(&[("idle", "50")]);
    clock.advance(EXPIRY);
    totals(&[]);
    assert_eq!(provider.expired_series(), 1);

    add("gone", 3);
    add("idle", 4);
    totals(&[("gone", "3"), ("idle", "4")]);
    // Prometheus sees a reset, not a fall, and does not count what was before it again.
    for (tenant, added) in [("gone", 3.0), ("idle", 4.0)] {
        let over = |function: &str| {
            let query = format!("{function}(orders_total{{test=\"{test}\",tenant=\"{tenant}\"}}[10m])");
            let sample = prometheus.wait_for(&query, || prometheus.query(&query).unwrap().pop());
            value(&sample).parse::<f64>().unwrap()
        };
        assert_eq!(over("resets"), 1.0, "{tenant}");
        // An increase is extrapolated to the ends of its range, by less than what it covers.
        let increase = over("increase");
        assert!((added..=2.0 * added).contains(&increase), "{tenant}: {increase}");
        assert!((0.0..1.0).contains(&over("rate")), "{tenant}");
    }
}
