//! The standard streams and the global subscriber, each in a separate process, for which this program runs itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test without a harness")]

use std::io::Read;
use std::process::{Command, Stdio};

use telemark_sdk::config::Env;
use telemark_tracing_fmt::{dropped_lines, init};

/// The variable that selects the program that a child runs.
const PROGRAM: &str = "TEST_PROGRAM";

fn main() {
    match Env::process().string(PROGRAM).as_deref() {
        None => parent(),
        Some("twice") => {
            assert!(init());
            assert!(!init());
            assert!(!init());
        }
        Some("levels") => {
            assert!(init());
            tracing::debug!(target: "shop", "debug");
            tracing::info!(target: "shop", "info");
            tracing::warn!(target: "other", "warn");
        }
        Some("closed") => {
            assert!(init());
            // Wait until the parent has closed the pipe.
            let _ = std::io::stdin().read(&mut [0]);
            (0..3).for_each(|_| tracing::info!("placed"));
            eprintln!("{} dropped", dropped_lines());
        }
        Some(other) => panic!("unknown program {other}"),
    }
}

fn parent() {
    let bodies = |text: &str| {
        let of =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["body"].as_str().unwrap().to_owned();
        text.lines().map(of).collect::<Vec<_>>()
    };

    let (output, errors) = run("levels", &[]);
    assert_eq!(
        (bodies(&output), &*errors),
        (vec!["info".to_owned(), "warn".to_owned()], ""),
        "JSON to standard output"
    );

    let (output, errors) = run("levels", &[("OTEL_RUST_LOG_FORMAT", "text"), ("OTEL_LOG_LEVEL", "none")]);
    assert_eq!((&*output, errors.lines().count()), ("", 2), "text to standard error: {errors}");

    let (output, errors) = run("levels", &[("RUST_LOG", "shop=debug"), ("OTEL_LOG_LEVEL", "error")]);
    assert_eq!((bodies(&output), &*errors), (vec!["debug".to_owned(), "info".to_owned()], ""));

    let (_, errors) = run("levels", &[("OTEL_TRACES_EXPORTER", "console"), ("OTEL_LOG_LEVEL", "none")]);
    assert_eq!(errors.lines().count(), 2, "text for people who use the console: {errors}");

    let (output, errors) = run("levels", &[("RUST_LOG", "wran")]);
    assert!(output.is_empty() && errors.contains("RUST_LOG has the target \"wran\""), "{errors}");

    let (output, errors) = run("levels", &[("RUST_LOG", "warn,shop=loud"), ("OTEL_RUST_LOG_FORMAT", "xml")]);
    assert_eq!(bodies(&output), ["warn"]);
    assert!(errors.contains("RUST_LOG=\"shop=loud\"") && errors.contains("OTEL_RUST_LOG_FORMAT=\"xml\""), "{errors}");

    let (output, errors) = run("twice", &[]);
    assert_eq!((&*output, errors.lines().count()), ("", 1), "{errors}");
    assert!(errors.contains("has set a subscriber"), "{errors}");

    closed();
    println!("the streams are used as documented");
}

fn command(program: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env_clear().env(PROGRAM, program).envs(variables.iter().copied());
    command
}

/// Runs a program, which must succeed, and returns its standard output and standard error.
fn run(program: &str, variables: &[(&str, &str)]) -> (String, String) {
    let output = command(program, variables).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{out}{err}");
    (out, err)
}

/// Runs a program whose standard output is closed by its reader.
fn closed() {
    let mut command = command("closed", &[]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let lines: Vec<_> = errors.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("a log line could not be written: Broken pipe"), "{errors}");
    assert_eq!(lines[1], "3 dropped");
}
