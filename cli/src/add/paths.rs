//! Paths of reqwest and sqlx that lead to Telemark's types, with which clients and pools are observed.

use std::collections::HashMap;

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprMethodCall, File, Item, ItemMod, ItemUse, Macro, Path, UseTree};

use super::edits::{Edit, indent, line_break};
use crate::source::routed::resolved;
use crate::zero::rewrite::surroundings::collect;
use crate::zero::rewrite::syntax::{arguments, bytes};
use crate::zero::rules::edges::{DATABASES, OF_DATABASE, SHARED_BY_DATABASES};

const IMPORT: &str = "use telemark::reqwest;";

/// Returns true for the modules of sqlx that have types of pools.
fn is_module(name: &str) -> bool {
    DATABASES.iter().any(|(database, _)| name == *database)
        || SHARED_BY_DATABASES.iter().any(|(module, _)| name == *module)
}

/// The libraries whose paths are led elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Libraries {
    pub(crate) reqwest: bool,
    /// The databases: `sqlite`, `postgres` and `mysql`.
    pub(crate) sqlx: Vec<&'static str>,
}

/// The edits of a file, and the libraries that they concern.
#[derive(Debug, Default)]
pub(crate) struct Led {
    pub(crate) edits: Vec<Edit>,
    pub(crate) reqwest: bool,
    pub(crate) sqlx: bool,
    /// The lines that have to be edited by hand.
    pub(crate) by_hand: Vec<usize>,
}

/// Leads the paths of a file.
pub(crate) fn led(tree: &File, text: &str, start: usize, libraries: &Libraries) -> Led {
    let mut walker = Walker {
        text,
        start,
        libraries,
        imports: HashMap::new(),
        depth: 0,
        bare: false,
        inherited: Vec::new(),
        inherits: true,
        led: Led::default(),
    };
    for item in &tree.items {
        walker.import(item);
    }
    walker.visit_file(tree);
    if walker.bare {
        let edit = import(tree, text, start);
        walker.led.edits.push(edit);
    } else {
        // The import would be of use to these modules alone.
        for at in std::mem::take(&mut walker.inherited) {
            walker.insert(at, "telemark::");
        }
    }
    walker.led
}

struct Walker<'a> {
    text: &'a str,
    start: usize,
    libraries: &'a Libraries,
    /// The full paths of imported names.
    imports: HashMap<String, Vec<String>>,
    /// The number of modules around an item, within the file.
    depth: usize,
    /// True if a path of the file's own module begins with `reqwest`.
    bare: bool,
    /// The offsets of such paths in modules that have the names of the file's own.
    inherited: Vec<usize>,
    inherits: bool,
    led: Led,
}

impl Walker<'_> {
    fn import(&mut self, item: &Item) {
        if let Item::Use(import) = item {
            collect(&import.tree, &[], &mut self.imports);
        }
    }

    fn insert(&mut self, at: usize, text: &str) {
        self.led.edits.push(Edit::insert(self.start + at, text));
    }

    /// Leads the imports of reqwest.
    fn reqwest(&mut self, tree: &UseTree) {
        let first = match tree {
            UseTree::Path(path) => &path.ident,
            UseTree::Name(name) => &name.ident,
            UseTree::Rename(rename) => &rename.ident,
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.reqwest(tree)),
            UseTree::Glob(_) => return,
        };
        if first == "reqwest" {
            self.insert(bytes(first).start, "telemark::");
            self.led.reqwest = true;
        }
    }

    /// Splits an import of sqlx into its own and Telemark's names.
    fn sqlx(&mut self, import: &ItemUse) {
        let mut leaves = Vec::new();
        flatten(&import.tree, &[], &mut leaves);
        let is_sqlx = leaves.iter().all(|leaf| leaf.path.first().is_some_and(|first| first == "sqlx"));
        let (moved, kept): (Vec<_>, Vec<_>) = leaves.into_iter().partition(|leaf| {
            leaf.path.len() > 1 && self.name(&leaf.path).is_some_and(|index| index + 1 == leaf.path.len())
        });
        if moved.is_empty() {
            return;
        }
        let (item, word) = (bytes(import), bytes(&import.use_token).start);
        let shown = &self.text[self.start..][item.clone()];
        if !is_sqlx || shown.contains("//") || shown.contains("/*") {
            let line = self.text[..self.start + word].matches('\n').count() + 1;
            return self.led.by_hand.push(line);
        }
        let moved = statement("telemark::sqlx", moved.iter().filter_map(|leaf| leaf.shown(leaf.path.len() - 1)));
        let kept = (!kept.is_empty()).then(|| statement("sqlx", kept.iter().filter_map(|leaf| leaf.shown(1))));
        let at = self.start + item.start;
        let separator = match indent(self.text, at) {
            Some(indent) => format!("{}{indent}", line_break(self.text)),
            None => " ".to_owned(),
        };
        // Attributes and visibility are those of both imports.
        let head = &self.text[at..self.start + word];
        let text = match kept {
            Some(kept) => format!("{kept}{separator}{head}{moved}"),
            None => moved,
        };
        self.led.edits.push(Edit { range: self.start + word..self.start + item.end, text });
        self.led.sqlx = true;
    }

    /// Returns the index of the name in a full path that Telemark has a type for.
    fn name(&self, full: &[String]) -> Option<usize> {
        if self.libraries.sqlx.is_empty() || full.first().is_none_or(|first| first != "sqlx") {
            return None;
        }
        let index = match full.get(1) {
            Some(module) if is_module(module) => 2,
            _ => 1,
        };
        let name = full.get(index)?;
        let is_of = |start: &str| name.strip_prefix(start).is_some_and(|end| OF_DATABASE.contains(&end));
        let mut enabled = DATABASES.iter().filter(|(database, _)| self.libraries.sqlx.contains(database));
        let is_shared = SHARED_BY_DATABASES.iter().any(|(_, shared)| name == shared);
        (is_shared || enabled.any(|(_, start)| is_of(start))).then_some(index)
    }

    fn path(&mut self, path: &Path) {
        let Some(first) = path.segments.first().filter(|_| path.leading_colon.is_none()) else { return };
        if self.libraries.reqwest
            && first.ident == "reqwest"
            && path.segments.len() > 1
            && !self.imports.contains_key("reqwest")
        {
            self.led.reqwest = true;
            match self.depth {
                0 => self.bare = true,
                _ if self.inherits => self.inherited.push(bytes(&first.ident).start),
                _ => self.insert(bytes(&first.ident).start, "telemark::"),
            }
        }
        let full = resolved(path, &self.imports);
        let Some(index) = self.name(&full) else { return };
        // The import stands for the first names of the full path.
        let written = (index + path.segments.len()).checked_sub(full.len()).filter(|written| *written > 0);
        let Some(last) = written.and_then(|written| path.segments.iter().nth(written)) else { return };
        let range = self.start + bytes(&first.ident).start..self.start + bytes(&last.ident).end;
        self.led.edits.push(Edit { range, text: format!("telemark::sqlx::{}", last.ident) });
        self.led.sqlx = true;
    }
}

/// A name that an import brings.
struct Leaf {
    path: Vec<String>,
    rename: Option<String>,
}

impl Leaf {
    /// Returns the import from this name on.
    fn shown(&self, from: usize) -> Option<String> {
        let path = self.path.get(from..).filter(|path| !path.is_empty())?.join("::");
        Some(match &self.rename {
            Some(rename) => format!("{path} as {rename}"),
            None => path,
        })
    }
}

fn flatten(tree: &UseTree, before: &[String], leaves: &mut Vec<Leaf>) {
    let full = |name: String| [before, &[name]].concat();
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &full(path.ident.to_string()), leaves),
        UseTree::Name(name) => leaves.push(Leaf { path: full(name.ident.to_string()), rename: None }),
        UseTree::Rename(rename) => {
            leaves.push(Leaf { path: full(rename.ident.to_string()), rename: Some(rename.rename.to_string()) });
        }
        UseTree::Glob(_) => leaves.push(Leaf { path: full("*".to_owned()), rename: None }),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, leaves)),
    }
}

fn statement(of: &str, names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.collect();
    match names.as_slice() {
        [name] if name != "self" => format!("use {of}::{name};"),
        names => format!("use {of}::{{{}}};", names.join(", ")),
    }
}

/// Returns the edit that imports Telemark's reqwest, where the alphabet puts it among the imports.
fn import(tree: &File, text: &str, start: usize) -> Edit {
    let imports: Vec<_> = tree
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Use(import) => Some((first(&import.tree), bytes(import))),
            _ => None,
        })
        .collect();
    let is_crate = |first: &str| !matches!(first, "" | "crate" | "self" | "super" | "std" | "core" | "alloc");
    let of_crates: Vec<_> = imports.iter().filter(|(first, _)| is_crate(first)).collect();
    let line_break = line_break(text);
    if let Some((_, next)) = of_crates.iter().find(|(first, _)| first.as_str() > "telemark") {
        return Edit::insert(start + next.start, format!("{IMPORT}{line_break}"));
    }
    if let Some((_, last)) = of_crates.last().copied().or(imports.last()) {
        return Edit::insert(start + last.end, format!("{line_break}{IMPORT}"));
    }
    let first = tree.items.first().map_or(text.len() - start, |item| bytes(item).start);
    Edit::insert(start + first, format!("{IMPORT}{line_break}{line_break}"))
}

fn first(tree: &UseTree) -> String {
    match tree {
        UseTree::Path(path) => path.ident.to_string(),
        UseTree::Name(name) => name.ident.to_string(),
        UseTree::Rename(rename) => rename.ident.to_string(),
        UseTree::Glob(_) | UseTree::Group(_) => String::new(),
    }
}

impl<'ast> Visit<'ast> for Walker<'_> {
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_macro(&mut self, of: &'ast Macro) {
        arguments(of).iter().for_each(|argument| self.visit_expr(argument));
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        collect(&import.tree, &[], &mut self.imports);
        if import.leading_colon.is_some() {
            return;
        }
        if self.libraries.reqwest {
            self.reqwest(&import.tree);
        }
        self.sqlx(import);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let outer = (self.imports.clone(), self.inherits);
        self.depth += 1;
        // The names of the outer module are not those of this one, unless it imports them all.
        let items: Vec<_> = module.content.iter().flat_map(|(_, items)| items).collect();
        if !items.iter().any(|item| is_glob_of_super(item)) {
            self.imports.clear();
            self.inherits = false;
        }
        items.iter().for_each(|item| self.import(item));
        visit::visit_item_mod(self, module);
        self.depth -= 1;
        (self.imports, self.inherits) = outer;
    }

    fn visit_path(&mut self, path: &'ast Path) {
        self.path(path);
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        // `sqlx::migrate!().run(&pool)` takes sqlx's own pool, to which Telemark's dereferences.
        let is_migrator = matches!(&*call.receiver, Expr::Macro(of) if of.mac.path.segments.last().is_some_and(|last| last.ident == "migrate"));
        if let (true, true, Some(Expr::Reference(pool))) =
            (is_migrator && !self.libraries.sqlx.is_empty(), call.method == "run", call.args.first())
        {
            if matches!(&*pool.expr, Expr::Path(_) | Expr::Field(_)) {
                self.insert(bytes(&*pool.expr).start, "*");
            }
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// Returns true for `use super::*;`.
fn is_glob_of_super(item: &Item) -> bool {
    let Item::Use(import) = item else { return false };
    let mut leaves = Vec::new();
    flatten(&import.tree, &[], &mut leaves);
    leaves.iter().any(|leaf| leaf.path.iter().map(String::as_str).eq(["super", "*"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::add::edits::apply;
    use crate::zero::rewrite::syntax::parse;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let (start, tree) = parse(text).unwrap();
        let libraries = Libraries { reqwest: true, sqlx: vec!["sqlite", "postgres"] };
        let led = led(&tree, text, start, &libraries);
        let new = apply(text, led.edits);
        assert_eq!(new, expected);
        let (start, tree) = parse(&new).unwrap();
        assert_eq!(super::led(&tree, &new, start, &libraries).edits, [], "{new}");
    }

    #[test]
    fn reqwest_is_imported_once() {
        check(
            "//! A.\nuse std::io;\nuse url::Url;\n\nfn a(of: reqwest::Client) -> reqwest::Result<()> {}\n",
            "//! A.\nuse std::io;\nuse telemark::reqwest;\nuse url::Url;\n\nfn a(of: reqwest::Client) -> reqwest::Result<()> {}\n",
        );
        check(
            "use axum::A;\r\n\r\nfn a() -> reqwest::A {}",
            "use axum::A;\r\nuse telemark::reqwest;\r\n\r\nfn a() -> reqwest::A {}",
        );
        check(
            "//! A.\n\n/// B.\nfn a() -> reqwest::A {}",
            "//! A.\n\nuse telemark::reqwest;\n\n/// B.\nfn a() -> reqwest::A {}",
        );
        check(
            "use reqwest::{Client, Url};\nfn a(of: Client) {}",
            "use telemark::reqwest::{Client, Url};\nfn a(of: Client) {}",
        );
        check(
            "use {reqwest, std::io};\nfn a(of: reqwest::A) {}",
            "use {telemark::reqwest, std::io};\nfn a(of: reqwest::A) {}",
        );
        check("use telemark::reqwest;\nfn a(of: reqwest::A) {}", "use telemark::reqwest;\nfn a(of: reqwest::A) {}");
        check(
            "fn a(of: reqwest::A) {}\nmod tests { use super::*; fn b(of: reqwest::A) {} }",
            "use telemark::reqwest;\n\nfn a(of: reqwest::A) {}\nmod tests { use super::*; fn b(of: reqwest::A) {} }",
        );
        check(
            "mod tests { use super::*; fn b() { println!(\"{}\", reqwest::a()) } }",
            "mod tests { use super::*; fn b() { println!(\"{}\", telemark::reqwest::a()) } }",
        );
        check("mod a { fn a(of: reqwest::A) {} }", "mod a { fn a(of: telemark::reqwest::A) {} }");
        check("fn a() -> ::reqwest::A {}", "fn a() -> ::reqwest::A {}");
    }

    #[test]
    fn types_of_pools_move() {
        check(
            "use sqlx::SqlitePool;\nfn a(of: SqlitePool) {}",
            "use telemark::sqlx::SqlitePool;\nfn a(of: SqlitePool) {}",
        );
        check(
            "    #[cfg(a)]\n    pub use sqlx::{FromRow, Row as _, sqlite::{SqlitePool as P, SqliteRow}, PgPool};",
            "    #[cfg(a)]\n    pub use sqlx::{FromRow, Row as _, sqlite::SqliteRow};\n    #[cfg(a)]\n    pub use telemark::sqlx::{SqlitePool as P, PgPool};",
        );
        check(
            "fn a() -> sqlx::Pool<sqlx::Sqlite> { sqlx::postgres::PgPoolOptions::new().x() }",
            "fn a() -> telemark::sqlx::Pool<sqlx::Sqlite> { telemark::sqlx::PgPoolOptions::new().x() }",
        );
        check(
            "use sqlx::sqlite;\nfn a(of: sqlite::SqlitePool) {}",
            "use sqlx::sqlite;\nfn a(of: telemark::sqlx::SqlitePool) {}",
        );
        check("fn a(of: sqlx::MySqlPool, b: sqlx::Error) {}", "fn a(of: sqlx::MySqlPool, b: sqlx::Error) {}");
        check(
            "use sqlx::PgPool;\nmod tests { use super::*; fn a() { sqlx::migrate!().run(&self.pool) } }",
            "use telemark::sqlx::PgPool;\nmod tests { use super::*; fn a() { sqlx::migrate!().run(&*self.pool) } }",
        );
    }

    #[test]
    fn imports_with_comments_are_left_to_people() {
        let text = "\nuse sqlx::{\n    PgPool, // the pool\n};";
        let (start, tree) = parse(text).unwrap();
        let libraries = Libraries { reqwest: true, sqlx: vec!["postgres"] };
        let led = led(&tree, text, start, &libraries);
        assert_eq!((led.edits, led.by_hand), (Vec::new(), vec![2]));
    }
}
