//! Adds the defaults to a file.

use super::root::ROOT;
use super::types::{Kind, Property, Support, Type};
use super::variables::to_data;
use crate::config::tree::{Data, Item, Tree};

/// Returns the file with every setting that is missing or null and has a default. A provider and a propagator that are missing stay
/// missing, because that means none.
///
/// spec: configuration/data-model.md
pub fn completed(tree: &Tree) -> Tree {
    let completion = Completion { signal: "", limits: tree.root().get("attribute_limits") };
    Tree::new(tree.name(), completion.object(tree.root(), &ROOT))
}

#[derive(Clone, Copy)]
struct Completion<'a> {
    /// The signal of the surrounding provider.
    signal: &'static str,
    /// The limits for all signals. Those of a provider take precedence.
    limits: Option<&'a Item>,
}

impl Completion<'_> {
    fn object(self, item: &Item, of: &Type) -> Item {
        let mut entries = Vec::new();
        for (key, value) in item.entries() {
            let completed = match of.property(key) {
                Some(property) => self.property(value, property),
                None => value.clone(),
            };
            entries.push((key.clone(), completed));
        }
        // A component excludes all others.
        let is_missing = |property: &&Property| {
            of.point.is_none() && item.get(property.name).is_none() && property.support == Support::Yes
        };
        let missing = of.properties.iter().filter(is_missing);
        entries.extend(missing.filter_map(|property| Some((property.name.to_owned(), self.default(property, of)?))));
        let data = if entries.is_empty() { item.data.clone() } else { Data::Mapping(entries) };
        Item { data, origin: item.origin.clone() }
    }

    fn property(self, value: &Item, property: &Property) -> Item {
        let signal = match property.name {
            "tracer_provider" => "traces",
            "meter_provider" => "metrics",
            "logger_provider" => "logs",
            _ => self.signal,
        };
        let inner = Completion { signal, ..self };
        match (property.kind, &value.data) {
            (Kind::Object(of), Data::Null) if of.point.is_some() => {
                inner.default(property, of).unwrap_or_else(|| value.clone())
            }
            (Kind::Object(of), _) => inner.object(value, of),
            (Kind::List(Kind::Object(of), _), Data::List(items)) => Item {
                data: Data::List(items.iter().map(|item| inner.object(item, of)).collect()),
                origin: value.origin.clone(),
            },
            (_, Data::Null) => inner.scalar(property).unwrap_or_else(|| value.clone()),
            _ => value.clone(),
        }
    }

    /// Returns the value that a missing property has.
    fn default(self, property: &Property, parent: &Type) -> Option<Item> {
        match property.kind {
            Kind::Object(of) if of.point.is_some() => {
                let component = of.property(property.default)?;
                let Kind::Object(settings) = component.kind else { return None };
                Some(Item::mapping([(component.name, self.object(&Item::new(Data::Null), settings))]))
            }
            Kind::Object(of) if of.properties.iter().any(|property| property.is_required) => None,
            Kind::Object(of) => Some(self.object(&Item::new(Data::Null), of)).filter(|item| !item.entries().is_empty()),
            _ => {
                let is_limit = parent.name.ends_with("Limits");
                let general = self.limits.filter(|_| is_limit).and_then(|limits| limits.get(property.name));
                general.filter(|value| !value.is_null()).cloned().or_else(|| self.scalar(property))
            }
        }
    }

    fn scalar(self, property: &Property) -> Option<Item> {
        let text = property.default.replace("{signal}", self.signal);
        (!text.is_empty()).then(|| to_data(&property.kind, &text)).flatten().map(Item::new)
    }
}
