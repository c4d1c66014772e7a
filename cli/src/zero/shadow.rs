//! The shadow workspace below the target folder: links to the user's files, rewritten sources and edited manifests.

pub(crate) mod lock;
pub(crate) mod manifest;
pub(crate) mod workspace;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use self::lock::Lock;
use self::manifest::{Edit, Telemark, edit};
use self::workspace::{Package, Root, Workspace};
use super::modules::Modules;
use super::rewrite::{Edges, Rewritten, Role, Source, What, rewrite};
use super::rules::Rules;

/// The file of what does not compile with telemetry.
const LEFT_OUT: &str = "left-out";

/// The features of `telemark` that every program gets.
const FEATURES: [&str; 3] = ["console", "otlp", "termination"];

/// What decides about the shadow, besides the user's files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) lock: &'a Lock,
    pub(crate) left_out: &'a LeftOut,
}

/// What does not compile with telemetry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// The offsets of changes, by the path of the file and the hash of its text.
    changes: BTreeMap<(String, u64), BTreeSet<usize>>,
    /// `reqwest` or `sqlx`.
    pub(crate) edges: BTreeSet<&'static str>,
}

/// The rewritten packages.
#[derive(Debug)]
pub(crate) struct Rewrites<'a> {
    pub(crate) packages: Vec<PackageRewrites<'a>>,
}

#[derive(Debug)]
pub(crate) struct PackageRewrites<'a> {
    pub(crate) package: &'a Package,
    pub(crate) edges: Edges,
    pub(crate) files: Vec<FileRewrites>,
    /// The files that are left alone, with the reason.
    pub(crate) left_alone: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct FileRewrites {
    pub(crate) path: PathBuf,
    /// The path from the root of the workspace.
    pub(crate) shown: String,
    pub(crate) hash: u64,
    pub(crate) rewritten: Rewritten,
    text: String,
}

/// Rewrites the sources in memory.
pub(crate) fn rewrites<'a>(workspace: &'a Workspace, plan: Plan<'_>) -> Rewrites<'a> {
    Rewrites { packages: workspace.packages.iter().map(|package| package_rewrites(workspace, plan, package)).collect() }
}

fn package_rewrites<'a>(workspace: &Workspace, plan: Plan<'_>, package: &'a Package) -> PackageRewrites<'a> {
    let mut edges = package.edges(plan.lock);
    edges.reqwest &= !plan.left_out.edges.contains("reqwest");
    if plan.left_out.edges.contains("sqlx") {
        edges.sqlx.clear();
    }
    let mut of_package = PackageRewrites { package, edges, files: Vec::new(), left_alone: Vec::new() };
    if package.left_alone.is_some() {
        return of_package;
    }
    let mut seen = HashSet::new();
    for root in &package.roots {
        of_package.add_crate(workspace, plan, root, &mut seen);
    }
    of_package
}

impl PackageRewrites<'_> {
    fn add_crate(&mut self, workspace: &Workspace, plan: Plan<'_>, root: &Root, seen: &mut HashSet<PathBuf>) {
        let modules = Modules::of_root(&root.file);
        for (file, problem) in modules.problems {
            let shown = workspace.relative(&file).unwrap_or(&file).display().to_string();
            self.left_alone.push((shown, problem));
        }
        for (path, module) in modules.files {
            // A file outside of the workspace, and one that is part of two crates.
            let Some(shown) = workspace.relative(&path).map(|path| path.display().to_string()) else { continue };
            if !seen.insert(path.clone()) {
                continue;
            }
            let hash = hash(&module.text);
            let role = match (module.is_test || root.role == Role::Test, module.path.is_empty()) {
                (true, _) => Role::Test,
                (false, true) => root.role,
                (false, false) => Role::Module,
            };
            let none = BTreeSet::new();
            let source = Source {
                text: &module.text,
                file: &shown,
                krate: &root.krate,
                module: &module.path,
                role,
                edges: &self.edges,
                left_out: plan.left_out.changes.get(&(shown.clone(), hash)).unwrap_or(&none),
            };
            match rewrite(&source, plan.rules) {
                Ok(rewritten) => {
                    let text = module.text;
                    self.files.push(FileRewrites { path, shown, hash, rewritten, text });
                }
                Err(reason) => self.left_alone.push((shown, reason)),
            }
        }
    }

    /// Returns true if a file of the package refers to Telemark.
    pub(crate) fn needs_telemark(&self) -> bool {
        self.files.iter().any(|file| !file.rewritten.insertions.is_empty())
    }

    /// Returns the features of `telemark` that the package needs.
    fn features(&self, more: &[String]) -> Vec<String> {
        let uses =
            |what: &What| self.files.iter().flat_map(|file| &file.rewritten.changes).any(|change| change.what == *what);
        let mut features: Vec<_> = FEATURES.map(str::to_owned).to_vec();
        features.extend(uses(&What::Axum).then(|| "axum".to_owned()));
        features.extend(uses(&What::Path("reqwest")).then(|| "reqwest".to_owned()));
        features.extend(self.edges.sqlx.iter().map(|database| format!("sqlx-{database}")));
        features.extend(more.iter().cloned());
        features
    }
}

impl LeftOut {
    /// Reads what an earlier run has left out.
    pub(crate) fn read(folder: &Path) -> LeftOut {
        let mut left_out = LeftOut::default();
        for line in fs::read_to_string(folder.join(LEFT_OUT)).unwrap_or_default().lines() {
            let parts: Vec<_> = line.split('\t').collect();
            match parts.as_slice() {
                ["reqwest"] => _ = left_out.edges.insert("reqwest"),
                ["sqlx"] => _ = left_out.edges.insert("sqlx"),
                [file, hash, offset] => {
                    if let (Ok(hash), Ok(offset)) = (hash.parse(), offset.parse()) {
                        left_out.changes.entry(((*file).to_owned(), hash)).or_default().insert(offset);
                    }
                }
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
        let files = rewrites.packages.iter().flat_map(|package| &package.files);
        let Some(of) = files.into_iter().find(|candidate| candidate.shown == file) else { return 0 };
        let mut new = 0;
        for change in of.rewritten.suspects(line) {
            new += usize::from(match change.what {
                What::Path(edge) => self.edges.insert(edge),
                _ => self.changes.entry((of.shown.clone(), of.hash)).or_default().insert(change.offset),
            });
        }
        new
    }
}

/// The folders of a shadow workspace.
#[derive(Debug)]
pub(crate) struct Shadow {
    /// The folder of everything that this command writes.
    pub(crate) folder: PathBuf,
    pub(crate) source: PathBuf,
    pub(crate) build: PathBuf,
}

impl Shadow {
    pub(crate) fn new(target: &Path) -> Shadow {
        let folder = target.join("telemark");
        Shadow { source: folder.join("source"), build: folder.join("build"), folder }
    }

    /// Writes the shadow. Files whose content is the same keep their time, so cargo does not compile them again. Returns the edited
    /// manifests, which decide about the lock file.
    pub(crate) fn write(
        &self,
        workspace: &Workspace,
        rewrites: &Rewrites<'_>,
        telemark: &Telemark,
        features: &[String],
    ) -> Result<u64, String> {
        let mut files = BTreeMap::new();
        for package in &rewrites.packages {
            for file in package.files.iter().filter(|file| !file.rewritten.insertions.is_empty()) {
                files.insert(file.path.clone(), file.rewritten.apply(&file.text));
            }
        }
        let mut manifests: BTreeMap<PathBuf, Option<Vec<String>>> = BTreeMap::new();
        manifests.insert(workspace.root.join("Cargo.toml"), None);
        for package in &rewrites.packages {
            let needed = package.needs_telemark().then(|| package.features(features));
            manifests.insert(package.package.manifest.clone(), needed);
        }
        let mut hasher = DefaultHasher::new();
        for (path, features) in manifests {
            let shown = path.display();
            if workspace.relative(&path).is_none() {
                return Err(format!("{shown} is outside of the folder of its workspace, which is not supported"));
            }
            let text = fs::read_to_string(&path).map_err(|error| format!("{shown}: {error}"))?;
            let change = Edit {
                folder: path.parent().unwrap_or(&workspace.root),
                root: &workspace.root,
                telemark: features.as_deref().map(|features| (telemark, features)),
            };
            let text = edit(&text, &change).map_err(|error| format!("{shown}: {error}"))?;
            text.hash(&mut hasher);
            files.insert(path, text);
        }
        self.mirror(&workspace.root, &self.source, &files, workspace)
            .and_then(|()| put(&self.folder.join(".gitignore"), "*\n"))
            .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        Ok(hasher.finish())
    }

    /// Makes `to` show the files of `from`, with other texts for those in `files`.
    fn mirror(
        &self,
        from: &Path,
        to: &Path,
        files: &BTreeMap<PathBuf, String>,
        workspace: &Workspace,
    ) -> io::Result<()> {
        if to.is_symlink() || to.is_file() {
            fs::remove_file(to)?;
        }
        fs::create_dir_all(to)?;
        let is_top = from == workspace.root;
        let mut kept = HashSet::new();
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let is_config = is_top && (name == ".cargo" || name == "Cargo.lock");
            if is_config || name == ".git" || path == workspace.target || path.join("CACHEDIR.TAG").is_file() {
                continue;
            }
            let place = to.join(&name);
            kept.insert(name);
            if let Some(text) = files.get(&path) {
                put(&place, text)?;
            } else if path.is_dir()
                && files.range(path.clone()..).next().is_some_and(|(file, _)| file.starts_with(&path))
            {
                self.mirror(&path, &place, files, workspace)?;
            } else {
                link(&path, &place)?;
            }
        }
        for entry in fs::read_dir(to)? {
            let entry = entry?;
            let is_kept = kept.contains(&entry.file_name()) || is_top && entry.file_name() == "Cargo.lock";
            if !is_kept {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

pub(crate) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Writes a file unless it has this content already.
pub(crate) fn put(path: &Path, text: &str) -> io::Result<()> {
    if path.is_symlink() || path.is_dir() {
        remove(path)?;
    }
    match fs::read(path) {
        Ok(old) if old == text.as_bytes() => Ok(()),
        _ => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, text)
        }
    }
}

/// Creates a link to a file or a folder, in place of what is there.
pub(crate) fn link(target: &Path, place: &Path) -> io::Result<()> {
    if fs::read_link(place).is_ok_and(|old| old == target) {
        return Ok(());
    }
    if place.is_symlink() || place.exists() {
        remove(place)?;
    }
    symlink(target, place)
}

#[cfg(unix)]
fn symlink(target: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this command needs symbolic links, and supports Unix only"))
}

/// Removes a link, a file or a folder, without following links.
fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_left_out_is_named_in_later_runs() {
        let folder = std::env::temp_dir().join(format!("telemark-left-out-{}", std::process::id()));
        let left_out = LeftOut { edges: BTreeSet::from(["reqwest"]), ..LeftOut::default() };
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
