//! Negotiation: chooses the format of a page from the request headers.
//!
//! Headers are foreign text. Any header, even a malformed one, leads to a format.

use crate::format::{ESCAPINGS, Escaping, Format, Protocol};

/// Returns the format for a request with this `Accept` header. If there is no such header, pass an empty
/// string; if there are several, join them with commas.
///
/// The supported media range with the highest `q` wins, or the first one if several have the same `q`. If no range is supported,
/// or if the winning range accepts any format, the format is text 0.0.4.
///
/// ```
/// use telemark_prometheus::{Protocol, negotiate};
///
/// let format = negotiate("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3");
/// assert_eq!(format.protocol(), Protocol::OpenMetrics1_0_0);
/// assert_eq!(negotiate("text/html").protocol(), Protocol::Text0_0_4);
/// ```
///
/// spec: prometheus docs/instrumenting/content_negotiation.md
pub fn negotiate(accept: &str) -> Format {
    negotiate_or(accept, Format::default())
}

/// Like [`negotiate`], but with a fallback other than text 0.0.4.
pub(crate) fn negotiate_or(accept: &str, fallback: Format) -> Format {
    let accept = bounded(accept);
    let mut best: Option<(u16, Format)> = None;
    for range in list(accept, ',') {
        let Some((quality, format)) = parse(range, fallback) else { continue };
        if quality > best.map_or(0, |(best, _)| best) {
            best = Some((quality, format));
        }
    }
    best.map_or(fallback, |(_, format)| format)
}

/// Returns true if this `Accept-Encoding` header allows gzip.
#[cfg_attr(not(feature = "gzip"), allow(dead_code, reason = "used with the feature gzip alone"))]
pub(crate) fn accepts_gzip(accept_encoding: &str) -> bool {
    let accept_encoding = bounded(accept_encoding);
    let quality_of = |names: &[&str]| {
        list(accept_encoding, ',').find_map(|coding| {
            let mut parts = list(coding, ';');
            let matches =
                parts.next().is_some_and(|first| names.iter().any(|name| first.trim().eq_ignore_ascii_case(name)));
            matches.then(|| {
                parameters(parts).find_map(|(key, value)| (key == "q").then(|| quality(&value))).unwrap_or(1000)
            })
        })
    };
    // spec: RFC 9110 8.4.1.3: both names are equivalent
    quality_of(&["gzip", "x-gzip"]).or_else(|| quality_of(&["*"])).unwrap_or(0) > 0
}

/// Returns the header, or an empty string if it is longer than any scraper would send.
fn bounded(header: &str) -> &str {
    const MAX_LENGTH: usize = 8 << 10;
    if header.len() <= MAX_LENGTH { header } else { "" }
}

/// Parses a media range. Returns its quality in thousandths and the format that satisfies it, or `None` if it
/// is not supported.
fn parse(range: &str, fallback: Format) -> Option<(u16, Format)> {
    let mut parts = list(range, ';');
    let media_type = parts.next()?.trim().to_ascii_lowercase();
    let (mut q, mut version, mut escaping) = (1000, None, Escaping::default());
    for (key, value) in parameters(parts) {
        match key.as_str() {
            "q" => q = quality(&value),
            "version" => version = Some(value),
            "escaping" => {
                let known = ESCAPINGS.iter().find(|(name, _)| value.eq_ignore_ascii_case(name));
                escaping = known.map(|&(_, escaping)| escaping).unwrap_or_default();
            }
            _ => {}
        }
    }
    let protocol = match (media_type.as_str(), version.as_deref()) {
        ("*/*" | "text/*", _) => return Some((q, fallback)),
        ("text/plain", None | Some("0.0.4")) => Protocol::Text0_0_4,
        ("text/plain", Some("1.0.0")) => Protocol::Text1_0_0,
        ("application/openmetrics-text", Some("0.0.1")) => Protocol::OpenMetrics0_0_1,
        ("application/openmetrics-text", None | Some("1.0.0")) | ("application/*", _) => Protocol::OpenMetrics1_0_0,
        _ => return None,
    };
    Some((q, Format::new(protocol, escaping)))
}

fn parameters<'a>(parts: impl Iterator<Item = &'a str>) -> impl Iterator<Item = (String, String)> {
    parts.filter_map(|part| {
        let (key, value) = part.split_once('=')?;
        Some((key.trim().to_ascii_lowercase(), value.trim().trim_matches('"').to_owned()))
    })
}

/// Returns a quality in thousandths, or zero if it is malformed.
///
/// spec: RFC 9110 12.4.2
fn quality(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_valid = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths = format!("{fraction:0<3}").parse().unwrap_or(0);
    match whole {
        "0" if is_valid => thousandths,
        "1" if is_valid && thousandths == 0 => 1000,
        _ => 0,
    }
}

/// Splits at separators outside of quotes.
fn list(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        let end = text.find(|c| {
            quoted ^= c == '"';
            c == separator && !quoted
        });
        match end {
            Some(end) => {
                rest = text.get(end + separator.len_utf8()..);
                text.get(..end)
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(accept: &str, expected: &str) {
        assert_eq!(negotiate(accept).content_type(), expected, "{accept:?}");
    }

    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

    #[test]
    fn without_a_preference_the_format_is_text() {
        for accept in ["", "*/*", "text/plain", "text/plain;version=0.0.4", "text/*;q=0.1", "text/html,*/*;q=0.8"] {
            check(accept, TEXT);
        }
    }

    #[test]
    fn an_unknown_format_becomes_text() {
        check("application/json", TEXT);
        check("text/plain;version=2.0.0", TEXT);
        check("application/openmetrics-text;version=2.0.0", TEXT);
        check("application/openmetrics-text;q=0", TEXT);
        check(";;;,,,=;q", TEXT);
        let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        check(protobuf, TEXT);
    }

    #[test]
    fn versions_and_escaping() {
        let open = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=";
        check("application/openmetrics-text", &format!("{open}underscores"));
        check("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8", &format!("{open}allow-utf-8"));
        check("application/openmetrics-text ; version=\"1.0.0\" ; escaping=DOTS", &format!("{open}dots"));
        check("APPLICATION/OpenMetrics-Text;VERSION=1.0.0;escaping=values", &format!("{open}values"));
        check("application/openmetrics-text;version=1.0.0;escaping=what", &format!("{open}underscores"));
        check(
            "application/openmetrics-text;version=0.0.1;escaping=allow-utf-8",
            "application/openmetrics-text; version=0.0.1; charset=utf-8",
        );
        check("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8; escaping=underscores");
    }

    #[test]
    fn the_highest_quality_that_can_be_served_wins() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                            application/openmetrics-text;version=0.0.1;q=0.5,\
                            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        check(prometheus_3, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8");
        check("application/openmetrics-text;q=0.2,text/plain;q=0.3", TEXT);
        check(
            "application/json,text/plain;version=1.0.0;q=0.1",
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        );
        check(
            "application/*;q=0.9,text/plain;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        );
        for malformed in ["+1", "1e0", "NaN", "inf", "1.001", "0.5555", ".5", "-0", "0x1", ""] {
            check(&format!("application/openmetrics-text;q={malformed},text/plain;q=0.001"), TEXT);
        }
        check("TEXT/PLAIN;Q=0.1;VERSION=0.0.4,text/html", TEXT);
        check("text/plain,application/openmetrics-text", TEXT);
        check("application/openmetrics-text;q=2,text/plain;q=0.1", TEXT);
    }

    #[test]
    fn gzip() {
        for (header, expected) in [
            ("", false),
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("X-Gzip", true),
            ("x-gzip; Q=0", false),
            ("gzip;q=0", false),
            ("*", true),
            ("gzip;q=0, *;q=1", false),
            ("identity", false),
        ] {
            assert_eq!(accepts_gzip(header), expected, "{header:?}");
        }
    }

    #[test]
    fn a_header_that_is_too_long_is_ignored() {
        let open = "application/openmetrics-text";
        let with = |spaces: usize| format!("{open}{}", " ".repeat(spaces - open.len()));
        check(&with(8192), "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores");
        check(&with(8193), TEXT);
        check(&format!("{open},").repeat(100_000), TEXT);
        assert!(accepts_gzip(&format!("{}gzip", ",".repeat(8188))));
        assert!(!accepts_gzip(&format!("{}gzip", ",".repeat(8189))));
    }

    proptest! {
        #[test]
        fn every_header_gets_a_format(accept in "(application/openmetrics-text|text/plain|[a-z/*,;=\"q0-9. \\PC]{0,20}|;version=|1.0.0|,|;q=){0,8}") {
            prop_assert!(!negotiate(&accept).content_type().is_empty());
            accepts_gzip(&accept);
        }
    }
}
