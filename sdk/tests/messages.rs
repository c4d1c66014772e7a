//! The SDK's own messages: which of them are shown, and in what form. A process has only one message sink, so only one
//! test in this file runs in the test process itself; the others run in child processes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use telemark_sdk::config::Env;
use telemark_sdk::diag::{self, Level};
use telemark_sdk::install::Telemetry;

/// Panics when formatted.
struct MustNotBeMade;

impl fmt::Display for MustNotBeMade {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("the text of a message that is not shown was made")
    }
}

#[test]
fn messages_of_a_level_that_is_not_shown_cost_nothing_and_what_is_shown_is_harmless() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&said);
    assert!(diag::set_sink(move |level, text| sink.lock().unwrap().push(format!("{level}: {text}"))));

    diag::set_max_level(Some(Level::Info));
    assert!(diag::is_shown(Level::Info) && !diag::is_shown(Level::Debug));
    diag::log(Level::Debug, "test.debug", format_args!("{MustNotBeMade}"));
    diag::log(Level::Info, "test.info", format_args!("started"));
    diag::set_max_level(Some(Level::Debug));
    diag::log(Level::Debug, "test.debug", format_args!("exported {} spans", 3));
    diag::log(Level::Warn, "test.foreign", format_args!("it said: \x1b[2J\r\n{}", "x".repeat(1 << 20)));
    diag::set_max_level(None);
    diag::log(Level::Error, "test.none", format_args!("{MustNotBeMade}"));

    let said = said.lock().unwrap();
    assert_eq!(said[..2], ["info: started", "debug: exported 3 spans"]);
    assert!(said[2].starts_with("warning: it said: \\u{1b}[2J\\r\\nxxx") && said[2].len() < 5000);
    assert_eq!(said.len(), 3);
}

/// The variable that marks a child process.
const CHILD: &str = "TELEMARK_TEST_CHILD";

/// Returns the text that `speak` writes to standard error in a child process that runs the test `name` with these
/// variables.
#[allow(clippy::disallowed_methods, reason = "tells the two processes apart")]
fn said_by(name: &str, variables: &[(&str, &str)], speak: fn()) -> Option<String> {
    if std::env::var_os(CHILD).is_some() {
        speak();
        return None;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "yes")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    Some(said.lines().filter(|line| line.starts_with("telemark")).fold(String::new(), |all, line| all + line + "\n"))
}

#[test]
fn the_level_of_the_environment_holds_before_anything_is_started() {
    let name = "the_level_of_the_environment_holds_before_anything_is_started";
    let said = said_by(name, &[("OTEL_LOG_LEVEL", "error")], || {
        diag::log(Level::Warn, "test.warn", format_args!("must not be said"));
        diag::log(Level::Error, "test.error", format_args!("must be said"));
    });
    if let Some(said) = said {
        assert_eq!(said, "telemark error: must be said\n");
    }
}

#[test]
fn a_misspelt_variable_of_the_process_is_said_once_without_its_value() {
    let name = "a_misspelt_variable_of_the_process_is_said_once_without_its_value";
    let variables = [("OTEL_EXPORTER_OTLP_HEADER", "authorization=s3cret"), ("OTEL_ENTITIES", "otel")];
    let said = said_by(name, &variables, || {
        (0..2).for_each(|_| drop(Telemetry::builder(Env::process()).build().unwrap()));
    });
    if let Some(said) = said {
        assert_eq!(
            said,
            "telemark warning: environment: OTEL_ENTITIES has no effect, it is not supported; OTEL_EXPORTER_OTLP_HEADER has \
             no effect, is OTEL_EXPORTER_OTLP_HEADERS meant?\n"
        );
    }
}

#[test]
fn a_sink_that_panics_loses_its_message_and_nothing_else() {
    let name = "a_sink_that_panics_loses_its_message_and_nothing_else";
    let said = said_by(name, &[], || {
        assert!(diag::set_sink(|_, text| match text {
            "panic" => panic!("in the sink"),
            text => eprintln!("telemark {text}"),
        }));
        diag::log(Level::Error, "test.first", format_args!("panic"));
        diag::log(Level::Error, "test.second", format_args!("goes on"));
    });
    if let Some(said) = said {
        assert_eq!(said, "telemark goes on\n");
    }
}
