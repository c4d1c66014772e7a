//! `cargo telemark explain`: what is instrumented, and why the rest is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::rewrite::{Left, What, Why};
use super::rules::Rules;
use super::shadow::lock::Lock;
use super::shadow::{PackageRewrites, Rewrites};

/// The version of the API that Telemark implements.
const OPENTELEMETRY: &str = "0.33.";

/// The number of macros that the report names for a package.
const MAX_MACROS: usize = 10;

/// Returns the report about a workspace.
pub(crate) fn report(rewrites: &Rewrites<'_>, rules: &Rules, lock: &Lock) -> String {
    let mut text = String::new();
    for package in &rewrites.packages {
        of_package(&mut text, package, rules);
    }
    let others: Vec<_> =
        lock.versions("opentelemetry").into_iter().filter(|version| !version.starts_with(OPENTELEMETRY)).collect();
    if !others.is_empty() {
        let _ = writeln!(
            text,
            "Cargo.lock has opentelemetry {}: spans of another version than Telemark's, {OPENTELEMETRY}*, are not in these traces",
            others.join(", ")
        );
    }
    for line in notes(rewrites, rules) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// Returns a line for each rule that changes nothing, for each dependency that is left alone, and for programs in which nothing starts a
/// trace.
pub(crate) fn notes(rewrites: &Rewrites<'_>, rules: &Rules) -> Vec<String> {
    let mut used = BTreeSet::new();
    for file in rewrites.packages.iter().flat_map(|package| &package.files) {
        for change in &file.rewritten.changes {
            if let What::Span(_, by) = &change.what {
                used.insert(*by);
            }
        }
        for left in &file.rewritten.left {
            if let Why::By(by) = left.why {
                used.insert(by);
            }
        }
    }
    let edges = rewrites.packages.iter().flat_map(PackageRewrites::changing).collect();
    let lines = rules.unused(&used, &edges).into_iter();
    let unused = lines.map(|line| {
        format!(
            "telemark.toml: the rule in line {line} decides nothing: it matches nothing, earlier rules decide first, or \
             what it chooses does not compile"
        )
    });
    unused
        .chain(rewrites.notes.iter().cloned())
        .chain(not_around(rewrites))
        .chain(without_traces(rewrites, rules))
        .collect()
}

/// Returns a line for each call and each `main` without the telemetry that does not compile there.
fn not_around(rewrites: &Rewrites<'_>) -> Vec<String> {
    let files = rewrites.packages.iter().flat_map(|package| &package.files);
    let left = files.flat_map(|file| file.rewritten.left.iter().map(|left| (&file.shown, left)));
    left.filter_map(|(file, Left { path, line, why })| match why {
        Why::NotStarted => Some(format!(
            "{file}:{line}: telemetry does not start in main, where it does not compile: this program exports nothing"
        )),
        Why::NotAround => Some(format!("{file}:{line}: {path} is not instrumented, because that does not compile")),
        _ => None,
    })
    .collect()
}

/// Returns a line if telemetry starts and nothing starts a trace: no function has a span of its own, and nothing is around a call or
/// replaces a type.
fn without_traces(rewrites: &Rewrites<'_>, rules: &Rules) -> Option<String> {
    let files = rewrites.packages.iter().flat_map(|package| &package.files);
    let changes: Vec<_> = files.flat_map(|file| &file.rewritten.changes).map(|change| &change.what).collect();
    let starts = |what: &&What| match what {
        What::Span(_, by) => rules.starts_traces(*by),
        What::Call(_) | What::Path(_) => true,
        What::Main | What::Module => false,
    };
    (changes.contains(&&What::Main) && !changes.iter().any(starts)).then(|| {
        "nothing starts a trace: name a function that main calls in a rule of telemark.toml with span = \"root\""
            .to_owned()
    })
}

fn of_package(text: &mut String, package: &PackageRewrites<'_>, rules: &Rules) {
    let name = &package.package.name;
    if let Some(reason) = package.without {
        let _ = writeln!(text, "{name}: left alone: {reason}\n");
        return;
    }
    match package.copied {
        Some(copied) => _ = writeln!(text, "{name} {}, a copy of the dependency", copied.package.version),
        None => _ = writeln!(text, "{name}"),
    }
    let mut counts = BTreeMap::<String, usize>::new();
    for file in &package.files {
        for change in &file.rewritten.changes {
            let what = match &change.what {
                What::Span(path, by) => format!("span {path} ({})", rules.shown(*by)),
                What::Main => "telemark::auto() in main".to_owned(),
                What::Call(edge) => rules.edge(*edge),
                What::Path(edge) => {
                    *counts.entry(rules.edge(*edge)).or_default() += 1;
                    continue;
                }
                What::Module => continue,
            };
            let _ = writeln!(text, "  {}:{}: {what}", file.shown, change.lines.start());
        }
        for left in &file.rewritten.left {
            let why = match left.why {
                Why::Never(reason) => format!("functions that are never instrumented, {reason}"),
                Why::By(by) => format!("functions left out by {}", rules.shown(by)),
                Why::NoRule => "functions that match no rule: not async, or of fewer than two statements".to_owned(),
                Why::DoesNotCompile => {
                    let _ =
                        writeln!(text, "  {}:{}: {} does not compile with a span", file.shown, left.line, left.path);
                    continue;
                }
                // A note says it.
                Why::NotAround | Why::NotStarted => continue,
            };
            *counts.entry(why).or_default() += 1;
        }
    }
    for (why, count) in counts {
        let _ = writeln!(text, "  {why}: {count}");
    }
    for (file, reason) in &package.left_alone {
        let _ = writeln!(text, "  {file}: left alone: {reason}");
    }
    for line in &package.unmet {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(line) = unseen(package) {
        let _ = writeln!(text, "  {line}");
    }
    text.push('\n');
}

/// Returns a line about the macros in place of items, which may define functions that nobody sees; `None` if there are none.
fn unseen(package: &PackageRewrites<'_>) -> Option<String> {
    let mut calls = BTreeMap::<&str, usize>::new();
    for (name, count) in package.files.iter().flat_map(|file| &file.rewritten.macros) {
        *calls.entry(name).or_default() += count;
    }
    let mut calls: Vec<_> = calls.into_iter().collect();
    calls.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let mut names: Vec<_> = calls.iter().take(MAX_MACROS).map(|(name, count)| format!("{count} {name}!")).collect();
    if calls.len() > MAX_MACROS {
        names.push(format!("and {} more macros", calls.len() - MAX_MACROS));
    }
    let line = "macros in place of items are not looked into, so functions that they define are not seen";
    (!names.is_empty()).then(|| format!("{line}: {}", names.join(", ")))
}
