//! The labels shared by all series in a scope: the scope's own labels, and the resource attributes selected in the
//! configuration.

use opentelemetry::InstrumentationScope;
use telemark_sdk::Resource;

use super::labels::Label;
use crate::config::PageConfig;
use crate::format::Format;
use crate::text::value::value_text;

/// Returns the labels for the scope and for the selected resource attributes.
///
/// spec: compatibility/prometheus_and_openmetrics.md#instrumentation-scope-1
pub(super) fn scope_labels(
    config: &PageConfig,
    format: Format,
    resource: &Resource,
    scope: &InstrumentationScope,
) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    let label = |key: &str| config.strategy.label(key, format.escaping());
    if config.scope_labels {
        let own = [
            ("otel_scope_name", Some(scope.name())),
            ("otel_scope_version", scope.version()),
            ("otel_scope_schema_url", scope.schema_url()),
        ];
        // Empty labels are removed below, but reserve their names until then.
        labels.extend(own.map(|(name, text)| (label(name), text.unwrap_or_default().to_owned())));
        for attribute in scope.attributes() {
            let name = label(&format!("otel_scope_{}", attribute.key));
            match labels.iter().position(|(taken, _)| *taken == name) {
                // spec: attributes that collide with the name, the version or the schema URL must be dropped
                Some(0..3) => {}
                Some(other) => join(&mut labels[other].1, &value_text(&attribute.value)),
                None => labels.push((name, value_text(&attribute.value).into_owned())),
            }
        }
        labels.retain(|(_, text)| !text.is_empty());
    }
    for attribute in resource.iter().filter(|attribute| config.is_resource_label(attribute.key.as_str())) {
        let name = match label(attribute.key.as_str()) {
            // Histogram buckets use the label `le`.
            name if name == "le" => "exported_le".to_owned(),
            name => name,
        };
        let text = value_text(&attribute.value);
        match labels.iter_mut().find(|(taken, _)| *taken == name) {
            Some((_, joined)) => join(joined, &text),
            None if name.is_empty() || text.is_empty() => {}
            None => labels.push((name, text.into_owned())),
        }
    }
    labels
}

fn join(joined: &mut String, text: &str) {
    joined.push(';');
    joined.push_str(text);
}
