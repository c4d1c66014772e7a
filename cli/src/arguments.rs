//! The arguments of the program.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Finds out why no telemetry arrives, and checks and writes configuration files.

cargo telemark doctor [--no-send] [--lock-file FILE]
  Resolves the configuration as a program with these environment variables
  would, sends a span, a metric and a log record of the service
  `telemark-doctor` to each OTLP exporter, and says what is wrong.
  --no-send         only reads the configuration
  --lock-file FILE  looks for other versions of OpenTelemetry here
                    [the nearest Cargo.lock]

cargo telemark probe-hop URL [--behind HOST:PORT]
  Sends a sampled trace context with a trace state and baggage to an http URL,
  and says which of them come back in the response of a service that echoes
  its headers. With --behind, listens at the address to which a proxy
  forwards, and says what arrives there.

cargo telemark config check FILE
  Checks a configuration file with the environment variables it refers to.
  Components that the program itself registers are not known here.

cargo telemark config from-env
  Writes the configuration file that has the effect of the present variables.

The status is 0 if all is well, 1 if there are problems, and 2 if the arguments
cannot be understood.";

/// The request of the arguments.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed {
    Help,
    Version,
    Doctor { sends: bool, lockfile: Option<PathBuf> },
    ProbeHop { url: String, behind: Option<String> },
    Check(PathBuf),
    FromEnv,
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
    if shown.iter().any(|argument| matches!(*argument, "--help" | "-h")) {
        return Ok(Parsed::Help);
    }
    match &*shown {
        ["--version" | "-V"] => Ok(Parsed::Version),
        ["doctor", ..] => doctor(&arguments[1..]),
        ["probe-hop", url] => Ok(hop(url, None)),
        ["probe-hop", url, "--behind", address] | ["probe-hop", "--behind", address, url] => {
            Ok(hop(url, Some(address)))
        }
        ["probe-hop", ..] => Err(Invalid("`probe-hop` takes one URL and perhaps --behind HOST:PORT".to_owned())),
        ["config", "check", _] => Ok(Parsed::Check(PathBuf::from(&arguments[2]))),
        ["config", "check", ..] => Err(Invalid("`config check` takes one file".to_owned())),
        ["config", "from-env"] => Ok(Parsed::FromEnv),
        [] | ["config"] => Err(Invalid("a command is missing".to_owned())),
        _ => Err(Invalid(format!("the command {:?} is not known", shown.join(" ")))),
    }
}

fn hop(url: &str, behind: Option<&str>) -> Parsed {
    Parsed::ProbeHop { url: url.to_owned(), behind: behind.map(str::to_owned) }
}

fn doctor(arguments: &[OsString]) -> Result<Parsed, Invalid> {
    let (mut sends, mut lockfile) = (true, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match &*argument.to_string_lossy() {
            "--no-send" => sends = false,
            "--lock-file" => match arguments.next() {
                Some(file) => lockfile = Some(PathBuf::from(file)),
                None => return Err(Invalid("--lock-file lacks its value".to_owned())),
            },
            other => return Err(Invalid(format!("the argument {other:?} is not known"))),
        }
    }
    Ok(Parsed::Doctor { sends, lockfile })
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
        check("telemark doctor", Ok(Parsed::Doctor { sends: true, lockfile: None }));
        check("doctor --no-send", Ok(Parsed::Doctor { sends: false, lockfile: None }));
        check("doctor --lock-file a/b", Ok(Parsed::Doctor { sends: true, lockfile: Some("a/b".into()) }));
        check("telemark config check otel.yaml", Ok(Parsed::Check("otel.yaml".into())));
        check("config from-env", Ok(Parsed::FromEnv));
        check("probe-hop http://a", Ok(hop("http://a", None)));
        check("probe-hop http://a --behind b:1", Ok(hop("http://a", Some("b:1"))));
        check("doctor --help", Ok(Parsed::Help));
        check("-V", Ok(Parsed::Version));
    }

    #[test]
    fn invalid_arguments_are_errors() {
        check("", Err("a command is missing"));
        check("telemark", Err("a command is missing"));
        check("config check", Err("`config check` takes one file"));
        check("config check a b", Err("`config check` takes one file"));
        check("doctor --lock-file", Err("--lock-file lacks its value"));
        check("doctor --verbose", Err("the argument \"--verbose\" is not known"));
        check("probe-hop", Err("`probe-hop` takes one URL and perhaps --behind HOST:PORT"));
        check("docter", Err("the command \"docter\" is not known"));
    }
}
