//! The filter: its grammar, its defaults, and how it makes decisions.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use super::Level;
use crate::config::{Env, edits};
use crate::error::ConfigError;

/// The variable that sets the filter of spans.
pub(crate) const VARIABLE: &str = "OTEL_RUST_SPANS";

/// The name of the setting in messages about a filter that does not come from a variable.
const FILTER: &str = "filter";

/// The accepted form of a directive, as shown in messages.
const ACCEPTED: &str = "target=level, a target or a level: off, error, warn, info, debug or trace";

/// Selects spans by target and level. A span that it rejects does not exist, and its children become children of the
/// next enclosing span.
///
/// The grammar is that of `RUST_LOG`, which is a comma-separated list of directives:
///
/// | directive | effect |
/// |---|---|
/// | `debug` | keeps spans of every target up to this level; `off` keeps none |
/// | `shop::cart=debug` | keeps spans of targets that start with `shop::cart` up to this level |
/// | `shop::cart` | keeps all spans of these targets |
///
/// The directive with the longest matching target applies; if several directives have the same target, the last one
/// applies. A target without a directive has the level `info`. The exceptions are `tower_http`, `sqlx::query` and
/// `telemark`, which are kept up to `debug`, because their spans have that level but nevertheless belong in a trace. A
/// directive without a target replaces all of these defaults. Unlike in `RUST_LOG`, a directive with a target keeps
/// them: `shop::cart=debug` adds spans and removes none.
///
/// A filter of log records keeps the events of `sqlx::query` only if a directive names exactly that target, because they contain
/// statements as they are written; see [`records`](super::records).
///
/// ```
/// use telemark_sdk::span_filter::{Level, SpanFilter};
///
/// let filter: SpanFilter = "warn,shop::cart=debug".parse()?;
/// assert!(filter.enabled("shop::cart::price", Level::Debug));
/// assert!(!filter.enabled("shop::stock", Level::Info));
/// # Ok::<(), telemark_sdk::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanFilter {
    /// `None` if no spans are kept.
    rest: Option<Level>,
    /// Sorted so that longer targets come first.
    directives: Vec<Directive>,
}

#[derive(Clone, Debug)]
struct Directive {
    target: Cow<'static, str>,
    level: Option<Level>,
    /// True for a default, which the program did not write.
    is_default: bool,
}

impl PartialEq for Directive {
    fn eq(&self, other: &Self) -> bool {
        (&self.target, self.level) == (&other.target, other.level)
    }
}

impl Eq for Directive {}

/// The target of the events with which sqlx reports statements, as they are written.
const STATEMENTS: &str = "sqlx::query";

/// The targets that are kept at a level other than [`Level::Info`] by default.
const KNOWN: [(&str, Level); 3] =
    [("tower_http", Level::Debug), (STATEMENTS, Level::Debug), ("telemark", Level::Debug)];

impl Default for SpanFilter {
    fn default() -> Self {
        let known = |(target, level)| Directive { target: Cow::Borrowed(target), level: Some(level), is_default: true };
        let mut filter = SpanFilter { rest: Some(Level::Info), directives: KNOWN.map(known).into() };
        filter.sort();
        filter
    }
}

impl SpanFilter {
    /// Creates a filter that keeps the spans of every target up to `level`, or no spans if `level` is `None`.
    pub fn up_to(level: impl Into<Option<Level>>) -> Self {
        SpanFilter { rest: level.into(), directives: Vec::new() }
    }

    /// Keeps the spans of targets that start with `target` up to `level`, or none of them if `level` is `None`.
    pub fn with_target(mut self, target: impl Into<Cow<'static, str>>, level: impl Into<Option<Level>>) -> Self {
        self.put([Directive { target: target.into(), level: level.into(), is_default: false }]);
        self
    }

    /// Returns this filter of log records without the statements of sqlx, whose text contains values, unless a directive names exactly
    /// their target.
    pub(super) fn without_unnamed_statements(self) -> Self {
        let names = |directive: &Directive| !directive.is_default && directive.target == STATEMENTS;
        if self.directives.iter().any(names) { self } else { self.without_statements() }
    }

    /// Returns this filter of spans as one of log records: without the statements of sqlx, which become spans.
    pub(super) fn without_statements(mut self) -> Self {
        self.put([Directive { target: STATEMENTS.into(), level: None, is_default: true }]);
        self
    }

    /// Parses a filter.
    ///
    /// # Errors
    /// Returns an error that names the first directive that does not follow the grammar.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut first = None;
        let filter = SpanFilter::lenient(FILTER, text, |error| {
            first.get_or_insert(error);
        });
        first.map_or(Ok(filter), Err)
    }

    /// Reads `OTEL_RUST_SPANS`. Reports and skips directives that do not follow the grammar. Returns `None` if the
    /// variable is not set.
    pub fn from_env(env: &Env) -> Option<Self> {
        SpanFilter::from_variable(VARIABLE, env)
    }

    pub(super) fn from_variable(variable: &'static str, env: &Env) -> Option<Self> {
        env.string(variable).map(|text| SpanFilter::lenient(variable, &text, |error| env.warn(error)))
    }

    fn lenient(setting: &'static str, text: &str, mut report: impl FnMut(ConfigError)) -> Self {
        let mut rest = None;
        let mut given = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match parsed(part) {
                Some((None, level)) => rest = Some(level),
                Some((Some(target), level)) => {
                    given.push(Directive { target: target.to_owned().into(), level, is_default: false });
                }
                None => report(ConfigError::invalid(setting, part, ACCEPTED)),
            }
        }
        let mut filter = rest.map_or_else(SpanFilter::default, SpanFilter::up_to);
        filter.put(given);
        filter
    }

    /// Returns true if spans with this target and level are kept.
    pub fn enabled(&self, target: &str, level: Level) -> bool {
        self.level_of(target).is_some_and(|most| level <= most)
    }

    /// Returns the most verbose level that is kept for `target`, or `None` if no spans with this target are kept.
    pub fn level_of(&self, target: &str) -> Option<Level> {
        let matching = self.directives.iter().find(|directive| target.starts_with(&*directive.target));
        matching.map_or(self.rest, |directive| directive.level)
    }

    /// Returns the most verbose level that is kept for any target, or `None` if no spans are kept.
    pub fn max_level(&self) -> Option<Level> {
        self.directives.iter().map(|directive| directive.level).fold(self.rest, Option::max)
    }

    /// Adds directives, of which the last one for each target applies.
    fn put(&mut self, new: impl IntoIterator<Item = Directive>) {
        self.directives.extend(new);
        let mut seen = HashSet::new();
        let mut kept: Vec<_> = std::mem::take(&mut self.directives).into_iter().rev().collect();
        kept.retain(|directive| seen.insert(directive.target.clone()));
        kept.reverse();
        self.directives = kept;
        self.sort();
    }

    fn sort(&mut self) {
        self.directives.sort_by_key(|directive| std::cmp::Reverse(directive.target.len()));
    }
}

/// Parses a directive into its level and, if there is one, its target.
fn parsed(part: &str) -> Option<(Option<&str>, Option<Level>)> {
    let is_target = |target: &str| !target.is_empty() && !target.contains(['[', ']', '{', '}', '=', '"', '/', ' ']);
    match part.split_once('=') {
        None => match Level::kept_by(part) {
            Some(level) => Some((None, level)),
            None => (is_target(part) && !is_misspelt_level(part)).then_some((Some(part), Some(Level::Trace))),
        },
        Some((target, level)) => {
            let (target, level) = (target.trim(), Level::kept_by(level.trim())?);
            is_target(target).then_some((Some(target), level))
        }
    }
}

/// Returns true if a word is most likely meant as a level: it has one letter too many or too few, or two swapped letters. Because a
/// filter may consist of targets, such a word would otherwise silently select that target.
pub fn is_misspelt_level(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let letters = |text: &str| {
        let mut letters = text.as_bytes().to_vec();
        letters.sort_unstable();
        letters
    };
    let is_near = |level: &str| {
        let is_swap = letters(level) == letters(&word);
        edits(&word, level) == 1 && (is_swap || level.len() != word.len())
    };
    ["off", "error", "warn", "info", "debug", "trace"].into_iter().any(is_near)
}

impl FromStr for SpanFilter {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        SpanFilter::parse(text)
    }
}

/// Writes the filter in the form of its grammar.
impl fmt::Display for SpanFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |level: Option<Level>| level.map_or("off", Level::name);
        f.write_str(name(self.rest))?;
        self.directives.iter().try_for_each(|given| write!(f, ",{}={}", given.target, name(given.level)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads the variable and compares the filter and the warnings with `expected`.
    #[track_caller]
    fn check(value: &str, expected: &str) {
        let env = Env::from_pairs([(VARIABLE, value)]);
        let filter = SpanFilter::from_env(&env).map_or("unset".to_owned(), |filter| filter.to_string());
        let warnings: Vec<_> = env.take_warnings().iter().map(ToString::to_string).collect();
        assert_eq!([vec![filter], warnings].concat().join("; "), expected);
    }

    const KNOWN: &str = "sqlx::query=debug,tower_http=debug,telemark=debug";

    #[test]
    fn the_grammar_is_that_of_rust_log() {
        check("", "unset");
        check("warn", "warn");
        check(" OFF ", "off");
        check("debug,off", "off");
        check("off, shop=Debug ,shop::cart = trace,", "off,shop::cart=trace,shop=debug");
        check("info,shop", "info,shop=trace");
        check("info,shop=off,shop=warn", "info,shop=warn");
    }

    #[test]
    fn a_target_without_a_level_for_the_rest_keeps_the_defaults() {
        check("shop=off", &format!("info,{KNOWN},shop=off"));
        check("tower_http=off", "info,sqlx::query=debug,tower_http=off,telemark=debug");
        assert_eq!(SpanFilter::default().to_string(), format!("info,{KNOWN}"));
    }

    #[test]
    fn a_directive_outside_of_the_grammar_is_reported_and_skipped() {
        let warning = |part| format!("OTEL_RUST_SPANS={part:?} cannot be used: expected {ACCEPTED}");
        check("warn,shop=loud,a=debug", &format!("warn,a=debug; {}", warning("shop=loud")));
        check("warn,[span]=debug", &format!("warn; {}", warning("[span]=debug")));
        check("warn,=debug", &format!("warn; {}", warning("=debug")));
        let error = SpanFilter::parse("a=b,c=d").unwrap_err();
        assert_eq!(error.to_string(), format!("filter=\"a=b\" cannot be used: expected {ACCEPTED}"));
    }

    #[test]
    fn a_word_that_is_almost_a_level_is_no_target() {
        for word in ["wran", "wrn", "inf", "Infoo", "debgu", "eror"] {
            assert!(is_misspelt_level(word) && SpanFilter::parse(word).is_err(), "{word}");
        }
        for word in ["warn", "warp", "shop", "api", "info_service", "app", "web"] {
            assert!(!is_misspelt_level(word) && SpanFilter::parse(word).is_ok(), "{word}");
        }
    }

    #[test]
    fn records_of_statements_are_kept_only_if_a_directive_names_them() {
        let check = |given: &str, expected: &str| {
            let filter = SpanFilter::parse(given).unwrap().without_unnamed_statements();
            assert_eq!(filter.to_string(), expected, "{given}");
        };
        check("debug", "debug,sqlx::query=off");
        check("shop=off", "info,sqlx::query=off,tower_http=debug,telemark=debug,shop=off");
        check("info,sqlx::query=debug", "info,sqlx::query=debug");
        // Who wants to know about the pool need not know that this target contains the statements.
        check("sqlx=warn", "info,sqlx::query=off,tower_http=debug,telemark=debug,sqlx=warn");
        check("info,sqlx::que=debug", "info,sqlx::query=off,sqlx::que=debug");
        check("info,sqlx::pool=debug", "info,sqlx::query=off,sqlx::pool=debug");
        let spans = SpanFilter::parse("info,sqlx::query=debug").unwrap();
        assert_eq!(spans.without_statements().to_string(), "info,sqlx::query=off");
    }

    #[test]
    fn the_longest_target_decides() {
        let filter = SpanFilter::parse("warn,shop=off,shop::cart=debug").unwrap();
        let kept = |target| filter.level_of(target);
        assert_eq!(kept("shop::cart::price"), Some(Level::Debug));
        assert_eq!(kept("shop::stock"), None);
        assert_eq!(kept("bank"), Some(Level::Warn));
        assert!(filter.enabled("bank", Level::Error) && !filter.enabled("bank", Level::Info));
        assert!(!filter.enabled("shop", Level::Error));
        assert_eq!(filter.max_level(), Some(Level::Debug));
        assert_eq!(SpanFilter::up_to(None).max_level(), None);
        assert_eq!(
            SpanFilter::up_to(Level::Warn).with_target("shop", None),
            SpanFilter::parse("shop=off,warn").unwrap()
        );
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_what_is_written_can_be_read(text in "[a-c:=,\\[ ]{0,24}|.{0,24}") {
            let filter = SpanFilter::lenient(FILTER, &text, |_| ());
            prop_assert_eq!(&SpanFilter::parse(&filter.to_string()).unwrap(), &filter);
        }
    }
}
