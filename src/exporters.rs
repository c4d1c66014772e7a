//! From the names in `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` to exporters.

use telemark_sdk::ConfigError;
use telemark_sdk::install::TelemetryBuilder;

/// A signal's variable and what it may name.
struct Choice {
    variable: &'static str,
    names: &'static [(&'static str, Name)],
    /// For the message about `none` among others.
    list: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Name {
    Otlp,
    Console,
    Prometheus,
    None,
}

const TRACES: Choice = Choice {
    variable: "OTEL_TRACES_EXPORTER",
    names: &[("otlp", Name::Otlp), ("console", Name::Console), ("none", Name::None)],
    list: "otlp and console",
};

const METRICS: Choice = Choice {
    variable: "OTEL_METRICS_EXPORTER",
    names: &[("otlp", Name::Otlp), ("console", Name::Console), ("prometheus", Name::Prometheus), ("none", Name::None)],
    list: "otlp, console and prometheus",
};

impl Choice {
    /// What the environment names; OTLP when it names nothing.
    fn read(&self, builder: &TelemetryBuilder) -> Result<Vec<Name>, ConfigError> {
        // spec: configuration/common.md#enum — a setting in which nothing is known is ignored, so the default holds.
        let Some(names) = builder.env().list_of(self.variable, self.names).filter(|names| !names.is_empty()) else {
            // A program without the feature has chosen to export nothing by default.
            return Ok(if cfg!(feature = "otlp") { vec![Name::Otlp] } else { Vec::new() });
        };
        if names.contains(&Name::None) && names.len() > 1 {
            let value = builder.env().string(self.variable).unwrap_or_default();
            return Err(ConfigError::invalid(self.variable, value, format!("none alone, or a list of {}", self.list)));
        }
        Ok(names)
    }

    #[allow(dead_code, reason = "with every feature there is no exporter that is off")]
    fn feature_is_off(&self, name: &'static str) -> ConfigError {
        let accepted = format!("an exporter that is compiled in: enable the feature `{name}` of telemark");
        ConfigError::invalid(self.variable, name, accepted)
    }
}

/// Adds the exporters of spans that the environment names.
pub(crate) fn traces(builder: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
    TRACES.read(&builder)?.into_iter().try_fold(builder, |builder, name| match name {
        Name::Otlp => otlp::traces(builder),
        Name::Console => console::traces(builder),
        Name::Prometheus | Name::None => Ok(builder),
    })
}

/// Adds the exporters of metrics that the environment names.
pub(crate) fn metrics(builder: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
    METRICS.read(&builder)?.into_iter().try_fold(builder, |builder, name| match name {
        Name::Otlp => otlp::metrics(builder),
        Name::Console => console::metrics(builder),
        Name::Prometheus => prometheus::metrics(builder),
        Name::None => Ok(builder),
    })
}

#[cfg(feature = "otlp")]
mod otlp {
    use telemark_otlp::Otlp;
    use telemark_sdk::metrics::{Aggregation, InstrumentKind, ReaderConfig};
    use telemark_sdk::signal::{Metrics, Traces};

    use super::{ConfigError, TelemetryBuilder};

    pub(super) fn traces(builder: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
        let exporter = Otlp::<Traces>::from_env(builder.env())?;
        Ok(builder.with_span_exporter(exporter))
    }

    pub(super) fn metrics(builder: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
        let exporter = Otlp::<Metrics>::from_env(builder.env())?;
        let config = preferred(&exporter);
        Ok(builder.with_configured_metric_exporter(exporter, config))
    }

    /// What the receiver prefers.
    fn preferred(exporter: &Otlp<Metrics>) -> ReaderConfig {
        let histograms = exporter.default_histogram_aggregation();
        ReaderConfig::new().with_temporality(exporter.temporality_preference()).with_aggregation(move |kind| match kind
        {
            InstrumentKind::Histogram => histograms.clone(),
            _ => Aggregation::Default,
        })
    }

    #[cfg(test)]
    mod tests {
        use telemark_sdk::config::Env;
        use telemark_sdk::testing::TestTelemetry;

        use super::*;

        fn check(variables: &[(&str, &str)], expected: &str) {
            let exporter = Otlp::<Metrics>::from_env(&Env::from_pairs(variables.iter().copied())).unwrap();
            let telemetry = TestTelemetry::new().with_metrics(preferred(&exporter), |builder| builder);
            telemetry.meter("test").u64_counter("a").build().add(1, &[]);
            telemetry.meter("test").u64_histogram("b").build().record(1, &[]);
            assert_eq!(telemetry.metrics(), expected);
        }

        #[test]
        fn the_reader_reads_what_the_receiver_prefers() {
            let histogram = "histogram count=1 sum=1 min=1 max=1 <=5:1";
            check(&[], &format!("a sum 1\nb {histogram}\n"));
            check(
                &[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")],
                &format!("a delta sum 1\nb delta {histogram}\n"),
            );
            check(
                &[("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram")],
                "a sum 1\nb exponential count=1 sum=1 min=1 max=1 scale=20 +-1:1\n",
            );
        }
    }
}

#[cfg(feature = "console")]
mod console {
    use std::time::Duration;

    use telemark_console::{ConsoleExporter, ConsoleMetrics};
    use telemark_sdk::metrics::{PeriodicConfig, PeriodicReader, ReaderConfig};
    use telemark_sdk::runtime::Runtime;

    use super::{ConfigError, TelemetryBuilder};

    pub(super) fn traces(builder: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
        let exporter = ConsoleExporter::from_env(builder.env());
        Ok(builder.with_span_exporter(exporter))
    }

    pub(super) fn metrics(builder: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
        let env = builder.env();
        let mut periods = PeriodicConfig::from_env(env);
        // spec: metrics/sdk_exporters/stdout.md — every 10 s, unless somebody says otherwise.
        if env.string("OTEL_METRIC_EXPORT_INTERVAL").is_none() {
            periods = periods.with_interval(Duration::from_secs(10));
        }
        let exporter = ConsoleMetrics::from_env(env);
        let reader = PeriodicReader::start(exporter, periods, ReaderConfig::new(), &Runtime::Thread)?;
        Ok(builder.with_metric_reader(reader))
    }
}

#[cfg(feature = "prometheus")]
mod prometheus {
    use telemark_prometheus::{Prometheus, Server};

    use super::{ConfigError, TelemetryBuilder};

    pub(super) fn metrics(builder: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
        // There is nothing to show, so nobody is to find an open port.
        if builder.env().boolean("OTEL_SDK_DISABLED") {
            return Ok(builder);
        }
        let prometheus = Prometheus::new();
        let server = Server::from_env(prometheus.clone(), builder.env())?;
        Ok(builder.with_metric_reader(prometheus.reader()).with_companion(server))
    }
}

#[cfg(not(feature = "otlp"))]
mod otlp {
    use super::{ConfigError, METRICS, TRACES, TelemetryBuilder};

    pub(super) fn traces(_: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
        Err(TRACES.feature_is_off("otlp"))
    }

    pub(super) fn metrics(_: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
        Err(METRICS.feature_is_off("otlp"))
    }
}

#[cfg(not(feature = "console"))]
mod console {
    use super::{ConfigError, METRICS, TRACES, TelemetryBuilder};

    pub(super) fn traces(_: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
        Err(TRACES.feature_is_off("console"))
    }

    pub(super) fn metrics(_: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
        Err(METRICS.feature_is_off("console"))
    }
}

#[cfg(not(feature = "prometheus"))]
mod prometheus {
    use super::{ConfigError, METRICS, TelemetryBuilder};

    pub(super) fn metrics(_: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
        Err(METRICS.feature_is_off("prometheus"))
    }
}
