//! Counts of spans by name, from which `cargo telemark explain` tells what a request costs.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use opentelemetry::trace::SpanId;
use telemark_sdk::error::ExportError;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::{SpanData, SpanProcessor};

/// The variable with the file to which the counts are written. `cargo telemark run` sets it.
pub(super) const VARIABLE: &str = "TELEMARK_SPAN_COUNTS";

/// The number of names that are counted by themselves, because a program may put ids into the names of its spans.
const MAX_NAMES: usize = 1000;

/// Counts the spans that end, and writes the counts to a file when telemetry is flushed or ends.
#[derive(Debug)]
pub(super) struct SpanCounts {
    file: PathBuf,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Spans without a parent in this process.
    local_roots: u64,
    by_name: HashMap<String, u64>,
    other_names: u64,
}

impl SpanCounts {
    pub(super) fn new(file: PathBuf) -> Self {
        SpanCounts { file, counts: Mutex::default() }
    }
}

impl SpanProcessor for SpanCounts {
    fn wants_start(&self) -> bool {
        false
    }

    fn on_ending(&self, span: &mut SpanData) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.add(&span.name, span.parent_span_id == SpanId::INVALID || span.parent_is_remote);
    }

    fn on_end(&self, _: SpanData) {}

    fn wants_end(&self) -> bool {
        false
    }

    fn flush(&self, _: Deadline) -> Result<(), ExportError> {
        let text = self.counts.lock().unwrap_or_else(PoisonError::into_inner).text();
        // Only a report has less to tell then, and the program must not notice.
        let _ = std::fs::write(&self.file, text);
        Ok(())
    }
}

impl Counts {
    fn add(&mut self, name: &str, is_local_root: bool) {
        self.local_roots += u64::from(is_local_root);
        if let Some(count) = self.by_name.get_mut(name) {
            *count += 1;
        } else if self.by_name.len() < MAX_NAMES {
            self.by_name.insert(name.to_owned(), 1);
        } else {
            self.other_names += 1;
        }
    }

    /// Returns the number of local roots, and a line for each name after its count. Other names have an empty one.
    fn text(&self) -> String {
        let mut text = format!("{}\n", self.local_roots);
        let others = (self.other_names > 0).then_some(("", self.other_names));
        for (name, count) in self.by_name.iter().map(|(name, count)| (&**name, *count)).chain(others) {
            let name = name.replace(char::is_control, " ");
            let _ = writeln!(text, "{count} {name}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_up_to_a_number() {
        let mut counts = Counts::default();
        counts.add("GET /\n", true);
        counts.add("query", false);
        counts.add("query", false);
        let text = counts.text();
        let mut lines: Vec<_> = text.lines().collect();
        lines[1..].sort_unstable();
        assert_eq!(lines, ["1", "1 GET / ", "2 query"]);
        for id in 0..2 * MAX_NAMES {
            counts.add(&id.to_string(), true);
        }
        let text = counts.text();
        assert_eq!((text.lines().count(), counts.by_name.len()), (2 + MAX_NAMES, MAX_NAMES));
        assert!(text.starts_with("2001\n") && text.contains("\n1002 \n") && text.contains("\n2 query\n"), "{text}");
    }
}
