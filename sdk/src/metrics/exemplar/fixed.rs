//! A fixed-size reservoir: a uniform sample of the measurements since the last collection.

use super::offer::{ExemplarReservoir, Offer};
use super::random::Random;
use crate::metrics::data::Exemplar;

/// Keeps a fixed number of measurements, chosen uniformly.
///
/// Computes in advance how many measurements to skip (Li's algorithm L), so that most offers cost only a
/// comparison and no clock read.
///
/// spec: metrics/sdk.md#simplefixedsizeexemplarreservoir
#[derive(Clone, Debug)]
pub struct SimpleFixedSizeExemplarReservoir {
    size: usize,
    kept: Vec<Exemplar>,
    /// The number of measurements that this reservoir has counted since the last collection.
    seen: u64,
    /// Index of the next measurement to keep.
    next: u64,
    /// The largest key that algorithm L would assign to the kept measurements.
    w: f64,
    random: Random,
}

impl SimpleFixedSizeExemplarReservoir {
    /// Creates a reservoir that holds `size` exemplars. A size of 0 is treated as 1.
    pub fn new(size: usize) -> Self {
        Self::with_random(size, Random::new())
    }

    fn with_random(size: usize, random: Random) -> Self {
        SimpleFixedSizeExemplarReservoir { size: size.max(1), kept: Vec::new(), seen: 0, next: 1, w: 1.0, random }
    }

    /// Keeps the measurement, and returns how many measurements to skip before keeping another one.
    pub(crate) fn keep(&mut self, exemplar: Exemplar) -> u64 {
        self.seen = self.next;
        let size = self.size as u64;
        let slot = if self.seen <= size { self.seen - 1 } else { self.random.below(size) };
        match self.kept.get_mut(slot as usize) {
            Some(old) => *old = exemplar,
            None => {
                self.kept.reserve_exact(self.size - self.kept.len());
                self.kept.push(exemplar);
            }
        }
        self.next = if self.seen < size { self.seen + 1 } else { self.seen.saturating_add(self.jump()) };
        self.next - self.seen - 1
    }

    /// Draws the distance to the next measurement to keep.
    fn jump(&mut self) -> u64 {
        self.w *= (self.random.unit().ln() / self.size as f64).exp();
        let jump = (self.random.unit().ln() / (-self.w).ln_1p()).floor();
        // A greater distance is never reached in practice and may exceed the integer range.
        if jump < 9e15 { jump as u64 + 1 } else { u64::MAX / 2 }
    }

    /// Returns the exemplars and the number of measurements they represent, then resets the counts. `left` is the
    /// number of measurements that are still to be skipped.
    pub(crate) fn take(&mut self, left: u64, is_delta: bool) -> (u64, Vec<Exemplar>) {
        let seen = (self.next - 1).saturating_sub(left);
        (self.seen, self.next, self.w) = (0, 1, 1.0);
        let kept = if is_delta { std::mem::take(&mut self.kept) } else { self.kept.clone() };
        (seen, kept)
    }
}

impl ExemplarReservoir for SimpleFixedSizeExemplarReservoir {
    fn offer(&mut self, offer: &Offer<'_>) {
        if self.seen + 1 < self.next {
            self.seen += 1;
        } else {
            self.keep(offer.exemplar());
        }
    }

    fn collect(&mut self, is_delta: bool) -> Vec<Exemplar> {
        let left = self.next - 1 - self.seen;
        self.take(left, is_delta).1
    }
}

/// Merges a series' exemplars from several reservoirs, with the same probabilities as a single reservoir.
pub(crate) struct MergedSlots {
    size: usize,
    parts: Vec<(u64, Vec<Exemplar>)>,
}

impl MergedSlots {
    pub(crate) fn new(size: usize) -> Self {
        MergedSlots { size, parts: Vec::new() }
    }

    pub(crate) fn add(&mut self, part: (u64, Vec<Exemplar>)) {
        if !part.1.is_empty() {
            self.parts.push(part);
        }
    }

    pub(crate) fn finish(mut self, random: &mut Random) -> Vec<Exemplar> {
        if self.parts.len() <= 1 {
            return self.parts.pop().map_or_else(Vec::new, |(_, kept)| kept);
        }
        let mut merged = Vec::new();
        // Pick a reservoir with a probability proportional to the measurements it represents, and take one of
        // its exemplars.
        while merged.len() < self.size {
            let total: u64 = self.parts.iter().filter(|(_, kept)| !kept.is_empty()).map(|(seen, _)| seen).sum();
            if total == 0 {
                break;
            }
            let mut ticket = random.below(total);
            for (seen, kept) in self.parts.iter_mut().filter(|(_, kept)| !kept.is_empty()) {
                if ticket < *seen {
                    *seen -= 1;
                    let at = random.below(kept.len() as u64) as usize;
                    merged.push(kept.swap_remove(at));
                    break;
                }
                ticket -= *seen;
            }
        }
        // Fill the remaining slots with exemplars from before the last collection, newest first.
        let mut old: Vec<_> = self.parts.into_iter().flat_map(|(_, kept)| kept).collect();
        old.sort_by_key(|exemplar| std::cmp::Reverse(exemplar.time));
        merged.extend(old.into_iter().take(self.size - merged.len()));
        merged
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::metrics::data::Number;
    use crate::time::Timestamp;

    fn exemplar(value: u64) -> Exemplar {
        Exemplar::new(value, Timestamp::default())
    }

    /// Counts how often each of `offers` measurements is kept, over many rounds.
    fn frequencies(size: usize, offers: u64, rounds: u64) -> Vec<u64> {
        let mut reservoir = SimpleFixedSizeExemplarReservoir::with_random(size, Random::from_seed(1));
        let mut counts = vec![0u64; offers as usize];
        for _ in 0..rounds {
            let mut left = 0;
            for value in 0..offers {
                if left == 0 { left = reservoir.keep(exemplar(value)) } else { left -= 1 }
            }
            let (seen, kept) = reservoir.take(left, true);
            assert_eq!((seen, kept.len()), (offers, size.min(offers as usize)));
            for one in kept {
                counts[one.value.as_f64() as usize] += 1;
            }
        }
        counts
    }

    fn check_uniform(counts: &[u64], expected: f64) {
        // Five standard deviations of a binomial count, whose variance does not exceed its mean.
        let tolerance = 5.0 * expected.sqrt();
        assert!(counts.iter().all(|&count| (count as f64 - expected).abs() < tolerance), "{expected}: {counts:?}");
    }

    #[test]
    fn every_measurement_has_the_same_chance() {
        check_uniform(&frequencies(1, 10, 20_000), 2_000.0);
        check_uniform(&frequencies(4, 20, 20_000), 4_000.0);
        assert_eq!(frequencies(8, 5, 10), [10; 5]);
    }

    #[test]
    fn parts_are_merged_by_what_they_stand_for() {
        let mut random = Random::from_seed(2);
        let mut counts = [0u64; 2];
        for _ in 0..8_000 {
            let mut merged = MergedSlots::new(1);
            merged.add((30, vec![exemplar(0)]));
            merged.add((10, vec![exemplar(1)]));
            let kept = merged.finish(&mut random);
            counts[usize::from(kept[0].value == Number::U64(1))] += 1;
        }
        check_uniform(&counts[..1], 6_000.0);
        check_uniform(&counts[1..], 2_000.0);
    }

    #[test]
    fn an_old_exemplar_of_a_cumulative_series_stays_until_a_newer_one_comes() {
        let mut reservoir = SimpleFixedSizeExemplarReservoir::new(1);
        reservoir.keep(exemplar(1));
        assert_eq!(reservoir.take(0, false).1, [exemplar(1)]);
        assert_eq!(reservoir.take(0, false), (0, vec![exemplar(1)]));
        reservoir.keep(exemplar(2));
        assert_eq!(reservoir.take(0, false).1, [exemplar(2)]);
        assert_eq!(reservoir.take(0, true).1, [exemplar(2)]);
        assert_eq!(reservoir.take(0, true).1, []);
    }
}
