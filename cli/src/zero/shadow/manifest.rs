//! The edits of `Cargo.toml`: the dependency on Telemark, and paths that would lead elsewhere from the shadow workspace.

use std::path::{Component, Path, PathBuf};

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::copies::Copied;

/// Where the `telemark` crate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Telemark {
    /// crates.io, in the version of this command.
    Registry,
    /// A checkout.
    Path(PathBuf),
}

/// What to change in one manifest.
#[derive(Debug)]
pub(crate) struct Edit<'a> {
    /// The folder of the manifest.
    pub(crate) folder: &'a Path,
    /// The folder of the workspace.
    pub(crate) root: &'a Path,
    /// The dependency to add, with its features.
    pub(crate) telemark: Option<(&'a Telemark, &'a [String])>,
    /// More dependencies, whose paths are relative to the folder of the workspace.
    pub(crate) crates: &'a [(String, Value)],
    /// The dependencies that have a copy, with its folder.
    pub(crate) copies: &'a [(&'a Copied, PathBuf)],
}

/// The tables with dependencies, also below `target.'..'` and `workspace`.
const DEPENDENCIES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Edits a manifest.
///
/// # Errors
/// Returns the mistake in a manifest that is not valid TOML.
pub(crate) fn edit(text: &str, edit: &Edit<'_>) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let table = document.as_table_mut();
    paths(table, edit);
    if let Some(targets) = table.get_mut("target").and_then(Item::as_table_like_mut) {
        for (_, target) in targets.iter_mut() {
            if let Some(target) = target.as_table_like_mut() {
                paths(target, edit);
            }
        }
    }
    if let Some(workspace) = table.get_mut("workspace").and_then(Item::as_table_like_mut) {
        paths(workspace, edit);
    }
    for key in ["patch", "replace"] {
        let sources = table.get_mut(key).and_then(Item::as_table_like_mut);
        for (_, source) in sources.into_iter().flat_map(|sources| sources.iter_mut()) {
            absolute(source, edit);
            for (_, dependency) in source.as_table_like_mut().into_iter().flat_map(|source| source.iter_mut()) {
                absolute(dependency, edit);
            }
        }
    }
    if let Some((telemark, features)) = edit.telemark {
        let dependencies = table.entry("dependencies").or_insert_with(|| Item::Table(Table::new()));
        if let Some(dependencies) = dependencies.as_table_like_mut() {
            dependencies.insert("telemark", Item::Value(dependency(telemark, features)));
            for (name, value) in edit.crates {
                let mut item = Item::Value(value.clone());
                from_root(&mut item, edit);
                dependencies.insert(name, item);
            }
        }
    }
    if edit.folder == edit.root {
        patch(table, edit);
        lines(table);
    }
    if edit.folder == edit.root && !table.contains_key("workspace") {
        // Otherwise, cargo would take the package for a member of the user's workspace.
        table.insert("workspace", Item::Table(Table::new()));
    }
    Ok(document.to_string())
}

fn dependency(telemark: &Telemark, features: &[String]) -> Value {
    let mut dependency = InlineTable::new();
    match telemark {
        Telemark::Registry => dependency.insert("version", concat!("=", env!("CARGO_PKG_VERSION")).into()),
        Telemark::Path(path) => dependency.insert("path", path.to_string_lossy().as_ref().into()),
    };
    dependency.insert("default-features", false.into());
    dependency.insert("features", Value::Array(features.iter().map(String::as_str).collect::<Array>()));
    Value::InlineTable(dependency)
}

fn paths(table: &mut dyn TableLike, edit: &Edit<'_>) {
    for key in DEPENDENCIES {
        let dependencies = table.get_mut(key).and_then(Item::as_table_like_mut);
        for (_, dependency) in dependencies.into_iter().flat_map(|dependencies| dependencies.iter_mut()) {
            absolute(dependency, edit);
        }
    }
}

/// Lets the copies of dependencies take the places of the originals, under names that no other patch has.
fn patch(manifest: &mut Table, edit: &Edit<'_>) {
    for (copied, place) in edit.copies {
        let Some(source) = &copied.source else { continue };
        let mut implicit = Table::new();
        implicit.set_implicit(true);
        let patches = manifest.entry("patch").or_insert_with(|| Item::Table(implicit)).as_table_like_mut();
        let patches = patches.map(|patches| patches.entry(source).or_insert_with(|| Item::Table(Table::new())));
        if let Some(patches) = patches.and_then(Item::as_table_like_mut) {
            let mut patch = InlineTable::new();
            patch.insert("package", copied.package.name.as_str().into());
            patch.insert("path", place.to_string_lossy().as_ref().into());
            let name = format!("telemark-{}", copied.name().replace(['.', '+'], "-"));
            patches.insert(&name, Item::Value(Value::InlineTable(patch)));
        }
    }
}

/// Limits the debug information of the profile `dev` to lines, unless the user has chosen. The types of traced async functions contain
/// each other, and the compiler would describe them in each unit that it builds after an edit.
fn lines(manifest: &mut Table) {
    let implicit = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    let Some(profiles) = manifest.entry("profile").or_insert_with(implicit).as_table_like_mut() else { return };
    let dev = profiles.entry("dev").or_insert_with(|| Item::Table(Table::new())).as_table_like_mut();
    let Some(dev) = dev.filter(|dev| !dev.contains_key("debug")) else { return };
    dev.insert("debug", Item::Value("line-tables-only".into()));
    // What inherits cargo's default keeps it.
    let others = profiles.iter_mut().filter_map(|(_, profile)| profile.as_table_like_mut());
    for other in others.filter(|other| other.get("inherits").and_then(Item::as_str) == Some("dev")) {
        if !other.contains_key("debug") {
            other.insert("debug", Item::Value(2.into()));
        }
    }
}

/// Returns crates of rules with paths that lead into the shadow from everywhere.
pub(crate) fn beside(shadow: &Path, root: &Path, crates: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let absolute = |(name, mut value): (String, Value)| {
        if let Some(path) = value.as_inline_table_mut().and_then(|table| table.get_mut("path")) {
            let full = normalized(&root.join(path.as_str().unwrap_or_default()));
            let full = full.strip_prefix(root).map_or(full.clone(), |inside| shadow.join(inside));
            *path = full.to_string_lossy().as_ref().into();
        }
        (name, value)
    };
    crates.into_iter().map(absolute).collect()
}

/// Returns the manifest of a dependency without its lints, which cargo does not apply to a dependency from a registry either.
pub(crate) fn without_lints(manifest: &str) -> String {
    let Ok(mut document) = manifest.parse::<DocumentMut>() else { return manifest.to_owned() };
    document.remove("lints");
    let mut lints = InlineTable::new();
    lints.insert("warnings", "allow".into());
    let mut table = Table::new();
    table.insert("rust", Item::Value(Value::InlineTable(lints)));
    document.insert("lints", Item::Table(table));
    document.to_string()
}

/// Makes the path of a dependency absolute if it leads out of the workspace, and lets it lead to a copy if there is one.
fn absolute(dependency: &mut Item, edit: &Edit<'_>) {
    let Some(path) = dependency.as_table_like_mut().and_then(|table| table.get_mut("path")) else { return };
    let Some(given) = path.as_str() else { return };
    let full = normalized(&edit.folder.join(given));
    let copy = edit.copies.iter().find(|(copied, _)| copied.source.is_none() && copied.folder == full);
    if let Some((_, place)) = copy {
        *path = Item::Value(place.to_string_lossy().as_ref().into());
    } else if !full.starts_with(edit.root) {
        *path = Item::Value(full.to_string_lossy().as_ref().into());
    }
}

/// Makes the path of a dependency, which is relative to the workspace, relative to the folder of the manifest.
fn from_root(dependency: &mut Item, edit: &Edit<'_>) {
    let Some(path) = dependency.as_table_like_mut().and_then(|table| table.get_mut("path")) else { return };
    let Some(given) = path.as_str() else { return };
    let full = normalized(&edit.root.join(given));
    let depth = edit.folder.strip_prefix(edit.root).map_or(0, |inside| inside.components().count());
    let path_in_shadow = match full.strip_prefix(edit.root) {
        Ok(inside) => std::iter::repeat_n("..", depth).collect::<PathBuf>().join(inside),
        Err(_) => full,
    };
    *path = Item::Value(path_in_shadow.to_string_lossy().as_ref().into());
}

/// Resolves `..` in a path, as cargo does, without following links.
pub(crate) fn normalized(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normalized.pop();
            }
            Component::CurDir => {}
            other => normalized.push(other),
        }
    }
    normalized
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Package;
    use super::*;

    #[track_caller]
    fn check(folder: &str, text: &str, expected: &str) {
        let (telemark, features) = (Telemark::Path("/telemark".into()), ["axum".to_owned()]);
        let change = Edit {
            folder: Path::new(folder),
            root: Path::new("/ws"),
            telemark: Some((&telemark, &features)),
            crates: &[],
            copies: &[],
        };
        assert_eq!(edit(text, &change).unwrap(), expected);
    }

    const ADDED: &str = "telemark = { path = \"/telemark\", default-features = false, features = [\"axum\"] }\n";

    const LINES: &str = "[profile.dev]\ndebug = \"line-tables-only\"\n";

    #[test]
    fn the_debug_information_is_that_of_the_user_or_only_lines() {
        let added = format!("[workspace]\n\n[dependencies]\n{ADDED}");
        check("/ws", "[workspace]\n", &format!("{added}\n{LINES}"));
        check(
            "/ws",
            "[profile]\ndev.opt-level = 1\n[workspace]\n",
            &format!("[profile]\ndev.opt-level = 1\ndev.debug = \"line-tables-only\"\n{added}"),
        );
        check(
            "/ws",
            "[workspace]\n[profile.a]\ninherits = \"dev\"\n[profile.b]\ninherits = \"release\"\n",
            &format!(
                "[workspace]\n[profile.a]\ninherits = \"dev\"\ndebug = 2\n[profile.b]\ninherits = \"release\"\n\n{LINES}\n\
                 [dependencies]\n{ADDED}"
            ),
        );
        let given = "[workspace]\n[profile.dev]\ndebug = 2\n";
        check("/ws", given, &format!("{given}\n[dependencies]\n{ADDED}"));
        check("/ws/member", "", &format!("[dependencies]\n{ADDED}"));
    }

    #[test]
    fn comments_and_order_stay() {
        check(
            "/ws/a",
            "# A\n[package] # p\nname = \"a\"\n\n[dependencies]\n# s\nserde = \"1\"\n\n[features]\nx = []\n",
            &format!(
                "# A\n[package] # p\nname = \"a\"\n\n[dependencies]\n# s\nserde = \"1\"\n{ADDED}\n[features]\nx = []\n"
            ),
        );
    }

    #[test]
    fn a_package_without_a_workspace_becomes_one() {
        check(
            "/ws",
            "[package]\nname = \"a\"\n",
            &format!("[package]\nname = \"a\"\n\n[dependencies]\n{ADDED}\n{LINES}\n[workspace]\n"),
        );
        check("/ws", "[workspace]\n", &format!("[workspace]\n\n[dependencies]\n{ADDED}\n{LINES}"));
    }

    #[test]
    fn paths_out_of_the_workspace_become_absolute() {
        let text = |path: &str| {
            format!(
                "[dependencies]\na = {{ path = \"{path}\" }}\n[target.'cfg(unix)'.dev-dependencies.b]\npath = \"{path}\"\n\
                 [patch.crates-io]\nc.path = \"{path}\"\n"
            )
        };
        let telemark = |text: String| text.replacen("[target", &format!("{ADDED}[target"), 1);
        check("/ws/m", &text("../../other"), &telemark(text("/other")));
        check("/ws/m", &text("../n"), &telemark(text("../n")));
    }

    #[test]
    fn copies_take_the_places_of_dependencies() {
        let copied = |name: &str, folder: &str, source: Option<&str>| Copied {
            package: Package::parse(&serde_json::json!({
                "name": name, "version": "1.2.3", "manifest_path": "/x", "targets": [], "dependencies": []
            }))
            .unwrap(),
            folder: folder.into(),
            source: source.map(str::to_owned),
        };
        let (a, b) = (copied("a", "/registry/a", Some("crates-io")), copied("b", "/other/b", None));
        let copies = [(&a, "/copies/a".into()), (&b, "/copies/b".into())];
        let change =
            Edit { folder: Path::new("/ws"), root: Path::new("/ws"), telemark: None, crates: &[], copies: &copies };
        let expected = format!(
            "[dependencies]\nb = {{ path = \"/copies/b\" }}\n[patch.crates-io]\nc.path = \"/c\"\n\
             telemark-a-1-2-3 = {{ package = \"a\", path = \"/copies/a\" }}\n\n{LINES}\n[workspace]\n"
        );
        let text = "[dependencies]\nb = { path = \"../other/b\" }\n[patch.crates-io]\nc.path = \"/c\"\n";
        assert_eq!(edit(text, &change).unwrap(), expected);
        let of_member = edit("", &Edit { folder: Path::new("/ws/m"), ..change }).unwrap();
        assert_eq!(of_member, "", "patches belong into the root");
        let added = format!(
            "[patch.crates-io]\ntelemark-a-1-2-3 = {{ package = \"a\", path = \"/copies/a\" }}\n\n{LINES}\n[workspace]\n"
        );
        assert_eq!(edit("", &change).unwrap(), added);
    }

    #[test]
    fn lints_are_those_of_a_dependency() {
        let manifest = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n[features]\n";
        let expected = "[package]\nname = \"a\"\n[features]\n\n[lints]\nrust = { warnings = \"allow\" }\n";
        assert_eq!(without_lints(manifest), expected);
    }

    #[test]
    fn crates_of_rules_are_found_from_every_manifest() {
        let crates: Vec<(String, Value)> =
            [("a", "{ path = \"x/a\" }"), ("b", "{ path = \"../b\", features = [\"f\"] }"), ("c", "\"1\"")]
                .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
                .into();
        let change = |folder| Edit {
            folder: Path::new(folder),
            root: Path::new("/ws"),
            telemark: Some((&Telemark::Registry, &[])),
            crates: &crates,
            copies: &[],
        };
        let added = edit("", &change("/ws/m/n")).unwrap();
        let expected = "a = { path = \"../../x/a\" }\nb = { path = \"/b\", features = [\"f\"] }\nc = \"1\"\n";
        assert!(added.ends_with(expected), "{added}");
    }

    #[test]
    fn the_registry_has_the_version_of_this_command() {
        let change = Edit {
            folder: Path::new("/ws/m"),
            root: Path::new("/ws"),
            telemark: Some((&Telemark::Registry, &[])),
            crates: &[],
            copies: &[],
        };
        let expected = format!(
            "[dependencies]\ntelemark = {{ version = \"={}\", default-features = false, features = [] }}\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(edit("", &change).unwrap(), expected);
        edit("[a", &change).unwrap_err();
    }
}
