//! The tables of all settings, as the documentation shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::check::describe;
use super::root::ROOT;
use super::types::{Kind, Property, Support, Type};
use crate::config::VARIABLES;

/// The maximum number of paths that are listed. A type with more is described by the types that contain it.
const MAX_PATHS: usize = 2;

/// Returns the tables in Markdown: one for each type, then that of the variables without a place in a file.
pub fn page() -> String {
    let mut text = String::new();
    let paths = paths();
    for of in types() {
        let _ = writeln!(text, "\n### {}\n", of.name);
        match paths.get(of.name).map(Vec::as_slice).unwrap_or_default() {
            [root] if root.is_empty() => {}
            paths if paths.len() <= MAX_PATHS => {
                let _ = writeln!(text, "In {}.\n", quoted(paths.iter().map(String::as_str)));
            }
            _ => {
                let _ = writeln!(text, "In {}.\n", containers(of).join(", "));
            }
        }
        text.push_str("| name | values | default | variable | in code | at run time |\n|---|---|---|---|---|---|\n");
        for property in of.properties {
            let Property { name, default, code, control, .. } = property;
            let variable = property.variable.or(property.counterpart);
            let cells = [values(property), quoted(Some(*default)), quoted(variable), methods(code), methods(control)];
            row(&mut text, name, &cells);
        }
    }
    text.push_str("\n### Variables without a place in a file\n\n| variable | default | in code |\n|---|---|---|\n");
    for variable in variables_without_place() {
        let default = VARIABLES.iter().find(|known| known.name == variable).map(|known| known.default);
        row(&mut text, variable, &[quoted(default), methods(code_of(variable))]);
    }
    text
}

/// Returns every type with properties, the root first and each one after a type that contains it.
pub fn types() -> Vec<&'static Type> {
    fn add(of: &'static Type, seen: &mut BTreeSet<&'static str>, list: &mut Vec<&'static Type>) {
        if of.properties.is_empty() || !seen.insert(of.name) {
            return;
        }
        list.push(of);
        of.properties.iter().filter_map(inner).for_each(|of| add(of, seen, list));
    }
    let mut list = Vec::new();
    add(&ROOT, &mut BTreeSet::new(), &mut list);
    list
}

/// Returns the type of the mappings that a property contains.
fn inner(property: &Property) -> Option<&'static Type> {
    match property.kind {
        Kind::Object(of) | Kind::List(&Kind::Object(of), _) => Some(of),
        _ => None,
    }
}

/// Returns the paths at which each type is found, except for those that lead through the type itself.
fn paths() -> BTreeMap<&'static str, Vec<String>> {
    fn add(of: &'static Type, path: &str, above: &[&str], paths: &mut BTreeMap<&'static str, Vec<String>>) {
        paths.entry(of.name).or_default().push(path.to_owned());
        let above = [above, &[of.name]].concat();
        for property in of.properties {
            let Some(inner) = inner(property).filter(|inner| !above.contains(&inner.name)) else { continue };
            let dot = if path.is_empty() { "" } else { "." };
            let list = if matches!(property.kind, Kind::List(..)) { "[]" } else { "" };
            add(inner, &format!("{path}{dot}{}{list}", property.name), &above, paths);
        }
    }
    let mut paths = BTreeMap::new();
    add(&ROOT, "", &[], &mut paths);
    paths
}

/// Returns the keys that contain a type, each with its own type.
fn containers(of: &Type) -> Vec<String> {
    let all = types().into_iter().flat_map(|parent| parent.properties.iter().map(move |property| (parent, property)));
    let found = all.filter(|(_, property)| inner(property).is_some_and(|inner| inner.name == of.name));
    found.map(|(parent, property)| format!("`{}` of {}", property.name, parent.name)).collect()
}

/// Returns the variables that correspond to no setting of a file, neither themselves nor as one for a single signal.
fn variables_without_place() -> impl Iterator<Item = &'static str> {
    let properties = || types().into_iter().flat_map(|of| of.properties);
    let known: BTreeSet<_> = properties().flat_map(|one| [one.variable, one.counterpart]).flatten().collect();
    let is_known = move |name: &str| {
        let of_signal = |signal| known.contains(&*name.replacen(signal, "_", 1));
        known.contains(name) || ["_TRACES_", "_METRICS_", "_LOGS_"].into_iter().any(of_signal)
    };
    VARIABLES.iter().map(|variable| variable.name).filter(move |name| !is_known(name))
}

/// Returns the methods with the effect of a variable that has no place in a file.
fn code_of(variable: &str) -> &'static str {
    match variable {
        "OTEL_CONFIG_FILE" => "with_config",
        "OTEL_RUST_CONFIG_PRINT" => "Telemetry::config",
        "RUST_LOG" => "tracing::fmt::subscriber_with",
        "NO_COLOR" => "ConsoleTraceExporter::with_color, LineLayer::with_color",
        "COLUMNS" => "ConsoleTraceExporter::with_width",
        "HTTPS_PROXY" | "HTTP_PROXY" | "ALL_PROXY" => "OtlpBuilder::with_proxy",
        "NO_PROXY" => "OtlpBuilder::without_proxy",
        name if name.starts_with("K8S_") => "with_resource_attribute",
        _ => "",
    }
}

fn row(text: &mut String, name: &str, cells: &[String]) {
    let _ = write!(text, "| `{name}` |");
    for cell in cells {
        let space = if cell.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{cell} |");
    }
    text.push('\n');
}

fn values(property: &Property) -> String {
    let values = match &property.kind {
        Kind::Object(of) if of.properties.is_empty() => "no settings".to_owned(),
        Kind::Object(of) => of.name.to_owned(),
        Kind::List(Kind::Object(of), _) => format!("list of {}", of.name),
        Kind::Text => "text".to_owned(),
        Kind::OneOf(names) => quoted(names.iter().copied()),
        Kind::List(Kind::Text, _) => "list of texts".to_owned(),
        other => describe(other),
    };
    let required = if property.is_required { ", required" } else { "" };
    match property.support {
        Support::Yes => values + required,
        Support::WithoutEffect(reason) => format!("{values}; without effect: {reason}"),
        Support::Elsewhere => "ignored".to_owned(),
        Support::Refused(reason) => format!("refused: {reason}"),
    }
}

/// Returns the names of methods, which are separated by `, `.
fn methods(names: &str) -> String {
    quoted(names.split(", "))
}

/// Returns the texts that are not empty, as code.
fn quoted<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts = texts.into_iter().filter(|text| !text.is_empty()).map(|text| format!("`{text}`"));
    texts.collect::<Vec<_>>().join(", ")
}
