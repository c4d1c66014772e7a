//! The volume of log records under control: the rules, and their state in a provider.
//!
//! | file | owns |
//! |---|---|
//! | `control` | the decision about each record, and the counts of suppressed ones |
//! | `key` | the identity of a call site, and the hash behind deterministic sampling |
//! | `report` | the record that says how many records of a call site were suppressed |
//! | `sites` | the bounded table of call sites |

mod control;
mod key;
mod report;
mod sites;

use std::num::NonZeroU32;

use opentelemetry::Key;

use crate::config::Env;
use crate::error::ConfigError;

pub(super) use control::{Control, Request};
pub use key::LogSite;

/// The rules that limit the volume of log records. By default there are none, and every record is kept.
///
/// - **Rate**: each call site may emit so many records a minute, in a burst or spread out. Applies to every severity, because a
///   flood often consists of errors, whose number the report states.
/// - **Sampled traces only**: suppresses the records of traces that are not sampled.
/// - **Sampling by a key**: keeps a fraction of the values of an attribute, such as a request id, with all of their records. The
///   same value has the same decision in every process.
///
/// Both kinds of sampling always keep warnings, errors, records without a severity, and records without a trace or without the
/// key.
///
/// Suppressed records are counted per call site. Once a minute, and when the provider is flushed or shut down, a record with the
/// event name `telemark.log.suppressed` states the count of each call site, with the call site's scope and severity. The event
/// itself is never suppressed. [`SignalHealth::suppressed`](crate::diag::SignalHealth::suppressed) is the total.
///
/// A call site is a place in the source for records of `tracing` and of the `log` crate. For other records it is the scope,
/// target, severity and event name together with `code.file.path`, `code.line.number` and `exception.type`; if none of these three
/// is known, words of the body without digits take their place. Up to 2048 call sites have limits of their own; further ones share
/// one limit.
///
/// The rules apply to exported records, not to lines that a program writes to its standard streams.
///
/// ```
/// use telemark_sdk::logs::{LogVolume, SdkLoggerProvider};
///
/// let volume = LogVolume::new().with_max_per_minute(600).with_sampling_by("http.request.id", 0.1);
/// let provider = SdkLoggerProvider::builder().with_volume(volume);
/// # let _ = provider;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogVolume {
    max_per_minute: Option<NonZeroU32>,
    has_sampled_traces_only: bool,
    sampling: Option<(Key, f64)>,
}

const MAX_PER_MINUTE: &str = "OTEL_RUST_LOGS_MAX_PER_MINUTE";
const SAMPLED_TRACES_ONLY: &str = "OTEL_RUST_LOGS_SAMPLED_TRACES_ONLY";
const SAMPLING_ATTRIBUTE: &str = "OTEL_RUST_LOGS_SAMPLING_ATTRIBUTE";
const SAMPLING_RATIO: &str = "OTEL_RUST_LOGS_SAMPLING_RATIO";

impl LogVolume {
    /// Creates rules that keep every record.
    pub fn new() -> Self {
        LogVolume::default()
    }

    /// Limits the number of records per minute of each call site. Zero removes the limit.
    pub fn with_max_per_minute(mut self, records: u32) -> Self {
        self.max_per_minute = NonZeroU32::new(records);
        self
    }

    /// Sets whether to drop the records of traces that are not sampled, except for warnings and errors.
    pub fn with_sampled_traces_only(mut self, is_on: bool) -> Self {
        self.has_sampled_traces_only = is_on;
        self
    }

    /// Keeps the records of a fraction of the values of the attribute `key`. A `ratio` of 1 or more keeps every record. Warnings
    /// and errors are always kept.
    pub fn with_sampling_by(mut self, key: impl Into<Key>, ratio: f64) -> Self {
        self.sampling = Some((key.into(), ratio)).filter(|(key, ratio)| !key.as_str().is_empty() && *ratio < 1.0);
        self
    }

    /// Reads `OTEL_RUST_LOGS_MAX_PER_MINUTE`, `OTEL_RUST_LOGS_SAMPLED_TRACES_ONLY`, `OTEL_RUST_LOGS_SAMPLING_ATTRIBUTE` and
    /// `OTEL_RUST_LOGS_SAMPLING_RATIO`.
    pub fn from_env(env: &Env) -> Self {
        let most = env.integer(MAX_PER_MINUTE, 1..=u32::MAX as usize).and_then(|most| u32::try_from(most).ok());
        let volume = LogVolume::new()
            .with_max_per_minute(most.unwrap_or(0))
            .with_sampled_traces_only(env.boolean(SAMPLED_TRACES_ONLY));
        match (env.string(SAMPLING_ATTRIBUTE), env.number(SAMPLING_RATIO, 0.0..=1.0)) {
            (Some(key), Some(ratio)) => volume.with_sampling_by(key, ratio),
            (Some(_), None) => {
                env.warn(ConfigError::state(SAMPLING_ATTRIBUTE, "has no effect without OTEL_RUST_LOGS_SAMPLING_RATIO"));
                volume
            }
            (None, Some(_)) => {
                env.warn(ConfigError::state(SAMPLING_RATIO, "has no effect without OTEL_RUST_LOGS_SAMPLING_ATTRIBUTE"));
                volume
            }
            (None, None) => volume,
        }
    }

    /// Returns the values of the variables that [`Self::from_env`] reads as these rules; `None` is the default.
    pub(crate) fn to_variables(&self) -> Vec<(&'static str, Option<String>)> {
        let (key, ratio) = self.sampling.as_ref().map(|(key, ratio)| (key.to_string(), ratio.to_string())).unzip();
        vec![
            (MAX_PER_MINUTE, self.max_per_minute.map(|most| most.to_string())),
            (SAMPLED_TRACES_ONLY, Some(self.has_sampled_traces_only.to_string())),
            (SAMPLING_ATTRIBUTE, key),
            (SAMPLING_RATIO, ratio),
        ]
    }

    /// Returns true if every record is kept.
    pub fn is_unlimited(&self) -> bool {
        *self == LogVolume::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: &LogVolume, warnings: usize) {
        let env = Env::from_pairs(variables.iter().copied());
        let volume = LogVolume::from_env(&env);
        assert_eq!(volume, *expected);
        assert_eq!(env.take_warnings().len(), warnings);
        let back = volume.to_variables().into_iter().filter_map(|(name, value)| Some((name, value?)));
        assert_eq!(LogVolume::from_env(&Env::from_pairs(back)), volume);
    }

    #[test]
    fn variables_set_the_rules() {
        let none = LogVolume::new();
        check(&[], &none, 0);
        check(
            &[(MAX_PER_MINUTE, "60"), (SAMPLED_TRACES_ONLY, "true")],
            &none.clone().with_max_per_minute(60).with_sampled_traces_only(true),
            0,
        );
        check(&[(SAMPLING_ATTRIBUTE, "id"), (SAMPLING_RATIO, "0.25")], &none.clone().with_sampling_by("id", 0.25), 0);
        check(&[(SAMPLING_ATTRIBUTE, "id"), (SAMPLING_RATIO, "1")], &none, 0);
        check(&[(MAX_PER_MINUTE, "0"), (SAMPLED_TRACES_ONLY, "maybe")], &none, 2);
        check(&[(SAMPLING_ATTRIBUTE, "id")], &none, 1);
        check(&[(SAMPLING_RATIO, "0.5")], &none, 1);
        assert!(none.is_unlimited() && !none.clone().with_max_per_minute(1).is_unlimited());
    }
}
