//! A flood of log records while the receiver is down: memory, the cost for the host, and the account of every record.

use std::net::TcpListener;
use std::time::Duration;

use opentelemetry::logs::{LogRecord, Logger, Severity};
use telemark::Guard;
use telemark::config::Env;
use telemark::time::Deadline;

use crate::Failure;
use crate::clock::thread_cpu;
use crate::reading::Reading;
use crate::scenarios::{Layout, Run, Scenario};
use crate::sink;

const LOGGER: &str = "telemark logger";

pub(crate) static SCENARIO: Scenario = Scenario {
    name: "flood",
    about: "One million log records with a body and two attributes as fast as one thread can emit them, while nothing listens \
            at the endpoint. Then the receiver starts, a few more records follow, and every record is accounted for.",
    subjects: &[LOGGER],
    regimes: crate::scenarios::ONE_REGIME,
    layout: Layout::OneTable,
    reference: LOGGER,
    measure,
};

const RECORDS: u64 = 1_000_000;
const AFTERWARDS: u64 = 10;

fn measure(run: &Run<'_>) -> Result<Vec<Reading>, Failure> {
    let records = if run.is_quick { RECORDS / 10 } else { RECORDS };
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let endpoint = format!("http://{address}/v1/logs");
    let pairs = [
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &*endpoint),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    let telemetry = telemark::builder().with_env(Env::from_pairs(pairs)).init()?;
    let before = anonymous()?;
    let mut peak = before;
    let mut cost = 0;
    for _ in 0..100 {
        let started = thread_cpu();
        emit(&telemetry, records / 100);
        cost += thread_cpu() - started;
        peak = peak.max(anonymous()?);
    }
    let down = account(&telemetry)?;
    sink::accept(TcpListener::bind(address)?);
    emit(&telemetry, AFTERWARDS);
    if let Err(failure) = telemetry.force_flush(Deadline::after(Duration::from_secs(40))) {
        eprintln!("telemark: {failure}");
    }
    let end = account(&telemetry)?;
    if end.exported + end.lost != records + AFTERWARDS {
        return Err(format!("{} records are accounted for", end.exported + end.lost).into());
    }
    Ok(vec![
        Reading::per("emitting, ns/record", cost, records),
        Reading::new("growth of anonymous memory, KiB", peak.saturating_sub(before) as f64),
        Reading::new("dropped while down", down.lost as f64),
        Reading::new("exported once it is back", end.exported as f64),
        Reading::new("dropped in total", end.lost as f64),
    ])
}

fn emit(telemetry: &Guard, records: u64) {
    let logger = telemetry.logger("shop");
    for _ in 0..records {
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Info);
        record.set_body("order placed".into());
        record.add_attribute("shop.order.id", String::from("0b6c2c0e-7f5a-4b1c-9d7e-3f4a5b6c7d8e"));
        record.add_attribute("shop.order.items", 3);
        logger.emit(record);
    }
}

struct Account {
    exported: u64,
    lost: u64,
}

fn account(telemetry: &Guard) -> Result<Account, Failure> {
    let health = telemetry.health();
    let logs = health.logs.first().ok_or("logs are not exported")?;
    let lost = logs.failed + logs.rejected + logs.dropped_queue_full + logs.dropped_queue_bytes_full;
    Ok(Account { exported: logs.exported, lost })
}

/// Returns the anonymous memory of this process in KiB.
fn anonymous() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).ok_or("no RssAnon")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
