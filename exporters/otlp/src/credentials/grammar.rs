//! The text of a file or of a command as headers.
//!
//! Each line is a header, `name: value`, or a list in the grammar of `OTEL_EXPORTER_OTLP_HEADERS`. A text that is nothing but a token,
//! as in a file with a service account's token, is the value of `authorization` behind `Bearer`.

use crate::headers::Headers;

/// The maximum size of the text in bytes.
pub(super) const MAX_SIZE: usize = 64 << 10;

const ACCEPTED: &str = "lines such as `name: value`, a list such as `name=value,name=value`, or a token alone";

/// Parses the text. An error says which line cannot be used, but shows no part of it.
pub(super) fn parse(text: &[u8]) -> Result<Headers, String> {
    let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8".to_owned())?;
    // Editors on Windows may mark UTF-8 like this.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    let mut headers = Headers::default();
    if text.is_empty() {
        return Err(format!("is empty, expected {ACCEPTED}"));
    }
    if is_token(text) {
        return match headers.set("token", "authorization", &format!("Bearer {text}")) {
            Ok(()) => Ok(headers),
            Err(_) => Err(unusable(1)),
        };
    }
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        match line.split_once(':').filter(|(name, _)| is_name(name)) {
            Some((name, value)) => headers.set("header", name, value.trim()).map_err(|_| unusable(number))?,
            None => {
                let problems = std::cell::Cell::new(0);
                let list = Headers::from_list(line, "", |_| problems.set(problems.get() + 1));
                if problems.get() > 0 || list.is_empty() {
                    return Err(unusable(number));
                }
                headers.add(list);
            }
        }
    }
    Ok(headers)
}

fn unusable(line: usize) -> String {
    format!(
        "cannot be used, because line {line} is not a header: expected {ACCEPTED}, and no header that belongs to the protocol"
    )
}

/// Returns true for the name of a header, as opposed to a list whose first value contains a colon.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Returns true for a bearer token.
///
/// spec: RFC 6750, 2.1
fn is_token(text: &str) -> bool {
    let token = text.trim_end_matches('=');
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        let shown = match parse(text.as_bytes()) {
            Ok(headers) => {
                let map = headers.into_map();
                let mut lines: Vec<_> =
                    map.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
                lines.sort();
                lines.join("; ")
            }
            Err(error) => format!("error: {}", error.split(": expected").next().unwrap()),
        };
        assert_eq!(shown, expected, "{text:?}");
    }

    #[test]
    fn lines_lists_and_tokens() {
        check("authorization: Bearer a.b-c\nx-tenant:  7 \n", "authorization: Bearer a.b-c; x-tenant: 7");
        check("authorization=Bearer%20abc,x-tenant=7", "authorization: Bearer abc; x-tenant: 7");
        check("a=1\r\n\r\nb=2,c=3\r\n", "a: 1; b: 2; c: 3");
        check("url=http://h:1/", "url: http://h:1/");
        check("x: a=b,c=d", "x: a=b,c=d");
        check("a: 1\na: 2", "a: 2");
        check("a=1\na=2", "a: 2");
        check("\u{feff}eyJhbGciOi.J9_-x.y==\n", "authorization: Bearer eyJhbGciOi.J9_-x.y==");
    }

    #[test]
    fn an_unusable_text_is_an_error_that_shows_nothing_of_it() {
        let line = |number| format!("error: cannot be used, because line {number} is not a header");
        check(
            "",
            "error: is empty, expected lines such as `name: value`, a list such as `name=value,name=value`, or a token alone",
        );
        check(
            " \n ",
            "error: is empty, expected lines such as `name: value`, a list such as `name=value,name=value`, or a token alone",
        );
        check("a: 1\ns3cret words", &line(2));
        check("a: 1\ns3cret", &line(2));
        check("Content-Length: 3", &line(1));
        check("grpc-timeout=3", &line(1));
        check("a=1,s3cret", &line(1));
        check("a: x\u{0}y", &line(1));
        assert_eq!(parse(b"a: \xff").err().unwrap(), "is not UTF-8");
    }

    proptest! {
        #[test]
        fn nothing_panics_and_no_error_shows_the_text(text in "\\PC{0,60}(S3CRET[ :=,\n]{0,3}){0,4}", bytes: Vec<u8>) {
            for text in [text.as_bytes(), &bytes] {
                if let Err(error) = parse(text) {
                    prop_assert!(!error.contains("S3CRET"), "{error}");
                }
            }
        }
    }
}
