//! The arguments of the program.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use telemark_sdk::config::Env;
use telemark_viewer::{Settings, parse_bytes, parse_origin};

pub(crate) const HELP: &str = "\
Shows traces, metrics and logs of any program that sends OTLP.

telemark-viewer [OPTIONS]

  --listen HOST:PORT      serves the page here [localhost:4380, or a free port]
  --otlp-grpc HOST:PORT   receives OTLP here [127.0.0.1:4317]; `none` does not
  --otlp-http HOST:PORT   receives OTLP here [127.0.0.1:4318]; `none` does not
  --allow-origin ORIGIN   lets web pages of this origin send OTLP, such as
                          https://shop.example; may be repeated
  --max-memory SIZE       holds at most this much telemetry [256MiB]
  --open FILE             opens a file of OTLP/JSON lines; may be repeated
  --save FILE             saves everything that is held to a file at the end
  --token TOKEN           requires a token of at least 16 characters, which an
                          address other than a loopback address needs
  --help, --version

Both receivers accept gRPC and HTTP. Without an option, the page takes its
settings from OTEL_RUST_VIEWER_ADDRESS, OTEL_RUST_VIEWER_MAX_MEMORY and
OTEL_RUST_VIEWER_TOKEN, and the receivers take the origins from
OTEL_RUST_VIEWER_ALLOWED_ORIGINS.";

/// Arguments that ask the program to run.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) settings: Settings,
    /// Protocols and the addresses to receive them at.
    pub(crate) receivers: Vec<(&'static str, String)>,
    pub(crate) open: Vec<PathBuf>,
    pub(crate) save: Option<PathBuf>,
}

/// The request of the arguments.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed {
    Help,
    Version,
    Run(Arguments),
}

/// The error of an argument that the program does not understand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; see --help", self.0)
    }
}

impl Error for Invalid {}

/// Parses arguments. Those that are absent come from the environment.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Parsed, Invalid> {
    let env = Env::process();
    let parsed = parse_with(Settings::from_env(&env), arguments)?;
    match env.take_warnings().first() {
        Some(warning) => Err(Invalid(warning.to_string())),
        None => Ok(parsed),
    }
}

fn parse_with(settings: Settings, mut arguments: impl Iterator<Item = OsString>) -> Result<Parsed, Invalid> {
    let (mut grpc, mut http) = ("127.0.0.1:4317".to_owned(), "127.0.0.1:4318".to_owned());
    let mut parsed = Arguments { settings, receivers: Vec::new(), open: Vec::new(), save: None };
    while let Some(argument) = arguments.next() {
        let argument = argument.to_string_lossy().into_owned();
        let (name, attached) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (&*argument, None),
        };
        match name {
            "--help" | "-h" => return Ok(Parsed::Help),
            "--version" | "-V" => return Ok(Parsed::Version),
            _ => {}
        }
        let mut value = || attached.clone().or_else(|| arguments.next()).ok_or_else(|| lacking(name));
        match name {
            "--listen" => parsed.settings.address = Some(text(name, value()?)?),
            "--otlp-grpc" => grpc = text(name, value()?)?,
            "--otlp-http" => http = text(name, value()?)?,
            "--token" => parsed.settings.token = Some(text(name, value()?)?),
            "--open" => parsed.open.push(value()?.into()),
            "--save" => parsed.save = Some(value()?.into()),
            "--allow-origin" => {
                let origin = text(name, value()?)?;
                let invalid =
                    || Invalid(format!("--allow-origin {origin:?} is no origin, such as https://shop.example"));
                parsed.settings.allowed_origins.push(parse_origin(&origin).ok_or_else(invalid)?);
            }
            "--max-memory" => {
                let size = text(name, value()?)?;
                let invalid = || Invalid(format!("--max-memory {size:?} is no size of at least 1MiB, such as 256MiB"));
                parsed.settings.max_memory = parse_bytes(&size).ok_or_else(invalid)?;
            }
            _ => return Err(Invalid(format!("the argument {argument:?} is not known"))),
        }
    }
    for (protocol, address) in [("OTLP/gRPC", grpc), ("OTLP/HTTP", http)] {
        if address != "none" {
            parsed.receivers.push((protocol, address));
        }
    }
    Ok(Parsed::Run(parsed))
}

fn lacking(name: &str) -> Invalid {
    Invalid(format!("{name} lacks its value"))
}

fn text(name: &str, value: OsString) -> Result<String, Invalid> {
    value.into_string().map_err(|_| Invalid(format!("the value of {name} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Result<Parsed, String> {
        let arguments = arguments.split_whitespace().map(OsString::from);
        parse_with(Settings::default(), arguments).map_err(|error| error.to_string())
    }

    fn run(arguments: &str) -> Arguments {
        match parsed(arguments) {
            Ok(Parsed::Run(arguments)) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_help() {
        let defaults = run("");
        assert_eq!(defaults.settings, Settings::default());
        let receivers = [("OTLP/gRPC", "127.0.0.1:4317"), ("OTLP/HTTP", "127.0.0.1:4318")];
        assert_eq!(defaults.receivers, receivers.map(|(protocol, address)| (protocol, address.to_owned())));
        for (_, address) in receivers {
            assert!(HELP.contains(address));
        }
    }

    #[test]
    fn options_take_their_value_either_way() {
        let given = run(
            "--listen localhost:0 --max-memory=8MiB --otlp-grpc none --otlp-http=localhost:1 --open a --open=b --save c \
             --allow-origin https://a.example --allow-origin=http://localhost:3000/",
        );
        assert_eq!(given.settings.address.as_deref(), Some("localhost:0"));
        assert_eq!(given.settings.max_memory, 8 << 20);
        assert_eq!(given.settings.allowed_origins, ["https://a.example", "http://localhost:3000"]);
        assert_eq!(given.receivers, [("OTLP/HTTP", "localhost:1".to_owned())]);
        assert_eq!((given.open, given.save), (vec!["a".into(), "b".into()], Some("c".into())));
        assert_eq!(parsed("--otlp-grpc none --help"), Ok(Parsed::Help));
        assert_eq!(parsed("-V"), Ok(Parsed::Version));
    }

    #[test]
    fn invalid_arguments_are_errors() {
        let check = |arguments, expected: &str| assert_eq!(parsed(arguments), Err(format!("{expected}; see --help")));
        check("--listen", "--listen lacks its value");
        check("--port 1", "the argument \"--port\" is not known");
        check("file", "the argument \"file\" is not known");
        check("--allow-origin *", "--allow-origin \"*\" is no origin, such as https://shop.example");
        check("--max-memory lots", "--max-memory \"lots\" is no size of at least 1MiB, such as 256MiB");
    }
}
