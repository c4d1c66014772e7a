//! The level of the SDK's own messages beside a configuration file. It is global, so this file has a single test.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking, and start themselves")]

use std::process::Command;

use telemark_sdk::config::{Env, Item, Tree};
use telemark_sdk::diag::{Level, is_shown};
use telemark_sdk::install::{Telemetry, TelemetryBuilder};

fn file(level: Option<&str>) -> TelemetryBuilder {
    let level = level.map(|level| ("log_level", Item::new(level)));
    let entries = [("file_format", Item::new("1.2"))].into_iter().chain(level);
    Telemetry::builder(Env::process()).with_config(Tree::new("file", Item::mapping(entries)))
}

#[test]
fn a_file_replaces_the_variable_and_a_check_changes_nothing() {
    if std::env::var_os("OTEL_LOG_LEVEL").is_none() {
        let test = "a_file_replaces_the_variable_and_a_check_changes_nothing";
        let mut again = Command::new(std::env::current_exe().unwrap());
        assert!(again.args([test, "--exact"]).env("OTEL_LOG_LEVEL", "error").status().unwrap().success());
        return;
    }
    let shown = || [Level::Error, Level::Warn, Level::Info, Level::Debug].map(is_shown);
    let (error, info, debug) = ([true, false, false, false], [true, true, true, false], [true; 4]);
    assert_eq!(shown(), error, "the variable");
    file(None).check().unwrap();
    file(Some("debug")).check().unwrap();
    Telemetry::builder(Env::from_pairs([("OTEL_LOG_LEVEL", "debug")])).check().unwrap();
    assert_eq!(shown(), error, "checks");
    drop(file(None).build().unwrap());
    assert_eq!(shown(), info, "the default of the file");
    drop(file(Some("debug")).build().unwrap());
    assert_eq!(shown(), debug, "the level of the file");
    drop(file(None).build().unwrap());
    assert_eq!(shown(), debug, "a level that has been chosen stays");
}
