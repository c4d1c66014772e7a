//! The user's workspace, as cargo describes it: packages, targets and dependencies.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::lock::Lock;
use crate::zero::rewrite::{Edges, Role};

/// The versions of the libraries whose edges Telemark instruments.
pub(crate) const AXUM: &str = "0.8.";
pub(crate) const REQWEST: &str = "0.13.";
pub(crate) const SQLX: &str = "0.9.";

/// A workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    /// The roots of the crates that may be instrumented.
    pub(crate) roots: Vec<Root>,
    /// The reason for which the package is left alone.
    pub(crate) left_alone: Option<&'static str>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) file: PathBuf,
    pub(crate) role: Role,
    /// The name of the crate, with which the paths of its functions begin.
    pub(crate) krate: String,
    pub(crate) is_example: bool,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    features: Vec<String>,
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
        Some(Workspace { root: path("workspace_root")?, target: path("target_directory")?, packages })
    }

    /// Returns the path from the root of the workspace, if the file is inside.
    pub(crate) fn relative<'a>(&self, file: &'a Path) -> Option<&'a Path> {
        file.strip_prefix(&self.root).ok().filter(|_| !file.starts_with(&self.target))
    }
}

impl Package {
    fn parse(package: &Value) -> Option<Package> {
        let text = |key: &str| Some(package.get(key)?.as_str()?.to_owned());
        let name = text("name")?;
        let targets: Vec<_> = package.get("targets")?.as_array()?.iter().filter_map(Target::parse).collect();
        let dependencies: Vec<_> =
            package.get("dependencies")?.as_array()?.iter().filter_map(Dependency::parse).collect();
        let left_alone = if targets.iter().any(|target| target.kinds.iter().any(|kind| kind == "proc-macro")) {
            Some("a proc-macro crate")
        } else if dependencies.iter().any(|dependency| dependency.name == "telemark") || name.starts_with("telemark") {
            Some("it uses Telemark itself")
        } else if targets.iter().any(|target| target.edition == "2015") {
            Some("edition 2015")
        } else {
            None
        };
        let roots = targets.into_iter().filter_map(Target::root).collect();
        Some(Package { name, manifest: PathBuf::from(text("manifest_path")?), roots, left_alone, dependencies })
    }

    /// Returns the edges of libraries that the package itself uses, in versions that fit.
    pub(crate) fn edges(&self, lock: &Lock) -> Edges {
        let uses = |name: &str, version| self.dependency(name).filter(|_| lock.has_only(name, version));
        let databases = [("sqlite", "sqlite"), ("postgres", "postgres"), ("mysql", "mysql")];
        let sqlx = uses("sqlx", SQLX).map_or(Vec::new(), |sqlx| {
            let has = |prefix: &str| sqlx.features.iter().any(|feature| feature.starts_with(prefix));
            databases.into_iter().filter(|(prefix, _)| has(prefix)).map(|(_, name)| name).collect()
        });
        Edges { axum: uses("axum", AXUM).is_some(), reqwest: uses("reqwest", REQWEST).is_some(), sqlx }
    }

    /// Returns the libraries whose edges Telemark knows, in versions that do not fit.
    pub(crate) fn unfit(&self, lock: &Lock) -> Vec<String> {
        let known = [("axum", AXUM), ("reqwest", REQWEST), ("sqlx", SQLX)];
        let unfit =
            known.iter().filter(|(name, version)| self.dependency(name).is_some() && !lock.has_only(name, version));
        unfit
            .map(|(name, version)| {
                let versions = lock.versions(name).join(", ");
                format!("{name} {versions} is not instrumented: Telemark knows {name} {version}*")
            })
            .collect()
    }

    /// Returns true if the program itself uses this package under its own name.
    pub(crate) fn depends_on(&self, name: &str) -> bool {
        self.dependency(name).is_some()
    }

    fn dependency(&self, name: &str) -> Option<&Dependency> {
        self.dependencies.iter().find(|dependency| dependency.name == name)
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
    /// Parses a dependency of the program itself, under its own name.
    fn parse(dependency: &Value) -> Option<Dependency> {
        let is_normal = dependency.get("kind").is_none_or(Value::is_null);
        let is_renamed = dependency.get("rename").is_some_and(|rename| !rename.is_null());
        let features = dependency.get("features").and_then(Value::as_array).into_iter().flatten();
        let features = features.filter_map(|feature| Some(feature.as_str()?.to_owned())).collect();
        let name = dependency.get("name")?.as_str()?.to_owned();
        (is_normal && !is_renamed).then_some(Dependency { name, features })
    }
}
