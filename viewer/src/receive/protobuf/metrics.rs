//! Metrics and their points.

use std::sync::Arc;

use super::common::{Decoder, span_id, trace_id};
use super::wire::{Fields, Wire, fixed64, varint};
use crate::model::{Exemplar, Metric, MetricKind, Point, PointData, Resource, Scope, SpanId, Temporality, TraceId};
use crate::receive::sink::MAX_ELEMENTS;
use crate::receive::{MAX_POINTS, Malformed};

type Buckets = (i32, Box<[u64]>);

impl<'a> Decoder<'a, '_> {
    /// Decodes a metric.
    pub(super) fn metric(
        &mut self,
        message: &'a [u8],
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
    ) -> Result<(), Malformed> {
        let (mut fields, mut data) = (Fields::new(message), None);
        let (mut name, mut description, mut unit) = (&[][..], &[][..], &[][..]);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => name = field.bytes()?,
                2 => description = field.bytes()?,
                3 => unit = field.bytes()?,
                5 | 7 | 9 | 10 | 11 => data = Some((number, field.bytes()?)),
                _ => {}
            }
        }
        let Some((number, data)) = data else { return Ok(()) };
        let (kind, temporality) = kind(number, data)?;
        let mut metric = Metric {
            name: self.name(name),
            unit: self.name(unit),
            description: self.name(description),
            kind,
            temporality,
            resource: resource.clone(),
            scope: scope.clone(),
            points: Vec::new(),
        };
        // The names count even without points.
        self.sink.grow(0);
        let (mut fields, mut elements) = (Fields::new(data), 0);
        while let Some(point) = super::common::message(&mut fields, 1)? {
            self.begin(point);
            let point = match number {
                5 | 7 => self.number(point)?,
                9 => self.histogram(point)?,
                10 => self.exponential(point)?,
                _ => self.summary(point)?,
            };
            elements += self.elements() + 4;
            metric.points.push(point);
            if metric.points.len() >= MAX_POINTS || elements >= MAX_ELEMENTS / 4 {
                let points = std::mem::take(&mut metric.points);
                self.sink.metric(Metric { points, ..metric.clone() }, std::mem::take(&mut elements));
            }
        }
        if !metric.points.is_empty() {
            self.sink.metric(metric, elements);
        }
        Ok(())
    }

    fn number(&mut self, message: &'a [u8]) -> Result<Point, Malformed> {
        let (mut point, mut fields) = (Parts::default(), Fields::new(message));
        // A point without a value says so in its flags, and is shown as zero.
        let mut data = PointData::Int(0);
        while let Some((number, field)) = fields.next()? {
            match number {
                2 => point.start = field.fixed64()?,
                3 => point.time = field.fixed64()?,
                4 => data = PointData::Double(field.double()?),
                5 => self.exemplar(&mut point, field)?,
                6 => data = PointData::Int(field.fixed64()? as i64),
                7 => self.attribute(&mut point.attributes, &mut 0, field.bytes()?)?,
                _ => {}
            }
        }
        Ok(point.with(data))
    }

    fn histogram(&mut self, message: &'a [u8]) -> Result<Point, Malformed> {
        let (mut point, mut fields) = (Parts::default(), Fields::new(message));
        let (mut count, mut sum, mut extremes) = (0, 0.0, (None, None));
        let (mut counts, mut bounds) = (Vec::new(), Vec::new());
        while let Some((number, field)) = fields.next()? {
            match number {
                2 => point.start = field.fixed64()?,
                3 => point.time = field.fixed64()?,
                4 => count = field.fixed64()?,
                5 => sum = field.double()?,
                6 => self.numbers(&mut counts, field)?,
                7 => self.numbers(&mut bounds, field)?,
                8 => self.exemplar(&mut point, field)?,
                9 => self.attribute(&mut point.attributes, &mut 0, field.bytes()?)?,
                11 => extremes.0 = Some(field.double()?),
                12 => extremes.1 = Some(field.double()?),
                _ => {}
            }
        }
        let bounds: Vec<_> = bounds.into_iter().map(f64::from_bits).collect();
        let (bounds, counts) = (self.bounds(bounds), counts.into());
        let (min, max) = extremes;
        Ok(point.with(PointData::Histogram { count, sum, min, max, bounds, counts }))
    }

    fn exponential(&mut self, message: &'a [u8]) -> Result<Point, Malformed> {
        let (mut point, mut fields) = (Parts::default(), Fields::new(message));
        let (mut count, mut sum, mut min, mut max, mut scale) = (0, 0.0, None, None, 0);
        let (mut zero, mut zero_threshold) = (0, 0.0);
        let (mut positive, mut negative) = (Buckets::default(), Buckets::default());
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => self.attribute(&mut point.attributes, &mut 0, field.bytes()?)?,
                2 => point.start = field.fixed64()?,
                3 => point.time = field.fixed64()?,
                4 => count = field.fixed64()?,
                5 => sum = field.double()?,
                6 => scale = field.sint32()?,
                7 => zero = field.fixed64()?,
                8 => positive = self.buckets(field.bytes()?)?,
                9 => negative = self.buckets(field.bytes()?)?,
                11 => self.exemplar(&mut point, field)?,
                12 => min = Some(field.double()?),
                13 => max = Some(field.double()?),
                14 => zero_threshold = field.double()?,
                _ => {}
            }
        }
        let data = PointData::Exponential { count, sum, min, max, scale, zero, zero_threshold, positive, negative };
        Ok(point.with(data))
    }

    fn summary(&mut self, message: &'a [u8]) -> Result<Point, Malformed> {
        let (mut point, mut fields) = (Parts::default(), Fields::new(message));
        let (mut count, mut sum, mut quantiles) = (0, 0.0, Vec::new());
        while let Some((number, field)) = fields.next()? {
            match number {
                2 => point.start = field.fixed64()?,
                3 => point.time = field.fixed64()?,
                4 => count = field.fixed64()?,
                5 => sum = field.double()?,
                6 if self.take() => quantiles.push(quantile(field.bytes()?)?),
                7 => self.attribute(&mut point.attributes, &mut 0, field.bytes()?)?,
                _ => {}
            }
        }
        Ok(point.with(PointData::Summary { count, sum, quantiles: quantiles.into() }))
    }

    fn exemplar(&mut self, point: &mut Parts, field: Wire<'a>) -> Result<(), Malformed> {
        let message = field.bytes()?;
        if !self.take() {
            return Ok(());
        }
        let (mut fields, mut attributes) = (Fields::new(message), Vec::new());
        let (mut time, mut value, mut ids) = (0, 0.0, (TraceId(0), SpanId(0)));
        while let Some((number, field)) = fields.next()? {
            match number {
                2 => time = field.fixed64()?,
                3 => value = field.double()?,
                4 => ids.1 = span_id(field)?,
                5 => ids.0 = trace_id(field)?,
                6 => value = field.fixed64()? as i64 as f64,
                7 => self.attribute(&mut attributes, &mut 0, field.bytes()?)?,
                _ => {}
            }
        }
        let (trace_id, span_id) = ids;
        point.exemplars.push(Exemplar { time, value, trace_id, span_id, attributes: attributes.into() });
        Ok(())
    }

    fn buckets(&mut self, message: &'a [u8]) -> Result<Buckets, Malformed> {
        let (mut fields, mut offset, mut counts) = (Fields::new(message), 0, Vec::new());
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, field) => offset = field.sint32()?,
                (2, Wire::Varint(count)) => self.element(&mut counts, count)?,
                (2, field) => {
                    let mut packed = field.bytes()?;
                    while !packed.is_empty() {
                        let count = varint(&mut packed)?;
                        self.element(&mut counts, count)?;
                    }
                }
                _ => {}
            }
        }
        Ok((offset, counts.into()))
    }

    /// Appends numbers of eight bytes, packed or not.
    fn numbers(&mut self, to: &mut Vec<u64>, field: Wire<'a>) -> Result<(), Malformed> {
        if let Wire::Fixed64(number) = field {
            return self.element(to, number);
        }
        let mut packed = field.bytes()?;
        while !packed.is_empty() {
            let number = fixed64(&mut packed)?;
            self.element(to, number)?;
        }
        Ok(())
    }

    /// Appends a number. Buckets cannot be dropped without changing the others.
    fn element(&mut self, to: &mut Vec<u64>, number: u64) -> Result<(), Malformed> {
        if !self.take() {
            return Err(Malformed("a histogram has too many buckets"));
        }
        to.push(number);
        Ok(())
    }
}

/// The fields that all points have.
#[derive(Default)]
struct Parts {
    start: u64,
    time: u64,
    attributes: Vec<crate::model::Attribute>,
    exemplars: Vec<Exemplar>,
}

impl Parts {
    fn with(self, data: PointData) -> Point {
        let Parts { start, time, attributes, exemplars } = self;
        Point { start, time, attributes: attributes.into(), data, exemplars: exemplars.into() }
    }
}

/// Returns the kind and the temporality of a metric, whose fields may come after the points.
fn kind(number: u32, data: &[u8]) -> Result<(MetricKind, Temporality), Malformed> {
    let (mut fields, mut temporality, mut monotonic) = (Fields::new(data), 0, false);
    while let Some((number, field)) = fields.next()? {
        match number {
            2 => temporality = field.varint()?,
            3 => monotonic = field.varint()? != 0,
            _ => {}
        }
    }
    let temporality = match temporality {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    };
    let kind = match number {
        5 => MetricKind::Gauge,
        7 => MetricKind::Sum { monotonic },
        9 => MetricKind::Histogram,
        10 => MetricKind::ExponentialHistogram,
        _ => MetricKind::Summary,
    };
    Ok((kind, temporality))
}

fn quantile(message: &[u8]) -> Result<(f64, f64), Malformed> {
    let (mut fields, mut quantile) = (Fields::new(message), (0.0, 0.0));
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => quantile.0 = field.double()?,
            2 => quantile.1 = field.double()?,
            _ => {}
        }
    }
    Ok(quantile)
}
