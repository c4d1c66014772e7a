//! A shop: three services and a database in one process, and a visitor that sends real requests.
//!
//! ```text
//! visitor ──HTTP──▶ shop ──HTTP──▶ inventory ──gRPC──▶ warehouse
//!                    └──SQL──▶ SQLite in memory, or PostgreSQL
//! ```
//!
//! The code logs with `tracing`. Each event is a line on standard error as soon as it happens, and a log record of its trace.
//!
//! - `cargo run --example shop`: traces as trees, with their log records, in the terminal
//! - `RUST_LOG=off cargo run --example shop`: the same without the lines; the records remain
//! - `cargo run --example shop -- --serve`: the same, then keeps serving your requests until Ctrl-C, and prints the link to a viewer of
//!   the shop's telemetry
//! - `DATABASE_URL=postgres://user@localhost/database cargo run --example shop`: with PostgreSQL, in temporary tables
//! - `OTEL_TRACES_EXPORTER=otlp OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp cargo run --example shop`: exports to a receiver at
//!   `http://localhost:4318`
//! - `OTEL_CONFIG_FILE=examples/presets/production.yaml cargo run --example shop`: exports what a configuration file says

mod inventory;
mod metrics;
mod shop;
mod store;
mod visitor;
mod warehouse;

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use store::Store;
use telemark::config::Env;
use telemark::console::{ConsoleLogExporter, ConsoleTraceExporter};
use telemark::prometheus::PrometheusExporter;
use telemark::time::Deadline;
use telemark::tracing::fmt::{Format, LineLayer, install_lines};
use warehouse::Warehouse;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let prometheus = PrometheusExporter::new();
    let serves = std::env::args().any(|argument| argument == "--serve");
    let telemetry = telemetry(&prometheus, serves)?;
    // Text for people. With `builder.with_instrumentation(telemark::tracing::install)` instead, the lines are JSON.
    install_lines(telemark::tracing::layer(), LineLayer::new(Format::Text));

    let warehouse = Warehouse::at(warehouse::serve().await?)?;
    let inventory = serve(inventory::app(warehouse)).await?;
    let store = Store::open(Env::process().string("DATABASE_URL").as_deref()).await?;
    let shop = shop::app(store, inventory).merge(metrics::page(prometheus.clone()));
    let shop = serve(shop).await?;

    let unexpected = visitor::visit(shop).await;
    // If spans cannot be delivered, the reason has been written to standard error by this point.
    let are_delivered = telemetry.force_flush(Deadline::after(Duration::from_secs(5))).is_ok();
    metrics::follow_an_exemplar(&prometheus);

    if serves {
        println!(
            "\nThe shop is open at http://{shop}/products, its metrics at /metrics, until Ctrl-C; traces follow some seconds later."
        );
        if let Some(link) = telemark::viewer() {
            println!("See its traces, metrics and logs at {link}");
        }
        std::future::pending().await
    }
    Ok(if unexpected == 0 && are_delivered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts the telemetry from a configuration file, or from the environment with different defaults: traces and log records are printed to
/// the terminal, and metrics are shown on the Prometheus page. A shop that keeps serving has a viewer too.
fn telemetry(prometheus: &PrometheusExporter, serves: bool) -> Result<telemark::Guard, telemark::ConfigError> {
    if serves {
        let builder = telemark::builder().with_env(with_viewer()).with_service_name("shop");
        return builder.with_additional_metric_reader(prometheus.reader()).init();
    }
    let env = Env::process();
    let mut builder = telemark::builder().with_service_name("shop");
    if env.string("OTEL_CONFIG_FILE").is_some() {
        // Exporters in code would take the place of those in the file.
        return builder.with_additional_metric_reader(prometheus.reader()).init();
    }
    if env.string("OTEL_TRACES_EXPORTER").is_none() {
        builder = builder.with_span_exporter(ConsoleTraceExporter::stdout());
    }
    if env.string("OTEL_LOGS_EXPORTER").is_none() {
        builder = builder.with_log_exporter(ConsoleLogExporter::stdout());
    }
    if env.string("OTEL_METRICS_EXPORTER").is_none() {
        builder = builder.with_metric_reader(prometheus.reader());
    }
    builder.init()
}

/// Returns the environment, in which the viewer is an exporter of each signal unless other exporters are selected.
fn with_viewer() -> Env {
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut variables: BTreeMap<_, _> = variables.collect();
    for (name, exporters) in [
        ("OTEL_TRACES_EXPORTER", "console,viewer"),
        ("OTEL_LOGS_EXPORTER", "console,viewer"),
        ("OTEL_METRICS_EXPORTER", "viewer"),
    ] {
        variables.entry(name.to_owned()).or_insert_with(|| exporters.into());
    }
    Env::from_pairs(variables)
}

/// Serves `app` on a free port until the program ends.
async fn serve(app: Router) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    // Connect info gives the request spans the client's address.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
