//! Independent parsers read the pages and must find the same samples as the strict reader in these tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, TraceId};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use support::checker::{Family, Sample, check};
use support::random::{renderer, resource, scopes};
use support::{OPEN_METRICS, TEXT, attributes, gauge, page, scope, sum};
use telemark_prometheus::{Escaping, Format, Protocol, Renderer, TranslationStrategy};
use telemark_sdk::Resource;
use telemark_sdk::metrics::{
    Attributes, Exemplar, HistogramPoint, Metric, MetricData, NumberPoint, ScopeMetrics, Temporality,
};
use telemark_sdk::time::Timestamp;

/// The official Python client, running in its own process.
struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    /// Returns `None` and reports the test as skipped if the client is not installed.
    fn start() -> Option<Self> {
        let Some(folder) = variable("TELEMARK_TEST_PROMETHEUS_CLIENT") else {
            skip("no prometheus_client is installed here; `cargo xtask test` installs it");
            return None;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/read.py");
        let mut child = Command::new("python3")
            .arg(script)
            .env("PYTHONPATH", folder)
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Some(Python { child, input, output })
    }

    /// Returns the samples as text, or the parser's error.
    fn read(&mut self, format: Format, page: &str) -> Result<Vec<String>, String> {
        let request = json!({"open_metrics": format.is_open_metrics(), "page": page});
        writeln!(self.input, "{request}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let parsed: Value = serde_json::from_str(&line).unwrap();
        match parsed["samples"].as_array() {
            Some(samples) => Ok(samples.iter().map(Value::to_string).collect()),
            None => Err(parsed["error"].to_string()),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[allow(clippy::disallowed_methods, reason = "how tests find what xtask installed")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reports the test as skipped, bypassing the test harness. Fails in continuous integration.
fn skip(why: &str) {
    assert!(variable("CI").as_deref() != Some("true"), "in continuous integration nothing is skipped: {why}");
    let _ = writeln!(std::io::stderr(), "\n!!! SKIPPED: {why}\n");
}

/// Returns the strict reader's samples in the format of the script's output.
fn expected(families: &[Family]) -> Vec<String> {
    let number = |number: f64| {
        if number.is_nan() {
            return "NaN".to_owned();
        }
        // Python writes exponents with a sign and at least two digits.
        let text = format!("{number:?}");
        match text.split_once('e') {
            Some((mantissa, exponent)) => {
                let exponent: i32 = exponent.parse().unwrap();
                format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
            }
            None => text,
        }
    };
    let labels = |labels: &[(String, String)]| labels.iter().cloned().collect::<BTreeMap<_, _>>();
    let sample = |family: &Family, sample: &Sample| {
        let exemplar = sample.exemplar.as_ref().map(|exemplar| {
            json!({"labels": labels(&exemplar.labels), "value": number(exemplar.value), "timestamp": number(exemplar.timestamp)})
        });
        json!({
            "type": family.kind, "help": family.help, "name": sample.name, "labels": labels(&sample.labels),
            "value": number(sample.value), "exemplar": exemplar,
        })
        .to_string()
    };
    families.iter().flat_map(|family| family.samples.iter().map(move |s| sample(family, s))).collect()
}

fn compare(python: &mut Python, format: Format, page: &str) {
    let ours = check(format, page).unwrap();
    let mut exemplars = ours.iter().flat_map(|family| &family.samples).filter_map(|sample| sample.exemplar.as_ref());
    if exemplars.any(|exemplar| exemplar.labels.iter().any(|(_, value)| value.contains('"'))) {
        // The client mistakes an escaped quote in an exemplar for the end of the value.
        return;
    }
    let theirs = python.read(format, page).unwrap_or_else(|error| panic!("{error}"));
    // Compare numeric values, because Python and Rust may choose different shortest representations.
    let normal = |samples: Vec<String>| -> Vec<Value> {
        let samples = samples.iter().map(|sample| {
            let mut sample: Value = serde_json::from_str(sample).unwrap();
            // The client strips surrounding whitespace from help texts.
            let help = sample["help"].as_str().map(|help| help.trim().to_owned());
            sample["help"] = help.filter(|_| format.is_open_metrics()).into();
            if sample["type"] == "counter" {
                // In the text format, the client adds the counter suffix where it is missing.
                let name = sample["name"].as_str().unwrap().trim_end_matches("_total").to_owned();
                sample["name"] = name.into();
            }
            for path in ["/value", "/exemplar/value", "/exemplar/timestamp"] {
                if let Some(number) = sample.pointer_mut(path) {
                    let text = number.as_str().unwrap().replace("inf", "Infinity");
                    *number = text.parse::<f64>().unwrap().to_bits().into();
                }
            }
            sample
        });
        samples.collect()
    };
    let (theirs, ours) = (normal(theirs), normal(expected(&ours)));
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs, ours, "{format}");
    }
    assert_eq!(theirs.len(), ours.len(), "{format}");
}

/// Returns one metric of each kind.
fn example() -> Vec<ScopeMetrics> {
    let exemplar = |value: f64| {
        Exemplar::new(value, Timestamp::from_nanos(1_520_879_607_789_000_000))
            .in_span(TraceId::from(1), SpanId::from(2))
            .with_filtered_attributes(attributes(&[("user.id", "a\\c\nd")]))
    };
    let requests = NumberPoint::new(attributes(&[("http.route", "/a\"b\\c\nd")]), 3u64).with_exemplar(exemplar(1.0));
    let duration = HistogramPoint::new(Attributes::empty(), [0.005, 1.0, 1e6], vec![1, 2, 3, 4])
        .with_sum(12.5)
        .with_exemplar(exemplar(0.5))
        .with_exemplar(exemplar(2e9));
    let duration = MetricData::Histogram { points: vec![duration], temporality: Temporality::Cumulative };
    let metrics = vec![
        Metric::new("http.requests", sum(vec![requests]))
            .with_description("Requests \"so far\\\n")
            .with_unit("{request}"),
        Metric::new("http.duration", duration).with_unit("s").with_description("Duration"),
        Metric::new("queue.size", gauge(vec![NumberPoint::new(Attributes::empty(), -0.5)])).with_unit("By"),
    ];
    vec![scope("shop", metrics)]
}

#[test]
fn the_official_client_reads_every_format() {
    let Some(mut python) = Python::start() else { return };
    let resource = Resource::new([KeyValue::new("service.name", "shop")]);
    for strategy in
        [TranslationStrategy::UnderscoreEscapingWithSuffixes, TranslationStrategy::NoUtf8EscapingWithSuffixes]
    {
        let renderer = Renderer::new().with_translation(strategy);
        compare(&mut python, TEXT, &page(&renderer, TEXT, &resource, &example()));
        for escaping in [Escaping::Underscores, Escaping::Values, Escaping::Dots, Escaping::AllowUtf8] {
            let format = Format::new(Protocol::OpenMetrics1_0_0, escaping);
            compare(&mut python, format, &page(&renderer, format, &resource, &example()));
        }
    }
}

#[test]
fn the_official_client_reads_random_pages() {
    let Some(mut python) = Python::start() else { return };
    let mut runner = TestRunner::deterministic();
    let inputs = (renderer(), resource(), scopes());
    for _ in 0..400 {
        let (renderer, resource, scopes) = inputs.new_tree(&mut runner).unwrap().current();
        for format in [TEXT, OPEN_METRICS, Format::new(Protocol::OpenMetrics1_0_0, Escaping::Values)] {
            compare(&mut python, format, &page(&renderer, format, &resource, &scopes));
        }
    }
}

#[test]
fn the_official_client_refuses_what_is_wrong() {
    let Some(mut python) = Python::start() else { return };
    assert!(python.read(OPEN_METRICS, "# TYPE a counter\na 1\n# EOF\n").is_err());
    assert!(python.read(OPEN_METRICS, "# TYPE a counter\na_total 1\n# EOF\n").is_ok());
}

/// Runs Prometheus's own linter, if it is installed.
#[test]
fn promtool_has_no_complaints_about_the_format() {
    let command = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = command else {
        let _ = writeln!(std::io::stderr(), "\n!!! SKIPPED: promtool is not installed here\n");
        return;
    };
    let page = page(&Renderer::new(), TEXT, &Resource::empty(), &example());
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    // The linter also complains about names and descriptions, but those are chosen by the program.
    assert!(!complaints.contains("error while linting"), "{complaints}");
}
