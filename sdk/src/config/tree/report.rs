//! The problems of a configuration file, all of which one run collects.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use super::item::{Data, Item, Origin, Tree, push_key};
use crate::config::edits;
use crate::error::ConfigError;
use crate::sync::unpoisoned;
use crate::text::{self, Secrecy};

/// The maximum number of problems that are collected. Each costs a search for its path, so a hostile file must not have more.
const MAX_PROBLEMS: usize = 100;

/// The problems and warnings found while reading a [`Tree`].
#[derive(Debug)]
pub struct Report<'a> {
    tree: &'a Tree,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    problems: Vec<Problem>,
    warnings: Vec<String>,
    /// The keys that readers asked for, by the address of their mapping.
    asked: HashMap<usize, HashSet<String>>,
}

#[derive(Debug)]
struct Problem {
    /// Line and column.
    place: (u32, u32),
    path: String,
    text: String,
}

impl<'a> Report<'a> {
    /// Creates a report without problems.
    pub fn new(tree: &'a Tree) -> Self {
        Report { tree, found: Mutex::default() }
    }

    /// Returns the tree that is being read.
    pub fn tree(&self) -> &'a Tree {
        self.tree
    }

    /// Reports a value that cannot be used. The value is shown unless it may be a secret.
    pub(in crate::config) fn invalid(&self, item: &Item, accepted: &str) {
        if self.is_full() {
            return;
        }
        let path = self.path(item);
        let shown = match &item.data {
            Data::List(_) | Data::Mapping(_) | Data::Null => format!(" is {}", item.data),
            scalar => {
                let whole = self.tree.path_of(item).unwrap_or_default();
                format!("={:?}", text::foreign(&secrecy(&whole, &item.origin).apply(scalar.to_string())))
            }
        };
        self.add(item, path.clone(), format!("{path}{shown} cannot be used: expected {accepted}"));
    }

    /// Reports a problem of a value without showing the value.
    pub(crate) fn problem(&self, item: &Item, problem: &str) {
        if self.is_full() {
            return;
        }
        let path = self.path(item);
        self.add(item, path.clone(), format!("{path}: {problem}"));
    }

    /// Reports that a component cannot be created. The error names one of its settings, if it can.
    pub(crate) fn component_error(&self, item: &Item, error: &ConfigError) {
        let setting = error.setting().split('.').try_fold(item, |item, key| item.get(key));
        let text = error.to_string();
        match setting.zip(text.strip_prefix(error.setting())) {
            Some((setting, rest)) if !self.is_full() => {
                let path = self.path(setting);
                self.add(setting, path.clone(), format!("{path}{rest}"));
            }
            _ => self.problem(item, &text),
        }
    }

    /// Reports a problem of a key of `mapping`: that of its value if there is one, otherwise that of the mapping.
    pub(crate) fn problem_at(&self, mapping: &Item, key: &str, problem: &str) {
        match mapping.get(key) {
            _ if self.is_full() => {}
            Some(value) => self.problem(value, problem),
            None => {
                let path = self.key_path(mapping, key);
                self.add(mapping, path.clone(), format!("{path}: {problem}"));
            }
        }
    }

    /// Reports a key that must not be there, and names the accepted one that is most similar.
    pub(in crate::config) fn unknown(&self, mapping: &Item, key: &str, what: &str, accepted: &[&str]) {
        // A search for each of many keys would take time that grows with their square.
        if self.is_full() {
            return;
        }
        let Some(value) = mapping.get(key) else { return };
        let path = self.path(value);
        let meant = match nearest(key, accepted) {
            Some(meant) => format!(", is {meant} meant?"),
            None if accepted.is_empty() => ", which has no settings".to_owned(),
            None => format!(": expected {}", one_of(accepted)),
        };
        self.add(value, path.clone(), format!("{path} is no {what}{meant}"));
    }

    /// Adds a warning, which does not prevent the file from being used.
    pub(crate) fn warn(&self, item: &Item, warning: &str) {
        if unpoisoned(self.found.lock()).warnings.len() < MAX_PROBLEMS {
            let text = format!("{}: {warning}", self.place_and_path(item));
            unpoisoned(self.found.lock()).warnings.push(text);
        }
    }

    /// Returns the warnings added since the last call.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut unpoisoned(self.found.lock()).warnings)
    }

    pub(super) fn note_asked(&self, mapping: &Item, key: &str) {
        let asked = &mut unpoisoned(self.found.lock()).asked;
        let keys = asked.entry(address(mapping)).or_default();
        if !keys.contains(key) {
            keys.insert(key.to_owned());
        }
    }

    /// Reports the keys below `item` that no reader asked for. A mapping of which nothing was asked counts as read as a whole if
    /// its own key was.
    pub(crate) fn check_all_read(&self, item: &Item) {
        let asked = std::mem::take(&mut unpoisoned(self.found.lock()).asked);
        self.check_read(item, true, &asked);
        unpoisoned(self.found.lock()).asked = asked;
    }

    fn check_read(&self, item: &Item, is_component: bool, asked: &HashMap<usize, HashSet<String>>) {
        item.items().iter().for_each(|item| self.check_read(item, false, asked));
        let none = HashSet::new();
        let keys = match asked.get(&address(item)) {
            Some(keys) => keys,
            None if is_component => &none,
            None => return,
        };
        for (key, value) in item.entries() {
            match keys.contains(key) {
                true => self.check_read(value, false, asked),
                false if self.is_full() => return,
                false => {
                    let mut names: Vec<_> = keys.iter().map(String::as_str).collect();
                    names.sort_unstable();
                    self.unknown(item, key, "setting of this component", &names);
                }
            }
        }
    }

    /// Returns true if there is a problem.
    pub fn has_problems(&self) -> bool {
        !unpoisoned(self.found.lock()).problems.is_empty()
    }

    /// Returns all problems as one error, in the order of the file.
    ///
    /// # Errors
    /// Returns an error if there is a problem.
    pub fn into_result(self) -> Result<(), ConfigError> {
        let Found { mut problems, .. } = self.found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|problem| problem.place);
        let name = text::foreign(self.tree.name()).to_string();
        let count = match problems.len() {
            1 => "one problem".to_owned(),
            MAX_PROBLEMS.. => format!("{MAX_PROBLEMS} problems or more"),
            count => format!("{count} problems"),
        };
        let mut text = format!("{name} cannot be used, {count}");
        for Problem { place: (line, column), text: problem, .. } in &problems {
            match line {
                0 => text.push_str(&format!("\n  {problem}")),
                _ => text.push_str(&format!("\n  line {line}, column {column}: {problem}")),
            }
        }
        Err(ConfigError::state("configuration", text))
    }

    fn is_full(&self) -> bool {
        unpoisoned(self.found.lock()).problems.len() >= MAX_PROBLEMS
    }

    fn add(&self, at: &Item, path: String, text: String) {
        let problems = &mut unpoisoned(self.found.lock()).problems;
        // The first problem of a value is its cause; a later reader of the same value only stumbles over it.
        if !problems.iter().any(|known| known.path == path && known.place == place(at)) {
            problems.push(Problem { place: place(at), path, text });
        }
    }

    /// Returns the path as it may be shown: keys may be any text of any length.
    fn path(&self, item: &Item) -> String {
        let path = self.tree.path_of(item).filter(|path| !path.is_empty());
        path.map_or_else(|| "the file".to_owned(), |path| text::foreign(&path).to_string())
    }

    fn key_path(&self, mapping: &Item, key: &str) -> String {
        let mut path = self.tree.path_of(mapping).unwrap_or_default();
        push_key(&mut path, key);
        text::foreign(&path).to_string()
    }

    fn place_and_path(&self, item: &Item) -> String {
        let name = text::foreign(self.tree.name()).to_string();
        match place(item) {
            (0, _) => format!("{name}: {}", self.path(item)),
            (line, column) => format!("{name}, line {line}, column {column}: {}", self.path(item)),
        }
    }
}

fn address(item: &Item) -> usize {
    std::ptr::from_ref(item).addr()
}

fn place(item: &Item) -> (u32, u32) {
    match item.origin {
        Origin::File { line, column, .. } => (line, column),
        _ => (0, 0),
    }
}

/// Returns which part of a value may be shown, given its path and the variables that it contains.
pub(super) fn secrecy(path: &str, origin: &Origin) -> Secrecy {
    let plain = |part: &'_ str| part.strip_suffix("/development").unwrap_or(part).to_owned();
    let parts: Vec<_> = path.split(['.', '[', ']']).map(plain).collect();
    // A key is a name only in the conditions of a sampler; a component of the program may call a secret so.
    let is_condition = parts.iter().any(|part| part.starts_with("attribute_"));
    let is_name = parts.last().is_some_and(|last| last == "name" || last == "key" && is_condition);
    // The names of headers are no secrets: those that an integration captures, and those that an exporter sends. Other languages may
    // have headers with values.
    let captures = ["general.", "rust."].map(|block| format!("instrumentation/development.{block}"));
    let has_names_only = captures.iter().any(|block| path.starts_with(block));
    let is_of_names = |part: &str| is_name || has_names_only && part.ends_with("_headers");
    let of_path = parts.iter().filter(|part| !is_of_names(part));
    let of_path = of_path.map(|part| Secrecy::of(if part == "headers_list" { "headers" } else { part }));
    let of_variables = origin.variables().iter().map(|name| Secrecy::of(name));
    let all: Vec<_> = of_path.chain(of_variables).collect();
    [Secrecy::Hidden, Secrecy::Address].into_iter().find(|one| all.contains(one)).unwrap_or(Secrecy::Open)
}

/// Returns the accepted name that is most similar to `name`, if it is similar at all.
fn nearest<'n>(name: &str, accepted: &[&'n str]) -> Option<&'n str> {
    let plain = |name: &str| name.trim_end_matches("/development").to_ascii_lowercase().replace('-', "_");
    let (wanted, max) = (plain(name), if name.len() < 4 { 1 } else { 2 });
    let near = accepted.iter().map(|known| (edits(&wanted, &plain(known)), *known));
    near.min().filter(|(distance, known)| *distance <= max && *known != name).map(|(_, known)| known)
}

/// Joins names for a message, as in `one of batch and simple`.
pub(in crate::config) fn one_of(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("one of {} and {last}", first.join(", ")),
    }
}
