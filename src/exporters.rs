//! From the names in `OTEL_TRACES_EXPORTER` to exporters.

use telemark_sdk::ConfigError;
use telemark_sdk::install::TelemetryBuilder;

const VARIABLE: &str = "OTEL_TRACES_EXPORTER";

#[derive(Clone, Copy, PartialEq)]
enum Name {
    Otlp,
    Console,
    None,
}

/// Adds the exporters that the environment names; OTLP when it names none.
pub(crate) fn from_env(builder: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
    let known = [("otlp", Name::Otlp), ("console", Name::Console), ("none", Name::None)];
    // spec: configuration/common.md#enum — a setting in which nothing is known is ignored, so the default holds.
    let named = builder.env().list_of(VARIABLE, &known).filter(|names| !names.is_empty());
    let Some(names) = named else {
        // A program without the feature has chosen to export nothing by default.
        return if cfg!(feature = "otlp") { otlp(builder) } else { Ok(builder) };
    };
    if names.contains(&Name::None) {
        return if names.len() == 1 {
            Ok(builder)
        } else {
            let value = builder.env().string(VARIABLE).unwrap_or_default();
            Err(ConfigError::invalid(VARIABLE, value, "none alone, or a list of otlp and console"))
        };
    }
    names.into_iter().try_fold(builder, |builder, name| match name {
        Name::Otlp => otlp(builder),
        Name::Console => console(builder),
        Name::None => Ok(builder),
    })
}

#[cfg(feature = "otlp")]
fn otlp(builder: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
    let exporter = telemark_otlp::Otlp::<telemark_sdk::signal::Traces>::from_env(builder.env())?;
    Ok(builder.with_span_exporter(exporter))
}

#[cfg(not(feature = "otlp"))]
fn otlp(_: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
    Err(feature_is_off("otlp"))
}

#[cfg(feature = "console")]
fn console(builder: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
    let exporter = telemark_console::ConsoleExporter::from_env(builder.env());
    Ok(builder.with_span_exporter(exporter))
}

#[cfg(not(feature = "console"))]
fn console(_: TelemetryBuilder) -> Result<TelemetryBuilder, ConfigError> {
    Err(feature_is_off("console"))
}

#[cfg(not(all(feature = "otlp", feature = "console")))]
fn feature_is_off(name: &'static str) -> ConfigError {
    ConfigError::invalid(
        VARIABLE,
        name,
        format!("an exporter that is compiled in: enable the feature `{name}` of telemark"),
    )
}
