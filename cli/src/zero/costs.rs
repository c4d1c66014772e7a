//! The spans of the last run, which the program counts itself (`telemark::auto`).

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The variable that tells the program the file for its counts.
pub(crate) const VARIABLE: &str = "TELEMARK_SPAN_COUNTS";

/// The number of names in the report.
const MAX_NAMES: usize = 20;

fn file(folder: &Path) -> PathBuf {
    folder.join("span-counts")
}

/// Forgets the run before, and returns the file for the next one. `folder` is that of the shadow workspace.
pub(crate) fn begin(folder: &Path) -> OsString {
    let file = file(folder);
    let _ = fs::remove_file(&file);
    file.into_os_string()
}

/// Returns the report about the last run; `None` if it has counted nothing.
pub(crate) fn report(folder: &Path) -> Option<String> {
    of_counts(&fs::read_to_string(file(folder)).ok()?)
}

/// Reads the number of traces, and lines with a count and a name.
fn of_counts(text: &str) -> Option<String> {
    let (traces, lines) = text.split_once('\n')?;
    let traces: u64 = traces.parse().ok()?;
    let counts: Option<Vec<(u64, &str)>> = lines
        .lines()
        .map(|line| line.split_once(' ').and_then(|(count, name)| Some((count.parse().ok()?, name))))
        .collect();
    let mut counts = counts?;
    counts.sort_unstable_by(|(a, a_name), (b, b_name)| b.cmp(a).then_with(|| a_name.cmp(b_name)));
    let spans: u64 = counts.iter().map(|(count, _)| count).sum();
    if traces == 0 || spans == 0 {
        return None;
    }
    let each = spans as f64 / traces as f64;
    let plural = if traces == 1 { "trace" } else { "traces" };
    let mut report =
        format!("\nThe last run had {traces} {plural} in this process, with {each:.1} spans each on average:\n");
    for (count, name) in counts.iter().take(MAX_NAMES) {
        let name = if name.is_empty() { "other names" } else { name };
        let _ = writeln!(report, "{count:>8} {name}");
    }
    if counts.len() > MAX_NAMES {
        let _ = writeln!(report, "         and {} more names", counts.len() - MAX_NAMES);
    }
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_by_trace_and_by_name() {
        let report = of_counts("2\n2 GET /\n4 query\n1 \n").unwrap_or_default();
        let expected = "\nThe last run had 2 traces in this process, with 3.5 spans each on average:\n       4 query\n       2 GET /\n       \
             1 other names\n";
        assert_eq!(report, expected);
        let many: String = (0..25).map(|id| format!("1 {id}\n")).collect();
        let report = of_counts(&format!("1\n{many}")).unwrap_or_default();
        assert!(report.contains("had 1 trace in") && report.ends_with("and 5 more names\n"), "{report}");
    }

    #[test]
    fn a_file_that_is_incomplete_tells_nothing() {
        for text in ["", "2", "x\n1 a\n", "2\n1\n", "2\nmany a\n", "0\n1 a\n", "1\n"] {
            assert_eq!(of_counts(text), None, "{text:?}");
        }
    }
}
