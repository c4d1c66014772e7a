//! Reads the resource, propagators, limits and patterns.

use std::collections::HashSet;

use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use super::Reading;
use crate::config::schema::ATTRIBUTE_TYPES;
use crate::config::{Data, Item, Settings, Tree};
use crate::control::{Configurator, ScopeConfig};
use crate::diag::Level;
use crate::limits::AttributeLimits;
use crate::propagation::Propagators;
use crate::resource::{DETECTION_TIMEOUT, LIST, Resource, detect};
use crate::text::Patterns;
use crate::time::Deadline;

/// The levels of the SDK's own messages by severity.
pub(super) const LEVELS: [(&str, Level); 24] = [
    ("trace", Level::Debug),
    ("trace2", Level::Debug),
    ("trace3", Level::Debug),
    ("trace4", Level::Debug),
    ("debug", Level::Debug),
    ("debug2", Level::Debug),
    ("debug3", Level::Debug),
    ("debug4", Level::Debug),
    ("info", Level::Info),
    ("info2", Level::Info),
    ("info3", Level::Info),
    ("info4", Level::Info),
    ("warn", Level::Warn),
    ("warn2", Level::Warn),
    ("warn3", Level::Warn),
    ("warn4", Level::Warn),
    ("error", Level::Error),
    ("error2", Level::Error),
    ("error3", Level::Error),
    ("error4", Level::Error),
    ("fatal", Level::Error),
    ("fatal2", Level::Error),
    ("fatal3", Level::Error),
    ("fatal4", Level::Error),
];

/// Returns the maximum number of attributes and the maximum length of their values. Those of a provider take precedence over those of
/// `attribute_limits`.
pub(super) fn attribute_limits(own: Option<Settings<'_>>, reading: &Reading<'_>) -> (usize, Option<usize>) {
    let sources = [own, reading.limits];
    let read = |key| sources.into_iter().flatten().find_map(|limits| limits.size(key, 0));
    (read("attribute_count_limit").unwrap_or(AttributeLimits::DEFAULT.count), read("attribute_value_length_limit"))
}

/// Returns the configs of tracers, meters or loggers by the names of their scopes. The first pattern that matches applies.
///
/// spec: trace/sdk.md#tracerconfigurator
pub(super) fn configurator<C: ScopeConfig>(
    settings: Settings<'_>,
    list: &str,
    config: impl Fn(Settings<'_>) -> C,
) -> Configurator<C> {
    let default = settings.object("default_config").map_or_else(C::default, &config);
    settings.list(list).fold(Configurator::new(default), |configurator, rule| {
        match rule.text("name").zip(rule.object("config")) {
            Some((name, settings)) => configurator.with_scopes(name, config(settings)),
            None => configurator,
        }
    })
}

/// Returns the patterns of `included` and `excluded`.
pub(super) fn patterns(settings: Settings<'_>) -> Patterns {
    Patterns::new(settings.texts("included"), settings.texts("excluded").unwrap_or_default())
}

/// Returns the chain of propagators. Without a propagator, nothing is propagated.
///
/// spec: configuration/data-model.md — the two lists are merged without duplicates
pub(super) fn propagators(settings: Option<Settings<'_>>, reading: &Reading<'_>) -> Propagators {
    let mut chain = Propagators::none();
    let Some(settings) = settings else { return chain };
    let mut seen = HashSet::new();
    let of_list = settings.list("composite").filter_map(Settings::component);
    let of_list = of_list.inspect(|(_, component)| reading.report.check_all_read(component.item()));
    let text = settings.text("composite_list").unwrap_or_default();
    let list = settings.get("composite_list").unwrap_or(settings);
    let names =
        text.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none").map(|name| (name, list));
    for (name, component) in of_list.chain(names) {
        if !seen.insert(name) {
            continue;
        }
        let (longer, error) = chain.try_named(name, &reading.propagators);
        chain = longer;
        if let Some(error) = error {
            let name = crate::text::foreign(name);
            component.problem(&format!("the propagator {name:?} cannot be used: expected {}", error.accepted()));
        }
    }
    chain
}

/// Returns the resource: what the detectors find, in their order, then the attributes of the file.
pub(super) fn resource(settings: Option<Settings<'_>>, reading: &Reading<'_>) -> Resource {
    let mut resource = Resource::base();
    let Some(settings) = settings else { return resource };
    if let Some(detection) = settings.object("detection/development") {
        let kept = detection.object("attributes").map(patterns).unwrap_or_default();
        let mut seen = HashSet::new();
        let mut named = Vec::new();
        for (name, component) in detection.list("detectors").filter_map(Settings::component) {
            let known = reading.detectors.iter().find(|detector| detector.name() == name);
            if let Some(detector) = known {
                reading.report.check_all_read(component.item());
                named.extend(seen.insert(name).then_some(*detector));
            }
        }
        // What detectors read from the environment is no configuration, so the file does not hide it.
        let process = reading.process.copy();
        let found = detect(&named, &process, Deadline::after(DETECTION_TIMEOUT));
        process.take_warnings().iter().for_each(|warning| detection.warn(&warning.to_string()));
        resource = resource.merge(&found.only(&kept));
    }
    if let Some(list) = settings.text("attributes_list") {
        match Resource::from_list(list) {
            Some(listed) => resource = resource.merge(&listed),
            None => settings.get("attributes_list").into_iter().for_each(|value| value.reject(LIST)),
        }
    }
    let own = settings.list("attributes").filter_map(attribute);
    let url = settings.text("schema_url").map(str::to_owned);
    match url {
        // The file says which conventions its attributes follow.
        Some(url) => {
            let merged: Vec<_> = resource.iter().cloned().chain(own).collect();
            Resource::with_schema_url(merged, Some(url))
        }
        None => resource.merge(&Resource::new(own)),
    }
}

/// Returns true if the file enables a resource detector.
pub(super) fn has_detector(tree: &Tree, name: &str) -> bool {
    let resource = tree.root().get("resource").and_then(|resource| resource.get("detection/development"));
    let detectors = resource.and_then(|detection| detection.get("detectors")).map(Item::items).unwrap_or_default();
    detectors.iter().any(|detector| detector.get(name).is_some())
}

/// Returns an attribute with a value of its declared type. A value of null is no attribute.
pub(super) fn attribute(settings: Settings<'_>) -> Option<KeyValue> {
    let (name, value) = (settings.text("name")?, settings.get("value")?);
    if value.item().is_null() {
        return None;
    }
    let kind = settings.text("type").unwrap_or("string");
    let Some(converted) = typed(kind, &value.item().data) else {
        // The schema refuses an unknown type, whose text may hold anything.
        if !ATTRIBUTE_TYPES.contains(&kind) {
            return None;
        }
        let hint = if kind == "string" { "text, in quotes, or another type" } else { kind };
        value.reject(&format!("a value of the type {kind}: {hint}"));
        return None;
    };
    Some(KeyValue::new(Key::from(name.to_owned()), converted))
}

fn typed(kind: &str, data: &Data) -> Option<Value> {
    fn array<T>(data: &Data, convert: impl Fn(&Item) -> Option<T>) -> Option<Vec<T>> {
        match data {
            Data::List(items) => items.iter().map(convert).collect(),
            _ => None,
        }
    }
    let text = |data: &Data| match data {
        Data::Text(text) => Some(StringValue::from(text.clone())),
        _ => None,
    };
    let boolean = |data: &Data| if let Data::Boolean(is) = data { Some(*is) } else { None };
    let integer = |data: &Data| if let Data::Integer(number) = data { Some(*number) } else { None };
    Some(match kind {
        "string" => Value::String(text(data)?),
        "bool" => Value::Bool(boolean(data)?),
        "int" => Value::I64(integer(data)?),
        "double" => Value::F64(Item::new(data.clone()).as_number()?),
        "string_array" => Value::Array(Array::String(array(data, |item| text(&item.data))?)),
        "bool_array" => Value::Array(Array::Bool(array(data, |item| boolean(&item.data))?)),
        "int_array" => Value::Array(Array::I64(array(data, |item| integer(&item.data))?)),
        "double_array" => Value::Array(Array::F64(array(data, Item::as_number)?)),
        _ => return None,
    })
}
