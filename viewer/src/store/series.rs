//! The history of one series of a metric.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::model::{Attribute, Exemplar, Point, PointData, Resource, Scope, Size, Temporality};

/// The maximum number of points of a series of numbers.
const MAX_NUMBERS: usize = 1_000;
/// The maximum number of points of a series of histograms or summaries.
const MAX_HISTOGRAMS: usize = 300;
/// The size of a series without its content: itself, its counters, its key, and its places in the indices.
const OVERHEAD: usize = size_of::<Series>() + 24 + 2 * size_of::<SeriesKey>() + 32;
/// The size of a sample without its content.
const SAMPLE_OVERHEAD: usize = size_of::<Sample>() + 24 + 2 * size_of::<Arc<Sample>>();

/// What tells series of an instrument apart. Resources and scopes are interned, so their addresses suffice.
#[derive(Clone, Debug)]
pub(crate) struct SeriesKey {
    pub(crate) resource: Arc<Resource>,
    pub(crate) scope: Arc<Scope>,
    /// Sorted by key.
    pub(crate) attributes: Arc<[Attribute]>,
}

impl PartialEq for SeriesKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.resource, &other.resource)
            && Arc::ptr_eq(&self.scope, &other.scope)
            && self.attributes == other.attributes
    }
}

impl Eq for SeriesKey {}

impl Hash for SeriesKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.resource), Arc::as_ptr(&self.scope), &self.attributes).hash(state);
    }
}

impl SeriesKey {
    pub(super) fn new(resource: &Arc<Resource>, scope: &Arc<Scope>, attributes: Box<[Attribute]>) -> Self {
        let mut attributes = attributes.into_vec();
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
        SeriesKey { resource: resource.clone(), scope: scope.clone(), attributes: attributes.into() }
    }
}

/// One value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) start: u64,
    pub(crate) time: u64,
    pub(crate) data: PointData,
    pub(crate) exemplars: Box<[Exemplar]>,
}

/// The samples of a series. Readers hold on to it while the store goes on with a copy.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) key: SeriesKey,
    pub(crate) temporality: Temporality,
    /// The samples by arrival.
    pub(crate) samples: VecDeque<Arc<Sample>>,
    pub(crate) bytes: usize,
    /// When the last sample arrived.
    pub(super) changed_at: u64,
}

impl Series {
    pub(super) fn new(key: SeriesKey, temporality: Temporality) -> Self {
        let bytes = OVERHEAD + key.attributes.heap();
        Series { key, temporality, samples: VecDeque::new(), bytes, changed_at: 0 }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(resource: Arc<Resource>, scope: Arc<Scope>, temporality: Temporality) -> Self {
        Series::new(SeriesKey::new(&resource, &scope, Box::default()), temporality)
    }

    /// Adds a sample, and returns the number of samples that made room for it.
    pub(super) fn add(&mut self, point: Point, temporality: Temporality) -> u64 {
        self.temporality = temporality;
        let Point { start, time, data, exemplars, .. } = point;
        let max = match data {
            PointData::Int(_) | PointData::Double(_) => MAX_NUMBERS,
            PointData::Histogram { .. } | PointData::Exponential { .. } | PointData::Summary { .. } => MAX_HISTOGRAMS,
        };
        let sample = Sample { start, time, data, exemplars };
        self.bytes += size(&sample);
        self.samples.push_back(Arc::new(sample));
        let surplus = self.samples.len().saturating_sub(max);
        self.drop_oldest(surplus)
    }

    /// Drops the oldest samples, and returns their number.
    pub(super) fn drop_oldest(&mut self, count: usize) -> u64 {
        let dropped = self.samples.drain(..count.min(self.samples.len()));
        let (mut number, mut freed) = (0, 0);
        for sample in dropped {
            freed += size(&sample);
            number += 1;
        }
        self.bytes = self.bytes.saturating_sub(freed);
        number
    }

    /// Returns the time of the last sample.
    pub(crate) fn last_time(&self) -> u64 {
        self.samples.back().map_or(0, |sample| sample.time)
    }
}

fn size(sample: &Sample) -> usize {
    SAMPLE_OVERHEAD + sample.data.heap() + sample.exemplars.iter().map(exemplar).sum::<usize>()
}

/// The size of an exemplar. Its keys count in full, so that each measurement has the same result.
fn exemplar(exemplar: &Exemplar) -> usize {
    let attributes = exemplar.attributes.iter();
    let content = attributes.map(|Attribute { key, value }| size_of::<Attribute>() + key.len() + value.heap());
    size_of::<Exemplar>() + content.sum::<usize>()
}
