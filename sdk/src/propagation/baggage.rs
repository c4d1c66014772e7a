//! W3C Baggage: the `baggage` header.

use std::sync::LazyLock;

use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::{Context, Key, StringValue};

use super::trace_state::OWS;
use crate::text::percent;

const BAGGAGE: &str = "baggage";
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// Extracts and injects the `baggage` header.
///
/// Reading is lenient: a member that is not `key=value` is skipped without affecting the others, and the last of several
/// members with the same key wins. Writing is strict. Both directions are limited to 64 members and 8192 bytes over all lines
/// of the header; excess members are omitted, never truncated. The properties of a member become the metadata of the entry,
/// unchanged.
///
/// spec: <https://www.w3.org/TR/baggage/>, baggage/api.md#propagation
#[derive(Clone, Debug, Default)]
pub struct BaggagePropagator(());

impl BaggagePropagator {
    /// Creates a propagator.
    pub fn new() -> Self {
        BaggagePropagator(())
    }

    /// Returns the baggage from the header, or `None` if it is empty.
    pub(super) fn extract(&self, extractor: &dyn Extractor) -> Option<Baggage> {
        let baggage = parse(&extractor.get_all(BAGGAGE)?);
        (!baggage.is_empty()).then_some(baggage)
    }
}

impl TextMapPropagator for BaggagePropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let line = write(cx.baggage());
        if !line.is_empty() {
            injector.set(BAGGAGE, line);
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        self.extract(extractor).map_or_else(|| cx.clone(), |baggage| cx.with_baggage(baggage))
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [BAGGAGE.to_owned()]);
        FieldIter::new(&*FIELDS)
    }
}

fn parse(lines: &[&str]) -> Baggage {
    let mut baggage = Baggage::new();
    let (mut members, mut bytes) = (0, 0);
    for member in lines.iter().flat_map(|line| line.split(',')).map(|member| member.trim_matches(OWS)) {
        if members == MAX_MEMBERS {
            break;
        }
        let Some((key, value, properties)) = split(member) else { continue };
        // The first member is not preceded by a comma.
        let cost = member.len() + usize::from(members > 0);
        if bytes + cost > MAX_BYTES {
            continue;
        }
        members += 1;
        bytes += cost;
        baggage.insert_with_metadata(
            Key::from(key.to_owned()),
            StringValue::from(percent::decode_lossy(value)),
            properties,
        );
    }
    baggage
}

/// Splits a member into its key, value and properties.
fn split(member: &str) -> Option<(&str, &str, &str)> {
    let (pair, properties) = member.split_once(';').unwrap_or((member, ""));
    let (key, value) = pair.split_once('=')?;
    let key = key.trim_matches(OWS);
    is_token(key).then(|| (key, value.trim_matches(OWS), properties.trim_matches(OWS)))
}

/// spec: RFC 7230, token
fn is_token(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn write(baggage: &Baggage) -> String {
    let mut line = String::new();
    let mut members = 0;
    for (key, (value, metadata)) in baggage {
        let before = line.len();
        if before > 0 {
            line.push(',');
        }
        line.push_str(key.as_str());
        line.push('=');
        percent::push(&mut line, value.as_str(), is_value_octet);
        if !metadata.as_str().is_empty() {
            line.push(';');
            percent::push(&mut line, metadata.as_str(), is_property_octet);
        }
        if members == MAX_MEMBERS || line.len() > MAX_BYTES {
            line.truncate(before);
        } else {
            members += 1;
        }
    }
    line
}

/// spec: baggage-octet = %x21 / %x23-2B / %x2D-3A / %x3C-5B / %x5D-7E, of which `%` starts an escape
fn is_value_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\' | b'%')
}

/// Properties are opaque, and their author has already encoded them. Only bytes that would break the header are
/// encoded here.
fn is_property_octet(byte: u8) -> bool {
    (byte.is_ascii_graphic() || byte == b' ' || byte == b'\t') && byte != b','
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashMap};

    struct Lines(Vec<String>);

    impl Extractor for Lines {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.first().filter(|_| key == BAGGAGE).map(String::as_str)
        }

        fn keys(&self) -> Vec<&str> {
            vec![BAGGAGE]
        }

        fn get_all(&self, key: &str) -> Option<Vec<&str>> {
            (key == BAGGAGE).then(|| self.0.iter().map(String::as_str).collect())
        }
    }

    fn extract(lines: &[&str]) -> Context {
        let lines = Lines(lines.iter().map(|&line| line.to_owned()).collect());
        BaggagePropagator::new().extract_with_context(&Context::new(), &lines)
    }

    fn inject(cx: &Context) -> String {
        let mut out = HashMap::new();
        BaggagePropagator::new().inject_context(cx, &mut out);
        out.remove(BAGGAGE).unwrap_or_default()
    }

    /// Compares the entries extracted from the lines, sorted by key, with `expected`.
    fn check(lines: &[&str], expected: &str) {
        let cx = extract(lines);
        let entries: BTreeMap<_, _> = cx.baggage().iter().collect();
        let text = |(key, (value, metadata)): (&Key, &(StringValue, opentelemetry::baggage::BaggageMetadata))| {
            let value = value.as_str();
            if metadata.as_str().is_empty() {
                format!("{key}={value:?}")
            } else {
                format!("{key}={value:?};{metadata}")
            }
        };
        let entries: Vec<_> = entries.into_iter().map(text).collect();
        assert_eq!(entries.join(" "), expected, "{lines:?}");
    }

    #[test]
    fn members() {
        check(
            &["userId=alice,serverNode=DF%2028,isProduction=false"],
            r#"isProduction="false" serverNode="DF 28" userId="alice""#,
        );
        check(&["userId=Am%C3%A9lie"], r#"userId="Amélie""#);
        check(
            &["key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue"],
            r#"key1="value1";property1;property2 key2="value2" key3="value3";propertyKey=propertyValue"#,
        );
        check(&["a=1", "", "b=2 \t,, c=3"], r#"a="1" b="2" c="3""#);
        check(&["a=b=c==", "empty="], r#"a="b=c==" empty="""#);
    }

    #[test]
    fn the_last_of_several_members_with_one_key_wins() {
        check(&["a=1;x,a=2", "A=3,a=4"], r#"A="3" a="4""#);
    }

    #[test]
    fn what_is_not_a_member_is_left_out_alone() {
        check(&["a=1,b,=2,c d=3,(e)=4,ü=5,;,;x=y,f=6"], r#"a="1" f="6""#);
    }

    #[test]
    fn escapes() {
        check(&["a=%41%zz%4,b=%ff%c3,c=100%"], "a=\"A%zz%4\" b=\"\u{fffd}\u{fffd}\" c=\"100%\"");
        check(&["a=%c3%a9,b=%C3%A9"], r#"a="é" b="é""#);
    }

    #[test]
    fn limits_hold_over_all_lines_together() {
        let list = |from: usize, to: usize| (from..to).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(extract(&[&list(0, 40), &list(40, 64)]).baggage().len(), 64);
        assert_eq!(extract(&[&list(0, 40), &list(40, 100)]).baggage().len(), 64);

        // A repeated key counts as a separate member.
        assert_eq!(extract(&[&format!("{}b=1", "a=1,".repeat(63))]).baggage().len(), 2);
        assert_eq!(extract(&[&format!("{}b=1", "a=1,".repeat(64))]).baggage().len(), 1);

        let member = |key: &str, bytes: usize| format!("{key}={}", "v".repeat(bytes - key.len() - 1));
        let whole = member("a", MAX_BYTES);
        assert_eq!(inject(&extract(&[&whole])), whole);
        assert_eq!(extract(&[&member("a", MAX_BYTES + 1)]).baggage().len(), 0);
        // With its comma, the second member is one byte too long; the third member is smaller and still fits.
        let cx = extract(&[&member("a", 8000), &member("b", 192), "c=1"]);
        assert_eq!((cx.baggage().get("b"), cx.baggage().get("c").map(StringValue::as_str)), (None, Some("1")));
        assert_eq!(extract(&[&member("a", 8000), &member("b", 191)]).baggage().len(), 2);
    }

    #[test]
    fn injection_keeps_the_limit_of_what_is_encoded() {
        let mut baggage = Baggage::new();
        baggage.insert("big", "ü".repeat(2000));
        assert_eq!(inject(&Context::new().with_baggage(baggage)), "", "four times as long when it is encoded");
    }

    #[test]
    fn what_is_written() {
        let written = |value: &'static str, properties: &'static str| {
            let mut baggage = Baggage::new();
            baggage.insert_with_metadata("k", value, properties);
            inject(&Context::new().with_baggage(baggage))
        };
        assert_eq!(written("", ""), "k=");
        assert_eq!(written("a b\",;\\%é=+/", ""), "k=a%20b%22%2C%3B%5C%25%C3%A9=+/");
        assert_eq!(written("v", "p;q=1%20; r"), "k=v;p;q=1%20; r");
        assert_eq!(written("v\r\n", "p\r\nx: y,z=ü"), "k=v%0D%0A;p%0D%0Ax: y%2Cz=%C3%BC");
    }

    #[test]
    fn nothing_valid_leaves_the_context_as_it_was() {
        let mut baggage = Baggage::new();
        baggage.insert("a", "1");
        let cx = Context::new().with_baggage(baggage);
        let extracted = BaggagePropagator::new().extract_with_context(&cx, &Lines(vec![",,=;".to_owned()]));
        assert_eq!(inject(&extracted), "a=1");
        assert_eq!(inject(&Context::new()), "");
    }

    #[test]
    fn huge_headers_are_survived() {
        for unit in [",", "a=1,", "a", "=", ";", "%", "%41", "ü", "a=%c3,", "k;k;"] {
            extract(&[&unit.repeat(65536 / unit.len())]);
        }
    }

    proptest! {
        #[test]
        fn any_lines_are_survived(lines: Vec<String>) {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let line = inject(&extract(&lines));
            prop_assert!(line.len() <= MAX_BYTES && line.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')), "{line:?}");
        }

        #[test]
        fn what_is_injected_can_be_extracted(
            entries in prop::collection::btree_map("[!#-'*+.0-9A-Z^-z|~-]{1,10}", any::<String>(), 0..20)
        ) {
            let baggage: Baggage = entries.iter().map(|(k, v)| opentelemetry::KeyValue::new(k.clone(), v.clone())).collect();
            let cx = extract(&[&inject(&Context::new().with_baggage(baggage))]);
            let back: BTreeMap<_, _> = cx.baggage().iter().map(|(k, (v, _))| (k.to_string(), v.to_string())).collect();
            prop_assert_eq!(back, entries);
        }
    }
}
