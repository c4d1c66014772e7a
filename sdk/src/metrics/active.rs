//! The meter provider of `#[traced(metrics)]` and of metrics in statics: the installed one, or in a test the one in its context.
//!
//! Without a provider, the check costs one relaxed load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use opentelemetry::Context;

use crate::diag;
use crate::metrics::SdkMeterProvider;
use crate::runtime::{OFF_IN_A_FORKED_CHILD, is_background};

/// Number of providers: the installed one and those in contexts.
static PROVIDERS: AtomicUsize = AtomicUsize::new(0);

static INSTALLED: OnceLock<SdkMeterProvider> = OnceLock::new();

/// Returns true if there may be a provider.
#[inline]
pub fn is_installed() -> bool {
    PROVIDERS.load(Ordering::Relaxed) != 0
}

/// A provider, and its lifetime.
pub(crate) enum Found {
    /// The installed provider, which stays for the life of the program.
    Installed(&'static SdkMeterProvider),
    /// A test's provider.
    InContext(SdkMeterProvider),
}

/// Returns the installed provider if it is the only one, so that no context can hold another.
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

/// Returns the provider that a test has put into `context`.
pub fn in_context(context: &Context) -> Option<SdkMeterProvider> {
    if is_installed() { context.get::<Scoped>().map(|scoped| scoped.0.clone()) } else { None }
}

/// Installs `provider` for the program; the first one stays. A provider without readers is not kept, since it would record nothing.
pub(crate) fn install(provider: SdkMeterProvider) {
    if provider.enabled() && INSTALLED.set(provider).is_ok() {
        PROVIDERS.fetch_add(1, Ordering::Relaxed);
    }
}

/// The state of the installed provider's guard: held, or the reason why nothing is measured anymore.
static GUARD: AtomicU8 = AtomicU8::new(HELD);
const HELD: u8 = 0;
const GONE: u8 = 1;
const FORKED: u8 = 2;
const SAID: u8 = 3;

/// Stops measuring because the guard was dropped; the next measurement reports that it is lost.
pub(crate) fn guard_is_gone() {
    if INSTALLED.get().is_some() && GUARD.compare_exchange(HELD, GONE, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        // No longer counted as the only one, so that the next measurement reaches `find`.
        PROVIDERS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Stops measuring. Uses atomics only, as it runs in a forked child.
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

/// Returns `context` with a provider of its own for `#[traced(metrics)]` functions and metrics in statics, for tests.
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
