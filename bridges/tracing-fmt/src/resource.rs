//! The resource attributes, which are rendered only once.

use std::borrow::Cow;

use telemark_sdk::Resource;

use crate::format::Format;
use crate::line::{Escape, Line};
use crate::value::Value;

/// The attributes that distinguish services.
const DEFAULT: [&str; 5] =
    ["service.name", "service.namespace", "service.version", "service.instance.id", "deployment.environment.name"];

/// The names of the resource attributes to include in lines.
#[derive(Clone, Debug)]
pub(crate) struct ResourceKeys(Vec<Cow<'static, str>>);

impl Default for ResourceKeys {
    fn default() -> Self {
        ResourceKeys(DEFAULT.map(Cow::Borrowed).to_vec())
    }
}

impl ResourceKeys {
    pub(crate) fn new(keys: impl IntoIterator<Item = String>) -> Self {
        ResourceKeys(keys.into_iter().map(Cow::Owned).collect())
    }

    /// Returns true if a line may contain a resource attribute under this name.
    pub(crate) fn contain(&self, format: Format, name: &str) -> bool {
        self.0.iter().any(|key| format.resource_name(key) == name)
    }

    /// Returns the attributes as members such as `"service.name":"shop"`, in at most `max` bytes. Leaves out attributes that
    /// do not fit, and attributes whose names the format itself uses.
    pub(crate) fn render(&self, format: Format, resource: &Resource, max: usize) -> String {
        let mut line = Line::default();
        line.begin(max);
        for (index, key) in self.0.iter().enumerate() {
            let name = format.resource_name(key);
            let is_repeated = self.0[..index].iter().any(|other| format.resource_name(other) == name);
            let Some(value) = resource.get(key).filter(|_| !is_repeated && !format.is_reserved(name)) else { continue };
            let start = line.len();
            if start > 0 {
                line.raw(",");
            }
            line.raw("\"");
            let is_whole = line.text(name, Escape::Json);
            line.raw("\":");
            Value::from(value).write_json(&mut line);
            if !is_whole || line.is_beyond(0) {
                line.take_back(start);
            }
        }
        String::from_utf8_lossy(line.bytes()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;

    use super::*;

    #[test]
    fn the_attributes_of_the_list_are_rendered_in_its_order() {
        let resource = Resource::new([
            KeyValue::new("service.version", "1.2"),
            KeyValue::new("service.name", "sh\"op"),
            KeyValue::new("service.instance.id", 7),
            KeyValue::new("host.name", "here"),
        ]);
        let check = |keys: ResourceKeys, format, max, expected: &str| {
            assert_eq!(keys.render(format, &resource, max), expected);
        };
        let all = r#""service.name":"sh\"op","service.version":"1.2","service.instance.id":7"#;
        check(ResourceKeys::default(), Format::Json, 1000, all);
        check(ResourceKeys::default(), Format::Ecs, 1000, &all.replace("instance.id", "node.name"));
        let keys = |keys: &[&str]| ResourceKeys::new(keys.iter().map(|&key| key.to_owned()));
        check(keys(&["host.name", "host.name", "other"]), Format::Json, 1000, r#""host.name":"here""#);
        check(keys(&["host.name", "service.version"]), Format::Json, 48 + 25, r#""host.name":"here""#);
        check(keys(&[]), Format::Json, 1000, "");
    }
}
