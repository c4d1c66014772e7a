//! Rewrites a source file: inserts attributes and calls by byte offset, so that no line moves. A pure function of the source and the
//! rules.

mod calls;
pub(crate) mod excluded;
mod replaced;
pub(crate) mod surroundings;
pub(crate) mod syntax;
#[cfg(test)]
mod tests;
mod visitor;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use self::syntax::parse;
use self::visitor::Visitor;
use super::rules::edges::Edge;
use super::rules::{By, Rules};

/// A file to rewrite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    /// The path of the file, from the root of the workspace.
    pub(crate) file: &'a str,
    pub(crate) krate: &'a str,
    /// The modules that lead to the file; empty for the root of a crate.
    pub(crate) module: &'a [String],
    pub(crate) role: Role,
    pub(crate) edges: &'a Edges<'a>,
    /// The offsets of changes that do not compile.
    pub(crate) left_out: &'a BTreeSet<usize>,
}

/// The role of a file in its crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Binary,
    Library,
    Module,
    /// Only tests compile the file, in which no function is instrumented, but types are those of the rest.
    Test,
}

/// The rules about calls and paths that a package can have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edges<'a> {
    /// The edges whose needs are met, each with its index among the rules.
    pub(crate) active: Vec<(usize, &'a Edge)>,
    /// The condition of `cfg` under which the package has a replaced crate, for those that it may lack.
    pub(crate) conditions: BTreeMap<String, String>,
}

/// The result: what is inserted, and what became of each function.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    pub(crate) insertions: Vec<Insertion>,
    pub(crate) changes: Vec<Change>,
    pub(crate) left: Vec<Left>,
    /// The macros that are called in place of items, where they may define functions, with the number of their calls.
    pub(crate) macros: BTreeMap<String, usize>,
}

/// A text to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Insertion {
    pub(crate) offset: usize,
    pub(crate) text: String,
    /// True for the end of an expression, which comes before the start of the next one.
    pub(crate) is_end: bool,
}

/// A change of the source: one insertion or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) what: What,
    /// The lines whose compile errors may come from the change.
    pub(crate) lines: RangeInclusive<usize>,
    /// The offset that identifies the change within the file.
    pub(crate) offset: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The attribute on the function with this path.
    Span(String, By),
    /// `telemark::auto()` in `main`.
    Main,
    /// The text around a call, by the edge with this index.
    Call(usize),
    /// A path that leads elsewhere, by the edge with this index.
    Path(usize),
    /// The module to which paths lead.
    Module,
}

/// A function that is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) why: Why,
}

/// The reason for leaving a function alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// A reason that no rule overrides.
    Never(&'static str),
    By(By),
    NoRule,
    DoesNotCompile,
    /// What would be around a call does not compile.
    NotAround,
    /// The start of telemetry in `main` does not compile.
    NotStarted,
}

/// Rewrites a file.
///
/// # Errors
/// Returns the reason for which the file is left alone as a whole.
pub(crate) fn rewrite(source: &Source<'_>, rules: &Rules) -> Result<Rewritten, String> {
    let (start, parsed) = parse(source.text)?;
    if parsed.attrs.iter().any(|attribute| syntax::last_name(attribute) == "no_std") {
        return Err("no_std".to_owned());
    }
    if is_generated(source.text) {
        return Err("generated".to_owned());
    }
    let mut visitor = Visitor::new(source, rules, start);
    visitor.file(&parsed);
    let mut rewritten = visitor.rewritten;
    rewritten.insertions.sort_by_key(|insertion| (insertion.offset, !insertion.is_end));
    Ok(rewritten)
}

/// Returns true for a file that says in its head that it is generated.
pub(crate) fn is_generated(text: &str) -> bool {
    text.lines().take(10).any(|line| line.contains("@generated") || line.contains("DO NOT EDIT"))
}

impl Rewritten {
    /// Leaves out the module to which paths lead, for a crate without such paths.
    pub(crate) fn drop_module(&mut self) {
        if let Some(index) = self.changes.iter().position(|change| change.what == What::Module) {
            let at = self.changes.remove(index).offset;
            self.insertions.retain(|insertion| insertion.offset != at || !replaced::is_module(&insertion.text));
        }
    }

    /// Returns the new text.
    pub(crate) fn apply(&self, text: &str) -> String {
        let mut new = String::with_capacity(text.len() + 64 * self.insertions.len());
        let mut at = 0;
        for insertion in &self.insertions {
            new.push_str(&text[at..insertion.offset]);
            new.push_str(&insertion.text);
            at = insertion.offset;
        }
        new.push_str(&text[at..]);
        new
    }

    /// Returns the smallest changes that concern this line, whose compile error they may have caused.
    pub(crate) fn suspects(&self, line: usize) -> Vec<&Change> {
        let concerned = self.changes.iter().filter(|change| change.lines.contains(&line));
        let size = |change: &Change| change.lines.end() - change.lines.start();
        let smallest = concerned.clone().map(size).min();
        concerned.filter(|change| Some(size(change)) == smallest).collect()
    }
}
