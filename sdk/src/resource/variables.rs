//! The detector `env`: `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.

use opentelemetry::{Key, KeyValue};

use crate::config::Env;
use crate::error::ConfigError;
use crate::text::percent;

/// Returns the attributes of both variables. The name beats the attribute.
pub(super) fn variables(env: &Env) -> Vec<KeyValue> {
    let mut attributes = from_variable(env);
    attributes.extend(service_name(env));
    attributes
}

pub(super) fn service_name(env: &Env) -> Option<KeyValue> {
    env.string("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name))
}

/// The grammar of a list of attributes.
pub(crate) const LIST: &str = "key=value,key=value with `,`, `=` and `%` percent-encoded";

/// spec: resource/sdk.md#specifying-resource-information-via-an-environment-variable — any error invalidates the whole value.
fn from_variable(env: &Env) -> Vec<KeyValue> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let Some(value) = env.string(NAME) else { return Vec::new() };
    from_list(&value).unwrap_or_else(|| {
        env.warn(ConfigError::invalid(NAME, value, LIST));
        Vec::new()
    })
}

/// Returns the attributes of a list, or `None` if any of them is malformed.
pub(super) fn from_list(list: &str) -> Option<Vec<KeyValue>> {
    list.split(',').filter(|pair| !pair.trim().is_empty()).map(parse_pair).collect()
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

    /// Reads `OTEL_RESOURCE_ATTRIBUTES` and compares the attributes and the number of warnings.
    fn check(value: &str, expected: &str, warnings: usize) {
        let env = Env::from_pairs([("OTEL_RESOURCE_ATTRIBUTES", value)]);
        let text: Vec<_> = variables(&env).iter().map(|a| format!("{}={}", a.key, a.value)).collect();
        assert_eq!(text.join(" "), expected, "{value:?}");
        assert_eq!(env.take_warnings().len(), warnings, "{value:?}");
    }

    #[test]
    fn the_variable() {
        check("b=1, a = two words ,", "b=1 a=two words", 0);
        check("a=x%2Cy%3Dz,gr%C3%B6%C3%9Fe=1", "a=x,y=z größe=1", 0);
        check("url=http://x/?a=b", "url=http://x/?a=b", 0);
        for broken in ["a", "a=1,b", "=1", "a=%4", "a=%zz", "a=%ff"] {
            check(broken, "", 1);
        }
    }
}
