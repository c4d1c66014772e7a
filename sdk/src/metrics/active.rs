//! The meter provider that `#[traced(metrics)]` and metrics in statics use: the installed one, or for a test the one in its
//! context.
//!
//! One relaxed load tells that there is none.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use opentelemetry::Context;

use crate::diag;
use crate::metrics::SdkMeterProvider;
use crate::runtime::{OFF_IN_A_FORKED_CHILD, is_background};

/// How many providers there are: the installed one and those in contexts.
static PROVIDERS: AtomicUsize = AtomicUsize::new(0);

static INSTALLED: OnceLock<SdkMeterProvider> = OnceLock::new();

/// Whether there may be a provider.
#[inline]
pub fn is_installed() -> bool {
    PROVIDERS.load(Ordering::Relaxed) != 0
}

/// A provider, and whether it stays.
pub(crate) enum Found {
    /// The program's.
    Installed(&'static SdkMeterProvider),
    /// That of a test.
    InContext(SdkMeterProvider),
}

/// The installed provider, when it is the only one: no context can have another.
#[inline]
pub(crate) fn only_installed() -> Option<&'static SdkMeterProvider> {
    (PROVIDERS.load(Ordering::Relaxed) == 1).then(|| INSTALLED.get()).flatten()
}

/// The provider for what happens in `context`.
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

/// The provider that a test has put into `context`.
pub fn in_context(context: &Context) -> Option<SdkMeterProvider> {
    if is_installed() { context.get::<Scoped>().map(|scoped| scoped.0.clone()) } else { None }
}

/// Makes `provider` the program's; the first one stays. One without readers is not kept: it would record nothing.
pub(crate) fn install(provider: SdkMeterProvider) {
    if provider.enabled() && INSTALLED.set(provider).is_ok() {
        PROVIDERS.fetch_add(1, Ordering::Relaxed);
    }
}

/// The state of the installed provider's guard: held, or the reason for measuring nothing any more.
static GUARD: AtomicU8 = AtomicU8::new(HELD);
const HELD: u8 = 0;
const GONE: u8 = 1;
const FORKED: u8 = 2;
const SAID: u8 = 3;

/// The guard of the installed telemetry was dropped: the next measurement says that it is lost, and none is taken.
pub(crate) fn guard_is_gone() {
    if INSTALLED.get().is_some() && GUARD.compare_exchange(HELD, GONE, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        // Now it is not the only one, so that whoever records comes to `find`.
        PROVIDERS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Takes no measurements any more. Atomics alone, for it is called in a forked child.
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

/// `context` with a provider of its own for `#[traced(metrics)]` functions and metrics in statics, beside any other: for
/// tests.
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
