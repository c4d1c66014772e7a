//! Texts that an attacker chooses: any text is survived, and a search takes time in proportion to the length of the text.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "the time of a search is what is tested")]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use opentelemetry::logs::AnyValue;
use proptest::prelude::*;
use telemark_redaction::{Action, HashKey, Preset, Redaction, Rule};
use telemark_sdk::redaction::Redactor;

fn everything() -> Redaction {
    Redaction::new().with_presets(Preset::ALL).with_rule(Rule::for_values([r"\bACME-\d+", "(?i)x[a-z]*y"]).unwrap())
}

/// Near-matches of each preset, which a search must read and then reject or accept.
const PIECES: [&str; 40] = [
    "@",
    "a@",
    "a@b.",
    "%40",
    "a%40b",
    "a.b-",
    "@a.b.c.",
    "1",
    "12 ",
    "4111 ",
    "4111-1111-1111-1112 ",
    "4111111111111112 ",
    "078-05-",
    "000-12-3456 ",
    "bearer ",
    "basic ",
    "basic+",
    "bearer=",
    "eyJ",
    "eyJ.",
    "password",
    "password=",
    "token:",
    "password=\"",
    "[\"",
    "://",
    "a:b@",
    "://a:",
    "x://a:b/",
    "pw={",
    "pw=[}",
    "pw=A {",
    "pw=a'b",
    "pw='",
    "1.2.3.",
    "1.2.3.4:",
    "::",
    "a:",
    "ffff:",
    "xaaaa",
];

/// Returns the time that this thread has spent on a CPU, so that other work of the machine does not count; elsewhere than on Linux, the
/// time that has passed.
fn now() -> Duration {
    // A thread that gives way has its time brought up to date.
    std::thread::yield_now();
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split(' ').next()?.parse().ok().map(Duration::from_nanos));
    static START: OnceLock<Instant> = OnceLock::new();
    spent.unwrap_or_else(|| START.get_or_init(Instant::now).elapsed())
}

fn shortest(redaction: &Redaction, text: &str) -> Duration {
    let times = (0..2).map(|_| {
        let start = now();
        drop(std::hint::black_box(redaction.text(text)));
        now() - start
    });
    times.min().unwrap()
}

#[test]
fn a_search_is_linear_in_the_length_of_near_matches() {
    let redaction = everything();
    for piece in PIECES {
        let [short, long] = [8, 128].map(|kib: usize| piece.repeat(kib * 1024 / piece.len()));
        let (short, long) = (shortest(&redaction, &short), shortest(&redaction, &long));
        // The text is 16 times as long. A quadratic search would take 256 times as long, which is seconds.
        let limit = short * 48 + Duration::from_millis(100);
        assert!(long < limit, "{piece:?}: {short:?} for 8 KiB and {long:?} for 128 KiB");
    }
}

#[test]
fn a_long_key_costs_nothing_more_for_each_value_in_its_map() {
    let redaction = Redaction::new().with_rule(Rule::for_keys(["*.user.*.name"]));
    let values: AnyValue = (0..4000).map(|number| (number.to_string(), AnyValue::from(1))).collect();
    let mut body = AnyValue::from_iter([("k".repeat(1 << 20), values)]);
    let start = now();
    assert!(redaction.log_value("", &mut body));
    let spent = now() - start;
    // The product of both is 4 GB.
    assert!(spent < Duration::from_secs(1), "{spent:?}");
}

#[test]
fn a_text_grows_by_a_bounded_number_of_bytes() {
    let long = Action::Replace("x".repeat(Action::MAX_REPLACEMENT).into());
    let hash = Action::Hash(HashKey::new("0123456789abcdef").unwrap());
    for action in [long, hash] {
        let redaction = Redaction::new().with_rule(Rule::for_preset(Preset::Password).with_action(action.clone()));
        let text = "pw=1 ".repeat(10_000);
        let redacted = redaction.text(&text).unwrap();
        assert!(redacted.len() <= text.len() + 8192, "{} bytes", redacted.len());
        assert!(!redacted.contains("pw=1"));
    }
}

proptest! {
    #[test]
    fn any_text_is_survived_and_its_redaction_is_stable(text in "(?s).{0,60}") {
        check(&text);
    }

    /// Near-matches side by side, with characters of several bytes in between.
    #[test]
    fn any_combination_of_near_matches_is_survived(
        pieces in prop::collection::vec(prop_oneof![prop::sample::select(&PIECES[..]), prop::sample::select(&["é", "邮", " ", "\""][..])], 0..24)
    ) {
        check(&pieces.concat());
    }
}

fn check(text: &str) {
    for preset in Preset::ALL {
        let redaction = Redaction::new().with_preset(preset);
        if let Some(redacted) = redaction.text(text) {
            assert_ne!(redacted, text);
            // Every round hides something, so that there is an end.
            let mut last = redacted;
            for _ in 0..8 {
                match redaction.text(&last) {
                    Some(next) => last = next,
                    None => break,
                }
            }
            assert_eq!(redaction.text(&last), None, "{preset}: {text:?}");
        }
    }
    drop(everything().text(text));
}
