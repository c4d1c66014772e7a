//! Configurators, which give each tracer, meter and logger its config, and the configs in use.

use std::cell::Cell;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use opentelemetry::InstrumentationScope;

use super::switches::{Flags, Switches};
use crate::error::{Contained, catch};
use crate::process::unless_stuck;
use crate::sync::unpoisoned;
use crate::text::matches_pattern;

/// The config of a tracer, a meter or a logger. The trait is sealed, because the specification defines these three.
pub trait ScopeConfig: packed::Packed {}

impl<C: packed::Packed> ScopeConfig for C {}

/// Keeps the trait sealed.
pub(crate) mod packed {
    /// A config that fits into 32 bits.
    pub trait Packed: Copy + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static {
        fn pack(self) -> u32;
        fn unpack(bits: u32) -> Self;
    }
}

/// Gives each tracer, meter or logger a config, depending on its scope. The default gives every scope the default config.
///
/// ```
/// use opentelemetry::logs::Severity;
/// use telemark_sdk::control::Configurator;
/// use telemark_sdk::logs::LoggerConfig;
/// use telemark_sdk::trace::TracerConfig;
///
/// // Only the spans of `shop` and of the crates below it.
/// let tracers = Configurator::new(TracerConfig::new().with_enabled(false))
///     .with_scopes("shop", TracerConfig::new())
///     .with_scopes("shop::*", TracerConfig::new());
/// // Decided by a function.
/// let loggers = Configurator::from_fn(|scope| match scope.version() {
///     None => LoggerConfig::new().with_minimum_severity(Severity::Warn),
///     Some(_) => LoggerConfig::new(),
/// });
/// # let _ = (tracers, loggers);
/// ```
///
/// spec: trace/sdk.md#tracerconfigurator, metrics/sdk.md#meterconfigurator, logs/sdk.md#loggerconfigurator
#[derive(Clone)]
pub struct Configurator<C> {
    rules: Vec<(String, C)>,
    otherwise: Otherwise<C>,
}

/// A function of the program.
type ConfigureFn<C> = dyn Fn(&InstrumentationScope) -> C + Send + Sync;

/// The config of scopes that match no rule.
#[derive(Clone)]
enum Otherwise<C> {
    Config(C),
    Function(Arc<Contained<Box<ConfigureFn<C>>>>),
}

impl<C: ScopeConfig> Configurator<C> {
    /// Creates a configurator that gives every scope this config.
    pub fn new(config: C) -> Self {
        Configurator { rules: Vec::new(), otherwise: Otherwise::Config(config) }
    }

    /// Creates a configurator that asks a function, once for each tracer, logger, instrument and call site, and again after each change,
    /// on the thread that uses it, possibly on several threads at the same time. So keep a tracer or logger rather than getting a new one
    /// for each use. If the function panics, the scope gets the default config.
    pub fn from_fn(configure: impl Fn(&InstrumentationScope) -> C + Send + Sync + 'static) -> Self {
        Configurator {
            rules: Vec::new(),
            otherwise: Otherwise::Function(Arc::new(Contained::new(Box::new(configure)))),
        }
    }

    /// Gives the scopes whose name matches `pattern` this config, unless an earlier pattern matches them. In a pattern, `*` stands for
    /// any sequence of characters and `?` for a single one. The name of a scope that `#[traced]` creates is that of the package.
    pub fn with_scopes(mut self, pattern: impl Into<String>, config: C) -> Self {
        self.rules.push((pattern.into(), config));
        self
    }

    /// Returns the config of a scope. Panics if a function of the program does.
    pub fn config_of(&self, scope: &InstrumentationScope) -> C {
        let rule = self.rules.iter().find(|(pattern, _)| matches_pattern(pattern, scope.name(), |a, b| a == b));
        match (rule, &self.otherwise) {
            (Some((_, config)), _) | (None, Otherwise::Config(config)) => *config,
            (None, Otherwise::Function(configure)) => configure(scope),
        }
    }

    /// Returns true if every scope is known to have the default config.
    pub(crate) fn is_default(&self) -> bool {
        let is_default = |config: &C| *config == C::default();
        self.rules.iter().all(|(_, config)| is_default(config))
            && matches!(&self.otherwise, Otherwise::Config(config) if is_default(config))
    }
}

impl<C: ScopeConfig> Default for Configurator<C> {
    fn default() -> Self {
        Configurator::new(C::default())
    }
}

impl<C: Debug> Debug for Configurator<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        map.entries(self.rules.iter().map(|(pattern, config)| (pattern, config)));
        match &self.otherwise {
            Otherwise::Config(config) => map.entry(&"otherwise", config),
            Otherwise::Function(_) => map.entry(&"otherwise", &"a function"),
        };
        map.finish()
    }
}

/// The number of a configurator for which every scope has the default config.
const DEFAULT: u32 = 0;

/// The configurator of a provider, which may be replaced. Each scope keeps its config in a [`ConfigOf`], so that a use costs two
/// relaxed loads, or one if every scope has the default config.
#[derive(Debug)]
pub(crate) struct Configs<C> {
    /// The number of the configurator, which no other configurator of the process has, except for [`DEFAULT`].
    version: AtomicU32,
    current: RwLock<Arc<Configurator<C>>>,
}

/// The config of a scope as last seen, with the number of its configurator.
#[derive(Debug)]
pub(crate) struct ConfigOf<C>(AtomicU64, PhantomData<C>);

impl<C> ConfigOf<C> {
    pub(crate) const fn new() -> Self {
        ConfigOf(AtomicU64::new(0), PhantomData)
    }
}

impl<C> Clone for ConfigOf<C> {
    fn clone(&self) -> Self {
        ConfigOf(AtomicU64::new(self.0.load(Ordering::Relaxed)), PhantomData)
    }
}

thread_local! {
    /// True while this thread calls a function of the program.
    static IS_ASKING: Cell<bool> = const { Cell::new(false) };
}

impl<C: ScopeConfig> Configs<C> {
    pub(crate) fn new(configurator: Configurator<C>) -> Self {
        let version = version_of(&configurator);
        Configs { version: AtomicU32::new(version), current: RwLock::new(Arc::new(configurator)) }
    }

    /// Replaces the configurator. Returns the one before, which has to be [disposed of](Replaced::dispose) without a lock.
    pub(crate) fn replace(&self, configurator: Configurator<C>) -> Replaced<C> {
        let (version, configurator) = (version_of(&configurator), Arc::new(configurator));
        let mut current = unpoisoned(self.current.write());
        self.version.store(version, Ordering::Relaxed);
        Replaced(std::mem::replace(&mut *current, configurator))
    }

    /// Like [`Self::replace`], for a provider that looks at the configs only while `flag` is set. Changes must not run side by side.
    pub(crate) fn replace_behind(
        &self,
        switches: &Switches,
        flag: Flags,
        configurator: Configurator<C>,
    ) -> Replaced<C> {
        switches.set_flags(flag, flag);
        let before = self.replace(configurator);
        if self.are_default() {
            switches.set_flags(flag, Flags(0));
        }
        before
    }

    /// Returns true if every scope has the default config.
    #[inline(always)]
    pub(crate) fn are_default(&self) -> bool {
        self.version.load(Ordering::Relaxed) == DEFAULT
    }

    /// Returns the config of `scope`, which is kept in `kept`. May call a function of the program.
    #[inline]
    pub(crate) fn get(&self, kept: &ConfigOf<C>, scope: &InstrumentationScope) -> C {
        let version = self.version.load(Ordering::Relaxed);
        if version == DEFAULT {
            return C::default();
        }
        let seen = kept.0.load(Ordering::Relaxed);
        if seen >> 32 == u64::from(version) { C::unpack(seen as u32) } else { self.ask(kept, scope) }
    }

    #[cold]
    fn ask(&self, kept: &ConfigOf<C>, scope: &InstrumentationScope) -> C {
        let current = unless_stuck(self.current.try_read(), || self.current.read());
        let look = current.map(|current| (self.version.load(Ordering::Relaxed), (*current).clone()));
        let Some((version, configurator)) = look else { return C::default() };
        // A function that uses the scope about which it is asked would be called forever.
        if IS_ASKING.replace(true) {
            return C::default();
        }
        let config = catch(|| configurator.config_of(scope)).unwrap_or_else(|_| {
            crate::__warn!(
                "configurator",
                "a configurator panicked; the scope {:?} gets the default config",
                scope.name()
            );
            C::default()
        });
        Replaced(configurator).dispose();
        IS_ASKING.set(false);
        kept.0.store(u64::from(version) << 32 | u64::from(config.pack()), Ordering::Relaxed);
        config
    }
}

/// A configurator, which may be replaced, with what may be the last reference to a function of the program.
#[must_use = "the destructor of a function of the program may panic"]
pub(crate) struct Replaced<C>(Arc<Configurator<C>>);

impl<C> Replaced<C> {
    pub(crate) fn dispose(self) {
        let Replaced(configurator) = self;
        if catch(|| drop(configurator)).is_err() {
            crate::__warn!("configurator", "a configurator panicked when it was dropped");
        }
    }
}

fn version_of<C: ScopeConfig>(configurator: &Configurator<C>) -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(DEFAULT);
    match configurator.is_default() {
        true => DEFAULT,
        false => LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1),
    }
}
