//! Limits on the contents of a span, event, link or log record.

/// Limits on the attributes of one record.
///
/// spec: common/README.md#attribute-limits
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttributeLimits {
    /// Maximum number of attributes. Excess attributes are dropped and counted.
    pub count: usize,
    /// Maximum number of characters in a string value, or in each string of an array. Longer strings are truncated.
    pub value_length: Option<usize>,
}

impl AttributeLimits {
    /// The specification's default: 128 attributes of any length.
    pub const DEFAULT: AttributeLimits = AttributeLimits { count: 128, value_length: None };

    /// Creates limits that allow `count` attributes and truncate string values to `value_length` characters.
    pub const fn new(count: usize, value_length: Option<usize>) -> Self {
        AttributeLimits { count, value_length }
    }
}

impl Default for AttributeLimits {
    fn default() -> Self {
        AttributeLimits::DEFAULT
    }
}

/// Limits on one span.
///
/// spec: trace/sdk.md#span-limits
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanLimits {
    /// Limits on the span's own attributes.
    pub attributes: AttributeLimits,
    /// Maximum number of events. Excess events are dropped and counted.
    pub events: usize,
    /// Maximum number of links. Excess links are dropped and counted.
    pub links: usize,
    /// Maximum number of attributes per event.
    pub attributes_per_event: usize,
    /// Maximum number of attributes per link.
    pub attributes_per_link: usize,
}

impl SpanLimits {
    /// The specification's default: up to 128 of each, with values of any length.
    pub const DEFAULT: SpanLimits = SpanLimits {
        attributes: AttributeLimits::DEFAULT,
        events: 128,
        links: 128,
        attributes_per_event: 128,
        attributes_per_link: 128,
    };

    /// No attributes, events or links: only a name and timestamps.
    pub(crate) const NOTHING: SpanLimits = SpanLimits {
        attributes: AttributeLimits { count: 0, value_length: None },
        events: 0,
        links: 0,
        attributes_per_event: 0,
        attributes_per_link: 0,
    };

    /// Returns the attribute limits of one event.
    pub fn event_attributes(&self) -> AttributeLimits {
        AttributeLimits { count: self.attributes_per_event, ..self.attributes }
    }

    /// Returns the attribute limits of one link.
    pub fn link_attributes(&self) -> AttributeLimits {
        AttributeLimits { count: self.attributes_per_link, ..self.attributes }
    }
}

impl Default for SpanLimits {
    fn default() -> Self {
        SpanLimits::DEFAULT
    }
}

/// Limits on one log record.
///
/// spec: logs/sdk.md#logrecord-limits
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecordLimits {
    /// Limits on the record's attributes. The body is not an attribute and keeps its length.
    pub attributes: AttributeLimits,
    /// Maximum depth of an attribute's value. Lists and maps beyond it are emptied. A list of numbers has the depth 1.
    pub value_depth: usize,
}

impl LogRecordLimits {
    /// The specification's default: 128 attributes of any length, with values nested 64 deep.
    pub const DEFAULT: LogRecordLimits =
        LogRecordLimits { attributes: AttributeLimits::DEFAULT, value_depth: Self::MAX_DEPTH };

    /// The maximum of [`Self::value_depth`], and the maximum depth of a body. Without it, an exporter's recursion could
    /// overflow the stack, which ends the program.
    pub const MAX_DEPTH: usize = 64;

    /// Sets the maximum depth of an attribute's value, from 1 to [`Self::MAX_DEPTH`].
    pub fn with_value_depth(mut self, depth: usize) -> Self {
        self.value_depth = depth.clamp(1, Self::MAX_DEPTH);
        self
    }

    /// Sets the limits on the attributes.
    pub fn with_attributes(mut self, attributes: AttributeLimits) -> Self {
        self.attributes = attributes;
        self
    }
}

impl Default for LogRecordLimits {
    fn default() -> Self {
        LogRecordLimits::DEFAULT
    }
}
