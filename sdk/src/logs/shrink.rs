//! Makes a log record fit into a number of bytes: cuts the text of its body, and drops its largest attributes.

use opentelemetry::Key;
use opentelemetry::logs::AnyValue;

use super::SdkLogRecord;
use super::chunk::{size, value};

impl SdkLogRecord {
    /// Cuts or drops parts of a record that takes up more than `max_bytes`. The body keeps at least half of them if it is text, and is
    /// dropped otherwise. Then the largest attributes go, and are counted in [`Self::dropped_attributes`], as is a dropped body. Returns
    /// true if anything was cut or dropped.
    pub(crate) fn shrink(&mut self, max_bytes: usize) -> bool {
        let excess = size(self).saturating_sub(max_bytes);
        if excess == 0 {
            return false;
        }
        self.shrink_body(excess, max_bytes / 2);
        let excess = size(self).saturating_sub(max_bytes);
        if excess > 0 {
            self.drop_largest_attributes(excess);
        }
        true
    }

    /// Saves `excess` bytes of the body, but leaves it as large as `least`.
    fn shrink_body(&mut self, excess: usize, least: usize) {
        let Some(body) = &mut self.body else { return };
        let bytes = value(body);
        if bytes <= least {
            return;
        }
        match body {
            AnyValue::String(text) => {
                let wanted = text.as_str().len().saturating_sub(excess).max(least.min(text.as_str().len()));
                let end = (0..=wanted).rev().find(|end| text.as_str().is_char_boundary(*end)).unwrap_or(0);
                *text = text.as_str()[..end].to_owned().into();
            }
            _ => {
                self.body = None;
                self.dropped_attributes = self.dropped_attributes.saturating_add(1);
            }
        }
    }

    fn drop_largest_attributes(&mut self, excess: usize) {
        let bytes = |(key, own): &(Key, AnyValue)| size_of::<(Key, AnyValue)>() + key.as_str().len() + value(own);
        let mut sizes: Vec<_> = self.attributes.iter().map(bytes).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = excess;
        let is_enough = |bytes: &usize| {
            left = left.saturating_sub(*bytes);
            left == 0
        };
        let least = sizes.iter().copied().find(is_enough).unwrap_or(0);
        let before = self.attributes.len();
        self.attributes.retain(|attribute| bytes(attribute) < least);
        self.attributes.shrink_to_fit();
        let gone = u32::try_from(before - self.attributes.len()).unwrap_or(u32::MAX);
        self.dropped_attributes = self.dropped_attributes.saturating_add(gone);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::LogRecord;
    use proptest::prelude::*;

    use super::*;

    fn record(body: impl Into<AnyValue>, attributes: &[usize]) -> SdkLogRecord {
        let mut record = SdkLogRecord::default();
        record.set_body(body.into());
        for (number, bytes) in attributes.iter().enumerate() {
            record.add_attribute(format!("k{number}"), "x".repeat(*bytes));
        }
        record
    }

    fn text(record: &SdkLogRecord) -> (Option<usize>, usize, u32) {
        let body = record.body().map(|body| if let AnyValue::String(text) = body { text.as_str().len() } else { 0 });
        (body, record.attributes().len(), record.dropped_attributes())
    }

    #[test]
    fn a_long_body_is_cut_at_a_character_and_attributes_stay() {
        let mut long = record("ä".repeat(50_000), &[10, 20]);
        assert!(!long.shrink(200_000));
        assert!(long.shrink(10_000));
        let (body, attributes, dropped) = text(&long);
        assert!((5000..10_000).contains(&body.unwrap()), "{body:?}");
        assert_eq!((attributes, dropped), (2, 0));
    }

    #[test]
    fn the_largest_attributes_and_a_body_that_is_no_text_go() {
        let mut large = record("short", &[10, 50_000, 20, 60_000]);
        assert!(large.shrink(10_000));
        assert_eq!(text(&large), (Some(5), 2, 2));
        let list: AnyValue = (0..10_000).map(AnyValue::from).collect();
        let mut nested = record(list, &[10]);
        assert!(nested.shrink(10_000));
        assert_eq!(text(&nested), (None, 1, 1));
    }

    proptest! {
        #[test]
        fn a_record_always_fits_and_counts_what_it_loses(
            body in 0usize..50_000,
            attributes in proptest::collection::vec(0usize..5000, 0..20),
            max in 2048usize..20_000,
        ) {
            let mut record = record("ö".repeat(body), &attributes);
            let fits = size(&record) <= max;
            prop_assert_eq!(record.shrink(max), !fits);
            prop_assert!(size(&record) <= max, "{}", size(&record));
            prop_assert_eq!(record.attributes().len() + record.dropped_attributes() as usize, attributes.len());
        }
    }
}
