//! The files that belong to the workspace's authors: not those of dependencies, and not generated ones.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::facts::Facts;
use super::walk::{self, Place};
use crate::zero::modules::Modules;
use crate::zero::rewrite::syntax::parse;
use crate::zero::rewrite::{Role, is_generated};
use crate::zero::rules::Rules;
use crate::zero::shadow::lock::Lock;
use crate::zero::shadow::workspace::{Cargo, Workspace};

/// The workspace that a command reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) manifest: Option<PathBuf>,
    /// The packages to read, or all.
    pub(crate) packages: Vec<String>,
    pub(crate) is_offline: bool,
}

/// The source of a workspace.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) workspace: Workspace,
    pub(crate) lock: Lock,
    pub(crate) rules: Rules,
    pub(crate) files: Vec<SourceFile>,
    pub(crate) facts: Facts,
    /// The files that are left alone, with the reason.
    pub(crate) left_alone: Vec<(String, String)>,
}

/// A file of a crate.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    /// The path from the root of the workspace.
    pub(crate) shown: String,
    pub(crate) text: String,
    /// The index of its package.
    pub(crate) package: usize,
    pub(crate) krate: String,
    pub(crate) module: Vec<String>,
    pub(crate) role: Role,
    pub(crate) is_example: bool,
}

impl Program {
    /// Reads a workspace with the cargo of these variables.
    ///
    /// # Errors
    /// Returns the lines that say what is wrong.
    pub(crate) fn read(scope: &Scope, variables: &[(String, OsString)]) -> Result<Program, Vec<String>> {
        let program = variables.iter().find(|(name, _)| name == "CARGO").map(|(_, program)| program.clone());
        let cargo = Cargo { program: program.unwrap_or_else(|| "cargo".into()) };
        let mut arguments: Vec<OsString> = vec!["metadata".into(), "--format-version=1".into(), "--no-deps".into()];
        if let Some(manifest) = &scope.manifest {
            arguments.extend(["--manifest-path".into(), manifest.into()]);
        }
        arguments.extend(scope.is_offline.then(|| "--offline".into()));
        // Cargo has said what is wrong.
        let metadata = cargo.output(&arguments).map_err(|_| Vec::new())?;
        let workspace = Workspace::parse(&metadata)
            .ok_or_else(|| vec!["the output of `cargo metadata` cannot be read".to_owned()])?;
        for name in &scope.packages {
            if !workspace.packages.iter().any(|package| package.name == *name) {
                let names: Vec<_> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
                return Err(vec![format!(
                    "--package={name} is no package of this workspace: expected {}",
                    names.join(", ")
                )]);
            }
        }
        let lock = fs::read_to_string(workspace.root.join("Cargo.lock")).unwrap_or_default();
        if lock.is_empty() {
            return Err(vec![format!(
                "{} has no Cargo.lock, whose versions decide what Telemark instruments: run `cargo generate-lockfile`",
                workspace.root.display()
            )]);
        }
        let rules = Rules::read(&workspace.root)?;
        let mut program = Program {
            lock: Lock::parse(&lock),
            rules,
            files: Vec::new(),
            facts: Facts::default(),
            left_alone: Vec::new(),
            workspace,
        };
        program.add_files(&scope.packages);
        program.add_facts();
        Ok(program)
    }

    fn add_files(&mut self, selected: &[String]) {
        let ignored = Ignored::of(&self.workspace.root);
        let root = fs::canonicalize(&self.workspace.root).unwrap_or_else(|_| self.workspace.root.clone());
        let mut seen = HashSet::new();
        for (index, package) in self.workspace.packages.iter().enumerate() {
            if !selected.is_empty() && !selected.contains(&package.name) {
                continue;
            }
            if package.manifest.starts_with(&self.workspace.target) {
                continue;
            }
            for of_root in &package.roots {
                let modules = Modules::of_root(&of_root.file);
                for (file, problem) in modules.problems {
                    let shown = self.workspace.relative(&file).unwrap_or(&file).display().to_string();
                    self.left_alone.push((shown, problem));
                }
                for (path, module) in modules.files {
                    let Some(relative) = self.workspace.relative(&path) else { continue };
                    let is_inside = fs::canonicalize(&path).is_ok_and(|real| real.starts_with(&root));
                    if !is_inside || !seen.insert(path.clone()) {
                        continue;
                    }
                    let shown = relative.display().to_string();
                    if is_generated(&module.text) || ignored.contains(relative) {
                        self.left_alone.push((shown, "generated".to_owned()));
                        continue;
                    }
                    let role = of_root.role_of(&module);
                    let krate = of_root.krate.clone();
                    let (text, module) = (module.text, module.path);
                    self.files.push(SourceFile {
                        path,
                        shown,
                        text,
                        package: index,
                        krate,
                        module,
                        role,
                        is_example: of_root.is_example,
                    });
                }
            }
        }
    }

    fn add_facts(&mut self) {
        for (index, file) in self.files.iter().enumerate() {
            let Ok((start, tree)) = parse(&file.text) else { continue };
            let place = Place {
                file: index,
                text: &file.text,
                start,
                module: &file.module,
                is_test: file.role == Role::Test,
                is_program: file.role == Role::Binary,
            };
            walk::walk(&tree, &place, &mut self.facts);
        }
    }
}

/// The files and folders that git ignores, which a tool has made.
struct Ignored(Vec<PathBuf>);

impl Ignored {
    fn of(root: &Path) -> Ignored {
        let listed = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        // Without git, nothing is ignored.
        let listed = listed.map(|output| output.stdout).unwrap_or_default();
        let listed = String::from_utf8_lossy(&listed).into_owned();
        // A workspace may be in a folder that another repository ignores.
        let paths = listed.split('\0').filter(|path| !path.is_empty() && *path != "./");
        Ignored(paths.map(PathBuf::from).collect())
    }

    fn contains(&self, relative: &Path) -> bool {
        self.0.iter().any(|ignored| relative.starts_with(ignored))
    }
}
