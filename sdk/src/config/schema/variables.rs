//! Settings of the file that have the same effect as a variable.
//!
//! Their readers know only variables: those of the integrations, which do not depend on the sdk, and those of `distribution.telemark`.
//! The file is therefore translated into variables for them, and variables into a file in the same way.

use super::root::ROOT;
use super::types::{Kind, Property, Type};
use crate::config::Env;
use crate::config::tree::{Data, Item, Origin, Report};

/// Returns the variables that have the effect of the settings in this file, each with the value that it comes from. Reports values
/// that no variable can express.
pub fn to_variables<'a>(report: &Report<'a>) -> Vec<(&'static str, String, &'a Item)> {
    let mut found: Vec<(&'static str, String, &'a Item)> = Vec::new();
    visit(report.tree().root(), &ROOT, &mut |property, value| {
        let Some((variable, text)) = property.variable.zip(to_text(value, report)) else { return };
        match found.iter().find(|(known, ..)| *known == variable) {
            Some((_, known, _)) if *known == text => {}
            Some(_) => {
                report.problem(value, "must equal the other list of this name, because clients and servers share one")
            }
            None => found.push((variable, text, value)),
        }
    });
    found
}

/// Calls `found` with every value that is not null and whose name is in the schema.
fn visit<'a>(item: &'a Item, of: &Type, found: &mut dyn FnMut(&'static Property, &'a Item)) {
    for (key, value) in item.entries() {
        let Some(property) = of.property(key).filter(|_| !value.is_null()) else { continue };
        match property.kind {
            Kind::Object(of) => visit(value, of, found),
            _ => found(property, value),
        }
    }
}

fn to_text(item: &Item, report: &Report<'_>) -> Option<String> {
    let Data::List(items) = &item.data else { return Some(item.data.to_string()) };
    let texts: Vec<_> = items.iter().map(|item| item.data.to_string()).collect();
    if texts.is_empty() || texts.iter().any(|text| text.contains(',') || text.trim().is_empty()) {
        report.problem(item, "must be a list of texts that are not empty and contain no comma");
        return None;
    }
    Some(texts.join(","))
}

/// Returns the settings of the file that have the effect of the variables in `env`, as a mapping of the root. Invalid variables are
/// left out, because they have no effect.
pub fn from_variables(env: &Env) -> Item {
    Item::mapping(of_type(&ROOT, env))
}

fn of_type(of: &Type, env: &Env) -> Vec<(&'static str, Item)> {
    let of_property = |property: &'static Property| {
        let item = match (property.kind, property.variable) {
            // A mapping with a component, or with required keys, is no mere setting.
            (Kind::Object(of), _) if of.point.is_none() => {
                Some(Item::mapping(of_type(of, env))).filter(|item| !item.entries().is_empty())
            }
            (kind, Some(variable)) => {
                let data = to_data(&kind, &env.string(variable)?)?;
                Some(Item::new(data).with_origin(Origin::Variable(variable.to_owned())))
            }
            _ => None,
        };
        item.map(|item| (property.name, item))
    };
    of.properties.iter().filter_map(of_property).collect()
}

/// Gives the settings that have the effect of this variable a value that code has set while the program ran, or their default: those that
/// the file has, or else the first that it may have.
pub(crate) fn set_variable(root: &mut Item, variable: &str, value: Option<&str>) {
    let mut places = Vec::new();
    find(&ROOT, variable, &mut Vec::new(), &mut places);
    let is_set = |keys: &[&str]| {
        let item = keys.iter().try_fold(&*root, |item, key| item.get(key));
        item.is_some_and(|item| !item.is_null())
    };
    match places.iter().any(|(keys, _)| is_set(keys)) {
        true => places.retain(|(keys, _)| is_set(keys)),
        false if value.is_some() => places.truncate(1),
        false => return,
    }
    for (keys, kind) in places {
        let data = value.map_or(Data::Null, |value| to_data(&kind, value).unwrap_or_else(|| Data::from(value)));
        let place = keys.iter().fold(&mut *root, |item, key| item.value_mut(key));
        *place = Item::new(data).with_origin(Origin::CodeChange);
    }
}

/// Finds the keys that lead to the settings with the effect of this variable.
fn find(of: &Type, variable: &str, keys: &mut Vec<&'static str>, found: &mut Vec<(Vec<&'static str>, Kind)>) {
    for property in of.properties {
        keys.push(property.name);
        match property.kind {
            Kind::Object(of) if of.point.is_none() => find(of, variable, keys, found),
            kind if property.variable == Some(variable) => found.push((keys.clone(), kind)),
            _ => {}
        }
        keys.pop();
    }
}

/// Parses text as a value of this kind.
pub(super) fn to_data(kind: &Kind, text: &str) -> Option<Data> {
    let whole = |min: i64, max: i64| text.parse().ok().filter(|number| (min..=max).contains(number));
    let ratio = |min: f64, max: f64| text.parse().ok().filter(|number| (min..=max).contains(number));
    Some(match *kind {
        Kind::Boolean if text.eq_ignore_ascii_case("true") => Data::Boolean(true),
        Kind::Boolean if text.eq_ignore_ascii_case("false") => Data::Boolean(false),
        Kind::Integer(min, max) => Data::Integer(whole(min, max)?),
        Kind::Milliseconds(min) => Data::Integer(whole(min, i64::MAX)?),
        Kind::Number(min, max) => Data::Number(ratio(min, max)?),
        Kind::Text | Kind::Any => Data::from(text),
        Kind::OneOf(names) => Data::from(*names.iter().find(|name| name.eq_ignore_ascii_case(text))?),
        Kind::List(of, _) => {
            let items = text.trim_matches(['[', ']']).split(',').map(str::trim).filter(|item| !item.is_empty());
            let items: Vec<_> = items.filter_map(|item| to_data(of, item)).map(Item::new).collect();
            (!items.is_empty()).then_some(Data::List(items))?
        }
        Kind::Boolean | Kind::Object(_) => return None,
    })
}
