//! The meter provider used by `#[traced(metrics)]` and by metrics in statics: the installed provider, or the
//! provider that a test put in its context.
//!
//! If there is no provider, the check costs one relaxed load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use opentelemetry::Context;

use crate::diag;
use crate::metrics::SdkMeterProvider;
use crate::runtime::{OFF_IN_A_FORKED_CHILD, is_background};

/// Number of providers: the installed provider, plus those in contexts.
static PROVIDERS: AtomicUsize = AtomicUsize::new(0);

static INSTALLED: OnceLock<SdkMeterProvider> = OnceLock::new();

/// Returns true if a provider may exist.
#[inline]
pub fn is_installed() -> bool {
    PROVIDERS.load(Ordering::Relaxed) != 0
}

/// A provider found by [`find`].
pub(crate) enum Found {
    /// The installed provider, which lives as long as the program.
    Installed(&'static SdkMeterProvider),
    /// A provider that a test put in its context.
    InContext(SdkMeterProvider),
}

/// Returns the installed provider if no context can hold another provider.
#[inline]
pub(crate) fn only_installed() -> Option<&'static SdkMeterProvider> {
    (PROVIDERS.load(Ordering::Relaxed) == 1).then(|| INSTALLED.get()).flatten()
}

/// Returns the provider for measurements made in `context`.
#[inline]
pub(crate) fn find(context: &Context) -> Option<Found> {
    match only_installed() {
        Some(only) => Some(Found::Installed(only)),
        None if is_installed() => match context.get::<Scoped>() {
            Some(scoped) => Some(Found::InContext(scoped.0.clone())),
            None => INSTALLED.get().filter(|_| !has_ended()).map(Found::Installed),
        },
        None => None,
    }
}

/// Returns the provider that a test put in `context`.
pub fn in_context(context: &Context) -> Option<SdkMeterProvider> {
    if is_installed() { context.get::<Scoped>().map(|scoped| scoped.0.clone()) } else { None }
}

/// Returns the provider that a test put in the current context.
pub fn in_current_context() -> Option<SdkMeterProvider> {
    if !is_installed() || only_installed().is_some() { None } else { crate::context::look(in_context).flatten() }
}

/// Returns the provider for measurements made in the current context: that of a test, or the installed one.
pub fn provider() -> Option<SdkMeterProvider> {
    crate::context::look(find).flatten().map(|found| match found {
        Found::Installed(provider) => provider.clone(),
        Found::InContext(provider) => provider,
    })
}

/// Installs `provider` for the whole program, unless another provider is already installed. Ignores a provider without
/// readers, because it would record nothing.
pub(crate) fn install(provider: SdkMeterProvider) {
    if provider.enabled() && INSTALLED.set(provider).is_ok() {
        PROVIDERS.fetch_add(1, Ordering::Relaxed);
    }
}

/// The state of the installed provider's guard: either held, or the reason why measuring has stopped.
static GUARD: AtomicU8 = AtomicU8::new(HELD);
const HELD: u8 = 0;
const GONE: u8 = 1;
const FORKED: u8 = 2;
const SAID: u8 = 3;

/// Stops measuring because the guard was dropped. The next measurement logs a warning that measurements are being lost.
pub(crate) fn guard_is_gone() {
    if INSTALLED.get().is_some() && GUARD.compare_exchange(HELD, GONE, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        // Makes `only_installed` return `None`, so that the next measurement reaches `find`.
        PROVIDERS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Stops measuring. Runs in a forked child, so it uses only atomics.
pub(crate) fn turn_off_in_child() {
    GUARD.store(FORKED, Ordering::Relaxed);
    PROVIDERS.fetch_add(1, Ordering::Relaxed);
}

fn has_ended() -> bool {
    match GUARD.load(Ordering::Relaxed) {
        HELD => false,
        _ if is_background() => true,
        _ => {
            match GUARD.swap(SAID, Ordering::Relaxed) {
                GONE => diag::guard_is_gone("this measurement"),
                FORKED => crate::__warn!("fork", "{OFF_IN_A_FORKED_CHILD}"),
                _ => {}
            }
            true
        }
    }
}

/// Returns `context` with its own provider for `#[traced(metrics)]` functions and metrics in statics. Used in tests.
pub fn with_meter_provider(context: &Context, provider: SdkMeterProvider) -> Context {
    PROVIDERS.fetch_add(1, Ordering::Relaxed);
    context.with_value(Scoped(provider))
}

struct Scoped(SdkMeterProvider);

impl Drop for Scoped {
    fn drop(&mut self) {
        PROVIDERS.fetch_sub(1, Ordering::Relaxed);
    }
}
