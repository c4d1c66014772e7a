//! Redacts known secrets in a query string.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use telemark_kit::BoundedText;

/// The parameters whose values are redacted by default. Case-sensitive.
///
/// spec: http/http-spans.md, url.query
pub(crate) static SENSITIVE: [Cow<'static, str>; 7] = [
    Cow::Borrowed("AWSAccessKeyId"),
    Cow::Borrowed("Signature"),
    Cow::Borrowed("X-Amz-Signature"),
    Cow::Borrowed("X-Amz-Credential"),
    Cow::Borrowed("X-Amz-Security-Token"),
    Cow::Borrowed("sig"),
    Cow::Borrowed("X-Goog-Signature"),
];

/// Replaces a secret in an attribute.
pub(crate) const REDACTED: &str = "REDACTED";

/// Returns the value of `url.query`, in which `REDACTED` replaces the value of each sensitive parameter.
pub(crate) fn redact(query: &str, sensitive: &[Cow<'static, str>]) -> BoundedText {
    if !has_secret(query, sensitive) {
        return BoundedText::new(query);
    }
    let mut redacted = String::with_capacity(query.len());
    redact_into(&mut redacted, query, sensitive);
    BoundedText::from(redacted)
}

/// Returns true if the query has a sensitive parameter.
pub(crate) fn has_secret(query: &str, sensitive: &[Cow<'static, str>]) -> bool {
    query.split('&').any(|pair| secret(pair, sensitive).is_some())
}

/// Appends the query, redacted like [`redact`].
pub(crate) fn redact_into(redacted: &mut String, query: &str, sensitive: &[Cow<'static, str>]) {
    for (i, pair) in query.split('&').enumerate() {
        if i > 0 {
            redacted.push('&');
        }
        match secret(pair, sensitive) {
            Some(key) => {
                redacted.push_str(key);
                redacted.push('=');
                redacted.push_str(REDACTED);
            }
            None => redacted.push_str(pair),
        }
    }
}

/// Returns the key of a pair if its value is secret. Compares the decoded key, because a server reads `s%69g` as `sig`.
fn secret<'q>(pair: &'q str, sensitive: &[Cow<'static, str>]) -> Option<&'q str> {
    let (key, _value) = pair.split_once('=')?;
    let is_secret = if key.contains('%') {
        sensitive.iter().any(|name| percent_decode_str(key).eq(name.bytes()))
    } else {
        sensitive.iter().any(|name| **name == *key)
    };
    is_secret.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use telemark_kit::MAX_TEXT_BYTES;

    #[test]
    fn redacts() {
        fn check(query: &str, expected: &str) {
            assert_eq!(redact(query, &SENSITIVE).text, expected);
        }
        check("color=blue&sig=abc", "color=blue&sig=REDACTED");
        check("sig=a=b&x", "sig=REDACTED&x");
        check("sig", "sig");
        check("sig=", "sig=REDACTED");
        check("SIG=a&design=b", "SIG=a&design=b");
        check("s%69g=a&s%6Ig=b&sig%=c", "s%69g=REDACTED&s%6Ig=b&sig%=c");
        check("AWSAccessKeyId=AKIA&Signature=x", "AWSAccessKeyId=REDACTED&Signature=REDACTED");
        check("%53ignature=x&awsaccesskeyid=b&signature=c", "%53ignature=REDACTED&awsaccesskeyid=b&signature=c");
        check("X%2DAmz%2dSignature=x&%41WSAccessKeyId=y", "X%2DAmz%2dSignature=REDACTED&%41WSAccessKeyId=REDACTED");
        check(
            "X-Amz-Signature=1&X-Amz-Credential=2&X-Amz-Security-Token=3&X-Goog-Signature=4&&",
            "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED&X-Goog-Signature=REDACTED&&",
        );
        assert_eq!(redact("sig=1&token=2", &["token".into()]).text, "sig=1&token=REDACTED");
        assert_eq!(redact("sig=1", &[]).text, "sig=1");
    }

    #[test]
    fn a_long_query_is_redacted_before_it_is_cut() {
        let query = format!("a={}&sig=secret", "x".repeat(MAX_TEXT_BYTES - 12));
        let redacted = redact(&query, &SENSITIVE);
        assert!(redacted.is_cut && redacted.text.ends_with("&sig=REDAC"), "{}", redacted.text);
        let whole = redact(&query[20..], &SENSITIVE);
        assert!(!whole.is_cut && whole.text.ends_with("&sig=REDACTED"));
    }

    proptest! {
        #[test]
        fn no_secret_survives(pairs in proptest::collection::vec(("[a-z%]{0,4}|sig|X-Amz-Signature", "[a-z=%]{0,6}"), 0..6)) {
            let query: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let expected: Vec<String> = pairs.iter().map(|(key, value)| {
                if key == "sig" || key == "X-Amz-Signature" { format!("{key}=REDACTED") } else { format!("{key}={value}") }
            }).collect();
            prop_assert_eq!(redact(&query.join("&"), &SENSITIVE).text, expected.join("&"));
        }

        /// Servers decode all encodings of a key to the same key.
        #[test]
        fn no_encoding_of_a_key_hides_it(index in 0..SENSITIVE.len(), escape in proptest::collection::vec(0..3_u8, 20)) {
            let key: String = SENSITIVE[index].chars().zip(escape).map(|(letter, how)| match how {
                0 => letter.to_string(),
                1 => format!("%{:02x}", u32::from(letter)),
                _ => format!("%{:02X}", u32::from(letter)),
            }).collect();
            prop_assert_eq!(redact(&format!("a=b&{key}=x&c"), &SENSITIVE).text, format!("a=b&{key}=REDACTED&c"));
        }

        #[test]
        fn no_query_panics(query in ".{0,200}") {
            prop_assert!(redact(&query, &[]).text.len() <= query.len());
        }
    }
}
