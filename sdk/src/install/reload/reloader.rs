//! Reads, checks and applies a new version of the configuration file, and remembers what is in effect.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::Control;
use super::super::declarative::live::{Area, Sources, Version};
use super::differences::{Difference, Path, differences};
use super::outcome::{self, ConfigHealth, Reload};
use super::watch::Fingerprint;
use crate::config::{FileVariables, Item, Tree, schema};
use crate::diag::{self, Level, ReloadCounts};
use crate::error::{ConfigError, catch};
use crate::process::{Generation, unless_stuck};
use crate::runtime::OFF_IN_A_FORKED_CHILD;

const SETTING: &str = "reload";

/// What the reloader knows from the start of the program.
#[derive(Debug)]
pub(in crate::install) struct Start {
    pub(in crate::install) path: PathBuf,
    /// The file before it was read.
    pub(in crate::install) fingerprint: Fingerprint,
    pub(in crate::install) tree: Tree,
    pub(in crate::install) variables: FileVariables,
    pub(in crate::install) sources: Sources,
    /// The names of the settings that code has set.
    pub(in crate::install) set_in_code: Vec<&'static str>,
    /// True if nothing has been started, so that nothing can change.
    pub(in crate::install) is_disabled: bool,
}

/// Applies new versions of the file of one telemetry.
#[derive(Debug)]
pub(in crate::install) struct Reloader {
    start: Start,
    home: Generation,
    /// Set while the integrations are given what is in effect. No lock, because that calls code of the program.
    is_telling: AtomicBool,
    /// Set while a version is being read and applied. No lock, because that calls code of the program.
    is_busy: AtomicBool,
    counts: Arc<ReloadCounts>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The version that was used last.
    applied: Tree,
    /// What is in effect: that version, with the values of the start where it needs a restart.
    effective: Tree,
    /// The same for the settings that have the effect of a variable.
    variables: FileVariables,
    /// True if the integrations of the program follow this telemetry.
    is_installed: bool,
    /// The variables that have changed since the integrations were told last. `None` until something has to be told.
    untold: Option<BTreeMap<&'static str, Option<String>>>,
    /// The file that was looked at last, whatever came of it.
    seen: Fingerprint,
    problem: Option<String>,
    needs_restart: Vec<String>,
}

impl Reloader {
    pub(in crate::install) fn new(start: Start) -> Self {
        let state = State {
            applied: start.tree.clone(),
            effective: start.tree.clone(),
            variables: start.variables.clone(),
            is_installed: false,
            untold: None,
            seen: start.fingerprint.clone(),
            problem: None,
            needs_restart: Vec::new(),
        };
        Reloader {
            start,
            home: Generation::current(),
            is_telling: AtomicBool::new(false),
            is_busy: AtomicBool::new(false),
            counts: Arc::default(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.start.path
    }

    pub(in crate::install) fn counts(&self) -> Arc<ReloadCounts> {
        self.counts.clone()
    }

    /// Lets the integrations of the program follow the file, beginning with the version in effect.
    pub(in crate::install) fn install(&self, control: &Control) {
        self.with(|state| {
            state.is_installed = true;
            state.untold.get_or_insert_default();
        });
        self.tell(control);
    }

    /// Returns what is in effect.
    pub(in crate::install) fn effective(&self) -> Tree {
        self.with(|state| state.effective.clone()).unwrap_or_else(|| self.start.tree.clone())
    }

    pub(in crate::install) fn health(&self) -> ConfigHealth {
        let (applied, refused) = (self.counts.applied(), self.counts.refused());
        let (problem, needs_restart) =
            self.with(|state| (state.problem.clone(), state.needs_restart.clone())).unwrap_or_default();
        ConfigHealth { applied, refused, problem, needs_restart }
    }

    /// Returns true if the file differs from the version that was looked at last.
    pub(super) fn is_new(&self, fingerprint: &Fingerprint) -> bool {
        self.with(|state| state.seen != *fingerprint).unwrap_or(false)
    }

    /// Calls `look` with the state, unless this is a forked child whose parent was looking at it.
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> Option<T> {
        unless_stuck(self.state.try_lock(), || self.state.lock()).map(|mut state| look(&mut state))
    }

    /// Reads the file and applies what can change while the program runs. If the file cannot be used, everything stays as it was.
    /// With `expected`, does nothing if the file is another one.
    ///
    /// # Errors
    /// Returns an error if the file cannot be used, if it changes meanwhile, or if another reload is under way.
    pub(in crate::install) fn reload(
        &self,
        control: &Control,
        expected: Option<&Fingerprint>,
    ) -> Result<Reload, ConfigError> {
        if self.home.is_past() {
            return Err(ConfigError::state(SETTING, OFF_IN_A_FORKED_CHILD));
        }
        if control.handle.has_ended() {
            return Err(ConfigError::state(SETTING, "telemetry has been shut down"));
        }
        let Some(_turn) = Turn::take(&self.is_busy) else {
            return Err(ConfigError::state(SETTING, "another reload is under way"));
        };
        let (fingerprint, read) = self.read(expected)?;
        let result = read.and_then(|tree| self.apply(control, tree));
        match &result {
            Ok((reload, warnings)) => outcome::report(reload, warnings),
            Err(error) => {
                self.counts.refuse();
                outcome::report_refused(error);
            }
        }
        self.with(|state| {
            state.seen = fingerprint;
            state.problem = result.as_ref().err().map(ToString::to_string);
        });
        result.map(|(reload, _)| reload)
    }

    /// Reads a version that did not change while it was read.
    fn read(&self, expected: Option<&Fingerprint>) -> Result<(Fingerprint, Result<Tree, ConfigError>), ConfigError> {
        const ATTEMPTS: usize = 3;
        let Start { path, sources, .. } = &self.start;
        let mut before = Fingerprint::of(path);
        for _ in 0..ATTEMPTS {
            if expected.is_some_and(|expected| *expected != before) {
                break;
            }
            let read = sources.components.config_files.map(|read| catch(|| read(path, &sources.process)));
            let after = Fingerprint::of(path);
            if before == after {
                let panicked = || Err(ConfigError::state(SETTING, "the reader of the file panicked"));
                let missing = |remedy| Err(ConfigError::state(SETTING, format!("needs {remedy}, which reads files")));
                return Ok((after, read.map_or_else(missing, |read| read.unwrap_or_else(|_| panicked()))));
            }
            before = after;
        }
        Err(ConfigError::state(SETTING, "the file is being written"))
    }

    /// Applies a version. Calls code of the program.
    fn apply(&self, control: &Control, tree: Tree) -> Result<(Reload, Vec<ConfigError>), ConfigError> {
        let new = schema::completed(&tree);
        let (before, effective, mut variables) = self
            .with(|state| (state.applied.clone(), state.effective.clone(), state.variables.clone()))
            .ok_or_else(|| ConfigError::state(SETTING, OFF_IN_A_FORKED_CHILD))?;
        // Compared with what is in effect, because the version before may have had parts that need a restart: its processors may be others
        // than those that run, and a provider that it lacked still has the sampler of an earlier version.
        let changed = self.sorted(differences(&schema::completed(&effective), &new));
        let mut areas: Vec<_> = changed.applied.iter().map(|(area, _)| *area).collect();
        areas.dedup();
        let read = catch(|| self.start.sources.read(&tree, &areas));
        let panicked = |_| Err(ConfigError::state(SETTING, "a component of the file panicked when it was created"));
        let Version { changes, variables: of_file, warnings } = read.unwrap_or_else(panicked)?;
        let control = &control.of_file();
        for change in changes {
            if catch(|| change(control)).is_err() {
                diag::log(Level::Error, "reload", format_args!("a component panicked when it replaced another one"));
            }
        }
        let told = changes_of_integrations(control, &areas, &mut variables, &of_file);

        let of_code = self.sorted(differences(&schema::completed(&before), &new)).set_in_code;
        let needs_restart = outcome::shown(&changed.needs_restart.iter().collect::<Vec<_>>());
        let reload = Reload {
            applied: outcome::shown(&changed.applied.iter().map(|(_, path)| path).collect::<Vec<_>>()),
            needs_restart: needs_restart.clone(),
            set_in_code: outcome::shown(&of_code.iter().collect::<Vec<_>>()),
        };
        let effective = self.changed(&effective, &changed.applied, &new);
        self.with(|state| {
            (state.applied, state.effective, state.variables) = (tree, effective, variables);
            (state.needs_restart, state.problem) = (needs_restart, None);
            if !told.is_empty() {
                state.untold.get_or_insert_default().extend(told);
            }
        });
        self.tell(control);
        self.counts.apply();
        Ok((reload, warnings))
    }

    /// Returns what is in effect once these parts are those of `new`. What is as at the start has its origin of the start.
    fn changed(&self, effective: &Tree, applied: &[(Area, Path)], new: &Tree) -> Tree {
        let mut root = effective.root().clone();
        for (_, path) in applied {
            path.replace(&mut root, path.find(new.root()).cloned());
        }
        let now = schema::completed(&Tree::new(new.name(), root));
        let mut root = self.start.tree.root().clone();
        for Difference { path, .. } in differences(&schema::completed(&self.start.tree), &now) {
            path.replace(&mut root, path.find(now.root()).cloned().map(Item::changed));
        }
        Tree::new(new.name(), root)
    }

    /// Tells the integrations what has changed, once they follow this telemetry. If another thread is doing so, that one does the rest.
    fn tell(&self, control: &Control) {
        while self.with(|state| state.is_installed && state.untold.is_some()) == Some(true) {
            let Some(_turn) = Turn::take(&self.is_telling) else { return };
            let next = self.with(|state| Some((state.untold.take()?, state.variables.clone())));
            let Some((untold, variables)) = next.flatten() else { continue };
            // What code has changed later stays.
            let of_file = untold.iter().filter(|(name, _)| !control.handle.changes.has(name));
            let changes: Vec<_> = of_file.map(|(name, value)| (*name, value.as_deref())).collect();
            if !changes.is_empty() {
                control.change_captures(&changes);
            }
            self.start.sources.process.with_file(variables).install_file();
        }
    }

    /// Sorts differences by what they need.
    fn sorted(&self, differences: Vec<Difference>) -> Sorted {
        let live = self.start.sources.components.live_settings.map_or(&[][..], |live| live.names);
        let mut sorted = Sorted::default();
        for difference in differences {
            let area = Area::of(&difference, live).filter(|_| !self.start.is_disabled);
            match area {
                None => sorted.needs_restart.push(difference.path),
                Some(area) if area.in_code().is_some_and(|name| self.start.set_in_code.contains(&name)) => {
                    sorted.set_in_code.push(difference.path);
                }
                Some(area) => sorted.applied.push((area, difference.path)),
            }
        }
        sorted
    }
}

/// Brings the variables of integrations up to date, and returns those that the integrations have to be told.
fn changes_of_integrations(
    control: &Control,
    areas: &[Area],
    variables: &mut FileVariables,
    of_file: &FileVariables,
) -> BTreeMap<&'static str, Option<String>> {
    let mut changes = BTreeMap::new();
    for area in areas {
        let Area::Integration(name) = *area else { continue };
        match of_file.get(name) {
            Some(value) => variables.insert(name, value.clone()),
            None => variables.remove(name),
        };
        control.forget(name);
        changes.insert(name, of_file.get(name).cloned());
    }
    changes
}

#[derive(Default)]
struct Sorted {
    applied: Vec<(Area, Path)>,
    needs_restart: Vec<Path>,
    set_in_code: Vec<Path>,
}

/// The only reload at a time, until this is dropped.
struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    fn take(is_busy: &'a AtomicBool) -> Option<Self> {
        (!is_busy.swap(true, Ordering::Acquire)).then_some(Turn(is_busy))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
