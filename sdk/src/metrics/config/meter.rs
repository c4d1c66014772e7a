//! The config of one meter: whether it is enabled.

use crate::control::packed::Packed;

/// The config of a meter. By default it is enabled. The instruments of a disabled meter drop measurements, their callbacks are not called, and
/// what was measured before is not collected until the meter is enabled again.
///
/// Set with [`MeterProviderBuilder::with_meter_config`](crate::metrics::MeterProviderBuilder::with_meter_config).
///
/// spec: metrics/sdk.md#meterconfig
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterConfig {
    is_enabled: bool,
}

impl MeterConfig {
    /// Creates a config of an enabled meter.
    pub const fn new() -> Self {
        MeterConfig { is_enabled: true }
    }

    /// Sets whether the meter records.
    pub const fn with_enabled(mut self, is_enabled: bool) -> Self {
        self.is_enabled = is_enabled;
        self
    }

    pub(crate) fn is_enabled(self) -> bool {
        self.is_enabled
    }
}

impl Default for MeterConfig {
    fn default() -> Self {
        MeterConfig::new()
    }
}

impl Packed for MeterConfig {
    fn pack(self) -> u32 {
        self.is_enabled.into()
    }

    fn unpack(bits: u32) -> Self {
        MeterConfig { is_enabled: bits != 0 }
    }
}
