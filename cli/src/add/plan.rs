//! The plan: which files of a workspace change, and what remains to do by hand.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::edges::{Layers, layers};
use super::edits::apply;
use super::manifest::{self, Dependency};
use super::paths::{self, Libraries};
use super::spans;
use super::start::{self, Logs};
use crate::source::facts::Function;
use crate::source::libraries::{self, fits};
use crate::source::program::{Program, SourceFile};
use crate::zero::rewrite::syntax::parse;
use crate::zero::rewrite::{Edges, Role};
use crate::zero::rules::Rules;
use crate::zero::rules::edges::Act;
use crate::zero::shadow::manifest::Telemark;
use crate::zero::shadow::workspace::{Package, USES_TELEMARK};

/// The functions that start telemetry.
const STARTS: [&str; 3] = ["telemark::init", "telemark::auto", "telemark::builder"];
/// Crates that log in another way than `tracing`.
const LOGGERS: [&str; 6] = ["env_logger", "fern", "flexi_logger", "log4rs", "pretty_env_logger", "simple_logger"];

/// A file that changes.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    /// The path from the root of the workspace.
    pub(crate) shown: String,
    pub(crate) old: String,
    pub(crate) new: String,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) changes: Vec<Change>,
    pub(crate) notes: Vec<String>,
}

impl Plan {
    /// Plans the changes of a workspace.
    ///
    /// # Errors
    /// Returns the problems of manifests.
    pub(crate) fn new(program: &Program, telemark: &Telemark) -> Result<Plan, Vec<String>> {
        let mut planner = Planner {
            program,
            telemark,
            layers: layers(program, |package, library| {
                (program.rules.defaults.axum || library != "axum")
                    && is_open(&program.workspace.packages[package])
                    && program.workspace.packages[package].depends_on(library)
                    && fits(&program.lock, library)
            }),
            plan: Plan { changes: Vec::new(), notes: libraries::unfit(program) },
        };
        planner.plan.notes.append(&mut planner.layers.by_hand);
        let packages: BTreeSet<_> = program.files.iter().map(|file| file.package).collect();
        for package in packages {
            planner.package(package).map_err(|problem| vec![problem])?;
        }
        Ok(planner.plan)
    }
}

/// Returns true for a package that Telemark can be added to.
fn is_open(package: &Package) -> bool {
    package.left_alone.is_none_or(|reason| reason == USES_TELEMARK)
}

/// What is decided about the files of a package.
struct Chosen<'a> {
    rules: &'a Rules,
    edges: &'a Edges<'a>,
    libraries: &'a Libraries,
}

struct Planner<'a> {
    program: &'a Program,
    telemark: &'a Telemark,
    layers: Layers,
    plan: Plan,
}

impl Planner<'_> {
    fn package(&mut self, index: usize) -> Result<(), String> {
        let program = self.program;
        let package = &program.workspace.packages[index];
        if !is_open(package) {
            let reason = package.left_alone.unwrap_or_default();
            self.plan.notes.push(format!("{} is left alone: {reason}", package.name));
            return Ok(());
        }
        let uses_telemark = package.left_alone.is_some();
        let mut rules = program.rules.clone();
        // The authors have chosen functions already.
        rules.defaults.functions &= !uses_telemark;
        let libraries = self.libraries(index);
        let (mut edges, _) = package.edges(&rules, &program.lock);
        // The others have lasting forms of their own, or are rules of the user's about builds.
        edges
            .active
            .retain(|(_, edge)| edge.line.is_none() && matches!(&edge.act, Act::Call(_, around) if around.needs_span));
        let mut features = BTreeSet::new();
        let changes = self.plan.changes.len();
        for (file, of) in program.files.iter().enumerate().filter(|(_, file)| file.package == index) {
            self.file(file, of, &Chosen { rules: &rules, edges: &edges, libraries: &libraries }, &mut features);
        }
        if self.plan.changes.len() == changes {
            return Ok(());
        }
        let has_program = package.roots.iter().any(|root| root.role == Role::Binary && !root.is_example);
        if has_program && !uses_telemark {
            features.extend(self.features(package, &libraries));
        }
        let features: Vec<_> = features.iter().map(String::as_str).collect();
        self.manifest(package, &features, has_program)
    }

    /// Returns the libraries whose types can be Telemark's in a package.
    fn libraries(&mut self, index: usize) -> Libraries {
        let program = self.program;
        let package = &program.workspace.packages[index];
        let defaults = program.rules.defaults;
        let reqwest = defaults.reqwest && package.depends_on("reqwest") && fits(&program.lock, "reqwest");
        let is_known = defaults.sqlx && fits(&program.lock, "sqlx") && !self.has_tests_of_sqlx(index);
        let databases = ["sqlite", "postgres", "mysql"].into_iter();
        let sqlx = databases.filter(|database| is_known && package.enables("sqlx", database)).collect();
        Libraries { reqwest, sqlx }
    }

    /// Returns the features for the libraries that a package uses.
    fn features(&self, package: &Package, libraries: &Libraries) -> Vec<String> {
        let named = [("axum", "axum"), ("hyper-util", "hyper"), ("reqwest", "reqwest"), ("tonic", "tonic")];
        let used = |(name, _): &(&str, &str)| package.depends_on(name) && fits(&self.program.lock, name);
        let mut features: Vec<_> = named.into_iter().filter(used).map(|(_, feature)| feature.to_owned()).collect();
        features.extend(libraries.sqlx.iter().map(|database| format!("sqlx-{database}")));
        features
    }

    /// Returns true if tests of a package get their pool from sqlx itself, and says so.
    fn has_tests_of_sqlx(&mut self, package: usize) -> bool {
        let test = self.program.files.iter().find(|file| file.package == package && file.text.contains("#[sqlx::test"));
        if let Some(file) = test {
            self.plan.notes.push(format!(
                "{}: the pools of `#[sqlx::test]` are sqlx's own, so the types of this package stay; generic functions, such as those over \
                 `Executor`, take both",
                file.shown
            ));
        }
        test.is_some()
    }

    fn file(&mut self, index: usize, file: &SourceFile, chosen: &Chosen<'_>, features: &mut BTreeSet<String>) {
        let Ok((start, tree)) = parse(&file.text) else { return };
        let led = paths::led(&tree, &file.text, start, chosen.libraries);
        let start_edit = self.start(file, &tree, start, features);
        // Parses the file once more, after which offsets in this tree are of no use.
        let mut edits = match spans::edits(file, &tree, start, chosen.rules, chosen.edges) {
            Ok((edits, notes)) => {
                self.plan.notes.extend(notes);
                edits
            }
            Err(reason) => {
                self.plan.notes.push(format!("{} is left alone: {reason}", file.shown));
                return;
            }
        };
        edits.extend(start_edit);
        if led.reqwest {
            features.insert("reqwest".to_owned());
        }
        if led.sqlx {
            features.extend(chosen.libraries.sqlx.iter().map(|database| format!("sqlx-{database}")));
        }
        edits.extend(led.edits);
        let by_hand = led.by_hand.iter();
        self.plan.notes.extend(by_hand.map(|line| {
            format!("{}:{line}: take the types of pools from `telemark::sqlx`; a comment is in the way", file.shown)
        }));
        for edit in self.layers.edits.remove(&index).unwrap_or_default() {
            features.insert(if edit.text.contains("axum") { "axum" } else { "tonic" }.to_owned());
            edits.push(edit);
        }
        let new = apply(&file.text, edits);
        if new != file.text {
            self.plan.changes.push(Change {
                path: file.path.clone(),
                shown: file.shown.clone(),
                old: file.text.clone(),
                new,
            });
        }
    }

    /// Returns the edit that starts telemetry in the root of a program, unless code of the program or of a library does.
    fn start(
        &mut self,
        file: &SourceFile,
        tree: &syn::File,
        start: usize,
        features: &mut BTreeSet<String>,
    ) -> Option<super::edits::Edit> {
        if file.role != Role::Binary || file.is_example || !self.program.rules.defaults.main {
            return None;
        }
        let starts = self.mentions(file, |path| STARTS.contains(&path)).next().is_some();
        if starts {
            return None;
        }
        let logs = self.logs(file, tree, start);
        if logs == Logs::Tracing {
            features.extend(["tracing", "tracing-fmt"].map(str::to_owned));
        }
        start::edit(tree, &file.text, start, logs)
    }

    /// Returns the functions of a program, and of the libraries of its workspace, that mention a path.
    fn mentions(&self, file: &SourceFile, is_path: impl Fn(&str) -> bool) -> impl Iterator<Item = &Function> {
        let program = self.program;
        program.facts.functions.iter().filter(move |function| {
            let other = &program.files[function.file];
            let is_same = (other.package, &other.krate) == (file.package, &file.krate);
            let is_library = program
                .files
                .iter()
                .any(|root| (root.package, &root.krate, root.role) == (other.package, &other.krate, Role::Library));
            (is_same || is_library)
                && !function.in_test
                && !other.is_example
                && function.mentions.iter().any(|path| is_path(path))
        })
    }

    /// Decides whether Telemark's lines can be those of the program.
    fn logs(&mut self, file: &SourceFile, tree: &syn::File, start: usize) -> Logs {
        let package = &self.program.workspace.packages[file.package];
        let uses_tracing = package.depends_on("tracing") && self.program.lock.has_only("tracing", "0.1");
        if !uses_tracing || LOGGERS.iter().any(|logger| package.depends_on(logger)) {
            return Logs::Other;
        }
        let is_subscriber = |path: &str| path.starts_with("tracing_subscriber");
        let own: Vec<_> = self.mentions(file, is_subscriber).collect();
        let is_replaced = |function: &&Function| {
            function.is_main
                && function.mentions.iter().filter(|path| is_subscriber(path)).all(|path| start::is_replaced(path))
                && start::has_subscriber(tree, &file.text, start)
        };
        if own.iter().all(is_replaced) {
            return Logs::Tracing;
        }
        let places: Vec<_> = own
            .iter()
            .map(|function| format!("{}:{}", self.program.files[function.file].shown, function.line))
            .collect();
        for place in places {
            self.plan.notes.push(format!(
                "{place}: add `.with(telemark::tracing::layer())` to the subscriber, and the feature `tracing`, so that its spans and events \
                 are in the traces"
            ));
        }
        Logs::Other
    }

    fn manifest(&mut self, package: &Package, features: &[&str], has_defaults: bool) -> Result<(), String> {
        let program = self.program;
        let Some(shown) = program.workspace.relative(&package.manifest).map(|path| path.display().to_string()) else {
            return Err(format!("{} is outside of the folder of its workspace", package.manifest.display()));
        };
        let old = fs::read_to_string(&package.manifest).map_err(|error| format!("{shown}: {error}"))?;
        let root = fs::read_to_string(program.workspace.root.join("Cargo.toml")).unwrap_or_default();
        let is_inherited = manifest::is_inherited(&root);
        let dependency = Dependency { telemark: self.telemark, features, has_defaults, is_inherited };
        let new = manifest::edit(&old, &dependency).map_err(|error| format!("{shown}: {error}"))?;
        if new != old {
            self.plan.changes.push(Change { path: package.manifest.clone(), shown, old, new });
        }
        Ok(())
    }
}
