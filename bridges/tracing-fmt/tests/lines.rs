//! Every event is one line of valid JSON without duplicate names, within the size limit, regardless of its contents.
#![allow(clippy::unwrap_used, reason = "test helpers")]

mod common;

use std::collections::BTreeMap;
use std::fmt;

use common::{Kept, layer};
use opentelemetry::KeyValue;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use telemark_sdk::Resource;
use telemark_tracing_fmt::Format;
use tracing_subscriber::layer::SubscriberExt;

/// A JSON object, which is rejected if it or a nested object contains a duplicate name.
#[derive(Debug)]
struct Object(BTreeMap<String, serde_json::Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Box<serde_json::value::RawValue>>()? {
            if value.get().starts_with('{') {
                serde_json::from_str::<Object>(value.get()).map_err(A::Error::custom)?;
            }
            let value = serde_json::from_str(value.get()).map_err(A::Error::custom)?;
            if members.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format!("{name} occurs twice")));
            }
        }
        Ok(Object(members))
    }
}

#[test]
fn the_checker_notices_duplicates() {
    assert!(serde_json::from_str::<Object>(r#"{"a":1,"b":{"a":1}}"#).is_ok());
    assert!(serde_json::from_str::<Object>(r#"{"a":1,"a":2}"#).is_err());
    assert!(serde_json::from_str::<Object>(r#"{"b":{"a":1,"a":2}}"#).is_err());
}

/// Returns the name of the message, the object that contains a field, and the field's name.
fn names(format: Format) -> (&'static str, Option<&'static str>, &'static str) {
    match format {
        Format::Json => ("body", Some("attributes"), "text"),
        Format::JsonFlat => ("body", None, "text"),
        _ => ("message", None, "labels.text"),
    }
}

proptest! {
    #[test]
    fn any_text_is_one_line_that_says_the_same(
        message in ".{0,60}|(\\PC|[\\x00-\\x20\"\\\\\\u{2028}]){0,300}",
        text in "(\\PC|[\\x00-\\x20\"\\\\]){0,2000}",
        shown: Vec<char>,
        number: f64,
        unsigned: u64,
        max in 0..6000_usize,
    ) {
        for format in [Format::Json, Format::JsonFlat, Format::Ecs, Format::Text] {
            let kept = Kept::default();
            let resource = Resource::new([KeyValue::new("service.name", message.clone())]);
            let layer = layer(format, &kept).with_max_line_size(max).with_resource(&resource).with_span_fields();
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                let _span = tracing::info_span!("span", text = "other", trace_id = text, body = ?shown, number).entered();
                tracing::info!(
                    target: "tar\"get\n",
                    text, number, unsigned, number, severity = text, "a\"b\n" = 1, trace.id = 2, attributes.severity = 3,
                    labels.text = 4, service.name = 5, error.message = 6, telemark.truncated = 7, attributes = 8,
                    shown = ?shown, "{message}"
                );
            });
            let line = kept.lines();
            prop_assert!(line.len() <= max.max(2048), "{} bytes", line.len());
            prop_assert!(!line.trim_end().chars().any(char::is_control), "{line:?}");
            if format == Format::Text {
                continue;
            }
            let object = serde_json::from_str::<Object>(&line);
            prop_assert!(object.is_ok(), "{object:?} in {line}");
            let object = object.unwrap().0;
            let (body, within, field) = names(format);
            if !object.contains_key("telemark.truncated") {
                prop_assert_eq!(object[body].as_str(), Some(&*message));
                let written = within.map_or_else(|| &object[field], |within| &object[within][field]);
                prop_assert_eq!(written.as_str(), Some(&*text));
            } else {
                prop_assert!(message.starts_with(object[body].as_str().unwrap()));
            }
        }
    }
}
