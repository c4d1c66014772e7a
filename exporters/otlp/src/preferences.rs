//! Settings specific to a signal: for metrics, the temporality and histogram aggregation that the receiver prefers.
//!
//! spec: metrics/sdk_exporters/otlp.md#additional-environment-variable-configuration

use std::fmt;

use telemark_sdk::config::Env;
use telemark_sdk::metrics::{Aggregation, TemporalityPreference};

/// The signal-specific settings from code or from the environment, or `()` if the signal has none.
pub trait Preferences: Clone + fmt::Debug + Default + Send + Sync + 'static {
    /// Reads the variables. Ignores values that cannot be parsed and reports them to `env`.
    fn from_env(env: &Env) -> Self;

    /// Fills unset values from `others`.
    #[must_use]
    fn or(self, others: Self) -> Self;
}

impl Preferences for () {
    fn from_env(_: &Env) {}

    fn or(self, (): ()) {}
}

const TEMPORALITIES: [(&str, TemporalityPreference); 3] = [
    ("cumulative", TemporalityPreference::Cumulative),
    ("delta", TemporalityPreference::Delta),
    ("lowmemory", TemporalityPreference::LowMemory),
];

/// The names of the histogram aggregations, each with a flag that is true for exponential histograms.
const HISTOGRAMS: [(&str, bool); 2] =
    [("explicit_bucket_histogram", false), ("base2_exponential_bucket_histogram", true)];

/// The preferences for metrics.
#[derive(Clone, Debug, Default)]
pub struct MetricPreferences {
    pub(crate) temporality: Option<TemporalityPreference>,
    pub(crate) histogram: Option<Aggregation>,
}

impl Preferences for MetricPreferences {
    fn from_env(env: &Env) -> Self {
        let exponential = env.one_of("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", &HISTOGRAMS);
        MetricPreferences {
            temporality: env.one_of("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", &TEMPORALITIES),
            histogram: exponential.map(|is| if is { Aggregation::exponential() } else { Aggregation::Default }),
        }
    }

    fn or(self, others: Self) -> Self {
        MetricPreferences {
            temporality: self.temporality.or(others.temporality),
            histogram: self.histogram.or(others.histogram),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporter::OtlpExporter;
    use telemark_sdk::signal::Metrics;

    fn check(variables: &[(&str, &str)], expected: &str) {
        let variables = variables.iter().map(|&(name, value)| (format!("OTEL_EXPORTER_OTLP_METRICS_{name}"), value));
        let env = Env::from_pairs(variables);
        let exporter = OtlpExporter::<Metrics>::from_env(&env).unwrap();
        let warnings = env.take_warnings().into_iter().map(|warning| format!("; {warning}")).collect::<String>();
        let histogram = match exporter.default_histogram_aggregation() {
            Aggregation::Default => "explicit",
            Aggregation::Base2ExponentialHistogram { .. } => "exponential",
            other => panic!("{other:?}"),
        };
        assert_eq!(format!("{:?} {histogram}{warnings}", exporter.temporality_preference()), expected);
    }

    #[test]
    fn variables() {
        check(&[], "Cumulative explicit");
        check(&[("TEMPORALITY_PREFERENCE", "Delta")], "Delta explicit");
        check(&[("TEMPORALITY_PREFERENCE", "LowMemory")], "LowMemory explicit");
        check(&[("DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram")], "Cumulative exponential");
        check(&[("DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram")], "Cumulative explicit");
        check(
            &[("TEMPORALITY_PREFERENCE", "both"), ("DEFAULT_HISTOGRAM_AGGREGATION", "none")],
            "Cumulative explicit\
             ; OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=\"none\" cannot be used: \
             expected one of explicit_bucket_histogram, base2_exponential_bucket_histogram\
             ; OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=\"both\" cannot be used: \
             expected one of cumulative, delta, lowmemory",
        );
    }

    #[test]
    fn code_wins_over_the_environment() {
        let env = Env::from_pairs([
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
            ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
        ]);
        let builder = OtlpExporter::<Metrics>::builder()
            .with_temporality_preference(TemporalityPreference::LowMemory)
            .with_default_histogram_aggregation(Aggregation::explicit_buckets([1.0]))
            .with_env(&env);
        let exporter = builder.build().unwrap();
        assert_eq!(exporter.temporality_preference(), TemporalityPreference::LowMemory);
        assert_eq!(exporter.default_histogram_aggregation(), Aggregation::explicit_buckets([1.0]));
    }
}
