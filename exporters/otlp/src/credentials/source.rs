//! The places that headers come from: a file, a command or the program's code.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use telemark_sdk::config::Env;
use telemark_sdk::error::catch;
use telemark_sdk::time::Deadline;
use telemark_sdk::{ConfigError, text};

use super::command::Command;
use super::grammar::{self, MAX_SIZE};
use crate::files;
use crate::headers::Headers;
use crate::settings::Named;

type Pairs = Result<Vec<(String, String)>, Box<dyn Error + Send + Sync>>;

/// A place that headers come from. `Debug` shows the path or the program, but no argument and no value.
#[derive(Clone)]
pub(crate) enum HeaderSource {
    File(PathBuf),
    Command(Command),
    Code(Arc<dyn Fn() -> Pairs + Send + Sync>),
}

/// A source as it was set, and the interval between its readings.
#[derive(Debug, Default)]
pub(crate) struct SourceConfig {
    pub(crate) source: Option<Named<HeaderSource>>,
    pub(crate) refresh: Option<Duration>,
    /// Sources that have no effect, because another one is set as well.
    pub(crate) unused: Vec<ConfigError>,
}

impl SourceConfig {
    /// Reads the variables. Those of the signal replace those for all signals, and a file takes precedence over a command.
    pub(crate) fn from_env(env: &Env, signal: &str) -> Self {
        const PREFIX: &str = "OTEL_RUST_EXPORTER_OTLP";
        let mut config = SourceConfig { refresh: env.timeout(&format!("{PREFIX}_HEADERS_REFRESH")), ..Self::default() };
        for prefix in [format!("{PREFIX}_{signal}"), PREFIX.to_owned()] {
            let file = format!("{prefix}_HEADERS_FILE");
            if let Some(path) = env.string(&file) {
                config.add(file, HeaderSource::File(path.into()));
            }
            let command = format!("{prefix}_HEADERS_COMMAND");
            let accepted = "a program and its arguments, with both quotation marks of each pair";
            if let Some(parsed) = env.parse(&command, |line| Command::parse(line).ok_or_else(|| accepted.to_owned())) {
                config.add(command, HeaderSource::Command(parsed));
            }
            if config.source.is_some() {
                break;
            }
        }
        config
    }

    fn add(&mut self, name: String, source: HeaderSource) {
        match &self.source {
            Some(first) => {
                let problem = format!("has no effect, because {} is set", first.name);
                self.unused.push(ConfigError::state(name, problem));
            }
            None => self.source = Some(Named { name: name.into(), value: source }),
        }
    }
}

impl HeaderSource {
    pub(crate) fn command(program: impl Into<OsString>, arguments: Vec<OsString>) -> Self {
        HeaderSource::Command(Command::new(program.into(), arguments))
    }

    /// Returns the time after which the headers are read again unless a setting says otherwise. Reading a file costs next to nothing.
    pub(super) fn default_refresh(&self) -> Duration {
        match self {
            HeaderSource::File(_) => Duration::from_secs(60),
            HeaderSource::Command(_) | HeaderSource::Code(_) => Duration::from_secs(300),
        }
    }

    /// Returns true if the headers can be read at any time, because nothing of the program or of others runs.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, HeaderSource::File(_))
    }

    /// Reads the headers. The error describes the problem without a value.
    pub(super) fn read(&self, deadline: Deadline) -> Result<Headers, String> {
        match self {
            HeaderSource::File(path) => {
                let shown = text::foreign(path.as_os_str().as_encoded_bytes()).to_string();
                let bytes =
                    files::read(path, MAX_SIZE as u64).map_err(|error| format!("{shown} cannot be read ({error})"))?;
                grammar::parse(&bytes).map_err(|problem| format!("{shown} {problem}"))
            }
            HeaderSource::Command(command) => {
                let output = command.run(deadline).map_err(|problem| format!("{command} {problem}"))?;
                grammar::parse(&output).map_err(|problem| format!("the output of {command} {problem}"))
            }
            HeaderSource::Code(code) => {
                // The program may send a request to get a token, which must not become telemetry.
                let _suppressed = Context::enter_telemetry_suppressed_scope();
                let pairs = match catch(|| code().map_err(|error| text::display(&error).to_string())) {
                    Ok(pairs) => pairs.map_err(|error| format!("failed ({error})"))?,
                    Err(_) => return Err("panicked".to_owned()),
                };
                let mut headers = Headers::default();
                for (name, value) in pairs {
                    headers.set("header", &name, &value).map_err(|error| format!("returned a bad header ({error})"))?;
                }
                Ok(headers)
            }
        }
    }
}

impl fmt::Debug for HeaderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderSource::File(path) => f.debug_tuple("File").field(path).finish(),
            HeaderSource::Command(command) => write!(f, "Command({command})"),
            HeaderSource::Code(_) => f.write_str("Code(…)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: &str) {
        let pairs = variables.iter().map(|(name, value)| (format!("OTEL_RUST_EXPORTER_OTLP_{name}"), *value));
        let env = Env::from_pairs(pairs);
        let SourceConfig { source, refresh, unused } = SourceConfig::from_env(&env, "TRACES");
        let source =
            source.map(|source| format!("{} {:?}", source.name.replace("OTEL_RUST_EXPORTER_OTLP_", ""), source.value));
        let unused = unused.into_iter().map(|unused| unused.to_string());
        let warnings = env.take_warnings().into_iter().map(|warning| warning.to_string());
        let lines: Vec<_> =
            source.into_iter().chain(refresh.map(|it| format!("{it:?}"))).chain(unused).chain(warnings).collect();
        assert_eq!(lines.join("; ").replace("OTEL_RUST_EXPORTER_OTLP_", ""), expected);
    }

    #[test]
    fn the_variables() {
        check(&[], "");
        check(&[("HEADERS_FILE", "/a")], "HEADERS_FILE File(\"/a\")");
        check(&[("HEADERS_FILE", "/a"), ("TRACES_HEADERS_FILE", "/b")], "TRACES_HEADERS_FILE File(\"/b\")");
        check(
            &[("HEADERS_FILE", "/a"), ("TRACES_HEADERS_COMMAND", "x s3cret"), ("HEADERS_REFRESH", "5")],
            "TRACES_HEADERS_COMMAND Command(`x …`); 5ms",
        );
        check(
            &[("HEADERS_FILE", "/a"), ("HEADERS_COMMAND", "x")],
            "HEADERS_FILE File(\"/a\"); HEADERS_COMMAND: has no effect, because HEADERS_FILE is set",
        );
        check(
            &[("HEADERS_COMMAND", "x 's3cret")],
            "HEADERS_COMMAND=\"…\" cannot be used: expected a program and its arguments, with both quotation marks of each pair",
        );
    }
}
