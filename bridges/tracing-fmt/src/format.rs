//! The line formats, and the names that each format uses.

use telemark_sdk::config::Env;

/// The format of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// JSON with the names from OpenTelemetry's log data model. The resource and the fields are separate objects, so that no
    /// field can collide with another name:
    ///
    /// ```json
    /// {"timestamp":"2026-11-29T17:45:00.123456Z","severity":"INFO","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","trace_flags":"01","resource":{"service.name":"shop"},"scope":{"name":"shop::orders"},"body":"order placed","attributes":{"order.id":7}}
    /// ```
    #[default]
    Json,
    /// JSON without nested objects, for receivers that index only the top level:
    ///
    /// ```json
    /// {"timestamp":"2026-11-29T17:45:00.123456Z","severity":"INFO","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","trace_flags":"01","service.name":"shop","scope.name":"shop::orders","body":"order placed","order.id":7}
    /// ```
    ///
    /// A field whose name is one of these or starts with `attributes.` is written as `attributes.NAME`.
    JsonFlat,
    /// JSON in the Elastic Common Schema, as Filebeat and Elastic Agent ship it to Elasticsearch:
    ///
    /// ```json
    /// {"@timestamp":"2026-11-29T17:45:00.123456Z","log.level":"INFO","message":"order placed","ecs.version":"8.11.0","trace.id":"0af7651916cd43dd8448eb211c80319c","span.id":"b7ad6b7169203331","service.name":"shop","log.logger":"shop::orders","order.id":7}
    /// ```
    ///
    /// A name without a dot could be the name of an object in the schema, such as `error` or `host`, and Elasticsearch rejects
    /// lines that contain a scalar in place of an object. A field with such a name is therefore written as `labels.NAME`. A field
    /// with one of the names above is also written as a label, with underscores instead of dots: `labels.trace_id`. The first
    /// field that contains an error is written as `error.message`.
    Ecs,
    /// Text for people:
    ///
    /// ```text
    /// 2026-11-29T17:45:00.123456Z  INFO shop::orders: order placed order.id=7 trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331
    /// ```
    Text,
}

impl Format {
    /// Returns the format named by `OTEL_RUST_LOG_FORMAT`: `json`, `json_flat`, `ecs` or `text`. The default is `json`, or `text` if
    /// one of `OTEL_TRACES_EXPORTER`, `OTEL_LOGS_EXPORTER` and `OTEL_METRICS_EXPORTER` selects `console`, so that a person can read
    /// both.
    pub fn from_env(env: &Env) -> Self {
        let formats =
            [("json", Format::Json), ("json_flat", Format::JsonFlat), ("ecs", Format::Ecs), ("text", Format::Text)];
        env.one_of("OTEL_RUST_LOG_FORMAT", &formats).unwrap_or_else(|| match is_console_in_use(env) {
            true => Format::Text,
            false => Format::default(),
        })
    }

    /// Returns the name of the format in `OTEL_RUST_LOG_FORMAT`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::JsonFlat => "json_flat",
            Format::Ecs => "ecs",
            Format::Text => "text",
        }
    }

    /// Returns the name of a resource attribute in this format.
    pub(crate) fn resource_name(self, key: &str) -> &str {
        match (self, key) {
            (Format::Ecs, "deployment.environment.name") => "service.environment",
            (Format::Ecs, "service.instance.id") => "service.node.name",
            _ => key,
        }
    }

    /// Returns true if the format itself uses this name.
    pub(crate) fn is_reserved(self, name: &str) -> bool {
        match self {
            Format::JsonFlat => {
                matches!(
                    name,
                    "timestamp" | "severity" | "body" | "trace_id" | "span_id" | "trace_flags" | "scope.name"
                ) || matches!(name, "attributes" | "resource" | TRUNCATED)
                    || name.starts_with("attributes.")
            }
            Format::Ecs => {
                matches!(name, "@timestamp" | "log.level" | "message" | "ecs.version" | "trace.id" | "span.id")
                    || matches!(name, "log.logger" | TRUNCATED)
            }
            Format::Json | Format::Text => false,
        }
    }
}

/// Returns true if a signal is printed for people.
fn is_console_in_use(env: &Env) -> bool {
    let selects = |variable| {
        let value = env.string(variable).unwrap_or_default();
        value.split(',').any(|name| name.trim().eq_ignore_ascii_case("console"))
    };
    ["OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_METRICS_EXPORTER"].into_iter().any(selects)
}

/// The member of a line that marks it as truncated or incomplete.
pub(crate) const TRUNCATED: &str = "telemark.truncated";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_who_use_the_console_read_text() {
        let format = |variables: &[(&str, &str)]| Format::from_env(&Env::from_pairs(variables.iter().copied()));
        assert_eq!(format(&[]), Format::Json);
        assert_eq!(format(&[("OTEL_TRACES_EXPORTER", "otlp, console")]), Format::Text);
        assert_eq!(format(&[("OTEL_LOGS_EXPORTER", "console")]), Format::Text);
        assert_eq!(format(&[("OTEL_LOGS_EXPORTER", "console"), ("OTEL_RUST_LOG_FORMAT", "ecs")]), Format::Ecs);
    }
}
