//! The shadow workspace below the target folder: links to the user's files, rewritten sources and edited manifests.

mod left_out;
pub(crate) mod lock;
pub(crate) mod manifest;
pub(crate) mod workspace;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::Value;

pub(super) use self::left_out::LeftOut;
use self::lock::Lock;
use self::manifest::{Edit, Telemark, edit};
use self::workspace::{Package, Root, Workspace};
use super::modules::Modules;
use super::rewrite::{Edges, Rewritten, Role, Source, What, rewrite};
use super::rules::Rules;
use super::rules::edges::Edge;

/// The features of `telemark` that every program gets.
const FEATURES: [&str; 3] = ["console", "otlp", "termination"];

/// What decides about the shadow, besides the user's files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a, 'l> {
    pub(crate) rules: &'a Rules,
    pub(crate) lock: &'l Lock,
    pub(crate) left_out: &'l LeftOut,
}

/// The rewritten packages.
#[derive(Debug)]
pub(crate) struct Rewrites<'a> {
    rules: &'a Rules,
    pub(crate) packages: Vec<PackageRewrites<'a>>,
}

#[derive(Debug)]
pub(crate) struct PackageRewrites<'a> {
    pub(crate) package: &'a Package,
    pub(crate) edges: Edges<'a>,
    /// The needs of edges that are not met.
    pub(crate) unmet: BTreeSet<String>,
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
pub(crate) fn rewrites<'a>(workspace: &'a Workspace, plan: Plan<'a, '_>) -> Rewrites<'a> {
    let packages = workspace.packages.iter().map(|package| package_rewrites(workspace, plan, package));
    Rewrites { rules: plan.rules, packages: packages.collect() }
}

fn package_rewrites<'a>(workspace: &Workspace, plan: Plan<'a, '_>, package: &'a Package) -> PackageRewrites<'a> {
    let (mut edges, unmet) = package.edges(plan.rules, plan.lock);
    edges.active.retain(|(_, edge)| !edge.replaced().is_some_and(|krate| plan.left_out.edges.contains(krate)));
    let mut of_package = PackageRewrites { package, edges, unmet, files: Vec::new(), left_alone: Vec::new() };
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
    fn add_crate(&mut self, workspace: &Workspace, plan: Plan<'_, '_>, root: &Root, seen: &mut HashSet<PathBuf>) {
        let modules = Modules::of_root(&root.file);
        for (file, problem) in modules.problems {
            let shown = workspace.relative(&file).unwrap_or(&file).display().to_string();
            self.left_alone.push((shown, problem));
        }
        let (mut files, mut has_paths) = (Vec::new(), false);
        for (path, module) in modules.files {
            // A file outside of the workspace, and one that is part of two crates.
            let Some(shown) = workspace.relative(&path).map(|path| path.display().to_string()) else { continue };
            if seen.contains(&path) {
                has_paths = true;
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
                left_out: plan.left_out.of_file(&shown, hash).unwrap_or(&none),
            };
            match rewrite(&source, plan.rules) {
                Ok(rewritten) => files.push(FileRewrites { path, shown, hash, rewritten, text: module.text }),
                Err(reason) => {
                    self.left_alone.push((shown, reason));
                    if path == root.file {
                        // Its modules would refer to what their root lacks.
                        return;
                    }
                }
            }
        }
        has_paths |=
            files.iter().any(|file| file.rewritten.changes.iter().any(|change| matches!(change.what, What::Path(_))));
        if !has_paths {
            files.iter_mut().for_each(|file| file.rewritten.drop_module());
        }
        seen.extend(files.iter().map(|file| file.path.clone()));
        self.files.extend(files);
    }

    /// Returns true if a file of the package refers to Telemark.
    pub(crate) fn needs_telemark(&self) -> bool {
        self.files.iter().any(|file| !file.rewritten.insertions.is_empty())
    }

    /// Returns the edges that change a call or a path of the package.
    pub(crate) fn changing(&self) -> BTreeSet<usize> {
        let changes = self.files.iter().flat_map(|file| &file.rewritten.changes);
        let edge = |what: &What| match what {
            What::Call(edge) | What::Path(edge) => Some(*edge),
            _ => None,
        };
        changes.filter_map(|change| edge(&change.what)).collect()
    }

    /// Returns the edges to whose crates the package refers.
    fn used(&self) -> Vec<&Edge> {
        let changing = self.changing();
        // The module has the names of all replaced crates.
        let has_module =
            self.files.iter().flat_map(|file| &file.rewritten.changes).any(|change| change.what == What::Module);
        let is_used = |index, edge: &Edge| changing.contains(index) || has_module && edge.replaced().is_some();
        let used = self.edges.active.iter().filter(|(index, edge)| is_used(index, edge));
        used.map(|(_, edge)| *edge).collect()
    }

    /// Returns the features of `telemark` that the package needs.
    fn features(&self, more: &[String]) -> Vec<String> {
        let of_edges: BTreeSet<_> = self.used().into_iter().flat_map(|edge| &edge.features).collect();
        FEATURES
            .map(str::to_owned)
            .into_iter()
            .chain(of_edges.into_iter().cloned())
            .chain(more.iter().cloned())
            .collect()
    }

    /// Returns the crates of rules that the package needs and does not have.
    fn crates(&self, rules: &Rules) -> Vec<(String, Value)> {
        let used = self.used();
        let named: BTreeSet<_> = used.iter().flat_map(|edge| edge.crates()).collect();
        let is_needed = |name: &str| named.contains(&*name.replace('-', "_")) && !self.package.depends_on(name);
        rules.crates.iter().filter(|(name, _)| is_needed(name)).cloned().collect()
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

    /// Creates the folder. It holds nothing that a version control or a backup should keep.
    pub(crate) fn create(&self) -> io::Result<()> {
        put(&self.folder.join(".gitignore"), "*\n")?;
        put(&self.folder.join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n")
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
        let mut manifests = BTreeMap::from([(workspace.root.join("Cargo.toml"), (None, Vec::new()))]);
        for package in &rewrites.packages {
            let needed = package.needs_telemark().then(|| package.features(features));
            manifests.insert(package.package.manifest.clone(), (needed, package.crates(rewrites.rules)));
        }
        let mut hasher = DefaultHasher::new();
        for (path, (features, crates)) in manifests {
            let shown = path.display();
            if workspace.relative(&path).is_none() {
                return Err(format!("{shown} is outside of the folder of its workspace, which is not supported"));
            }
            let text = fs::read_to_string(&path).map_err(|error| format!("{shown}: {error}"))?;
            let change = Edit {
                folder: path.parent().unwrap_or(&workspace.root),
                root: &workspace.root,
                telemark: features.as_deref().map(|features| (telemark, features)),
                crates: &crates,
            };
            let text = edit(&text, &change).map_err(|error| format!("{shown}: {error}"))?;
            text.hash(&mut hasher);
            files.insert(path, text);
        }
        self.mirror(&workspace.root, &self.source, &files, workspace)
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
