//! The findings while traces are read: counted by subject, with the worst case of each.

use std::collections::HashMap;

use super::Finding;

/// The number of findings that a page shows. The gravest are kept.
const SHOWN: usize = 100;
/// The number of findings that are counted while traces are read. Beyond it, only known ones are counted.
const KEPT: usize = 1_000;

/// The findings so far, by rule and subject.
#[derive(Default)]
pub(super) struct Found {
    by_subject: HashMap<(&'static str, String), (u64, Finding)>,
}

impl Found {
    /// Counts a case of the finding, and keeps it if it is worse than the cases before. `subject` is the same for all cases.
    pub(super) fn add(&mut self, subject: String, badness: u64, finding: impl FnOnce() -> Finding, kind: &'static str) {
        let full = self.by_subject.len() >= KEPT;
        match self.by_subject.get_mut(&(kind, subject.clone())) {
            Some((worst, known)) => {
                let count = known.count + 1;
                if badness > *worst {
                    (*worst, *known) = (badness, finding());
                }
                known.count = count;
            }
            None if full => {}
            None => {
                self.by_subject.insert((kind, subject), (badness, finding()));
            }
        }
    }

    pub(super) fn finish(self) -> Vec<Finding> {
        let mut findings: Vec<_> = self.by_subject.into_iter().collect();
        findings.sort_by(|((_, a), (_, one)), ((_, b), (_, other))| {
            let by = |finding: &Finding| {
                (finding.severity, finding.lost.unwrap_or(0).saturating_mul(finding.count), finding.count)
            };
            by(other).cmp(&by(one)).then_with(|| a.cmp(b))
        });
        findings.truncate(SHOWN);
        findings.into_iter().map(|(_, (_, finding))| finding).collect()
    }
}

/// Returns a search for spans of a service with a name.
pub(super) fn query(service: &str, name: &str) -> String {
    format!("service:{} name:{}", quoted(service), quoted(name))
}

/// Returns `word` as the query language reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-/".contains(character);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}
