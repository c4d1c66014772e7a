//! The rules of one logger: which records it takes.

use opentelemetry::logs::Severity;

use super::TraceContext;

/// The rules of a logger. By default it takes every record.
///
/// Set with [`LoggerProviderBuilder::with_logger_config`](super::LoggerProviderBuilder::with_logger_config).
///
/// spec: logs/sdk.md#loggerconfig
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggerConfig {
    is_enabled: bool,
    minimum_severity: Option<Severity>,
    is_trace_based: bool,
}

impl LoggerConfig {
    /// Creates a config that takes every record.
    pub const fn new() -> Self {
        LoggerConfig { is_enabled: true, minimum_severity: None, is_trace_based: false }
    }

    /// Sets whether the logger takes records.
    pub const fn with_enabled(mut self, is_enabled: bool) -> Self {
        self.is_enabled = is_enabled;
        self
    }

    /// Drops records of a lower severity. Records without a severity are kept.
    pub const fn with_minimum_severity(mut self, severity: Severity) -> Self {
        self.minimum_severity = Some(severity);
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
        self.is_trace_based || self.minimum_severity.is_some()
    }

    #[inline]
    pub(super) fn takes_severity(self, severity: Option<Severity>) -> bool {
        severity.zip(self.minimum_severity).is_none_or(|(severity, minimum)| severity >= minimum)
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
