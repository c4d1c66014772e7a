//! The SDK's own metrics, which expose the counters of [`diag`](crate::diag) and the series of the meter provider.
//!
//! | file | owns |
//! |---|---|
//! | `observe` | the callback that reports everything |
//! | `registrar` | the names of components, and the durations of their operations |
//! | `spans` | `otel.sdk.span.*` and `otel.sdk.log.created` |
//! | `pipelines` | `otel.sdk.processor.*` and `otel.sdk.exporter.*` |
//! | `limits` | `telemark.sdk.limits.*`, what limits drop and cut |
//! | `redaction` | `telemark.sdk.redaction.hidden` |
//! | `served` | `telemark.sdk.server.requests` |
//! | `reloads` | `telemark.sdk.config.reloads` |
//! | `series` | `telemark.sdk.metric.*`, the number of series of each metric |
//! | `tail` | `telemark.sdk.tail.*`, the decisions of tail sampling |
//! | `words` | the terms for a signal's items |

mod limits;
mod observe;
mod pipelines;
mod redaction;
mod registrar;
mod reloads;
mod series;
mod served;
mod spans;
mod tail;
mod words;

pub use observe::SelfMetrics;
pub(crate) use observe::Sources;
pub(crate) use words::Words;
