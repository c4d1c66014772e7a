//! The SDK's own messages: which are shown, and how. They go to one sink in the process, which is why this file has one
//! test in it and another in a process of its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use telemark_sdk::diag::{self, Level};

/// Panics when its text is made.
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

/// The role of the other process.
const CHILD: &str = "TELEMARK_TEST_CHILD";

#[test]
#[allow(clippy::disallowed_methods, reason = "tells the two processes apart")]
fn the_level_of_the_environment_holds_before_anything_is_started() {
    if std::env::var_os(CHILD).is_some() {
        diag::log(Level::Warn, "test.warn", format_args!("must not be said"));
        diag::log(Level::Error, "test.error", format_args!("must be said"));
        return;
    }
    let name = "the_level_of_the_environment_holds_before_anything_is_started";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "yes")
        .env("OTEL_LOG_LEVEL", "error")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("telemark error: must be said\n"), "{said}");
    assert!(!said.contains("must not be said"), "{said}");
}
