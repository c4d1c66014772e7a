//! Estimates how many distinct values each attribute has among the series of a metric, with 256 bytes for each key.

use opentelemetry::{Key, KeyValue};

use super::fingerprint::{Fingerprint, Secrets};

/// Number of registers of an estimate. The standard error is 1.04 divided by its square root, 6.5 %.
const REGISTERS: usize = 256;
/// Number of keys that are counted. The names of keys may come from a peer.
const MAX_KEYS: usize = 32;

/// The distinct values of each key. Add the attributes of every series once.
#[derive(Default)]
pub(crate) struct DistinctValues {
    keys: Vec<(Key, Box<Estimate>)>,
}

impl DistinctValues {
    /// Adds the attributes of a series.
    pub(crate) fn add(&mut self, secrets: &Secrets, attributes: &[KeyValue]) {
        for attribute in attributes {
            let is_known = self.keys.iter().any(|(key, _)| *key == attribute.key);
            if !is_known && self.keys.len() < MAX_KEYS {
                self.keys.push((attribute.key.clone(), Box::default()));
            }
            if let Some((_, estimate)) = self.keys.iter_mut().find(|(key, _)| *key == attribute.key) {
                let Fingerprint { place, check } = secrets.fingerprint([attribute]);
                estimate.add(spread(place ^ check.rotate_left(32)));
            }
        }
    }

    /// Returns the keys with their numbers of values, beginning with the largest number.
    pub(crate) fn counts(&self) -> Vec<(Key, u64)> {
        let mut counts: Vec<_> = self.keys.iter().map(|(key, estimate)| (key.clone(), estimate.count())).collect();
        counts.sort_by(|(a, fewer), (b, more)| more.cmp(fewer).then_with(|| a.cmp(b)));
        counts
    }
}

/// Spreads the bits of a fingerprint: those of consecutive integers differ too regularly for an estimate.
fn spread(mut bits: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        bits = (bits ^ bits >> 33).wrapping_mul(factor);
    }
    bits ^ bits >> 33
}

/// A HyperLogLog sketch: each register has the longest run of zeros among the hashes that belong to it.
struct Estimate([u8; REGISTERS]);

impl Default for Estimate {
    fn default() -> Self {
        Estimate([0; REGISTERS])
    }
}

impl Estimate {
    fn add(&mut self, hash: u64) {
        const BITS: u32 = REGISTERS.trailing_zeros();
        let register = &mut self.0[(hash >> (u64::BITS - BITS)) as usize];
        let zeros = (hash << BITS).leading_zeros().min(u64::BITS - BITS);
        *register = (*register).max(zeros as u8 + 1);
    }

    fn count(&self) -> u64 {
        const SIZE: f64 = REGISTERS as f64;
        let empty = self.0.iter().filter(|register| **register == 0).count();
        let sum: f64 = self.0.iter().map(|register| 0.5_f64.powi(i32::from(*register))).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / SIZE) * SIZE * SIZE / sum;
        // While many registers are empty, their number says more.
        let count = match empty {
            0 => estimate,
            _ if estimate > 2.5 * SIZE => estimate,
            _ => SIZE * (SIZE / empty as f64).ln(),
        };
        count.round() as u64
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn counted(sets: impl Iterator<Item = Vec<KeyValue>>) -> Vec<(String, u64)> {
        counted_with(Secrets::fixed(), sets)
    }

    fn counted_with(secrets: &Secrets, sets: impl Iterator<Item = Vec<KeyValue>>) -> Vec<(String, u64)> {
        let mut values = DistinctValues::default();
        sets.for_each(|set| values.add(secrets, &set));
        values.counts().into_iter().map(|(key, count)| (key.to_string(), count)).collect()
    }

    #[test]
    fn the_number_of_values_is_about_right_for_every_kind_of_value() {
        for expected in [1, 2, 10, 100, 600, 2_000, 30_000, 1_000_000u64] {
            let texts = (0..expected).map(|n| vec![KeyValue::new("k", format!("/users/{n}"))]);
            let integers = (0..expected).map(|n| vec![KeyValue::new("k", n as i64)]);
            for counts in [counted(texts), counted(integers)] {
                let [(_, count)] = &counts[..] else { panic!("{counts:?}") };
                let error = count.abs_diff(expected) as f64 / expected as f64;
                assert!(error < 0.2, "{count} instead of {expected}");
            }
        }
    }

    /// Without another round of mixing, the estimate for consecutive integers depends on the secrets.
    #[test]
    fn the_secrets_do_not_change_the_quality() {
        for seed in 1..200 {
            let secrets = Secrets::from_seed(seed);
            let counts = counted_with(&secrets, (0..100).map(|n| vec![KeyValue::new("k", n)]));
            assert!((75..=125).contains(&counts[0].1), "{seed}: {counts:?}");
        }
    }

    #[test]
    fn the_key_with_the_most_values_comes_first_and_repeated_values_count_once() {
        let set = |n: i64| vec![KeyValue::new("route", n % 3), KeyValue::new("user", n), KeyValue::new("zone", "a")];
        let counts = counted((0..100).chain(0..100).map(set));
        let keys: Vec<_> = counts.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["user", "route", "zone"]);
        assert_eq!((counts[1].1, counts[2].1), (3, 1));
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let counts = counted((0..1000).map(|n| vec![KeyValue::new(format!("key.{n}"), n)]));
        assert_eq!(counts.len(), MAX_KEYS);
        assert!(counts.iter().all(|(_, count)| *count == 1), "{counts:?}");
    }
}
