//! Spans.

use std::sync::Arc;

use super::common::{Decoder, span_id, trace_id};
use super::wire::Fields;
use crate::model::{Dropped, Event, Kind, Link, Resource, Scope, Span, SpanId, Status, TraceId};
use crate::receive::{Malformed, kind_of};

impl<'a> Decoder<'a, '_> {
    /// Decodes a span.
    pub(super) fn span(
        &mut self,
        message: &'a [u8],
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
    ) -> Result<(), Malformed> {
        let mut fields = Fields::new(message);
        let (mut ids, mut parent) = ((TraceId(0), SpanId(0)), SpanId(0));
        let (mut name, mut trace_state) = (&[][..], &[][..]);
        let (mut kind, mut status, mut times) = (Kind::Internal, Status::Unset, (0, 0));
        let (mut attributes, mut events, mut links) = (Vec::new(), Vec::new(), Vec::new());
        let mut dropped = Dropped { attributes: 0, events: 0, links: 0 };
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => ids.0 = trace_id(field)?,
                2 => ids.1 = span_id(field)?,
                3 => trace_state = field.bytes()?,
                4 => parent = span_id(field)?,
                5 => name = field.bytes()?,
                6 => kind = kind_of(field.varint()?),
                7 => times.0 = field.fixed64()?,
                8 => times.1 = field.fixed64()?,
                9 => self.attribute(&mut attributes, &mut dropped.attributes, field.bytes()?)?,
                10 => dropped.attributes = dropped.attributes.saturating_add(field.uint32()?),
                11 if self.take() => events.push(self.event(field.bytes()?)?),
                11 => dropped.events = dropped.events.saturating_add(1),
                12 => dropped.events = dropped.events.saturating_add(field.uint32()?),
                13 if self.take() => links.push(self.link(field.bytes()?)?),
                13 => dropped.links = dropped.links.saturating_add(1),
                14 => dropped.links = dropped.links.saturating_add(field.uint32()?),
                15 => status = status_of(field.bytes()?)?,
                _ => {}
            }
        }
        let span = Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent,
            name: self.name(name),
            kind,
            start: times.0,
            // Zero would mean that the span is running.
            end: times.1.max(1),
            status,
            trace_state: self.name(trace_state),
            attributes: attributes.into(),
            events: events.into(),
            links: links.into(),
            dropped,
            resource: resource.clone(),
            scope: scope.clone(),
        };
        let elements = self.elements();
        self.sink.span(span, elements);
        Ok(())
    }

    fn event(&mut self, message: &'a [u8]) -> Result<Event, Malformed> {
        let (mut fields, mut attributes, mut dropped) = (Fields::new(message), Vec::new(), 0);
        let (mut time, mut name) = (0, &[][..]);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => time = field.fixed64()?,
                2 => name = field.bytes()?,
                3 => self.attribute(&mut attributes, &mut dropped, field.bytes()?)?,
                4 => dropped = dropped.saturating_add(field.uint32()?),
                _ => {}
            }
        }
        Ok(Event { time, name: self.name(name), attributes: attributes.into(), dropped_attributes: dropped })
    }

    fn link(&mut self, message: &'a [u8]) -> Result<Link, Malformed> {
        let (mut fields, mut attributes) = (Fields::new(message), Vec::new());
        let mut link = Link { trace_id: TraceId(0), span_id: SpanId(0), attributes: Box::default() };
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => link.trace_id = trace_id(field)?,
                2 => link.span_id = span_id(field)?,
                4 => self.attribute(&mut attributes, &mut 0, field.bytes()?)?,
                _ => {}
            }
        }
        link.attributes = attributes.into();
        Ok(link)
    }
}

fn status_of(message: &[u8]) -> Result<Status, Malformed> {
    let (mut fields, mut code, mut text) = (Fields::new(message), 0, &[][..]);
    while let Some((number, field)) = fields.next()? {
        match number {
            2 => text = field.bytes()?,
            3 => code = field.varint()?,
            _ => {}
        }
    }
    Ok(match code {
        1 => Status::Ok,
        // The store counts the bytes of a text that only one item has.
        2 => Status::Error(String::from_utf8_lossy(text).into()),
        _ => Status::Unset,
    })
}
