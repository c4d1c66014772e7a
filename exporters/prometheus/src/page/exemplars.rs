//! Exemplars: a measurement attached to a sample, with labels within OpenMetrics' limit.

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, TraceId};
use telemark_sdk::diag::{self, Level};
use telemark_sdk::metrics::Exemplar;

use super::labels::Labels;
use crate::text::numbers::{hexadecimal, number, seconds};

/// The maximum number of characters in an exemplar's labels, counting names and values.
///
/// spec: OpenMetrics.md#exemplars
const MAX_CHARACTERS: usize = 128;
const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";
/// The number of characters in the labels `trace_id` and `span_id`, counting names and values.
const SPAN_LENGTH: usize = TRACE_ID.len() + 32 + SPAN_ID.len() + 16;
/// Marks a bucket without an exemplar.
const NONE: u32 = u32::MAX;

/// Returns the latest exemplar whose value is not NaN.
///
/// spec: compatibility/prometheus_and_openmetrics.md#exemplars-1
pub(super) fn latest(exemplars: &[Exemplar]) -> Option<&Exemplar> {
    exemplars.iter().filter(|exemplar| !exemplar.value.as_f64().is_nan()).max_by_key(|exemplar| exemplar.time)
}

/// The position of the latest exemplar in each bucket. Reuses its memory for the next series.
#[derive(Default)]
pub(super) struct ByBucket(Vec<u32>);

impl ByBucket {
    /// Assigns exemplars to buckets. The last bucket has no bound.
    #[inline]
    pub(super) fn fill(&mut self, exemplars: &[Exemplar], bounds: &[f64]) {
        self.0.clear();
        if exemplars.is_empty() {
            return;
        }
        self.0.resize(bounds.len() + 1, NONE);
        let mut next = 0;
        for (index, exemplar) in exemplars.iter().enumerate() {
            let value = exemplar.value.as_f64();
            // Usually, there is one exemplar per bucket, in bucket order.
            let is_next = next <= bounds.len()
                && bounds.get(next).is_none_or(|&bound| value <= bound)
                && next.checked_sub(1).is_none_or(|below| value > bounds[below]);
            let bucket = if is_next { next } else { bounds.partition_point(|&bound| bound < value) };
            next = bucket + 1;
            let Some(latest) = self.0.get_mut(bucket).filter(|_| !value.is_nan()) else { continue };
            let is_later = exemplars.get(*latest as usize).is_none_or(|earlier| earlier.time <= exemplar.time);
            if is_later {
                *latest = index as u32;
            }
        }
    }

    /// Returns the exemplar of a bucket, from the exemplars given to [`fill`](ByBucket::fill).
    #[inline]
    pub(super) fn get<'a>(&self, bucket: usize, exemplars: &'a [Exemplar]) -> Option<&'a Exemplar> {
        exemplars.get(*self.0.get(bucket)? as usize)
    }
}

/// Returns ` # {trace_id="…",span_id="…"`.
#[inline]
fn span_text(exemplar: &Exemplar) -> [u8; 74] {
    let mut text = *b" # {trace_id=\"________________________________\",span_id=\"________________\"";
    let trace = u128::from_be_bytes(exemplar.trace_id.to_bytes());
    let span = u64::from_be_bytes(exemplar.span_id.to_bytes()).into();
    let ids = [(trace, 96), (trace, 64), (trace, 32), (trace, 0), (span, 32), (span, 0)];
    let digits = hexadecimal(ids.map(|(id, at): (u128, u32)| ((id >> at) as u32).swap_bytes()));
    for (digits, at) in digits.into_iter().zip([14, 22, 30, 38, 57, 65]) {
        text[at..at + 8].copy_from_slice(&digits.to_le_bytes());
    }
    text
}

fn is_in_span(exemplar: &Exemplar) -> bool {
    exemplar.trace_id != TraceId::INVALID && exemplar.span_id != SpanId::INVALID
}

/// Writes exemplars.
pub(super) struct ExemplarWriter {
    labels: Labels,
    /// The number of keys for which `collide` and `is_shadowed` are up to date.
    key_count: usize,
    collide: bool,
    /// True if a key maps to the label `trace_id` or `span_id`.
    is_shadowed: bool,
}

impl ExemplarWriter {
    pub(super) fn new(labels: Labels) -> Self {
        ExemplarWriter { labels, key_count: 0, collide: false, is_shadowed: false }
    }

    /// Writes ` # {…} value timestamp`.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, exemplar: &Exemplar) {
        let in_span = is_in_span(exemplar);
        if in_span {
            out.extend_from_slice(&span_text(exemplar));
        } else {
            out.extend_from_slice(b" # {");
        }
        if !exemplar.filtered_attributes.is_empty() {
            if in_span {
                out.push(b',');
            }
            self.write_filtered(out, &exemplar.filtered_attributes, in_span);
            if out.last() == Some(&b',') {
                out.pop();
            }
        }
        out.extend_from_slice(b"} ");
        number(out, exemplar.value);
        out.push(b' ');
        seconds(out, exemplar.time.as_nanos());
    }

    /// Writes the attributes that a view removed from the series, leaving out those that exceed the limit.
    fn write_filtered(&mut self, out: &mut Vec<u8>, attributes: &[KeyValue], in_span: bool) {
        self.labels.learn(attributes);
        if self.key_count != self.labels.key_count() {
            self.key_count = self.labels.key_count();
            self.collide = self.labels.collide();
            self.is_shadowed = self.labels.has(TRACE_ID) || self.labels.has(SPAN_ID);
        }
        let before = out.len();
        // spec: the ids take precedence over attributes with the same label
        if self.collide || in_span && self.is_shadowed {
            let kept = |label: &str| !in_span || label != TRACE_ID && label != SPAN_ID;
            self.labels.write_joined(out, attributes, &[], kept);
        } else {
            self.labels.write_learned(out, attributes);
        }
        let taken = if in_span { SPAN_LENGTH } else { 0 };
        // Characters need counting only if there are too many bytes.
        if taken + out.len() - before > MAX_CHARACTERS {
            keep_what_fits(out, before, MAX_CHARACTERS - taken);
        }
    }
}

/// Removes each label after `before` that has more characters than the remaining `room`.
fn keep_what_fits(out: &mut Vec<u8>, before: usize, mut room: usize) {
    let labels = out.split_off(before);
    let (mut rest, mut left_out) = (&*labels, 0);
    while !rest.is_empty() {
        let (end, length) = first_label(rest);
        let (label, others) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        if length <= room {
            room -= length;
            out.extend_from_slice(label);
        } else {
            left_out += 1;
        }
        rest = others;
    }
    if left_out > 0 {
        diag::log(
            Level::Info,
            "prometheus.exemplar",
            format_args!(
                "an exemplar is shown without {left_out} of its attributes: OpenMetrics allows {MAX_CHARACTERS} characters"
            ),
        );
    }
}

/// Returns the position after the first label and its comma, and the number of characters in its name and
/// value. Quotes, commas between labels and equals signs are not counted; an escape sequence counts as one
/// character.
fn first_label(labels: &[u8]) -> (usize, usize) {
    let (mut length, mut quoted, mut escape) = (0, false, false);
    for (at, &byte) in labels.iter().enumerate() {
        let is_continuation = byte & 0xc0 == 0x80;
        match byte {
            _ if escape => (length, escape) = (length + 1, false),
            b'\\' => escape = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return (at + 1, length),
            b'=' if !quoted => {}
            _ => length += usize::from(!is_continuation),
        }
    }
    (labels.len(), length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Escaping;
    use crate::names::TranslationStrategy;
    use telemark_sdk::metrics::Attributes;
    use telemark_sdk::time::Timestamp;

    fn check(exemplar: Exemplar, expected: &str) {
        let labels = Labels::new(TranslationStrategy::default(), Escaping::default());
        let mut out = Vec::new();
        ExemplarWriter::new(labels).write(&mut out, &exemplar);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    fn exemplar(attributes: &[(&'static str, &str)]) -> Exemplar {
        let attributes = attributes.iter().map(|&(key, value)| KeyValue::new(key, value.to_owned()));
        Exemplar::new(0.5, Timestamp::from_nanos(1_500_000_000)).with_filtered_attributes(Attributes::new(attributes))
    }

    fn in_span(attributes: &[(&'static str, &str)]) -> Exemplar {
        exemplar(attributes).in_span(TraceId::from(10), SpanId::from(11))
    }

    const SPAN: &str = r#"trace_id="0000000000000000000000000000000a",span_id="000000000000000b""#;

    #[test]
    fn labels() {
        check(exemplar(&[]), " # {} 0.5 1.5");
        check(exemplar(&[("user.id", "7")]), r#" # {user_id="7"} 0.5 1.5"#);
        check(in_span(&[]), &format!(" # {{{SPAN}}} 0.5 1.5"));
        check(in_span(&[("user.id", "7")]), &format!(r#" # {{{SPAN},user_id="7"}} 0.5 1.5"#));
    }

    #[test]
    fn the_span_takes_precedence() {
        check(in_span(&[("trace.id", "mine"), ("user", "7")]), &format!(r#" # {{{SPAN},user="7"}} 0.5 1.5"#));
        check(exemplar(&[("trace_id", "mine")]), r#" # {trace_id="mine"} 0.5 1.5"#);
        check(in_span(&[("a.b", "1"), ("a_b", "2")]), &format!(r#" # {{{SPAN},a_b="1;2"}} 0.5 1.5"#));
    }

    #[test]
    fn what_exceeds_the_limit_is_dropped() {
        // The ids take 63 characters and the name takes 1, which leaves 64. An escape sequence and a two-byte letter count
        // as one character each.
        let fits = format!("{}ü\"", "x".repeat(62));
        check(in_span(&[("k", &fits)]), &format!(r#" # {{{SPAN},k="{}ü\""}} 0.5 1.5"#, "x".repeat(62)));
        check(in_span(&[("k", &format!("{fits}x"))]), &format!(" # {{{SPAN}}} 0.5 1.5"));
        check(exemplar(&[("k", &"x".repeat(128))]), " # {} 0.5 1.5");
    }

    #[test]
    fn an_attribute_that_does_not_fit_is_dropped_alone() {
        let long = "x".repeat(65);
        let kept = format!(r#" # {{{SPAN},a="1",c="3, \"=\"",d="4"}} 0.5 1.5"#);
        check(in_span(&[("a", "1"), ("b", &long), ("c", "3, \"=\""), ("d", "4")]), &kept);
        check(in_span(&[("url", &long), ("user", "7")]), &format!(r#" # {{{SPAN},user="7"}} 0.5 1.5"#));
        // Joined values form a single label.
        check(in_span(&[("a.b", &long), ("a_b", "2"), ("c", "3")]), &format!(r#" # {{{SPAN},c="3"}} 0.5 1.5"#));
        check(
            exemplar(&[("a", &"x".repeat(120)), ("b", "12345678"), ("c", "345")]),
            &format!(r#" # {{a="{}",c="345"}} 0.5 1.5"#, "x".repeat(120)),
        );
    }

    #[test]
    fn the_latest_of_each_bucket_is_taken() {
        let at = |value: f64, time| Exemplar::new(value, Timestamp::from_nanos(time));
        let exemplars = [at(1.0, 5), at(0.5, 9), at(1.5, 1), at(f64::NAN, 9), at(9.0, 2), at(0.0, 7)];
        let mut by_bucket = ByBucket::default();
        by_bucket.fill(&exemplars, &[1.0, 2.0]);
        let found: Vec<_> = (0..4).map(|bucket| by_bucket.get(bucket, &exemplars).map(|e| e.value.as_f64())).collect();
        assert_eq!(found, [Some(0.5), Some(1.5), Some(9.0), None]);
        assert_eq!(latest(&exemplars).map(|exemplar| exemplar.value.as_f64()), Some(0.5));
        by_bucket.fill(&[], &[1.0]);
        assert!(by_bucket.get(0, &exemplars).is_none());
    }
}
