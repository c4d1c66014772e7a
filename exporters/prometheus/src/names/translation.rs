//! Translates OpenTelemetry names to Prometheus names, with a configurable strategy.
//!
//! spec: compatibility/prometheus_and_openmetrics.md#otlp-metric-points-to-prometheus

use std::borrow::Cow;

use super::escaping::{NameKind, escape};
use super::units;
use crate::format::Escaping;

/// A strategy for translating metric names and attribute keys, before they are escaped for the scraper.
///
/// ```
/// use telemark_prometheus::{PrometheusExporter, Renderer, TranslationStrategy};
///
/// let renderer = Renderer::new().with_translation(TranslationStrategy::NoTranslation);
/// let prometheus = PrometheusExporter::builder().with_renderer(renderer).build();
/// ```
///
/// spec: metrics/sdk_exporters/prometheus.md#configuration
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TranslationStrategy {
    /// Turns `foo.bar` in bytes into `foo_bar_bytes`, or into `foo_bar_bytes_total` for a counter.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Turns `foo.bar` in bytes into `foo_bar`.
    UnderscoreEscapingWithoutSuffixes,
    /// Turns `foo.bar` in bytes into `foo.bar_bytes` if the scraper requests [`Escaping::AllowUtf8`].
    NoUtf8EscapingWithSuffixes,
    /// Leaves `foo.bar` unchanged if the scraper requests [`Escaping::AllowUtf8`].
    NoTranslation,
}

impl TranslationStrategy {
    fn escapes(self) -> bool {
        matches!(
            self,
            TranslationStrategy::UnderscoreEscapingWithSuffixes
                | TranslationStrategy::UnderscoreEscapingWithoutSuffixes
        )
    }

    fn has_suffixes(self) -> bool {
        matches!(
            self,
            TranslationStrategy::UnderscoreEscapingWithSuffixes | TranslationStrategy::NoUtf8EscapingWithSuffixes
        )
    }

    /// Returns the full, escaped name of a metric, and its unit in words, which may be empty. If the strategy
    /// adds suffixes, a counter's name ends with `_total`. Returns `None` if the translated name is empty.
    pub(crate) fn metric(self, name: &str, unit: &str, counter: bool, escaping: Escaping) -> Option<(String, String)> {
        let mut full = if self.escapes() { underscored(name, true).into_owned() } else { name.to_owned() };
        if full.is_empty() {
            return None;
        }
        let unit = units::words(unit);
        if self.has_suffixes() {
            let base = full.strip_suffix(TOTAL).filter(|base| counter && !base.is_empty());
            if let Some(base) = base.map(str::len) {
                full.truncate(base);
            }
            if !unit.is_empty() && !ends_with_word(&full, &unit) {
                full.push('_');
                full.push_str(&unit);
            }
            if counter {
                full.push_str(TOTAL);
            }
        }
        Some((escape(&full, escaping, NameKind::Metric).into_owned(), unit))
    }

    /// Returns the label for an attribute key, or an empty string if the translated key is empty.
    pub(crate) fn label(self, key: &str, escaping: Escaping) -> String {
        let translated = if self.escapes() { underscored(key, false) } else { Cow::Borrowed(key) };
        let label = escape(&translated, escaping, NameKind::Label);
        // Prometheus reserves these labels, and `__name__` would even replace the metric's name.
        if label.starts_with("__") { format!("exported{label}") } else { label.into_owned() }
    }
}

/// The suffix of a counter's samples.
pub(crate) const TOTAL: &str = "_total";

/// Returns true if the name equals the word or ends with it as a separate word: `seconds`, `foo_seconds` and
/// `foo.seconds` end with `seconds`.
fn ends_with_word(name: &str, word: &str) -> bool {
    name.strip_suffix(word).is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric()))
}

/// Replaces all characters that are not classic, and collapses runs of underscores into one.
fn underscored(name: &str, colons: bool) -> Cow<'_, str> {
    let is_classic = |c: char| c.is_ascii_alphanumeric() || c == '_' || colons && c == ':';
    let starts_with_digit = name.starts_with(|c: char| c.is_ascii_digit());
    if name.chars().all(is_classic) && !name.contains("__") && !starts_with_digit {
        return Cow::Borrowed(name);
    }
    let mut classic = String::with_capacity(name.len() + 1);
    if starts_with_digit {
        classic.push('_');
    }
    for c in name.chars() {
        let c = if is_classic(c) { c } else { '_' };
        if c != '_' || !classic.ends_with('_') {
            classic.push(c);
        }
    }
    Cow::Owned(classic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::NameKind;
    use proptest::prelude::*;

    use TranslationStrategy::{
        NoTranslation, NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes,
    };

    const STRATEGIES: [TranslationStrategy; 4] =
        [UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, NoUtf8EscapingWithSuffixes, NoTranslation];

    fn name(strategy: TranslationStrategy, name: &str, unit: &str, counter: bool, escaping: Escaping) -> String {
        strategy.metric(name, unit, counter, escaping).map(|(name, _)| name).unwrap_or_default()
    }

    #[test]
    fn the_vectors_of_the_specification() {
        let all = |escaping| STRATEGIES.map(|strategy| name(strategy, "foo.bar", "By", true, escaping)).join(" ");
        assert_eq!(all(Escaping::Underscores), "foo_bar_bytes_total foo_bar foo_bar_bytes_total foo_bar");
        assert_eq!(all(Escaping::AllowUtf8), "foo_bar_bytes_total foo_bar foo.bar_bytes_total foo.bar");
        assert_eq!(
            all(Escaping::Dots),
            "foo__bar__bytes__total foo__bar foo_dot_bar__bytes__total foo_dot_bar",
            "of valid names, too"
        );
        assert_eq!(all(Escaping::Values), "foo_bar_bytes_total foo_bar U__foo_2E_bar__bytes__total U__foo_2E_bar");
    }

    /// Checks the names of a gauge and a counter.
    fn check(given: &str, unit: &str, gauge: &str, counter: &str) {
        let of = |counter| name(UnderscoreEscapingWithSuffixes, given, unit, counter, Escaping::Underscores);
        assert_eq!((of(false).as_str(), of(true).as_str()), (gauge, counter), "{given:?} in {unit:?}");
    }

    #[test]
    fn suffixes() {
        check(
            "http.server.request.duration",
            "s",
            "http_server_request_duration_seconds",
            "http_server_request_duration_seconds_total",
        );
        check("foo_seconds", "s", "foo_seconds", "foo_seconds_total");
        check("foo.total", "", "foo_total", "foo_total");
        check("foo_total", "s", "foo_total_seconds", "foo_seconds_total");
        check("seconds", "s", "seconds", "seconds_total");
        check("milliseconds", "s", "milliseconds_seconds", "milliseconds_seconds_total");
        check("requests", "{request}", "requests", "requests_total");
        check("speed", "m/s", "speed_meters_per_second", "speed_meters_per_second_total");
        check("ratio", "1", "ratio", "ratio_total");
        check("total", "", "total", "total_total");
        check("_total", "", "_total", "_total_total");
    }

    #[test]
    fn characters() {
        check("a..b--c__d", "", "a_b_c_d", "a_b_c_d_total");
        check("a:b", "", "a:b", "a:b_total");
        check("1a", "", "_1a", "_1a_total");
        check("größe", "", "gr_e", "gr_e_total");
        check("", "s", "", "");
        assert_eq!(UnderscoreEscapingWithSuffixes.label("http.route:x", Escaping::Underscores), "http_route_x");
        assert_eq!(UnderscoreEscapingWithSuffixes.label("__a__", Escaping::Underscores), "_a_");
        assert_eq!(NoTranslation.label("a..b", Escaping::Underscores), "a__b");
        assert_eq!(NoTranslation.label("a.b", Escaping::AllowUtf8), "a.b");
        assert_eq!(NoTranslation.label("__name__", Escaping::AllowUtf8), "exported__name__");
        assert_eq!(NoTranslation.label("1ä:", Escaping::Values), "U__1_E4__3A_");
        assert_eq!(NoTranslation.label("a1ä:", Escaping::Dots), "a1__");
        assert_eq!(NoTranslation.label("_x", Escaping::Dots), "exported__x");
    }

    proptest! {
        #[test]
        fn what_is_not_quoted_is_classic(text in "\\PC{1,12}|[a-z0-9._:]{1,12}|[\u{0}-\u{20}]{1,3}", unit in "\\PC{0,5}") {
            for strategy in STRATEGIES {
                for escaping in [Escaping::Underscores, Escaping::Dots, Escaping::Values] {
                    let (name, _) = strategy.metric(&text, &unit, true, escaping).unwrap();
                    prop_assert!(NameKind::Metric.is_classic(&name), "{name:?}");
                    let label = strategy.label(&text, escaping);
                    prop_assert!(NameKind::Label.is_classic(&label), "{label:?}");
                }
            }
        }
    }
}
