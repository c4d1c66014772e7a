//! Labels that all series of a scope have: those of the scope, and of the resource if the program wants them.

use std::borrow::Cow;

use opentelemetry::InstrumentationScope;
use telemark_sdk::Resource;

use super::labels::text;
use crate::format::Format;
use crate::renderer::Settings;

/// A label that is the same for many series, with its value.
pub(crate) type Label = (String, Cow<'static, str>);

/// The labels of the scope and those of the resource that the program wants everywhere.
///
/// spec: compatibility/prometheus_and_openmetrics.md#instrumentation-scope-1
pub(crate) fn common_labels(
    settings: &Settings,
    format: Format,
    resource: &Resource,
    scope: &InstrumentationScope,
) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    let label = |key: &str| settings.strategy.label(key, format.escaping());
    if settings.scope_labels {
        let own = [
            ("otel_scope_name", Some(scope.name())),
            ("otel_scope_version", scope.version()),
            ("otel_scope_schema_url", scope.schema_url()),
        ];
        // An empty label is none, but its name is taken all the same.
        labels.extend(own.map(|(name, text)| (label(name), Cow::Owned(text.unwrap_or_default().to_owned()))));
        for attribute in scope.attributes() {
            let name = label(&format!("otel_scope_{}", attribute.key));
            match labels.iter_mut().position(|(taken, _)| *taken == name) {
                // spec: attributes that collide with the name, the version or the schema URL must be dropped
                Some(0..3) => {}
                Some(other) => {
                    let joined = format!("{};{}", labels[other].1, text(&attribute.value));
                    labels[other].1 = joined.into();
                }
                None => labels.push((name, text(&attribute.value).into_owned().into())),
            }
        }
        labels.retain(|(_, text)| !text.is_empty());
    }
    for attribute in resource.iter().filter(|attribute| settings.is_constant(attribute.key.as_str())) {
        let name = match label(attribute.key.as_str()) {
            // That of buckets.
            name if name == "le" => "exported_le".to_owned(),
            name => name,
        };
        match labels.iter_mut().find(|(taken, _)| *taken == name) {
            Some((_, joined)) => *joined = format!("{joined};{}", text(&attribute.value)).into(),
            None if name.is_empty() || text(&attribute.value).is_empty() => {}
            None => labels.push((name, text(&attribute.value).into_owned().into())),
        }
    }
    labels
}
