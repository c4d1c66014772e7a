//! The arguments of the program.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::add::Request as Add;
use crate::audit::Request as Audit;
use crate::connection::Trust;
use crate::source::program::Scope;
use crate::zero::command::{Command, Verb};

pub(crate) const HELP: &str = "\
Runs programs with telemetry that their source does not have, finds out why no
telemetry arrives, and checks and writes configuration files.

cargo telemark doctor [--no-send] [--lock-file FILE] [--json]
  Resolves the configuration as a program with these environment variables
  would, sends a span, a metric and a log record of the service
  `telemark-doctor` to each OTLP exporter, and says what is wrong.
  --no-send         only reads the configuration
  --lock-file FILE  looks for other versions of OpenTelemetry here
                    [the nearest Cargo.lock]
  --json            writes the findings as JSON

cargo telemark probe-hop URL [--behind HOST:PORT] [--ca-file FILE]
  Sends a sampled trace context with a trace state and baggage to an http or
  https URL, and says which of them come back in the response of a service
  that echoes its headers.
  --behind HOST:PORT  listens at the address to which a proxy forwards, and
                      says what arrives there
  --ca-file FILE      trusts these PEM certificates [those of the system]

cargo telemark build|run|test [OPTIONS OF CARGO] [-- ARGUMENTS]
  Builds and runs a program with telemetry that its source does not have.
  The rules in telemark.toml say what is instrumented.
  --allow-updates            accepts the versions in Cargo.lock that Telemark
                             needs, for this build
  --telemark-features LIST   more features of the crate `telemark`
  --telemark-path FOLDER     a checkout of Telemark in place of crates.io

cargo telemark explain
  Says what `build`, `run` and `test` instrument, and why the rest is not.

cargo telemark add [--apply] [--allow-dirty] [--allow-no-vcs] [--package NAME]
                   [--manifest-path FILE] [--telemark-path FOLDER] [--offline]
  Shows the patch that puts Telemark into the source for good: the dependency,
  its start in main, layers, clients, pools, and spans by telemark.toml.
  --apply         changes the files
  --allow-dirty   even if some of them are not committed
  --allow-no-vcs  even if they are in no git repository

cargo telemark audit [--min-coverage PERCENT] [--json] [--package NAME]
                     [--manifest-path FILE] [--offline]
  Finds handlers without a span, tasks without context, clients and pools that
  are not observed, printing and dropped errors, from the source alone.
  --min-coverage PERCENT  is a problem if fewer of the entry points have a span
  --json                  writes the findings as JSON
  --package NAME          reads this package [all packages of the workspace]

cargo telemark config check FILE [--json]
  Checks a configuration file with the environment variables it refers to.
  Components that the program itself registers are not known here.
  --json  writes the problems as JSON

cargo telemark config from-env
  Writes the configuration file that has the effect of the present variables.

The status is 0 if all is well, 1 if there are problems, and 2 if the arguments
cannot be understood.";

/// The request of the arguments.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed {
    Help,
    Version,
    Doctor {
        sends: bool,
        lockfile: Option<PathBuf>,
        is_json: bool,
    },
    ProbeHop {
        url: String,
        behind: Option<String>,
        trust: Trust,
    },
    Check {
        file: PathBuf,
        is_json: bool,
    },
    FromEnv,
    Add(Add),
    Audit(Audit),
    /// A program whose source has no telemetry.
    Zero(Command),
}

/// The error of arguments that the program does not understand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; see --help", self.0)
    }
}

impl Error for Invalid {}

/// Parses arguments. `cargo telemark` passes its own name as the first one.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Parsed, Invalid> {
    let mut arguments: Vec<_> = arguments.collect();
    if arguments.first().is_some_and(|first| first == "telemark") {
        arguments.remove(0);
    }
    let shown: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let shown: Vec<&str> = shown.iter().map(AsRef::as_ref).collect();
    // A `--help` after `--` is an argument of the program.
    let mut options = shown.iter().take_while(|argument| **argument != "--");
    if options.any(|argument| matches!(*argument, "--help" | "-h")) {
        return Ok(Parsed::Help);
    }
    match &*shown {
        ["--version" | "-V"] => Ok(Parsed::Version),
        ["doctor", ..] => doctor(&arguments[1..]),
        ["probe-hop", ..] => hop(&arguments[1..]),
        ["config", "check", ..] => check(&arguments[2..]),
        ["config", "from-env"] => Ok(Parsed::FromEnv),
        ["add", ..] => add(&arguments[1..]),
        ["audit", ..] => audit(&arguments[1..]),
        [verb @ ("build" | "run" | "test" | "explain"), ..] => zero(verb, &arguments[1..]),
        [] | ["config"] => Err(Invalid("a command is missing".to_owned())),
        _ => Err(Invalid(format!("the command {:?} is not known", shown.join(" ")))),
    }
}

fn zero(verb: &str, arguments: &[OsString]) -> Result<Parsed, Invalid> {
    let verb = match verb {
        "build" => Verb::Build,
        "run" => Verb::Run,
        "test" => Verb::Test,
        _ => Verb::Explain,
    };
    Command::parse(verb, arguments).map(Parsed::Zero).map_err(Invalid)
}

fn add(arguments: &[OsString]) -> Result<Parsed, Invalid> {
    let mut add = Add::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match &*argument.to_string_lossy() {
            "--apply" => add.applies = true,
            "--dry-run" => add.applies = false,
            "--allow-dirty" => add.allows_dirty = true,
            "--allow-no-vcs" => add.allows_no_vcs = true,
            "--telemark-path" => add.telemark = Some(PathBuf::from(value("--telemark-path", &mut arguments)?)),
            option => scope(option, &mut arguments, &mut add.scope)?,
        }
    }
    Ok(Parsed::Add(add))
}

fn audit(arguments: &[OsString]) -> Result<Parsed, Invalid> {
    let mut audit = Audit::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match &*argument.to_string_lossy() {
            "--json" => audit.is_json = true,
            "--min-coverage" => {
                let given = value("--min-coverage", &mut arguments)?.to_string_lossy();
                let percent = given.parse().ok().filter(|percent| *percent <= 100);
                audit.min_coverage = Some(percent.ok_or_else(|| {
                    Invalid(format!("--min-coverage={given} cannot be used: expected a whole number from 0 to 100"))
                })?);
            }
            option => scope(option, &mut arguments, &mut audit.scope)?,
        }
    }
    Ok(Parsed::Audit(audit))
}

/// Reads an option that selects a workspace or its packages.
fn scope<'a>(
    option: &str,
    arguments: &mut impl Iterator<Item = &'a OsString>,
    scope: &mut Scope,
) -> Result<(), Invalid> {
    match option {
        "--manifest-path" => scope.manifest = Some(PathBuf::from(value("--manifest-path", arguments)?)),
        "--package" | "-p" => scope.packages.push(value("--package", arguments)?.to_string_lossy().into_owned()),
        "--offline" => scope.is_offline = true,
        other => return Err(unknown(other)),
    }
    Ok(())
}

fn doctor(arguments: &[OsString]) -> Result<Parsed, Invalid> {
    let (mut sends, mut lockfile, mut is_json) = (true, None, false);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match &*argument.to_string_lossy() {
            "--no-send" => sends = false,
            "--json" => is_json = true,
            "--lock-file" => lockfile = Some(PathBuf::from(value("--lock-file", &mut arguments)?)),
            other => return Err(unknown(other)),
        }
    }
    Ok(Parsed::Doctor { sends, lockfile, is_json })
}

fn hop(arguments: &[OsString]) -> Result<Parsed, Invalid> {
    let (mut url, mut behind, mut trust) = (None, None, Trust::System);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match &*argument.to_string_lossy() {
            "--behind" => behind = Some(value("--behind", &mut arguments)?.to_string_lossy().into_owned()),
            "--ca-file" => trust = Trust::File(PathBuf::from(value("--ca-file", &mut arguments)?)),
            option if option.starts_with("--") => return Err(unknown(option)),
            first if url.is_none() => url = Some(first.to_owned()),
            _ => return Err(one_url()),
        }
    }
    Ok(Parsed::ProbeHop { url: url.ok_or_else(one_url)?, behind, trust })
}

fn one_url() -> Invalid {
    Invalid("`probe-hop` takes one URL".to_owned())
}

fn check(arguments: &[OsString]) -> Result<Parsed, Invalid> {
    let (options, files): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| *argument == "--json");
    match &*files {
        [option] if option.to_string_lossy().starts_with("--") => Err(unknown(&option.to_string_lossy())),
        [file] => Ok(Parsed::Check { file: PathBuf::from(file), is_json: !options.is_empty() }),
        _ => Err(Invalid("`config check` takes one file".to_owned())),
    }
}

/// Returns the value behind an option.
fn value<'a>(option: &str, arguments: &mut impl Iterator<Item = &'a OsString>) -> Result<&'a OsString, Invalid> {
    arguments.next().ok_or_else(|| Invalid(format!("{option} lacks its value")))
}

fn unknown(argument: &str) -> Invalid {
    Invalid(format!("the argument {argument:?} is not known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &str, expected: Result<Parsed, &str>) {
        let parsed = parse(arguments.split_whitespace().map(OsString::from));
        assert_eq!(parsed, expected.map_err(|text| Invalid(text.to_owned())), "{arguments}");
    }

    #[test]
    fn commands() {
        let doctor = |sends, lockfile: Option<&str>, is_json| {
            Ok(Parsed::Doctor { sends, lockfile: lockfile.map(PathBuf::from), is_json })
        };
        let check_file = |is_json| Ok(Parsed::Check { file: "otel.yaml".into(), is_json });
        let hop = |behind: Option<&str>, trust| {
            Ok(Parsed::ProbeHop { url: "http://a".to_owned(), behind: behind.map(str::to_owned), trust })
        };
        check("telemark doctor", doctor(true, None, false));
        check("doctor --no-send", doctor(false, None, false));
        check("doctor --json --lock-file a/b", doctor(true, Some("a/b"), true));
        check("telemark config check otel.yaml", check_file(false));
        check("config check --json otel.yaml", check_file(true));
        check("config check otel.yaml --json", check_file(true));
        check("config from-env", Ok(Parsed::FromEnv));
        check("probe-hop http://a", hop(None, Trust::System));
        check("probe-hop http://a --behind b:1", hop(Some("b:1"), Trust::System));
        check("probe-hop --ca-file c.pem http://a", hop(None, Trust::File("c.pem".into())));
        let scope = Scope { packages: vec!["a".to_owned(), "b".to_owned()], ..Scope::default() };
        check(
            "add --apply --allow-dirty -p a --package b",
            Ok(Parsed::Add(Add { scope: scope.clone(), applies: true, allows_dirty: true, ..Add::default() })),
        );
        check("add --apply --dry-run", Ok(Parsed::Add(Add::default())));
        check(
            "audit --json -p a -p b --min-coverage 90",
            Ok(Parsed::Audit(Audit { scope, min_coverage: Some(90), is_json: true })),
        );
        check("doctor --help", Ok(Parsed::Help));
        check("-V", Ok(Parsed::Version));
        let run = |arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            Command { verb: Verb::Run, plain: arguments.clone(), arguments, ..Command::default() }
        };
        check("telemark run --release", Ok(Parsed::Zero(run(&["--release"]))));
        check("run -- --help", Ok(Parsed::Zero(run(&["--", "--help"]))));
        check("run --help", Ok(Parsed::Help));
    }

    #[test]
    fn invalid_arguments_are_errors() {
        check("", Err("a command is missing"));
        check("telemark", Err("a command is missing"));
        check("config check", Err("`config check` takes one file"));
        check("config check a b", Err("`config check` takes one file"));
        check("config check --jsn", Err("the argument \"--jsn\" is not known"));
        check("doctor --lock-file", Err("--lock-file lacks its value"));
        check("doctor --verbose", Err("the argument \"--verbose\" is not known"));
        check("probe-hop", Err("`probe-hop` takes one URL"));
        check("probe-hop a b", Err("`probe-hop` takes one URL"));
        check("probe-hop a --behind", Err("--behind lacks its value"));
        check("build --telemark-path", Err("--telemark-path lacks its value"));
        check("add --aply", Err("the argument \"--aply\" is not known"));
        check(
            "audit --min-coverage 101",
            Err("--min-coverage=101 cannot be used: expected a whole number from 0 to 100"),
        );
        check("docter", Err("the command \"docter\" is not known"));
    }
}
