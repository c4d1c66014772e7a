//! Reads the limits of spans and log records from the environment.

use super::Env;
use crate::limits::{AttributeLimits, LogRecordLimits, SpanLimits};

impl SpanLimits {
    /// Returns the default limits, overridden by `OTEL_SPAN_*`, `OTEL_EVENT_*`, `OTEL_LINK_*` and `OTEL_ATTRIBUTE_*`.
    ///
    /// spec: common/README.md#configurable-parameters — a limit specific to spans, events or links overrides the general
    /// limit, which overrides the default.
    pub fn from_env(env: &Env) -> Self {
        let any = 0..=usize::MAX;
        let read = |name| env.integer(name, any.clone());
        let default = SpanLimits::DEFAULT;
        let general_count = read("OTEL_ATTRIBUTE_COUNT_LIMIT");
        let count = |own: Option<usize>| own.or(general_count).unwrap_or(default.attributes.count);
        let length =
            read("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").or_else(|| read("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"));
        SpanLimits {
            attributes: AttributeLimits::new(count(read("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")), length),
            events: read("OTEL_SPAN_EVENT_COUNT_LIMIT").unwrap_or(default.events),
            links: read("OTEL_SPAN_LINK_COUNT_LIMIT").unwrap_or(default.links),
            attributes_per_event: count(read("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT")),
            attributes_per_link: count(read("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT")),
        }
    }
}

impl LogRecordLimits {
    /// Returns the default limits, overridden by `OTEL_LOGRECORD_*` and `OTEL_ATTRIBUTE_*`.
    ///
    /// spec: common/README.md#configurable-parameters
    pub fn from_env(env: &Env) -> Self {
        let read = |own, general| env.integer(own, 0..=usize::MAX).or_else(|| env.integer(general, 0..=usize::MAX));
        let count = read("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT");
        let length = read("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        let count = count.unwrap_or(LogRecordLimits::DEFAULT.attributes.count);
        LogRecordLimits::DEFAULT.with_attributes(AttributeLimits::new(count, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` lists, in order: attributes, value length, events, links, attributes per event, attributes per link.
    fn check(variables: &[(&str, &str)], expected: &str) {
        let limits = SpanLimits::from_env(&Env::from_pairs(variables.iter().copied()));
        let length = limits.attributes.value_length.map_or("any".to_owned(), |length| length.to_string());
        let actual = format!(
            "{} {length} {} {} {} {}",
            limits.attributes.count,
            limits.events,
            limits.links,
            limits.attributes_per_event,
            limits.attributes_per_link
        );
        assert_eq!(actual, expected, "{variables:?}");
    }

    #[test]
    fn the_narrower_variable_wins_over_the_general_one() {
        check(&[], "128 any 128 128 128 128");
        check(&[("OTEL_ATTRIBUTE_COUNT_LIMIT", "10")], "10 any 128 128 10 10");
        check(
            &[("OTEL_ATTRIBUTE_COUNT_LIMIT", "10"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "20")],
            "20 any 128 128 10 10",
        );
        check(
            &[("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1"), ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "2")],
            "128 any 128 128 1 2",
        );
        check(&[("OTEL_SPAN_EVENT_COUNT_LIMIT", "0"), ("OTEL_SPAN_LINK_COUNT_LIMIT", "7")], "128 any 0 7 128 128");
        check(
            &[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5"), ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9")],
            "128 9 128 128 128 128",
        );
        check(&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")], "128 5 128 128 128 128");
    }
    #[test]
    fn log_records_have_limits_of_their_own() {
        let check = |variables: &[(&str, &str)], count, length| {
            let limits = LogRecordLimits::from_env(&Env::from_pairs(variables.iter().copied()));
            assert_eq!(limits.attributes, AttributeLimits::new(count, length), "{variables:?}");
        };
        check(&[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")], 128, None);
        check(&[("OTEL_ATTRIBUTE_COUNT_LIMIT", "3"), ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")], 3, Some(4));
        check(
            &[
                ("OTEL_ATTRIBUTE_COUNT_LIMIT", "3"),
                ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
                ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "0"),
                ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "6"),
            ],
            0,
            Some(6),
        );
    }
}
