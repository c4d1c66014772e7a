//! The table of all names, as the documentation shows it.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::check::describe;
use super::root::ROOT;
use super::types::{Kind, Property, Support, Type};

/// Returns the table in Markdown, with one section for each type.
pub fn page() -> String {
    let mut text = String::new();
    for of in types() {
        let _ = write!(text, "\n### {}\n\n", of.name);
        text.push_str("| name | values | default | support |\n|---|---|---|---|\n");
        for property in of.properties {
            let Property { name, default, .. } = property;
            let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
            let required = if property.is_required { ", required" } else { "" };
            let _ = writeln!(
                text,
                "| `{name}` | {}{required} | {default} | {} |",
                values(&property.kind),
                support(property)
            );
        }
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
        for property in of.properties {
            match property.kind {
                Kind::Object(of) | Kind::List(&Kind::Object(of), _) => add(of, seen, list),
                _ => {}
            }
        }
    }
    let mut list = Vec::new();
    add(&ROOT, &mut BTreeSet::new(), &mut list);
    list
}

fn values(kind: &Kind) -> String {
    match kind {
        Kind::Object(of) if of.properties.is_empty() => "no settings".to_owned(),
        Kind::Object(of) => of.name.to_owned(),
        Kind::List(Kind::Object(of), _) => format!("list of {}", of.name),
        Kind::Text => "text".to_owned(),
        Kind::OneOf(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        Kind::List(Kind::Text, _) => "list of texts".to_owned(),
        other => describe(other),
    }
}

fn support(property: &Property) -> String {
    match (property.support, property.variable) {
        (Support::Yes, None) => "yes".to_owned(),
        (Support::Yes, Some(variable)) => format!("like `{variable}`"),
        (Support::WithoutEffect(reason), _) => format!("no effect: {reason}"),
        (Support::Elsewhere, _) => "ignored".to_owned(),
        (Support::Refused(reason), _) => format!("refused: {reason}"),
    }
}
