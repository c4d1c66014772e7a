//! The host's requests never wait for a receiver, regardless of its state, and undelivered spans are counted.
#![allow(clippy::unwrap_used, reason = "test helpers")]
#![allow(clippy::disallowed_methods, reason = "tests that look at the clock")]

use std::fmt;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::Request;
use axum::routing::get;
use opentelemetry::Context;
use opentelemetry::trace::FutureExt;
use telemark::diag::SignalHealth;
use telemark::otlp::OtlpExporter;
use telemark::traced;
use telemark_sdk::Resource;
use telemark_sdk::batch::SimpleProcessor;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::runtime::Runtime;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::active;
use telemark_tests::{Script, Sink, own_time};
use tower::ServiceExt;

const REQUESTS: u64 = 3_000;
/// Each request has three spans: one from the layer, one for `work`, and one below it.
const SPANS: u64 = 3 * REQUESTS;

async fn handler(Path(id): Path<u64>) -> String {
    work(id).await
}

#[traced(fields(id))]
async fn work(id: u64) -> String {
    telemark::span("inner").with("id", id).in_scope(|| id.to_string())
}

/// The outcome of the requests.
#[derive(Debug)]
struct Served {
    durations: Vec<Duration>,
    /// The number of voluntary context switches on the serving thread, that is, how often the thread waited. `None` if
    /// the system does not report them.
    waits: Option<u64>,
    health: SignalHealth,
}

impl Served {
    fn median(&self) -> Duration {
        self.durations[self.durations.len() / 2]
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, longest) = (self.median(), self.durations.last());
        write!(f, "median {median:?}, longest {longest:?}, waits {:?}, {:?}", self.waits, self.health)
    }
}

/// Serves the requests one after another on this thread while the telemetry exports their spans.
fn serve(telemetry: &Telemetry) -> Served {
    serve_and(telemetry, |_| {})
}

/// Does the same, and calls `between` before each request, which is not part of its duration.
fn serve_and(telemetry: &Telemetry, between: impl Fn(u64)) -> Served {
    let router = Router::new().route("/jobs/{id}", get(handler)).layer(telemark::axum::layer());
    let context = active::with_tracer(&Context::new(), telemetry.tracer("latency"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let requests = async {
        let mut durations = Vec::new();
        let before = voluntary_switches();
        for id in 0..REQUESTS {
            between(id);
            let request = Request::get(format!("/jobs/{id}")).body(Body::empty()).unwrap();
            let start = own_time();
            let response = router.clone().oneshot(request).await.unwrap();
            let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
            durations.push(own_time().saturating_sub(start));
            assert_eq!(body, id.to_string());
        }
        let waits = voluntary_switches().zip(before).map(|(after, before)| after - before);
        durations.sort();
        Served { durations, waits, health: health(telemetry) }
    };
    runtime.block_on(requests.with_context(context))
}

fn health(telemetry: &Telemetry) -> SignalHealth {
    let [health] = telemetry.health().traces[..] else { unreachable!("one exporter") };
    health
}

fn counted(health: &SignalHealth) -> u64 {
    health.exported + health.rejected + health.failed + health.dropped_queue_full + health.dropped_after_shutdown
}

/// Reads the kernel's counter for this thread.
fn voluntary_switches() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

/// Uses small limits, so that the queue fills up and many exports fail in a short run.
fn telemetry(endpoint: &str, protocol: &str) -> Telemetry {
    telemetry_with_timeout(endpoint, protocol, "100")
}

fn telemetry_with_timeout(endpoint: &str, protocol: &str, milliseconds: &'static str) -> Telemetry {
    let env = Env::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", milliseconds),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "512"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "128"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ]);
    telemark::builder().with_env(env).build().unwrap()
}

/// Shuts down and waits until every span is counted. Spans still queued at the deadline are counted shortly afterwards.
fn end(telemetry: &Telemetry) -> SignalHealth {
    // In most of these tests, not everything can be delivered.
    end_within(telemetry, Duration::from_millis(300))
}

fn end_within(telemetry: &Telemetry, timeout: Duration) -> SignalHealth {
    drop(telemetry.shutdown(Deadline::after(timeout)));
    let start = Instant::now();
    loop {
        let health = health(telemetry);
        if counted(&health) == SPANS {
            return health;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{} of {SPANS} are counted: {health:?}", counted(&health));
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Serves the requests with a receiver that responds immediately.
fn healthy() -> Served {
    let sink = Sink::start(Script::Take).unwrap();
    // On a busy machine, a healthy receiver may take longer than the exports to a faulty one may take.
    let telemetry = telemetry_with_timeout(&sink.endpoint(), "http/protobuf", "20000");
    let served = serve(&telemetry);
    let health = end_within(&telemetry, Duration::from_secs(20));
    assert_eq!(health.failed, 0, "{health:?}");
    assert_eq!(sink.spans().len() as u64, health.exported);
    served
}

/// Compares the requests with those served with a healthy receiver. The time in which a request waited for a CPU does not count, and the
/// number of waits does not depend on time.
#[track_caller]
fn check_not_slower(what: &str, served: &Served) {
    let healthy = healthy();
    let report = format!("{what}: {served}\nhealthy: {healthy}");
    println!("{report}\n");
    assert!(served.median() < healthy.median() * 5 + Duration::from_millis(1), "{report}");
    let slow = |served: &Served| served.durations.iter().filter(|one| **one > Duration::from_millis(50)).count();
    assert!(slow(served) <= slow(&healthy) + 5, "{report}");
    if let Some((waits, usual)) = served.waits.zip(healthy.waits) {
        // Allows for a lock that the worker briefly holds. Requests that waited for exports would add thousands of waits.
        assert!(waits <= usual + REQUESTS / 20, "{report}");
    }
}

#[track_caller]
fn check_faulty(what: &str, endpoint: &str, protocol: &str) -> SignalHealth {
    let telemetry = telemetry(endpoint, protocol);
    let served = serve(&telemetry);
    assert_eq!(served.health.exported, 0, "{what}: every request was served, and nothing has been delivered");
    let health = end(&telemetry);
    assert_eq!((health.exported, health.rejected), (0, 0), "{what}: {health:?}");
    assert!(health.failed > 0, "{what}: {health:?}");
    check_not_slower(what, &served);
    health
}

/// Shows that the number of waits detects waiting requests: here, every span waits for its own export.
#[cfg(target_os = "linux")]
#[test]
fn the_measure_sees_requests_that_wait() {
    let sink = Sink::start(Script::Take).unwrap();
    let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "none")]);
    let exporter = OtlpExporter::<Traces>::builder().with_base_endpoint(sink.endpoint()).build().unwrap();
    let processor = SimpleProcessor::start(exporter, Resource::empty(), &Runtime::Thread).unwrap();
    let telemetry = telemark::builder().with_env(env).with_span_processor(processor).build().unwrap();
    let served = serve(&telemetry);
    assert!(served.waits.unwrap() >= SPANS / 2, "{served}");
    assert_eq!(sink.spans().len() as u64, SPANS);
}

#[test]
fn a_receiver_that_is_not_there() {
    check_faulty("refused over http", Sink::NOBODY, "http/protobuf");
    check_faulty("refused over grpc", Sink::NOBODY, "grpc");
}

#[test]
fn a_receiver_that_never_answers() {
    let sink = Sink::start(Script::Silence).unwrap();
    let health = check_faulty("silence", &sink.endpoint(), "http/protobuf");
    assert!(sink.seen() > 0 && health.dropped_queue_full > 0, "{health:?}");
    // The kernel accepts the connection, but no program reads from it.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    check_faulty("nobody accepts", &format!("http://{}", listener.local_addr().unwrap()), "grpc");
}

#[test]
fn a_receiver_that_closes_the_connection() {
    let sink = Sink::start(Script::Close).unwrap();
    check_faulty("closed", &sink.endpoint(), "http/json");
    assert!(sink.seen() > 0);
}

#[test]
fn a_receiver_that_is_overloaded_or_refuses() {
    for status in [503, 400, 301] {
        let sink = Sink::start(Script::Status(status)).unwrap();
        let telemetry = telemetry(&sink.endpoint(), "http/protobuf");
        let served = serve(&telemetry);
        let health = end(&telemetry);
        assert_eq!((health.exported, health.rejected), (0, 0), "{status}: {health:?}");
        assert!(health.failed > 0, "{status}: {health:?}");
        check_not_slower(&format!("status {status}"), &served);
    }
}

#[test]
fn a_receiver_that_is_slow() {
    let sink = Sink::start(Script::TakeHeld).unwrap();
    let telemetry = telemetry_with_timeout(&sink.endpoint(), "http/protobuf", "20000");
    // At most 30 exports of 128 spans end meanwhile, so the queue fills up.
    let served = serve_and(&telemetry, |id| sink.let_through(usize::from(id % 100 == 0)));
    sink.let_through(1_000_000);
    let health = end_within(&telemetry, Duration::from_secs(20));
    assert!(health.exported > 0 && health.failed == 0 && health.dropped_queue_full > 0, "{health:?}");
    assert_eq!(sink.spans().len() as u64, health.exported);
    check_not_slower("slow", &served);
}
