//! The exemplars of a point: a copy-on-write list shared with its reservoir.

use std::ops::Deref;
use std::sync::Arc;

use opentelemetry::trace::{SpanId, TraceId};

use super::attributes::Attributes;
use super::number::Number;
use crate::time::Timestamp;

/// A measurement that contributed to a point, together with the span in which it was made.
///
/// Includes attributes that a view removed from the series. `OTEL_METRICS_EXEMPLAR_FILTER=always_off` prevents
/// exemplars, including these attributes, from being exported.
///
/// spec: metrics/data-model.md#exemplars
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Exemplar {
    /// The measurement.
    pub value: Number,
    /// Time of the measurement.
    pub time: Timestamp,
    /// Attributes of the measurement that the series does not have.
    pub filtered_attributes: Attributes,
    /// Trace ID of the span, or [`TraceId::INVALID`] outside of spans.
    pub trace_id: TraceId,
    /// ID of the span, or [`SpanId::INVALID`] outside of spans.
    pub span_id: SpanId,
}

impl Exemplar {
    /// Creates an exemplar without a span.
    pub fn new(value: impl Into<Number>, time: Timestamp) -> Self {
        Exemplar {
            value: value.into(),
            time,
            filtered_attributes: Attributes::empty(),
            trace_id: TraceId::INVALID,
            span_id: SpanId::INVALID,
        }
    }

    /// Sets the span.
    pub fn in_span(mut self, trace_id: TraceId, span_id: SpanId) -> Self {
        (self.trace_id, self.span_id) = (trace_id, span_id);
        self
    }

    /// Sets the attributes that the series does not have.
    pub fn with_filtered_attributes(mut self, attributes: Attributes) -> Self {
        self.filtered_attributes = attributes;
        self
    }
}

/// The exemplars of a point. Cheap to clone; an empty list does not allocate.
///
/// ```
/// use telemark_sdk::metrics::{Exemplar, Exemplars};
/// use telemark_sdk::time::Timestamp;
///
/// let exemplars: Exemplars = [Exemplar::new(0.25, Timestamp::default())].into_iter().collect();
/// assert_eq!(exemplars.len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Exemplars(Option<Arc<[Exemplar]>>);

impl Exemplars {
    /// Returns an empty list.
    pub const fn none() -> Self {
        Exemplars(None)
    }

    /// Appends an exemplar.
    pub fn push(&mut self, exemplar: Exemplar) {
        self.insert(self.len(), exemplar);
    }

    /// Inserts an exemplar at this index. Reallocates to the exact size, because there are many lists and each of them
    /// rarely grows.
    pub(crate) fn insert(&mut self, at: usize, exemplar: Exemplar) {
        let (before, after) = self.split_at(at.min(self.len()));
        let list = before.iter().cloned().chain(std::iter::once(exemplar)).chain(after.iter().cloned()).collect();
        self.0 = Some(list);
    }

    /// Replaces the exemplar at this index. Copies the list first if it is shared.
    pub(crate) fn replace(&mut self, at: usize, exemplar: Exemplar) {
        if let Some(old) = self.0.as_mut().and_then(|list| Arc::make_mut(list).get_mut(at)) {
            *old = exemplar;
        }
    }
}

impl Deref for Exemplars {
    type Target = [Exemplar];

    #[inline]
    fn deref(&self) -> &[Exemplar] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl PartialEq for Exemplars {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<Vec<Exemplar>> for Exemplars {
    fn from(list: Vec<Exemplar>) -> Self {
        Exemplars((!list.is_empty()).then(|| list.into()))
    }
}

impl FromIterator<Exemplar> for Exemplars {
    fn from_iter<T: IntoIterator<Item = Exemplar>>(exemplars: T) -> Self {
        exemplars.into_iter().collect::<Vec<_>>().into()
    }
}

impl Extend<Exemplar> for Exemplars {
    fn extend<T: IntoIterator<Item = Exemplar>>(&mut self, exemplars: T) {
        *self = self.iter().cloned().chain(exemplars).collect();
    }
}

impl<'a> IntoIterator for &'a Exemplars {
    type Item = &'a Exemplar;
    type IntoIter = std::slice::Iter<'a, Exemplar>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Exemplars {
    type Item = Exemplar;
    type IntoIter = std::vec::IntoIter<Exemplar>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map_or_else(Vec::new, |list| list.to_vec()).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_list_that_two_have_is_copied_by_who_changes_it() {
        let one = |value: u64| Exemplar::new(value, Timestamp::default());
        let mut kept: Exemplars = vec![one(1)].into();
        let collected = kept.clone();
        kept.replace(0, one(2));
        assert_eq!((&*collected, &*kept), (&[one(1)][..], &[one(2)][..]));
        let alone = kept.as_ptr();
        kept.replace(0, one(3));
        assert_eq!((kept.as_ptr(), &*kept), (alone, &[one(3)][..]));
        kept.push(one(5));
        kept.insert(1, one(4));
        kept.extend([one(6)]);
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6].map(one));
        assert_eq!(Exemplars::from(Vec::new()), Exemplars::none());
    }
}
