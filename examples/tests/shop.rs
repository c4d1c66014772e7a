//! The shop runs to its end without help, and its traces have the promised shape.
#![allow(clippy::panic, clippy::unwrap_used, reason = "test helpers")]

use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs the program in an environment without any other variables that affect it. By default, it writes no log lines.
fn run_shop(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("OTEL_") || name == "COLUMNS" || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.env("RUST_LOG", "off");
    command.envs(variables.iter().copied()).output().unwrap()
}

/// Returns the path to the shop program. `cargo test` builds a package's examples before running its tests, and puts
/// them into a folder next to the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let program = tests.with_file_name("examples").join(format!("shop{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "run `cargo test --package telemark-examples`, without `--test`: it builds the shop too"
    );
    program
}

/// Returns only the trees, without times and attributes. Each line is a span with its error.
fn shape(stdout: &str) -> String {
    let rows = stdout.lines().filter_map(|line| match line.split_once('━') {
        _ if line.starts_with("trace ") => Some(String::new()),
        Some((left, right)) if !left.is_empty() => {
            let (name, _duration) = left.trim_end().rsplit_once(' ')?;
            let details = right.trim_start_matches(['━', ' ']);
            let error = details.starts_with('✗').then(|| details.split("  ").next()).flatten();
            Some([name.trim_end(), error.unwrap_or_default()].join(" ").trim_end().to_owned())
        }
        _ => None,
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// Returns the name of the root span in the trace to which the final exemplar links.
fn followed(stdout: &str) -> &str {
    let (_, trace) = stdout.rsplit_once("its exemplar leads to trace ").unwrap();
    let (_, tree) = stdout.split_once(&format!("\ntrace {}  ", trace.split(' ').next().unwrap())).unwrap();
    tree.lines().nth(1).unwrap().split("  ").next().unwrap()
}

/// Nothing listens at the receiver of the file, so the shop says that it could not deliver.
#[test]
fn a_configuration_file_says_where_its_telemetry_goes() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/presets/staging.yaml");
    let output = run_shop(&[("OTEL_CONFIG_FILE", file), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]);
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!output.status.success() && stderr.contains("http://127.0.0.1:1/v1/traces"), "{stdout}{stderr}");
    assert!(!stdout.contains("\ntrace "), "{stdout}");
}

#[test]
fn its_traces_have_the_promised_shape() {
    let output = run_shop(&[]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}");
    let expected = "
GET /products
└─ SELECT products

POST /orders
└─ place
   ├─ SELECT products
   ├─ GET
   │  └─ GET /stock/{sku}
   │     └─ shop.Warehouse/Count
   │        └─ shop.Warehouse/Count
   │           └─ count
   ├─ charge card
   └─ INSERT orders

POST /orders ✗ error
└─ place ✗ the card was declined
   ├─ SELECT products
   ├─ GET
   │  └─ GET /stock/{sku}
   │     └─ shop.Warehouse/Count
   │        └─ shop.Warehouse/Count
   │           └─ count
   └─ charge card ✗ the card was declined

GET /products/{sku}
└─ SELECT products

GET /products/{sku}/similar
├─ same_shelf
└─ bought_together";
    assert_eq!(shape(&stdout), expected, "{stdout}");
    for detail in ["error.type=shop::shop::ShopError", "error.type=500", "server  404", "stock.shelves=2"] {
        assert!(stdout.contains(detail), "{detail} is missing in\n{stdout}");
    }
    assert_eq!(followed(&stdout), "GET /products/{sku}/similar", "{stdout}");
    assert!(!stdout.contains("0000 0000"), "the number of a card was recorded:\n{stdout}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Returns the id that follows `name`.
fn id<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, rest) = line.rsplit_once(name).unwrap_or_else(|| panic!("no {name:?} in {line:?}"));
    rest.split(' ').next().unwrap()
}

#[test]
fn its_log_lines_lead_to_its_traces() {
    let output = run_shop(&[("RUST_LOG", "info")]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stdout}");
    let messages = ["few left", "order placed", "the card was declined", "there is no such product"];
    assert_eq!(stderr.lines().count(), messages.len(), "{stderr}");
    for (line, message) in stderr.lines().zip(messages) {
        assert!(line.contains(message), "{message} is missing in {line}");
        // The record is inside the tree of its trace, or names the trace at its end.
        let level = line.split_whitespace().nth(1).unwrap();
        let is_record = |line: &str| line.contains(message) && line.contains(level);
        let mut header = "";
        let record = stdout.lines().find(|line| {
            if line.starts_with("trace ") {
                header = line;
            }
            is_record(line)
        });
        let record = record.unwrap_or_else(|| panic!("{message} is missing in\n{stdout}"));
        let place = if record.contains(" trace ") { record } else { header };
        assert_eq!(id(place, "trace "), id(line, "trace_id="), "{message} in\n{stdout}");
        assert_eq!(id(line, "span_id=").len(), 16, "{line}");
    }
}

#[test]
fn it_works_without_telemetry() {
    for variable in [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_SDK_DISABLED", "true")] {
        let output = run_shop(&[variable]);
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{stdout}");
        assert_eq!(shape(&stdout), "", "{stdout}");
    }
}

#[test]
fn what_a_variable_says_wrongly_is_reported_as_the_log_level_says() {
    let wrong = ("OTEL_BSP_MAX_QUEUE_SIZE", "many");
    let stderr = |variables: &[(&str, &str)]| String::from_utf8(run_shop(variables).stderr).unwrap();
    assert_eq!(
        stderr(&[wrong]),
        "telemark warning: OTEL_BSP_MAX_QUEUE_SIZE=\"many\" cannot be used: expected a whole number of at least 1\n"
    );
    assert_eq!(stderr(&[wrong, ("OTEL_LOG_LEVEL", "error")]), "");
}
