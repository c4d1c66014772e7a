//! Measures what tail sampling costs beside exporting everything, in CPU time of the threads of this process, over OTLP/HTTP.
//!
//! ```text
//! cargo run --release -p telemark-otlp --example tail_cost
//! ```
//!
//! Traces are a root with ten nested spans and three attributes each. The receiver is another process. A hundredth of the traces is kept.
//! With the argument `behind-a-stage`, both go through a stage of the program first, which looks at each span and changes nothing.
//! Linux only, because it reads the time of each thread from `/proc`.

mod support;

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use telemark_otlp::OtlpExporter;
use telemark_sdk::batch::{Stage, Verdict};
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::signal::Traces;
use telemark_sdk::stages::tail::{Policy, TailSampling};
use telemark_sdk::trace::{SdkTracer, SpanData};

const ROUNDS: usize = 5;
const BURSTS: u32 = 400;
const TRACES: u32 = 40;

/// A stage of the program.
struct Glance;

impl Stage<Traces> for Glance {
    fn process(&mut self, span: &mut SpanData) -> Verdict {
        if span.own_attributes.iter().any(|attribute| attribute.key.as_str() == "card.number") {
            return Verdict::Drop;
        }
        Verdict::Keep
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("receive") {
        receive();
        return Ok(());
    }
    let is_behind = argument.as_deref() == Some("behind-a-stage");
    let (mut receiver, endpoint) = start_receiver()?;
    println!("CPU time in ns a span, {} spans a run", BURSTS * TRACES * support::SPANS);
    println!("{:>20} {:>20} {:>20} {:>20}", "export: foreground", "beyond", "1 % kept: foreground", "beyond");
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (all, tail) = (run(&endpoint, false, is_behind)?, run(&endpoint, true, is_behind)?);
        // The hundredth that is kept costs what an export costs.
        let dropped = (tail[1] - 0.01 * all[1]) / 0.99;
        ratios.push((tail[0] / all[0], dropped / all[1]));
        println!("{:20.0} {:20.0} {:20.0} {:20.0}", all[0], all[1], tail[0], tail[1]);
    }
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut sorted: Vec<_> = ratios.iter().map(of).collect();
        sorted.sort_by(f64::total_cmp);
        sorted[ROUNDS / 2]
    };
    println!("foreground, against exporting: {:.2}", median(|ratio| ratio.0));
    println!("beyond the foreground, a dropped span against an exported one: {:.2}", median(|ratio| ratio.1));
    receiver.kill()?;
    Ok(())
}

/// Returns the CPU time of this thread and of the others, for each span.
fn run(endpoint: &str, is_tail: bool, is_behind: bool) -> Result<[f64; 2], Box<dyn Error>> {
    let exporter = OtlpExporter::builder().with_base_endpoint(endpoint.to_owned()).build()?;
    let mut builder =
        Telemetry::builder(Env::from_pairs([("OTEL_METRICS_EXPORTER", "none")])).with_span_exporter(exporter);
    if is_behind {
        builder = builder.with_span_stage(Glance);
    }
    if is_tail {
        builder =
            builder.with_tail_sampling(TailSampling::new().keep(Policy::errors()).keep(Policy::probability(0.01)));
    }
    let telemetry = builder.build()?;
    let tracer = telemetry.tracer("shop");
    load(&tracer, BURSTS / 10);
    let _ = telemetry.flush(Duration::from_secs(10));
    let before = [own(), all()];
    load(&tracer, BURSTS);
    let own = own() - before[0];
    let _ = telemetry.flush(Duration::from_secs(10));
    let others = all() - before[1] - own;
    let health = telemetry.health().traces;
    let lost: u64 = health.iter().map(|health| health.dropped_queue_full + health.failed).sum();
    if lost > 0 {
        println!("{lost} spans were lost");
    }
    let spans = f64::from(BURSTS * TRACES * support::SPANS);
    Ok([own / spans, others / spans])
}

fn load(tracer: &SdkTracer, bursts: u32) {
    for _ in 0..bursts {
        for trace in 0..TRACES {
            support::trace(tracer, trace, &|| ());
        }
        std::thread::sleep(Duration::from_millis(4));
    }
}

/// Returns the CPU time of this thread in nanoseconds.
fn own() -> f64 {
    on_cpu("/proc/thread-self/schedstat")
}

/// Returns the CPU time of all threads in nanoseconds.
fn all() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    threads.flatten().filter_map(|thread| Some(on_cpu(thread.path().join("schedstat").to_str()?))).sum()
}

fn on_cpu(path: &str) -> f64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0.0)
}

/// Starts this program as the receiver.
fn start_receiver() -> io::Result<(Child, String)> {
    let mut child = Command::new(std::env::current_exe()?).arg("receive").stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    if let Some(output) = child.stdout.take() {
        let _ = BufReader::new(output).read_line(&mut address);
    }
    Ok((child, format!("http://{}", address.trim())))
}

fn receive() {
    let Ok(listener) = TcpListener::bind("127.0.0.1:0") else { return };
    if let Ok(address) = listener.local_addr() {
        println!("{address}");
    }
    for connection in listener.incoming().flatten() {
        let _ = answer(connection);
    }
}

/// Answers requests until the connection is closed.
fn answer(connection: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut writer = connection;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            length = line.strip_prefix("content-length:").and_then(|text| text.trim().parse().ok()).unwrap_or(length);
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")?;
    }
}
