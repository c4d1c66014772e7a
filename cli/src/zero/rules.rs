//! The rules of `telemark.toml`: which functions get a span, and what becomes of calls and paths.

pub(crate) mod edges;
mod pattern;
mod reader;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use toml_edit::{Document, Value};

use self::edges::Edge;
use self::pattern::Pattern;
use self::reader::{Reader, place};

/// All rules, in the order in which they are asked.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    off: Condition,
    rules: Vec<Rule>,
    /// The rules about calls and paths, with Telemark's own after those of the file.
    pub(crate) edges: Vec<Edge>,
    /// The crates that these rules refer to and a program does not have, as in a manifest.
    pub(crate) crates: Vec<(String, Value)>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) defaults: Defaults,
    pub(crate) audit: Audit,
}

/// The parts of the default instrumentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// `telemark::auto()` in the `main` of binaries.
    pub(crate) main: bool,
    /// The layer around the routers that `axum::serve` serves.
    pub(crate) axum: bool,
    /// reqwest's client, in place of the program's.
    pub(crate) reqwest: bool,
    /// sqlx's pools, in place of the program's.
    pub(crate) sqlx: bool,
    /// The context of tasks that instrumented functions spawn.
    pub(crate) spawn: bool,
    /// Spans of async functions, below other spans.
    pub(crate) functions: bool,
}

/// The table `[audit]`, which `cargo telemark audit` reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audit {
    /// The names of the checks that are off.
    pub(crate) off: Vec<&'static str>,
    files: Vec<Pattern>,
    /// The share of entry points that must have a span, in percent.
    pub(crate) min_coverage: Option<u8>,
    /// True if printing is a finding everywhere, and not in the code of requests and libraries alone.
    pub(crate) prints_everywhere: bool,
}

/// A dependency whose functions the rules concern as well.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) line: usize,
    pub(crate) name: String,
    /// The beginning of its version.
    pub(crate) version: Option<String>,
}

#[derive(Clone, Debug)]
struct Rule {
    line: usize,
    condition: Condition,
    /// `None` leaves the function out.
    action: Option<Span>,
}

/// A function as rules see it.
#[derive(Debug)]
pub(crate) struct Function<'a> {
    /// The crate, its modules, the type and the function.
    pub(crate) path: String,
    pub(crate) krate: &'a str,
    /// The path of the file, from the root of the workspace.
    pub(crate) file: &'a str,
    pub(crate) is_public: bool,
    pub(crate) is_async: bool,
    pub(crate) statements: usize,
    /// The last name in the type that it returns.
    pub(crate) returns: Option<String>,
}

/// The condition of a rule, or that of a call: its crate and its file. Each list that is empty and each choice that is absent holds for every function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    paths: Vec<Pattern>,
    crates: Vec<String>,
    files: Vec<Pattern>,
    returns: Vec<String>,
    is_public: Option<bool>,
    is_async: Option<bool>,
    min_statements: Option<usize>,
}

/// The span of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) origin: Origin,
    kind: Option<String>,
    level: Option<String>,
    fields: Vec<String>,
    metrics: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Only below a span.
    Below,
    /// In the current context, with or without a span.
    Current,
    /// A trace of its own.
    Root,
}

/// The decision about a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Span(Span, By),
    Off(By),
    /// No rule matches.
    None,
}

/// The origin of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum By {
    /// The table `[off]`.
    Off,
    /// The rule with this index.
    Rule(usize),
    Default,
}

impl Default for Rules {
    fn default() -> Self {
        let defaults = Defaults { main: true, axum: true, reqwest: true, sqlx: true, spawn: true, functions: true };
        let (edges, audit) = (edges::defaults(defaults), Audit::default());
        Rules {
            off: Condition::default(),
            rules: Vec::new(),
            edges,
            crates: Vec::new(),
            dependencies: Vec::new(),
            defaults,
            audit,
        }
    }
}

impl Rules {
    /// Reads `telemark.toml` in the root of a workspace.
    ///
    /// # Errors
    /// Returns all mistakes, each on a line that names the file.
    pub(crate) fn read(root: &Path) -> Result<Rules, Vec<String>> {
        let named = |problem: &dyn std::fmt::Display| format!("telemark.toml: {problem}");
        match fs::read_to_string(root.join("telemark.toml")) {
            Ok(text) => Rules::parse(&text).map_err(|problems| problems.iter().map(|problem| named(problem)).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Rules::default()),
            Err(error) => Err(vec![named(&error)]),
        }
    }

    /// Parses `telemark.toml`.
    ///
    /// # Errors
    /// Returns all mistakes, each with its line and column.
    pub(crate) fn parse(text: &str) -> Result<Rules, Vec<String>> {
        let document = Document::parse(text).map_err(|error| {
            let at = error.span().unwrap_or_default();
            vec![format!("{}: {}", place(text, at.start), error.message().replace('\n', ", "))]
        })?;
        Reader::new(text).read(document.as_table())
    }

    /// Decides about a function. The first rule that matches wins, `[off]` before all.
    pub(crate) fn decide(&self, function: &Function<'_>) -> Decision {
        if self.off.excludes(function) {
            return Decision::Off(By::Off);
        }
        let matching = self.rules.iter().enumerate().find(|(_, rule)| rule.condition.holds(function));
        match matching {
            Some((index, Rule { action: Some(span), .. })) => Decision::Span(span.clone(), By::Rule(index)),
            Some((index, _)) => Decision::Off(By::Rule(index)),
            None if self.defaults.functions && function.is_async && function.statements >= 2 => {
                Decision::Span(Span::BELOW, By::Default)
            }
            None => Decision::None,
        }
    }

    /// Returns true if an edge is meant for a crate.
    pub(crate) fn is_for_crate(&self, edge: &Edge, krate: &str) -> bool {
        !self.off.has_crate(krate) && (edge.condition.crates.is_empty() || edge.condition.has_crate(krate))
    }

    /// Returns true if an edge is meant for the calls in a file.
    pub(crate) fn is_for_file(&self, edge: &Edge, file: &str) -> bool {
        !self.off.has_file(file) && (edge.condition.files.is_empty() || edge.condition.has_file(file))
    }

    /// Returns the line of each rule that decided about no function, and of each that changed no call or path.
    pub(crate) fn unused(&self, used: &BTreeSet<By>, edges: &BTreeSet<usize>) -> Vec<usize> {
        let unused = self.rules.iter().enumerate().filter(|(index, _)| !used.contains(&By::Rule(*index)));
        let edges = self.edges.iter().enumerate().filter(|(index, _)| !edges.contains(index));
        let mut lines: Vec<_> =
            unused.map(|(_, rule)| rule.line).chain(edges.filter_map(|(_, edge)| edge.line)).collect();
        lines.sort_unstable();
        lines
    }

    /// Returns true if the spans of this decision need no span above them.
    pub(crate) fn starts_traces(&self, by: By) -> bool {
        let By::Rule(index) = by else { return false };
        let action = self.rules.get(index).and_then(|rule| rule.action.as_ref());
        action.is_some_and(|span| span.origin != Origin::Below)
    }

    /// Describes the effect of the edge with this index, and names its rule.
    pub(crate) fn edge(&self, index: usize) -> String {
        match self.edges.get(index) {
            Some(Edge { line: Some(line), shown, .. }) => format!("{shown} (the rule in line {line} of telemark.toml)"),
            edge => edge.map_or(String::new(), |edge| edge.shown.clone()),
        }
    }

    /// Names the origin of a decision.
    pub(crate) fn shown(&self, by: By) -> String {
        match by {
            By::Off => "[off] in telemark.toml".to_owned(),
            By::Rule(index) => {
                format!("the rule in line {} of telemark.toml", self.rules.get(index).map_or(0, |rule| rule.line))
            }
            By::Default => "the default for async functions".to_owned(),
        }
    }
}

impl Span {
    const BELOW: Span = Span { origin: Origin::Below, kind: None, level: None, fields: Vec::new(), metrics: false };

    /// Returns the attribute, on one line.
    pub(crate) fn attribute(&self, owner: Option<&str>) -> String {
        let mut options = Vec::new();
        match self.origin {
            Origin::Below => options.push("below".to_owned()),
            Origin::Root => options.push("root".to_owned()),
            Origin::Current => {}
        }
        options.extend(owner.map(|owner| format!("owner = {owner:?}")));
        options.extend(self.kind.as_ref().map(|kind| format!("kind = {kind}")));
        options.extend(self.level.as_ref().map(|level| format!("level = {level:?}")));
        if !self.fields.is_empty() {
            options.push(format!("fields({})", self.fields.join(", ")));
        }
        options.extend(self.metrics.then(|| "metrics".to_owned()));
        match options.is_empty() {
            true => "#[::telemark::traced] ".to_owned(),
            false => format!("#[::telemark::traced({})] ", options.join(", ")),
        }
    }
}

impl Audit {
    /// Returns true for a file that is not audited, by its path from the root of the workspace.
    pub(crate) fn leaves_out(&self, file: &str) -> bool {
        self.files.iter().any(|pattern| pattern.matches(file))
    }
}

impl Condition {
    fn holds(&self, function: &Function<'_>) -> bool {
        let path = self.paths.is_empty() || self.has_path(function);
        let krate = self.crates.is_empty() || self.has_crate(function.krate);
        let file = self.files.is_empty() || self.has_file(function.file);
        let is_one_of = |returned: &String| self.returns.contains(returned);
        let returns = self.returns.is_empty() || function.returns.as_ref().is_some_and(is_one_of);
        path && krate
            && file
            && returns
            && self.is_public.is_none_or(|is_public| is_public == function.is_public)
            && self.is_async.is_none_or(|is_async| is_async == function.is_async)
            && self.min_statements.is_none_or(|min| function.statements >= min)
    }

    /// Returns true if any list names the function, as in `[off]`.
    fn excludes(&self, function: &Function<'_>) -> bool {
        self.has_path(function) || self.has_crate(function.krate) || self.has_file(function.file)
    }

    fn has_path(&self, function: &Function<'_>) -> bool {
        self.paths.iter().any(|pattern| pattern.matches(&function.path))
    }

    fn has_crate(&self, krate: &str) -> bool {
        self.crates.iter().any(|name| name.replace('-', "_") == krate.replace('-', "_"))
    }

    fn has_file(&self, file: &str) -> bool {
        self.files.iter().any(|pattern| pattern.matches(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(path: &str) -> Function<'static> {
        Function {
            path: path.to_owned(),
            krate: "web-shop",
            file: "src/cart.rs",
            is_public: true,
            is_async: true,
            statements: 3,
            returns: Some("Result".to_owned()),
        }
    }

    #[track_caller]
    fn check(rules: &str, path: &str, expected: &str) {
        let decision = Rules::parse(rules).unwrap().decide(&function(path));
        let shown = match decision {
            Decision::Span(span, _) => span.attribute(Some("Cart")).trim_end().to_owned(),
            Decision::Off(_) => "off".to_owned(),
            Decision::None => "none".to_owned(),
        };
        assert_eq!(shown, expected, "{rules}");
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = "[[rule]]\npath = 'shop::Cart::*'\nspan = 'root'\n[[rule]]\npath = 'shop::**'\nspan = 'off'\n";
        check(rules, "shop::Cart::add", "#[::telemark::traced(root, owner = \"Cart\")]");
        check(rules, "shop::price", "off");
        check(rules, "other::price", "#[::telemark::traced(below, owner = \"Cart\")]");
        check("[defaults]\nfunctions = false", "other::price", "none");
        check("[off]\npath = ['a::*', 'shop::Cart::add']\n[[rule]]\nspan = 'root'", "shop::Cart::add", "off");
        check("[off]\ncrate = 'web_shop'", "a", "off");
        check("[off]\nfile = 'src/*'", "a", "off");
    }

    #[test]
    fn every_condition_must_hold() {
        let yes = "#[::telemark::traced(owner = \"Cart\")]";
        for condition in [
            "visibility = 'pub'",
            "async = true",
            "statements = 3",
            "returns = ['Option', 'Result']",
            "crate = 'web_shop'",
            "file = '**.rs'",
        ] {
            check(&format!("[[rule]]\n{condition}\nspan = 'always'"), "a", yes);
        }
        for condition in
            ["visibility = 'private'", "async = false", "statements = 4", "returns = 'Option'", "crate = 'x'"]
        {
            check(&format!("[defaults]\nfunctions = false\n[[rule]]\n{condition}\nspan = 'always'"), "a", "none");
        }
    }

    #[test]
    fn actions_become_options() {
        check(
            "[[rule]]\nkind = 'client'\nlevel = 'debug'\nfields = ['id', 'user.name = %name']\nmetrics = true",
            "a",
            "#[::telemark::traced(below, owner = \"Cart\", kind = client, level = \"debug\", fields(id, user . name = % name), metrics)]",
        );
    }

    #[track_caller]
    fn refuse(rules: &str, expected: &[&str]) {
        assert_eq!(Rules::parse(rules).unwrap_err(), expected, "{rules}");
    }

    #[test]
    fn mistakes_have_a_place() {
        refuse(
            "[of]\n[[rule]]\npaht = 'a'\nspan = 'roots'\n  statements = -1\nfields = ['a)', \"b // c\\nd\"]\n",
            &[
                "line 1, column 1: `of` is not known: expected `off`, `defaults`, `audit`, `crates`, `dependency` or `rule`",
                "line 3, column 8: `rule.paht` is not known: expected the conditions `path`, `crate`, `file`, `visibility`, `async`, \
                 `statements` and `returns`, or `span`, `kind`, `level`, `fields` and `metrics`; or `call` or `replace`",
                "line 4, column 8: \"roots\" is not known: expected one of \"below\", \"always\", \"root\", \"off\"",
                "line 5, column 16: expected a whole number of at least 0",
                "line 6, column 10: \"a)\" is no field such as \"id\" or \"user.name = name\"",
            ],
        );
        refuse("[defaults]\nmain = 'no'", &["line 2, column 8: expected true or false"]);
        refuse("[off]\npath = []", &["line 2, column 8: expected a text or a list of texts"]);
        refuse(
            "[off]\npath = 'a b'",
            &["line 2, column 8: \"a b\" cannot be used: expected a pattern without white space"],
        );
        assert!(Rules::parse("[[rule]\n").unwrap_err()[0].starts_with("line 1, column "));
    }

    #[test]
    fn mistakes_about_calls_and_paths_have_a_place() {
        refuse(
            "[[rule]]\ncall = 'a::b'\n[[rule]]\nwith = 'a::b'\n[[rule]]\ncall = 'a b'\nwrap = 'observed'\nspan = 'root'\n",
            &[
                "line 1, column 1: expected both `call` and `wrap` in this rule",
                "line 3, column 1: expected both `replace` and `with` in this rule",
                "line 8, column 8: `rule.span` is not known: expected `call`, `wrap`, `needs`, `crate` and `file`",
                "line 7, column 8: expected the path of an item, such as \"observers::observed\" or \"crate::observed\"",
                "line 6, column 8: \"a b\" cannot be used: expected a pattern without white space",
            ],
        );
        let replace = |path: &str, place_and_message: &str| {
            refuse(&format!("[[rule]]\nreplace = '{path}'\nwith = 'x::Y'"), &[place_and_message]);
        };
        let no_path = "line 2, column 11: expected the path of an item in another crate, such as \"deadpool::Pool\"";
        replace("Pool", no_path);
        replace("deadpool::*", no_path);
        replace("deadpool::crate::Pool", no_path);
        replace(
            "deadpool::Pool::new",
            "line 2, column 11: `Pool` is a type, whose parts cannot be replaced: replace the type, or wrap the call",
        );
        replace(
            "std::io::Error",
            "line 2, column 11: expected a path that begins with the name of a crate in the manifest",
        );
        refuse(
            "[crates]\nobservers = 7\n[[rule]]\nreplace = 'a::B'\nwith = 'c::B'\nfile = 'x'\nneeds = { a = '^1' }\n",
            &[
                "line 2, column 13: expected a dependency, such as { path = \"observers\" } or \"1.2\"",
                "line 6, column 8: `rule.file` is not known: expected `replace`, `with`, `needs` and `crate`",
                "line 7, column 15: expected the beginning of a version, such as \"0.12\"",
            ],
        );
        refuse(
            "[[dependency]]\nname = ''\nversion = '^1'\nspan = 'root'\n[[dependency]]\n",
            &[
                "line 2, column 8: expected the name of a package",
                "line 3, column 11: expected the beginning of a version, such as \"0.12\"",
                "line 4, column 8: `dependency.span` is not known: expected `name` and `version`",
                "line 5, column 1: expected the `name` of a package",
            ],
        );
        refuse("dependency = 'a'", &["line 1, column 14: expected tables `[[dependency]]`"]);
        refuse(
            "[[rule]]\ncall = 'a::b'\nwrap = 'c::d'\nneeds = '1'",
            &["line 4, column 9: expected packages and versions, such as { deadpool = \"0.12\" }"],
        );
    }

    #[test]
    fn edges_of_the_file_come_before_those_of_telemark() {
        let text = "[defaults]\nsqlx = false\n[[rule]]\nreplace = 'a::B'\nwith = 'telemark::hyper::B'\n\n\
                    [[rule]]\ncall = 'a::b'\nwrap = 'c::d'\n";
        let rules = Rules::parse(text).unwrap();
        let shown: Vec<_> = (0..rules.edges.len()).map(|index| rules.edge(index)).collect();
        let expected = [
            "paths lead to telemark::hyper::B in place of a::B (the rule in line 3 of telemark.toml)",
            "c::d around the call (the rule in line 7 of telemark.toml)",
            "a span for each request of axum::serve",
            "the context for a spawned task",
            "paths of reqwest lead to Telemark's types",
        ];
        assert_eq!(shown, expected);
        assert_eq!(rules.edges[0].features, ["hyper"]);
        assert_eq!(rules.edges[1].crates().collect::<Vec<_>>(), ["c"]);
        assert_eq!(rules.unused(&BTreeSet::new(), &BTreeSet::from([1])), [3]);
    }

    #[test]
    fn a_rule_that_decides_about_nothing_is_known() {
        let rules = Rules::parse("[[rule]]\npath = 'a'\n\n[[rule]]\npath = 'b'\n").unwrap();
        let Decision::Span(_, by) = rules.decide(&function("b")) else { panic!("a rule matches") };
        assert_eq!(rules.unused(&BTreeSet::from([by]), &BTreeSet::new()), [1]);
        assert_eq!(rules.shown(by), "the rule in line 4 of telemark.toml");
    }
}
