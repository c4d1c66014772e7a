//! Headers and trailers that become attributes.

use http::{HeaderMap, HeaderName};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use telemark_http::{MAX_CAPTURED_BYTES, MAX_HEADER_VALUES};
use telemark_kit::{Attributes, BoundedText, MAX_TEXT_BYTES};

/// A header or trailer to capture, with its precomputed attribute name.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    name: HeaderName,
    key: Key,
}

impl Captured {
    /// `prefix` is the attribute name up to the name of the header.
    pub(crate) fn new(prefix: &str, name: HeaderName) -> Self {
        let key: std::sync::Arc<str> = format!("{prefix}{name}").into();
        Captured { name, key: Key::from(key) }
    }

    pub(crate) fn is(&self, name: &HeaderName) -> bool {
        self.name == *name
    }

    pub(crate) fn is_same(&self, other: &Captured) -> bool {
        self.name == other.name
    }
}

/// Adds the values of the chosen fields, within the limits for captured headers.
///
/// spec: semconv rpc/grpc.md: one string for each value; binary values as base64, which is how they are sent
pub(crate) fn capture<'c>(
    chosen: impl IntoIterator<Item = &'c Captured>,
    fields: &HeaderMap,
    attributes: &mut Attributes,
) {
    let mut left = MAX_CAPTURED_BYTES;
    for Captured { name, key } in chosen {
        let mut lines = fields.get_all(name).iter();
        let mut values: Vec<StringValue> = Vec::new();
        let mut is_cut = false;
        for line in lines.by_ref().take(MAX_HEADER_VALUES) {
            let max_bytes = left.min(MAX_TEXT_BYTES);
            let value = match std::str::from_utf8(line.as_bytes()) {
                Ok(_) => BoundedText::from_bytes_within(line.as_bytes(), max_bytes),
                Err(_) => base64(line.as_bytes(), max_bytes),
            };
            left -= value.text.len().min(left);
            is_cut |= value.is_cut;
            values.push(value.text.into());
        }
        if values.is_empty() {
            continue;
        }
        if is_cut || lines.next().is_some() {
            attributes.cut.add(key);
        }
        attributes.list.push(KeyValue::new(key.clone(), Value::Array(Array::String(values))));
    }
}

/// Returns whole groups of four characters, as many as fit.
fn base64(bytes: &[u8], max_bytes: usize) -> BoundedText {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3);
    let is_cut = groups.len() > max_bytes / 4;
    let mut text = String::new();
    for group in groups.take(max_bytes / 4) {
        let bits = group.iter().chain([&0; 2]).take(3).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) as usize % 64;
            text.push(if place <= group.len() { char::from(ALPHABET[digit]) } else { '=' });
        }
    }
    let mut encoded = BoundedText::new(&text);
    encoded.is_cut |= is_cut;
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn values_are_strings_and_bounded() {
        fn check(lines: &[(&'static str, &[u8])], expected: &str) {
            let mut fields = HeaderMap::new();
            for (name, value) in lines {
                fields.append(*name, HeaderValue::from_bytes(value).unwrap());
            }
            let chosen = ["a", "b-bin"].map(|name| Captured::new("rpc.request.header.", HeaderName::from_static(name)));
            let mut attributes = Attributes::default();
            capture(&chosen, &fields, &mut attributes);
            let shown = attributes.list.iter().map(|attribute| format!("{}={}", attribute.key, attribute.value));
            let shown: Vec<_> =
                shown.chain(attributes.cut.attribute().map(|cut| format!("cut={}", cut.value))).collect();
            assert_eq!(shown.join(" ").replace("rpc.request.header.", ""), expected);
        }
        check(&[], "");
        check(&[("c", b"1")], "");
        check(&[("a", b"1"), ("a", b"2"), ("b-bin", b"AAEC")], "a=[\"1\",\"2\"] b-bin=[\"AAEC\"]");
        check(&[("a", "é".as_bytes())], "a=[\"é\"]");
        check(&[("a", b"\xff\xfe\xfd")], "a=[\"//79\"]");
        check(&[("a", b"\xff\xfe")], "a=[\"//4=\"]");
        check(&[("a", b"\xff")], "a=[\"/w==\"]");
        let long = vec![b'x'; MAX_TEXT_BYTES + 1];
        check(&[("a", &long)], &format!("a=[\"{}\"] cut=[\"a\"]", "x".repeat(MAX_TEXT_BYTES)));
        check(
            &[("a", &vec![0xff; 3 * MAX_TEXT_BYTES / 4 + 3])],
            &format!("a=[\"{}\"] cut=[\"a\"]", "/".repeat(MAX_TEXT_BYTES)),
        );
        let many: Vec<(&'static str, &[u8])> = vec![("a", b"1"); MAX_HEADER_VALUES + 1];
        check(&many, &format!("a=[{}] cut=[\"a\"]", vec!["\"1\""; MAX_HEADER_VALUES].join(",")));
        let full: Vec<(&'static str, &[u8])> = vec![("a", &long[1..]); MAX_CAPTURED_BYTES / MAX_TEXT_BYTES + 1];
        let mut fields = HeaderMap::new();
        for (name, value) in full {
            fields.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let mut attributes = Attributes::default();
        capture(&[Captured::new("", HeaderName::from_static("a"))], &fields, &mut attributes);
        let Value::Array(Array::String(values)) = &attributes.list[0].value else { panic!("{attributes:?}") };
        assert_eq!(values.iter().map(|value| value.as_str().len()).sum::<usize>(), MAX_CAPTURED_BYTES);
        assert!(attributes.cut.attribute().is_some());
    }
}
