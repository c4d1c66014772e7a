//! The counts of a whole telemetry, as programs read them.

use std::borrow::Cow;

use super::super::reload::ConfigHealth;
use crate::diag::{LimitsHealth, RouteHealth, SignalHealth, TailHealth};

/// Export and drop counts for each pipeline of each signal, in the order in which the pipelines were added. Pipelines that do
/// not export, such as a pull-based reader, are not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Counts of spans.
    pub traces: Vec<SignalHealth>,
    /// Counts of log records.
    pub logs: Vec<SignalHealth>,
    /// Counts of metric points.
    pub metrics: Vec<SignalHealth>,
    /// Counts of the decisions of tail sampling; `None` without it.
    pub tail: Option<TailHealth>,
    /// Counts of what the [limits](crate::stages::limits) have dropped and cut; `None` if none is set.
    pub limits: Option<LimitsHealth>,
    /// The number of values in which each rule of the [redaction](crate::redaction) has hidden something, by the name of the rule.
    pub redaction: Vec<(Cow<'static, str>, u64)>,
    /// The versions of the configuration file that have come while the program runs.
    pub config: ConfigHealth,
    /// Requests to each route of the program's HTTP servers, in no order. Counted for the whole process, sampled or not.
    pub routes: Vec<RouteHealth>,
}
