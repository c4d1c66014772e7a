//! The parts that all signals share: names, values, attributes, resources and scopes.

use std::collections::HashMap;
use std::sync::Arc;

use super::wire::{Fields, Wire};
use crate::model::{Attribute, Resource, Scope, SpanId, Text, TraceId, Value};
use crate::receive::{Malformed, Sink};

/// The maximum number of elements in an item. Attributes, events, links and values beyond it are dropped and counted.
pub(super) const MAX_ELEMENTS: usize = 1 << 16;
/// The encoded bytes that count as one more element.
const ELEMENT_BYTES: usize = 256;
/// The maximum depth of a value. Deeper values are empty.
const MAX_DEPTH: usize = 32;
/// The longest text that is shared within a request.
const MAX_SHARED: usize = 64;
/// The maximum number of texts that are shared within a request.
const MAX_TEXTS: usize = 4096;

/// Decodes a request into its sink.
pub(super) struct Decoder<'a, 's> {
    pub(super) sink: Sink<'s>,
    /// Names of this request, so that a name that repeats is looked up in the store once.
    names: HashMap<&'a [u8], Text>,
    /// Short values of this request, which its items share.
    values: HashMap<&'a [u8], Text>,
    /// The bounds of the last histogram, which the next one usually shares.
    bounds: Arc<[f64]>,
    /// The number of elements that the current item may still have.
    left: usize,
    /// The encoded size of the current item.
    bytes: usize,
}

impl<'a, 's> Decoder<'a, 's> {
    pub(super) fn new(sink: Sink<'s>) -> Self {
        let (names, values) = (HashMap::new(), HashMap::new());
        Decoder { sink, names, values, bounds: Arc::default(), left: MAX_ELEMENTS, bytes: 0 }
    }

    /// Starts an item, or a point of a metric.
    pub(super) fn begin(&mut self, message: &[u8]) {
        self.left = MAX_ELEMENTS;
        self.bytes = message.len();
    }

    /// Returns the number of elements since the start of the item. A long text counts as several.
    pub(super) fn elements(&self) -> usize {
        MAX_ELEMENTS - self.left + self.bytes / ELEMENT_BYTES
    }

    /// Counts an element of the item. Returns false if the item has no room for it.
    pub(super) fn take(&mut self) -> bool {
        let has_room = self.left > 0;
        self.left = self.left.saturating_sub(1);
        has_room
    }

    /// Returns a name, which the store shares. Replaces invalid UTF-8.
    pub(super) fn name(&mut self, bytes: &'a [u8]) -> Text {
        let interner = self.sink.store().interner();
        shared(&mut self.names, bytes, |text| interner.text(text))
    }

    /// Returns the text of a value. Items of one request share it, but not those of other requests.
    fn text(&mut self, bytes: &'a [u8]) -> Text {
        shared(&mut self.values, bytes, |text| text.into())
    }

    /// Returns the bounds of a histogram.
    pub(super) fn bounds(&mut self, bounds: Vec<f64>) -> Arc<[f64]> {
        if *self.bounds != *bounds {
            self.bounds = bounds.into();
        }
        self.bounds.clone()
    }

    /// Appends an attribute, or counts it as dropped.
    pub(super) fn attribute(
        &mut self,
        to: &mut Vec<Attribute>,
        dropped: &mut u32,
        message: &'a [u8],
    ) -> Result<(), Malformed> {
        self.attribute_at(to, dropped, message, 0)
    }

    fn attribute_at(
        &mut self,
        to: &mut Vec<Attribute>,
        dropped: &mut u32,
        message: &'a [u8],
        depth: usize,
    ) -> Result<(), Malformed> {
        let is_kept = self.take();
        let (mut fields, mut key, mut value) = (Fields::new(message), &[][..], Value::Null);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => key = field.bytes()?,
                2 if is_kept => value = self.value(field.bytes()?, depth)?,
                _ => {}
            }
        }
        match is_kept {
            true => to.push(Attribute { key: self.name(key), value }),
            false => *dropped = dropped.saturating_add(1),
        }
        Ok(())
    }

    /// Decodes an `AnyValue`.
    pub(super) fn value(&mut self, message: &'a [u8], depth: usize) -> Result<Value, Malformed> {
        let (mut fields, mut value) = (Fields::new(message), Value::Null);
        while let Some((number, field)) = fields.next()? {
            value = match number {
                1 => Value::String(self.text(field.bytes()?)),
                2 => Value::Bool(field.varint()? != 0),
                3 => Value::Int(field.varint()? as i64),
                4 => Value::Double(field.double()?),
                5 => self.array(field.bytes()?, depth + 1)?,
                6 => self.map(field.bytes()?, depth + 1)?,
                7 => Value::Bytes(field.bytes()?.into()),
                _ => continue,
            };
        }
        Ok(value)
    }

    fn array(&mut self, message: &'a [u8], depth: usize) -> Result<Value, Malformed> {
        let (mut fields, mut values) = (Fields::new(message), Vec::new());
        while let Some((number, field)) = fields.next()? {
            if number == 1 && depth < MAX_DEPTH && self.take() {
                values.push(self.value(field.bytes()?, depth)?);
            }
        }
        Ok(Value::Array(values.into()))
    }

    fn map(&mut self, message: &'a [u8], depth: usize) -> Result<Value, Malformed> {
        let (mut fields, mut entries) = (Fields::new(message), Vec::new());
        while let Some((number, field)) = fields.next()? {
            if number == 1 && depth < MAX_DEPTH {
                self.attribute_at(&mut entries, &mut 0, field.bytes()?, depth)?;
            }
        }
        Ok(Value::Map(entries.into()))
    }

    fn resource(&mut self, message: &'a [u8]) -> Result<Arc<Resource>, Malformed> {
        self.begin(message);
        let (mut fields, mut attributes) = (Fields::new(message), Vec::new());
        while let Some((number, field)) = fields.next()? {
            if number == 1 {
                self.attribute(&mut attributes, &mut 0, field.bytes()?)?;
            }
        }
        Ok(self.sink.resource(Resource::new(attributes.into())))
    }

    fn scope(&mut self, message: &'a [u8]) -> Result<Arc<Scope>, Malformed> {
        self.begin(message);
        let (mut fields, mut attributes) = (Fields::new(message), Vec::new());
        let (mut name, mut version) = (&[][..], &[][..]);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => name = field.bytes()?,
                2 => version = field.bytes()?,
                3 => self.attribute(&mut attributes, &mut 0, field.bytes()?)?,
                _ => {}
            }
        }
        let scope = Scope { name: self.name(name), version: self.name(version), attributes: attributes.into() };
        Ok(self.sink.scope(scope))
    }

    /// Calls `decode` for each item of a request with its resource and scope. The messages of all signals have the same shape.
    pub(super) fn request(
        &mut self,
        request: &'a [u8],
        mut decode: impl FnMut(&mut Self, &'a [u8], &Arc<Resource>, &Arc<Scope>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut fields = Fields::new(request);
        while let Some(of_resource) = message(&mut fields, 1)? {
            let resource = self.resource(last(of_resource, 1)?)?;
            let mut fields = Fields::new(of_resource);
            while let Some(of_scope) = message(&mut fields, 2)? {
                let scope = self.scope(last(of_scope, 1)?)?;
                let mut fields = Fields::new(of_scope);
                while let Some(item) = message(&mut fields, 2)? {
                    self.begin(item);
                    decode(self, item, &resource, &scope)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the text of these bytes, from the map if it is there.
fn shared<'a>(texts: &mut HashMap<&'a [u8], Text>, bytes: &'a [u8], make: impl FnOnce(&str) -> Text) -> Text {
    if let Some(text) = texts.get(bytes) {
        return text.clone();
    }
    let text = make(&String::from_utf8_lossy(bytes));
    if bytes.len() <= MAX_SHARED && texts.len() < MAX_TEXTS {
        texts.insert(bytes, text.clone());
    }
    text
}

/// Returns the next message with this field number.
pub(super) fn message<'a>(fields: &mut Fields<'a>, wanted: u32) -> Result<Option<&'a [u8]>, Malformed> {
    while let Some((number, field)) = fields.next()? {
        if number == wanted {
            return field.bytes().map(Some);
        }
    }
    Ok(None)
}

/// Returns the last message with this field number, which may come after the fields that depend on it.
fn last(message: &[u8], wanted: u32) -> Result<&[u8], Malformed> {
    let (mut fields, mut found) = (Fields::new(message), &[][..]);
    while let Some((number, field)) = fields.next()? {
        if number == wanted {
            found = field.bytes()?;
        }
    }
    Ok(found)
}

/// Returns a trace id. An id of another length than 16 bytes is none.
pub(super) fn trace_id(field: Wire<'_>) -> Result<TraceId, Malformed> {
    Ok(TraceId(field.bytes()?.try_into().map_or(0, u128::from_be_bytes)))
}

/// Returns a span id. An id of another length than 8 bytes is none.
pub(super) fn span_id(field: Wire<'_>) -> Result<SpanId, Malformed> {
    Ok(SpanId(field.bytes()?.try_into().map_or(0, u64::from_be_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Limits, Store};

    #[test]
    fn an_item_has_a_bounded_number_of_elements() {
        let store = Store::new(Limits::default());
        let mut decoder = Decoder::new(Sink::new(&store));
        for _ in 0..2 {
            decoder.begin(b"");
            assert_eq!((0..MAX_ELEMENTS + 10).filter(|_| decoder.take()).count(), MAX_ELEMENTS);
        }
        let (mut attributes, mut dropped) = (Vec::new(), 0);
        decoder.attribute(&mut attributes, &mut dropped, b"").unwrap();
        assert_eq!((attributes.len(), dropped), (0, 1));
    }

    /// Encodes a message as a field of another one.
    fn field(number: u8, message: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut len = message.len();
        while len >= 0x80 {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend_from_slice(message);
        out
    }

    #[test]
    fn points_reach_the_store_before_all_of_their_metric_is_decoded() {
        let store = Store::new(Limits::default());
        // Empty attributes take two bytes of a request each.
        let point = field(1, &[0x3a, 0].repeat(20_000));
        let metric = [field(1, b"orders"), field(5, &point.repeat(100))].concat();
        let request = field(1, &field(2, &field(2, &metric)));
        super::super::decode(crate::receive::Signal::Metrics, &request, Sink::new(&store)).unwrap();
        let additions = store.read(|held| held.metrics.version);
        assert!(additions >= 8, "two million attributes were added in {additions} parts");
    }

    #[test]
    fn resources_without_items_do_not_fill_the_memory() {
        let store = Store::new(Limits::default().with_bytes(4 << 20));
        let attribute = |number: u32| {
            let value = field(1, &number.to_be_bytes().map(|byte| b'a' + byte % 16));
            field(1, &[field(1, format!("key {number}").as_bytes()), field(2, &value)].concat())
        };
        for wrap in [
            // A resource, a scope, and a metric without points.
            |attribute: &[u8]| field(1, &field(1, attribute)),
            |attribute: &[u8]| field(1, &field(2, &field(1, &field(3, attribute.get(2..).unwrap_or_default())))),
            |attribute: &[u8]| field(1, &field(2, &field(2, &[field(1, attribute), field(5, b"")].concat()))),
        ] {
            let request: Vec<u8> = (0..100_000).flat_map(|number| wrap(&attribute(number))).collect();
            super::super::decode(crate::receive::Signal::Metrics, &request, Sink::new(&store)).unwrap();
            let (used, limit) = store.usage();
            assert!(used <= limit, "{used} bytes are held");
        }
    }
}
