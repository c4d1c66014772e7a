//! The arithmetic of consistent probability sampling: thresholds, and the random values that are compared with them.
//!
//! spec: trace/tracestate-probability-sampling.md

use std::fmt::{self, Write};
use std::str::FromStr;

use opentelemetry::trace::TraceId;

use crate::error::ConfigError;

/// Number of random values: they have 56 bits.
const RANDOM_VALUES: u64 = 1 << 56;
/// Number of hexadecimal digits of a random value.
const DIGITS: usize = 14;
/// Number of digits that a threshold has after its leading `f`s, as the specification recommends.
const PRECISION: i32 = 4;

/// A rejection threshold: a sampler keeps a trace if the trace's [`Randomness`] is at least the threshold.
///
/// All samplers compare the same random value, so a sampler with a higher threshold keeps a part of what a sampler with a lower one keeps.
/// A stage after another one may therefore raise the threshold, and never lowers it.
///
/// Its text is the value of `th` in the trace state: hexadecimal, without trailing zeros.
///
/// ```
/// use telemark_sdk::sampling::Threshold;
///
/// let quarter = Threshold::for_probability(0.25).unwrap();
/// assert_eq!(quarter.to_string(), "c");
/// assert_eq!(quarter.adjusted_count(), 4.0);
/// assert_eq!("c".parse::<Threshold>().unwrap(), quarter);
/// ```
///
/// spec: trace/tracestate-probability-sampling.md
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u64);

impl Threshold {
    /// The threshold of the probability 1, which keeps everything.
    pub const ALWAYS: Threshold = Threshold(0);

    /// Returns the threshold of a sampler that keeps traces with this probability, rounded to four digits after the leading `f`s. Returns
    /// `None` for anything that is not from 2⁻⁵⁶ to 1, which includes 0: a sampler that keeps nothing has no threshold.
    ///
    /// Probabilities below 2⁻⁴⁸ count as 2⁻⁴⁸.
    ///
    /// spec: trace/tracestate-probability-sampling.md#converting-floating-point-probability-to-threshold-value
    pub fn for_probability(probability: f64) -> Option<Threshold> {
        let smallest = 1.0 / RANDOM_VALUES as f64;
        if !(smallest..=1.0).contains(&probability) {
            return None;
        }
        // The exponent of the probability as a multiple of a number from 0.5 to 1, like C's `frexp`. Probabilities are normal numbers.
        let exponent = (probability.to_bits() >> 52 & 0x7ff) as i32 - 1022;
        let leading = (-exponent).div_euclid(4);
        let precision = (PRECISION + leading).clamp(1, 12);
        // The digits after the point of a number from 1 to 2 are the fraction of its representation, in 13 digits.
        let half_a_digit = 0.5 / (1u64 << (4 * precision)) as f64;
        let rounded = 2.0 - probability + half_a_digit;
        let fraction = if rounded < 2.0 { rounded.to_bits() } else { u64::MAX } & ((1 << 52) - 1);
        let kept = fraction >> (52 - 4 * precision);
        Some(Threshold(kept << (56 - 4 * precision)))
    }

    /// Returns the probability with which traces are kept.
    pub fn probability(self) -> f64 {
        (RANDOM_VALUES - self.0) as f64 / RANDOM_VALUES as f64
    }

    /// Returns the number of traces that a kept trace stands for, such as 4 at the probability 0.25.
    pub fn adjusted_count(self) -> f64 {
        RANDOM_VALUES as f64 / (RANDOM_VALUES - self.0) as f64
    }

    /// Returns true if a trace with this random value is kept.
    #[inline]
    pub const fn keeps(self, randomness: Randomness) -> bool {
        randomness.0 >= self.0
    }

    /// Returns the threshold of a stage that keeps `probability` of what this threshold has kept. Returns `None` if the product is
    /// not a valid probability. Rounding never lowers the threshold.
    ///
    /// spec: trace/tracestate-probability-sampling.md, proportional sampling
    pub fn proportional(self, probability: f64) -> Option<Threshold> {
        let probability = Some(probability).filter(|probability| (0.0..=1.0).contains(probability))?;
        Some(Threshold::for_probability(probability * self.probability())?.equalizing(self))
    }

    /// Returns the threshold of a stage that reduces all traces to the probability of `target`, whatever this threshold was: the higher of
    /// the two.
    ///
    /// spec: trace/tracestate-probability-sampling.md, equalizing sampling
    pub fn equalizing(self, target: Threshold) -> Threshold {
        self.max(target)
    }

    /// Returns the threshold as a number of 56 bits.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Returns the threshold that is the lower 56 bits of a number.
    pub(crate) const fn from_bits(bits: u64) -> Threshold {
        Threshold(bits & (RANDOM_VALUES - 1))
    }

    /// Parses 1 to 14 lower-case digits, to which zeros are appended.
    pub(super) fn from_hex(digits: &str) -> Option<Threshold> {
        let value = parse(digits)?;
        Some(Threshold(value << (4 * (DIGITS - digits.len()))))
    }

    /// Returns the digits as they are written.
    pub(super) fn digits(self) -> ([u8; DIGITS], usize) {
        let mut digits = [b'0'; DIGITS];
        let mut length = 1;
        for (index, digit) in digits.iter_mut().enumerate() {
            let value = (self.0 >> (52 - 4 * index)) as u8 & 0xf;
            *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
            if value != 0 {
                length = index + 1;
            }
        }
        (digits, length)
    }
}

/// Parses 1 to 14 lower-case hexadecimal digits.
fn parse(digits: &str) -> Option<u64> {
    let is_valid = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() > DIGITS || !digits.bytes().all(is_valid) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, length) = self.digits();
        digits[..length].iter().try_for_each(|digit| f.write_char(char::from(*digit)))
    }
}

impl FromStr for Threshold {
    type Err = ConfigError;

    fn from_str(digits: &str) -> Result<Self, ConfigError> {
        Threshold::from_hex(digits)
            .ok_or_else(|| ConfigError::invalid("threshold", digits, "1 to 14 lower-case hexadecimal digits"))
    }
}

/// The random value of a trace, with 56 bits, which is the same in all processes that the trace passes through.
///
/// spec: trace/tracestate-handling.md#explicit-randomness-value-rv
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Randomness(u64);

impl Randomness {
    /// Returns the last seven bytes of a trace id.
    pub(super) fn for_trace_id(trace_id: TraceId) -> Randomness {
        Randomness::fresh(u128::from_be_bytes(trace_id.to_bytes()) as u64)
    }

    /// Uses the lower 56 bits of a random number, for a decision that no other one has to agree with.
    pub const fn fresh(random: u64) -> Randomness {
        Randomness(random & (RANDOM_VALUES - 1))
    }

    /// Parses exactly 14 lower-case digits.
    pub(super) fn from_hex(digits: &str) -> Option<Randomness> {
        if digits.len() == DIGITS { parse(digits).map(Randomness) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Compares the text, the value, the probability and the adjusted count of a probability's threshold with `expected`.
    fn check(probability: f64, expected: &str) {
        let threshold = Threshold::for_probability(probability).unwrap();
        let (real, count) = (threshold.probability(), threshold.adjusted_count());
        assert_eq!(format!("{threshold} {} {real:?} {count:?}", threshold.0), expected, "{probability}");
        assert_eq!(threshold.to_string().parse::<Threshold>().unwrap(), threshold);
        // The smallest random value that is kept is the threshold itself.
        assert!(threshold.keeps(Randomness(threshold.0)));
        assert!(threshold.0 == 0 || !threshold.keeps(Randomness(threshold.0 - 1)));
    }

    #[test]
    fn thresholds_of_the_specification() {
        check(1.0, "0 0 1.0 1.0");
        check(0.999, "0042 72567767433216 0.998992919921875 1.0010080953108293");
        check(0.99, "028f 720180116193280 0.9900054931640625 1.0100954054345648");
        check(0.95, "0ccd 3603099604221952 0.9499969482421875 1.0526349604073306");
        check(0.9, "199a 7206199208443904 0.899993896484375 1.1111186463666882");
        check(0.8, "3333 14411298905260032 0.8000030517578125 1.2499952316466079");
        check(0.75, "4 18014398509481984 0.75 1.3333333333333333");
        check(2.0 / 3.0, "5555 24018831508766720 0.6666717529296875 1.499988555995514");
        check(0.5, "8 36028797018963968 0.5 2.0");
        check(0.45, "8ccd 39631896623185920 0.4499969482421875 2.2222372927333764");
        check(0.4, "999a 43234996227407872 0.399993896484375 2.5000381475547417");
        check(1.0 / 3.0, "aaab 48038762529161216 0.3333282470703125 3.00004577706569");
        check(0.3, "b333 50440095924224000 0.3000030517578125 3.3332994252581254");
        check(0.25, "c 54043195528445952 0.25 4.0");
        check(0.2, "cccd 57646295132667904 0.1999969482421875 5.0000762951094835");
        check(0.15, "d99a 61249394736889856 0.149993896484375 6.666937945066124");
        check(0.125, "e 63050394783186944 0.125 8.0");
        check(0.1, "e666 64851394829484032 0.100006103515625 9.99938968568813");
        check(1.0 / 12.0, "eaab 66053161038643200 0.0833282470703125 12.000732466581212");
        check(0.0625, "f 67553994410557440 0.0625 16.0");
        check(0.05, "f3333 68454700592136192 0.05000019073486328 19.999923706345726");
        check(0.025, "f999a 70256181674770432 0.024999618530273438 40.00061036087587");
        check(0.02, "fae14 70616409171820544 0.020000457763671875 49.99885561701316");
        check(0.01, "fd70a 71337001604874240 0.010000228881835938 99.99771123402633");
        check(0.005, "feb85 71697297821401088 0.005000114440917969 199.99542246805265");
        check(0.002, "ff7cee 71913480705277952 0.001999974250793457 500.0064373845145");
        check(0.001, "ffbe77 71985537371602944 0.0009999871253967285 1000.012874769029");
        check(5e-4, "ffdf3b 72021563557281792 0.000500023365020752 1999.9065442841816");
        check(1e-4, "fff9724 72050388156547072 0.00010000169277191162 9999.830725674266");
        check(1e-5, "ffff583a 72056873456500736 1.00000761449337e-5 99999.238556461");
        check(1e-6, "ffffef39 72057521979785216 1.00000761449337e-6 999992.38556461");
        check(0.000_000_953_674_316_406_25, "fffff 72057525318451200 9.5367431640625e-7 1048576.0");
        check(2f64.powi(-40), "ffffffffff 72057594037862400 9.094947017729282e-13 1099511627776.0");
        check(0.13, "deb8 62689754969276416 0.1300048828125 7.692018779342723");
    }

    #[test]
    fn the_smallest_probability_is_legal_and_below_2_to_the_minus_48_it_is_rounded_up() {
        for exponent in 48..=56 {
            let threshold = Threshold::for_probability(2f64.powi(-exponent)).unwrap();
            assert_eq!((threshold.to_string().as_str(), threshold.probability()), ("ffffffffffff", 2f64.powi(-48)));
        }
        for invalid in [0.0, -0.0, 2f64.powi(-57), f64::MIN_POSITIVE, -0.5, 1.000_000_1, f64::NAN, f64::INFINITY] {
            assert_eq!(Threshold::for_probability(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn texts() {
        for (text, expected) in [
            ("0", Some("0")),
            ("c", Some("c")),
            ("c0000", Some("c")),
            ("10000000000000", Some("1")),
            ("0042", Some("0042")),
            ("ffffffffffffff", Some("ffffffffffffff")),
            ("100000000000000", None),
            ("", None),
            ("x", None),
            ("C", None),
            ("+1", None),
            (" c", None),
        ] {
            let threshold = text.parse::<Threshold>();
            assert_eq!(threshold.map(|threshold| threshold.to_string()).ok().as_deref(), expected, "{text:?}");
        }
        let error = "C".parse::<Threshold>().unwrap_err().to_string();
        assert_eq!(error, "threshold=\"C\" cannot be used: expected 1 to 14 lower-case hexadecimal digits");
    }

    proptest! {
        #[test]
        fn thresholds_only_rise(first in 0u64..RANDOM_VALUES, second in 0u64..RANDOM_VALUES, probability in 0.0..=1.0f64) {
            let (first, second) = (Threshold(first), Threshold(second));
            prop_assert!(first.equalizing(second) >= first);
            prop_assert!(first.equalizing(second) >= second);
            if let Some(lower) = first.proportional(probability) {
                prop_assert!(lower >= first);
                // Four digits after the leading `f`s are a relative error of at most half a unit of the fourth digit.
                let wanted = first.probability() * probability;
                let smallest = 2f64.powi(-48);
                let is_close = (lower.probability() / wanted - 1.0).abs() < 1.0 / 4096.0;
                prop_assert!(is_close || wanted < smallest * 65536.0, "{} {}", lower.probability(), wanted);
            }
        }

        #[test]
        fn a_higher_probability_has_a_lower_threshold(low in 0.0..=1.0f64, high in 0.0..=1.0f64) {
            let (low, high) = (low.min(high), low.max(high));
            let thresholds = Threshold::for_probability(low).zip(Threshold::for_probability(high));
            if let Some((of_low, of_high)) = thresholds {
                prop_assert!(of_low >= of_high);
            }
        }

        #[test]
        fn what_is_written_can_be_read(value in 0u64..RANDOM_VALUES) {
            let threshold = Threshold(value);
            prop_assert_eq!(threshold.to_string().parse::<Threshold>().ok(), Some(threshold));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,20}") {
            let parsed = Threshold::from_hex(&text);
            prop_assert_eq!(parsed.is_some(), !text.is_empty() && text.len() <= 14
                && text.bytes().all(|byte| b"0123456789abcdef".contains(&byte)));
        }
    }
}
