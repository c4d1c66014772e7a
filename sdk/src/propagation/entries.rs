//! Baggage in a header for each entry, as older formats send it: `uberctx-user: 7`.

use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Context, Key, StringValue};

/// Returns `cx` with the entries of the headers that start with `prefix`, and with `more` entries, added to its baggage. The
/// API bounds their number and size. Header names have no case, so keys are lower case.
pub(super) fn extract<'e>(
    cx: Context,
    extractor: &'e dyn Extractor,
    prefix: &str,
    decode: fn(&str) -> String,
    more: impl Iterator<Item = (&'e str, &'e str)>,
) -> Context {
    let names = extractor.keys();
    let headers = names.iter().filter_map(|name| {
        let key = after_prefix(name, prefix)?.to_ascii_lowercase();
        Some((key, decode(extractor.get(name)?)))
    });
    let more = more.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut found = headers.chain(more).peekable();
    if found.peek().is_none() {
        return cx;
    }
    let mut baggage = Baggage::new();
    for (key, (value, metadata)) in cx.baggage() {
        baggage.insert_with_metadata(key.clone(), value.clone(), metadata.clone());
    }
    for (key, value) in found {
        baggage.insert(Key::from(key), StringValue::from(value));
    }
    cx.with_baggage(baggage)
}

/// Writes a header for each entry, up to 8192 bytes in all. Leaves out entries whose value `encode` refuses.
pub(super) fn inject(cx: &Context, prefix: &str, encode: fn(&str) -> Option<String>, injector: &mut dyn Injector) {
    const MAX_BYTES: usize = 8192;
    let mut bytes = 0;
    for (key, (value, _)) in cx.baggage() {
        let Some(value) = encode(value.as_str()) else { continue };
        let cost = prefix.len() + key.as_str().len() + value.len();
        if bytes + cost <= MAX_BYTES {
            bytes += cost;
            injector.set(&format!("{prefix}{key}"), value);
        }
    }
}

/// Returns the rest of a header's name. Variables of the environment have `_` where headers have `-`.
fn after_prefix<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    (!rest.is_empty() && start.bytes().map(plain).eq(prefix.bytes())).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn names_of_headers_and_of_variables() {
        for (name, key) in [
            ("uberctx-user", Some("user")),
            ("UberCtx-User-ID", Some("User-ID")),
            ("UBERCTX_USER_ID", Some("USER_ID")),
            ("uberctx-", None),
            ("uberctx", None),
            ("überctx-a", None),
            ("other-user", None),
        ] {
            assert_eq!(after_prefix(name, "uberctx-"), key, "{name}");
        }
    }

    #[test]
    fn the_bytes_are_bounded_in_both_directions() {
        let carrier: HashMap<_, _> = (0..100).map(|n| (format!("x-k{n:02}"), "v".repeat(1000))).collect();
        let cx = extract(Context::new(), &carrier, "x-", str::to_owned, std::iter::empty());
        assert_eq!(cx.baggage().len(), 8, "of 1003 bytes each");
        let mut out = HashMap::new();
        inject(&cx, "x-", |value| Some(value.repeat(2)), &mut out);
        assert_eq!(out.len(), 4, "which are twice as long when they are encoded");
    }

    #[test]
    fn entries_join_those_of_the_context() {
        let mut baggage = Baggage::new();
        baggage.insert_with_metadata("a", "1", "p");
        baggage.insert("b", "1");
        let carrier = HashMap::from([("x-b".to_owned(), "2".to_owned())]);
        let cx = Context::new().with_baggage(baggage);
        let cx = extract(cx, &carrier, "x-", str::to_owned, [("c", "3")].into_iter());
        let text = |key| cx.baggage().get_with_metadata(key).map(|(value, data)| format!("{value};{data}"));
        assert_eq!([text("a"), text("b"), text("c")], ["1;p", "2;", "3;"].map(|text| Some(text.to_owned())));
    }
}
