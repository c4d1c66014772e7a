//! A stream's configuration, shared by all of its series: name, aggregation and limits.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{Key, KeyValue};

use super::kind::InstrumentKind;
use super::shape::Shape;
use crate::metrics::data::{Fingerprint, NumberType, Secrets, Temporality};
use crate::metrics::exemplar::ExemplarReservoir;
use crate::redaction::Redaction;
use crate::text::Patterns;
use crate::time::Clock;

/// Creates the reservoir of a series.
pub(crate) type ReservoirFactory = Arc<dyn Fn() -> Box<dyn ExemplarReservoir> + Send + Sync>;

/// The configuration of a stream.
pub(crate) struct StreamConfig {
    pub(crate) name: Arc<str>,
    pub(crate) description: Arc<str>,
    pub(crate) unit: Arc<str>,
    pub(crate) kind: InstrumentKind,
    pub(crate) number: NumberType,
    pub(crate) shape: Shape,
    pub(crate) temporality: Temporality,
    pub(crate) attributes: AttributeFilter,
    /// Maximum number of series, not counting the overflow series.
    pub(crate) limit: usize,
    /// The time after which a series that is no longer recorded into expires. Without effect on deltas.
    pub(crate) expiry: Option<Duration>,
    pub(crate) reservoir: Option<ReservoirFactory>,
    pub(crate) clock: Clock,
    /// True if collections reset the sums, because subtracting float sums is inexact.
    pub(crate) resets_sums: bool,
    pub(crate) secrets: &'static Secrets,
    /// Redacts the attributes of series and exemplars.
    pub(crate) redaction: Option<Redaction>,
}

impl StreamConfig {
    pub(crate) fn is_delta(&self) -> bool {
        self.temporality == Temporality::Delta
    }

    /// Returns the time after which an unused series expires, if any does.
    pub(crate) fn expiry(&self) -> Option<Duration> {
        self.expiry.filter(|_| !self.is_delta())
    }

    /// Returns true if both produce the same metric.
    pub(crate) fn is_same_stream(&self, other: &StreamConfig) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.description == other.description
            && self.unit == other.unit
            && self.kind == other.kind
            && self.number == other.number
            && self.shape == other.shape
            && self.temporality == other.temporality
            && self.attributes == other.attributes
            && self.limit == other.limit
            && self.expiry == other.expiry
    }

    /// Hashes the stream's identity, consistent with [`Self::is_same_stream`]. Omits properties that only views
    /// can set, since there are few views.
    pub(crate) fn hash_identity(&self, hasher: &mut impl Hasher) {
        self.hash_name(hasher);
        (&*self.description, &*self.unit, self.kind, self.number).hash(hasher);
        if let Shape::Histogram(config) = &self.shape {
            // Positive and negative zero are equal.
            config.bounds.iter().for_each(|bound| hasher.write_u64((bound + 0.0).to_bits()));
        }
    }

    /// Hashes the name, ignoring case.
    pub(crate) fn hash_name(&self, hasher: &mut impl Hasher) {
        self.name.bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        hasher.write_u8(0xff);
    }

    /// Returns the fingerprint of the attributes that pass the filter.
    #[inline]
    pub(crate) fn fingerprint(&self, given: &[KeyValue]) -> Fingerprint {
        match &self.attributes {
            AttributeFilter::All => self.secrets.fingerprint(given),
            filter => self.fingerprint_of_some(filter, given),
        }
    }

    /// Returns the attributes as exporters may see them.
    #[inline]
    pub(crate) fn redacted<'a>(&self, given: &'a [KeyValue]) -> Cow<'a, [KeyValue]> {
        match &self.redaction {
            None => Cow::Borrowed(given),
            Some(redaction) => redaction.attributes(given),
        }
    }

    #[inline(never)]
    fn fingerprint_of_some(&self, filter: &AttributeFilter, given: &[KeyValue]) -> Fingerprint {
        self.secrets.fingerprint(given.iter().filter(|one| filter.keeps(&one.key)))
    }
}

#[cfg(test)]
impl StreamConfig {
    /// A cumulative counter of at most ten series.
    pub(crate) fn counter() -> Self {
        StreamConfig {
            name: "c".into(),
            description: "".into(),
            unit: "".into(),
            kind: InstrumentKind::Counter,
            number: NumberType::U64,
            shape: Shape::Sum,
            temporality: Temporality::Cumulative,
            attributes: AttributeFilter::All,
            limit: 10,
            expiry: None,
            reservoir: None,
            clock: Clock::system(),
            resets_sums: false,
            secrets: Secrets::fixed(),
            redaction: None,
        }
    }
}

/// Selects the attributes that a stream keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum AttributeFilter {
    #[default]
    All,
    Only(Arc<[Key]>),
    AllBut(Arc<[Key]>),
    Matching(Arc<Patterns>),
}

impl AttributeFilter {
    #[inline]
    pub(crate) fn keeps(&self, key: &Key) -> bool {
        let names = |keys: &[Key]| keys.iter().any(|one| one == key);
        match self {
            AttributeFilter::All => true,
            AttributeFilter::Only(keys) => names(keys),
            AttributeFilter::AllBut(keys) => !names(keys),
            AttributeFilter::Matching(patterns) => patterns.matches(key.as_str()),
        }
    }
}
