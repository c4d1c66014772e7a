//! Tests from instruments to the page, both directly and through the server. Hostile clients are covered by the
//! tests of `serve`.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use proptest::prelude::*;
use support::{OPEN_METRICS, TEXT, lines};
use telemark_prometheus::{PrometheusExporter, Renderer, Server};
use telemark_sdk::Resource;
use telemark_sdk::config::Env;
use telemark_sdk::metrics::SdkMeterProvider;
use telemark_sdk::time::Deadline;

/// The time after which a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

const VARY: &str = if cfg!(feature = "gzip") { "Accept, Accept-Encoding" } else { "Accept" };

/// Returns an exporter with a counter and a histogram, and the provider that keeps the instruments alive.
fn exporter() -> (PrometheusExporter, SdkMeterProvider) {
    let prometheus = PrometheusExporter::builder().with_renderer(Renderer::new().without_target_info()).build();
    let provider = SdkMeterProvider::builder()
        .with_reader(prometheus.reader())
        .with_resource(Resource::new([KeyValue::new("service.name", "shop")]))
        .build();
    let meter = provider.meter("shop");
    meter.u64_counter("orders").with_description("Orders").build().add(3, &[KeyValue::new("kind", "book")]);
    let duration = meter.f64_histogram("http.server.request.duration").with_unit("s").with_boundaries(vec![0.1, 1.0]);
    duration.build().record(0.5, &[]);
    (prometheus, provider)
}

fn expected(open: bool) -> String {
    let (counter, unit, end) = match open {
        true => ("orders", "# UNIT http_server_request_duration_seconds seconds", "# EOF"),
        false => ("orders_total", "", ""),
    };
    lines(&format!(
        r#"# TYPE {counter} counter
        # HELP {counter} Orders
        orders_total{{otel_scope_name="shop",kind="book"}} 3
        # TYPE http_server_request_duration_seconds histogram
        {unit}
        http_server_request_duration_seconds_bucket{{otel_scope_name="shop",le="0.1"}} 0
        http_server_request_duration_seconds_bucket{{otel_scope_name="shop",le="1.0"}} 1
        http_server_request_duration_seconds_bucket{{otel_scope_name="shop",le="+Inf"}} 1
        http_server_request_duration_seconds_sum{{otel_scope_name="shop"}} 0.5
        http_server_request_duration_seconds_count{{otel_scope_name="shop"}} 1
        {end}"#
    ))
}

#[test]
fn a_response_is_negotiated() {
    let (prometheus, _provider) = exporter();
    for (accept, format) in [("", TEXT), ("application/openmetrics-text", OPEN_METRICS)] {
        let response = prometheus.response_for(accept, "");
        assert_eq!(
            (response.status, response.content_type, response.content_encoding),
            (200, format.content_type(), None)
        );
        assert_eq!(String::from_utf8(response.body).unwrap(), expected(format.is_open_metrics()));
    }
}

#[test]
fn without_a_provider_there_is_no_page() {
    let prometheus = PrometheusExporter::new();
    let mut out = b"before".to_vec();
    assert!(prometheus.render(TEXT, &mut out).is_err());
    assert_eq!(out, b"before");
    let response = prometheus.response_for("", "gzip");
    assert_eq!((response.status, response.content_encoding), (503, None));
    let (prometheus, provider) = exporter();
    provider.shutdown(Deadline::after(PATIENCE)).unwrap();
    assert_eq!(prometheus.response_for("", "").status, 503);
}

#[cfg(feature = "gzip")]
fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

#[cfg(feature = "gzip")]
#[test]
fn pages_are_compressed_for_clients_that_accept_it() {
    let (prometheus, _provider) = exporter();
    let response = prometheus.response_for("", "deflate, gzip;q=0.5");
    assert_eq!(response.content_encoding, Some("gzip"));
    assert_eq!(unpacked(&response.body), expected(false));
}

#[test]
fn a_page_may_be_written_in_parts() {
    let (prometheus, _provider) = exporter();
    let mut page = Vec::new();
    prometheus.write(OPEN_METRICS, &mut page).unwrap();
    assert_eq!(String::from_utf8(page).unwrap(), expected(true));
    let error = prometheus.write(OPEN_METRICS, &mut [0; 9].as_mut_slice()).unwrap_err();
    assert!(error.to_string().contains("cannot be written"), "{error}");
    assert!(PrometheusExporter::new().write(OPEN_METRICS, &mut Vec::new()).is_err());
}

#[test]
fn the_header_vary_names_what_a_response_depends_on() {
    let (prometheus, _provider) = exporter();
    for accept_encoding in ["", "gzip"] {
        assert_eq!(prometheus.response_for("", accept_encoding).vary, Some(VARY));
    }
    assert_eq!(PrometheusExporter::new().response_for("", "").vary, None);
}

#[cfg(feature = "http")]
#[test]
fn the_types_of_http() {
    use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
    let (prometheus, _provider) = exporter();
    let mut headers = http::HeaderMap::new();
    headers.append(ACCEPT, "text/plain;q=0.5".parse().unwrap());
    headers.append(ACCEPT, "application/openmetrics-text;version=1.0.0".parse().unwrap());
    let response = prometheus.respond::<Vec<u8>>(&headers);
    assert_eq!((response.status(), response.headers().len()), (http::StatusCode::OK, 2));
    assert_eq!(response.headers()[CONTENT_TYPE], OPEN_METRICS.content_type());
    assert_eq!(response.headers()[http::header::VARY], VARY);
    assert_eq!(String::from_utf8(response.into_body()).unwrap(), expected(true));
    headers.append(ACCEPT_ENCODING, "gzip".parse().unwrap());
    let response = prometheus.respond::<Box<[u8]>>(&headers);
    assert_eq!(response.headers().contains_key(CONTENT_ENCODING), cfg!(feature = "gzip"));
    let response = PrometheusExporter::new().respond::<Vec<u8>>(&headers);
    assert_eq!((response.status(), response.headers().len()), (http::StatusCode::SERVICE_UNAVAILABLE, 1));
}

/// Sends bytes and returns the complete response.
fn exchange(server: &Server, request: &[u8]) -> String {
    let mut stream = connect(server);
    stream.write_all(request).unwrap();
    read_all(stream)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the response to a request with these additional header lines.
fn get(server: &Server, target: &str, more: &str) -> String {
    exchange(server, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{more}Connection: close\r\n\r\n").as_bytes())
}

fn start() -> (Server, SdkMeterProvider) {
    let (prometheus, provider) = exporter();
    (Server::start(prometheus, "127.0.0.1", 0).unwrap(), provider)
}

/// Starts a server at a port that the system does not choose by itself, so that no server of another test listens there afterwards.
fn start_at_own_port() -> (Server, SdkMeterProvider) {
    let (prometheus, provider) = exporter();
    let first = std::process::id() as u16;
    let mut ports = (0..10_000).map(|step| 10_000 + first.wrapping_add(step) % 10_000);
    let server = ports.find_map(|port| Server::start(prometheus.clone(), "127.0.0.1", port).ok()).unwrap();
    (server, provider)
}

#[test]
fn the_server_has_the_page() {
    let (server, _provider) = start_at_own_port();
    for open in [true, false] {
        let accept = if open { "aCCEPT: Application/OpenMetrics-Text\r\n" } else { "" };
        let response = get(&server, "/metrics?x=y", accept);
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let mut lines: Vec<_> = head.lines().filter(|line| !line.starts_with("date: ")).collect();
        lines[1..].sort_unstable();
        let content_type = format!("content-type: {}", if open { OPEN_METRICS } else { TEXT }.content_type());
        let (length, vary) =
            (format!("content-length: {}", body.len()), format!("vary: {}", VARY.to_ascii_lowercase()));
        assert_eq!(
            lines.join("\n").to_ascii_lowercase(),
            ["http/1.1 200 ok", "connection: close", &length, &content_type, &vary].join("\n")
        );
        assert_eq!(body, expected(open));
    }
    server.shutdown(Deadline::after(PATIENCE)).unwrap();
    assert!(TcpStream::connect(server.address()).is_err(), "it still listens");
}

#[cfg(feature = "gzip")]
#[test]
fn the_server_compresses() {
    let (server, _provider) = start();
    let mut stream = connect(&server);
    stream.write_all(b"GET /metrics HTTP/1.0\r\nAccept-Encoding: X-GZIP\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    assert!(String::from_utf8_lossy(&bytes[..end]).contains("content-encoding: gzip"));
    assert_eq!(unpacked(&bytes[end + 4..]), expected(false));
}

#[test]
fn a_request_to_the_server_runs_callbacks() {
    let (server, provider) = start();
    let meter = provider.meter("shop");
    let _gauge = meter.i64_observable_gauge("queue").with_callback(|observer| observer.observe(7, &[])).build();
    let response = get(&server, "/metrics", "");
    assert!(response.contains("\nqueue{otel_scope_name=\"shop\"} 7\n"), "{response}");
}

#[test]
fn a_sampled_span_leads_from_the_page_to_its_trace() {
    use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
    let (prometheus, provider) = exporter();
    let (trace, span) = (TraceId::from(0xabc), SpanId::from(0xdef));
    let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default());
    let _entered = opentelemetry::Context::new().with_remote_span_context(context).attach();
    provider.meter("shop").u64_counter("orders").with_description("Orders").build().add(1, &[]);
    let page = String::from_utf8(prometheus.response_for("application/openmetrics-text", "").body).unwrap();
    let exemplar =
        format!("orders_total{{otel_scope_name=\"shop\"}} 1 # {{trace_id=\"{trace}\",span_id=\"{span}\"}} 1 ");
    assert!(page.contains(&exemplar), "{page}");
}

#[test]
fn everything_else_is_refused() {
    let (server, _provider) = start();
    let check = |request: &str, expected: &str| {
        let response = exchange(&server, format!("{request}Connection: close\r\n\r\n").as_bytes());
        assert_eq!(response.lines().next(), Some(expected), "{request:?}");
    };
    check("GET / HTTP/1.1\r\nHost: localhost\r\n", "HTTP/1.1 404 Not Found");
    check("GET /Metrics HTTP/1.1\r\nHost: localhost\r\n", "HTTP/1.1 404 Not Found");
    check("GET /metrics/ HTTP/1.1\r\nHost: localhost\r\n", "HTTP/1.1 404 Not Found");
    check("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n", "HTTP/1.1 405 Method Not Allowed");
    check("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n", "HTTP/1.1 421 Misdirected Request");
    check("GET http://127.0.0.1/metrics HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 200 OK");
    let response = get(&server, "/metrics", "");
    let head = exchange(&server, b"HEAD /metrics HTTP/1.1\r\nHost: [::1]:9464\r\nConnection: close\r\n\r\n");
    let length = |response: &str| response.lines().find(|line| line.starts_with("content-length: ")).map(str::to_owned);
    assert_eq!(length(&head), length(&response));
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn allowed_hosts_get_responses() {
    let server = Server::builder(exporter().0).with_host("127.0.0.1").with_port(0).with_allowed_hosts(["shop.example"]);
    let server = server.start().unwrap();
    let check = |host: &str, expected: &str| {
        let response =
            exchange(&server, format!("GET /missing HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes());
        assert_eq!(response.lines().next(), Some(expected), "{host:?}");
    };
    for host in ["SHOP.example:9464", "localhost", "127.0.0.1:1"] {
        check(host, "HTTP/1.1 404 Not Found");
    }
    check("other.example", "HTTP/1.1 421 Misdirected Request");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_sent_stops_the_server(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "(GET|POST|[a-z]{0,3}) /metrics[ -~]{0,20} HTTP/1.[01]\r\n(host: localhost\r\n)?(accept: [ -~]{0,40}\r\n){0,3}(\r\n)?"
                .prop_map(String::into_bytes),
        ]
    ) {
        static SERVER: OnceLock<(Server, SdkMeterProvider)> = OnceLock::new();
        let (server, _) = SERVER.get_or_init(start);
        let mut stream = connect(server);
        stream.write_all(&bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let response = read_all(stream);
        prop_assert!(response.is_empty() || response.starts_with("HTTP/1."), "{response}");
        prop_assert!(get(server, "/metrics", "").starts_with("HTTP/1.1 200 OK"));
    }
}

#[test]
fn the_variables() {
    let start = |pairs: &[(&str, &str)]| {
        let env = Env::from_pairs(pairs.iter().copied());
        (Server::from_env(PrometheusExporter::new(), &env), env.take_warnings().len())
    };
    let (server, warnings) =
        start(&[("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "0")]);
    let server = server.unwrap();
    assert_eq!((server.address().ip().to_string().as_str(), warnings), ("127.0.0.1", 0));
    assert!(get(&server, "/metrics", "").starts_with("HTTP/1.1 503 Service Unavailable"));
    // The port is already in use.
    let port = server.address().port().to_string();
    let (taken, _) = start(&[("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"), ("OTEL_EXPORTER_PROMETHEUS_PORT", &port)]);
    let error = taken.unwrap_err().to_string();
    let expected = format!("OTEL_EXPORTER_PROMETHEUS_PORT=\"{port}\" cannot be used");
    assert!(error.starts_with(&expected) && error.contains("a port that is free"), "{error}");
    let (bad, warnings) =
        start(&[("OTEL_EXPORTER_PROMETHEUS_HOST", "nowhere.invalid"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "70000")]);
    let error = bad.unwrap_err().to_string();
    let expected = "OTEL_EXPORTER_PROMETHEUS_HOST=\"nowhere.invalid\" cannot be used";
    assert!(error.starts_with(expected) && error.contains("an address of this machine"), "{error}");
    assert_eq!(warnings, 1, "the warning about the port");
    // Without variables, the error names the argument instead.
    let taken = Server::start(PrometheusExporter::new(), "127.0.0.1", server.address().port()).unwrap_err();
    assert_eq!(taken.setting(), "port");
    assert_eq!(Server::start(PrometheusExporter::new(), "192.0.2.1", 0).unwrap_err().setting(), "host");
}
