//! The shadow workspace below the target folder: links to the user's files, rewritten sources and edited manifests.

pub(crate) mod copies;
mod files;
mod left_out;
pub(crate) mod lock;
pub(crate) mod manifest;
pub(crate) mod profile;
pub(crate) mod workspace;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::Value;

use self::copies::Copied;
use self::files::{Mirror, remove};
pub(crate) use self::files::{link, put};
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
    /// Notes about dependencies that rules name.
    pub(crate) notes: &'a [String],
    pub(crate) packages: Vec<PackageRewrites<'a>>,
}

#[derive(Debug)]
pub(crate) struct PackageRewrites<'a> {
    pub(crate) package: &'a Package,
    /// The dependency whose copy is rewritten; `None` for a member of the workspace.
    pub(crate) copied: Option<&'a Copied>,
    pub(crate) edges: Edges<'a>,
    /// The reason for which the package has no telemetry.
    pub(crate) without: Option<&'static str>,
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

impl Rewrites<'_> {
    /// Returns the crates whose paths are replaced in a library and that its documentation uses. Examples in documentation are compiled as
    /// they are, with the types of the crate itself.
    pub(crate) fn documented(&self) -> BTreeSet<String> {
        let has_library = |package: &Package| package.roots.iter().any(|root| root.role == Role::Library);
        let members = self.packages.iter().filter(|package| package.copied.is_none() && has_library(package.package));
        let documented = members.flat_map(|package| {
            let replaced: BTreeSet<_> = package.edges.active.iter().filter_map(|(_, edge)| edge.replaced()).collect();
            replaced.into_iter().filter(|krate| package.files.iter().any(|file| documents(&file.text, krate)))
        });
        documented.map(str::to_owned).collect()
    }
}

/// Returns the folders in a folder.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).collect()
}

/// Returns true if a comment or an attribute of documentation may have a path that begins with the crate. What an attribute includes may
/// have any path, and a comment of several lines ends anywhere.
fn documents(text: &str, krate: &str) -> bool {
    let path = format!("{krate}::");
    let is_comment = |line: &str| ["///", "//!", "#[doc", "#![doc"].iter().any(|start| line.starts_with(start));
    let includes = |line: &str| {
        line.contains("include_str!")
            && ["#[doc", "#![doc", "#[cfg_attr", "#![cfg_attr"].iter().any(|start| line.starts_with(start))
    };
    let has_block = text.contains("/**") || text.contains("/*!");
    text.contains(&path) && has_block
        || text.lines().map(str::trim_start).any(|line| includes(line) || is_comment(line) && line.contains(&path))
}

/// Rewrites the sources in memory.
pub(crate) fn rewrites<'a>(workspace: &'a Workspace, plan: Plan<'a, '_>) -> Rewrites<'a> {
    let members = workspace.packages.iter().map(|package| package_rewrites(workspace, plan, package, None));
    let copies = workspace.copies.iter().filter(|copied| !plan.left_out.edges.contains(&copied.package.name));
    let copies = copies.map(|copied| package_rewrites(workspace, plan, &copied.package, Some(copied)));
    Rewrites { rules: plan.rules, notes: &workspace.notes, packages: members.chain(copies).collect() }
}

fn package_rewrites<'a>(
    workspace: &Workspace,
    plan: Plan<'a, '_>,
    package: &'a Package,
    copied: Option<&'a Copied>,
) -> PackageRewrites<'a> {
    let (mut edges, mut unmet) = package.edges(plan.rules, plan.lock);
    edges.active.retain(|(_, edge)| !edge.replaced().is_some_and(|krate| plan.left_out.has_edge(krate)));
    if copied.is_some() {
        // The types of a dependency are those that its other users have.
        edges.active.retain(|(_, edge)| edge.replaced().is_none());
        unmet.clear();
    }
    let is_left_out = copied.is_none() && plan.left_out.has_package(&package.name);
    let without = package.left_alone.or(is_left_out.then_some("it does not compile with telemetry"));
    let mut of_package =
        PackageRewrites { package, copied, edges, without, unmet, files: Vec::new(), left_alone: Vec::new() };
    if without.is_some() {
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
            let shown = self.shown(workspace, &file).unwrap_or_else(|| file.display().to_string());
            self.left_alone.push((shown, problem));
        }
        let (mut files, mut has_paths) = (Vec::new(), false);
        for (path, module) in modules.files {
            // A file outside of its workspace or package, and one that is part of two crates.
            let Some(shown) = self.shown(workspace, &path) else { continue };
            if seen.contains(&path) {
                has_paths = true;
                continue;
            }
            let hash = hash(&module.text);
            let none = BTreeSet::new();
            let source = Source {
                text: &module.text,
                file: &shown,
                krate: &root.krate,
                module: &module.path,
                role: root.role_of(&module),
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

    /// Returns the path of a file from the root of the workspace, or with the name of the dependency before it.
    fn shown(&self, workspace: &Workspace, file: &Path) -> Option<String> {
        let shown = match self.copied {
            Some(copied) => Path::new(&copied.name()).join(file.strip_prefix(&copied.folder).ok()?),
            None => workspace.relative(file)?.to_owned(),
        };
        Some(shown.display().to_string())
    }

    /// Returns true if a file of the package refers to Telemark.
    pub(crate) fn needs_telemark(&self) -> bool {
        self.files.iter().any(|file| !file.rewritten.insertions.is_empty())
    }

    /// Returns true if telemetry starts in a program of the package.
    fn has_program(&self) -> bool {
        self.files.iter().flat_map(|file| &file.rewritten.changes).any(|change| change.what == What::Main)
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

    /// Returns the files that are changed, with their new texts.
    fn changed(&self) -> impl Iterator<Item = (PathBuf, String)> {
        let changed = self.files.iter().filter(|file| !file.rewritten.insertions.is_empty());
        changed.map(|file| (file.path.clone(), file.rewritten.apply(&file.text)))
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

    /// Returns the file that says for which manifests and which lock file of the user the lock file of the shadow is.
    pub(crate) fn resolved(&self) -> PathBuf {
        self.folder.join("resolved")
    }

    /// Creates the folder. It holds nothing that a version control or a backup should keep.
    pub(crate) fn create(&self) -> io::Result<()> {
        put(&self.folder.join(".gitignore"), "*\n")?;
        put(&self.folder.join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n")
    }

    /// Removes the programs of earlier builds. Cargo puts them there again if they are up to date at the next build.
    pub(crate) fn remove_programs(&self, workspace: &Workspace) {
        let roots = workspace.packages.iter().flat_map(|package| &package.roots);
        let programs: HashSet<_> =
            roots.filter(|root| root.role == Role::Binary && !root.is_example).map(|root| root.krate.clone()).collect();
        // Below the folder of a profile, which may be below that of a target.
        let profiles = folders(&self.build);
        for folder in profiles.iter().flat_map(|profile| folders(profile)).chain(profiles.iter().cloned()) {
            for file in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                let stem = file.file_stem().map(|stem| stem.to_string_lossy().replace('-', "_"));
                let is_program = file.extension().is_none_or(|extension| extension == "exe");
                if is_program && file.is_file() && stem.is_some_and(|stem| programs.contains(&stem)) {
                    // If that fails, the message says where the program of this build is.
                    let _ = fs::remove_file(file);
                }
            }
        }
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
        let (copies, members): (Vec<_>, Vec<_>) =
            rewrites.packages.iter().partition(|package: &&PackageRewrites<'_>| package.copied.is_some());
        let copies: Vec<_> = copies.into_iter().filter(|package| package.needs_telemark()).collect();
        let mut files: BTreeMap<_, _> = members.iter().flat_map(|package| package.changed()).collect();
        let mut manifests = BTreeMap::from([(workspace.root.join("Cargo.toml"), (None, Vec::new()))]);
        for package in members {
            let needed = package.needs_telemark().then(|| package.features(features));
            manifests.insert(package.package.manifest.clone(), (needed, package.crates(rewrites.rules)));
        }
        let places: Vec<_> =
            copies.iter().filter_map(|package| package.copied).map(|copied| (copied, self.copy(copied))).collect();
        let mut hasher = DefaultHasher::new();
        for (path, (features, crates)) in manifests {
            let shown = path.display();
            if workspace.relative(&path).is_none() {
                return Err(format!("{shown} is outside of the folder of its workspace, which is not supported"));
            }
            let change = Edit {
                folder: path.parent().unwrap_or(&workspace.root),
                root: &workspace.root,
                telemark: features.as_deref().map(|features| (telemark, features)),
                crates: &crates,
                copies: &places,
            };
            let text = edited(&path, &change)?;
            text.hash(&mut hasher);
            files.insert(path, text);
        }
        for package in &copies {
            self.write_copy(workspace, package, rewrites.rules, (telemark, features))?.hash(&mut hasher);
        }
        let mirror = Mirror { root: &workspace.root, target: &workspace.target, files: &files };
        mirror
            .show(&self.source)
            .and_then(|()| self.forget_copies(&places))
            .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        Ok(hasher.finish())
    }

    /// Returns the folder of a copy.
    pub(crate) fn copy(&self, copied: &Copied) -> PathBuf {
        self.copies().join(copied.name())
    }

    /// Returns the folder of all copies.
    pub(crate) fn copies(&self) -> PathBuf {
        self.folder.join("dependencies")
    }

    /// Writes the copy of a dependency. Returns its manifest.
    fn write_copy(
        &self,
        workspace: &Workspace,
        package: &PackageRewrites<'_>,
        rules: &Rules,
        (telemark, features): (&Telemark, &[String]),
    ) -> Result<String, String> {
        let Some(copied) = package.copied else { return Ok(String::new()) };
        let features = package.features(features);
        let crates = manifest::beside(&self.source, &workspace.root, package.crates(rules));
        let change = Edit {
            folder: &copied.folder,
            root: &copied.folder,
            telemark: Some((telemark, &features)),
            crates: &crates,
            copies: &[],
        };
        let manifest = manifest::without_lints(&edited(&copied.package.manifest, &change)?);
        let mut files: BTreeMap<_, _> = package.changed().collect();
        files.insert(copied.package.manifest.clone(), manifest.clone());
        let mirror = Mirror { root: &copied.folder, target: &copied.folder.join("target"), files: &files };
        mirror.show(&self.copy(copied)).map_err(|error| format!("{}: {error}", self.folder.display()))?;
        Ok(manifest)
    }

    /// Removes the copies of dependencies that no rule names any more.
    fn forget_copies(&self, places: &[(&Copied, PathBuf)]) -> io::Result<()> {
        let folders = match fs::read_dir(self.copies()) {
            Ok(folders) => folders,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for folder in folders {
            let path = folder?.path();
            if !places.iter().any(|(_, place)| *place == path) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Returns the edited text of a manifest.
fn edited(path: &Path, change: &Edit<'_>) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    edit(&text, change).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_documented_wherever_documentation_may_use_it() {
        for text in [
            "/// let client = reqwest::Client::new();",
            "    #![doc = \"reqwest::get\"]",
            "/**\n * reqwest::get(url)\n */",
            "/*! reqwest::get(url) */",
            "#![doc = include_str!(\"../README.md\")]",
            "#![cfg_attr(doctest, doc = include_str!(\"../README.md\"))]",
        ] {
            assert!(documents(text, "reqwest"), "{text}");
        }
        for text in ["reqwest::get(url); // Without documentation.", "/** get */ fn get() {}", "include_str!(\"a\");"] {
            assert!(!documents(text, "reqwest"), "{text}");
        }
    }

    #[test]
    fn the_programs_of_earlier_builds_are_removed() {
        let folder = std::env::temp_dir().join(format!("telemark-programs-{}", std::process::id()));
        let shadow = Shadow::new(&folder);
        let metadata = r#"{"workspace_root":"/ws","target_directory":"/ws/target","packages":[{"name":"shop","version":"0.1.0",
            "manifest_path":"/ws/Cargo.toml","dependencies":[],
            "targets":[{"name":"the-shop","kind":["bin"],"src_path":"/ws/main.rs","edition":"2021"}]}]}"#;
        let workspace = Workspace::parse(metadata.as_bytes()).unwrap();
        let programs = ["debug/the-shop", "release/the-shop.exe", "some-target/debug/the-shop"];
        let others = ["debug/other", "debug/the-shop.d", "debug/deps/the_shop-1"];
        for file in programs.iter().chain(&others) {
            put(&shadow.build.join(file), "").unwrap();
        }
        shadow.remove_programs(&workspace);
        let remaining = |files: &[&'static str]| -> Vec<_> {
            files.iter().copied().filter(|file| shadow.build.join(file).exists()).collect()
        };
        assert_eq!((remaining(&programs), remaining(&others)), (Vec::new(), others.to_vec()));
        fs::remove_dir_all(folder).unwrap();
    }
}
