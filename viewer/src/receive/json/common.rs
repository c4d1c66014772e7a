//! The parts that all signals share: values, attributes, resources and scopes, and the order of a request's parts.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::fields::{Fields, base64, double, signed};
use super::{MAX_ITEM, MAX_ORIGIN, items, metrics};
use crate::model::{Attribute, Resource, Scope, Value};
use crate::receive::{Malformed, Signal, Sink};

/// A request of any signal. Its lists are read element by element, because an empty element takes three bytes of a request and far
/// more in a list of ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    resource_spans: Option<&'a RawValue>,
    #[serde(borrow)]
    resource_logs: Option<&'a RawValue>,
    #[serde(borrow)]
    resource_metrics: Option<&'a RawValue>,
}

/// The resource may come after the lists that depend on it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfResource<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, alias = "scopeLogs", alias = "scopeMetrics")]
    scope_spans: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfScope<'a> {
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
    #[serde(borrow, alias = "logRecords", alias = "metrics")]
    spans: Option<&'a RawValue>,
}

const NOT_JSON: Malformed = Malformed("the request is not JSON of this signal");

pub(super) fn signal_of(request: &str) -> Option<Signal> {
    /// Whether the lists are present, without parsing what they contain.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Lists {
        resource_spans: Option<serde::de::IgnoredAny>,
        resource_logs: Option<serde::de::IgnoredAny>,
        resource_metrics: Option<serde::de::IgnoredAny>,
    }
    let lists: Lists = serde_json::from_str(request).ok()?;
    match lists {
        Lists { resource_spans: Some(_), .. } => Some(Signal::Traces),
        Lists { resource_logs: Some(_), .. } => Some(Signal::Logs),
        Lists { resource_metrics: Some(_), .. } => Some(Signal::Metrics),
        _ => None,
    }
}

/// Decodes an item.
type Decode = fn(&mut Item<'_, '_>, Fields<'_>) -> Result<(), Malformed>;

/// Decodes the items of a request into the sink.
pub(super) fn request(signal: Signal, request: &str, sink: &mut Sink<'_>) -> Result<(), Malformed> {
    let request: Request<'_> = serde_json::from_str(request).map_err(|_| NOT_JSON)?;
    let (list, decode): (_, Decode) = match signal {
        Signal::Traces => (request.resource_spans, items::span),
        Signal::Logs => (request.resource_logs, items::record),
        Signal::Metrics => (request.resource_metrics, metrics::metric),
    };
    each(list, |of_resource: OfResource<'_>| {
        let resource = resource(of_resource.resource, sink)?;
        each(of_resource.scope_spans, |of_scope: OfScope<'_>| {
            let scope = scope(of_scope.scope, sink)?;
            each(of_scope.spans, |item: &RawValue| {
                let (Some(resource), Some(scope)) = (&resource, &scope) else {
                    sink.rejected += 1;
                    return Ok(());
                };
                if item.get().len() > MAX_ITEM {
                    sink.rejected += 1;
                    return Ok(());
                }
                let json = parse(item)?;
                let mut item = Item { sink, resource, scope, elements: 0 };
                decode(&mut item, Fields::new(&json)?)
            })
        })
    })
}

/// Calls `visit` for each element of a list, without collecting them.
fn each<'a, T: Deserialize<'a>>(
    list: Option<&'a RawValue>,
    mut visit: impl FnMut(T) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let Some(list) = list else { return Ok(()) };
    let mut visited = Ok(());
    let visit = |element| {
        visited = visit(element);
        visited.is_ok()
    };
    let read = serde_json::Deserializer::from_str(list.get()).deserialize_seq(Each { visit, element: PhantomData });
    visited.and(read.map_err(|_| NOT_JSON))
}

/// Reads a list until `visit` returns false.
struct Each<T, F> {
    visit: F,
    element: PhantomData<T>,
}

impl<'a, T: Deserialize<'a>, F: FnMut(T) -> bool> Visitor<'a> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            if !(self.visit)(element) {
                return Err(A::Error::custom("an element is malformed"));
            }
        }
        Ok(())
    }
}

fn parse(raw: &RawValue) -> Result<Json, Malformed> {
    serde_json::from_str(raw.get()).map_err(|_| Malformed("a value is nested too deeply"))
}

/// An item that is being decoded.
pub(super) struct Item<'i, 's> {
    pub(super) sink: &'i mut Sink<'s>,
    pub(super) resource: &'i Arc<Resource>,
    pub(super) scope: &'i Arc<Scope>,
    /// The number of elements of the item so far.
    pub(super) elements: usize,
}

impl Item<'_, '_> {
    pub(super) fn name(&self, text: &str) -> crate::model::Text {
        self.sink.store().interner().text(text)
    }

    /// Decodes the attributes in this field.
    pub(super) fn attributes(&mut self, of: Fields<'_>, name: &str) -> Result<Box<[Attribute]>, Malformed> {
        let list = of.list(name)?;
        self.elements += list.len();
        attributes(list, self.sink)
    }
}

pub(super) fn attributes(list: &[Json], sink: &Sink<'_>) -> Result<Box<[Attribute]>, Malformed> {
    list.iter().map(|attribute| self::attribute(attribute, sink)).collect()
}

fn attribute(attribute: &Json, sink: &Sink<'_>) -> Result<Attribute, Malformed> {
    let fields = Fields::new(attribute)?;
    let key = sink.store().interner().text(fields.text("key")?);
    Ok(Attribute { key, value: value(fields.message("value")?, sink)? })
}

/// Decodes an `AnyValue`. The parser bounds the depth of the nesting.
pub(super) fn value(message: Option<Fields<'_>>, sink: &Sink<'_>) -> Result<Value, Malformed> {
    let Some(fields) = message else { return Ok(Value::Null) };
    let has = |name| fields.get(name).is_some();
    Ok(if has("stringValue") {
        Value::String(fields.text("stringValue")?.into())
    } else if let Some(value) = fields.get("intValue") {
        Value::Int(signed(value)?)
    } else if has("boolValue") {
        Value::Bool(fields.boolean("boolValue")?)
    } else if let Some(value) = fields.get("doubleValue") {
        Value::Double(double(value)?)
    } else if let Some(array) = fields.message("arrayValue")? {
        let values = array.list("values")?.iter().map(|element| value(Some(Fields::new(element)?), sink));
        Value::Array(values.collect::<Result<_, _>>()?)
    } else if let Some(map) = fields.message("kvlistValue")? {
        Value::Map(attributes(map.list("values")?, sink)?)
    } else if has("bytesValue") {
        Value::Bytes(base64(fields.text("bytesValue")?)?.into())
    } else {
        Value::Null
    })
}

/// Parses a resource or a scope. Returns `None` if it is too large, which is found out before it is parsed.
fn origin(raw: Option<&RawValue>) -> Result<Option<Json>, Malformed> {
    match raw {
        Some(raw) if raw.get().len() > MAX_ORIGIN => Ok(None),
        Some(raw) => parse(raw).map(Some),
        None => Ok(Some(Json::Object(serde_json::Map::new()))),
    }
}

fn resource(raw: Option<&RawValue>, sink: &Sink<'_>) -> Result<Option<Arc<Resource>>, Malformed> {
    let Some(json) = origin(raw)? else { return Ok(None) };
    let attributes = attributes(Fields::new(&json)?.list("attributes")?, sink)?;
    Ok(Some(sink.store().interner().resource(Resource::new(attributes))))
}

fn scope(raw: Option<&RawValue>, sink: &Sink<'_>) -> Result<Option<Arc<Scope>>, Malformed> {
    let Some(json) = origin(raw)? else { return Ok(None) };
    let (fields, interner) = (Fields::new(&json)?, sink.store().interner());
    let attributes = attributes(fields.list("attributes")?, sink)?;
    let (name, version) = (interner.text(fields.text("name")?), interner.text(fields.text("version")?));
    Ok(Some(interner.scope(Scope { name, version, attributes })))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::{Limits, Store};

    #[test]
    fn elements_of_a_list_are_read_one_by_one() {
        let list = |text: &str, stop: u64| {
            let raw = serde_json::from_str::<&RawValue>(text).unwrap();
            let mut seen = Vec::new();
            let result = each(Some(raw), |number: u64| {
                seen.push(number);
                if number == stop { Err(Malformed("stop")) } else { Ok(()) }
            });
            (seen, result)
        };
        assert_eq!(list("[1, 2, 3]", 9), (vec![1, 2, 3], Ok(())));
        assert_eq!(list("[1, 2, 3]", 2), (vec![1, 2], Err(Malformed("stop"))));
        assert_eq!(
            list("[1, 2, \"x\", 3]", 9),
            (vec![1, 2], Err(NOT_JSON)),
            "the first are visited before the others are read"
        );
        assert_eq!(list("{}", 9), (vec![], Err(NOT_JSON)));
    }

    /// Decodes a request with two spans, of which the first has this resource and scope. Returns the names of those that were kept,
    /// and the number of the others.
    fn decoded(resource: &Json, scope: &Json) -> (Vec<String>, u64) {
        let span = |id: u64| json!({ "traceId": format!("{id:032x}"), "spanId": format!("{id:016x}"), "name": format!("span {id}") });
        let first = json!({ "resource": resource, "scopeSpans": [{ "scope": scope, "spans": [span(1)] }] });
        let second = json!({ "scopeSpans": [{ "spans": [span(2)] }] });
        let store = Store::new(Limits::default());
        let mut sink = Sink::new(&store);
        request(Signal::Traces, &json!({ "resourceSpans": [first, second] }).to_string(), &mut sink).unwrap();
        sink.finish();
        (store.spans().iter().map(|span| span.name.to_string()).collect(), sink.rejected)
    }

    #[test]
    fn a_resource_names_all_attributes_that_the_store_leaves_out() {
        let attributes: Vec<Json> = (0..1_000).map(|at| json!({ "key": format!("key {at}") })).collect();
        let text = json!({ "attributes": attributes }).to_string();
        let store = Store::new(Limits::default());
        let resource = resource(Some(serde_json::from_str(&text).unwrap()), &Sink::new(&store)).unwrap().unwrap();
        let last = resource.attributes.last().map(|last| &last.value);
        assert!(
            matches!(last, Some(Value::String(text)) if text.starts_with("745 attributes: key 255, key 256")),
            "{last:?}"
        );
    }

    #[test]
    fn items_of_a_large_resource_or_scope_are_refused_before_it_is_parsed() {
        let (all, second) = (vec!["span 1".to_owned(), "span 2".to_owned()], vec!["span 2".to_owned()]);
        assert_eq!(decoded(&Json::Null, &json!({ "name": "x".repeat(1 << 19) })), (all, 0));
        // Text is neither a resource nor a scope, but only parsing finds that out.
        let large = Json::String("x".repeat(MAX_ORIGIN));
        assert_eq!(decoded(&large, &json!({})), (second.clone(), 1));
        assert_eq!(decoded(&json!({}), &large), (second, 1));
    }
}
