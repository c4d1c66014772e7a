//! One rule of a rule-based sampler: conditions, and the sampler for the spans that meet them.

use std::borrow::Cow;
use std::fmt::Write;

use opentelemetry::trace::{SpanContext, SpanKind};
use opentelemetry::{Array, Key, Value};

use super::ComposableSampler;
use crate::error::Contained;
use crate::sampling::SamplingRequest;
use crate::text::Patterns;

/// A rule of a [`RuleBased`](super::RuleBased): selects a sampler for the spans that meet all conditions. A rule without conditions
/// selects every span.
///
/// ```
/// use telemark_sdk::sampling::{AlwaysOff, AlwaysOn, ParentKind, Probability, Rule};
/// use telemark_sdk::text::Patterns;
/// use opentelemetry::trace::SpanKind;
///
/// let checks = Rule::new(AlwaysOff).with_parents([ParentKind::None]).with_span_names(["GET /health*", "GET /ready"]);
/// let tenants = Rule::new(AlwaysOn).with_attribute_values("tenant.id", ["17", "23"]);
/// let files = Rule::new(Probability::new(0.01))
///     .with_kinds([SpanKind::Server])
///     .with_attribute_patterns("url.path", Patterns::new(Some(["/static/*"]), ["*.html"]));
/// ```
///
/// spec: trace/sdk.md#composablerulebased, in development
#[derive(Debug)]
pub struct Rule {
    names: Option<Patterns>,
    /// One bit for each accepted kind.
    kinds: u8,
    /// One bit for each accepted kind of parent.
    parents: u8,
    attributes: Vec<Attribute>,
    pub(super) sampler: Contained<Box<dyn ComposableSampler>>,
}

/// The parent of a span, as a [`Rule`] sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentKind {
    /// The span is a root.
    None,
    /// The parent is in another process.
    Remote,
    /// The parent is in this process.
    Local,
}

impl ParentKind {
    pub(super) fn new(parent: &SpanContext) -> Self {
        match (parent.is_valid(), parent.is_remote()) {
            (false, _) => ParentKind::None,
            (true, true) => ParentKind::Remote,
            (true, false) => ParentKind::Local,
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

const ANY: u8 = u8::MAX;

fn kind_bit(kind: &SpanKind) -> u8 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 4,
        SpanKind::Producer => 8,
        SpanKind::Consumer => 16,
    }
}

/// A condition for one attribute.
#[derive(Debug)]
struct Attribute {
    key: Key,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Equal(Vec<String>),
    Matching(Patterns),
}

impl Values {
    fn contain(&self, text: &str) -> bool {
        match self {
            Values::Equal(values) => values.iter().any(|value| value == text),
            Values::Matching(patterns) => patterns.matches(text),
        }
    }
}

/// What the rules look at, found once for all of them.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    request: &'a SamplingRequest<'a>,
    kind: u8,
    parent: u8,
}

impl<'a> Facts<'a> {
    pub(super) fn new(request: &'a SamplingRequest<'_>, parent: &SpanContext) -> Self {
        Facts { request, kind: kind_bit(request.kind), parent: ParentKind::new(parent).bit() }
    }
}

impl Rule {
    /// Creates a rule that selects `sampler` for every span.
    pub fn new(sampler: impl ComposableSampler) -> Self {
        let sampler: Box<dyn ComposableSampler> = Box::new(sampler);
        Rule { names: None, kinds: ANY, parents: ANY, attributes: Vec::new(), sampler: Contained::new(sampler) }
    }

    /// Requires that the span's name at its start matches one of these patterns, in which `*` stands for any sequence of characters and
    /// `?` for a single one.
    pub fn with_span_names(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.names = Some(Patterns::new(Some(patterns), [""; 0]));
        self
    }

    /// Requires one of these kinds.
    pub fn with_kinds(mut self, kinds: impl IntoIterator<Item = SpanKind>) -> Self {
        self.kinds = kinds.into_iter().fold(0, |bits, kind| bits | kind_bit(&kind));
        self
    }

    /// Requires one of these kinds of parents.
    pub fn with_parents(mut self, parents: impl IntoIterator<Item = ParentKind>) -> Self {
        self.parents = parents.into_iter().fold(0, |bits, parent| bits | parent.bit());
        self
    }

    /// Requires that the attribute, or an item of it if it is an array, is one of these values in its text form, such as `404`.
    ///
    /// Only attributes that are known when the span starts can be found. Of `#[traced]`, these are the fields with a literal and the
    /// arguments of a plain type such as `u64`, `bool` or `&str`.
    pub fn with_attribute_values(
        mut self,
        key: impl Into<Key>,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let values = Values::Equal(values.into_iter().map(Into::into).collect());
        self.attributes.push(Attribute { key: key.into(), values });
        self
    }

    /// Requires that the text form of the attribute, or of an item of it if it is an array, matches `patterns`. See
    /// [`Self::with_attribute_values`].
    pub fn with_attribute_patterns(mut self, key: impl Into<Key>, patterns: Patterns) -> Self {
        self.attributes.push(Attribute { key: key.into(), values: Values::Matching(patterns) });
        self
    }

    /// Returns true if the span meets all conditions.
    #[inline]
    pub(super) fn selects(&self, facts: Facts<'_>) -> bool {
        self.kinds & facts.kind != 0
            && self.parents & facts.parent != 0
            && self.names.as_ref().is_none_or(|names| names.matches(facts.request.name))
            && self.attributes.iter().all(|condition| condition.is_met(facts.request))
    }

    /// Returns true if the rule can select a span with this kind of parent.
    pub(super) fn may_select_below(&self, parent: ParentKind) -> bool {
        self.parents & parent.bit() != 0
    }

    /// Returns true if the rule selects every span with this kind of parent.
    pub(super) fn selects_all_below(&self, parent: ParentKind) -> bool {
        self.may_select_below(parent) && self.kinds & 0x1f == 0x1f && self.names.is_none() && self.attributes.is_empty()
    }

    pub(super) fn looks_at_attributes(&self) -> bool {
        !self.attributes.is_empty()
    }

    /// Describes the rule without the values of attributes, which may be personal.
    pub(super) fn description(&self) -> String {
        let mut conditions = Vec::new();
        conditions.extend(self.names.is_some().then(|| "span_names".to_owned()));
        conditions.extend((self.kinds != ANY).then(|| "span_kinds".to_owned()));
        conditions.extend((self.parents != ANY).then(|| "parent".to_owned()));
        conditions.extend(self.attributes.iter().map(|attribute| attribute.key.to_string()));
        let conditions = if conditions.is_empty() { "*".to_owned() } else { conditions.join("&") };
        format!("{conditions}:{}", self.sampler.description())
    }
}

impl Attribute {
    fn is_met(&self, request: &SamplingRequest<'_>) -> bool {
        let key = self.key.as_str();
        let attribute = request.attributes.iter().find(|attribute| attribute.key.as_str() == key);
        attribute.is_some_and(|attribute| self.values.are_met_by(&attribute.value))
    }
}

impl Values {
    fn are_met_by(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.contain(text.as_str()),
            Value::Bool(value) => self.contain(if *value { "true" } else { "false" }),
            Value::Array(Array::String(items)) => items.iter().any(|item| self.contain(item.as_str())),
            Value::Array(Array::Bool(items)) => {
                items.iter().any(|item| self.contain(if *item { "true" } else { "false" }))
            }
            Value::Array(Array::I64(items)) => items.iter().any(|item| self.contain(Short::new(*item).text())),
            Value::Array(Array::F64(items)) => items.iter().any(|item| self.contain(&text_of(&Value::F64(*item)))),
            Value::I64(value) => self.contain(Short::new(*value).text()),
            other => self.contain(&text_of(other)),
        }
    }
}

fn text_of(value: &Value) -> Cow<'_, str> {
    value.as_str()
}

/// A whole number as text, without an allocation.
struct Short {
    bytes: [u8; 20],
    length: usize,
}

impl Short {
    fn new(value: i64) -> Self {
        let mut short = Short { bytes: [0; 20], length: 0 };
        // A number of 64 bits has at most 20 characters.
        let _ = write!(short, "{value}");
        short
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let place = self.bytes[self.length..].get_mut(..text.len()).ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}
