//! The rules of one logger: which records it takes.

use opentelemetry::logs::Severity;

use super::TraceContext;
use crate::control::packed::Packed;

/// The rules of a logger. By default it takes every record.
///
/// Set with [`LoggerProviderBuilder::with_logger_config`](super::LoggerProviderBuilder::with_logger_config).
///
/// spec: logs/sdk.md#loggerconfig
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggerConfig {
    is_enabled: bool,
    /// The number of the severity; zero without a minimum.
    minimum_severity: u8,
    is_trace_based: bool,
}

impl LoggerConfig {
    /// Creates a config that takes every record.
    pub const fn new() -> Self {
        LoggerConfig { is_enabled: true, minimum_severity: 0, is_trace_based: false }
    }

    /// Sets whether the logger takes records.
    pub const fn with_enabled(mut self, is_enabled: bool) -> Self {
        self.is_enabled = is_enabled;
        self
    }

    /// Drops records of a lower severity. Records without a severity are kept.
    pub const fn with_minimum_severity(mut self, severity: Severity) -> Self {
        self.minimum_severity = severity as u8;
        self
    }

    /// Sets whether to drop the records of spans that are not sampled. Records outside of spans are kept.
    pub const fn with_trace_based(mut self, is_trace_based: bool) -> Self {
        self.is_trace_based = is_trace_based;
        self
    }

    pub(super) fn is_enabled(self) -> bool {
        self.is_enabled
    }

    pub(super) fn is_trace_based(self) -> bool {
        self.is_trace_based
    }

    /// Returns true if a rule depends on the record.
    #[inline]
    pub(super) fn has_rules(self) -> bool {
        self.is_trace_based || self.minimum_severity > 0
    }

    #[inline]
    pub(super) fn takes_severity(self, severity: Option<Severity>) -> bool {
        severity.is_none_or(|severity| severity as u8 >= self.minimum_severity)
    }

    #[inline]
    pub(super) fn takes_trace(self, trace: Option<&TraceContext>) -> bool {
        !(self.is_trace_based && trace.is_some_and(TraceContext::is_unsampled))
    }
}

impl Default for LoggerConfig {
    fn default() -> Self {
        LoggerConfig::new()
    }
}

impl Packed for LoggerConfig {
    fn pack(self) -> u32 {
        u32::from_le_bytes([self.is_enabled.into(), self.minimum_severity, self.is_trace_based.into(), 0])
    }

    fn unpack(bits: u32) -> Self {
        let [is_enabled, minimum_severity, is_trace_based, _] = bits.to_le_bytes();
        LoggerConfig { is_enabled: is_enabled != 0, minimum_severity, is_trace_based: is_trace_based != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_the_same_afterwards() {
        for severity in [None, Some(Severity::Trace), Some(Severity::Warn), Some(Severity::Fatal4)] {
            for (is_enabled, is_trace_based) in [(false, false), (false, true), (true, false), (true, true)] {
                let config = LoggerConfig::new().with_enabled(is_enabled).with_trace_based(is_trace_based);
                let config = severity.map_or(config, |severity| config.with_minimum_severity(severity));
                assert_eq!(LoggerConfig::unpack(config.pack()), config);
            }
        }
    }
}
