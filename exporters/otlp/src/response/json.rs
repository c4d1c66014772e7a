//! Reads the few JSON objects that a receiver answers with. Two fields of three do not justify a JSON crate.

use super::PartialSuccess;

/// Objects within objects beyond this are refused: a reader that recurses must have a bottom.
const DEEPEST: u32 = 32;

/// `{"partialSuccess":{"rejectedSpans":"1","errorMessage":"…"}}`
pub(super) fn partial_success(text: &str, rejected: &str) -> Option<PartialSuccess> {
    let mut found = PartialSuccess::default();
    let mut reader = Reader { rest: text.trim(), depth: 0 };
    reader.object(|reader, name| match name {
        "partialSuccess" if reader.rest.starts_with('{') => reader.object(|reader, name| match reader.value()? {
            // spec: 64 bit integers are strings, and receivers of them accept numbers as well
            Value::Number(number) if name == rejected => {
                found.rejected = number.parse::<i64>().unwrap_or(0).max(0) as u64;
                Some(())
            }
            Value::String(number) if name == rejected => {
                found.rejected = number.parse::<i64>().unwrap_or(0).max(0) as u64;
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

/// The field `message` of an object.
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
    /// Of a type that is of no interest.
    Other,
}

struct Reader<'a> {
    /// What is not read yet; starts with a token wherever a method ends.
    rest: &'a str,
    depth: u32,
}

impl<'a> Reader<'a> {
    /// Reads an object and calls `field` for each of its fields, which must read the value.
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
        if self.depth > DEEPEST {
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
            // The second half of a pair is only there after a first one.
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
        let shown = match partial_success(text, "rejectedSpans") {
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
    fn what_is_no_json_object_is_refused() {
        for text in ["", "[]", "{", "{}x", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":1,}"#, r#"{"a":"\x"}"#, r#"{"a":nul}"#] {
            check(text, "refused");
        }
        check(&format!("{{\"a\":{}", "[".repeat(100_000)), "refused");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[\\[\\]{}\",:\\\\u0-9a-f ]{0,40}") {
            // Whatever a real parser accepts as an object is accepted.
            let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).is_ok();
            let ours = partial_success(&text, "rejectedSpans").is_some();
            prop_assert!(ours || !is_object, "{}", text);
        }

        #[test]
        fn messages_read_back(message: String, rejected in 0i64..) {
            let text = json!({"partialSuccess": {"rejectedSpans": rejected.to_string(), "errorMessage": message}}).to_string();
            let expected = PartialSuccess { rejected: rejected as u64, message };
            prop_assert_eq!(partial_success(&text, "rejectedSpans"), Some(expected));
        }
    }
}
