//! Starts, ends and exports spans without any stage, on one thread, so that a simulator can count instructions.
//!
//! ```text
//! cargo build --release -p telemark-otlp --example span_instructions
//! valgrind --tool=callgrind target/release/examples/span_instructions 10000
//! valgrind --tool=callgrind target/release/examples/span_instructions 20000
//! ```
//!
//! The argument is the number of traces, each a root with ten nested spans and three attributes each. The difference of two runs, divided
//! by the difference of their spans, is the cost of a span.

mod support;

use std::error::Error;
use std::time::Duration;

use telemark_otlp::JsonLinesExporter;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Traces;

fn main() -> Result<(), Box<dyn Error>> {
    let traces: u32 = std::env::args().nth(1).as_deref().unwrap_or("1000").parse()?;
    let runtime = ManualRuntime::new();
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_METRICS_EXPORTER", "none")]))
        .with_runtime(Runtime::Manual(runtime.clone()))
        .with_span_exporter(JsonLinesExporter::<Traces>::to_file("/dev/null")?)
        .build()?;
    let tracer = telemetry.tracer("shop");
    for trace in 0..traces {
        support::trace(&tracer, trace, &|| ());
        runtime.run_woken();
    }
    telemetry.flush(Duration::from_secs(10))?;
    let health = telemetry.health().traces;
    let exported: u64 = health.iter().map(|health| health.exported).sum();
    println!("{exported} spans were exported");
    Ok(())
}
