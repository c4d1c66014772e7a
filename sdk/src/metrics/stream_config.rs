//! What a stream of metrics is: its name and how it aggregates, the same for all of its series.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use opentelemetry::{Key, KeyValue};

use super::aggregation::{ExponentialConfig, HistogramConfig};
use super::exemplar::ExemplarReservoir;
use super::hash::{Fingerprint, Secrets};
use super::number::NumberType;
use super::{InstrumentKind, Temporality};
use crate::time::Clock;

/// Makes the reservoir of a series.
pub(super) type ReservoirFactory = Arc<dyn Fn() -> Box<dyn ExemplarReservoir> + Send + Sync>;

/// The configuration of a stream.
pub(super) struct StreamConfig {
    pub(super) name: Arc<str>,
    pub(super) description: Arc<str>,
    pub(super) unit: Arc<str>,
    pub(super) kind: InstrumentKind,
    pub(super) number: NumberType,
    pub(super) shape: Shape,
    pub(super) temporality: Temporality,
    pub(super) attributes: AttributeFilter,
    /// The most series, the one for the overflow aside.
    pub(super) limit: usize,
    pub(super) reservoir: Option<ReservoirFactory>,
    pub(super) clock: Clock,
    /// Whether a collection starts the sums anew: the difference of two sums of floats is not exact.
    pub(super) resets_sums: bool,
    pub(super) secrets: &'static Secrets,
}

impl StreamConfig {
    pub(super) fn is_delta(&self) -> bool {
        self.temporality == Temporality::Delta
    }

    /// Whether both would produce the same metric.
    pub(super) fn is_same_stream(&self, other: &StreamConfig) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.description == other.description
            && self.unit == other.unit
            && self.kind == other.kind
            && self.number == other.number
            && self.shape == other.shape
            && self.temporality == other.temporality
            && self.attributes == other.attributes
            && self.limit == other.limit
    }

    /// Hashes what tells this stream from its namesakes: equal for two that [are the same](Self::is_same_stream). What only
    /// views set is left out, for there are few.
    pub(super) fn hash_identity(&self, hasher: &mut impl Hasher) {
        self.hash_name(hasher);
        (&*self.description, &*self.unit, self.kind, self.number).hash(hasher);
        if let Shape::Histogram(config) = &self.shape {
            // Zero has two signs, which are equal.
            config.bounds.iter().for_each(|bound| hasher.write_u64((bound + 0.0).to_bits()));
        }
    }

    /// Hashes the name in any case.
    pub(super) fn hash_name(&self, hasher: &mut impl Hasher) {
        self.name.bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        hasher.write_u8(0xff);
    }

    /// What stands for the attributes that stay.
    #[inline]
    pub(super) fn fingerprint(&self, given: &[KeyValue]) -> Fingerprint {
        match &self.attributes {
            AttributeFilter::All => self.secrets.fingerprint(given),
            filter => self.fingerprint_of_some(filter, given),
        }
    }

    #[inline(never)]
    fn fingerprint_of_some(&self, filter: &AttributeFilter, given: &[KeyValue]) -> Fingerprint {
        self.secrets.fingerprint(given.iter().filter(|one| filter.keeps(&one.key)))
    }
}

/// How the measurements of a series are aggregated.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Sum,
    LastValue,
    Histogram(HistogramConfig),
    Exponential(ExponentialConfig),
}

/// Which attributes stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum AttributeFilter {
    #[default]
    All,
    Only(Arc<[Key]>),
    AllBut(Arc<[Key]>),
}

impl AttributeFilter {
    #[inline]
    pub(super) fn keeps(&self, key: &Key) -> bool {
        let names = |keys: &[Key]| keys.iter().any(|one| one == key);
        match self {
            AttributeFilter::All => true,
            AttributeFilter::Only(keys) => names(keys),
            AttributeFilter::AllBut(keys) => !names(keys),
        }
    }
}
