//! The resource that produces telemetry, described by attributes of the service, its process and its host.

mod creation_time;

use std::fmt;
use std::sync::Arc;

use opentelemetry::{Key, KeyValue, Value};

use crate::attributes::has_key;
use crate::config::Env;
use crate::error::ConfigError;
use crate::id;
use crate::text::percent;

/// Schema URL of the semantic conventions that the detected resource and the SDK's own scopes follow.
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

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

impl Inner {
    /// Inserts an attribute in key order. If a key occurs more than once, its last value wins. An attribute with an
    /// empty key is dropped. There are too few attributes for sorting to pay off.
    fn insert(&mut self, attribute: KeyValue) {
        if !has_key(&attribute) {
            return;
        }
        match self.attributes.binary_search_by(|other| other.key.cmp(&attribute.key)) {
            Ok(index) => self.attributes[index] = attribute,
            Err(index) => self.attributes.insert(index, attribute),
        }
    }
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
        let mut resource = Inner { attributes: Vec::new(), schema_url: schema_url.filter(|url| !url.is_empty()) };
        attributes.into_iter().for_each(|attribute| resource.insert(attribute));
        Resource(Arc::new(resource))
    }

    /// Detects the resource of this process: attributes of the SDK, the service, the process and the host, overridden
    /// by `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`. The schema URL is that of version 1.45.0 of the semantic
    /// conventions.
    ///
    /// spec: resource/sdk.md#detecting-resource-information-from-the-environment
    pub fn from_env(env: &Env) -> Self {
        let detected = [sdk(), service(), process(), host()].concat();
        let named = env.string("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name));
        Resource::with_schema_url(detected, Some(SCHEMA_URL.to_owned()))
            .merge(&from_variable(env))
            .merge(&Resource::new(named))
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

/// spec: semconv resource/README.md#telemetry-sdk — `opentelemetry` is reserved for the official SDK.
fn sdk() -> Vec<KeyValue> {
    vec![
        KeyValue::new("telemetry.sdk.name", "telemark"),
        KeyValue::new("telemetry.sdk.language", "rust"),
        KeyValue::new("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ]
}

fn service() -> Vec<KeyValue> {
    let name = match executable() {
        Some(executable) => format!("unknown_service:{executable}"),
        None => "unknown_service".to_owned(),
    };
    vec![KeyValue::new("service.name", name), KeyValue::new("service.instance.id", random_uuid())]
}

fn process() -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("process.pid", i64::from(std::process::id())),
        KeyValue::new("process.runtime.name", "rustc"),
    ];
    attributes.extend(executable().map(|name| KeyValue::new("process.executable.name", name)));
    attributes.extend(creation_time::creation_time().map(|time| KeyValue::new("process.creation.time", time)));
    let path = std::env::current_exe().ok();
    attributes.extend(path.map(|path| KeyValue::new("process.executable.path", path.to_string_lossy().into_owned())));
    attributes
}

fn host() -> Vec<KeyValue> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    };
    let os = match std::env::consts::OS {
        "macos" | "ios" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    };
    let mut attributes = vec![KeyValue::new("host.arch", arch), KeyValue::new("os.type", os)];
    attributes.extend(first_line(&["/proc/sys/kernel/hostname", "/etc/hostname"], "host.name"));
    attributes.extend(first_line(&["/etc/machine-id", "/var/lib/dbus/machine-id"], "host.id"));
    attributes
}

/// Returns the first line of the first file that is not empty. Used only for small system files, once at startup.
fn first_line(files: &[&str], key: &'static str) -> Option<KeyValue> {
    files.iter().find_map(|file| {
        let content = std::fs::read_to_string(file).ok()?;
        let line = content.lines().next()?.trim();
        (!line.is_empty()).then(|| KeyValue::new(key, line.to_owned()))
    })
}

fn executable() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// Generates a version 4 UUID.
fn random_uuid() -> String {
    let random = u128::from(id::random()) << 64 | u128::from(id::random());
    let bits = random & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// spec: resource/sdk.md#specifying-resource-information-via-an-environment-variable — any error invalidates the whole value.
fn from_variable(env: &Env) -> Resource {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let Some(value) = env.string(NAME) else { return Resource::empty() };
    let attributes: Option<Vec<_>> = value.split(',').filter(|pair| !pair.trim().is_empty()).map(parse_pair).collect();
    match attributes {
        Some(attributes) => Resource::new(attributes),
        None => {
            let accepted = "key=value,key=value with `,`, `=` and `%` percent-encoded";
            env.warn(ConfigError::invalid(NAME, value, accepted));
            Resource::empty()
        }
    }
}

fn parse_pair(pair: &str) -> Option<KeyValue> {
    let (key, value) = pair.split_once('=')?;
    let key = percent::decode(key.trim())?;
    (!key.is_empty()).then_some(())?;
    let value = percent::decode(value.trim())?;
    Some(KeyValue::new(Key::from(key), value))
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

    /// Reads `OTEL_RESOURCE_ATTRIBUTES` and compares the attributes and the number of warnings.
    fn check(value: &str, expected: &str, warnings: usize) {
        let env = Env::from_pairs([("OTEL_RESOURCE_ATTRIBUTES", value)]);
        assert_eq!(text(&from_variable(&env)), expected, "{value:?}");
        assert_eq!(env.take_warnings().len(), warnings, "{value:?}");
    }

    #[test]
    fn the_variable() {
        check("a=1, b = two words ,", "a=1 b=two words", 0);
        check("a=x%2Cy%3Dz,gr%C3%B6%C3%9Fe=1", "a=x,y=z größe=1", 0);
        check("url=http://x/?a=b", "url=http://x/?a=b", 0);
        for broken in ["a", "a=1,b", "=1", "a=%4", "a=%zz", "a=%ff"] {
            check(broken, "", 1);
        }
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
    fn instance_ids_are_random_version_4_uuids() {
        let id = random_uuid();
        let shape: String = id.chars().map(|c| if c.is_ascii_hexdigit() { 'x' } else { c }).collect();
        assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        assert_ne!(id, random_uuid());
    }
}
