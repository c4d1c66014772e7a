//! The service, and the SDK that describes it.

use opentelemetry::KeyValue;

use super::process::executable;
use super::variables;
use crate::config::Env;
use crate::id;

/// spec: semconv resource/README.md#telemetry-sdk — `opentelemetry` is reserved for the official SDK.
pub(super) fn sdk() -> Vec<KeyValue> {
    vec![
        KeyValue::new("telemetry.sdk.name", "telemark"),
        KeyValue::new("telemetry.sdk.language", "rust"),
        KeyValue::new("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ]
}

/// The name of a service that has none.
///
/// spec: semconv resource/service.md
pub(super) fn default_name() -> KeyValue {
    let name = match executable() {
        Some(executable) => format!("unknown_service:{executable}"),
        None => "unknown_service".to_owned(),
    };
    KeyValue::new("service.name", name)
}

/// The detector `service`: the name from `OTEL_SERVICE_NAME` and the id of the instance.
pub(super) fn service(env: &Env) -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new("service.instance.id", random_uuid())];
    attributes.extend(variables::service_name(env));
    attributes
}

/// Generates a version 4 UUID.
fn random_uuid() -> String {
    let random = u128::from(id::random()) << 64 | u128::from(id::random());
    let bits = random & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

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
