//! Limits on the contents of a span, an event, a link or a log record.

/// Limits on the attributes of one record.
///
/// spec: common/README.md#attribute-limits
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttributeLimits {
    /// Maximum number of attributes; further ones are dropped and counted.
    pub count: usize,
    /// Maximum number of characters of a string value, alone or in an array; the rest is cut off.
    pub value_length: Option<usize>,
}

impl AttributeLimits {
    /// The specification's default: 128 attributes of any length.
    pub const DEFAULT: AttributeLimits = AttributeLimits { count: 128, value_length: None };

    /// Creates limits of `count` attributes, with each value cut to `value_length` characters.
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
    /// The span's own attributes.
    pub attributes: AttributeLimits,
    /// Maximum number of events; further ones are dropped and counted.
    pub events: usize,
    /// Maximum number of links; further ones are dropped and counted.
    pub links: usize,
    /// Maximum number of attributes of one event.
    pub attributes_per_event: usize,
    /// Maximum number of attributes of one link.
    pub attributes_per_link: usize,
}

impl SpanLimits {
    /// The specification's default: 128 of each, values of any length.
    pub const DEFAULT: SpanLimits = SpanLimits {
        attributes: AttributeLimits::DEFAULT,
        events: 128,
        links: 128,
        attributes_per_event: 128,
        attributes_per_link: 128,
    };

    /// Room for nothing but a name and times.
    pub(crate) const NOTHING: SpanLimits = SpanLimits {
        attributes: AttributeLimits { count: 0, value_length: None },
        events: 0,
        links: 0,
        attributes_per_event: 0,
        attributes_per_link: 0,
    };

    /// Returns the limits of one event's attributes.
    pub fn event_attributes(&self) -> AttributeLimits {
        AttributeLimits { count: self.attributes_per_event, ..self.attributes }
    }

    /// Returns the limits of one link's attributes.
    pub fn link_attributes(&self) -> AttributeLimits {
        AttributeLimits { count: self.attributes_per_link, ..self.attributes }
    }
}

impl Default for SpanLimits {
    fn default() -> Self {
        SpanLimits::DEFAULT
    }
}
