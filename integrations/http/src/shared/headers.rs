//! Headers as carriers of a propagator and as attributes of a span.

use http::header::{GetAll, HeaderMap, HeaderName, HeaderValue};
use http::{Version, header};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use telemark_kit::{Attributes, BoundedText, MAX_TEXT_BYTES};

use super::content_length;

/// The maximum number of lines of a captured header that are recorded as attribute values.
pub const MAX_HEADER_VALUES: usize = 64;
/// The maximum size, in bytes, of all captured header values of one request or response.
pub const MAX_CAPTURED_BYTES: usize = 16 * 1024;

/// Reads propagation fields from the headers of a request.
///
/// Names are case-insensitive. A line whose value is not UTF-8 is skipped.
#[derive(Clone, Copy, Debug)]
pub struct HeaderExtractor<'a>(pub &'a HeaderMap);

/// Returns the parsed header name for a common propagation field, to avoid parsing it for every request.
#[inline]
fn field(key: &str) -> Option<&'static HeaderName> {
    macro_rules! known {
        ($($name:literal),*) => {
            match key {
                $($name => {
                    static NAME: HeaderName = HeaderName::from_static($name);
                    Some(&NAME)
                })*
                _ => None,
            }
        };
    }
    known!("traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags")
}

impl<'a> HeaderExtractor<'a> {
    #[inline]
    fn lines(&self, key: &str) -> GetAll<'a, HeaderValue> {
        match field(key) {
            Some(name) => self.0.get_all(name),
            None => self.0.get_all(key),
        }
    }
}

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.lines(key).iter().find_map(utf8)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        // Returns `None` for an absent field, not an empty vector. A single line, the usual case, allocates exactly its size.
        let mut values = self.lines(key).iter().filter_map(utf8);
        let first = values.next()?;
        let mut all = vec![first];
        all.extend(values);
        Some(all)
    }
}

/// The headers read from every request, collected in one pass, which is cheaper than one lookup per name.
///
/// As a carrier, it behaves like the [`HeaderExtractor`] of the same headers.
#[derive(Debug)]
pub(crate) struct RequestFields<'a> {
    headers: HeaderExtractor<'a>,
    pub(crate) host: Found<'a>,
    pub(crate) user_agent: Found<'a>,
    content_length: Found<'a>,
    transfer_encoding: Found<'a>,
    traceparent: Found<'a>,
    tracestate: Found<'a>,
    baggage: Found<'a>,
}

/// The lines of one header.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found<'a> {
    pub(crate) first: Option<&'a HeaderValue>,
    has_more: bool,
}

impl<'a> RequestFields<'a> {
    pub(crate) fn read(headers: &'a HeaderMap) -> Self {
        let none = Found::default();
        let headers = HeaderExtractor(headers);
        let mut fields = RequestFields {
            headers,
            host: none,
            user_agent: none,
            content_length: none,
            transfer_encoding: none,
            traceparent: none,
            tracestate: none,
            baggage: none,
        };
        for (name, value) in headers.0 {
            let found = match *name {
                header::HOST => &mut fields.host,
                header::USER_AGENT => &mut fields.user_agent,
                header::CONTENT_LENGTH => &mut fields.content_length,
                header::TRANSFER_ENCODING => &mut fields.transfer_encoding,
                _ => match name.as_str() {
                    "traceparent" => &mut fields.traceparent,
                    "tracestate" => &mut fields.tracestate,
                    "baggage" => &mut fields.baggage,
                    _ => continue,
                },
            };
            match found.first {
                None => found.first = Some(value),
                Some(_) => found.has_more = true,
            }
        }
        fields
    }

    /// Returns the length of the request body, or `None` if the head does not determine it.
    ///
    /// spec: RFC 9112 section 6.3: `Transfer-Encoding` overrides `Content-Length`, and over HTTP/1 a request without
    /// either has no body
    pub(crate) fn body_length(&self, version: Version) -> Option<u64> {
        let is_chunked = version < Version::HTTP_2 && self.transfer_encoding.first.is_some();
        match self.content_length {
            _ if is_chunked => None,
            Found { first: Some(line), has_more: false } => content_length::in_line(line),
            Found { first: Some(_), has_more: true } => content_length::declared(self.headers.0),
            Found { first: None, .. } => (version < Version::HTTP_2).then_some(0),
        }
    }

    /// Returns the header's value if it has at most one line, or `None` if the full headers must be searched.
    #[inline]
    fn only(&self, key: &str) -> Option<Option<&'a HeaderValue>> {
        let found = match key {
            "traceparent" => &self.traceparent,
            "tracestate" => &self.tracestate,
            "baggage" => &self.baggage,
            _ => return None,
        };
        (!found.has_more).then_some(found.first)
    }
}

impl Extractor for RequestFields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match self.only(key) {
            Some(line) => line.and_then(utf8),
            None => self.headers.get(key),
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.keys()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        match self.only(key) {
            Some(line) => line.and_then(utf8).map(|line| vec![line]),
            None => self.headers.get_all(key),
        }
    }
}

/// Writes propagation fields into headers: names in lower case, one line each, replacing existing lines.
///
/// Skips names and values that HTTP does not allow.
#[derive(Debug)]
pub struct HeaderInjector<'a>(pub &'a mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        // `HeaderName::from_bytes` lower-cases. The name of a common field is static, so neither it nor its copies, such as those that
        // reqwest makes of all headers, allocate.
        let name = field(key).map_or_else(|| HeaderName::from_bytes(key.as_bytes()), |name| Ok(name.clone()));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }

    fn reserve(&mut self, additional: usize) {
        // `reserve` panics beyond a limit that a hostile hint could reach.
        let _ = self.0.try_reserve(additional);
    }
}

/// A header to capture, with its precomputed attribute name.
#[derive(Clone, Debug)]
pub(crate) struct CapturedHeader {
    name: HeaderName,
    key: Key,
}

impl CapturedHeader {
    pub(crate) fn request(name: HeaderName) -> Self {
        CapturedHeader::new("http.request.header.", name)
    }

    pub(crate) fn response(name: HeaderName) -> Self {
        CapturedHeader::new("http.response.header.", name)
    }

    fn new(prefix: &str, name: HeaderName) -> Self {
        let key: std::sync::Arc<str> = format!("{prefix}{name}").into();
        CapturedHeader { name, key: Key::from(key) }
    }

    pub(crate) fn is(&self, name: &HeaderName) -> bool {
        self.name == *name
    }

    pub(crate) fn is_same(&self, other: &CapturedHeader) -> bool {
        self.name == other.name
    }
}

/// Adds the chosen headers that are present, with one value per line, up to the limits.
///
/// spec: http/http-spans.md, "http.request.header.<key>" is a string array
pub(crate) fn capture<'c>(
    chosen: impl IntoIterator<Item = &'c CapturedHeader>,
    headers: &HeaderMap,
    attributes: &mut Attributes,
) {
    let mut budget = MAX_CAPTURED_BYTES;
    for CapturedHeader { name, key } in chosen {
        let lines = headers.get_all(name);
        let (mut values, mut is_cut) = (Vec::<StringValue>::new(), false);
        for line in lines {
            if values.len() == MAX_HEADER_VALUES || (budget == 0 && !line.is_empty()) {
                is_cut = true;
                break;
            }
            let value = BoundedText::from_bytes_within(line.as_bytes(), budget.min(MAX_TEXT_BYTES));
            // Stop after a line that was truncated because the budget ran out.
            let is_spent = value.is_cut && budget < MAX_TEXT_BYTES;
            budget = if is_spent { 0 } else { budget.saturating_sub(value.text.len()) };
            is_cut |= value.is_cut;
            values.push(value.text.into());
        }
        if is_cut {
            attributes.cut.add(key);
        }
        if is_cut || !values.is_empty() {
            attributes.list.push(KeyValue::new(key.clone(), Value::Array(Array::String(values))));
        }
    }
}

fn utf8(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn extracts_first_and_all_values_in_any_case() {
        let lines: &[(_, &[u8])] =
            &[("tracestate", b"a=1"), ("tracestate", b"b=2"), ("other", b"x"), ("baggage", b"k=1")];
        let headers = headers(lines);
        extracts(&HeaderExtractor(&headers));
        extracts(&RequestFields::read(&headers));
    }

    fn extracts(carrier: &dyn Extractor) {
        assert_eq!(carrier.get("TraceState"), Some("a=1"));
        assert_eq!(carrier.get_all("TRACESTATE"), Some(vec!["a=1", "b=2"]));
        assert_eq!(carrier.get_all("tracestate"), Some(vec!["a=1", "b=2"]));
        assert_eq!((carrier.get("tracestate"), carrier.get("traceparent")), (Some("a=1"), None));
        assert_eq!(carrier.get_all("traceparent"), None);
        assert_eq!(carrier.get("not a header name"), None);
        assert_eq!(carrier.get("other"), Some("x"));
        assert_eq!((carrier.get("baggage"), carrier.get_all("baggage")), (Some("k=1"), Some(vec!["k=1"])));
        assert_eq!(carrier.keys(), ["tracestate", "other", "baggage"]);
    }

    #[test]
    fn passes_over_values_that_are_not_utf8() {
        let mut headers = headers(&[("baggage", b"\xff\xfe"), ("baggage", "k=é".as_bytes()), ("bad", b"\xff")]);
        headers.append("traceparent", HeaderValue::from_bytes(b"\xff").unwrap());
        let carriers: [&dyn Extractor; 2] = [&HeaderExtractor(&headers), &RequestFields::read(&headers)];
        for carrier in carriers {
            assert_eq!(carrier.get("baggage"), Some("k=é"));
            assert_eq!(carrier.get_all("baggage"), Some(vec!["k=é"]));
            assert_eq!(carrier.get_all("bad"), None);
            assert_eq!((carrier.get("traceparent"), carrier.get_all("traceparent")), (None, None));
        }
    }

    #[test]
    fn injects_lower_case_and_replaces() {
        let mut map = headers(&[("traceparent", b"old"), ("traceparent", b"older")]);
        let mut carrier = HeaderInjector(&mut map);
        carrier.reserve(usize::MAX);
        carrier.set("TraceParent", "new".to_owned());
        carrier.set("bad name", "x".to_owned());
        carrier.set("bad-value", "x\ny".to_owned());
        assert_eq!(map, headers(&[("traceparent", b"new")]));
    }

    #[test]
    fn the_name_of_a_common_field_is_not_allocated() {
        let mut map = HeaderMap::with_capacity(8);
        let (known, unknown) = ("1".to_owned(), "1".to_owned());
        let mut set =
            |key: &str, value| allocation_counter::measure(|| HeaderInjector(&mut map).set(key, value)).count_total;
        assert_eq!((set("traceparent", known), set("x-tenant", unknown)), (0, 1));
    }

    #[test]
    fn captured_headers_are_bounded_in_lines_and_in_bytes_and_say_so() {
        fn check(lines: &[(&'static str, &str, usize)], expected: &str) {
            let mut headers = HeaderMap::new();
            for (name, value, times) in lines {
                for _ in 0..*times {
                    headers.append(*name, HeaderValue::from_str(value).unwrap());
                }
            }
            let chosen = ["a", "b"].map(|name| CapturedHeader::request(HeaderName::from_static(name)));
            let mut attributes = Attributes::default();
            capture(&chosen, &headers, &mut attributes);
            let shown = attributes.list.iter().map(|attribute| match &attribute.value {
                Value::Array(Array::String(values)) => {
                    let bytes: usize = values.iter().map(|value| value.as_str().len()).sum();
                    format!("{} {}/{bytes}", attribute.key, values.len())
                }
                other => panic!("{other:?}"),
            });
            let shown: Vec<_> =
                shown.chain(attributes.cut.attribute().map(|cut| format!("cut {}", cut.value))).collect();
            assert_eq!(shown.join(", ").replace("http.request.header.", ""), expected);
        }
        let long = "x".repeat(MAX_TEXT_BYTES);
        check(&[], "");
        check(&[("a", "", 1), ("b", "é", 2)], "a 1/0, b 2/4");
        check(&[("a", "v", 64)], "a 64/64");
        check(&[("a", "v", 65), ("b", "v", 1)], "a 64/64, b 1/1, cut [\"a\"]");
        check(&[("a", &format!("{long}x"), 1)], "a 1/4096, cut [\"a\"]");
        check(&[("a", &long, 4)], "a 4/16384");
        check(&[("a", &long, 4), ("b", "", 1)], "a 4/16384, b 1/0");
        check(&[("a", &long, 5), ("b", "v", 1)], "a 4/16384, b 0/0, cut [\"a\",\"b\"]");
        check(&[("a", &long[1..], 4), ("b", "vvvvvv", 1)], "a 4/16380, b 1/4, cut [\"b\"]");
        check(&[("a", &"€".repeat(3000), 100)], "a 5/16383, cut [\"a\"]");
    }

    #[test]
    fn lengths_of_request_bodies() {
        fn check(version: Version, fields: &[(&'static str, &'static str)], expected: Option<u64>) {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(RequestFields::read(&headers).body_length(version), expected);
        }
        let length = "content-length";
        check(Version::HTTP_11, &[(length, "12")], Some(12));
        check(Version::HTTP_2, &[(length, "0")], Some(0));
        check(Version::HTTP_11, &[(length, "-1")], None);
        check(Version::HTTP_11, &[(length, "99999999999999999999")], None);
        check(Version::HTTP_11, &[], Some(0));
        check(Version::HTTP_10, &[], Some(0));
        check(Version::HTTP_11, &[("transfer-encoding", "chunked")], None);
        check(Version::HTTP_11, &[("transfer-encoding", "chunked"), (length, "12")], None);
        check(Version::HTTP_11, &[(length, "+12")], None);
        check(Version::HTTP_2, &[(length, "12, 12")], Some(12));
        check(Version::HTTP_11, &[(length, "12"), (length, "12")], Some(12));
        check(Version::HTTP_11, &[(length, "12"), (length, "13")], None);
        check(Version::HTTP_2, &[], None);
    }
}
