//! What does not compile with telemetry, which later builds leave out as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use super::{Rewrites, put};
use crate::zero::rewrite::What;

/// The name of the file.
const LEFT_OUT: &str = "left-out";

/// What does not compile with telemetry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// The offsets of changes, by the path of the file and the hash of its text.
    pub(super) changes: BTreeMap<(String, u64), BTreeSet<usize>>,
    /// The crates whose paths stay as they are.
    pub(crate) edges: BTreeSet<String>,
}

impl LeftOut {
    /// Reads what an earlier run has left out.
    pub(crate) fn read(folder: &Path) -> LeftOut {
        let mut left_out = LeftOut::default();
        for line in fs::read_to_string(folder.join(LEFT_OUT)).unwrap_or_default().lines() {
            let parts: Vec<_> = line.split('\t').collect();
            match parts.as_slice() {
                [file, hash, offset] => {
                    if let (Ok(hash), Ok(offset)) = (hash.parse(), offset.parse()) {
                        left_out.changes.entry(((*file).to_owned(), hash)).or_default().insert(offset);
                    }
                }
                [krate] => _ = left_out.edges.insert((*krate).to_owned()),
                _ => {}
            }
        }
        left_out
    }

    /// Says which libraries are left out because of an earlier build, whatever has become of the reason since.
    pub(crate) fn notes(&self, folder: &Path) -> Vec<String> {
        let file = folder.join(LEFT_OUT);
        let edges = self.edges.iter();
        edges
            .map(|edge| {
                let file = file.display();
                format!(
                    "{edge} is not instrumented, because an earlier build failed with it: remove {file} to try again"
                )
            })
            .collect()
    }

    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut text: String = self.edges.iter().map(|edge| format!("{edge}\n")).collect();
        for ((file, hash), offsets) in &self.changes {
            text.extend(offsets.iter().map(|offset| format!("{file}\t{hash}\t{offset}\n")));
        }
        put(&folder.join(LEFT_OUT), &text)
    }

    /// Leaves out what may have caused an error in this line. Returns the number of changes that were not left out before.
    pub(crate) fn leave_out(&mut self, rewrites: &Rewrites<'_>, file: &str, line: usize) -> usize {
        for package in &rewrites.packages {
            let Some(of) = package.files.iter().find(|candidate| candidate.shown == file) else { continue };
            let before = self.len();
            for change in of.rewritten.suspects(line) {
                let edges = package.edges.active.iter();
                let replaced = |index: Option<usize>| {
                    let edges = edges.filter(move |(edge, _)| index.is_none_or(|index| index == *edge));
                    edges.filter_map(|(_, edge)| edge.replaced()).map(str::to_owned)
                };
                match change.what {
                    What::Path(index) => self.edges.extend(replaced(Some(index))),
                    What::Module => self.edges.extend(replaced(None)),
                    _ => _ = self.changes.entry((of.shown.clone(), of.hash)).or_default().insert(change.offset),
                }
            }
            return self.len() - before;
        }
        0
    }

    fn len(&self) -> usize {
        self.edges.len() + self.changes.values().map(BTreeSet::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_left_out_is_named_in_later_runs() {
        let folder = std::env::temp_dir().join(format!("telemark-left-out-{}", std::process::id()));
        let left_out = LeftOut { edges: BTreeSet::from(["reqwest".to_owned()]), ..LeftOut::default() };
        left_out.write(&folder).unwrap();
        let read = LeftOut::read(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(read, left_out);
        let notes = read.notes(Path::new("/t"));
        let expected =
            "reqwest is not instrumented, because an earlier build failed with it: remove /t/left-out to try again";
        assert_eq!(notes, [expected]);
    }
}
