//! Reports everything in a file that the schema does not allow.

use super::root::FILE_FORMAT;
use super::types::{Kind, Point, Property, Support, Type};
use crate::config::tree::{Data, Item, Report};
use crate::config::tree::{milliseconds, number, one_of, whole_number};

/// Reports everything in the tree of `report` that the schema does not allow: unknown, missing and unsupported names, and values of
/// another type. `names` returns the components that the program has at a point, beside those of the schema.
///
/// spec: configuration/sdk.md#create
pub fn check(report: &Report<'_>, names: &dyn Fn(Point) -> Vec<&'static str>) {
    Check { report, names }.object(report.tree().root(), &super::root::ROOT);
}

/// Reports a `file_format` of another major version, and warns about a later minor version.
///
/// spec: configuration/data-model.md#versioning
pub(crate) fn check_format(report: &Report<'_>) {
    let Some(value) = report.tree().root().get("file_format") else { return };
    let Data::Text(text) = &value.data else { return };
    // A pre-release, such as `1.0-rc.2`, counts as its version.
    let version = text.split('-').next().unwrap_or_default();
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    let (major, minor) = FILE_FORMAT;
    match parts.as_deref() {
        Some([theirs, ..]) if *theirs != major => {
            report.invalid(value, &format!("version {major}.{minor} or another of {major}"))
        }
        Some([_, theirs]) if *theirs > minor => {
            report.warn(
                value,
                &format!("is newer than {major}.{minor}, so settings of later versions are refused by name"),
            );
        }
        Some([_, _]) => {}
        _ => report.invalid(value, &format!("a version such as \"{major}.{minor}\"")),
    }
}

/// Returns true if the schema has a component with this name at a point.
pub(crate) fn is_standard(point: Point, name: &str) -> bool {
    let types = super::types();
    let mut at = types.iter().filter(|of| of.point == Some(point));
    at.any(|of| of.property(name).is_some())
}

struct Check<'c, 'r> {
    report: &'c Report<'r>,
    names: &'c dyn Fn(Point) -> Vec<&'static str>,
}

impl Check<'_, '_> {
    fn object(&self, item: &Item, of: &Type) {
        let entries = match &item.data {
            Data::Mapping(entries) => entries.as_slice(),
            Data::Null => &[],
            _ => return self.report.invalid(item, "a mapping"),
        };
        if let Some(point) = of.point.filter(|_| entries.len() != 1) {
            let known = one_of(&self.known(of, point));
            let problem = format!("needs exactly one key, which names the component: {known}");
            return self.report.problem(item, &problem);
        }
        for (key, value) in entries {
            match of.property(key) {
                Some(property) => self.property(value, property),
                None => self.unknown(item, key, value, of),
            }
        }
        for property in of.properties.iter().filter(|property| property.is_required) {
            if item.get(property.name).is_none() {
                let problem = format!("is required, with {}", describe(&property.kind));
                self.report.problem_at(item, property.name, &problem);
            }
        }
    }

    fn unknown(&self, item: &Item, key: &str, value: &Item, of: &Type) {
        match of.point {
            _ if of.is_open => {}
            None => {
                let names: Vec<_> = of.properties.iter().map(|property| property.name).collect();
                self.report.unknown(item, key, &format!("property of {}", of.name), &names);
            }
            // The factory of such a component checks its settings itself.
            Some(point) if (self.names)(point).contains(&key) => {
                if !matches!(value.data, Data::Mapping(_) | Data::Null) {
                    self.report.invalid(value, "a mapping");
                }
            }
            // spec: configuration/sdk.md#create — an unknown detector is a warning
            Some(point @ Point::ResourceDetector) => {
                let known = one_of(&self.known(of, point));
                self.report.warn(value, &format!("no such resource detector, expected {known}"));
            }
            Some(point) => self.report.unknown(item, key, &format!("known {}", of.name), &self.known(of, point)),
        }
    }

    /// Returns the components that can be used at a point.
    fn known(&self, of: &Type, point: Point) -> Vec<&'static str> {
        let is_supported = |property: &&Property| !matches!(property.support, Support::Refused(_));
        let of_schema = of.properties.iter().filter(is_supported).map(|property| property.name);
        let mut names: Vec<_> = of_schema.collect();
        names.extend((self.names)(point).into_iter().filter(|name| of.property(name).is_none()));
        names
    }

    fn property(&self, value: &Item, property: &Property) {
        match property.support {
            Support::Refused(reason) => return self.report.problem(value, &format!("is not supported: {reason}")),
            Support::Elsewhere => return,
            Support::WithoutEffect(reason) if !value.is_null() => {
                self.report.warn(value, &format!("has no effect: {reason}"))
            }
            _ => {}
        }
        if value.is_null() && property.is_required && !property.is_nullable && !matches!(property.kind, Kind::Object(_))
        {
            return self.report.invalid(value, &describe(&property.kind));
        }
        // spec: configuration/data-model.md — null has the effect of the default; a mapping without entries still has required keys
        if !value.is_null() || matches!(property.kind, Kind::Object(of) if of.point.is_none() || property.is_required) {
            self.value(value, &property.kind);
        }
    }

    fn value(&self, value: &Item, kind: &Kind) {
        let is_valid = match (kind, &value.data) {
            (Kind::Object(of), _) => return self.object(value, of),
            (Kind::List(of, min), Data::List(items)) => {
                if items.len() < *min {
                    self.report.problem(value, &format!("is an empty list: expected at least one {}", singular(of)));
                }
                return items.iter().for_each(|item| self.value(item, of));
            }
            (Kind::Any, Data::List(items)) => {
                items.iter().all(|item| !matches!(item.data, Data::List(_) | Data::Mapping(_)))
            }
            (Kind::Any, Data::Mapping(_)) => false,
            (Kind::Any, _) | (Kind::Boolean, Data::Boolean(_)) | (Kind::Text, Data::Text(_)) => true,
            (Kind::Integer(min, max), Data::Integer(number)) => (min..=max).contains(&number),
            (Kind::Milliseconds(min), Data::Integer(number)) => number >= min,
            (Kind::Number(min, max), _) => value.as_number().is_some_and(|number| (*min..=*max).contains(&number)),
            (Kind::OneOf(names), Data::Text(text)) => names.contains(&text.as_str()),
            _ => false,
        };
        if !is_valid {
            self.report.invalid(value, &describe(kind));
        }
    }
}

/// Describes the accepted values.
pub(super) fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Boolean => "true or false".to_owned(),
        Kind::Integer(min, max) => whole_number(&(*min..=*max)),
        Kind::Milliseconds(min) => milliseconds(*min),
        Kind::Number(min, max) => number(&(*min..=*max)),
        Kind::Text => "text; put it in quotes".to_owned(),
        Kind::OneOf(names) => one_of(names),
        Kind::Any => "text, a number, true, false or a list of these".to_owned(),
        Kind::Object(_) => "a mapping".to_owned(),
        Kind::List(_, 0) => "a list".to_owned(),
        Kind::List(of, _) => format!("a list with at least one {}", singular(of)),
    }
}

/// Names one item of a list.
fn singular(kind: &Kind) -> &'static str {
    match kind {
        Kind::Object(of) => of.name,
        Kind::Text | Kind::OneOf(_) => "text",
        _ => "value",
    }
}
