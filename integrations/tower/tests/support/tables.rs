//! Tables of the semantic conventions, and the violations that are the same for every protocol.

use std::collections::BTreeMap;
use std::fmt::Debug;

use Level::{OptIn, Required};

use super::{Seen, Spans};

/// The methods that are recorded as they are.
pub const KNOWN_METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    Text,
    Int,
    Texts,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    Required,
    /// Required under a condition that the test checks.
    Conditional,
    Recommended,
    OptIn,
    /// Not in the conventions.
    Ours,
}

/// An attribute of a span. A name that ends with a dot stands for all names that begin with it.
pub type Row = (&'static str, Type, Level);

/// The name and unit of a metric, its instrument, and true if the conventions require it by default.
pub type Metric = (&'static str, &'static str, bool);

impl Type {
    /// Returns true for a value of this type, as [`Seen`](super::Seen) shows it.
    fn is_type_of(self, value: &str) -> bool {
        match self {
            Type::Text => value.starts_with('"'),
            Type::Int => value.parse::<i64>().is_ok(),
            Type::Texts => value.starts_with('['),
        }
    }
}

/// Lists the attributes of a span that are in no table, have another type or were not asked for, and the required ones that are
/// missing.
pub fn violations_of_attributes(
    attributes: &BTreeMap<String, String>,
    table: &[Row],
    is_asked: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, value) in attributes {
        let row = table.iter().find(|(known, ..)| name == known || (known.ends_with('.') && name.starts_with(known)));
        let Some((_, kind, level)) = row else {
            wrong.push(format!("{name}: in no table"));
            continue;
        };
        if !kind.is_type_of(value) {
            wrong.push(format!("{name}: {value} is no {kind:?}"));
        }
        if *level == OptIn && !is_asked(name) {
            wrong.push(format!("{name}: not asked for"));
        }
    }
    let required = table.iter().filter(|(name, _, level)| *level == Required && !attributes.contains_key(*name));
    wrong.extend(required.map(|(name, ..)| format!("{name}: required")));
    wrong
}

/// Checks that no finished span and no point has a violation, where `known` describes the operation behind each span. Returns the
/// spans and the metrics.
pub fn check_conformance<S: Spans, K: Debug>(
    spans: &S,
    known: &[K],
    violations: impl Fn(&Seen, &K) -> Vec<String>,
    violations_of_point: impl Fn(&str) -> Vec<String>,
) -> (Vec<Seen>, String) {
    let (finished, metrics) = (spans.finished(), spans.metrics());
    assert_eq!(finished.len(), known.len());
    let in_known = |(span, known)| {
        let found: Vec<String> = violations(span, known);
        found.into_iter().map(move |what| format!("{what}, in {known:?}"))
    };
    let mut wrong: Vec<String> = finished.iter().zip(known).flat_map(in_known).collect();
    wrong.extend(metrics.lines().flat_map(violations_of_point));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    (finished, metrics)
}

/// Checks that a span has each of these attributes: a row that no operation covers proves nothing.
pub fn check_coverage<'n>(finished: &[Seen], names: impl IntoIterator<Item = &'n str>) {
    for name in names {
        assert!(finished.iter().any(|span| span.attributes.contains_key(name)), "{name}");
    }
}

/// Lists the ports without an address.
pub fn ports_alone(attributes: &BTreeMap<String, String>) -> Vec<String> {
    let pairs = [("server.port", "server.address"), ("network.peer.port", "network.peer.address")];
    let is_alone =
        |(port, address): &(&str, &str)| attributes.contains_key(*port) && !attributes.contains_key(*address);
    pairs.iter().filter(|pair| is_alone(pair)).map(|(port, address)| format!("{port}: without {address}")).collect()
}

/// A point of a metric.
pub struct Point<'a> {
    /// The name and unit of the metric.
    pub name: &'a str,
    pub attributes: Vec<(&'a str, &'a str)>,
    /// The instrument and the values.
    pub values: &'a str,
}

impl<'a> Point<'a> {
    /// Reads a point from a line of [`Spans::metrics`](super::Spans::metrics).
    pub fn read(line: &'a str) -> Self {
        let (name, rest) = line.split_at(line.find(']').unwrap() + 1);
        let (attributes, values) = rest[1..].rsplit_once("} ").unwrap();
        Point { name, attributes: attributes.split(',').filter_map(|pair| pair.split_once('=')).collect(), values }
    }

    pub fn attribute(&self, key: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    /// Lists what is wrong with the metric: its name, its instrument, and that it was not asked for.
    pub fn violations_of_metric(&self, metrics: &[Metric], is_asked: bool) -> Vec<String> {
        let Point { name, values, .. } = self;
        let Some((_, kind, is_default)) = metrics.iter().find(|(known, ..)| known == name) else {
            return vec![format!("{name}: in no table")];
        };
        let mut wrong = Vec::new();
        if !values.starts_with(kind) {
            wrong.push(format!("{name}: no {kind}"));
        }
        if !is_default && !is_asked {
            wrong.push(format!("{name}: not asked for"));
        }
        wrong
    }

    /// Lists the attributes that are in no table or were not asked for, and the required ones that are missing.
    pub fn violations_of_attributes(&self, table: &[(&str, Level)], is_asked: bool) -> Vec<String> {
        let name = self.name;
        let mut wrong = Vec::new();
        for (key, _) in &self.attributes {
            match table.iter().find(|(known, _)| known == key) {
                Some((_, OptIn)) if !is_asked => wrong.push(format!("{name} {key}: not asked for")),
                Some(_) => {}
                None => wrong.push(format!("{name} {key}: in no table")),
            }
        }
        let required = table.iter().filter(|(key, level)| *level == Required && self.attribute(key).is_none());
        wrong.extend(required.map(|(key, _)| format!("{name} {key}: required")));
        wrong
    }
}
