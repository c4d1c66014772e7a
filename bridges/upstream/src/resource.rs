//! Converts resources to and from `opentelemetry_sdk` resources.

use opentelemetry::KeyValue;
use telemark_sdk::Resource;

/// Converts a resource from `opentelemetry_sdk`, for instance one from its detectors.
pub fn resource_from_upstream(resource: &opentelemetry_sdk::Resource) -> Resource {
    let attributes = resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::with_schema_url(attributes, resource.schema_url().map(str::to_owned))
}

/// Converts a resource to one from `opentelemetry_sdk`.
pub fn resource_to_upstream(resource: &Resource) -> opentelemetry_sdk::Resource {
    let attributes: Vec<_> = resource.iter().cloned().collect();
    let builder = opentelemetry_sdk::Resource::builder_empty();
    match resource.schema_url() {
        Some(url) => builder.with_schema_url(attributes, url.to_owned()),
        None => builder.with_attributes(attributes),
    }
    .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::{Array, Value};

    #[test]
    fn a_resource_survives_both_conversions() {
        let attributes = [
            KeyValue::new("service.name", "shop"),
            KeyValue::new("replicas", 3),
            KeyValue::new("tags", Value::Array(Array::String(vec!["a".into(), "b".into()]))),
        ];
        for url in [None, Some("https://opentelemetry.io/schemas/1.43.0".to_owned())] {
            let resource = Resource::with_schema_url(attributes.clone(), url);
            assert_eq!(resource_from_upstream(&resource_to_upstream(&resource)), resource);
        }
        let empty = resource_to_upstream(&Resource::empty());
        assert!(empty.is_empty() && empty.schema_url().is_none(), "the conversion detects nothing");
    }
}
