//! The resource that produces telemetry, described by attributes of the service, its process and its host.

mod creation_time;
mod detector;
mod files;
mod host;
mod process;
mod service;
mod variables;

use std::fmt;
use std::sync::Arc;

use opentelemetry::{KeyValue, Value};

pub use self::detector::{DETECTION_TIMEOUT, DETECTORS, Detector, detect};
pub use self::files::read_text;
pub(crate) use self::variables::LIST;
use crate::attributes::has_key;
use crate::config::Env;
use crate::text::Patterns;
use crate::time::Deadline;

/// Schema URL of the semantic conventions that the detected resource and the SDK's own scopes follow.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

/// The attributes that all telemetry of a provider shares. Cheap to clone.
///
/// spec: resource/sdk.md
#[derive(Clone, PartialEq)]
pub struct Resource(Arc<Inner>);

#[derive(PartialEq)]
struct Inner {
    /// Sorted by key, without duplicates.
    attributes: Vec<KeyValue>,
    schema_url: Option<String>,
}

impl Resource {
    /// Creates a resource without attributes.
    pub fn empty() -> Self {
        Resource::new([])
    }

    /// Creates a resource with these attributes. If a key occurs more than once, its last value wins. Attributes with
    /// an empty key are dropped.
    pub fn new(attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        Resource::with_schema_url(attributes, None)
    }

    /// Creates a resource whose attributes follow the conventions at `schema_url`.
    pub fn with_schema_url(attributes: impl IntoIterator<Item = KeyValue>, schema_url: Option<String>) -> Self {
        let mut attributes: Vec<_> = attributes.into_iter().filter(has_key).collect();
        attributes.sort_by(|one, other| one.key.cmp(&other.key));
        attributes.dedup_by(|later, kept| {
            let is_same = later.key == kept.key;
            if is_same {
                std::mem::swap(&mut kept.value, &mut later.value);
            }
            is_same
        });
        Resource(Arc::new(Inner { attributes, schema_url: schema_url.filter(|url| !url.is_empty()) }))
    }

    /// Detects the resource of this process: attributes of the SDK, and what the detectors of `OTEL_RUST_RESOURCE_DETECTORS` find,
    /// by default `service`, `process` and `host`, overridden by `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`. The schema URL
    /// is that of version 1.45.0 of the semantic conventions.
    ///
    /// spec: resource/sdk.md#detecting-resource-information-from-the-environment
    pub fn from_env(env: &Env) -> Self {
        Resource::from_env_with(env, &[])
    }

    /// Detects the resource of this process, like [`Self::from_env`]. `OTEL_RUST_RESOURCE_DETECTORS` may also name `detectors`. Takes no
    /// longer than [`DETECTION_TIMEOUT`], unless a detector that runs on this thread waits.
    pub fn from_env_with(env: &Env, detectors: &[Detector]) -> Self {
        let selected = detector::selected(env, detectors);
        let detected = detect(&selected, env, Deadline::after(DETECTION_TIMEOUT));
        Resource::base().merge(&detected).merge(&Resource::new(variables::variables(env)))
    }

    /// Returns the attributes that every resource has: those of the SDK, and a `service.name` for a service without one.
    ///
    /// spec: resource/sdk.md#sdk-provided-resource-attributes
    pub fn base() -> Self {
        detector::base()
    }

    /// Parses a list of attributes in the grammar of `OTEL_RESOURCE_ATTRIBUTES`. Returns `None` if any of them is malformed.
    pub(crate) fn from_list(list: &str) -> Option<Self> {
        variables::from_list(list).map(Resource::new)
    }

    /// Returns the names of the detectors that `OTEL_RUST_RESOURCE_DETECTORS` selects, in their order.
    pub(crate) fn selected_detectors(env: &Env, detectors: &[Detector]) -> Vec<&'static str> {
        detector::selected(env, detectors).iter().map(Detector::name).collect()
    }

    /// Returns the attributes whose keys match, with the same schema URL.
    pub(crate) fn only(&self, patterns: &Patterns) -> Self {
        let kept = self.iter().filter(|attribute| patterns.matches(attribute.key.as_str())).cloned();
        Resource::with_schema_url(kept, self.0.schema_url.clone())
    }

    /// Returns this resource with the attributes of `over` added. If both have the same key, `over` wins.
    ///
    /// Keeps the schema URL if only one of the two resources has one, or if both have the same one; otherwise clears
    /// it.
    ///
    /// spec: resource/sdk.md#merge
    pub fn merge(&self, over: &Resource) -> Resource {
        let schema_url = match (&self.0.schema_url, &over.0.schema_url) {
            (Some(a), Some(b)) if a != b => None,
            (a, b) => b.clone().or_else(|| a.clone()),
        };
        Resource::with_schema_url(self.iter().chain(over.iter()).cloned(), schema_url)
    }

    /// Returns the attributes, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = &KeyValue> {
        self.0.attributes.iter()
    }

    /// Returns the value of the attribute with this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let index = self.0.attributes.binary_search_by(|attribute| attribute.key.as_str().cmp(key)).ok()?;
        Some(&self.0.attributes[index].value)
    }

    /// Returns the schema URL of the conventions that the attributes follow.
    pub fn schema_url(&self) -> Option<&str> {
        self.0.schema_url.as_deref()
    }

    /// Returns true if there are no attributes.
    pub fn is_empty(&self) -> bool {
        self.0.attributes.is_empty()
    }

    /// Returns true if both are clones that share one allocation. This is a cheap comparison for caches.
    pub fn is_same(&self, other: &Resource) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Shows the attributes as a map, such as `{"service.name": "shop"}`.
impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|KeyValue { key, value, .. }| (key.as_str(), value.as_str()))).finish()
    }
}

impl Default for Resource {
    fn default() -> Self {
        Resource::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(resource: &Resource) -> String {
        resource.iter().map(|a| format!("{}={}", a.key, a.value)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_last_value_of_a_key_wins() {
        let resource = Resource::new([KeyValue::new("b", 1), KeyValue::new("a", 2), KeyValue::new("b", 3)]);
        assert_eq!(text(&resource), "a=2 b=3");
        assert_eq!(resource.get("b"), Some(&Value::I64(3)));
        assert_eq!(resource.get("c"), None);
    }

    #[test]
    fn an_attribute_without_a_key_is_dropped() {
        let bad = Resource::new([KeyValue::new("", 1), KeyValue::new("a", 2)]);
        assert_eq!(text(&bad), "a=2");
        assert_eq!(text(&bad.merge(&Resource::new([KeyValue::new("", 3)]))), "a=2");
    }

    #[test]
    fn merging_prefers_the_other_and_keeps_a_schema_url_that_is_true_of_all() {
        let with = |key: &'static str, value: &'static str, url: Option<&str>| {
            Resource::with_schema_url([KeyValue::new(key, value)], url.map(str::to_owned))
        };
        let merged = with("a", "1", Some("u")).merge(&with("a", "2", None));
        assert_eq!((text(&merged).as_str(), merged.schema_url()), ("a=2", Some("u")));
        assert_eq!(with("a", "1", Some("u")).merge(&with("b", "2", Some("v"))).schema_url(), None);
        assert_eq!(with("a", "1", None).merge(&with("b", "2", Some("v"))).schema_url(), Some("v"));
    }

    #[test]
    fn the_service_name_variable_beats_the_attribute() {
        let env = Env::from_pairs([
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,service.version=2"),
            ("OTEL_SERVICE_NAME", "b"),
        ]);
        let resource = Resource::from_env(&env);
        assert_eq!(resource.get("service.name"), Some(&Value::from("b")));
        assert_eq!(resource.get("service.version"), Some(&Value::from("2")));
        assert_eq!(resource.get("telemetry.sdk.name"), Some(&Value::from("telemark")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_is_named_by_its_id_and_its_creation_time() {
        let resource = Resource::from_env(&Env::from_pairs([("", "")]));
        assert_eq!(resource.get("process.pid"), Some(&Value::I64(std::process::id().into())));
        let time = resource.get("process.creation.time").unwrap().as_str().into_owned();
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    }

    #[test]
    fn what_is_detected_says_which_conventions_it_follows() {
        let env = Env::from_pairs([("OTEL_RESOURCE_ATTRIBUTES", "a=1"), ("OTEL_SERVICE_NAME", "b")]);
        assert_eq!(Resource::from_env(&env).schema_url(), Some("https://opentelemetry.io/schemas/1.45.0"));
    }

    #[test]
    fn without_a_name_the_service_is_called_after_the_executable() {
        let resource = Resource::from_env(&Env::from_pairs([("", "")]));
        let name = resource.get("service.name").unwrap().as_str().into_owned();
        assert!(name.starts_with("unknown_service:telemark_sdk"), "{name}");
    }

    #[test]
    fn without_detectors_there_are_the_sdk_the_name_and_the_variables() {
        let detectors = |names: &str| {
            let env = Env::from_pairs([
                ("OTEL_RUST_RESOURCE_DETECTORS", names),
                ("OTEL_RESOURCE_ATTRIBUTES", "a=1,host.arch=mine"),
                ("OTEL_SERVICE_NAME", "shop"),
            ]);
            let resource = Resource::from_env(&env);
            resource.iter().map(|attribute| attribute.key.to_string()).collect::<Vec<_>>().join(" ")
        };
        let none = "a host.arch service.name telemetry.sdk.language telemetry.sdk.name telemetry.sdk.version";
        assert_eq!(detectors("none"), none);
        assert_eq!(detectors("env"), none);
        assert_eq!(detectors("service"), none.replace("service.name", "service.instance.id service.name"));
        assert!(detectors("").contains("process.pid") && detectors("").contains("service.instance.id"));
    }

    #[test]
    fn the_variables_beat_every_detector() {
        const MORE: &[Detector] =
            &[Detector::new("more", |_, _| Resource::new([KeyValue::new("a", 1), KeyValue::new("b", 1)]))];
        let env = Env::from_pairs([("OTEL_RUST_RESOURCE_DETECTORS", "env,more"), ("OTEL_RESOURCE_ATTRIBUTES", "a=2")]);
        let resource = Resource::from_env_with(&env, MORE);
        assert_eq!((resource.get("a"), resource.get("b")), (Some(&Value::from("2")), Some(&Value::I64(1))));
    }
}
