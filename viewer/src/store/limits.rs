//! The limits of a store.

use telemark_sdk::time::Clock;

/// The limits of a [`Store`](super::Store).
///
/// ```
/// use telemark_viewer::{Limits, Store};
///
/// let store = Store::new(Limits::default().with_bytes(64 << 20));
/// assert!(store.spans().is_empty());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum number of bytes that the store holds.
    pub bytes: usize,
    /// The clock.
    pub clock: Clock,
}

impl Default for Limits {
    /// Returns a limit of 256 MiB, with the system's clock.
    fn default() -> Self {
        Limits { bytes: 256 << 20, clock: Clock::system() }
    }
}

impl Limits {
    /// Sets the maximum number of bytes.
    #[must_use]
    pub fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}
