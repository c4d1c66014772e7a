//! What does not compile with telemetry, and is left out by later builds until something changes that may let it compile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use super::workspace::Workspace;
use super::{Rewrites, put};
use crate::zero::rewrite::What;

/// The file in the folder of a shadow.
const FILE: &str = "left-out";
/// The first word of its lines about packages.
const PACKAGE: &str = "package";

/// What does not compile with telemetry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// The offsets of changes, by the path of the file and the hash of its text.
    changes: BTreeMap<(String, u64), BTreeSet<usize>>,
    /// The crates whose paths stay as they are.
    pub(crate) edges: BTreeSet<String>,
    /// Those that stay as they are in this build only, because cargo compiles documentation that uses them.
    pub(crate) documented: BTreeSet<String>,
    /// The packages that have no telemetry, and whether that is so only in a build of tests.
    packages: BTreeSet<(String, bool)>,
    /// True if this build has tests.
    has_tests: bool,
}

impl LeftOut {
    /// Reads what an earlier build has left out. It counts as long as the state is that of the earlier build: a number for everything
    /// else that decides about compilation.
    pub(crate) fn read(folder: &Path, has_tests: bool, state: impl FnOnce() -> u64) -> LeftOut {
        let mut left_out = LeftOut { has_tests, ..LeftOut::default() };
        let text = fs::read_to_string(folder.join(FILE)).unwrap_or_default();
        let Some((of_build, text)) = text.split_once('\n') else { return left_out };
        if of_build != state().to_string() {
            return left_out;
        }
        for line in text.lines() {
            let parts: Vec<_> = line.split('\t').collect();
            match parts.as_slice() {
                [PACKAGE, name, of] => _ = left_out.packages.insert(((*name).to_owned(), *of == "tests")),
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

    /// Says which libraries and packages are left out because of an earlier build.
    pub(crate) fn notes(&self) -> Vec<String> {
        let packages = self.packages.iter().filter(|(_, of_tests)| self.has_tests || !of_tests).map(|(name, _)| name);
        let names: BTreeSet<_> = self.edges.iter().chain(packages).collect();
        let note = |name| {
            format!(
                "{name} is not instrumented, because an earlier build failed with it: the next one after a change of a manifest, \
                 Cargo.lock, telemark.toml or the compiler tries again"
            )
        };
        names.into_iter().map(note).collect()
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
        if self.edges.len() + self.packages.len() + self.changes.len() == 0 {
            return if file.exists() { fs::remove_file(file) } else { Ok(()) };
        }
        let mut text = format!("{}\n", state());
        text.extend(self.edges.iter().map(|edge| format!("{edge}\n")));
        for (name, of_tests) in &self.packages {
            text.push_str(&format!("{PACKAGE}\t{name}\t{}\n", if *of_tests { "tests" } else { "all" }));
        }
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

    /// Returns true if the paths of the crate stay as they are in this build.
    pub(crate) fn has_edge(&self, krate: &str) -> bool {
        self.edges.contains(krate) || self.documented.contains(krate)
    }

    /// Returns true if the package has no telemetry in this build.
    pub(crate) fn has_package(&self, name: &str) -> bool {
        [false, self.has_tests].iter().any(|of_tests| self.packages.contains(&(name.to_owned(), *of_tests)))
    }

    /// Leaves out a member of the workspace whose error nothing explains. If it has no telemetry already, that of the members on which it
    /// depends is compiled into it, so they are next. Returns what is left out now; nothing if no program with telemetry would remain.
    pub(crate) fn leave_out_package(
        &mut self,
        workspace: &Workspace,
        rewrites: &Rewrites<'_>,
        name: &str,
    ) -> Vec<String> {
        let mut added = workspace.with_dependencies(name);
        if added.first().is_some_and(|package| !self.has_package(package)) {
            added.truncate(1);
        }
        added.retain(|package| !self.has_package(package));
        let remains = |package: &str| !self.has_package(package) && !added.iter().any(|added| added == package);
        if !rewrites.packages.iter().any(|package| package.has_program() && remains(&package.package.name)) {
            return Vec::new();
        }
        self.packages.extend(added.iter().map(|package| (package.clone(), self.has_tests)));
        added
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
    use crate::zero::shadow::{Plan, rewrites};

    /// A workspace in a folder of its own.
    struct Fixture(std::path::PathBuf);

    impl Fixture {
        fn new(name: &str) -> Fixture {
            let folder = std::env::temp_dir().join(format!("telemark-left-out-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Fixture(folder)
        }

        /// Returns the workspace of packages with this kind, name, source, and name of a dependency.
        fn workspace(&self, packages: &[(&str, &str, &str, &str)]) -> Workspace {
            let root = self.0.display();
            let package = |&(kind, name, source, dependency): &(&str, &str, &str, &str)| {
                fs::write(self.0.join(format!("{name}.rs")), source).unwrap();
                format!(
                    r#"{{"name":"{name}","version":"0.1.0","manifest_path":"{root}/{name}/Cargo.toml",
                    "dependencies":[{{"name":"{dependency}","rename":"other","kind":"dev","target":"x86_64-pc-windows-msvc"}}],
                    "targets":[{{"name":"{name}","kind":["{kind}"],"src_path":"{root}/{name}.rs","edition":"2021"}}]}}"#
                )
            };
            let packages: Vec<_> = packages.iter().map(package).collect();
            let packages = packages.join(",");
            let metadata =
                format!(r#"{{"workspace_root":"{root}","target_directory":"{root}/target","packages":[{packages}]}}"#);
            Workspace::parse(metadata.as_bytes()).unwrap()
        }

        /// Writes with a library of this source, and reads what the next build with this state leaves out.
        fn written(&self, left_out: &LeftOut, source: &str, state: u64) -> LeftOut {
            let workspace = self.workspace(&[("lib", "lib", source, "serde")]);
            let mut left_out = left_out.clone();
            let plan = Plan { rules: &Default::default(), lock: &Lock::default(), left_out: &LeftOut::default() };
            left_out.write(&self.0, &rewrites(&workspace, plan), || 1).unwrap();
            LeftOut::read(&self.0, false, || state)
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
    #[test]
    fn a_package_is_left_out_before_the_members_on_which_it_depends() {
        let fixture = Fixture::new("package");
        let main = "fn main() {}";
        let workspace = fixture.workspace(&[
            ("bin", "shop", main, "shop-prices"),
            ("lib", "shop-prices", "", "shop-money"),
            ("lib", "shop-money", "", "shop"),
            ("bin", "admin", main, "shop-money"),
        ]);
        let rules = Default::default();
        let lock = Lock::default();
        let leave_out = |left_out: &mut LeftOut, name| {
            let plan = Plan { rules: &rules, lock: &lock, left_out: &left_out.clone() };
            left_out.leave_out_package(&workspace, &rewrites(&workspace, plan), name)
        };
        let mut left_out = LeftOut::default();
        assert_eq!(leave_out(&mut left_out, "serde"), [""; 0]);
        assert_eq!(leave_out(&mut left_out, "shop"), ["shop"]);
        assert_eq!(leave_out(&mut left_out, "shop"), ["shop-prices", "shop-money"]);
        assert_eq!(leave_out(&mut left_out, "shop"), [""; 0]);
        // It has the last program.
        assert_eq!(leave_out(&mut left_out, "admin"), [""; 0]);
        let names: Vec<_> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
        let without: Vec<_> = names.iter().filter(|name| left_out.has_package(name)).collect();
        assert_eq!(without, [&"shop", &"shop-prices", &"shop-money"]);
    }

    #[test]
    fn a_package_whose_tests_do_not_compile_is_left_out_of_tests_only() {
        let fixture = Fixture::new("tests");
        let packages = BTreeSet::from([("shop".to_owned(), true), ("admin".to_owned(), false)]);
        let left_out = LeftOut { packages, has_tests: true, ..LeftOut::default() };
        let of_program = fixture.written(&left_out, "", 1);
        let of_tests = LeftOut::read(&fixture.0, true, || 1);
        assert_eq!(of_tests, left_out);
        let has = |left_out: &LeftOut| ["shop", "admin"].map(|name| left_out.has_package(name));
        assert_eq!((has(&of_program), has(&of_tests)), ([false, true], [true, true]));
        assert_eq!((of_program.notes().len(), of_tests.notes().len()), (1, 2));
    }
}
