//! Reads the tables of `telemark.toml`, and finds all mistakes in them.

mod calls;

use std::ops::Range;

use proc_macro2::TokenStream;
use toml_edit::{Item, TableLike, Value};

use super::pattern::Pattern;
use super::{Audit, Condition, Defaults, Origin, Rule, Rules, Span, edges};
use crate::audit::CHECKS;

/// The kinds of spans, levels and choices that rules may name.
const KINDS: [&str; 5] = ["server", "client", "producer", "consumer", "internal"];
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
const SPANS: [(&str, Option<Origin>); 4] =
    [("below", Some(Origin::Below)), ("always", Some(Origin::Current)), ("root", Some(Origin::Root)), ("off", None)];
const PRINTS: [(&str, bool); 2] = [("requests", false), ("everywhere", true)];
const VISIBILITIES: [(&str, bool); 2] = [("pub", true), ("private", false)];

/// Reads the tables, and collects all mistakes.
pub(super) struct Reader<'a> {
    text: &'a str,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Reader { text, problems: Vec::new() }
    }

    /// Reads the rules.
    ///
    /// # Errors
    /// Returns all mistakes.
    pub(super) fn read(mut self, root: &dyn TableLike) -> Result<Rules, Vec<String>> {
        let rules = self.rules(root);
        if self.problems.is_empty() { Ok(rules) } else { Err(self.problems) }
    }

    fn rules(&mut self, root: &dyn TableLike) -> Rules {
        let mut rules = Rules { edges: Vec::new(), ..Rules::default() };
        for (key, item) in root.iter() {
            match (key, item) {
                ("off", item) => {
                    let Some(table) = self.table(key, item) else { continue };
                    for (key, item) in table.iter() {
                        if !self.place_condition(&mut rules.off, key, item) {
                            self.unknown(item, &format!("off.{key}"), "`path`, `crate` or `file`");
                        }
                    }
                }
                ("defaults", item) => {
                    let Some(table) = self.table(key, item) else { continue };
                    table.iter().for_each(|(key, item)| self.default(&mut rules.defaults, key, item));
                }
                ("audit", item) => {
                    let Some(table) = self.table(key, item) else { continue };
                    table.iter().for_each(|(key, item)| self.audit(&mut rules.audit, key, item));
                }
                ("rule", Item::ArrayOfTables(tables)) => {
                    for table in tables {
                        match calls::KEYS.iter().any(|key| table.contains_key(key)) {
                            true => rules.edges.extend(self.edge(table, table.span())),
                            false => rules.rules.push(self.rule(table, table.span())),
                        }
                    }
                }
                ("dependency", Item::ArrayOfTables(tables)) => {
                    rules.dependencies.extend(tables.iter().filter_map(|table| self.dependency(table, table.span())));
                }
                ("dependency", item) => self.problem(item.span(), "expected tables `[[dependency]]`"),
                ("crates", item) => {
                    let Some(table) = self.table(key, item) else { continue };
                    rules.crates.extend(table.iter().filter_map(|(key, item)| self.krate(key, item)));
                }
                ("rule", item) => self.problem(item.span(), "expected tables `[[rule]]`"),
                (key, item) => self.unknown(item, key, "`off`, `defaults`, `audit`, `crates`, `dependency` or `rule`"),
            }
        }
        rules.edges.extend(edges::defaults(rules.defaults));
        rules
    }

    fn default(&mut self, defaults: &mut Defaults, key: &str, item: &Item) {
        let Defaults { main, axum, reqwest, sqlx, spawn, functions } = defaults;
        let slot = match key {
            "main" => main,
            "axum" => axum,
            "reqwest" => reqwest,
            "sqlx" => sqlx,
            "spawn" => spawn,
            "functions" => functions,
            _ => {
                let accepted = "`main`, `axum`, `reqwest`, `sqlx`, `spawn` or `functions`";
                return self.unknown(item, &format!("defaults.{key}"), accepted);
            }
        };
        if let Some(value) = self.boolean(item) {
            *slot = value;
        }
    }

    fn audit(&mut self, audit: &mut Audit, key: &str, item: &Item) {
        match key {
            "off" => audit.off = self.several_of(item, &CHECKS),
            "file" => audit.files = self.patterns(item),
            "print" => audit.prints_everywhere = self.one_of(item, &PRINTS).unwrap_or_default(),
            "min-coverage" => {
                let percent = item.as_integer().and_then(|value| u8::try_from(value).ok());
                audit.min_coverage = percent.filter(|percent| *percent <= 100);
                if audit.min_coverage.is_none() {
                    self.problem(item.span(), "expected a whole number from 0 to 100");
                }
            }
            _ => self.unknown(item, &format!("audit.{key}"), "`off`, `file`, `print` or `min-coverage`"),
        }
    }

    fn rule(&mut self, table: &dyn TableLike, span: Option<Range<usize>>) -> Rule {
        let mut condition = Condition::default();
        let (mut span_of_rule, mut action) = (Span::BELOW, true);
        for (key, item) in table.iter() {
            match key {
                key if self.place_condition(&mut condition, key, item) => {}
                "visibility" => condition.is_public = self.one_of(item, &VISIBILITIES),
                "async" => condition.is_async = self.boolean(item),
                "statements" => condition.min_statements = self.count(item),
                "returns" => condition.returns = self.texts(item),
                "span" => match self.one_of(item, &SPANS) {
                    Some(Some(origin)) => span_of_rule.origin = origin,
                    Some(None) => action = false,
                    None => {}
                },
                "kind" => span_of_rule.kind = self.word(item, &KINDS),
                "level" => span_of_rule.level = self.word(item, &LEVELS),
                "fields" => span_of_rule.fields = self.fields(item),
                "metrics" => span_of_rule.metrics = self.boolean(item).unwrap_or_default(),
                key => {
                    let accepted = "the conditions `path`, `crate`, `file`, `visibility`, `async`, `statements` and \
                                    `returns`, or `span`, `kind`, `level`, `fields` and `metrics`; or `call` or `replace`";
                    self.unknown(item, &format!("rule.{key}"), accepted);
                }
            }
        }
        let line = self.line(span);
        Rule { line, condition, action: action.then_some(span_of_rule) }
    }

    /// Reads a condition about the place of a function. Returns false if the key is another one.
    fn place_condition(&mut self, condition: &mut Condition, key: &str, item: &Item) -> bool {
        match key {
            "path" => condition.paths = self.patterns(item),
            "file" => condition.files = self.patterns(item),
            "crate" => condition.crates = self.texts(item),
            _ => return false,
        }
        true
    }

    fn table<'i>(&mut self, key: &str, item: &'i Item) -> Option<&'i dyn TableLike> {
        let table = item.as_table_like();
        if table.is_none() {
            self.problem(item.span(), &format!("expected a table `[{key}]`"));
        }
        table
    }

    fn patterns(&mut self, item: &Item) -> Vec<Pattern> {
        let texts = self.texts(item);
        let parsed = texts.iter().map(|text| text.parse::<Pattern>().map_err(|expected| (text, expected)));
        let mut patterns = Vec::new();
        for pattern in parsed {
            match pattern {
                Ok(pattern) => patterns.push(pattern),
                Err((text, expected)) => self.problem(item.span(), &format!("{text:?} cannot be used: {expected}")),
            }
        }
        patterns
    }

    /// Reads expressions, which must be tokens on one line, since they are inserted into one.
    fn fields(&mut self, item: &Item) -> Vec<String> {
        let mut fields = Vec::new();
        for text in self.texts(item) {
            match text.parse::<TokenStream>().map(|tokens| tokens.to_string()) {
                Ok(tokens) if !tokens.is_empty() && !tokens.contains(['\n', '\r']) => fields.push(tokens),
                _ => self.problem(item.span(), &format!("{text:?} is no field such as \"id\" or \"user.name = name\"")),
            }
        }
        fields
    }

    /// Reads a text or a list of texts.
    fn texts(&mut self, item: &Item) -> Vec<String> {
        let values: Vec<&Value> = match item.as_value() {
            Some(Value::Array(values)) => values.iter().collect(),
            value => value.into_iter().collect(),
        };
        let texts: Option<Vec<_>> = values.iter().map(|value| value.as_str().map(str::to_owned)).collect();
        match texts.filter(|texts| !texts.is_empty()) {
            Some(texts) => texts,
            None => {
                self.problem(item.span(), "expected a text or a list of texts");
                Vec::new()
            }
        }
    }

    fn boolean(&mut self, item: &Item) -> Option<bool> {
        let value = item.as_bool();
        if value.is_none() {
            self.problem(item.span(), "expected true or false");
        }
        value
    }

    fn count(&mut self, item: &Item) -> Option<usize> {
        let value = item.as_integer().and_then(|value| usize::try_from(value).ok());
        if value.is_none() {
            self.problem(item.span(), "expected a whole number of at least 0");
        }
        value
    }

    fn one_of<T: Clone>(&mut self, item: &Item, accepted: &[(&str, T)]) -> Option<T> {
        let found = item.as_str().and_then(|word| accepted.iter().find(|(name, _)| *name == word));
        if found.is_none() {
            let names = quoted(accepted.iter().map(|(name, _)| name));
            let unknown = item.as_str().map_or(String::new(), |word| format!("{word:?} is not known: "));
            self.problem(item.span(), &format!("{unknown}expected one of {names}"));
        }
        found.map(|(_, value)| value.clone())
    }

    /// Reads a word or a list of words.
    fn several_of(&mut self, item: &Item, accepted: &[&'static str]) -> Vec<&'static str> {
        let mut found = Vec::new();
        for text in self.texts(item) {
            match accepted.iter().find(|word| **word == text) {
                Some(word) => found.push(*word),
                None => {
                    self.problem(item.span(), &format!("{text:?} is not known: expected {}", quoted(accepted.iter())))
                }
            }
        }
        found
    }

    fn word(&mut self, item: &Item, accepted: &[&str]) -> Option<String> {
        let named: Vec<_> = accepted.iter().map(|word| (*word, (*word).to_owned())).collect();
        self.one_of(item, &named)
    }

    fn line(&self, span: Option<Range<usize>>) -> usize {
        span.map_or(0, |span| line_and_column(self.text, span.start).0)
    }

    fn unknown(&mut self, item: &Item, key: &str, accepted: &str) {
        self.problem(item.span(), &format!("`{key}` is not known: expected {accepted}"));
    }

    fn problem(&mut self, span: Option<Range<usize>>, message: &str) {
        let place = place(self.text, span.unwrap_or_default().start);
        self.problems.push(format!("{place}: {message}"));
    }
}

fn quoted<'w>(words: impl Iterator<Item = &'w &'w str>) -> String {
    words.map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

/// Names a place in a file.
pub(super) fn place(text: &str, offset: usize) -> String {
    let (line, column) = line_and_column(text, offset);
    format!("line {line}, column {column}")
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
