//! The rate of spans over the last seconds.

/// The number of whole seconds over which the rate is averaged.
const SECONDS: u64 = 5;

/// The numbers of spans in each of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    /// The second, and the number of spans in it. A second's place is its remainder.
    counts: [(u64, u64); SECONDS as usize + 1],
}

impl Rate {
    /// Adds spans at a time in nanoseconds.
    pub(super) fn add(&mut self, now: u64, spans: u64) {
        let second = now / 1_000_000_000;
        if let Some(place) = self.counts.get_mut((second % (SECONDS + 1)) as usize) {
            if place.0 != second {
                *place = (second, 0);
            }
            place.1 += spans;
        }
    }

    /// Returns the spans a second over the last whole seconds.
    pub(crate) fn per_second(&self, now: u64) -> f64 {
        let second = now / 1_000_000_000;
        let window = second.saturating_sub(SECONDS)..second;
        let spans: u64 = self.counts.iter().filter(|(second, _)| window.contains(second)).map(|(_, spans)| spans).sum();
        spans as f64 / SECONDS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_rate_covers_whole_seconds() {
        let mut rate = Rate::default();
        rate.add(100 * SECOND, 10);
        assert_eq!(rate.per_second(100 * SECOND), 0.0, "the second is not over");
        assert_eq!(rate.per_second(101 * SECOND), 2.0);
        rate.add(101 * SECOND, 5);
        rate.add(101 * SECOND + 1, 5);
        assert_eq!(rate.per_second(102 * SECOND), 4.0);
        assert_eq!(rate.per_second(106 * SECOND), 2.0);
        assert_eq!(rate.per_second(107 * SECOND), 0.0);
    }
}
