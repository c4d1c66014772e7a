//! Measures a full store under load: `cargo run --release -p telemark-viewer --example load [SECONDS] [SPANS A SECOND]`.
//!
//! Fills a store of 256 MiB, then adds spans at a fixed rate while a client asks for what the page shows, every 500 ms.
//! Prints the time of each request, the share of a core that adding takes, and the memory.
//!
//! With a third argument, the path of the program `telemark-viewer`, starts that program and sends it the spans over OTLP.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::cast_precision_loss, reason = "a measurement")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use telemark_serve::bind;
use telemark_viewer::model::{Attribute, Dropped, Kind, Record, Resource, Scope, Span, SpanId, Status, TraceId, Value};
use telemark_viewer::{Limits, Store, Viewer};

const SPANS_OF_A_TRACE: u64 = 10;
const BATCH: u64 = 500;
const REQUESTS: [&str; 8] = [
    "/status.json",
    "/traces.json?limit=200",
    "/traces.json?q=status:error&limit=200",
    "/traces.json?q=http.route%3D%2Forders%20%3E1ms",
    "/records.json?q=%3E%3Dwarn",
    "/findings.json",
    "/map.json",
    "/instruments.json",
];

fn main() {
    if let Some(program) = std::env::args().nth(3) {
        return program::run(&program);
    }
    let (seconds, rate) = arguments();
    let store = Store::new(Limits::default());
    let viewer = Viewer::builder(store.clone()).start(bind("127.0.0.1", 0).unwrap()).unwrap();
    let (is_full, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let adding = {
        let (store, is_full, ends) = (store.clone(), is_full.clone(), ends.clone());
        thread::spawn(move || {
            let (mut next, mut first) = (1, 1);
            let (mut started, mut cpu) = (Instant::now(), thread_time());
            while !ends.load(Ordering::Relaxed) {
                next = add(&store, next);
                if is_full.load(Ordering::Relaxed) {
                    let due = Duration::from_secs_f64((next - first) as f64 / rate as f64);
                    thread::sleep(due.saturating_sub(started.elapsed()));
                } else {
                    (first, started, cpu) = (next, Instant::now(), thread_time());
                }
            }
            let passed = started.elapsed().as_secs_f64();
            (thread_time() - cpu) / passed * 100.0
        })
    };
    while store_used(viewer.address()) < 250 << 20 {
        thread::sleep(Duration::from_millis(50));
    }
    is_full.store(true, Ordering::Relaxed);
    println!("the store is full; resident {}", resident("/proc/self"));

    let times = ask(viewer.address(), seconds, Some(&server_thread()));
    ends.store(true, Ordering::Relaxed);
    println!(
        "adding {rate} spans a second took {:.1} % of a core; resident {}",
        adding.join().unwrap(),
        resident("/proc/self")
    );
    print(&times);
    println!("{}", get(viewer.address(), "/status.json"));
}

/// The times and processor times of requests.
type Times = BTreeMap<&'static str, Vec<(Duration, Duration)>>;

/// Asks for what the page shows, every 500 ms. `server` has the statistics of the thread that responds, if it is in this process.
fn ask(address: SocketAddr, seconds: u64, server: Option<&str>) -> Times {
    let mut times = Times::new();
    let began = Instant::now();
    while began.elapsed().as_secs() < seconds {
        let turn = Instant::now();
        for target in REQUESTS {
            let (sent, cpu) = (Instant::now(), server.map_or(0.0, processor_time));
            get(address, target);
            let cpu = Duration::from_secs_f64(server.map_or(0.0, processor_time) - cpu);
            times.entry(target).or_default().push((sent.elapsed(), cpu));
        }
        thread::sleep(Duration::from_millis(500).saturating_sub(turn.elapsed()));
    }
    times
}

fn print(times: &Times) {
    for (target, times) in times {
        println!("{target}: {} requests", times.len());
        line("time", times.iter().map(|(time, _)| *time).collect());
        // That of another process is not known.
        if times.iter().any(|(_, cpu)| !cpu.is_zero()) {
            line("processor time", times.iter().map(|(_, cpu)| *cpu).collect());
        }
    }
}

/// Returns the number of seconds and the number of spans a second.
fn arguments() -> (u64, u64) {
    let argument =
        |at: usize, default: u64| std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    (argument(1, 60), argument(2, 20_000))
}

/// The program as a process of its own, which receives the spans over OTLP.
mod program {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use opentelemetry::KeyValue;
    use opentelemetry::trace::{SpanKind, TraceContextExt, Tracer};
    use telemark_otlp::OtlpExporter;
    use telemark_sdk::config::Env;
    use telemark_sdk::install::Telemetry;
    use telemark_sdk::signal::Traces;
    use telemark_sdk::trace::SdkTracer;

    use super::*;

    pub(super) fn run(program: &str) {
        let (seconds, rate) = arguments();
        let options = ["--listen", "127.0.0.1:0", "--otlp-grpc", "none", "--otlp-http", "127.0.0.1:0"];
        let mut child = Command::new(program).args(options).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let mut address =
            || lines.next().unwrap().rsplit_once(" at ").unwrap().1.replace("http://", "").replace('/', "");
        let (otlp, page) = (address(), address().parse().unwrap());
        let exporter =
            OtlpExporter::<Traces>::builder().with_endpoint(format!("http://{otlp}/v1/traces")).build().unwrap();
        let env = Env::from_pairs([
            ("OTEL_SERVICE_NAME", "load"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100000"),
        ]);
        let telemetry = Telemetry::builder(env).with_span_exporter(exporter).build().unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let sending = {
            let (telemetry, ends) = (telemetry.tracer("load"), ends.clone());
            thread::spawn(move || {
                let (started, mut sent) = (Instant::now(), 0);
                while !ends.load(Ordering::Relaxed) {
                    trace(&telemetry, sent);
                    sent += SPANS_OF_A_TRACE;
                    if sent % BATCH == 0 {
                        let due = Duration::from_secs_f64(sent as f64 / rate as f64);
                        thread::sleep(due.saturating_sub(started.elapsed()));
                    }
                }
                sent
            })
        };
        // Fills the store first.
        while store_used(page) < 250 << 20 {
            thread::sleep(Duration::from_millis(500));
        }
        let process = format!("/proc/{}", child.id());
        println!("the store is full; resident {}", resident(&process));
        let times = ask(page, seconds, None);
        ends.store(true, Ordering::Relaxed);
        println!("{} spans were sent; resident {}", sending.join().unwrap(), resident(&process));
        print(&times);
        println!("{:?}", telemetry.health().traces);
        println!("{}", get(page, "/status.json"));
        child.kill().unwrap();
        child.wait().unwrap();
        drop(telemetry);
    }

    fn trace(tracer: &SdkTracer, number: u64) {
        let root = tracer.span_builder("POST /orders").with_kind(SpanKind::Server);
        let root = root.with_attributes([
            KeyValue::new("http.request.method", "POST"),
            KeyValue::new("http.route", "/orders"),
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("user.id", number.to_string()),
        ]);
        let context = opentelemetry::Context::new().with_span(tracer.build(root));
        for name in
            ["charge", "SELECT orders", "publish", "charge", "SELECT orders", "publish", "charge", "read", "write"]
        {
            let child = tracer.span_builder(name).with_attributes([KeyValue::new("server.address", "orders.internal")]);
            drop(tracer.build_with_context(child, &context));
        }
    }
}

fn line(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("    {name}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", at(0.5), at(0.99), at(1.0));
}

/// Adds a batch of traces, with a log record for each, and returns the next number.
fn add(store: &Store, first: u64) -> u64 {
    let names = store.interner();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let text = |text: &str| Value::String(text.into());
    let spans = (first..first + BATCH).map(|number| {
        let position = (number - 1) % SPANS_OF_A_TRACE;
        let service = ["gateway", "orders", "payments", "catalog"][position as usize % 4];
        let attributes = [("service.name", text(service)), ("host.name", text("laptop"))];
        let attributes = attributes.map(|(key, value)| Attribute { key: names.text(key), value });
        let resource = names.resource(Resource { service: names.text(service), attributes: attributes.into() });
        let attributes = [
            ("http.request.method", text("POST")),
            ("http.route", text(["/orders", "/users/{id}", "/health"][(number / SPANS_OF_A_TRACE) as usize % 3])),
            ("http.response.status_code", Value::Int(200)),
            ("server.address", text("orders.internal")),
            ("user.id", text(&number.to_string())),
        ];
        Span {
            trace_id: TraceId(u128::from((number - 1) / SPANS_OF_A_TRACE + 1) << 64 | 1),
            span_id: SpanId(number),
            parent: SpanId(if position == 0 { 0 } else { number - 1 }),
            name: names.text(["POST /orders", "charge", "SELECT orders", "publish"][position as usize % 4]),
            kind: if position % 2 == 0 { Kind::Server } else { Kind::Client },
            start: now + position * 1_000_000,
            end: now + 40_000_000 - position * 1_000_000,
            status: if number % 997 == 0 { Status::Error(names.text("failed")) } else { Status::Unset },
            trace_state: names.text(""),
            attributes: attributes.map(|(key, value)| Attribute { key: names.text(key), value }).into(),
            events: Box::default(),
            links: Box::default(),
            dropped: Dropped::default(),
            resource,
            scope: names.scope(Scope { name: names.text("load"), version: names.text(""), attributes: Box::default() }),
        }
    });
    let spans: Vec<Span> = spans.collect();
    let records = spans.iter().step_by(SPANS_OF_A_TRACE as usize).map(|span| Record {
        time: span.start,
        severity: if span.span_id.0 % 31 == 0 { 13 } else { 9 },
        severity_text: names.text("INFO"),
        body: text("an order was placed"),
        event_name: names.text(""),
        trace_id: span.trace_id,
        span_id: span.span_id,
        attributes: Box::default(),
        dropped_attributes: 0,
        resource: span.resource.clone(),
        scope: span.scope.clone(),
    });
    store.add_records(records.collect());
    store.add_spans(spans);
    first + BATCH
}

fn store_used(address: SocketAddr) -> u64 {
    let status = get(address, "/status.json");
    let used = status.split("\"used\":").nth(1).unwrap();
    used.split([',', '}']).next().unwrap().parse().unwrap()
}

fn get(address: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Returns the processor time of this thread, in seconds.
fn thread_time() -> f64 {
    processor_time("/proc/thread-self/schedstat")
}

fn processor_time(path: &str) -> f64 {
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// Returns the statistics of the server's thread.
fn server_thread() -> String {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let mut named = threads.filter(|path| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with("telemark-viewer"))
    });
    named.next().unwrap().join("schedstat").to_string_lossy().into_owned()
}

fn resident(process: &str) -> String {
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default().trim().to_owned()
}
