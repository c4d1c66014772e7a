//! The switch with which a span processor says whether spans that start concern it at present.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A switch that a span processor turns on while it wants to be called when spans start and before they end. While it is off, a span
/// costs as little as without the processor.
///
/// It starts turned off, and clones share it. Another thread may see a change late, so spans that start during a change may or may not
/// reach the processor.
///
/// ```
/// use telemark_sdk::trace::Attention;
///
/// let attention = Attention::new();
/// let shared = attention.clone();
/// assert!(!shared.is_on());
/// attention.set(true);
/// assert!(shared.is_on());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Attention(Arc<AtomicBool>);

impl Attention {
    /// Creates a switch that is off.
    pub fn new() -> Self {
        Attention::default()
    }

    /// Turns the switch on or off.
    pub fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }

    /// Returns true while the switch is on. Costs one relaxed load.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The times at which the processors of a provider must be called: always, or while the switch of one of them is on.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) always: bool,
    pub(super) switches: Vec<Attention>,
}

impl Wanted {
    #[inline]
    pub(super) fn now(&self) -> bool {
        self.always || self.switches.iter().any(Attention::is_on)
    }
}
