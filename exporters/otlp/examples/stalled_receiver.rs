//! Measures a service whose receiver accepts connections and never answers, with tail sampling, over OTLP/HTTP.
//!
//! ```text
//! cargo run --release -p telemark-otlp --example stalled_receiver [SECONDS [LOAD]]
//! ```
//!
//! First, nine rounds of three runs: the service without telemetry, with it, and again without it. Each run is a process of its own that
//! answers requests for SECONDS (10), so the whole takes five minutes. Requests arrive at random times, the same in each run, and keep the
//! fraction LOAD (0.5) of the processors busy; a request has a root with ten nested spans, three attributes each, and is measured from its
//! arrival, so waiting counts. Then one run with ten times as many requests, which only create spans, for the memory and the counts.
//!
//! The machine must be idle otherwise: if the service does not get the processors that it needs, requests pile up without end, and their
//! times say nothing. Linux only, because it reads the memory from `/proc`.
#![allow(clippy::disallowed_methods, reason = "a program that looks at the clock, with threads of its own")]

use std::error::Error;
use std::hint::black_box;
use std::io::Read;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use telemark_otlp::OtlpExporter;
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::stages::tail::{Policy, TailSampling};
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SdkTracer;

const ROUNDS: usize = 9;
const SPANS: u32 = 11;
/// The time that a request takes if it waits for nothing.
const WORK: Duration = Duration::from_micros(500);
/// The limits in bytes of the queue before the stages, of the held traces, and of the queue of the exporter.
const LIMITS: [usize; 3] = [16 << 20, 32 << 20, 16 << 20];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A run of the service.
#[derive(Clone, Copy)]
struct Run {
    seconds: u32,
    /// The fraction of the processors that the work of the requests takes.
    load: f64,
    /// The number of steps of the work of one span.
    steps: u32,
}

impl Run {
    /// Returns the number of requests a second on each processor.
    fn rate(self) -> f64 {
        self.load / WORK.as_secs_f64()
    }

    fn lasts(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = |seconds: &str, load: &str, steps: &str| -> Result<Run> {
        Ok(Run { seconds: seconds.parse()?, load: load.parse()?, steps: steps.parse()? })
    };
    match arguments[..] {
        ["bare", seconds, load, steps, _] => serve(None, run(seconds, load, steps)?),
        ["stalled", seconds, load, steps, endpoint] => {
            let telemetry = telemetry(endpoint)?;
            serve(Some(&telemetry.tracer("shop")), run(seconds, load, steps)?)?;
            // The receiver never answers, so this fails.
            let _ = telemetry.shutdown(Deadline::after(Duration::ZERO));
            Ok(())
        }
        ["flood", seconds, load, steps, endpoint] => flood(&telemetry(endpoint)?, run(seconds, load, steps)?),
        [] => measure("10", "0.5"),
        [seconds] => measure(seconds, "0.5"),
        [seconds, load] => measure(seconds, load),
        _ => Err("the arguments are the number of seconds of a run and the load, such as 10 0.5".into()),
    }
}

fn measure(seconds: &str, load: &str) -> Result<()> {
    let (endpoint, steps) = (stall()?, steps().to_string());
    let run = |kind: &str| -> Result<f64> { Ok(output(&[kind, seconds, load, &steps, &endpoint])?.parse::<f64>()?) };
    println!("p99 in µs; load average {}", std::fs::read_to_string("/proc/loadavg")?.trim());
    println!("{:>8} {:>8} {:>8} {:>14} {:>14}", "bare", "stalled", "bare", "stalled/bare", "bare/bare");
    let (mut ratios, mut spread) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Every other round begins with telemetry, so that a machine that becomes busier favours neither.
        let (bare, stalled) = if round % 2 == 0 {
            let bare = run("bare")?;
            (bare, run("stalled")?)
        } else {
            let stalled = run("stalled")?;
            (run("bare")?, stalled)
        };
        let again = run("bare")?;
        println!("{bare:>8.0} {stalled:>8.0} {again:>8.0} {:>14.3} {:>14.3}", stalled / bare, again / bare);
        ratios.push(stalled / bare);
        spread.push(again / bare);
    }
    for (name, ratios) in [("stalled/bare", &mut ratios), ("bare/bare", &mut spread)] {
        ratios.sort_by(f64::total_cmp);
        println!("{name}: median {:.3} ({:.3} to {:.3})", ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
    }
    println!("load average {}", std::fs::read_to_string("/proc/loadavg")?.trim());
    println!("{}", output(&["flood", seconds, load, "0", &endpoint])?);
    Ok(())
}

/// Runs this program as the service, and returns what it prints.
fn output(arguments: &[&str]) -> Result<String> {
    let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Starts a receiver that reads and never answers. Returns its endpoint.
fn stall() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while connection.read(&mut bytes).is_ok_and(|read| read > 0) {}
            });
        }
    });
    Ok(endpoint)
}

fn telemetry(endpoint: &str) -> Result<Telemetry> {
    let exporter = OtlpExporter::builder().with_base_endpoint(endpoint.to_owned()).build()?;
    let tail = TailSampling::new().keep(Policy::errors()).keep(Policy::probability(0.1)).with_max_bytes(LIMITS[1]);
    Ok(Telemetry::builder(Env::from_pairs([("OTEL_METRICS_EXPORTER", "none")]))
        .with_span_batch(BatchConfig::SPANS.with_max_queue_bytes(LIMITS[0]))
        .with_span_exporter(exporter)
        .with_tail_sampling(tail)
        .build()?)
}

/// Returns the number of steps that take as long as the work of one span.
fn steps() -> u32 {
    let time = |steps: u32| {
        let start = Instant::now();
        work(steps);
        start.elapsed()
    };
    let fastest = (0..50).map(|_| time(100_000)).min().unwrap_or(WORK);
    (WORK.as_secs_f64() / f64::from(SPANS) / fastest.as_secs_f64() * 100_000.0) as u32
}

fn work(steps: u32) {
    black_box(
        (0..steps)
            .fold(1_u64, |value, step| black_box(value.wrapping_mul(6_364_136_223_846_793_005) ^ u64::from(step))),
    );
}

fn processors() -> u64 {
    std::thread::available_parallelism().map_or(1, |number| number.get() as u64)
}

/// Answers requests on each processor and prints the 99th percentile of their times in microseconds.
fn serve(tracer: Option<&SdkTracer>, run: Run) -> Result<()> {
    let start = Instant::now();
    let mut times: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..processors()).map(|seed| scope.spawn(move || answer(tracer, seed, start, run))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    times.sort_by(f64::total_cmp);
    println!("{}", times.get(times.len() * 99 / 100).ok_or("no requests")? * 1e6);
    Ok(())
}

/// Answers the requests of one processor. Returns the time of each in seconds, from its arrival to its end.
fn answer(tracer: Option<&SdkTracer>, seed: u64, start: Instant, run: Run) -> Vec<f64> {
    let mut random = seed + 1;
    let mut arrival = Duration::ZERO;
    let mut times = Vec::new();
    while arrival < run.lasts() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = ((random >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        arrival += Duration::from_secs_f64(-uniform.ln() / run.rate());
        std::thread::sleep(arrival.saturating_sub(start.elapsed()));
        match tracer {
            Some(tracer) => nested(tracer, &Context::new(), SPANS, run.steps),
            None => (0..SPANS).for_each(|_| work(run.steps)),
        }
        times.push((start.elapsed() - arrival).as_secs_f64());
    }
    times
}

fn nested(tracer: &SdkTracer, parent: &Context, left: u32, steps: u32) {
    let context = parent.with_span(tracer.start_with_context("checkout step", parent));
    context.span().set_attribute(KeyValue::new("customer.name", "Ada Lovelace"));
    context.span().set_attribute(KeyValue::new("cart.items", i64::from(left)));
    context.span().set_attribute(KeyValue::new("cart.gift", left % 2 == 0));
    work(steps);
    if left > 1 {
        nested(tracer, &context, left - 1, steps);
    }
}

/// Creates the spans of ten times as many requests, and prints the memory that they have taken and how they are counted.
fn flood(telemetry: &Telemetry, run: Run) -> Result<()> {
    let tracer = &telemetry.tracer("shop");
    let before = resident()?;
    let start = Instant::now();
    let made: u64 = std::thread::scope(|scope| {
        let create = move || {
            let mut made = 0_u64;
            while start.elapsed() < run.lasts() {
                nested(tracer, &Context::new(), SPANS, run.steps);
                made += u64::from(SPANS);
                let due = Duration::from_secs_f64(made as f64 / f64::from(SPANS) / (10.0 * run.rate()));
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
            made
        };
        let threads: Vec<_> = (0..processors()).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
    });
    let rate = made as f64 / start.elapsed().as_secs_f64();
    let grown = peak()? - before;
    // The receiver never answers, so this fails.
    let _ = telemetry.shutdown(Deadline::after(Duration::from_secs(5)));
    println!("at ten times the load: {made} spans, {rate:.0} a second");
    let bound = LIMITS.iter().sum::<usize>() / 1024;
    println!("memory: grown by at most {grown} KiB; the limits are {bound} KiB");
    // What was on its way is counted once its request has timed out.
    let start = Instant::now();
    while counted(telemetry) < made && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{:?}", telemetry.health().traces);
    let counted = counted(telemetry);
    println!("counted: {counted} of {made}, {}", if counted == made { "every span once" } else { "WRONG" });
    println!("{:?}", telemetry.health().tail);
    Ok(())
}

/// Returns the number of spans that were exported or lost.
fn counted(telemetry: &Telemetry) -> u64 {
    let ends = telemetry.health().traces.into_iter().map(|health| {
        let dropped = health.dropped_queue_full + health.dropped_queue_bytes_full + health.dropped_after_shutdown;
        health.exported + health.failed + health.rejected + dropped + health.dropped_by_stage
    });
    ends.sum()
}

/// Returns the memory of this process, in KiB.
fn resident() -> Result<usize> {
    status("VmRSS:")
}

/// Returns the largest memory that this process had, in KiB.
fn peak() -> Result<usize> {
    status("VmHWM:")
}

fn status(name: &str) -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("Linux only")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
