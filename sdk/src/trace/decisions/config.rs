//! The config of one tracer: whether it is enabled.

use crate::control::packed::Packed;

/// The config of a tracer. By default it is enabled. A disabled tracer starts no spans and propagates the context of the parent, and the
/// spans of other tracers below become children of that parent.
///
/// Set with [`TracerProviderBuilder::with_tracer_config`](crate::trace::TracerProviderBuilder::with_tracer_config).
///
/// spec: trace/sdk.md#tracerconfig
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracerConfig {
    is_enabled: bool,
}

impl TracerConfig {
    /// Creates a config of an enabled tracer.
    pub const fn new() -> Self {
        TracerConfig { is_enabled: true }
    }

    /// Sets whether the tracer starts spans.
    pub const fn with_enabled(mut self, is_enabled: bool) -> Self {
        self.is_enabled = is_enabled;
        self
    }

    pub(in crate::trace) fn is_enabled(self) -> bool {
        self.is_enabled
    }
}

impl Default for TracerConfig {
    fn default() -> Self {
        TracerConfig::new()
    }
}

impl Packed for TracerConfig {
    fn pack(self) -> u32 {
        self.is_enabled.into()
    }

    fn unpack(bits: u32) -> Self {
        TracerConfig { is_enabled: bits != 0 }
    }
}
