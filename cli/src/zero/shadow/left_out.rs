//! What does not compile with telemetry, and is left out by later builds until something changes that may let it compile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use super::{Rewrites, put};
use crate::zero::rewrite::What;

/// The file in the folder of a shadow.
const FILE: &str = "left-out";

/// What does not compile with telemetry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// The offsets of changes, by the path of the file and the hash of its text.
    changes: BTreeMap<(String, u64), BTreeSet<usize>>,
    /// The crates whose paths stay as they are.
    pub(crate) edges: BTreeSet<String>,
}

impl LeftOut {
    /// Reads what an earlier build has left out. It counts as long as the state is that of the earlier build: a number for everything
    /// else that decides about compilation.
    pub(crate) fn read(folder: &Path, state: impl FnOnce() -> u64) -> LeftOut {
        let mut left_out = LeftOut::default();
        let text = fs::read_to_string(folder.join(FILE)).unwrap_or_default();
        let Some((of_build, text)) = text.split_once('\n') else { return left_out };
        if of_build != state().to_string() {
            return left_out;
        }
        for line in text.lines() {
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

    /// Says which libraries are left out because of an earlier build.
    pub(crate) fn notes(&self) -> Vec<String> {
        let edges = self.edges.iter();
        edges
            .map(|edge| {
                format!(
                    "{edge} is not instrumented, because an earlier build failed with it: the next one after a change of a manifest, \
                     Cargo.lock, telemark.toml or the compiler tries again"
                )
            })
            .collect()
    }

    /// Writes what this build has left out of these files, and forgets files that have changed or are gone.
    pub(crate) fn write(
        &mut self,
        folder: &Path,
        rewrites: &Rewrites<'_>,
        state: impl FnOnce() -> u64,
    ) -> io::Result<()> {
        let files = rewrites.packages.iter().flat_map(|package| &package.files);
        let known: BTreeSet<_> = files.map(|file| (file.shown.as_str(), file.hash)).collect();
        self.changes.retain(|(file, hash), _| known.contains(&(file, *hash)));
        let file = folder.join(FILE);
        if *self == LeftOut::default() {
            return if file.exists() { fs::remove_file(file) } else { Ok(()) };
        }
        let mut text = format!("{}\n", state());
        text.extend(self.edges.iter().map(|edge| format!("{edge}\n")));
        for ((file, hash), offsets) in &self.changes {
            text.extend(offsets.iter().map(|offset| format!("{file}\t{hash}\t{offset}\n")));
        }
        put(&file, &text)
    }

    /// Returns the offsets of the changes that are left out of a file with this text.
    pub(crate) fn of_file(&self, file: &str, hash: u64) -> Option<&BTreeSet<usize>> {
        self.changes.get(&(file.to_owned(), hash))
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
            if let (Some(copied), true) = (package.copied, self.len() == before) {
                // Something else does not compile in the copy.
                self.edges.insert(copied.package.name.clone());
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
    use crate::zero::shadow::hash;
    use crate::zero::shadow::lock::Lock;
    use crate::zero::shadow::workspace::Workspace;
    use crate::zero::shadow::{Plan, rewrites};

    /// A workspace in a folder of its own, with one library.
    struct Fixture(std::path::PathBuf);

    impl Fixture {
        fn new(name: &str) -> Fixture {
            let folder = std::env::temp_dir().join(format!("telemark-left-out-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Fixture(folder)
        }

        /// Writes with a library of this source, and reads what the next build with this state leaves out.
        fn written(&self, left_out: &LeftOut, source: &str, state: u64) -> LeftOut {
            let root = self.0.display();
            fs::write(self.0.join("lib.rs"), source).unwrap();
            let metadata = format!(
                r#"{{"workspace_root":"{root}","target_directory":"{root}/target","packages":[{{"name":"shop","version":"0.1.0",
                "manifest_path":"{root}/Cargo.toml","dependencies":[],
                "targets":[{{"name":"shop","kind":["lib"],"src_path":"{root}/lib.rs","edition":"2021"}}]}}]}}"#
            );
            let workspace = Workspace::parse(metadata.as_bytes()).unwrap();
            let mut left_out = left_out.clone();
            let plan = Plan { rules: &Default::default(), lock: &Lock::default(), left_out: &LeftOut::default() };
            left_out.write(&self.0, &rewrites(&workspace, plan), || 1).unwrap();
            LeftOut::read(&self.0, || state)
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_left_out_counts_until_the_state_changes() {
        let fixture = Fixture::new("state");
        let left_out = LeftOut { edges: BTreeSet::from(["reqwest".to_owned()]), ..LeftOut::default() };
        assert_eq!(fixture.written(&left_out, "", 1), left_out);
        assert_eq!(fixture.written(&left_out, "", 2), LeftOut::default());
        let notes = left_out.notes();
        assert!(notes[0].starts_with("reqwest is not instrumented, because an earlier build failed"), "{notes:?}");
    }

    #[test]
    fn a_file_that_has_changed_or_is_gone_is_forgotten() {
        let fixture = Fixture::new("file");
        let changes = |file: &str| ((file.to_owned(), hash("// A.")), BTreeSet::from([7, 9]));
        let left_out = LeftOut { changes: [changes("lib.rs"), changes("gone.rs")].into(), ..LeftOut::default() };
        let remaining = LeftOut { changes: [changes("lib.rs")].into(), ..LeftOut::default() };
        assert_eq!(fixture.written(&left_out, "// A.", 1), remaining);
        assert_eq!(fixture.written(&left_out, "// B.", 1), LeftOut::default());
        assert!(!fixture.0.join(FILE).exists());
    }
}
