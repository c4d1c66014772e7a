//! Headers as carriers of a propagator and as attributes of a span.

use http::header::{GetAll, HeaderMap, HeaderName, HeaderValue};
use http::{Version, header};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

/// The longest text, in bytes, that is taken over from a request into one attribute value.
pub const MAX_TEXT_BYTES: usize = 4096;
/// The most lines of one captured header that become values of its attribute.
pub const MAX_HEADER_VALUES: usize = 64;

/// Reads propagation fields from the headers of a request.
///
/// Names match in any case. A value that is not UTF-8 is passed over as if its line were absent.
#[derive(Clone, Copy, Debug)]
pub struct HeaderExtractor<'a>(pub &'a HeaderMap);

/// The field `key` of one of the usual propagators: its name need not be parsed for every request.
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
        // The usual answers are "absent", which an empty vector would not say, and one line, of which the vector has
        // exactly the size.
        let mut values = self.lines(key).iter().filter_map(utf8);
        let first = values.next()?;
        let mut all = vec![first];
        all.extend(values);
        Some(all)
    }
}

/// The headers that every request is asked for, found in one pass: to pass by the others costs less than to hash five
/// names, of which a request usually does not even have all.
///
/// As a carrier it is the [`HeaderExtractor`] of the same headers.
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
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
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

    /// The length of the request's body, where its head tells.
    ///
    /// spec: RFC 9112 section 6.3: over HTTP/1 a request without either header has no body
    pub(crate) fn body_length(&self, version: Version) -> Option<u64> {
        match self.content_length.first {
            Some(length) => length.to_str().ok()?.trim().parse().ok(),
            None => (version < Version::HTTP_2 && self.transfer_encoding.first.is_none()).then_some(0),
        }
    }

    /// The only line of a header, or that there is none; `None` if the headers themselves must be asked.
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

/// Writes propagation fields into headers: names in lower case, one line each, replacing what was there.
///
/// A name or value that HTTP does not allow is left out.
#[derive(Debug)]
pub struct HeaderInjector<'a>(pub &'a mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        // `HeaderName::from_bytes` lower-cases.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }

    fn reserve(&mut self, additional: usize) {
        // The panicking variant has a limit a hostile hint could reach.
        let _ = self.0.try_reserve(additional);
    }
}

/// A header on the allowlist, with its attribute name made once.
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

    /// One element per header line; `None` without the header.
    ///
    /// spec: http/http-spans.md, "http.request.header.<key>" is a string array
    pub(crate) fn attribute(&self, headers: &HeaderMap) -> Option<KeyValue> {
        if !headers.contains_key(&self.name) {
            return None;
        }
        let lines = headers.get_all(&self.name).iter().take(MAX_HEADER_VALUES);
        let values: Vec<StringValue> = lines.map(|line| text(line.as_bytes()).into()).collect();
        Some(KeyValue::new(self.key.clone(), Value::Array(Array::String(values))))
    }
}

/// A peer's bytes as the text of an attribute: bounded, and never invalid.
pub(crate) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= MAX_TEXT_BYTES => text.to_owned(),
        _ => mended(bytes),
    }
}

/// The same for what is known to be text.
pub(crate) fn bounded(text: &str) -> String {
    if text.len() <= MAX_TEXT_BYTES { text.to_owned() } else { mended(text.as_bytes()) }
}

#[cold]
fn mended(bytes: &[u8]) -> String {
    let Some(cut) = bytes.get(..MAX_TEXT_BYTES).filter(|_| bytes.len() > MAX_TEXT_BYTES) else {
        return String::from_utf8_lossy(bytes).into_owned();
    };
    // Do not turn a character that the cut went through into a replacement character.
    let whole = match std::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() => &cut[..error.valid_up_to()],
        _ => cut,
    };
    String::from_utf8_lossy(whole).into_owned()
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
        extracts(&RequestFields::of(&headers));
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
        let carriers: [&dyn Extractor; 2] = [&HeaderExtractor(&headers), &RequestFields::of(&headers)];
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
    fn cuts_long_text_between_characters() {
        assert_eq!((text("é".as_bytes()), bounded("é")), ("é".to_owned(), "é".to_owned()));
        assert_eq!(text(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(text(&vec![b'a'; MAX_TEXT_BYTES + 1]).len(), MAX_TEXT_BYTES);
        let wide = "€".repeat(MAX_TEXT_BYTES);
        assert_eq!(bounded(&wide), text(wide.as_bytes()));
        let cut = text(wide.as_bytes());
        assert_eq!((cut.len(), cut.chars().all(|c| c == '€')), (MAX_TEXT_BYTES / 3 * 3, true));
    }

    #[test]
    fn lengths_of_request_bodies() {
        fn check(version: Version, fields: &[(&'static str, &'static str)], expected: Option<u64>) {
            let fields = fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            let headers: HeaderMap = fields.collect();
            assert_eq!(RequestFields::of(&headers).body_length(version), expected);
        }
        let length = "content-length";
        check(Version::HTTP_11, &[(length, "12")], Some(12));
        check(Version::HTTP_2, &[(length, "0")], Some(0));
        check(Version::HTTP_11, &[(length, "-1")], None);
        check(Version::HTTP_11, &[(length, "99999999999999999999")], None);
        check(Version::HTTP_11, &[], Some(0));
        check(Version::HTTP_10, &[], Some(0));
        check(Version::HTTP_11, &[("transfer-encoding", "chunked")], None);
        check(Version::HTTP_2, &[], None);
    }
}
