//! Log records.

use std::sync::Arc;

use super::common::{Decoder, span_id, trace_id};
use super::wire::Fields;
use crate::model::{Record, Resource, Scope, SpanId, TraceId, Value};
use crate::receive::{Malformed, severity_of};

impl<'a> Decoder<'a, '_> {
    /// Decodes a log record.
    pub(super) fn record(
        &mut self,
        message: &'a [u8],
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
    ) -> Result<(), Malformed> {
        let mut fields = Fields::new(message);
        let (mut time, mut observed, mut severity, mut body) = (0, 0, 0, Value::Null);
        let (mut severity_text, mut event_name) = (&[][..], &[][..]);
        let (mut attributes, mut dropped, mut ids) = (Vec::new(), 0, (TraceId(0), SpanId(0)));
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => time = field.fixed64()?,
                2 => severity = field.varint()?,
                3 => severity_text = field.bytes()?,
                5 => body = self.value(field.bytes()?, 0)?,
                6 => self.attribute(&mut attributes, &mut dropped, field.bytes()?)?,
                7 => dropped = dropped.saturating_add(field.uint32()?),
                9 => ids.0 = trace_id(field)?,
                10 => ids.1 = span_id(field)?,
                11 => observed = field.fixed64()?,
                12 => event_name = field.bytes()?,
                _ => {}
            }
        }
        let record = Record {
            time: if time == 0 { observed } else { time },
            severity: severity_of(severity),
            severity_text: self.name(severity_text),
            body,
            event_name: self.name(event_name),
            trace_id: ids.0,
            span_id: ids.1,
            attributes: attributes.into(),
            dropped_attributes: dropped,
            resource: resource.clone(),
            scope: scope.clone(),
        };
        let elements = self.elements();
        self.sink.record(record, elements);
        Ok(())
    }
}
