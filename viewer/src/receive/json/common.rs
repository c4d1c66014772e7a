//! The parts that all signals share: values, attributes, resources and scopes, and the order of a request's parts.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::fields::{Fields, base64, double, signed};
use super::{MAX_ITEM, items, metrics};
use crate::model::{Attribute, Resource, Scope, Value};
use crate::receive::{Malformed, Signal, Sink};

/// A request of any signal.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    resource_spans: Option<Vec<OfResource<'a>>>,
    #[serde(borrow)]
    resource_logs: Option<Vec<OfResource<'a>>>,
    #[serde(borrow)]
    resource_metrics: Option<Vec<OfResource<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfResource<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, alias = "scopeLogs", alias = "scopeMetrics")]
    scope_spans: Option<Vec<OfScope<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfScope<'a> {
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
    #[serde(borrow, alias = "logRecords", alias = "metrics")]
    spans: Option<Vec<&'a RawValue>>,
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
    for of_resource in list.into_iter().flatten() {
        let resource = resource(of_resource.resource, sink)?;
        for of_scope in of_resource.scope_spans.into_iter().flatten() {
            let scope = scope(of_scope.scope, sink)?;
            for item in of_scope.spans.into_iter().flatten() {
                if item.get().len() > MAX_ITEM {
                    sink.rejected += 1;
                    continue;
                }
                let json = parse(item)?;
                let mut item = Item { sink, resource: &resource, scope: &scope, elements: 0 };
                decode(&mut item, Fields::new(&json)?)?;
            }
        }
    }
    Ok(())
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

/// Returns the attributes of a resource or scope that may be kept, because an empty one takes three bytes of a request and far more here.
fn bounded(attributes: &[Json]) -> &[Json] {
    attributes.get(..MAX_SHARED).unwrap_or(attributes)
}

/// Twice what the store keeps.
const MAX_SHARED: usize = 512;

fn resource(raw: Option<&RawValue>, sink: &Sink<'_>) -> Result<Arc<Resource>, Malformed> {
    let json = raw.map(parse).transpose()?.filter(|json| !json.is_null());
    let attributes = match &json {
        Some(json) => attributes(bounded(Fields::new(json)?.list("attributes")?), sink)?,
        None => Box::default(),
    };
    Ok(sink.store().interner().resource(Resource::new(attributes)))
}

fn scope(raw: Option<&RawValue>, sink: &Sink<'_>) -> Result<Arc<Scope>, Malformed> {
    let json = raw.map(parse).transpose()?.filter(|json| !json.is_null());
    let interner = sink.store().interner();
    let scope = match &json {
        Some(json) => {
            let fields = Fields::new(json)?;
            let attributes = attributes(bounded(fields.list("attributes")?), sink)?;
            let (name, version) = (fields.text("name")?, fields.text("version")?);
            Scope { name: interner.text(name), version: interner.text(version), attributes }
        }
        None => Scope { name: interner.text(""), version: interner.text(""), attributes: Box::default() },
    };
    Ok(interner.scope(scope))
}
