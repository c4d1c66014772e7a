//! The user's workspace, as cargo describes it: packages, targets and dependencies.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::copies::Copied;
use super::lock::{Lock, begins};
use crate::zero::modules::Module;
use crate::zero::rewrite::{Edges, Role};
use crate::zero::rules::Rules;
use crate::zero::rules::edges::Edge;

/// The reason for which a program with telemetry of its own is left alone.
pub(crate) const USES_TELEMARK: &str = "it uses Telemark itself";

/// A workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
    /// The dependencies whose copies are instrumented, and notes about those that are not.
    pub(crate) copies: Vec<Copied>,
    pub(crate) notes: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest: PathBuf,
    /// The roots of the crates that may be instrumented.
    pub(crate) roots: Vec<Root>,
    /// The reason for which the package is left alone.
    pub(crate) left_alone: Option<&'static str>,
    dependencies: Vec<Dependency>,
    /// The names of all packages on which it depends, also under another name, for tests, for its build script, or on some targets.
    uses: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) file: PathBuf,
    pub(crate) role: Role,
    /// The name of the crate, with which the paths of its functions begin.
    pub(crate) krate: String,
    pub(crate) is_example: bool,
}

impl Root {
    /// Returns the role of one of the crate's files.
    pub(crate) fn role_of(&self, module: &Module) -> Role {
        match (module.is_test || self.role == Role::Test, module.path.is_empty()) {
            (true, _) => Role::Test,
            (false, true) => self.role,
            (false, false) => Role::Module,
        }
    }
}

#[derive(Debug)]
struct Dependency {
    name: String,
    features: Vec<String>,
    /// The condition of `cfg` under which the package has it; `None` if it always does.
    condition: Option<String>,
}

/// The cargo that runs this command, in the user's folder and with the user's variables.
#[derive(Clone, Debug)]
pub(crate) struct Cargo {
    pub(crate) program: OsString,
}

impl Cargo {
    pub(crate) fn command(&self) -> Command {
        Command::new(&self.program)
    }

    /// Runs cargo and returns what it prints; its messages go to standard error.
    ///
    /// # Errors
    /// Returns cargo's exit status.
    pub(crate) fn output(&self, arguments: &[OsString]) -> Result<Vec<u8>, i32> {
        let output = self.command().args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        match output {
            Ok(output) if output.status.success() => Ok(output.stdout),
            Ok(output) => Err(output.status.code().unwrap_or(101)),
            Err(_) => Err(101),
        }
    }
}

impl Workspace {
    /// Parses the output of `cargo metadata --no-deps`.
    pub(crate) fn parse(metadata: &[u8]) -> Option<Workspace> {
        let metadata: Value = serde_json::from_slice(metadata).ok()?;
        let path = |key: &str| Some(PathBuf::from(metadata.get(key)?.as_str()?));
        let packages = metadata.get("packages")?.as_array()?.iter().filter_map(Package::parse).collect();
        let (root, target) = (path("workspace_root")?, path("target_directory")?);
        Some(Workspace { root, target, packages, copies: Vec::new(), notes: Vec::new() })
    }

    /// Returns the names of a member and of the members on which it depends in any way, directly or not; none if there is no such member.
    pub(crate) fn with_dependencies(&self, name: &str) -> Vec<String> {
        let mut found: Vec<_> = self.packages.iter().filter(|package| package.name == name).collect();
        let mut next = 0;
        while let Some(package) = found.get(next) {
            let is_new = |other: &&Package| {
                package.uses.contains(&other.name) && !found.iter().any(|known| known.name == other.name)
            };
            let new: Vec<_> = self.packages.iter().filter(is_new).collect();
            found.extend(new);
            next += 1;
        }
        found.into_iter().map(|package| package.name.clone()).collect()
    }

    /// Returns the path from the root of the workspace, if the file is inside.
    pub(crate) fn relative<'a>(&self, file: &'a Path) -> Option<&'a Path> {
        // A workspace may be inside of its target folder.
        let is_generated = file.starts_with(&self.target) && !self.root.starts_with(&self.target);
        file.strip_prefix(&self.root).ok().filter(|_| !is_generated)
    }
}

impl Package {
    pub(super) fn parse(package: &Value) -> Option<Package> {
        let text = |key: &str| Some(package.get(key)?.as_str()?.to_owned());
        let name = text("name")?;
        let targets: Vec<_> = package.get("targets")?.as_array()?.iter().filter_map(Target::parse).collect();
        let features = package.get("features");
        let given = package.get("dependencies")?.as_array()?;
        let dependencies: Vec<_> = given.iter().filter_map(|one| Dependency::parse(one, features)).collect();
        let name_of = |dependency: &Value| Some(dependency.get("name")?.as_str()?.to_owned());
        let uses: Vec<_> = given.iter().filter_map(name_of).collect();
        let is_of_program = |dependency: &&Value| dependency.get("kind").is_none_or(Value::is_null);
        let mut of_program = given.iter().filter(is_of_program).filter_map(name_of);
        let left_alone = if targets.iter().any(|target| target.kinds.iter().any(|kind| kind == "proc-macro")) {
            Some("a proc-macro crate")
        } else if of_program.any(|dependency| dependency == "telemark") || name.starts_with("telemark") {
            Some(USES_TELEMARK)
        } else if targets.iter().any(|target| target.edition == "2015") {
            Some("edition 2015")
        } else {
            None
        };
        let roots = targets.into_iter().filter_map(Target::root).collect();
        let (version, manifest) = (text("version")?, PathBuf::from(text("manifest_path")?));
        Some(Package { name, version, manifest, roots, left_alone, dependencies, uses })
    }

    /// Returns the rules about calls and paths that the package can have, and notes about those that it cannot.
    pub(crate) fn edges<'r>(&self, rules: &'r Rules, lock: &Lock) -> (Edges<'r>, BTreeSet<String>) {
        let (mut edges, mut notes) = (Edges::default(), BTreeSet::new());
        for (index, edge) in rules.edges.iter().enumerate() {
            if let Some(krate) = edge.replaced() {
                let has = |dependency: &Dependency, enabled: &str| {
                    dependency.features.iter().any(|feature| feature.starts_with(enabled))
                };
                let of_crate = self.dependencies(krate);
                let of_crate: Vec<_> = of_crate
                    .filter(|dependency| edge.enabled.is_none_or(|enabled| has(dependency, enabled)))
                    .map(|dependency| dependency.condition.as_deref())
                    .collect();
                if of_crate.is_empty() {
                    continue;
                }
                if let Some(conditions) = of_crate.into_iter().collect::<Option<Vec<_>>>() {
                    edges.conditions.insert(krate.to_owned(), format!("any({})", conditions.join(", ")));
                }
            }
            match self.unmet(edge, lock) {
                Some(note) => notes.extend(note),
                None => edges.active.push((index, edge)),
            }
        }
        (edges, notes)
    }

    /// Returns a need of an edge that is not met, as a note if it is of interest.
    fn unmet(&self, edge: &Edge, lock: &Lock) -> Option<Option<String>> {
        edge.needs.iter().find_map(|(name, needed)| {
            let versions = lock.used((&self.name, &self.version), name);
            if !versions.is_empty() && versions.iter().all(|version| begins(version, needed)) {
                return None;
            }
            let has = if versions.is_empty() { "no version".to_owned() } else { versions.join(", ") };
            Some(match edge.line {
                Some(line) => Some(format!(
                    "the rule in line {line} of telemark.toml needs {name} {needed}: Cargo.lock has {has}"
                )),
                None => self.depends_on(name).then(|| {
                    format!("{name} is not instrumented: Telemark knows {name} {needed}.*, and Cargo.lock has {has}")
                }),
            })
        })
    }

    /// Returns true if the program itself uses this package under its own name.
    pub(crate) fn depends_on(&self, name: &str) -> bool {
        self.dependencies(name).next().is_some()
    }

    /// Returns true if the program enables a feature that begins with this text on a package.
    pub(crate) fn enables(&self, name: &str, feature: &str) -> bool {
        let mut features = self.dependencies(name).flat_map(|dependency| &dependency.features);
        features.any(|enabled| enabled.starts_with(feature))
    }

    fn dependencies(&self, name: &str) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(move |dependency| dependency.name.replace('-', "_") == name.replace('-', "_"))
    }
}

#[derive(Debug)]
struct Target {
    name: String,
    kinds: Vec<String>,
    file: PathBuf,
    edition: String,
}

impl Target {
    fn parse(target: &Value) -> Option<Target> {
        let text = |key: &str| Some(target.get(key)?.as_str()?.to_owned());
        let kinds = target.get("kind")?.as_array()?.iter().filter_map(|kind| Some(kind.as_str()?.to_owned()));
        Some(Target {
            name: text("name")?,
            kinds: kinds.collect(),
            file: text("src_path")?.into(),
            edition: text("edition")?,
        })
    }

    /// Returns the root of a crate; build scripts are left alone.
    fn root(self) -> Option<Root> {
        let role = match self.kinds.iter().map(String::as_str).find_map(|kind| match kind {
            "bin" | "example" => Some(Role::Binary),
            "lib" | "rlib" | "dylib" | "cdylib" | "staticlib" => Some(Role::Library),
            "test" | "bench" => Some(Role::Test),
            _ => None,
        })? {
            // An example may be a library.
            Role::Binary if self.kinds.iter().any(|kind| kind.ends_with("lib")) => Role::Library,
            role => role,
        };
        let is_example = self.kinds.iter().any(|kind| kind == "example");
        Some(Root { file: self.file, role, krate: self.name.replace('-', "_"), is_example })
    }
}

impl Dependency {
    /// Parses a dependency of the program itself, under its own name. `of_package` are the features of the package.
    fn parse(dependency: &Value, of_package: Option<&Value>) -> Option<Dependency> {
        let is_normal = dependency.get("kind").is_none_or(Value::is_null);
        let is_renamed = dependency.get("rename").is_some_and(|rename| !rename.is_null());
        let features = dependency.get("features").and_then(Value::as_array).into_iter().flatten();
        let features = features.filter_map(|feature| Some(feature.as_str()?.to_owned())).collect();
        let name = dependency.get("name")?.as_str()?.to_owned();
        let mut conditions = Vec::new();
        if let Some(target) = dependency.get("target").and_then(Value::as_str) {
            // The name of a target is no condition.
            conditions.push(target.strip_prefix("cfg(")?.strip_suffix(')')?.to_owned());
        }
        if dependency.get("optional").is_some_and(|optional| optional == true) {
            conditions.push(enabling(of_package, &name));
        }
        let condition = (!conditions.is_empty()).then(|| format!("all({})", conditions.join(", ")));
        (is_normal && !is_renamed).then_some(Dependency { name, features, condition })
    }
}

/// Returns the condition of the features that enable an optional dependency.
fn enabling(features: Option<&Value>, dependency: &str) -> String {
    let enables = |value: &Value| {
        let value = value.as_str().unwrap_or_default();
        let value = value.strip_prefix("dep:").unwrap_or(value);
        value.split('/').next() == Some(dependency)
    };
    let features = features.and_then(Value::as_object).into_iter().flatten();
    let enabling = features.filter(|(_, values)| values.as_array().is_some_and(|values| values.iter().any(enables)));
    let enabling: Vec<_> = enabling.map(|(feature, _)| format!("feature = {feature:?}")).collect();
    format!("any({})", enabling.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"workspace_root": "/ws", "target_directory": "/ws/target", "packages": [{"name": "shop", "version": "1.0.0",
        "manifest_path": "/ws/Cargo.toml", "features": {"client": ["dep:reqwest"], "reqwest": ["dep:reqwest"], "tls": ["reqwest/tls"],
        "weak": ["reqwest?/x"], "other": []}, "targets": [{"name": "shop", "kind": ["lib"], "src_path": "/ws/src/lib.rs", "edition": "2021"}],
        "dependencies": [
            {"name": "axum", "kind": null, "features": []},
            {"name": "reqwest", "kind": null, "features": [], "optional": true},
            {"name": "dead-pool", "kind": null, "features": [], "target": "cfg(unix)"},
            {"name": "sqlx", "kind": null, "features": ["sqlite-bundled"]},
            {"name": "on-target", "kind": null, "features": [], "target": "x86_64-pc-windows-msvc"},
            {"name": "renamed", "kind": null, "features": [], "rename": "other"},
            {"name": "of-tests", "kind": "dev", "features": []}
        ]}]}"#;

    fn lock(versions: &[(&str, &str)]) -> Lock {
        let package =
            |(name, version): &(&str, &str)| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        Lock::parse(&versions.iter().map(package).collect::<String>())
    }

    #[test]
    fn edges_need_their_crates_in_the_right_versions() {
        let replace = |krate: &str, more: &str| format!("[[rule]]\nreplace = '{krate}::A'\nwith = 'x::A'\n{more}\n");
        let rules = [
            replace("dead_pool", ""),
            replace("on_target", ""),
            replace("other", ""),
            replace("of_tests", ""),
            "[[rule]]\ncall = 'a::b'\nwrap = 'c::d'\nneeds = { tokio = '1.40' }".to_owned(),
        ];
        let rules = Rules::parse(&rules.concat()).unwrap();
        let workspace = Workspace::parse(METADATA.as_bytes()).unwrap();
        let check = |versions: &[(&str, &str)], active: &[&str], notes: &[&str]| {
            let (edges, unmet) = workspace.packages[0].edges(&rules, &lock(versions));
            let shown = |(index, edge): &(usize, &Edge)| edge.replaced().map_or(rules.edge(*index), str::to_owned);
            assert_eq!(edges.active.iter().map(shown).collect::<Vec<_>>(), active);
            assert_eq!(unmet.into_iter().collect::<Vec<_>>(), notes);
            edges.conditions
        };
        let versions = [("axum", "0.8.4"), ("reqwest", "0.13.1"), ("sqlx", "0.9.0"), ("tokio", "1.40.0")];
        let wrap = "c::d around the call (the rule in line 17 of telemark.toml)";
        let (axum, spawn) = ("a span for each request of axum::serve", "the context for a spawned task");
        let conditions = check(&versions, &["dead_pool", wrap, axum, spawn, "reqwest", "sqlx"], &[]);
        let expected = [
            ("dead_pool", "any(all(unix))"),
            ("reqwest", "any(all(any(feature = \"client\", feature = \"reqwest\", feature = \"tls\")))"),
        ];
        let expected = expected.map(|(krate, condition)| (krate.to_owned(), condition.to_owned()));
        assert_eq!(conditions.into_iter().collect::<Vec<_>>(), expected);
        let versions = [("axum", "0.7.1"), ("axum", "0.8.1"), ("reqwest", "0.13.1"), ("tokio", "1.4.0")];
        let notes = [
            "axum is not instrumented: Telemark knows axum 0.8.*, and Cargo.lock has 0.7.1, 0.8.1",
            "sqlx is not instrumented: Telemark knows sqlx 0.9.*, and Cargo.lock has no version",
            "the rule in line 17 of telemark.toml needs tokio 1.40: Cargo.lock has 1.4.0",
        ];
        check(&versions, &["dead_pool", spawn, "reqwest"], &notes);
    }
}
