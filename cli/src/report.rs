//! The findings of the doctor and of a check, as text and as JSON.

use std::fmt;

use serde_json::{Value, json};
use telemark_sdk::text;

use crate::configuration::Signal;

/// The version of the JSON formats. New keys may appear in the same version.
const VERSION: u32 = 1;

/// What the doctor has found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The lines of the table: a name and a value.
    pub(crate) rows: Vec<(&'static str, String)>,
    problems: Vec<Problem>,
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Problem {
    /// The signals to which the problem applies; none for the whole configuration.
    signals: Vec<&'static str>,
    finding: String,
    advice: String,
}

impl Findings {
    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    pub(crate) fn problem(&mut self, finding: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(Problem { signals: Vec::new(), finding: finding.into(), advice: advice.into() });
    }

    /// Adds a problem of one signal, or the signal to a problem that has the same advice.
    pub(crate) fn problem_of(&mut self, signal: Signal, finding: String, advice: String) {
        match self
            .problems
            .iter_mut()
            .find(|known| !known.signals.is_empty() && !advice.is_empty() && known.advice == advice)
        {
            Some(known) => known.signals.push(signal.name()),
            None => self.problems.push(Problem { signals: vec![signal.name()], finding, advice }),
        }
    }

    /// Returns the findings as JSON, in the format that the README describes.
    pub(crate) fn to_json(&self) -> Value {
        let row = |(name, value): &(&str, String)| json!({"name": name, "value": cleaned(value)});
        let problem = |problem: &Problem| json!({"signals": problem.signals, "finding": problem.finding, "advice": problem.advice});
        json!({
            "version": VERSION,
            "ok": !self.has_problems(),
            "configuration": self.rows.iter().map(row).collect::<Vec<_>>(),
            "notes": self.notes.iter().map(|note| cleaned(note)).collect::<Vec<_>>(),
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.rows {
            writeln!(f, "{name:14}{}", cleaned(value))?;
        }
        for note in &self.notes {
            writeln!(f, "note          {}", cleaned(note))?;
        }
        match self.problems.len() {
            0 => return f.write_str("\nno problems"),
            1 => f.write_str("\n1 problem")?,
            count => write!(f, "\n{count} problems")?,
        }
        for (index, problem) in self.problems.iter().enumerate() {
            let signals = problem.signals.join(", ");
            let separator = if signals.is_empty() { "" } else { ": " };
            write!(f, "\n\n{}. {signals}{separator}{}", index + 1, problem.finding)?;
            if !problem.advice.is_empty() {
                write!(f, "\n   {}", problem.advice)?;
            }
        }
        Ok(())
    }
}

/// Returns text of others without control characters, at a bounded length.
fn cleaned(text: &str) -> String {
    text::display(text).cut_at(1000).to_string()
}

/// Returns the result of a check as JSON, in the format that the README describes.
pub(crate) fn check_to_json(file: &str, problems: &[&str], notes: &[&str]) -> Value {
    let listed: Vec<_> = problems.iter().flat_map(|problem| single(problem)).map(problem_to_json).collect();
    json!({"version": VERSION, "ok": problems.is_empty(), "file": file, "notes": notes, "problems": listed})
}

/// Returns the problems that an error lists below its first line, or the error itself if it lists none.
fn single(error: &str) -> Vec<&str> {
    let listed: Vec<_> = error.lines().skip(1).filter_map(|line| line.strip_prefix("  ")).collect();
    if listed.is_empty() { vec![error] } else { listed }
}

fn problem_to_json(problem: &str) -> Value {
    match place(problem) {
        Some((line, column, problem)) => json!({"line": line, "column": column, "problem": problem}),
        None => json!({"problem": problem}),
    }
}

/// Splits a problem that starts with its place, as in `line 6, column 33: …`, or as in `otel.yaml, line 6, column 33: …`.
fn place(problem: &str) -> Option<(u32, u32, &str)> {
    let start = if problem.starts_with("line ") { 0 } else { problem.find(", line ")? + 2 };
    let (line, rest) = problem[start..].strip_prefix("line ")?.split_once(", column ")?;
    let (column, rest) = rest.split_once(": ")?;
    Some((line.parse().ok()?, column.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_problems() {
        assert_eq!(place("line 6, column 33: a.b: is missing"), Some((6, 33, "a.b: is missing")));
        assert_eq!(place("/etc/otel, x.yaml, line 6, column 33: a"), Some((6, 33, "a")));
        assert_eq!(place("file_format: is required"), None);
        assert_eq!(
            single("configuration: x cannot be used, 2 problems\n  line 1, column 1: a\n  b"),
            ["line 1, column 1: a", "b"]
        );
        assert_eq!(single("OTEL_CONFIG_FILE=\"x\" cannot be used"), ["OTEL_CONFIG_FILE=\"x\" cannot be used"]);
    }
}
