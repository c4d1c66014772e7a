//! Reads the rules about calls, paths and dependencies.

use std::ops::Range;

use toml_edit::{Item, TableLike, Value};

use super::Reader;
use crate::zero::rules::edges::{Act, Around, Edge, Replaced};
use crate::zero::rules::{Condition, Dependency};

/// The keys that only these rules have.
pub(super) const KEYS: [&str; 5] = ["call", "wrap", "replace", "with", "needs"];
/// The modules of `telemark` that are features.
const MODULES: [&str; 5] = ["axum", "hyper", "reqwest", "tonic", "tower"];

impl Reader<'_> {
    /// Reads a rule about calls or paths. Returns nothing after a mistake.
    pub(super) fn edge(&mut self, table: &dyn TableLike, span: Option<Range<usize>>) -> Option<Edge> {
        let line = self.line(span.clone());
        let before = self.problems.len();
        let (mut condition, mut needs) = (Condition::default(), Vec::new());
        let is_call = table.contains_key("call");
        for (key, item) in table.iter() {
            match key {
                "call" | "wrap" if is_call => {}
                "replace" | "with" if !is_call => {}
                "crate" => condition.crates = self.texts(item),
                "file" if is_call => condition.files = self.patterns(item),
                "needs" => needs = self.needs(item),
                key => {
                    let accepted = match is_call {
                        true => "`call`, `wrap`, `needs`, `crate` and `file`",
                        false => "`replace`, `with`, `needs` and `crate`",
                    };
                    self.unknown(item, &format!("rule.{key}"), accepted);
                }
            }
        }
        let (what, into) = if is_call { ("call", "wrap") } else { ("replace", "with") };
        let (Some(what), Some(into)) = (table.get(what), table.get(into)) else {
            self.problem(span, &format!("expected both `{what}` and `{into}` in this rule"));
            return None;
        };
        let target = self.target(into);
        let shown = |item: &Item| item.as_str().unwrap_or("several").to_owned();
        let (shown, act) = match is_call {
            true => {
                let patterns = self.patterns(what);
                let (before, after) = (format!("{target}("), ")".to_owned());
                let around = Around { argument: None, outside: None, before, after, needs_span: false };
                (format!("{} around the call", shown(into)), Act::Call(patterns, around))
            }
            false => {
                let path = self.replaced(what);
                let shown = format!("paths lead to {} in place of {}", shown(into), shown(what));
                (shown, Act::Paths(vec![Replaced { path, with: target.clone() }]))
            }
        };
        let module = target.strip_prefix("::telemark::").and_then(|path| path.split("::").next());
        let features = module.filter(|module| MODULES.contains(module)).map(str::to_owned).into_iter().collect();
        let edge = Edge { line: Some(line), shown, condition, needs, enabled: None, features, act };
        (self.problems.len() == before).then_some(edge)
    }

    /// Reads a path that is inserted: it begins with `crate`, or with the name of a crate.
    fn target(&mut self, item: &Item) -> String {
        match item.as_str().and_then(segments).filter(|path| path.len() > 1) {
            Some(path) if path.first().is_some_and(|first| first == "crate") => path.join("::"),
            Some(path) => format!("::{}", path.join("::")),
            None => {
                let expected = "expected the path of an item, such as \"observers::observed\" or \"crate::observed\"";
                self.problem(item.span(), expected);
                String::new()
            }
        }
    }

    /// Reads the path of an item in a module of another crate.
    fn replaced(&mut self, item: &Item) -> Vec<String> {
        let Some(path) = item.as_str().and_then(segments).filter(|path| path.len() > 1) else {
            self.problem(item.span(), "expected the path of an item in another crate, such as \"deadpool::Pool\"");
            return Vec::new();
        };
        let is_type = |name: &&String| name.starts_with(|first: char| first.is_uppercase());
        let outer = path.iter().take(path.len() - 1);
        if let Some(name) = outer.clone().find(is_type) {
            let message =
                format!("`{name}` is a type, whose parts cannot be replaced: replace the type, or wrap the call");
            self.problem(item.span(), &message);
        } else if matches!(path.first().map(String::as_str), Some("crate" | "std" | "core" | "alloc")) {
            self.problem(item.span(), "expected a path that begins with the name of a crate in the manifest");
        }
        path
    }

    /// Reads packages with the beginnings of their versions.
    fn needs(&mut self, item: &Item) -> Vec<(String, String)> {
        let mut needs = Vec::new();
        let Some(table) = item.as_table_like() else {
            self.problem(item.span(), "expected packages and versions, such as { deadpool = \"0.12\" }");
            return needs;
        };
        for (name, item) in table.iter() {
            needs.extend(self.version(item).map(|version| (name.to_owned(), version)));
        }
        needs
    }

    /// Reads the beginning of a version.
    fn version(&mut self, item: &Item) -> Option<String> {
        let is_version =
            |text: &&str| text.starts_with(|first: char| first.is_ascii_digit()) && !text.contains([' ', '*', ',']);
        let version = item.as_str().filter(is_version);
        if version.is_none() {
            self.problem(item.span(), "expected the beginning of a version, such as \"0.12\"");
        }
        version.map(str::to_owned)
    }

    /// Reads a dependency to instrument.
    pub(super) fn dependency(&mut self, table: &dyn TableLike, span: Option<Range<usize>>) -> Option<Dependency> {
        let line = self.line(span.clone());
        let (mut given, mut version) = (None, None);
        for (key, item) in table.iter() {
            match key {
                "name" => match item.as_str().filter(|name| !name.is_empty()) {
                    Some(name) => given = Some(name.to_owned()),
                    None => self.problem(item.span(), "expected the name of a package"),
                },
                "version" => version = self.version(item),
                key => self.unknown(item, &format!("dependency.{key}"), "`name` and `version`"),
            }
        }
        if !table.contains_key("name") {
            self.problem(span, "expected the `name` of a package");
        }
        given.map(|name| Dependency { line, name, version })
    }

    /// Reads a crate as manifests name it.
    pub(super) fn krate(&mut self, name: &str, item: &Item) -> Option<(String, Value)> {
        let value = item.clone().into_value().ok();
        let value = value.filter(|value| value.is_str() || value.is_inline_table());
        if value.is_none() {
            self.problem(item.span(), "expected a dependency, such as { path = \"observers\" } or \"1.2\"");
        }
        value.map(|value| (name.to_owned(), value))
    }
}

/// Splits a path into identifiers.
fn segments(text: &str) -> Option<Vec<String>> {
    let path: Vec<_> = text.split("::").map(str::to_owned).collect();
    let is_name =
        |name: &String| name == "crate" || syn::parse_str::<syn::Ident>(name).is_ok_and(|ident| ident == name.as_str());
    path.iter().enumerate().all(|(at, name)| is_name(name) && (at == 0 || name != "crate")).then_some(path)
}
