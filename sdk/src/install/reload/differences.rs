//! Finds the values in which two versions of a configuration file differ.

use std::collections::HashMap;
use std::fmt;

use crate::config::schema::{Kind, Property, ROOT, Type};
use crate::config::{Data, Item, Tree};
use crate::text;

/// A step from a value to one within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::install) enum Step {
    Key(String),
    Index(usize),
}

/// The way from the root of a file to a value. Shown as in errors, such as `tracer_provider.processors[0].batch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::install) struct Path(pub(in crate::install) Vec<Step>);

impl Path {
    /// Returns the key at a position; an empty text if there is none.
    pub(in crate::install) fn key(&self, at: usize) -> &str {
        match self.0.get(at) {
            Some(Step::Key(key)) => key,
            _ => "",
        }
    }

    /// Returns the index at a position.
    pub(in crate::install) fn index(&self, at: usize) -> Option<usize> {
        match self.0.get(at) {
            Some(Step::Index(index)) => Some(*index),
            _ => None,
        }
    }

    /// Returns the value at this path.
    pub(super) fn find<'a>(&self, root: &'a Item) -> Option<&'a Item> {
        self.0.iter().try_fold(root, |item, step| match step {
            Step::Key(key) => item.get(key),
            Step::Index(index) => item.items().get(*index),
        })
    }

    /// Replaces the value at this path, or removes its key if there is none. Mappings on the way are created. Takes time in proportion to
    /// the length of the path, because there may be as many paths as values.
    pub(super) fn replace(&self, root: &mut Item, value: Option<Item>) {
        let Some((last, above)) = self.0.split_last() else { return };
        let mut place = root;
        for step in above {
            let next = match step {
                Step::Key(key) if value.is_some() => Some(place.value_mut(key)),
                Step::Key(key) => place.get_mut(key),
                Step::Index(index) => place.items_mut().get_mut(*index),
            };
            let Some(next) = next else { return };
            place = next;
        }
        match (last, value) {
            (Step::Key(key), Some(value)) => *place.value_mut(key) = value,
            (Step::Key(key), None) => place.remove(key),
            (Step::Index(index), value) => {
                if let Some(item) = place.items_mut().get_mut(*index) {
                    *item = value.unwrap_or(Item::new(Data::Null));
                }
            }
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        for step in &self.0 {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.push_str(&format!(".{key}")),
            }
        }
        // Keys that the schema does not know are foreign text.
        write!(f, "{}", text::foreign(&path))
    }
}

/// A value that differs between two versions. A component or a list counts as one value if its shape differs.
#[derive(Clone, Debug)]
pub(in crate::install) struct Difference {
    pub(in crate::install) path: Path,
    /// The variable with the same effect.
    pub(in crate::install) variable: Option<&'static str>,
}

/// Returns what differs, in the order of the files. The comparison takes time in proportion to their size.
pub(super) fn differences(one: &Tree, other: &Tree) -> Vec<Difference> {
    let mut search = Search { path: Path::default(), found: Vec::new() };
    search.mapping(Some(&ROOT), Some(one.root()), Some(other.root()));
    search.found
}

/// The providers, each of which means something else if it is missing than if it is empty.
const PROVIDERS: [&str; 3] = ["tracer_provider", "meter_provider", "logger_provider"];

struct Search {
    path: Path,
    found: Vec<Difference>,
}

impl Search {
    fn mapping(&mut self, of: Option<&'static Type>, one: Option<&Item>, other: Option<&Item>) {
        let of_one = one.map(Item::entries).unwrap_or_default();
        let of_other = other.map(Item::entries).unwrap_or_default();
        let mut left: HashMap<&str, &Item> = of_other.iter().map(|(key, value)| (key.as_str(), value)).collect();
        for (key, value) in of_one {
            let other = left.remove(key.as_str());
            self.step(Step::Key(key.clone()), of.and_then(|of| of.property(key)), Some(value), other);
        }
        for (key, _) in of_other {
            if let Some(value) = left.get(key.as_str()) {
                self.step(Step::Key(key.clone()), of.and_then(|of| of.property(key)), None, Some(value));
            }
        }
    }

    fn step(&mut self, step: Step, property: Option<&'static Property>, one: Option<&Item>, other: Option<&Item>) {
        self.path.0.push(step);
        self.value(property, property.map(|property| property.kind), one, other);
        self.path.0.pop();
    }

    fn value(
        &mut self,
        property: Option<&'static Property>,
        kind: Option<Kind>,
        one: Option<&Item>,
        other: Option<&Item>,
    ) {
        let is_missing = |item: Option<&Item>| item.is_none_or(Item::is_null);
        match (one, other) {
            (Some(one), Some(other)) if one.is_same(other) => return,
            _ if is_missing(one) && is_missing(other) => return,
            _ => {}
        }
        match kind {
            Some(Kind::Object(of)) if is_alike(of, self.path.key(self.path.0.len() - 1), one, other) => {
                self.mapping(Some(of), one, other);
            }
            Some(Kind::List(kind @ Kind::Object(_), _)) => match (one.map(Item::items), other.map(Item::items)) {
                (Some(one), Some(other)) if one.len() == other.len() => {
                    for (index, (one, other)) in one.iter().zip(other).enumerate() {
                        self.path.0.push(Step::Index(index));
                        self.value(None, Some(*kind), Some(one), Some(other));
                        self.path.0.pop();
                    }
                }
                _ => self.add(property),
            },
            _ => self.add(property),
        }
    }

    fn add(&mut self, property: Option<&'static Property>) {
        let variable = property.and_then(|property| property.variable);
        self.found.push(Difference { path: self.path.clone(), variable });
    }
}

/// Returns true if two mappings can be compared key by key.
fn is_alike(of: &Type, name: &str, one: Option<&Item>, other: Option<&Item>) -> bool {
    let has_both = one.is_some() && other.is_some();
    fn key(item: Option<&Item>) -> Option<&str> {
        item?.entries().first().map(|(key, _)| key.as_str())
    }
    match of.point {
        // Another component.
        Some(_) => has_both && key(one) == key(other),
        None => has_both || !PROVIDERS.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema;

    fn item(text: &str) -> Item {
        match text {
            "" => Item::new(Data::Null),
            text => text.parse().map_or_else(|_| Item::new(text), |number: i64| Item::new(number)),
        }
    }

    /// Returns a tree with these values at paths such as `a.b[0].c`.
    fn tree(values: &[(&str, &str)]) -> Tree {
        fn insert(at: &mut Item, steps: &[&str], value: &str) {
            let Some((step, rest)) = steps.split_first() else {
                *at = item(value);
                return;
            };
            let child = match step.strip_prefix('#') {
                Some(index) => {
                    let mut items = at.items().to_vec();
                    let index: usize = index.parse().unwrap();
                    items.resize(items.len().max(index + 1), Item::new(Data::Null));
                    at.data = Data::List(items);
                    let Data::List(items) = &mut at.data else { return };
                    &mut items[index]
                }
                None => {
                    let mut entries = at.entries().to_vec();
                    if !entries.iter().any(|(key, _)| key == step) {
                        entries.push(((*step).to_owned(), Item::new(Data::Null)));
                    }
                    at.data = Data::Mapping(entries);
                    let Data::Mapping(entries) = &mut at.data else { return };
                    let Some((_, child)) = entries.iter_mut().find(|(key, _)| key == step) else { return };
                    child
                }
            };
            insert(child, rest, value);
        }
        let mut root = Item::new(Data::Null);
        for (path, value) in values {
            insert(&mut root, &path.split(' ').collect::<Vec<_>>(), value);
        }
        Tree::new("test", root)
    }

    fn check(one: &[(&str, &str)], other: &[(&str, &str)], expected: &[&str]) {
        let (one, other) = (schema::completed(&tree(one)), schema::completed(&tree(other)));
        let shown = |one, other| differences(one, other).iter().map(|one| one.path.to_string()).collect::<Vec<_>>();
        let (found, mut backwards) = (shown(&one, &other), shown(&other, &one));
        assert_eq!(found, expected);
        backwards.sort_unstable();
        let mut sorted = found;
        sorted.sort_unstable();
        assert_eq!(backwards, sorted, "the same in the other direction");
        // What is replaced is then the same.
        let mut root = one.root().clone();
        for difference in differences(&one, &other) {
            difference.path.replace(&mut root, difference.path.find(other.root()).cloned());
        }
        assert_eq!(differences(&Tree::new("test", root), &other).len(), 0);
    }

    #[test]
    fn values_are_named_by_their_paths_and_defaults_are_values() {
        const DELAY: &str = "tracer_provider processors #0 batch schedule_delay";
        check(&[], &[], &[]);
        check(&[("log_level", "warn")], &[("log_level", "info")], &["log_level"]);
        check(&[("log_level", "info")], &[], &[]);
        check(&[(DELAY, "5000")], &[("tracer_provider processors #0 batch", "")], &[]);
        check(&[(DELAY, "1")], &[(DELAY, "2")], &["tracer_provider.processors[0].batch.schedule_delay"]);
        let simple = ("tracer_provider processors #0 simple", "");
        check(&[(DELAY, "1")], &[simple], &["tracer_provider.processors[0]"]);
        check(
            &[(DELAY, "1")],
            &[(DELAY, "1"), ("tracer_provider processors #1 simple", "")],
            &["tracer_provider.processors"],
        );
        check(&[], &[("tracer_provider", "")], &["tracer_provider"]);
        let excluded = "instrumentation/development rust http server excluded_urls #0";
        check(&[], &[(excluded, "/health")], &["instrumentation/development.rust.http.server.excluded_urls"]);
        check(
            &[(excluded, "/a")],
            &[(excluded, "/b")],
            &["instrumentation/development.rust.http.server.excluded_urls"],
        );
        let ratio = "tracer_provider sampler trace_id_ratio_based ratio";
        check(&[(ratio, "1")], &[(ratio, "0")], &["tracer_provider.sampler.trace_id_ratio_based.ratio"]);
        check(&[(ratio, "1")], &[("tracer_provider sampler always_on", "")], &["tracer_provider.sampler"]);
        check(&[("distribution other size", "1")], &[("distribution other size", "2")], &["distribution.other"]);
    }

    #[test]
    fn large_mappings_are_compared_in_linear_time() {
        let many = |first: usize| {
            let entries = (0..200_000).rev().map(|at| (format!("key{at}"), Item::new((at + first) as i64)));
            Tree::new("test", Item::mapping([("distribution", Item::mapping([("other", Item::mapping(entries))]))]))
        };
        assert_eq!(differences(&many(0), &many(0)).len(), 0);
        assert_eq!(differences(&many(0), &many(1)).len(), 1);
    }

    #[test]
    fn many_values_are_replaced_in_linear_time() {
        let many = |ratio: i64| {
            let rule = || Item::mapping([("config", Item::mapping([("enabled", Item::new(ratio == 0))]))]);
            let tracers = Item::new((0..50_000).map(|_| rule()).collect::<Vec<_>>());
            let of = Item::mapping([("tracers", tracers)]);
            let of = Item::mapping([("tracer_configurator/development", of)]);
            Tree::new("test", Item::mapping([("tracer_provider", of)]))
        };
        let (one, other) = (many(0), many(1));
        let mut root = one.root().clone();
        let found = differences(&one, &other);
        assert_eq!(found.len(), 50_000);
        found.iter().for_each(|found| found.path.replace(&mut root, found.path.find(other.root()).cloned()));
        assert!(root.is_same(other.root()));
    }
}
