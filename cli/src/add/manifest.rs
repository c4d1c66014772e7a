//! The dependency on Telemark in `Cargo.toml`, whose comments and order stay.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use crate::zero::shadow::manifest::Telemark;

/// A dependency to add, or to complete.
#[derive(Debug)]
pub(crate) struct Dependency<'a> {
    pub(crate) telemark: &'a Telemark,
    pub(crate) features: &'a [&'a str],
    /// True if the exporters and the handling of signals belong to the package.
    pub(crate) has_defaults: bool,
    /// True if the workspace names the version for its members.
    pub(crate) is_inherited: bool,
}

/// Adds the dependency, or the features that it lacks.
///
/// # Errors
/// Returns the reason for which the manifest is left alone.
pub(crate) fn edit(text: &str, dependency: &Dependency<'_>) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let dependencies = document.entry("dependencies").or_insert_with(|| Item::Table(Table::new()));
    let dependencies = dependencies.as_table_like_mut().ok_or("`dependencies` is no table")?;
    match dependencies.get_mut("telemark") {
        None => _ = dependencies.insert("telemark", Item::Value(new(dependency))),
        Some(present) => complete(present, dependency.features)?,
    }
    Ok(document.to_string())
}

/// Returns true if a workspace names the version of Telemark for its members.
pub(crate) fn is_inherited(root: &str) -> bool {
    let document = root.parse::<DocumentMut>().ok();
    let dependencies = document.as_ref().and_then(|document| document.get("workspace")?.get("dependencies"));
    dependencies.is_some_and(|dependencies| dependencies.get("telemark").is_some())
}

fn new(dependency: &Dependency<'_>) -> Value {
    let mut table = InlineTable::new();
    match dependency.telemark {
        _ if dependency.is_inherited => table.insert("workspace", true.into()),
        Telemark::Registry => table.insert("version", env!("CARGO_PKG_VERSION").into()),
        Telemark::Path(path) => table.insert("path", path.to_string_lossy().as_ref().into()),
    };
    if !dependency.has_defaults && !dependency.is_inherited {
        table.insert("default-features", false.into());
    }
    if !dependency.features.is_empty() {
        table.insert("features", Value::Array(dependency.features.iter().copied().collect::<Array>()));
    }
    match (table.len(), table.get("version")) {
        (1, Some(version)) => version.clone(),
        _ => Value::InlineTable(table),
    }
}

/// Adds features to a dependency that is there.
fn complete(present: &mut Item, features: &[&str]) -> Result<(), String> {
    if features.is_empty() {
        return Ok(());
    }
    if let Item::Value(Value::String(version)) = present {
        let mut table = InlineTable::new();
        table.insert("version", version.value().as_str().into());
        *table.decor_mut() = version.decor().clone();
        *present = Item::Value(Value::InlineTable(table));
    }
    let table = present.as_table_like_mut().ok_or("the dependency `telemark` is no table")?;
    let list = table.entry("features").or_insert_with(|| Item::Value(Value::Array(Array::new())));
    let list = list.as_array_mut().ok_or("the features of `telemark` are no list")?;
    for feature in features {
        if !list.iter().any(|known| known.as_str() == Some(feature)) {
            list.push(*feature);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, features: &[&str], has_defaults: bool, expected: &str) {
        let telemark = Telemark::Registry;
        let dependency = Dependency { telemark: &telemark, features, has_defaults, is_inherited: false };
        let edited = edit(text, &dependency).unwrap();
        assert_eq!(edited, expected);
        assert_eq!(edit(&edited, &dependency).unwrap(), edited);
    }

    #[test]
    fn comments_and_order_stay() {
        check(
            "# A\n[package] # p\nname = \"a\"\n\n[dependencies]\n# s\nserde = \"1\"\n\n[features]\n",
            &["axum"],
            true,
            "# A\n[package] # p\nname = \"a\"\n\n[dependencies]\n# s\nserde = \"1\"\ntelemark = { version = \"0.1.0\", features = [\"axum\"] }\n\n[features]\n",
        );
        check("[package]\n", &[], true, "[package]\n\n[dependencies]\ntelemark = \"0.1.0\"\n");
        check(
            "[package]\n",
            &[],
            false,
            "[package]\n\n[dependencies]\ntelemark = { version = \"0.1.0\", default-features = false }\n",
        );
    }

    #[test]
    fn a_dependency_gets_the_features_that_it_lacks() {
        check(
            "[dependencies]\ntelemark = \"0.1\" # ours\n",
            &["axum"],
            true,
            "[dependencies]\ntelemark = { version = \"0.1\", features = [\"axum\"] } # ours\n",
        );
        check(
            "[dependencies.telemark]\nversion = \"0.1\"\nfeatures = [\"axum\"]\n",
            &["axum", "tonic"],
            true,
            "[dependencies.telemark]\nversion = \"0.1\"\nfeatures = [\"axum\", \"tonic\"]\n",
        );
    }

    #[test]
    fn a_workspace_names_the_version() {
        let telemark = Telemark::Registry;
        let dependency =
            Dependency { telemark: &telemark, features: &["axum"], has_defaults: true, is_inherited: true };
        let expected = "[dependencies]\ntelemark = { workspace = true, features = [\"axum\"] }\n";
        assert_eq!(edit("", &dependency).unwrap(), expected);
        assert!(is_inherited("[workspace.dependencies]\ntelemark = \"0.1\""));
        assert!(!is_inherited("[workspace]\n"));
    }
}
