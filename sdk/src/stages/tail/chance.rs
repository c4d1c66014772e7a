//! The chance with which policies keep a trace like this one, from which its weight follows.
//!
//! A policy keeps a trace if the trace's random value reaches a threshold. The threshold of a policy that only looks at the contents of a
//! trace is [`Threshold::ALWAYS`]. A trace that several policies may keep is kept if one of them keeps it, so the lowest threshold counts,
//! whichever policy comes first.

use crate::sampling::{Randomness, Threshold};

/// The chance with which a trace with these contents is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Chance {
    /// It is never kept.
    Never,
    /// It is kept if its random value reaches the threshold.
    Above(Threshold),
    /// It is kept or not, with a probability that is not known.
    Unknown {
        /// True if this trace is kept.
        keeps: bool,
    },
}

impl Chance {
    /// The chance of a trace that is always kept.
    pub(super) const ALWAYS: Chance = Chance::Above(Threshold::ALWAYS);

    /// Returns the chance of a policy that looks at the contents only.
    pub(super) fn certain(keeps: bool) -> Self {
        if keeps { Chance::ALWAYS } else { Chance::Never }
    }

    /// Returns true if a trace with this random value is kept.
    pub(super) fn keeps(self, randomness: Randomness) -> bool {
        match self {
            Chance::Never => false,
            Chance::Above(threshold) => threshold.keeps(randomness),
            Chance::Unknown { keeps } => keeps,
        }
    }

    /// Returns the threshold, if the probability is known.
    pub(super) fn threshold(self) -> Option<Threshold> {
        match self {
            Chance::Above(threshold) => Some(threshold),
            Chance::Never | Chance::Unknown { .. } => None,
        }
    }

    /// Returns the chance of a trace that both must keep.
    pub(super) fn and(self, other: Chance, randomness: Randomness) -> Self {
        match (self, other) {
            (Chance::Never, _) | (_, Chance::Never) => Chance::Never,
            (Chance::Above(a), Chance::Above(b)) => Chance::Above(a.max(b)),
            _ => Chance::Unknown { keeps: self.keeps(randomness) && other.keeps(randomness) },
        }
    }

    /// Returns the chance of a trace that one of the two must keep.
    pub(super) fn or(self, other: Chance, randomness: Randomness) -> Self {
        match (self, other) {
            (Chance::Never, chance) | (chance, Chance::Never) => chance,
            (Chance::ALWAYS, _) | (_, Chance::ALWAYS) => Chance::ALWAYS,
            (Chance::Above(a), Chance::Above(b)) => Chance::Above(a.min(b)),
            _ => Chance::Unknown { keeps: self.keeps(randomness) || other.keeps(randomness) },
        }
    }

    /// Returns the chance of a trace that this one must not keep.
    pub(super) fn not(self, randomness: Randomness) -> Self {
        match self {
            Chance::Never => Chance::ALWAYS,
            Chance::ALWAYS => Chance::Never,
            // What is below a threshold has no threshold of its own.
            _ => Chance::Unknown { keeps: !self.keeps(randomness) },
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use opentelemetry::trace::{TraceId, TraceState};
    use proptest::prelude::*;

    use super::*;

    fn above(probability: f64) -> Chance {
        Threshold::for_probability(probability).map_or(Chance::Never, Chance::Above)
    }

    fn randomness(low: u64) -> Randomness {
        Randomness::for_trace(&TraceState::NONE, TraceId::from(u128::from(low)))
    }

    #[test]
    fn the_chances_of_several_policies() {
        let one = randomness(1 << 55);
        let (never, unknown) = (Chance::Never, |keeps| Chance::Unknown { keeps });
        for (a, b, both, either) in [
            (above(0.5), above(0.1), above(0.1), above(0.5)),
            (Chance::ALWAYS, above(0.1), above(0.1), Chance::ALWAYS),
            (never, above(0.1), never, above(0.1)),
            (unknown(true), Chance::ALWAYS, unknown(true), Chance::ALWAYS),
            (unknown(true), above(0.5), unknown(true), unknown(true)),
            (unknown(false), above(0.5), unknown(false), unknown(true)),
            (unknown(false), above(0.1), unknown(false), unknown(false)),
            (unknown(true), never, never, unknown(true)),
        ] {
            assert_eq!((a.and(b, one), a.or(b, one)), (both, either), "{a:?} {b:?}");
            assert_eq!((b.and(a, one), b.or(a, one)), (both, either), "{b:?} {a:?}");
        }
        assert_eq!((never.not(one), Chance::ALWAYS.not(one)), (Chance::ALWAYS, never));
        assert_eq!((above(0.5).not(one), above(0.25).not(one)), (unknown(false), unknown(true)));
    }

    fn any_chance() -> impl Strategy<Value = Chance> {
        let known = (1..=1000_u32).prop_map(|thousandths| above(f64::from(thousandths) / 1000.0));
        prop_oneof![Just(Chance::Never), known, any::<bool>().prop_map(|keeps| Chance::Unknown { keeps })]
    }

    proptest! {
        /// Both and either keep exactly what their parts say, and a known weight is never invented.
        #[test]
        fn compositions_keep_what_their_parts_say(a in any_chance(), b in any_chance(), low in 0..1_u64 << 56) {
            let one = randomness(low);
            prop_assert_eq!(a.and(b, one).keeps(one), a.keeps(one) && b.keeps(one));
            prop_assert_eq!(a.or(b, one).keeps(one), a.keeps(one) || b.keeps(one));
            prop_assert_eq!(a.not(one).keeps(one), !a.keeps(one));
            if let (Some(threshold), Some(part)) = (a.and(b, one).threshold(), a.threshold()) {
                prop_assert!(threshold >= part);
            }
            if let (Some(threshold), Some(part)) = (a.or(b, one).threshold(), a.threshold()) {
                prop_assert!(threshold <= part);
            }
        }
    }
}
