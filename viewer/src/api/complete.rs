//! `/complete.json`: completions for the word at the cursor.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::Api;
use super::params::{Params, Refused};
use crate::model::{Attribute, Record, Span};
use crate::query::{Cursor, Place, Target, contains, fields, fixed_values, quoted, text_of};

/// The number of completions in a response.
const SHOWN: usize = 20;
/// The number of recent spans or log records from which keys and values are taken.
const RECENT: usize = 2_000;
/// The maximum number of distinct keys or values that are counted.
const MAX_DISTINCT: usize = 1_000;
/// The maximum length of a value that is offered.
const MAX_LENGTH: usize = 200;

impl Api {
    pub(super) fn complete(&self, params: Params<'_>) -> Result<Json, Refused> {
        let query = params.query();
        // The position is in characters. The end of the query is the default.
        let at = params.number("at")?.and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
        let at = query.char_indices().nth(at).map_or(query.len(), |(at, _)| at);
        let target = if params.get("for").as_deref() == Some("records") { Target::Records } else { Target::Traces };
        let cursor = Cursor::new(&query, at);
        let items = match &cursor.place {
            Place::Key(typed) => self.keys(typed, target),
            Place::Field { field, value } => {
                let fixed = fixed_values(field);
                if fixed.is_empty() {
                    self.values(value, target, &format!("{field}:"), |item| item.field(field))
                } else {
                    let fitting = fixed.into_iter().filter(|name| name.starts_with(&**value));
                    fitting.map(|name| json!({ "text": format!("{field}:{name}"), "hint": "" })).collect()
                }
            }
            Place::Attribute { key, operator, value } => {
                self.values(value, target, &format!("{key}{operator}"), |item| item.attribute(key))
            }
        };
        let position = |bytes: usize| query.get(..bytes).map_or(0, |before| before.chars().count());
        Ok(json!({ "from": position(cursor.from), "to": position(cursor.to), "items": items }))
    }

    /// Returns fields and attribute keys that begin with or contain what was typed.
    fn keys(&self, typed: &str, target: Target) -> Vec<Json> {
        let lower = typed.to_lowercase();
        let fields = fields(target).filter(|(field, _)| field.starts_with(&*lower));
        let mut items: Vec<Json> =
            fields.map(|(field, hint)| json!({ "text": format!("{field}:"), "hint": hint })).collect();
        if typed.is_empty() && target == Target::Traces {
            items.push(json!({ "text": ">100ms", "hint": "traces that took longer" }));
        }
        let mut keys = Counts::default();
        for item in self.recent(target) {
            for attribute in item.attributes() {
                if contains(&attribute.key, &lower) {
                    keys.add(&attribute.key);
                }
            }
        }
        // A key with a space or quote cannot be written in a query.
        let keys = keys.sorted().into_iter().filter(|(key, _)| quoted(key) == *key);
        items.extend(keys.map(|(key, _)| json!({ "text": format!("{key}="), "hint": "attribute" })));
        items.truncate(SHOWN);
        items
    }

    /// Returns the values that contain what was typed, the most frequent first.
    fn values(&self, typed: &str, target: Target, before: &str, value: impl Fn(&Item) -> Option<String>) -> Vec<Json> {
        let lower = typed.to_lowercase();
        let mut values = Counts::default();
        for item in self.recent(target) {
            let value = value(&item).filter(|value| value.len() <= MAX_LENGTH && contains(value, &lower));
            if let Some(value) = value {
                values.add(&value);
            }
        }
        let items = values.sorted().into_iter().take(SHOWN);
        items
            .map(|(value, count)| json!({ "text": format!("{before}{}", quoted(&value)), "hint": count.to_string() }))
            .collect()
    }

    fn recent(&self, target: Target) -> Vec<Item> {
        self.store.read(|held| match target {
            Target::Records => {
                let from = held.records.next().saturating_sub(RECENT as u64);
                held.records.range(from, RECENT).into_iter().map(|(_, record)| Item::Record(record)).collect()
            }
            Target::Traces | Target::Instruments => {
                let spans = held.traces.newest().flat_map(|trace| trace.spans.iter().take(100));
                spans.take(RECENT).cloned().map(Item::Span).collect()
            }
        })
    }
}

/// A span or a log record.
enum Item {
    Span(Arc<Span>),
    Record(Arc<Record>),
}

impl Item {
    fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        let (own, resource) = match self {
            Item::Span(span) => (&span.attributes, &span.resource),
            Item::Record(record) => (&record.attributes, &record.resource),
        };
        own.iter().chain(&resource.attributes)
    }

    fn attribute(&self, key: &str) -> Option<String> {
        let attribute = self.attributes().find(|attribute| &*attribute.key == key)?;
        Some(text_of(&attribute.value).into_owned())
    }

    fn field(&self, field: &str) -> Option<String> {
        let text = match (self, field) {
            (Item::Span(span), "service") => &*span.resource.service,
            (Item::Record(record), "service") => &*record.resource.service,
            (Item::Span(span), "name") => &*span.name,
            (Item::Record(record), "name" | "event") => &*record.event_name,
            (Item::Span(span), "event") => &*span.events.first()?.name,
            (Item::Span(span), "trace") => return Some(span.trace_id.to_string()),
            (Item::Record(record), "trace") => return Some(record.trace_id.to_string()),
            _ => return None,
        };
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// Texts with their frequencies.
#[derive(Default)]
struct Counts(BTreeMap<String, u64>);

impl Counts {
    fn add(&mut self, text: &str) {
        if let Some(count) = self.0.get_mut(text) {
            *count += 1;
        } else if self.0.len() < MAX_DISTINCT {
            self.0.insert(text.to_owned(), 1);
        }
    }

    fn sorted(self) -> Vec<(String, u64)> {
        let mut counts: Vec<_> = self.0.into_iter().collect();
        counts.sort_by(|(_, a), (_, b)| b.cmp(a));
        counts
    }
}
