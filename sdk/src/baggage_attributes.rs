//! Baggage entries that are recorded as attributes, and the keys that select them.

use opentelemetry::baggage::BaggageExt;
use opentelemetry::{Context, KeyValue};

use crate::config::Env;

/// Selects the baggage entries that are copied to spans when they start and to log records when they are emitted. By default, no
/// entries are selected.
///
/// Baggage comes from other programs, possibly from any client, and may contain personal data. List only keys that
/// this program may store. Entries are copied as text and count as attributes of the span or record. They never replace an
/// attribute that it already has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaggageAttributes {
    keys: Vec<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Exactly(String),
    StartingWith(String),
}

impl Key {
    fn matches(&self, key: &str) -> bool {
        match self {
            Key::Exactly(own) => own == key,
            Key::StartingWith(prefix) => key.starts_with(&**prefix),
        }
    }
}

impl BaggageAttributes {
    /// Selects the entries with these keys. A `*` at the end of a key matches any number of characters.
    ///
    /// ```
    /// # use telemark_sdk::baggage_attributes::BaggageAttributes;
    /// let selected = BaggageAttributes::new(["user.id", "tenant.*"]);
    /// ```
    pub fn new<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Self {
        let parse = |key: K| match key.as_ref().strip_suffix('*') {
            Some(prefix) => Key::StartingWith(prefix.to_owned()),
            None => Key::Exactly(key.as_ref().to_owned()),
        };
        BaggageAttributes { keys: keys.into_iter().map(parse).collect() }
    }

    /// Reads `OTEL_RUST_BAGGAGE_ATTRIBUTES`, a comma-separated list.
    pub fn from_env(env: &Env) -> Self {
        let keys = env.string("OTEL_RUST_BAGGAGE_ATTRIBUTES").unwrap_or_default();
        BaggageAttributes::new(keys.split(',').map(str::trim).filter(|key| !key.is_empty()))
    }

    /// Returns true if no entry is selected.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the selected entries of the baggage in `context`, as attributes.
    pub fn in_context<'a>(&'a self, context: &'a Context) -> impl Iterator<Item = KeyValue> + 'a {
        let is_selected = |key: &str| self.keys.iter().any(|selected| selected.matches(key));
        let entries = context.baggage().iter().filter(move |(key, _)| is_selected(key.as_str()));
        entries.map(|(key, (value, _))| KeyValue::new(key.clone(), value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variable: &str, expected: &str) {
        let selected = BaggageAttributes::from_env(&Env::from_pairs([("OTEL_RUST_BAGGAGE_ATTRIBUTES", variable)]));
        let entries = [("tenant.id", "t1"), ("tenant.plan", "gold"), ("tenant", "one"), ("user", "ann")];
        let context = Context::new().with_baggage(entries.map(|(key, value)| KeyValue::new(key, value)));
        let copied = selected.in_context(&context);
        let mut copied: Vec<_> = copied.map(|attribute| format!("{}={}", attribute.key, attribute.value)).collect();
        copied.sort();
        assert_eq!(copied.join(" "), expected);
        assert_eq!(selected.is_empty(), copied.is_empty() && !variable.contains("other"));
    }

    #[test]
    fn a_list_selects_keys_and_prefixes() {
        check("", "");
        check(" user , tenant.id,", "tenant.id=t1 user=ann");
        check("tenant.*", "tenant.id=t1 tenant.plan=gold");
        check("tenant*", "tenant.id=t1 tenant.plan=gold tenant=one");
        check("*", "tenant.id=t1 tenant.plan=gold tenant=one user=ann");
        check("other,ten", "");
    }
}
