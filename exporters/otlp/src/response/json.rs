//! Reads the few JSON objects that receivers respond with. Three fields do not justify a JSON crate.

use super::values::PartialSuccess;

/// The maximum nesting of objects and arrays, which bounds the recursion of the reader.
const MAX_DEPTH: u32 = 32;

/// Reads `{"partialSuccess":{"rejectedSpans":"1","errorMessage":"…"}}`, where `rejected` is the field name of the number. A
/// blank body means full success.
pub(crate) fn partial_success(body: &[u8], rejected: &str) -> Option<PartialSuccess> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Some(PartialSuccess::default());
    }
    read_partial_success(std::str::from_utf8(body).ok()?, rejected)
}

fn read_partial_success(text: &str, rejected: &str) -> Option<PartialSuccess> {
    let mut found = PartialSuccess::default();
    let mut reader = Reader { rest: text.trim(), depth: 0 };
    reader.object(|reader, name| match name {
        "partialSuccess" if reader.rest.starts_with('{') => reader.object(|reader, name| match reader.value()? {
            // spec: 64-bit integers are strings, but readers also accept numbers
            Value::Number(number) if name == rejected => {
                found.rejected = count(number);
                Some(())
            }
            Value::String(number) if name == rejected => {
                found.rejected = count(&number);
                Some(())
            }
            Value::String(message) if name == "errorMessage" => {
                found.message = message;
                Some(())
            }
            _ => Some(()),
        }),
        _ => reader.value().map(drop),
    })?;
    reader.rest.trim_start().is_empty().then_some(found)
}

/// Reads a number of rejected items. A negative number makes no sense and counts as zero.
fn count(number: &str) -> u64 {
    number.parse::<i64>().unwrap_or(0).max(0) as u64
}

/// Reads the field `message` of an object.
pub(super) fn message(text: &str) -> Option<String> {
    let mut found = None;
    let mut reader = Reader { rest: text.trim(), depth: 0 };
    reader.object(|reader, name| {
        match reader.value()? {
            Value::String(message) if name == "message" => found = Some(message),
            _ => {}
        }
        Some(())
    })?;
    found
}

enum Value<'a> {
    Number(&'a str),
    String(String),
    /// A value of any other type, which no relevant field has.
    Other,
}

struct Reader<'a> {
    /// The unread text. It starts with a token whenever a method returns.
    rest: &'a str,
    depth: u32,
}

impl<'a> Reader<'a> {
    /// Reads an object. Calls `field` for each field name, and `field` must read the value.
    fn object(&mut self, mut field: impl FnMut(&mut Self, &str) -> Option<()>) -> Option<()> {
        self.list('{', '}', |reader| {
            let name = reader.string()?;
            reader.token(':')?;
            field(reader, &name)
        })
    }

    fn list(&mut self, open: char, close: char, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.token(open)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        if self.token(close).is_none() {
            loop {
                item(self)?;
                if self.token(',').is_none() {
                    break;
                }
            }
            self.token(close)?;
        }
        self.depth -= 1;
        Some(())
    }

    fn value(&mut self) -> Option<Value<'a>> {
        match self.rest.chars().next()? {
            '{' => self.object(|reader, _| reader.value().map(drop)).map(|()| Value::Other),
            '[' => self.list('[', ']', |reader| reader.value().map(drop)).map(|()| Value::Other),
            '"' => self.string().map(Value::String),
            _ => {
                let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
                let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest.trim_start();
                match word {
                    "true" | "false" | "null" => Some(Value::Other),
                    number => number.parse::<f64>().ok().map(|_| Value::Number(number)),
                }
            }
        }
    }

    fn token(&mut self, token: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?.trim_start();
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        let mut chars = self.rest.strip_prefix('"')?.chars();
        let mut text = String::new();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => text.push(escape(&mut chars)?),
                other => text.push(other),
            }
        }
        self.rest = chars.as_str().trim_start();
        Some(text)
    }
}

fn escape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let first = unit(chars)?;
            // Only a high surrogate can have a second half.
            let second = match first {
                0xd800..0xdc00 if chars.as_str().starts_with("\\u") => {
                    chars.nth(1)?;
                    Some(unit(chars)?)
                }
                _ => None,
            };
            let units = [Some(first), second];
            char::decode_utf16(units.into_iter().flatten()).next()?.unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        other @ ('"' | '\\' | '/') => other,
        _ => return None,
    })
}

fn unit(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | chars.next()?.to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(text: &str, expected: &str) {
        let shown = match read_partial_success(text, "rejectedSpans") {
            Some(PartialSuccess { rejected, message }) => format!("{rejected} {message}"),
            None => "refused".to_owned(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn partial_successes() {
        check("{}", "0 ");
        check(
            r#" { "partialSuccess" : { "rejectedSpans" : "5", "errorMessage" : "a\"\u00fc\ud83d\ude00" } } "#,
            "5 a\"ü😀",
        );
        check(r#"{"partialSuccess":{"rejectedSpans":7}}"#, "7 ");
        check(r#"{"partialSuccess":{"rejectedSpans":-7,"rejectedLogRecords":3}}"#, "0 ");
        check(r#"{"x":[1,{"y":null},[]],"partialSuccess":null,"z":1.5e3}"#, "0 ");
    }

    #[test]
    fn text_that_is_not_a_json_object_is_refused() {
        for text in ["", "[]", "{", "{}x", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":1,}"#, r#"{"a":"\x"}"#, r#"{"a":nul}"#] {
            check(text, "refused");
        }
        check(&format!("{{\"a\":{}", "[".repeat(100_000)), "refused");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[\\[\\]{}\",:\\\\u0-9a-f ]{0,40}") {
            // This reader must accept every object that serde_json accepts.
            let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).is_ok();
            let ours = read_partial_success(&text, "rejectedSpans").is_some();
            prop_assert!(ours || !is_object, "{}", text);
        }

        #[test]
        fn messages_read_back(message: String, rejected in 0i64..) {
            let text = json!({"partialSuccess": {"rejectedSpans": rejected.to_string(), "errorMessage": message}}).to_string();
            let expected = PartialSuccess { rejected: rejected as u64, message };
            prop_assert_eq!(partial_success(text.as_bytes(), "rejectedSpans"), Some(expected));
        }
    }
}
