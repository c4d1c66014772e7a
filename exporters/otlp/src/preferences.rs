//! What is for metrics alone: which totals and which histograms a receiver prefers.
//!
//! spec: metrics/sdk_exporters/otlp.md#additional-environment-variable-configuration

use telemark_sdk::config::Env;
use telemark_sdk::metrics::{Aggregation, TemporalityPreference};
use telemark_sdk::signal::Metrics;

use crate::builder::Builder;
use crate::exporter::Otlp;

const TEMPORALITIES: [(&str, TemporalityPreference); 3] = [
    ("cumulative", TemporalityPreference::Cumulative),
    ("delta", TemporalityPreference::Delta),
    ("lowmemory", TemporalityPreference::LowMemory),
];

/// Whether histograms are exponential.
const HISTOGRAMS: [(&str, bool); 2] =
    [("explicit_bucket_histogram", false), ("base2_exponential_bucket_histogram", true)];

/// What one source, code or environment, says; for other signals nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preferences {
    temporality: Option<TemporalityPreference>,
    histogram: Option<Aggregation>,
}

impl Preferences {
    pub(crate) fn from_env(env: &Env) -> Self {
        let exponential = env.one_of("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", &HISTOGRAMS);
        Preferences {
            temporality: env.one_of("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", &TEMPORALITIES),
            histogram: exponential.map(|is| if is { Aggregation::exponential() } else { Aggregation::Default }),
        }
    }

    /// These, and the others where these say nothing.
    pub(crate) fn or(self, others: Preferences) -> Self {
        Preferences {
            temporality: self.temporality.or(others.temporality),
            histogram: self.histogram.or(others.histogram),
        }
    }
}

impl Builder<Metrics> {
    /// Sets what totals are of; cumulative by default. See [`Otlp::temporality_preference`].
    pub fn with_temporality_preference(mut self, preference: TemporalityPreference) -> Self {
        self.code.preferences.temporality = Some(preference);
        self
    }

    /// Sets how histograms are aggregated that no view speaks of. See [`Otlp::default_histogram_aggregation`].
    pub fn with_default_histogram_aggregation(mut self, aggregation: Aggregation) -> Self {
        self.code.preferences.histogram = Some(aggregation);
        self
    }
}

impl Otlp<Metrics> {
    /// What the totals are to be of, for the reader of this exporter.
    ///
    /// From code or from `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`, or else cumulative.
    pub fn temporality_preference(&self) -> TemporalityPreference {
        self.preferences().temporality.unwrap_or_default()
    }

    /// How histograms are to be aggregated that no view speaks of, for the reader of this exporter.
    ///
    /// From code or from `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`, or else [`Aggregation::Default`], which
    /// is a histogram with explicit buckets.
    pub fn default_histogram_aggregation(&self) -> Aggregation {
        self.preferences().histogram.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: &str) {
        let variables = variables.iter().map(|&(name, value)| (format!("OTEL_EXPORTER_OTLP_METRICS_{name}"), value));
        let env = Env::from_pairs(variables);
        let exporter = Otlp::<Metrics>::from_env(&env).unwrap();
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
        let builder = Otlp::<Metrics>::builder()
            .with_temporality_preference(TemporalityPreference::LowMemory)
            .with_default_histogram_aggregation(Aggregation::explicit_buckets([1.0]))
            .with_env(&env);
        let exporter = builder.build().unwrap();
        assert_eq!(exporter.temporality_preference(), TemporalityPreference::LowMemory);
        assert_eq!(exporter.default_histogram_aggregation(), Aggregation::explicit_buckets([1.0]));
    }
}
