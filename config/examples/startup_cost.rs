//! Measures how long telemetry takes to start, the first time in the process and in the median: with the defaults of the variables, and
//! with a file.
//!
//! `cargo run --release -p telemark-config --example startup_cost -- examples/telemark.yaml`
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement")]

use std::path::Path;
use std::time::{Duration, Instant};

use telemark_sdk::config::Env;
use telemark_sdk::install::{Components, Factory, Pipeline, Telemetry};
use telemark_sdk::testing::InMemoryExporter;

static COMPONENTS: Components = Components::NONE
    .with_span_exporters(&[
        Factory::new("otlp", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_variables(),
        Factory::new("otlp_http", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_files(),
    ])
    .with_log_exporters(&[
        Factory::new("otlp", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_variables(),
        Factory::new("otlp_http", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_files(),
    ])
    .with_metric_exporters(&[
        Factory::new("otlp", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_variables(),
        Factory::new("otlp_http", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_files(),
    ])
    .with_config_files(Ok(telemark_config::read));

/// Returns the time that the first start takes, without the end, and the median.
fn measured(variables: &[(&str, &str)]) -> [Duration; 2] {
    let mut times: Vec<_> = (0..101)
        .map(|_| {
            let env = Env::from_pairs(variables.iter().copied());
            let started = Instant::now();
            let telemetry = Telemetry::builder(env).with_components(&COMPONENTS).build().unwrap();
            let time = started.elapsed();
            drop(telemetry);
            time
        })
        .collect();
    let first = times[0];
    times.sort_unstable();
    [first, times[50]]
}

fn main() {
    let file = std::env::args().nth(1).unwrap();
    // Before anything else, so that the first start pays for what the process does only once.
    println!("defaults {:?}", measured(&[]));
    let env = Env::from_pairs([("", "")]);
    let started = Instant::now();
    for _ in 0..100 {
        telemark_config::read(Path::new(&file), &env).unwrap();
    }
    println!("parsing {:?}", started.elapsed() / 100);
    println!("with a file {:?}", measured(&[("OTEL_CONFIG_FILE", &file)]));
}
