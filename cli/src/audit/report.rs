//! The report of an audit, as text and as JSON.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use super::allowed::{comments, find, is_check};
use super::checks::{Audit, CHECKS, Finding};
use crate::source::libraries;
use crate::source::program::Program;
use crate::zero::shadow::workspace::{Package, USES_TELEMARK};

/// The version of the JSON. It changes if a key disappears or changes its meaning.
const VERSION: u32 = 1;

/// The findings that nothing allows.
pub(crate) struct Report {
    findings: Vec<Shown>,
    entry_points: usize,
    without_span: usize,
    min_coverage: Option<u8>,
    notes: Vec<String>,
}

struct Shown {
    file: String,
    of: Finding,
}

impl Report {
    /// Audits a program. `min_coverage` comes before that of `telemark.toml`.
    pub(crate) fn new(program: &Program, min_coverage: Option<u8>) -> Report {
        let audit = Audit::new(program);
        let (mut entry_points, found) = audit.findings();
        let off = &program.rules.audit.off;
        let comments: Vec<_> = program.files.iter().map(|file| comments(&file.text)).collect();
        let (mut findings, mut without_span, mut used) = (Vec::new(), 0, BTreeSet::new());
        for finding in found {
            let file = &program.files[finding.file];
            if let Some(index) = find(&comments[finding.file], &file.text, finding.check, finding.line) {
                used.insert((finding.file, index));
                // It has no span on purpose.
                entry_points -= usize::from(finding.is_entry_point);
                continue;
            }
            without_span += usize::from(finding.is_entry_point);
            if !off.contains(&finding.check) {
                findings.push(Shown { file: file.shown.clone(), of: finding });
            }
        }
        let mut notes = Vec::new();
        for (index, file) in program.files.iter().enumerate().filter(|(index, _)| audit.reads(*index)) {
            for (at, comment) in comments[index].iter().enumerate() {
                let place = format!("{}:{}", file.shown, comment.line);
                if !is_check(&comment.check) {
                    let accepted = CHECKS.join(", ");
                    notes.push(format!("{place}: allow({}) names no check: expected {accepted}", comment.check));
                } else if !used.contains(&(index, at)) && !off.contains(&comment.check.as_str()) {
                    notes.push(format!("{place}: allow({}) allows nothing", comment.check));
                }
            }
        }
        let uses_telemark = |package: &Package| package.left_alone == Some(USES_TELEMARK);
        if !findings.is_empty() && !program.workspace.packages.iter().any(uses_telemark) {
            notes.push(
                "no package depends on telemark: `cargo telemark add` shows a patch with most of these changes"
                    .to_owned(),
            );
        }
        notes.extend(libraries::unfit(program));
        notes.extend(program.left_alone.iter().map(|(file, reason)| format!("{file} is not read: {reason}")));
        Report {
            findings,
            entry_points,
            without_span,
            min_coverage: min_coverage.or(program.rules.audit.min_coverage),
            notes,
        }
    }

    fn covered(&self) -> usize {
        self.entry_points - self.without_span
    }

    /// Returns the share of entry points that have a span, in whole percent, rounded down. It is 100 where there are none.
    fn percent(&self) -> usize {
        (100 * self.covered()).checked_div(self.entry_points).unwrap_or(100)
    }

    fn is_covered(&self) -> bool {
        self.min_coverage.is_none_or(|min| self.percent() >= usize::from(min))
    }

    /// Returns true if there is no finding and enough entry points have a span.
    pub(crate) fn is_ok(&self) -> bool {
        self.findings.is_empty() && self.is_covered()
    }

    pub(crate) fn to_json(&self) -> Value {
        let finding = |Shown { file, of }: &Shown| json!({"check": of.check, "file": file, "line": of.line, "finding": of.finding, "advice": of.advice});
        json!({
            "version": VERSION,
            "ok": self.is_ok(),
            "entry_points": {"covered": self.covered(), "all": self.entry_points, "percent": self.percent()},
            "min_coverage": self.min_coverage,
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Shown { file, of } in &self.findings {
            writeln!(f, "{file}:{}: {}: {}\n   {}", of.line, of.check, of.finding, of.advice)?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        let (covered, all) = (self.covered(), self.entry_points);
        match all {
            0 => writeln!(f, "no entry points are known")?,
            _ => writeln!(f, "{covered} of {all} entry points have a span: {} %", self.percent())?,
        }
        if let Some(min) = self.min_coverage.filter(|_| !self.is_covered()) {
            writeln!(f, "at least {min} % of the entry points must have one")?;
        }
        match self.findings.len() {
            0 => write!(f, "no findings"),
            1 => write!(f, "1 finding"),
            count => write!(f, "{count} findings"),
        }
    }
}
