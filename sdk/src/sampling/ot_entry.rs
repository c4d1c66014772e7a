//! The entry `ot` of the trace state, in which samplers write their threshold.
//!
//! spec: trace/tracestate-handling.md

use std::borrow::Cow;

use opentelemetry::trace::{TraceId, TraceState};

use super::{Randomness, Threshold};

const KEY: &str = "ot";
/// Maximum length of the value of the entry.
const MAX_LENGTH: usize = 256;

/// Returns the value of a sub-key.
fn value<'a>(entry: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = entry.split(';').filter_map(|pair| pair.split_once(':'));
    pairs.find_map(|(name, value)| (name == key).then_some(value))
}

/// Returns the threshold `th`, or `None` if there is no valid one, which means that the probability is unknown.
pub fn threshold(state: &TraceState) -> Option<Threshold> {
    Threshold::from_hex(value(state.get(KEY)?, "th")?)
}

/// Returns the explicit random value `rv`, or `None` if there is no valid one.
pub(super) fn randomness(state: &TraceState) -> Option<Randomness> {
    Randomness::from_hex(value(state.get(KEY)?, "rv")?)
}

impl Randomness {
    /// Returns the value of `rv` in the trace state, or else the last seven bytes of the trace id.
    pub fn for_trace(state: &TraceState, trace_id: TraceId) -> Randomness {
        randomness(state).unwrap_or_else(|| Randomness::for_trace_id(trace_id))
    }
}

/// Returns the trace state with `threshold` as `th`, or without `th` if it is `None`, which says that the probability is unknown.
/// Everything else is kept: `rv`, other sub-keys, and the entries of others. Allocates nothing and returns `state` if it already is as
/// it should be.
///
/// If the entry would be longer than 256 characters, `th` is left out, and a message says so.
///
/// spec: trace/tracestate-handling.md#key
pub fn with_threshold(state: &TraceState, threshold: Option<Threshold>) -> Cow<'_, TraceState> {
    let entry = match (state.get(KEY), threshold) {
        (None, None) => return Cow::Borrowed(state),
        (entry, _) => entry.unwrap_or_default(),
    };
    let is_there = value(entry, "th");
    let is_right = match threshold {
        Some(_) => is_there.and_then(Threshold::from_hex) == threshold,
        None => is_there.is_none(),
    };
    if is_right {
        return Cow::Borrowed(state);
    }
    let Some(changed) = written(entry, threshold) else {
        warn_about_length();
        return with_threshold(state, None);
    };
    let result = if changed.is_empty() { state.delete(KEY) } else { state.insert(KEY, changed) };
    // The key and the value are valid, because nothing but a threshold has been added.
    result.map_or(Cow::Borrowed(state), Cow::Owned)
}

/// Returns the trace state unless it is the one it was made from.
pub(super) fn if_changed(state: Cow<'_, TraceState>) -> Option<TraceState> {
    match state {
        Cow::Borrowed(_) => None,
        Cow::Owned(state) => Some(state),
    }
}

/// Returns the entry with this threshold first, or `None` if it is too long, which it never is without a threshold.
fn written(entry: &str, threshold: Option<Threshold>) -> Option<String> {
    let others = entry.split(';').filter(|pair| !pair.is_empty() && !pair.starts_with("th:"));
    let mut text = String::with_capacity(if entry.is_empty() { 17 } else { entry.len() + 18 });
    if let Some(threshold) = threshold {
        let (digits, length) = threshold.digits();
        text.push_str("th:");
        text.extend(digits[..length].iter().map(|digit| char::from(*digit)));
    }
    for pair in others {
        if !text.is_empty() {
            text.push(';');
        }
        text.push_str(pair);
    }
    (text.len() <= MAX_LENGTH).then_some(text)
}

#[cold]
fn warn_about_length() {
    crate::__warn!(
        "sampling.tracestate",
        "the threshold of a sampler does not fit into the trace state of a caller, so the number of traces that the trace stands for is \
         unknown"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Compares the trace state with the threshold `th`, or without one if it is empty, with `expected`.
    fn check(state: &str, th: &str, expected: &str) {
        let state: TraceState = state.parse().unwrap();
        let changed = with_threshold(&state, th.parse().ok());
        assert_eq!(changed.header(), expected, "{state:?} {th}");
        assert_eq!(matches!(changed, Cow::Borrowed(_)), state == *changed, "unchanged is borrowed: {state:?} {th}");
        let length = changed.get("ot").unwrap_or_default().len();
        assert!(length <= 256);
    }

    #[test]
    fn thresholds_are_written_and_erased() {
        check("", "c", "ot=th:c");
        check("", "", "");
        check("ot=th:c", "c", "ot=th:c");
        check("ot=th:c", "8", "ot=th:8");
        check("ot=th:c", "0", "ot=th:0");
        check("ot=th:c", "", "");
        check("ot=rv:d0000000000000", "c", "ot=th:c;rv:d0000000000000");
        check("ot=rv:10000000000000", "", "ot=rv:10000000000000");
        check("ot=th:8;rv:10000000000000", "", "ot=rv:10000000000000");
        check("a=1,ot=rv:10000000000000;th:8;x:y,b=2", "c", "ot=th:c;rv:10000000000000;x:y,a=1,b=2");
        check("a=1,ot=th:8,b=2", "", "a=1,b=2");
        check("a=1,b=2", "", "a=1,b=2");
        check("a=1,b=2", "fd70a", "ot=th:fd70a,a=1,b=2");
    }

    #[test]
    fn entries_that_are_not_valid_are_repaired_or_kept() {
        check("ot=th:", "", "");
        check("ot=th:x;y:z", "8", "ot=th:8;y:z");
        check("ot=a;b;", "", "ot=a;b;");
        check("ot=a;b;", "8", "ot=th:8;a;b");
        check("ot=th:8;th:c", "e", "ot=th:e");
        check("ot=th:c0", "c", "ot=th:c0");
        check("ot=tha:8;the:th", "8", "ot=th:8;tha:8;the:th");
    }

    #[test]
    fn an_entry_that_would_be_too_long_has_no_threshold() {
        let rest = |length: usize| format!("x:{}", "y".repeat(length - 2));
        check(&format!("ot={}", rest(251)), "8", &format!("ot=th:8;{}", rest(251)));
        check(&format!("ot={}", rest(252)), "8", &format!("ot={}", rest(252)));
        check(&format!("ot=th:c;{}", rest(251)), "c1", &format!("ot={}", rest(251)));
    }

    #[test]
    fn a_full_list_keeps_the_threshold() {
        let full: Vec<_> = (0..32).map(|index| format!("k{index}=v")).collect();
        let state: TraceState = full.join(",").parse().unwrap();
        let changed = with_threshold(&state, Some(Threshold::ALWAYS));
        assert_eq!(threshold(&changed), Some(Threshold::ALWAYS));
        assert_eq!((&*changed).into_iter().count(), 32);
    }

    #[test]
    fn the_random_value_is_rv_or_the_end_of_the_trace_id() {
        let check = |state: &str, expected: u64| {
            let state = state.parse::<TraceState>().unwrap();
            let id = TraceId::from(0xffff_ffff_ffff_ffff_ff12_3456_789a_bcde);
            assert_eq!(Randomness::for_trace(&state, id), Randomness::fresh(expected), "{state:?}");
        };
        check("", 0x12_3456_789a_bcde);
        check("ot=rv:6e6d1a75832a2f", 0x6e_6d1a_7583_2a2f);
        check("a=b,ot=th:8;rv:7479cfb506891d;x:y", 0x74_79cf_b506_891d);
        check("ot=rv:1234567890abcde", 0x12_3456_789a_bcde);
        check("ot=rv:1000000000000", 0x12_3456_789a_bcde);
        check("ot=rv:6E6D1A75832A2F", 0x12_3456_789a_bcde);
        // From the specification: this value is kept at 56.9 % and above.
        let value = Randomness::from_hex("6e6d1a75832a2f").unwrap();
        assert!(Threshold::for_probability(0.569).unwrap().keeps(value));
        assert!(!Threshold::for_probability(0.568).unwrap().keeps(value));
    }

    proptest! {
        #[test]
        fn nothing_else_is_changed(
            others in proptest::collection::btree_map("[a-su-z][a-z0-9]{0,3}", "[a-zA-Z0-9._-]{0,20}", 0..5),
            before in proptest::option::of("[0-9a-f]{1,14}"),
            after in proptest::option::of("[0-9a-f]{1,14}"),
        ) {
            let others: Vec<_> = others.iter().map(|(key, value)| format!("{key}:{value}")).collect();
            let before: Vec<_> = before.iter().map(|digits| format!("th:{digits}")).collect();
            let entry = [others.clone(), before].concat().join(";");
            let state = if entry.is_empty() { TraceState::NONE } else {
                TraceState::from_key_value([("a", "1"), ("ot", &entry)]).unwrap()
            };
            let after = after.and_then(|digits| digits.parse().ok());
            let changed = with_threshold(&state, after);
            prop_assert_eq!(threshold(&changed), after);
            let kept: Vec<_> = changed.get("ot").unwrap_or_default().split(';')
                .filter(|pair| !pair.is_empty() && !pair.starts_with("th:")).collect();
            prop_assert_eq!(kept, others);
            prop_assert_eq!(changed.get("a"), state.get("a"));
            prop_assert_eq!(with_threshold(&changed, after).into_owned(), changed.clone().into_owned());
        }
    }
}
