//! Rules and their actions on every type of value.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use opentelemetry::logs::AnyValue;
use opentelemetry::{Array, Value};
use telemark_redaction::{Action, HashKey, Preset, Redaction, Rule};
use telemark_sdk::redaction::Redactor;

/// Compares an attribute after its redaction, or `removed`, with `expected`.
fn check(redaction: &Redaction, key: &str, value: impl Into<Value>, expected: &str) {
    let mut value = value.into();
    let shown = if redaction.attribute(key, &mut value) { value.to_string() } else { "removed".to_owned() };
    assert_eq!(shown, expected, "{key}");
}

fn texts(list: &[&'static str]) -> Value {
    Value::Array(Array::String(list.iter().map(|text| (*text).into()).collect()))
}

fn key() -> HashKey {
    HashKey::new("0123456789abcdef").unwrap()
}

#[test]
fn a_rule_for_keys_takes_the_whole_value_of_every_type() {
    let rule = |action| Redaction::new().with_rule(Rule::for_keys(["a", "b.*"]).with_action(action));
    let delete = rule(Action::Delete);
    check(&delete, "a", 1, "removed");
    check(&delete, "b.c", true, "removed");
    check(&delete, "b", "kept", "kept");
    check(&delete, "A", "kept", "kept");
    let replace = Redaction::new().with_rule(Rule::for_keys(["a"]));
    check(&replace, "a", 1.5, "[redacted]");
    check(&replace, "a", texts(&["x", "y"]), "[redacted]");
    let mask = rule(Action::Mask { keep_last: 2 });
    check(&mask, "a", 12_345, "***45");
    check(&mask, "a", texts(&["secret", "x"]), r#"["****et","*"]"#);
    check(&mask, "a", Value::Array(Array::I64(vec![1234])), r#"["**34"]"#);
    check(&mask, "a", true, "**ue");
    let hash = rule(Action::Hash(key()));
    check(&hash, "a", 7, &hashed("7"));
    check(&hash, "a", "7", &hashed("7"));
}

/// Returns the hash of a value as an attribute has it.
fn hashed(value: &'static str) -> String {
    let redaction = Redaction::new().with_rule(Rule::for_keys(["k"]).with_action(Action::Hash(key())));
    let mut value = Value::from(value);
    assert!(redaction.attribute("k", &mut value));
    assert_eq!(value.as_str().len(), 32);
    value.to_string()
}

#[test]
fn a_rule_for_values_takes_what_matches_in_texts_and_integers() {
    let values = |action| Redaction::new().with_rule(Rule::for_values([r"\d{6}", "x+"]).unwrap().with_action(action));
    let replace = values(Action::Replace("#".into()));
    check(&replace, "a", "1 123456 xx 1234567", "1 # # #7");
    check(&replace, "a", 123_456, "#");
    check(&replace, "a", 12_345, "12345");
    check(&replace, "a", 123_456.0, "123456");
    check(&replace, "a", texts(&["x", "y"]), r##"["#","y"]"##);
    check(&replace, "a", Value::Array(Array::I64(vec![1, 123_456])), r##"["1","#"]"##);
    let delete = values(Action::Delete);
    check(&delete, "a", "a 123456", "removed");
    check(&delete, "a", texts(&["x", "y"]), r#"["y"]"#);
    assert_eq!(delete.text("a 123456 b").unwrap(), "a  b", "a text that is no attribute stays");
    // The replacement is no template.
    check(&values(Action::Replace("$0".into())), "a", "123456", "$0");
    assert_eq!(values(Action::Mask { keep_last: 3 }).text("a 123456").unwrap(), "a ***456");
}

#[test]
fn a_rule_may_be_restricted_to_keys_and_keys_exempt_from_the_others() {
    let restricted = Redaction::new().with_rule(Rule::for_preset(Preset::EmailAddress).in_keys(["user.*"]));
    check(&restricted, "user.mail", "ann@example.com", "[email]");
    check(&restricted, "mail", "ann@example.com", "ann@example.com");
    assert_eq!(restricted.text("ann@example.com"), None);
    let exempt = Redaction::new()
        .with_presets([Preset::IpAddress, Preset::Password])
        .with_rule(Rule::for_keys(["server.port"]))
        .with_exempt_keys(["server.*", "csrf_token"]);
    check(&exempt, "server.address", "192.0.2.7", "192.0.2.7");
    check(&exempt, "csrf_token", "x", "x");
    check(&exempt, "server.port", 80, "[redacted]");
    check(&exempt, "client.address", "192.0.2.7", "[ip_address]");
}

#[test]
fn rules_apply_in_their_order_and_those_for_keys_first() {
    let redaction = Redaction::new()
        .with_rule(Rule::for_preset(Preset::PaymentCard).with_action(Action::Mask { keep_last: 4 }))
        .with_presets([Preset::PaymentCard, Preset::EmailAddress])
        .with_rule(Rule::for_keys(["user.id"]).with_action(Action::Hash(key())));
    check(&redaction, "a", "4111111111111111 ann@example.com", "************1111 [email]");
    check(&redaction, "user.id", "ann@example.com", &hashed("ann@example.com"));
}

#[test]
fn the_number_of_patterns_is_bounded() {
    let none: [&str; 0] = [];
    assert!(Rule::for_values(none).unwrap_err().to_string().ends_with("expected 1 to 64 patterns"));
    assert!(Rule::for_values(vec!["a"; 65]).unwrap_err().to_string().starts_with("values=\"65\" cannot be used"));
}

/// Compares the body of a record after its redaction with `expected`.
fn check_body(redaction: &Redaction, mut body: AnyValue, expected: Option<AnyValue>) {
    let kept = redaction.log_value("", &mut body);
    assert_eq!(kept.then_some(body), expected);
}

fn map(key: &'static str, value: impl Into<AnyValue>) -> AnyValue {
    AnyValue::from_iter([(key, value.into())])
}

fn list(values: &[&'static str]) -> AnyValue {
    AnyValue::from_iter(values.iter().copied())
}

#[test]
fn nested_values_have_their_own_keys_and_their_paths() {
    let by_key = Redaction::new().with_rule(Rule::for_keys(["name", "user.id"]).with_action(Action::Delete));
    check_body(
        &by_key,
        map("user", map("name", "Ann")),
        Some(map("user", AnyValue::from_iter::<[(&str, i64); 0]>([]))),
    );
    check_body(&by_key, map("user", map("id", 7)), Some(map("user", AnyValue::from_iter::<[(&str, i64); 0]>([]))));
    check_body(&by_key, map("id", 7), Some(map("id", 7)));
    let presets = Redaction::new().with_presets(Preset::ALL);
    check_body(&presets, "mail ann@example.com".into(), Some("mail [email]".into()));
    check_body(&presets, map("a", list(&["ann@example.com", "b"])), Some(map("a", list(&["[email]", "b"]))));
    check_body(
        &presets,
        map("user", map("password", list(&["x", "y"]))),
        Some(map("user", map("password", "REDACTED"))),
    );
    check_body(&presets, map("card", 4_111_111_111_111_111_i64), Some(map("card", "[payment_card]")));
    let bytes = |text: &[u8]| AnyValue::Bytes(Box::new(text.to_vec()));
    check_body(&presets, bytes(b"ann@example.com"), Some(bytes(b"[email]")));
    check_body(&presets, bytes(b"ann@example.com\xff"), Some(bytes(b"ann@example.com\xff")));
    // A limit of their length may cut bytes within a character.
    check_body(&presets, bytes(b"ann@example.com \xe2\x80"), Some(bytes(b"[email] ")));
    let delete = Redaction::new().with_rule(Rule::for_values(["x"]).unwrap().with_action(Action::Delete));
    check_body(&delete, "x".into(), None);
    check_body(&delete, list(&["x", "y"]), Some(list(&["y"])));
    let mask = Redaction::new().with_rule(Rule::for_keys(["a"]).with_action(Action::Mask { keep_last: 0 }));
    check_body(&mask, map("a", map("b", list(&["secret"]))), Some(map("a", map("b", list(&["******"])))));
}

#[test]
fn what_each_rule_hides_is_counted() {
    let redaction = Redaction::new()
        .with_preset(Preset::EmailAddress)
        .with_rule(Rule::for_keys(["gone", "other"]).with_action(Action::Delete))
        .with_rule(Rule::for_values([r"\d{6}", "unused"]).unwrap())
        .with_rule(Rule::for_preset(Preset::EmailAddress).in_keys(["mail"]))
        .with_preset(Preset::Password);
    check(&redaction, "a", "ann@example.com, bob@example.com and 123456", "[email], [email] and [redacted]");
    check(&redaction, "gone", 1, "removed");
    check(&redaction, "b", texts(&["123456", "x", "654321"]), r#"["[redacted]","x","[redacted]"]"#);
    check(&redaction, "password", "abc", "REDACTED");
    check(&redaction, "c", "nothing", "nothing");
    check_body(&redaction, map("gone", "x"), Some(AnyValue::from_iter::<[(&str, i64); 0]>([])));
    let counts: Vec<_> = redaction.hidden().into_iter().map(|(rule, count)| format!("{rule}: {count}")).collect();
    assert_eq!(counts, ["email: 1", "keys gone: 2", r"values \d{6}: 3", "password: 1"]);
}

#[test]
fn a_rule_for_keys_applies_within_an_exempt_map() {
    let redaction =
        Redaction::new().with_presets(Preset::ALL).with_rule(Rule::for_keys(["iban"])).with_exempt_keys(["peer"]);
    let body = |iban: &'static str| {
        let peer = AnyValue::from_iter([("iban", iban), ("address", "192.0.2.7"), ("password", "x")]);
        map("peer", list_of([peer]))
    };
    check_body(&redaction, body("DE89370400440532013000"), Some(body("[redacted]")));
    check_body(&redaction, map("address", "192.0.2.7"), Some(map("address", "[ip_address]")));
}

fn list_of(values: impl IntoIterator<Item = AnyValue>) -> AnyValue {
    values.into_iter().collect()
}

#[test]
fn a_path_of_long_keys_is_compared_by_its_ends() {
    let rule = Rule::for_keys(["user.*.name.first"]).with_action(Action::Delete);
    let redaction = Redaction::new().with_rule(rule);
    let none = || AnyValue::from_iter::<[(&str, i64); 0]>([]);
    let body = |inner: AnyValue| map("user", AnyValue::from_iter([("é".repeat(5000), map("name", inner))]));
    check_body(&redaction, body(map("first", "Ann")), Some(body(none())));
    check_body(&redaction, body(map("last", "Ann")), Some(body(map("last", "Ann"))));
}
