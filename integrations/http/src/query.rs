//! The query string without the secrets that are known to travel in it.

use std::borrow::Cow;

use crate::headers::bounded;

/// The parameters whose values are replaced unless the settings name others. Case-sensitive.
///
/// spec: http/http-spans.md, url.query
pub(crate) const SENSITIVE: [&str; 5] =
    ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "sig", "X-Goog-Signature"];

const REDACTED: &str = "REDACTED";

/// The value of `url.query`: the value of each sensitive parameter becomes `REDACTED`, its key stays.
pub(crate) fn redact(query: &str, sensitive: &[Cow<'static, str>]) -> String {
    if !query.split('&').any(|pair| secret(pair, sensitive).is_some()) {
        return bounded(query);
    }
    let mut redacted = String::with_capacity(query.len());
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
    bounded(&redacted)
}

/// The key of a pair that has a value to hide.
fn secret<'q>(pair: &'q str, sensitive: &[Cow<'static, str>]) -> Option<&'q str> {
    let (key, _value) = pair.split_once('=')?;
    sensitive.iter().any(|name| same(key, name)).then_some(key)
}

/// A server reads `s%69g` as `sig`, so that is how it is compared.
fn same(key: &str, name: &str) -> bool {
    if !key.contains('%') {
        return key == name;
    }
    let mut name = name.bytes();
    let mut rest = key.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let (byte, tail) = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, tail),
                _ => return false,
            },
            _ => (byte, tail),
        };
        if name.next() != Some(byte) {
            return false;
        }
        rest = tail;
    }
    name.next().is_none()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn default() -> Vec<Cow<'static, str>> {
        SENSITIVE.map(Cow::Borrowed).to_vec()
    }

    #[test]
    fn redacts() {
        fn check(query: &str, expected: &str) {
            assert_eq!(redact(query, &default()), expected);
        }
        check("color=blue&sig=abc", "color=blue&sig=REDACTED");
        check("sig=a=b&x", "sig=REDACTED&x");
        check("sig", "sig");
        check("sig=", "sig=REDACTED");
        check("SIG=a&design=b", "SIG=a&design=b");
        check("s%69g=a&s%6Ig=b&sig%=c", "s%69g=REDACTED&s%6Ig=b&sig%=c");
        check(
            "X-Amz-Signature=1&X-Amz-Credential=2&X-Amz-Security-Token=3&X-Goog-Signature=4&&",
            "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED&X-Goog-Signature=REDACTED&&",
        );
        assert_eq!(redact("sig=1&token=2", &["token".into()]), "sig=1&token=REDACTED");
        assert_eq!(redact("sig=1", &[]), "sig=1");
    }

    proptest! {
        #[test]
        fn no_secret_survives(pairs in proptest::collection::vec(("[a-z%]{0,4}|sig|X-Amz-Signature", "[a-z=%]{0,6}"), 0..6)) {
            let query: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let expected: Vec<String> = pairs.iter().map(|(key, value)| {
                if key == "sig" || key == "X-Amz-Signature" { format!("{key}=REDACTED") } else { format!("{key}={value}") }
            }).collect();
            prop_assert_eq!(redact(&query.join("&"), &default()), expected.join("&"));
        }

        #[test]
        fn any_text_is_survived(query in ".{0,200}") {
            prop_assert!(redact(&query, &[]).len() <= query.len());
        }
    }
}
