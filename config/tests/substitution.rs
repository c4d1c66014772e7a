//! References to variables, in the cases of the specification and in those that follow from its grammar.
//!
//! spec: configuration/data-model.md#environment-variable-substitution
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use telemark_config::parse;
use telemark_sdk::config::{Data, Env};

const VARIABLES: [(&str, &str); 13] = [
    ("STRING_VALUE", "value"),
    ("BOOL_VALUE", "true"),
    ("INT_VALUE", "1"),
    ("FLOAT_VALUE", "1.1"),
    ("HEX_VALUE", "0xdeadbeef"),
    ("INVALID_MAP_VALUE", "value\nkey:value"),
    ("REPLACE_ME", "${DO_NOT_REPLACE_ME}"),
    ("DO_NOT_REPLACE_ME", "replaced"),
    ("VALUE_WITH_ESCAPE", "value$$"),
    ("EMPTY", ""),
    ("FOO", "a"),
    ("BAR", "b"),
    ("BAZ", "c"),
];

/// Parses `key: INPUT` and compares the value, as text with its type, or the problem.
#[track_caller]
fn check(input: &str, expected: &str) {
    let shown = match parse("file", &format!("key: {input}\n"), &Env::from_pairs(VARIABLES)) {
        Ok(tree) => match &tree.root().get("key").unwrap().data {
            Data::Text(text) => format!("str {text}"),
            Data::Boolean(is) => format!("bool {is}"),
            Data::Integer(number) => format!("int {number}"),
            Data::Number(number) => format!("float {number}"),
            other => other.to_string(),
        },
        Err(error) => error.to_string().split_once("column 6: ").unwrap().1.to_owned(),
    };
    assert_eq!(shown, expected, "{input}");
}

const MALFORMED: &str = "is malformed, expected ${NAME}, ${env:NAME} or ${NAME:-default}, or $$ for a dollar sign";

#[test]
fn the_rows_of_the_specification() {
    check("${STRING_VALUE}", "str value");
    check("${BOOL_VALUE}", "bool true");
    check("${INT_VALUE}", "int 1");
    check("${FLOAT_VALUE}", "float 1.1");
    check("${HEX_VALUE}", "int 3735928559");
    check("\"${STRING_VALUE}\"", "str value");
    check("\"${BOOL_VALUE}\"", "str true");
    check("\"${INT_VALUE}\"", "str 1");
    check("\"${FLOAT_VALUE}\"", "str 1.1");
    check("\"${HEX_VALUE}\"", "str 0xdeadbeef");
    check("${env:STRING_VALUE}", "str value");
    check("${INVALID_MAP_VALUE}", "str value\nkey:value");
    check("foo ${STRING_VALUE} ${FLOAT_VALUE}", "str foo value 1.1");
    check("${UNDEFINED_KEY}", "null");
    check("${UNDEFINED_KEY:-fallback}", "str fallback");
    check("${REPLACE_ME}", "str ${DO_NOT_REPLACE_ME}");
    check("${UNDEFINED_KEY:-${STRING_VALUE}}", "str ${STRING_VALUE}");
    check("${STRING_VALUE:?error}", &format!("the reference ${{STRING_VALUE…}} {MALFORMED}"));
    check("$${STRING_VALUE}", "str ${STRING_VALUE}");
    check("$$${STRING_VALUE}", "str $value");
    check("$$$${STRING_VALUE}", "str $${STRING_VALUE}");
    check("$${STRING_VALUE:-fallback}", "str ${STRING_VALUE:-fallback}");
    check("$${STRING_VALUE:-${STRING_VALUE}}", "str ${STRING_VALUE:-value}");
    check("${UNDEFINED_KEY:-$${UNDEFINED_KEY}}", "str ${UNDEFINED_KEY:-${UNDEFINED_KEY}}");
    check("${VALUE_WITH_ESCAPE}", "str value$$");
    check("a $$ b", "str a $ b");
    check("a $ b", "str a $ b");
    check("$${FOO} ${BAR} $${BAZ}", "str ${FOO} b ${BAZ}");
}

#[test]
fn a_key_is_not_replaced() {
    let tree = parse("file", "${STRING_VALUE}: value\n", &Env::from_pairs(VARIABLES)).unwrap();
    assert_eq!(tree.root().entries()[0].0, "${STRING_VALUE}");
}

#[test]
fn the_cases_that_follow_from_the_grammar() {
    check("${1API_KEY}", &format!("the reference ${{1API_KEY}} {MALFORMED}"));
    check("${API_$KEY}", &format!("the reference ${{API_…}} {MALFORMED}"));
    check("${EMPTY:-x}", "str x");
    check("${UNDEFINED_KEY:-}", "null");
    check("${UNDEFINED_KEY:-12}", "int 12");
    check("${sys:foo}", &format!("the reference ${{sys…}} {MALFORMED}"));
    check("\"${UNDEFINED_KEY}\"", "str ");
    check("'${UNDEFINED_KEY}'", "str ");
    check("${}", "str ${}");
    check("${FOO", "str ${FOO");
    check("value # ${STRING_VALUE:?error}", "str value");
    check("${FOO}${EMPTY:-}${FOO:-0.1}", "str aa");
    check("${_}", "null");
    check("${env:UNDEFINED_KEY:-fallback}", "str fallback");
    check("${FOO BAR}", &format!("the reference ${{FOO…}} {MALFORMED}"));
    // All of a malformed reference but its name may be a secret.
    check("${FOO BAR:-s3cret}", &format!("the reference ${{FOO…}} {MALFORMED}"));
    check("${API_KEY-s3cret}", &format!("the reference ${{API_KEY…}} {MALFORMED}"));
    check("${env:API_KEY=s3cret}", &format!("the reference ${{env:API_KEY…}} {MALFORMED}"));
    check("${API_KEY:=s3cret}", &format!("the reference ${{API_KEY…}} {MALFORMED}"));
    check("\"${FOO:-s3cret\\u0007}\"", &format!("the reference ${{FOO…}} {MALFORMED}"));
    check("[\"${FOO}\", \"${BAR}\"]", "a list");
    check("|\n  one ${FOO}\n  two", "str one a\ntwo\n");
    check("!!str ${INT_VALUE}", "str 1");
    check("!!int ${INT_VALUE}", "int 1");
}

#[test]
fn the_types_of_plain_scalars_are_those_of_the_core_schema() {
    for (input, expected) in [
        ("true", "bool true"),
        ("FALSE", "bool false"),
        ("yes", "str yes"),
        ("~", "null"),
        ("Null", "null"),
        ("", "null"),
        ("-12", "int -12"),
        ("+12", "int 12"),
        ("0o17", "int 15"),
        ("017", "int 17"),
        ("0x", "str 0x"),
        ("1_000", "str 1_000"),
        ("1e3", "float 1000"),
        ("-.5", "float -0.5"),
        ("1.", "float 1"),
        (".", "str ."),
        ("1e", "str 1e"),
        (".inf", "float inf"),
        ("-.INF", "float -inf"),
        (".nan", "float NaN"),
        ("inf", "str inf"),
        ("99999999999999999999", "float 100000000000000000000"),
        ("!!float 1", "float 1"),
        ("!!int x", "the tag !!int does not fit the value"),
        ("!custom x", "a tag of this kind is not supported"),
    ] {
        check(input, expected);
    }
}

#[test]
fn all_malformed_references_are_said_at_once_with_their_places() {
    let text = "a: ${1}\nb:\n  - ok\n  - x ${sys:a}\n";
    let error = parse("otel.yaml", text, &Env::from_pairs(VARIABLES)).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "configuration: otel.yaml cannot be used, 2 problems\n  line 1, column 4: the reference ${{1}} {MALFORMED}\n  \
             line 4, column 5: the reference ${{sys…}} {MALFORMED}"
        )
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_named_without_its_value() {
    use std::os::unix::ffi::OsStringExt;
    let value = std::ffi::OsString::from_vec(b"s3cret\xff".to_vec());
    let error = parse("file", "a: x ${API_KEY}\n", &Env::from_pairs([("API_KEY", value)])).unwrap_err().to_string();
    assert!(error.ends_with("column 4: the variable API_KEY is not text in UTF-8"), "{error}");
}

#[test]
fn the_origin_names_the_place_and_the_variables() {
    let tree = parse("file", "a:\n  b: x ${FOO} ${UNDEFINED:-y}\n", &Env::from_pairs(VARIABLES)).unwrap();
    assert_eq!(tree.root().get("a").unwrap().get("b").unwrap().origin.to_string(), "line 2, FOO, UNDEFINED");
}

proptest! {
    /// Text without references comes back unchanged, whatever it contains, and a variable's text is never interpreted.
    #[test]
    fn the_value_of_a_variable_never_becomes_structure(value in "[^\0]{1,40}") {
        let env = Env::from_pairs([("X", value.as_str())]);
        let tree = parse("file", "a: \"${X}\"\nb: 1\n", &env).unwrap();
        prop_assert_eq!(&tree.root().get("a").unwrap().data, &Data::Text(value));
        prop_assert_eq!(tree.root().entries().len(), 2);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = parse("file", &text, &Env::from_pairs(VARIABLES));
    }

    #[test]
    fn no_text_with_yaml_indicators_panics(text in "[a-c:\\-\\[\\]{}&*!|>'\"%@`#?,\n $~.]{0,200}") {
        let _ = parse("file", &text, &Env::from_pairs(VARIABLES));
    }
}
