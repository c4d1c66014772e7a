//! `docs/CONFIGURATION.md` against the tables of the schema and against the public API: each setting is there, each method it names
//! exists, and each method that configures or changes telemetry is named.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use telemark_sdk::config::schema::{self, Kind, Property, Support, Type};

fn page() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIGURATION.md")).unwrap()
}

#[test]
fn the_page_in_the_documentation_has_every_setting() {
    let (page, tables) = (page(), schema::page());
    let start = page.find("\n### the configuration\n").unwrap();
    if page[start..] != tables {
        let expected = Path::new(env!("CARGO_TARGET_TMPDIR")).join("CONFIGURATION.md");
        fs::write(&expected, page[..start].to_owned() + &tables).unwrap();
        let difference = tables.lines().find(|line| !page[start..].lines().any(|known| known == *line));
        assert_eq!(
            difference,
            None,
            "docs/CONFIGURATION.md differs from the tables in sdk/src/config/schema. If they are right: cp {} docs/CONFIGURATION.md",
            expected.display()
        );
        assert!(page[start..] == tables, "docs/CONFIGURATION.md has more than {}", expected.display());
    }
}

/// Returns the paths of all public items, without generic parameters.
fn public_items() -> BTreeSet<String> {
    let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api")).unwrap();
    let lists = folder.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    lists.flat_map(|list| list.lines().filter_map(path).collect::<Vec<_>>()).collect()
}

/// Returns the path in a line of the list of public items, such as `a::B::c` in `pub const fn a::B<T>::c(self) -> u8`.
fn path(line: &str) -> Option<String> {
    let mut rest = line.split_once("pub ")?.1;
    for word in ["const ", "fn ", "use ", "static ", "enum ", "struct "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let mut depth = 0;
    let mut path = String::new();
    for character in rest.chars() {
        match character {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if depth > 0 => {}
            '(' | ' ' => break,
            c => path.push(c),
        }
    }
    Some(path.trim_end_matches(':').to_owned())
}

#[test]
fn paths_of_public_items() {
    let check = |line, expected: &str| assert_eq!(path(line).as_deref(), Some(expected));
    check("pub const fn a::B<T: c::D<u8>>::e(self) -> Self", "a::B::e");
    check("pub fn a::B<a::T>::with_x<I: c::D>(self, I) -> Self", "a::B::with_x");
    check("pub a::B::field: usize", "a::B::field");
    check("#[non_exhaustive] pub enum a::B", "a::B");
}

/// Returns true if there is an item with this name: the part behind the last type or module, and that type or module.
fn exists(items: &BTreeSet<String>, name: &str, of: &str) -> bool {
    let name = if name.contains("::") { name.to_owned() } else { format!("{of}::{name}") };
    let start = name.rmatch_indices("::").nth(1).map_or(0, |(at, separator)| at + separator.len());
    items.iter().any(|item| item.ends_with(&format!("::{}", &name[start..])))
}

/// Returns the names in a cell.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(", ").filter(|name| !name.is_empty())
}

#[test]
fn every_method_that_a_setting_names_exists() {
    let items = public_items();
    assert!(exists(&items, "with_sampler", "TelemetryBuilder") && !exists(&items, "with_samplr", "TelemetryBuilder"));
    let mut missing = Vec::new();
    for of in schema::types() {
        for property in of.properties {
            let code = names(property.code).filter(|name| !exists(&items, name, "TelemetryBuilder"));
            let control = names(property.control).filter(|name| !exists(&items, name, "Control"));
            missing.extend(code.chain(control).map(|name| format!("{} {}: {name}", of.name, property.name)));
        }
    }
    assert_eq!(
        missing, [""; 0],
        "docs/api lacks these methods, which sdk/src/config/schema names; if they are new, run `cargo xtask api --bless`"
    );
}

#[test]
fn every_method_that_configures_or_changes_telemetry_is_in_the_page() {
    let page = page();
    let items = public_items();
    let methods = |of: &str| {
        let prefix = format!("telemark_sdk::install::{of}::");
        items.iter().filter_map(|item| item.strip_prefix(&prefix)).map(str::to_owned).collect::<Vec<_>>()
    };
    let of_builder = methods("TelemetryBuilder").into_iter().filter(|name| name.starts_with("with_"));
    let of_control = methods("Control").into_iter().filter(|name| !name.starts_with("is_") && *name != "fmt");
    let all: Vec<_> = of_builder.chain(of_control).collect();
    assert!(all.len() > 50 && all.iter().any(|name| name == "set_sampler"), "{all:?}");
    let missing: Vec<_> = all.into_iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert_eq!(
        missing, [""; 0],
        "name each with .code(..) or .control(..) at its setting in sdk/src/config/schema, or in a section of docs/CONFIGURATION.md for \
         what no file can express"
    );
}

/// Settings that nothing in code sets.
const NOT_IN_CODE: &[&str] = &[
    // Only files have a format.
    "the configuration.file_format",
    // A program that wants no telemetry does not start it.
    "the configuration.disabled",
    // There is only one value.
    "MeterProvider.view_matching_mode/development",
    // Each integration has a method of its own.
    "instrumentation/development.rust.enabled",
    // The value has no effect.
    "ExperimentalGeneralInstrumentation.stability_opt_in_list",
];

#[test]
fn every_setting_can_be_set_in_code() {
    fn visit(of: &'static Type, has_code: bool, above: &[&str], missing: &mut Vec<String>) {
        let above = [above, &[of.name]].concat();
        for property in of.properties.iter().filter(|property| property.support == Support::Yes) {
            let has_code = has_code || !property.code.is_empty();
            match inner(property) {
                Some(inner) if !inner.properties.is_empty() => {
                    if !above.contains(&inner.name) {
                        visit(inner, has_code, &above, missing);
                    }
                }
                _ if has_code => {}
                _ => missing.push(format!("{}.{}", of.name, property.name)),
            }
        }
    }
    fn inner(property: &Property) -> Option<&'static Type> {
        match property.kind {
            Kind::Object(of) | Kind::List(&Kind::Object(of), _) => Some(of),
            _ => None,
        }
    }
    let mut missing = Vec::new();
    visit(schema::types()[0], false, &[], &mut missing);
    missing.sort();
    let mut expected = NOT_IN_CODE.to_vec();
    expected.sort_unstable();
    assert_eq!(
        missing, expected,
        "name the method with .code(..) in sdk/src/config/schema, or add the setting to NOT_IN_CODE in config/tests/page.rs"
    );
}
