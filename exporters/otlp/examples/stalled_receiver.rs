//! Measures a service whose receiver accepts connections and never answers, with tail sampling, over OTLP/HTTP.
//!
//! ```text
//! cargo run --release -p telemark-otlp --example stalled_receiver [CYCLES]
//! ```
//!
//! Three processes are the same service: two without telemetry, one with it, whose receiver has not answered for ten seconds when the
//! measurement begins. They take turns: each serves for half a second while the two others wait, so that all see the same machine, in an order
//! that changes with each cycle. Requests arrive at random times, the same for all three in a cycle, and keep half of the processors
//! busy; a request has a root with ten nested spans, three attributes each, and is measured from its arrival, so waiting counts. Before its
//! half second, a service runs for a quarter of a second that is not measured, so that the work of its other threads is under way.
//! Processes of the policy `SCHED_IDLE`, which yield to every other one at once, keep all processors awake, because a virtual processor
//! that has fallen asleep takes long to wake up, and the threads of telemetry would wake it up for the service.
//! Nine groups of CYCLES (12) cycles take less than five minutes. Each group yields one 99th percentile for each service.
//! Then one run with ten times as many requests, which only create spans, for the memory and the counts.
//!
//! The machine must be idle otherwise: if the service does not get the processors that it needs, requests pile up, and their times say
//! nothing. Linux with `chrt` only, because it reads the memory from `/proc`, too.
#![allow(clippy::disallowed_methods, reason = "a program that looks at the clock, with threads of its own")]

mod support;

use std::error::Error;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use telemark_otlp::OtlpExporter;
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::stages::tail::{Policy, TailSampling};
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SdkTracer;

use support::SPANS;

const GROUPS: usize = 9;
/// The time that a request takes if it waits for nothing.
const WORK: Duration = Duration::from_micros(500);
/// The fraction of the processors that the work of the requests takes.
const LOAD: f64 = 0.5;
/// The parts of a turn: first the service is not measured, then it is; in the pause nothing runs.
const LEAD: Duration = Duration::from_millis(250);
const SLICE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(100);
/// The time of the run with ten times the load.
const FLOOD: Duration = Duration::from_secs(10);
/// The limits in bytes of the queue before the stages, of the held traces, and of the queue of the exporter.
const LIMITS: [usize; 3] = [16 << 20, 32 << 20, 16 << 20];
/// The orders in which the services take their turns.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["bare", steps] => take_turns(None, steps.parse()?),
        ["stalled", steps, endpoint] => {
            let telemetry = telemetry(endpoint)?;
            let taken = take_turns(Some(&telemetry.tracer("shop")), steps.parse()?);
            // The receiver never answers, so this fails.
            let _ = telemetry.shutdown(Deadline::after(Duration::ZERO));
            taken
        }
        ["flood", endpoint] => flood(&telemetry(endpoint)?),
        ["awake"] => stay_awake(),
        [] => measure(12),
        [cycles] => measure(cycles.parse()?),
        _ => Err("the argument is the number of cycles of a group, such as 12".into()),
    }
}

/// A service in another process.
struct Service {
    process: Child,
    turns: ChildStdin,
    times: BufReader<ChildStdout>,
}

impl Service {
    /// Runs this program as the service.
    fn start(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (turns, times) = (process.stdin.take(), process.stdout.take());
        Ok(Service { process, turns: turns.ok_or("no input")?, times: BufReader::new(times.ok_or("no output")?) })
    }

    /// Lets the service run for a turn. Returns the times of the requests in microseconds.
    fn turn(&mut self, seed: usize) -> Result<Vec<f64>> {
        writeln!(self.turns, "{seed}")?;
        let mut line = String::new();
        self.times.read_line(&mut line)?;
        std::thread::sleep(PAUSE);
        Ok(line.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?)
    }

    /// Ends the service, which sees the end of its input.
    fn end(mut self) -> Result<()> {
        drop(self.turns);
        let _ = self.process.wait()?;
        Ok(())
    }
}

/// A process that keeps a processor awake until this is dropped.
struct Awake {
    process: Child,
}

impl Awake {
    fn start() -> Result<Self> {
        let mut command = Command::new("chrt");
        command.args(["--idle", "0"]).arg(std::env::current_exe()?).arg("awake").stdin(Stdio::piped());
        let process = command.spawn().map_err(|error| format!("`chrt` of util-linux cannot be run: {error}"))?;
        Ok(Awake { process })
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Keeps a processor busy until the input ends, so that a driver that fails leaves no process behind.
fn stay_awake() -> Result<()> {
    std::thread::spawn(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn measure(cycles: usize) -> Result<()> {
    let (endpoint, steps) = (stall()?, steps().to_string());
    let awake = (0..processors()).map(|_| Awake::start()).collect::<Result<Vec<_>>>()?;
    println!("p99 in µs; load average {}", load_average()?);
    let bare = || Service::start(&["bare", &steps]);
    let mut services = [bare()?, Service::start(&["stalled", &steps, &endpoint])?, bare()?];
    // Longer than the timeout of a request, so that the receiver is known to hang and the queue is full.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        services[1].turn(0)?;
    }
    println!("{:>8} {:>8} {:>8} {:>14} {:>14}", "bare", "stalled", "bare", "stalled/bare", "bare/bare");
    let (mut all, mut groups, mut slices) = ([(); 3].map(|()| Vec::new()), [vec![], vec![]], [vec![], vec![]]);
    for group in 0..GROUPS {
        let mut of_group = [(); 3].map(|()| Vec::new());
        for cycle in group * cycles..(group + 1) * cycles {
            let mut of_slice = [0.0; 3];
            for service in ORDERS[cycle % ORDERS.len()] {
                let mut times = services[service].turn(cycle)?;
                of_slice[service] = p99(&mut times)?;
                of_group[service].append(&mut times);
            }
            note(&mut slices, of_slice);
        }
        let mut of_all = [0.0; 3];
        for service in 0..3 {
            of_all[service] = p99(&mut of_group[service])?;
            all[service].append(&mut of_group[service]);
        }
        let [stalled, again] = note(&mut groups, of_all);
        println!("{:>8.0} {:>8.0} {:>8.0} {stalled:>14.3} {again:>14.3}", of_all[0], of_all[1], of_all[2]);
    }
    let mut pooled = [vec![], vec![]];
    note(&mut pooled, [p99(&mut all[0])?, p99(&mut all[1])?, p99(&mut all[2])?]);
    println!("{} requests of each service", all[0].len());
    for (kind, ratios) in [("groups", groups), ("pairs of slices", slices), ("all together", pooled)] {
        for (name, mut ratios) in ["stalled/bare", "bare/bare"].into_iter().zip(ratios) {
            ratios.sort_by(f64::total_cmp);
            let at = |part: f64| ratios[((ratios.len() - 1) as f64 * part).round() as usize];
            print!("{kind}, {name}: median {:.3}, quartiles {:.3} and {:.3}, ", at(0.5), at(0.25), at(0.75));
            println!("range {:.3} to {:.3}", at(0.0), at(1.0));
        }
    }
    services.into_iter().try_for_each(Service::end)?;
    drop(awake);
    println!("load average {}", load_average()?);
    let flood = Command::new(std::env::current_exe()?).args(["flood", &endpoint]).status()?;
    if flood.success() { Ok(()) } else { Err("the run with ten times the load failed".into()) }
}

/// Notes the ratio of the service with telemetry to the two without it, and that of those two.
fn note(ratios: &mut [Vec<f64>; 2], [bare, stalled, again]: [f64; 3]) -> [f64; 2] {
    let both = [stalled / ((bare + again) / 2.0), again / bare];
    ratios.iter_mut().zip(both).for_each(|(ratios, ratio)| ratios.push(ratio));
    both
}

fn p99(times: &mut [f64]) -> Result<f64> {
    times.sort_by(f64::total_cmp);
    Ok(*times.get(times.len() * 99 / 100).ok_or("no requests")?)
}

fn load_average() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/loadavg")?.trim().to_owned())
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
    // Not the fastest: a virtual machine may be faster for a moment than it stays, and the processors would be busy all the time.
    let mut times: Vec<_> = (0..101).map(|_| time(100_000)).collect();
    times.sort();
    (WORK.as_secs_f64() / f64::from(SPANS) / times[times.len() / 2].as_secs_f64() * 100_000.0) as u32
}

/// Never inlined, so that it is the same code with and without telemetry.
#[inline(never)]
fn work(steps: u32) {
    black_box(
        (0..steps)
            .fold(1_u64, |value, step| black_box(value.wrapping_mul(6_364_136_223_846_793_005) ^ u64::from(step))),
    );
}

fn processors() -> u64 {
    std::thread::available_parallelism().map_or(1, |number| number.get() as u64)
}

/// Returns the number of requests a second on each processor.
fn rate() -> f64 {
    LOAD / WORK.as_secs_f64()
}

/// Serves for a turn for each line of the input, which is the seed of the arrivals, and prints the times of the requests in microseconds.
fn take_turns(tracer: Option<&SdkTracer>, steps: u32) -> Result<()> {
    for line in io::stdin().lines() {
        let seed: u64 = line?.parse()?;
        let start = Instant::now();
        let times: Vec<String> = std::thread::scope(|scope| {
            let serve = |processor| move || answer(tracer, seed * processors() + processor, start, steps);
            let threads: Vec<_> = (0..processors()).map(|processor| scope.spawn(serve(processor))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        println!("{}", times.join(" "));
    }
    Ok(())
}

/// Answers the requests of one processor in a turn. Returns the measured ones' times from their arrivals to their ends.
fn answer(tracer: Option<&SdkTracer>, seed: u64, start: Instant, steps: u32) -> Vec<String> {
    // Far from zero, and different for each seed, because the first numbers of similar seeds are similar.
    let mut random = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (mut arrival, mut number) = (Duration::ZERO, 0);
    let mut times = Vec::new();
    loop {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = ((random >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        arrival += Duration::from_secs_f64(-uniform.ln() / rate());
        if arrival > LEAD + SLICE {
            return times;
        }
        std::thread::sleep(arrival.saturating_sub(start.elapsed()));
        match tracer {
            Some(tracer) => support::trace(tracer, number, &|| work(steps)),
            None => (0..SPANS).for_each(|_| work(steps)),
        }
        number += 1;
        if arrival > LEAD {
            times.push(format!("{:.1}", (start.elapsed() - arrival).as_secs_f64() * 1e6));
        }
    }
}

/// Creates the spans of ten times as many requests, and prints the memory that they have taken and how they are counted.
fn flood(telemetry: &Telemetry) -> Result<()> {
    let tracer = &telemetry.tracer("shop");
    let before = resident()?;
    let start = Instant::now();
    let made: u64 = std::thread::scope(|scope| {
        let create = move || {
            let mut made = 0_u64;
            while start.elapsed() < FLOOD {
                support::trace(tracer, made as u32, &|| ());
                made += u64::from(SPANS);
                let due = Duration::from_secs_f64(made as f64 / f64::from(SPANS) / (10.0 * rate()));
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
