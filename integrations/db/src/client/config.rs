//! The settings for calls of databases, in code and from environment variables.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use telemark_kit::{Clock, Live};

use super::comment::Commenter;

const QUERY_TEXT: &str = "OTEL_RUST_DB_CLIENT_QUERY_TEXT";
const METRICS: &str = "OTEL_RUST_DB_CLIENT_METRICS";
const OPT_IN_ATTRIBUTES: &str = "OTEL_RUST_DB_CLIENT_OPT_IN_ATTRIBUTES";
const ERROR_MESSAGES: &str = "OTEL_RUST_DB_CLIENT_ERROR_MESSAGES";
const SQLCOMMENTER: &str = "OTEL_RUST_DB_CLIENT_SQLCOMMENTER";

/// The text of statements to record as `db.query.text`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryText {
    /// Records a statement with parameters as it is, and any other one without its literals.
    ///
    /// spec: db/database-spans.md#sanitization-of-dbquerytext
    #[default]
    Safe,
    /// Records every statement without its literals, even one with parameters.
    Sanitized,
    /// Records no text.
    Off,
}

/// The settings for calls of databases: the data that they record, and what is added to statements.
///
/// The defaults record no values of parameters and no messages of a database, which may repeat values. Literals are recorded only
/// beside parameters; see [`QueryText`].
///
/// ```
/// let config = telemark_db::ClientConfig::new().with_query_text(telemark_db::QueryText::Sanitized);
/// assert!(config.problems().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// Set by a variable.
    query_text: QueryText,
    /// Set by code, which takes precedence.
    own_query_text: Option<QueryText>,
    pub(crate) metrics: MetricChoice,
    pub(crate) returned_rows: bool,
    /// Set by a variable.
    error_messages: bool,
    /// Set by code.
    has_own_error_messages: bool,
    pub(crate) commenter: Option<Commenter>,
    pub(crate) clock: Option<Clock>,
    pub(crate) is_off: bool,
    problems: Vec<ConfigProblem>,
}

/// The settings of variables that have changed while the program runs.
struct Changed {
    query_text: Option<QueryText>,
    error_messages: Option<bool>,
}

static CHANGED: Live<Changed> = Live::new(|changed| {
    let read = |name: &str| changed(name).flatten();
    let of_changes = ClientConfig::from_env_fn(read);
    Changed {
        query_text: changed(QUERY_TEXT).map(|_| of_changes.query_text),
        error_messages: changed(ERROR_MESSAGES).map(|_| of_changes.error_messages),
    }
});

/// The metrics to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetricChoice {
    pub(crate) duration: bool,
    pub(crate) returned_rows: bool,
    pub(crate) pool: bool,
}

impl Default for MetricChoice {
    // spec: db/database-metrics.md: all of them are recommended
    fn default() -> Self {
        MetricChoice { duration: true, returned_rows: true, pool: true }
    }
}

impl MetricChoice {
    pub(crate) const NONE: Self = MetricChoice { duration: false, returned_rows: false, pool: false };
}

impl ClientConfig {
    /// Returns the defaults, without reading the environment.
    pub fn new() -> Self {
        ClientConfig::default()
    }

    /// Returns the default settings, overridden by the environment variables that `read` returns.
    ///
    /// Unset and empty variables have no effect. An invalid value is ignored and listed in [`ClientConfig::problems`].
    ///
    /// | variable | value | default |
    /// |---|---|---|
    /// | `OTEL_RUST_DB_CLIENT_QUERY_TEXT` | `safe`, `sanitized` or `none`, see [`QueryText`] | `safe` |
    /// | `OTEL_RUST_DB_CLIENT_METRICS` | comma-separated: `duration`, `returned_rows`, `pool`; or `none` | all |
    /// | `OTEL_RUST_DB_CLIENT_OPT_IN_ATTRIBUTES` | comma-separated names for [`ClientConfig::with_opt_in_attributes`] | none |
    /// | `OTEL_RUST_DB_CLIENT_ERROR_MESSAGES` | `true`: record the messages of failures, which may contain values | `false` |
    /// | `OTEL_RUST_DB_CLIENT_SQLCOMMENTER` | `true`: add a comment with the trace to statements that are not prepared, see [`Commenter`] | `false` |
    pub fn from_env_fn(read: impl Fn(&str) -> Option<String>) -> Self {
        // spec: configuration/sdk-environment-variables.md: an empty value counts as unset
        let set = |name| read(name).filter(|value| !value.trim().is_empty());
        let mut config = ClientConfig::new();
        if let Some(value) = set(QUERY_TEXT) {
            match value.trim() {
                "safe" => {}
                "sanitized" => config.query_text = QueryText::Sanitized,
                "none" => config.query_text = QueryText::Off,
                value => config.problem(QUERY_TEXT, value, "`safe`, `sanitized` or `none`"),
            }
        }
        if let Some(value) = set(METRICS) {
            config.metrics_from(&value);
        }
        if let Some(value) = set(OPT_IN_ATTRIBUTES) {
            config.opt_in(OPT_IN_ATTRIBUTES, list(&value));
        }
        config.error_messages = config.boolean(ERROR_MESSAGES, set(ERROR_MESSAGES));
        if config.boolean(SQLCOMMENTER, set(SQLCOMMENTER)) {
            config = config.with_commenter(Commenter::new());
        }
        config
    }

    /// Selects the text to record as `db.query.text`.
    pub fn with_query_text(mut self, text: QueryText) -> Self {
        self.own_query_text = Some(text);
        self
    }

    /// Returns the text to record for a call that begins now.
    pub(crate) fn query_text(&self) -> QueryText {
        let of_variable = || CHANGED.with(|changed| changed?.query_text).unwrap_or(self.query_text);
        self.own_query_text.unwrap_or_else(of_variable)
    }

    /// Returns true if the message of a failure that is recorded now is part of its span.
    pub(crate) fn error_messages(&self) -> bool {
        let of_variable = || CHANGED.with(|changed| changed?.error_messages).unwrap_or(self.error_messages);
        self.has_own_error_messages || of_variable()
    }

    /// Adds opt-in attributes of the semantic conventions to the spans, by name. The only one is
    /// `db.response.returned_rows`. Any other name is ignored and listed in [`ClientConfig::problems`].
    pub fn with_opt_in_attributes<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.opt_in("with_opt_in_attributes", names);
        self
    }

    /// Records the messages of failures as the description of the span's status.
    ///
    /// Off by default: a message such as `Duplicate entry 'ada@example.com'` repeats values of the statement.
    pub fn with_error_messages(mut self) -> Self {
        self.has_own_error_messages = true;
        self
    }

    /// Adds a comment to statements, which relates the database's own logs to traces. Off by default. Prepared statements receive
    /// only the constant tags; see [`Commenter`].
    ///
    /// spec: db/database-spans.md#sql-commenter: off by default
    pub fn with_commenter(mut self, commenter: Commenter) -> Self {
        self.commenter = Some(commenter);
        self
    }

    /// Disables all metrics.
    pub fn without_metrics(mut self) -> Self {
        self.metrics = MetricChoice::NONE;
        self
    }

    /// Disables the metrics of connection pools.
    pub fn without_pool_metrics(mut self) -> Self {
        self.metrics.pool = false;
        self
    }

    /// Disables `db.client.response.returned_rows`, which is in development.
    pub fn without_returned_rows(mut self) -> Self {
        self.metrics.returned_rows = false;
        self
    }

    /// Enables or disables the integration as a whole. Disabled, it starts no spans, records no metrics and adds no comments.
    pub fn with_enabled(mut self, is_enabled: bool) -> Self {
        self.is_off = !is_enabled;
        self
    }

    /// Replaces the system clock for spans and durations. `now` must not block.
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Clock::new(now));
        self
    }

    /// Returns the settings that were ignored.
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }

    /// Replaces the entire default. Keeps the default if no item is valid.
    fn metrics_from(&mut self, value: &str) {
        let mut chosen = MetricChoice::NONE;
        let mut is_understood = false;
        for item in list(value) {
            match item {
                "duration" => chosen.duration = true,
                "returned_rows" => chosen.returned_rows = true,
                "pool" => chosen.pool = true,
                "none" => {}
                _ => {
                    self.problem(METRICS, item, "`duration`, `returned_rows`, `pool` or `none`");
                    continue;
                }
            }
            is_understood = true;
        }
        if is_understood {
            self.metrics = chosen;
        }
    }

    fn opt_in<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, names: I) {
        for name in names {
            match name.as_ref().trim() {
                "db.response.returned_rows" => self.returned_rows = true,
                other => self.problem(source, other, "`db.response.returned_rows`"),
            }
        }
    }

    // spec: configuration/common.md: only "true", in any case, is true; any value but "false" causes a warning
    fn boolean(&mut self, source: &'static str, value: Option<String>) -> bool {
        let Some(value) = value else { return false };
        let value = value.trim();
        if value.eq_ignore_ascii_case("true") {
            return true;
        }
        if !value.eq_ignore_ascii_case("false") {
            self.problem(source, value, "`true` or `false`");
        }
        false
    }

    fn problem(&mut self, source: &'static str, value: &str, expected: &'static str) {
        self.problems.push(ConfigProblem { source: source.into(), value: value.to_owned(), expected });
    }
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// A setting that was ignored because its value is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    source: Cow<'static, str>,
    value: String,
    expected: &'static str,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ignored {:?}, expected {}", self.source, self.value, self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> ClientConfig {
        ClientConfig::from_env_fn(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn from_the_environment() {
        let check = |variables: &[(&str, &str)], expected: ClientConfig| {
            assert_eq!(format!("{:?}", read(variables)), format!("{expected:?}"));
        };
        let new = ClientConfig::new;
        check(&[], new());
        check(&[(QUERY_TEXT, " "), (METRICS, "")], new());
        let texts = ["safe", "sanitized", "none"].map(|text| read(&[(QUERY_TEXT, text)]).query_text());
        assert_eq!(texts, [QueryText::Safe, QueryText::Sanitized, QueryText::Off]);
        assert!(read(&[(ERROR_MESSAGES, "TRUE")]).error_messages() && !read(&[]).error_messages());
        check(&[(METRICS, "none")], new().without_metrics());
        check(&[(METRICS, "duration, pool")], new().without_returned_rows());
        check(&[(METRICS, "returned_rows,duration")], new().without_pool_metrics());
        check(
            &[(OPT_IN_ATTRIBUTES, "db.response.returned_rows")],
            new().with_opt_in_attributes(["db.response.returned_rows"]),
        );
        check(&[(SQLCOMMENTER, "true")], new().with_commenter(Commenter::new()));
    }

    #[test]
    fn names_what_it_leaves_out() {
        let config = read(&[
            (QUERY_TEXT, "all"),
            (METRICS, "durations"),
            (OPT_IN_ATTRIBUTES, "db.query.parameter.0"),
            (ERROR_MESSAGES, "1"),
            (SQLCOMMENTER, "yes"),
        ]);
        let problems: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems.join("\n"),
            "OTEL_RUST_DB_CLIENT_QUERY_TEXT: ignored \"all\", expected `safe`, `sanitized` or `none`\n\
             OTEL_RUST_DB_CLIENT_METRICS: ignored \"durations\", expected `duration`, `returned_rows`, `pool` or `none`\n\
             OTEL_RUST_DB_CLIENT_OPT_IN_ATTRIBUTES: ignored \"db.query.parameter.0\", expected `db.response.returned_rows`\n\
             OTEL_RUST_DB_CLIENT_ERROR_MESSAGES: ignored \"1\", expected `true` or `false`\n\
             OTEL_RUST_DB_CLIENT_SQLCOMMENTER: ignored \"yes\", expected `true` or `false`"
        );
        assert_eq!((config.metrics, config.query_text), (MetricChoice::default(), QueryText::Safe));
    }
}
