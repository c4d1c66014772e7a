//! `cargo telemark`: finds out why no telemetry arrives, and checks and writes configuration files.
//!
//! | file | owns |
//! |---|---|
//! | `arguments` | what the command line asks for |
//! | `configuration` | resolves the configuration as a program does, and reads its parts |
//! | `doctor` | examines the configuration, the probes and Cargo.lock |
//! | `report` | the findings, as text and as JSON |
//! | `probe` | one span, metric or log record, sent with the configured exporter |
//! | `advice` | what a failed probe means and what to do |
//! | `encryption` | the same for failures of TLS |
//! | `connection` | a connection of the command itself, with TLS for https |
//! | `clock` | compares the clock with the receiver's |
//! | `hop` | what becomes of a trace context on its way through a proxy or a service |
//! | `stack` | the stack for syntax trees |
//! | `source` | the source of a workspace as facts |
//! | `add` | puts Telemark into a source for good |
//! | `audit` | finds where telemetry is missing |
//! | `lockfile` | versions and features in Cargo.lock |
//! | `zero` | builds and runs programs with telemetry that their source does not have |

mod add;
mod advice;
mod arguments;
mod audit;
mod clock;
mod configuration;
mod connection;
mod doctor;
mod encryption;
mod hop;
mod lockfile;
mod probe;
mod report;
mod source;
mod stack;
mod zero;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use arguments::{HELP, Parsed};
use configuration::Configuration;
use connection::Trust;
use hop::Hop;
use telemark_sdk::text;

/// The exit status if there is a problem.
const PROBLEMS: u8 = 1;
/// The exit status if the arguments cannot be understood.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    if let Some(status) = zero::wrapper() {
        return status;
    }
    let variables = variables();
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Help) => say(HELP),
        Ok(Parsed::Version) => say(concat!("cargo-telemark ", env!("CARGO_PKG_VERSION"))),
        Ok(Parsed::Doctor { sends, lockfile, is_json }) => {
            let findings = doctor::run(&variables, sends, lockfile.as_deref());
            if is_json {
                say_json(&findings.to_json())
            } else {
                say(&findings.to_string())
            };
            status(findings.has_problems())
        }
        Ok(Parsed::ProbeHop { url, behind, trust }) => probe_hop(&url, behind.as_deref(), trust),
        Ok(Parsed::Check { file, is_json }) => check(&variables, &file, is_json),
        Ok(Parsed::FromEnv) => from_env(&variables),
        Ok(Parsed::Add(request)) => add::run(request, variables),
        Ok(Parsed::Audit(request)) => audit::run(request, variables),
        Ok(Parsed::Zero(command)) => zero::run(&command, &variables),
        Err(invalid) => {
            complain(&format!("cargo telemark: {invalid}"));
            ExitCode::from(USAGE)
        }
    }
}

/// Returns the variables of the process, which the configuration and its checks read several times.
#[allow(clippy::disallowed_methods, reason = "`Env` takes them from here, so that a check can leave some out")]
fn variables() -> Vec<(String, OsString)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
}

fn probe_hop(url: &str, behind: Option<&str>, trust: Trust) -> ExitCode {
    let Some(hop) = Hop::new(url, trust) else {
        complain(&format!("cargo telemark: {} is no URL such as http://host:8080/path", text::url(url)));
        return ExitCode::from(USAGE);
    };
    match hop.probe(behind) {
        Ok(passage) => {
            say(&passage.to_string());
            status(passage.has_problems())
        }
        Err(error) => {
            complain(&format!("cargo telemark: {}: {error}", text::url(url)));
            if let Some(meaning) = hop.meaning(&error) {
                complain(&format!("   {meaning}"));
            }
            status(true)
        }
    }
}

fn check(variables: &[(String, OsString)], file: &Path, is_json: bool) -> ExitCode {
    let configuration = Configuration::of_file(file, variables);
    // A file that is checked before it replaces the variables is right even though they are still set.
    let (notes, problems): (Vec<_>, Vec<_>) = configuration
        .problems()
        .iter()
        .map(String::as_str)
        .partition(|problem| configuration::is_of_variables(problem));
    if is_json {
        say_json(&report::check_to_json(&file.display().to_string(), &problems, &notes));
        return status(!problems.is_empty());
    }
    if problems.is_empty() {
        say(&format!("{}: no problems", file.display()));
    }
    problems.iter().for_each(|problem| complain(problem));
    notes.iter().for_each(|note| complain(&format!("note: {note}")));
    status(!problems.is_empty())
}

fn from_env(variables: &[(String, OsString)]) -> ExitCode {
    let configuration = Configuration::of_variables(variables);
    say(configuration.written().trim_end());
    configuration.problems().iter().for_each(|problem| complain(&format!("cargo telemark: {problem}")));
    status(!configuration.problems().is_empty())
}

fn status(has_problems: bool) -> ExitCode {
    if has_problems { ExitCode::from(PROBLEMS) } else { ExitCode::SUCCESS }
}

/// Writes a line to standard output. A reader that has gone away is no failure.
fn say(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn say_json(value: &serde_json::Value) -> ExitCode {
    say(&format!("{value:#}"))
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
