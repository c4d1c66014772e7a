//! The files of a crate: every file that `mod` reaches from the root, with its module path.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta};

use super::rewrite::syntax::{is_test, parse};
use super::shadow::manifest::normalized;

/// A file of a crate.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    /// The names of the modules that lead to the file; empty for the root.
    pub(crate) path: Vec<String>,
    /// True for a file that only tests compile.
    pub(crate) is_test: bool,
    pub(crate) text: String,
}

/// The files that are found, and those that are not understood, with the reason.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    pub(crate) files: BTreeMap<PathBuf, Module>,
    pub(crate) problems: Vec<(PathBuf, String)>,
}

impl Modules {
    /// Finds the files of the crate with this root.
    pub(crate) fn of_root(root: &Path) -> Modules {
        let mut modules = Modules::default();
        modules.add(Place { file: root.to_owned(), path: Vec::new(), is_test: false, owns_folder: true });
        modules
    }

    fn add(&mut self, place: Place) {
        // A module behind a `cfg` that is off may have no file, and a file may be part of several modules.
        if self.files.contains_key(&place.file) {
            return;
        }
        let text = match fs::read_to_string(&place.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return self.problems.push((place.file, "not UTF-8".to_owned()));
            }
            Err(_) => return,
        };
        let inside = match parse(&text) {
            Ok((_, parsed)) => submodules(&parsed.items, &place),
            Err(problem) => {
                self.problems.push((place.file.clone(), problem));
                Vec::new()
            }
        };
        let module = Module { path: place.path, is_test: place.is_test, text };
        self.files.insert(place.file, module);
        inside.into_iter().for_each(|place| self.add(place));
    }
}

/// A file and its position in the crate.
#[derive(Debug)]
struct Place {
    file: PathBuf,
    path: Vec<String>,
    is_test: bool,
    /// True for a root, a `mod.rs` and a file named by `#[path]`, whose modules are beside it.
    owns_folder: bool,
}

fn submodules(items: &[Item], place: &Place) -> Vec<Place> {
    let folder = place.file.parent().unwrap_or(Path::new("")).to_owned();
    let stem = place.file.file_stem().unwrap_or_default();
    let base = if place.owns_folder || stem == "mod" { folder.clone() } else { folder.join(stem) };
    let mut found = Vec::new();
    let outer = Outer { base: &base, folder: &folder, is_inline: false, path: &place.path, is_test: place.is_test };
    walk(items, &outer, &mut found);
    found
}

/// The surroundings of a module's declaration.
struct Outer<'a> {
    /// The folder of the files of the modules that are declared here.
    base: &'a Path,
    /// The folder of the file.
    folder: &'a Path,
    is_inline: bool,
    path: &'a [String],
    is_test: bool,
}

fn walk(items: &[Item], outer: &Outer<'_>, found: &mut Vec<Place>) {
    for item in items {
        let Item::Mod(module) = item else { continue };
        let name = module.ident.unraw().to_string();
        let path = [outer.path, std::slice::from_ref(&name)].concat();
        let is_test = outer.is_test || is_test(&module.attrs);
        let given = paths(&module.attrs);
        match &module.content {
            Some((_, items)) => {
                let base = given.first().map_or_else(|| outer.base.join(&name), |given| outer.folder.join(given));
                let inside = Outer { base: &base, folder: outer.folder, is_inline: true, path: &path, is_test };
                walk(items, &inside, found);
            }
            None => found.extend(files(module, outer, &given).map(|(file, owns_folder)| Place {
                file,
                path: path.clone(),
                is_test,
                owns_folder,
            })),
        }
    }
}

/// Returns the files that the module may have: more than one where `cfg_attr` selects it.
fn files<'a>(module: &ItemMod, outer: &Outer<'a>, given: &[String]) -> impl Iterator<Item = (PathBuf, bool)> + use<'a> {
    let name = module.ident.unraw().to_string();
    // Within an inline module, `#[path]` is relative to the folder of that module.
    let folder = if outer.is_inline { outer.base } else { outer.folder };
    let mut files: Vec<_> = given.iter().map(|given| (normalized(&folder.join(given)), true)).collect();
    let file = outer.base.join(format!("{name}.rs"));
    let is_conditional = !module.attrs.iter().any(|attribute| attribute.path().is_ident("path"));
    if files.is_empty() || is_conditional {
        match file.exists() {
            true => files.push((file, false)),
            false => files.push((outer.base.join(&name).join("mod.rs"), true)),
        }
    }
    files.into_iter()
}

/// Returns the values of `#[path = ".."]`, also within `cfg_attr`.
fn paths(attributes: &[Attribute]) -> Vec<String> {
    let mut paths = Vec::new();
    for attribute in attributes {
        match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => {
                if let Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) = &pair.value {
                    paths.push(path.value());
                }
            }
            Meta::List(list) if list.path.is_ident("cfg_attr") => {
                // The nested attributes after the condition.
                let text = list.tokens.to_string();
                let after = text.split("path = \"").skip(1);
                paths.extend(after.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
            _ => {}
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the files, and returns the found ones with their module paths.
    #[track_caller]
    fn check(name: &str, files: &[(&str, &str)], expected: &[&str]) {
        let folder = std::env::temp_dir().join(format!("telemark-modules-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let modules = Modules::of_root(&folder.join(files[0].0));
        let shown = |(path, module): (&PathBuf, &Module)| {
            let test = if module.is_test { " (test)" } else { "" };
            format!("{} {}{test}", path.strip_prefix(&folder).unwrap().display(), module.path.join("::"))
        };
        let found: Vec<_> = modules.files.iter().map(shown).collect();
        let problems: Vec<_> = modules.problems.iter().map(|(_, problem)| problem.clone()).collect();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!([found, problems].concat(), expected);
    }

    #[test]
    fn modules_are_beside_or_below_their_file() {
        check(
            "plain",
            &[
                ("lib.rs", "mod a; mod r#fn; mod absent;"),
                ("a.rs", "mod b;"),
                ("a/b/mod.rs", "mod c;"),
                ("a/b/c.rs", ""),
                ("fn.rs", ""),
            ],
            &["a/b/c.rs a::b::c", "a/b/mod.rs a::b", "a.rs a", "fn.rs fn", "lib.rs "],
        );
    }

    #[test]
    fn paths_lead_elsewhere() {
        check(
            "path",
            &[
                (
                    "src/lib.rs",
                    "#[path = \"../x/y.rs\"] mod a; #[path = \"in\"] mod b { mod c; #[path = \"d.rs\"] mod e; }",
                ),
                ("x/y.rs", "mod z;"),
                ("x/z.rs", ""),
                ("src/in/c.rs", ""),
                ("src/in/d.rs", ""),
            ],
            &["src/in/c.rs b::c", "src/in/d.rs b::e", "src/lib.rs ", "x/y.rs a", "x/z.rs a::z"],
        );
        check(
            "condition",
            &[("lib.rs", "#[cfg_attr(windows, path = \"w.rs\")] mod a;"), ("w.rs", ""), ("a.rs", "")],
            &["a.rs a", "lib.rs ", "w.rs a"],
        );
    }

    #[test]
    fn modules_of_tests_are_known() {
        check(
            "tests",
            &[
                ("main.rs", "#[cfg(test)] mod tests; #[cfg(all(test, unix))] mod a { mod b; }"),
                ("tests.rs", ""),
                ("a/b.rs", "mod c;"),
                ("a/b/c.rs", ""),
            ],
            &["a/b/c.rs a::b::c (test)", "a/b.rs a::b (test)", "main.rs ", "tests.rs tests (test)"],
        );
    }

    #[test]
    fn files_that_are_not_understood_are_reported() {
        check("syntax", &[("lib.rs", "mod a;\nmod 3;"), ("a.rs", "")], &["lib.rs ", "line 2: expected identifier"]);
    }
}
