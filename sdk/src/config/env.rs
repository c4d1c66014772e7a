//! Reads and parses environment variables.
//!
//! spec: configuration/common.md. An empty value counts as unset. An invalid value is reported together with the accepted
//! values, and then treated as unset.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::ConfigError;
use crate::sync::unpoisoned;

/// The variables that have the effect of the settings in a configuration file.
pub(crate) type FileVariables = BTreeMap<&'static str, String>;

/// The maximum number of warnings that are kept. A long list may consist of nothing but mistakes.
const MAX_WARNINGS: usize = 100;

/// The warnings since they were taken last.
#[derive(Default)]
struct Warnings {
    kept: Vec<ConfigError>,
    /// The number of those beyond the maximum.
    more: usize,
}

/// The variables of the file from which the installed telemetry comes.
static INSTALLED: Mutex<Option<Arc<FileVariables>>> = Mutex::new(None);

/// Environment variables, read from the process environment or from a fixed set for tests, and the warnings found
/// while reading them. Its `Debug` shows the names of fixed variables but no value, since any of them may be a secret.
#[derive(Default)]
pub struct Env {
    /// `None` reads the process environment.
    fixed: Option<BTreeMap<String, OsString>>,
    /// The variables whose names begin with `OTEL_`, if a configuration file replaces them.
    of_file: Option<Arc<FileVariables>>,
    warnings: Mutex<Warnings>,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fixed = self.fixed.as_ref().map(|variables| variables.keys().collect::<Vec<_>>());
        let of_file = self.of_file.as_ref().map(|variables| variables.keys().collect::<Vec<_>>());
        f.debug_struct("Env").field("fixed", &fixed).field("of_file", &of_file).finish_non_exhaustive()
    }
}

impl Env {
    /// Creates a reader for the process environment. If the installed telemetry comes from a configuration file, variables that begin
    /// with `OTEL_` have the values of that file, so that integrations follow it as well.
    pub fn process() -> Self {
        Env { of_file: unpoisoned(INSTALLED.lock()).clone(), ..Env::default() }
    }

    /// Creates an environment in which variables that begin with `OTEL_` have these values and no others.
    ///
    /// spec: configuration/sdk-environment-variables.md#declarative-configuration — with a file, all others are ignored
    pub(crate) fn with_file(&self, variables: FileVariables) -> Env {
        Env { fixed: self.fixed.clone(), of_file: Some(Arc::new(variables)), warnings: Mutex::default() }
    }

    /// Returns the variables as the program was started with them. What is built anew reads its own file, not the one that is installed.
    pub(crate) fn without_file(mut self) -> Env {
        self.of_file = None;
        self
    }

    /// Returns the variables of the file, if there is one.
    pub(crate) fn file_variables(&self) -> FileVariables {
        self.of_file.as_deref().cloned().unwrap_or_default()
    }

    /// Gives the variables of the file to all later readers of the process environment.
    pub(crate) fn install_file(&self) {
        unpoisoned(INSTALLED.lock()).clone_from(&self.of_file);
    }

    /// Creates an environment with fixed variables.
    pub fn from_pairs<K: Into<String>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let fixed = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Env { fixed: Some(fixed), of_file: None, warnings: Mutex::default() }
    }

    /// Returns the same variables, without the warnings.
    pub(crate) fn copy(&self) -> Self {
        Env { fixed: self.fixed.clone(), of_file: self.of_file.clone(), warnings: Mutex::default() }
    }

    /// Returns the trimmed value; `None` if unset or empty.
    pub fn string(&self, name: &str) -> Option<String> {
        match self.verbatim(name) {
            Ok(value) => value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()),
            Err(error) => {
                self.warn(error);
                None
            }
        }
    }

    /// Returns the value with its white space; `None` if unset or empty.
    ///
    /// # Errors
    /// Fails if the value is not UTF-8.
    #[allow(clippy::disallowed_methods, reason = "this module is the only reader of the environment")]
    pub fn verbatim(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let raw = match (&self.of_file, &self.fixed) {
            (Some(file), _) if name.starts_with("OTEL_") => file.get(name).map(OsString::from),
            (_, Some(fixed)) => fixed.get(name).cloned(),
            (_, None) => std::env::var_os(name),
        };
        match raw.map(OsString::into_string) {
            Some(Ok(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
            Some(Err(raw)) => Err(ConfigError::invalid(name.to_owned(), raw.to_string_lossy(), "UTF-8")),
            None => Ok(None),
        }
    }

    /// Returns true if the variables come from the process environment.
    pub(super) fn is_of_the_process(&self) -> bool {
        self.fixed.is_none()
    }

    /// Returns the names of all variables that are set and not empty.
    #[allow(clippy::disallowed_methods, reason = "this module is the only reader of the environment")]
    pub(super) fn names(&self) -> Vec<String> {
        let is_set =
            |(name, value): (OsString, OsString)| (!value.is_empty()).then(|| name.into_string().ok()).flatten();
        match &self.fixed {
            Some(fixed) => fixed.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.clone()).collect(),
            None => std::env::vars_os().filter_map(is_set).collect(),
        }
    }

    /// Returns all variables that are UTF-8, with their values as they are.
    #[allow(clippy::disallowed_methods, reason = "this module is the only reader of the environment")]
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        match &self.fixed {
            Some(fixed) => {
                let text = |(name, value): (&String, &OsString)| Some((name.clone(), value.to_str()?.to_owned()));
                fixed.iter().filter_map(text).collect()
            }
            None => {
                let text = |(name, value): (OsString, OsString)| name.into_string().ok().zip(value.into_string().ok());
                std::env::vars_os().filter_map(text).collect()
            }
        }
    }

    /// Returns true only for `true`, ignoring case.
    pub fn boolean(&self, name: &str) -> bool {
        match self.string(name) {
            Some(value) if value.eq_ignore_ascii_case("true") => true,
            Some(value) if value.eq_ignore_ascii_case("false") => false,
            Some(value) => {
                self.warn(ConfigError::invalid(name.to_owned(), value, "true or false"));
                false
            }
            None => false,
        }
    }

    /// Returns the value as an integer within `range`.
    pub fn integer(&self, name: &str, range: RangeInclusive<usize>) -> Option<usize> {
        self.parse(name, |value| {
            value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
                match (*range.start(), *range.end()) {
                    (start, usize::MAX) => format!("a whole number of at least {start}"),
                    (start, end) => format!("a whole number from {start} to {end}"),
                }
            })
        })
    }

    /// Returns the value as a number within `range`.
    pub fn number(&self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        self.parse(name, |value| {
            value
                .parse()
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("a number from {} to {}", range.start(), range.end()))
        })
    }

    /// Returns the value, given in milliseconds, as a duration.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.parse(name, |value| {
            value.parse().map(Duration::from_millis).map_err(|_| "a whole number of milliseconds".to_owned())
        })
    }

    /// Returns the value, given in milliseconds, as a timeout. Zero means no limit and is returned as [`Duration::MAX`].
    pub fn timeout(&self, name: &str) -> Option<Duration> {
        self.duration(name).map(|timeout| if timeout.is_zero() { Duration::MAX } else { timeout })
    }

    /// Returns the entry of `values` that the variable names, ignoring case.
    pub fn one_of<T: Clone>(&self, name: &str, values: &[(&str, T)]) -> Option<T> {
        self.parse(name, |value| named(value, values))
    }

    /// Returns the entries named in a comma-separated list, without duplicates and ignoring case; `None` if unset. Reports
    /// and skips unknown names.
    pub fn list_of<T: Clone + PartialEq>(&self, name: &str, values: &[(&str, T)]) -> Option<Vec<T>> {
        let list = self.string(name)?;
        let mut found = Vec::new();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match named(item, values) {
                Ok(value) if found.contains(&value) => {}
                Ok(value) => found.push(value),
                Err(accepted) => self.warn(ConfigError::invalid(name.to_owned(), item, accepted)),
            }
        }
        Some(found)
    }

    /// Parses the value with `grammar`, whose error describes the accepted values.
    pub fn parse<T>(&self, name: &str, grammar: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = self.string(name)?;
        match grammar(&value) {
            Ok(parsed) => Some(parsed),
            Err(accepted) => {
                self.warn(ConfigError::invalid(name.to_owned(), value, accepted));
                None
            }
        }
    }

    /// Reports that a setting is ignored.
    pub fn warn(&self, warning: ConfigError) {
        let mut warnings = unpoisoned(self.warnings.lock());
        match warnings.kept.len() {
            ..MAX_WARNINGS => warnings.kept.push(warning),
            _ => warnings.more += 1,
        }
    }

    /// Returns the warnings added since the last call. The last one counts those beyond a maximum.
    pub fn take_warnings(&self) -> Vec<ConfigError> {
        let Warnings { mut kept, more } = std::mem::take(&mut *unpoisoned(self.warnings.lock()));
        if more > 0 {
            kept.push(ConfigError::state("environment", format!("has {more} more problems, which are not listed")));
        }
        kept
    }
}

fn named<T: Clone>(value: &str, values: &[(&str, T)]) -> Result<T, String> {
    match values.iter().find(|(name, _)| value.eq_ignore_ascii_case(name)) {
        Some((_, found)) => Ok(found.clone()),
        None => {
            let names: Vec<_> = values.iter().map(|&(name, _)| name).collect();
            Err(format!("one of {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::VARIABLES;
    use crate::text::Secrecy;

    /// Reads one variable and compares the result and the warnings with `expected`.
    fn check<T: std::fmt::Debug>(value: &str, read: impl FnOnce(&Env) -> T, expected: &str) {
        let env = Env::from_pairs([("X", value)]);
        let result = read(&env);
        let warnings: Vec<_> = env.take_warnings().iter().map(ToString::to_string).collect();
        assert_eq!([vec![format!("{result:?}")], warnings].concat().join("; "), expected, "X={value:?}");
    }

    #[test]
    fn no_reader_shows_a_secret() {
        let readers: [fn(&Env, &str); 7] = [
            |env, name| _ = env.string(name),
            |env, name| _ = env.boolean(name),
            |env, name| _ = env.integer(name, 0..=9),
            |env, name| _ = env.number(name, 0.0..=1.0),
            |env, name| _ = env.timeout(name),
            |env, name| _ = env.list_of(name, &[("a", ())]),
            |env, name| _ = env.parse(name, |_| Err::<(), _>("something else".to_owned())),
        ];
        let secret = VARIABLES.iter().filter(|variable| variable.secrecy() != Secrecy::Open);
        let names: Vec<_> = secret.map(|variable| variable.name).collect();
        assert_eq!(names.len(), 26, "headers, commands, client keys, a token, endpoints and proxies: {names:?}");
        for name in names {
            for mut value in [b"http://u:S3CRET@h/?k=S3CRET".to_vec(), b"http://S3CRET@h,S3CRET@b".to_vec()] {
                for invalid in [&b""[..], b"\xff"] {
                    value.extend_from_slice(invalid);
                    let value = os_string(&value);
                    let env = Env::from_pairs([(name, &value)]);
                    readers.iter().for_each(|read| read(&env, name));
                    let warnings = env.take_warnings();
                    assert!(warnings.len() >= readers.len() - 1);
                    assert!(!format!("{warnings:?}").contains("S3CRET"), "{warnings:?}");
                }
            }
        }
    }

    #[cfg(unix)]
    fn os_string(bytes: &[u8]) -> OsString {
        std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
    }

    #[cfg(not(unix))]
    fn os_string(bytes: &[u8]) -> OsString {
        String::from_utf8_lossy(bytes).into_owned().into()
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_reported_and_not_set() {
        let env = Env::from_pairs([("X", os_string(b"a\xff"))]);
        assert_eq!(env.string("X"), None);
        let warnings = env.take_warnings();
        assert_eq!(warnings[0].to_string(), "X=\"a\u{fffd}\" cannot be used: expected UTF-8");
    }

    #[test]
    fn strings() {
        check("", |env| env.string("X"), "None");
        check("  ", |env| env.string("X"), "None");
        check(" a ", |env| env.string("X"), r#"Some("a")"#);
        check("a", |env| env.string("UNSET"), "None");
    }

    #[test]
    fn booleans() {
        check("true", |env| env.boolean("X"), "true");
        check("TRUE", |env| env.boolean("X"), "true");
        check("False", |env| env.boolean("X"), "false");
        check("1", |env| env.boolean("X"), r#"false; X="1" cannot be used: expected true or false"#);
    }

    #[test]
    fn integers() {
        let positive = |env: &Env| env.integer("X", 1..=usize::MAX);
        check("512", positive, "Some(512)");
        check("0", positive, r#"None; X="0" cannot be used: expected a whole number of at least 1"#);
        check("-1", positive, r#"None; X="-1" cannot be used: expected a whole number of at least 1"#);
        check(
            "1e3",
            |env| env.integer("X", 0..=9),
            r#"None; X="1e3" cannot be used: expected a whole number from 0 to 9"#,
        );
    }

    #[test]
    fn numbers() {
        check("0.25", |env| env.number("X", 0.0..=1.0), "Some(0.25)");
        for bad in ["1.1", "-0.1", "NaN", "x"] {
            let expected = format!(r#"None; X="{bad}" cannot be used: expected a number from 0 to 1"#);
            check(bad, |env| env.number("X", 0.0..=1.0), &expected);
        }
    }

    #[test]
    fn durations_and_timeouts() {
        check("250", |env| env.duration("X"), "Some(250ms)");
        check("0", |env| env.duration("X"), "Some(0ns)");
        check("-5", |env| env.duration("X"), r#"None; X="-5" cannot be used: expected a whole number of milliseconds"#);
        let env = Env::from_pairs([("X", "0")]);
        assert_eq!(env.timeout("X"), Some(Duration::MAX));
    }

    #[test]
    fn named_values() {
        let values = [("gzip", 1), ("none", 2)];
        check("GZip", |env| env.one_of("X", &values), "Some(1)");
        check("zip", |env| env.one_of("X", &values), r#"None; X="zip" cannot be used: expected one of gzip, none"#);
        check("none, gzip,none", |env| env.list_of("X", &values), "Some([2, 1])");
        let expected = r#"Some([1]); X="zip" cannot be used: expected one of gzip, none"#;
        check("zip,gzip", |env| env.list_of("X", &values), expected);
    }
}
