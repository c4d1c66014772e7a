//! Totals and values reported by callbacks. They are kept between collections only to compute deltas.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use opentelemetry::KeyValue;

use crate::metrics::config::{Shape, StreamConfig};
use crate::metrics::data::{Attributes, Exemplar, Exemplars, MetricData, Number, NumberPoint, is_same_set};
use crate::metrics::exemplar::{Eligible, Given, Offer};
use crate::sync::{Mutex, lock};
use crate::time::Timestamp;

pub(crate) struct ObservedTotals(Mutex<State>);

struct State {
    /// Observations of the current collection, in the order in which they were made.
    pending: Vec<Observation>,
    /// Totals reported by the previous collection.
    reported: HashMap<Set, u64>,
    created: Timestamp,
    since: Timestamp,
}

struct Observation {
    all: Set,
    kept: Set,
    bits: u64,
    exemplar: Option<Exemplar>,
}

/// Attributes as a map key.
#[derive(Clone)]
struct Set(u64, Attributes);

impl Set {
    fn new(config: &StreamConfig, attributes: Attributes) -> Self {
        Set(config.secrets.fingerprint(&*attributes).place, attributes)
    }
}

impl Hash for Set {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 && is_same_set(&self.1, &other.1, other.1.len())
    }
}

impl Eq for Set {}

/// One series in the current collection.
struct Collected {
    bits: u64,
    exemplars: Exemplars,
}

impl ObservedTotals {
    pub(crate) fn new(created: Timestamp) -> Self {
        ObservedTotals(Mutex::new(State { pending: Vec::new(), reported: HashMap::new(), created, since: created }))
    }

    pub(crate) fn push(&self, config: &StreamConfig, value: Number, bits: u64, given: &[KeyValue], is_offered: bool) {
        let all = Attributes::new(given.iter().cloned());
        // Observations of different sets that become equal are different ones, which are added up, so `all` stays as it is.
        let shown = match &config.redaction {
            Some(redaction) => Attributes::new(redaction.attributes(&all).into_owned()),
            None => all.clone(),
        };
        let kept = match shown.iter().all(|one| config.attributes.keeps(&one.key)) {
            true => shown.clone(),
            false => Attributes::new(shown.iter().filter(|one| config.attributes.keeps(&one.key)).cloned()),
        };
        let exemplar = is_offered.then(|| {
            let given = Given::new(&shown, None);
            Offer { value, given, of_series: &kept, span: Eligible::current(), clock: &config.clock }.exemplar()
        });
        let observation = Observation { all: Set::new(config, all), kept: Set::new(config, kept), bits, exemplar };
        lock(&self.0).pending.push(observation);
    }

    /// Returns the number of series in the previous collection, without that of the overflow, and true if there was an overflow.
    pub(super) fn len(&self, config: &StreamConfig) -> (usize, bool) {
        let overflow = Set::new(config, Attributes::overflow());
        let state = lock(&self.0);
        let is_full = state.reported.contains_key(&overflow);
        (state.reported.len() - usize::from(is_full), is_full)
    }

    /// Returns the attributes of the series in the previous collection.
    pub(super) fn attributes(&self) -> Vec<Attributes> {
        lock(&self.0).reported.keys().map(|Set(_, attributes)| attributes.clone()).collect()
    }

    /// Drops what was observed since the last collection. The next one would otherwise report values from before a pause.
    pub(crate) fn forget(&self) {
        let pending = std::mem::take(&mut lock(&self.0).pending);
        drop(pending);
    }

    /// Returns one point for each series that was observed since the last call.
    pub(crate) fn collect(&self, config: &StreamConfig, now: Timestamp) -> MetricData {
        let mut state = lock(&self.0);
        let state = &mut *state;
        let pending = std::mem::take(&mut state.pending);
        let (order, mut series) = aggregate(config, latest(pending), &state.reported);
        // A gauge does not have deltas.
        let is_delta = config.is_delta() && config.shape != Shape::LastValue;
        let start = if is_delta { state.since } else { state.created };
        state.since = now;
        let mut reported = HashMap::new();
        let mut points = Vec::with_capacity(order.len());
        for set in order {
            let Some(Collected { bits, exemplars }) = series.remove(&set) else { continue };
            let before = state.reported.get(&set).copied().filter(|_| is_delta);
            let value = before.map_or(bits, |before| difference(config, bits, before));
            let point = NumberPoint::new(set.1.clone(), config.number.number(value)).at(start, now.max(start));
            points.push(NumberPoint { exemplars, ..point });
            reported.insert(set, bits);
        }
        state.reported = reported;
        match config.shape {
            Shape::LastValue => MetricData::Gauge { points },
            _ => MetricData::Sum { points, temporality: config.temporality, monotonic: config.kind.is_monotonic() },
        }
    }
}

/// Keeps the last observation for each attribute set, in order of first appearance.
fn latest(pending: Vec<Observation>) -> Vec<Observation> {
    let mut places: HashMap<Set, usize> = HashMap::with_capacity(pending.len());
    let mut latest: Vec<Observation> = Vec::with_capacity(pending.len());
    for observation in pending {
        match places.get(&observation.all).and_then(|place| latest.get_mut(*place)) {
            Some(earlier) => *earlier = observation,
            None => {
                places.insert(observation.all.clone(), latest.len());
                latest.push(observation);
            }
        }
    }
    latest
}

/// Groups observations into series, applying the attribute filter and the cardinality limit. Sums are added up;
/// for gauges, the last value wins. Series from the previous collection come first, so that the
/// limit does not displace them.
fn aggregate(
    config: &StreamConfig,
    observations: Vec<Observation>,
    before: &HashMap<Set, u64>,
) -> (Vec<Set>, HashMap<Set, Collected>) {
    let overflow = Set::new(config, Attributes::overflow());
    let (known, new): (Vec<_>, Vec<_>) =
        observations.into_iter().partition(|one| before.contains_key(&one.kept) && one.kept != overflow);
    let (mut order, mut series) = (Vec::new(), HashMap::new());
    for Observation { kept, bits, exemplar, .. } in known.into_iter().chain(new) {
        let set = if series.contains_key(&kept) || order.len() < config.limit { kept } else { overflow.clone() };
        let collected = series.entry(set.clone()).or_insert_with(|| {
            order.push(set);
            Collected { bits: config.number.subtract(0, 0), exemplars: Exemplars::none() }
        });
        collected.bits = match config.shape {
            Shape::LastValue => bits,
            _ => config.number.add(collected.bits, bits),
        };
        if exemplar.is_some() {
            collected.exemplars = exemplar.into_iter().collect();
        }
    }
    (order, series)
}

/// Returns the change since the previous collection. A counter whose value has fallen is assumed to have restarted
/// from zero.
fn difference(config: &StreamConfig, now: u64, before: u64) -> u64 {
    let number = config.number.number(now);
    let has_fallen = number.as_f64() < config.number.number(before).as_f64();
    if config.kind.is_monotonic() && has_fallen { now } else { config.number.subtract(now, before) }
}
