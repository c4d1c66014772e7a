//! Metrics of the process and the runtime carry the name, version and schema URL of their scope.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "test helpers")]

use telemark::prometheus::{PrometheusExporter, negotiate};
use telemark_sdk::config::Env;

#[test]
fn they_carry_their_scope_with_version_and_schema() {
    let exporter = PrometheusExporter::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _telemetry = runtime.block_on(async {
        let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")]);
        telemark::builder()
            .with_env(env)
            .with_metric_reader(exporter.reader())
            .with_instrumentation(telemark::runtime_metrics)
            .init()
            .unwrap()
    });
    let mut page = Vec::new();
    exporter.render(negotiate(""), &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    let scope = format!(
        "otel_scope_name=\"telemark-runtime\",otel_scope_version=\"{}\",otel_scope_schema_url=\"https://opentelemetry.io/schemas/1.45.0\"",
        env!("CARGO_PKG_VERSION")
    );
    for name in ["process_uptime_seconds", "process_cpu_time_seconds_total", "tokio_task_count"] {
        let line = page.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap_or(&page);
        assert!(line.contains(&scope), "{line}");
    }
    assert!(page.contains("process_creation_time=\"20"), "{page}");
}
