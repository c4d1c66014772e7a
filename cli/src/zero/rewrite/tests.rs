//! What is inserted where, and that nothing else changes.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;

/// All edges but those of other databases, as if the program had all crates.
fn edges(rules: &Rules) -> Edges<'_> {
    let is_used = |edge: &Edge| edge.enabled.is_none_or(|enabled| enabled == "sqlite");
    let active = rules.edges.iter().enumerate().filter(|(_, edge)| is_used(edge)).collect();
    Edges { active, conditions: BTreeMap::new() }
}

fn source<'a>(text: &'a str, role: Role, edges: &'a Edges<'a>, left_out: &'a BTreeSet<usize>) -> Source<'a> {
    static INSIDE: OnceLock<Vec<String>> = OnceLock::new();
    let inside = INSIDE.get_or_init(|| vec!["inside".to_owned()]);
    let module = if matches!(role, Role::Binary | Role::Library) { &[] } else { inside.as_slice() };
    Source { text, file: "src/main.rs", krate: "shop", module, role, edges, left_out }
}

fn rewritten(text: &str, role: Role, rules: &str) -> Rewritten {
    let rules = Rules::parse(rules).unwrap();
    let (edges, none) = (edges(&rules), BTreeSet::new());
    rewrite(&source(text, role, &edges, &none), &rules).unwrap()
}

/// Rewrites a module, of which sqlx needs no part.
#[track_caller]
fn check(text: &str, expected: &str) {
    check_with("", text, expected);
}

#[track_caller]
fn check_with(rules: &str, text: &str, expected: &str) {
    let new = rewritten(text, Role::Module, rules).apply(text);
    let shown = new.replace("::telemark::traced", "traced").replace("::telemark::propagate", "propagate");
    assert_eq!(shown, expected);
    holds(text, Role::Module, rules);
}

/// Checks the properties that hold for every source.
#[track_caller]
fn holds(text: &str, role: Role, rules: &str) {
    let rules = Rules::parse(rules).unwrap();
    let (edges, none) = (edges(&rules), BTreeSet::new());
    let Ok(rewritten) = rewrite(&source(text, role, &edges, &none), &rules) else { return };
    let new = rewritten.apply(text);
    assert_eq!(new.matches('\n').count(), text.matches('\n').count(), "the number of lines stays");
    assert!(rewritten.insertions.iter().all(|insertion| !insertion.text.contains(['\n', '\r'])));
    let mut old = new.clone();
    let mut inserted: usize = rewritten.insertions.iter().map(|insertion| insertion.text.len()).sum();
    for insertion in rewritten.insertions.iter().rev() {
        inserted -= insertion.text.len();
        let at = insertion.offset + inserted;
        old.replace_range(at..at + insertion.text.len(), "");
    }
    assert_eq!(old, text, "without the insertions, it is the original");
    let again = rewrite(&source(&new, role, &edges, &none), &rules).unwrap();
    assert_eq!(again.insertions, [], "the second time, nothing is inserted:\n{new}");
    let everything = rewritten.changes.iter().map(|change| change.offset).collect();
    let left_out = rewrite(&source(text, role, &edges, &everything), &rules).unwrap();
    assert_eq!(left_out.changes, [], "what does not compile is left out");
}

#[test]
fn macros_in_place_of_items_are_counted() {
    let text = "macro_rules! make { () => { async fn made() { a(); b(); } } }\n\
         make!();\ncfg_if::cfg_if! { if #[cfg(unix)] { async fn only() { a(); b() } } }\n\
         mod inside { make! {} }\nimpl A { r#make!(); }\ntrait T { make!(); }\n\
         thread_local!(static A: u8 = 1);\n#[cfg(test)] make!();\n#[cfg(test)] mod tests { make!(); }\n\
         fn body() { make!(); println!(); macro_rules! more { () => {} } more!(); }";
    let macros = rewritten(text, Role::Module, "").macros;
    assert_eq!(
        macros.iter().map(|(name, count)| (name.as_str(), *count)).collect::<Vec<_>>(),
        [("cfg_if", 1), ("make", 4)]
    );
    assert!(rewritten(text, Role::Test, "").macros.is_empty());
}

#[test]
fn functions_and_methods_get_spans() {
    check(
        "/// Loads.\npub async fn load() { a(); b(); }\nfn short() {}",
        "#[traced(below)] /// Loads.\npub async fn load() { a(); b(); }\nfn short() {}",
    );
    check(
        "impl<T> Store<T> {\n    // why\n    #[must_use] async fn get(&self) { a(); b() }\n}",
        "impl<T> Store<T> {\n    // why\n    #[traced(below, owner = \"Store\")] #[must_use] async fn get(&self) { a(); b() }\n}",
    );
    check(
        "#[async_trait] impl Load for &mut a::Disk { async fn load(&self) { a(); b() } }",
        "#[async_trait] impl Load for &mut a::Disk { #[traced(below, owner = \"Disk\")] async fn load(&self) { a(); b() } }",
    );
    check(
        "trait Load { async fn load(&self) { a(); b() } async fn other(&self); }",
        "trait Load { #[traced(below, owner = \"Load\")] async fn load(&self) { a(); b() } async fn other(&self); }",
    );
    check("mod r#in { async fn r#fn() { a(); b() } }", "mod r#in { #[traced(below)] async fn r#fn() { a(); b() } }");
}

#[test]
fn what_a_span_would_harm_is_left_alone() {
    let rules = "[[rule]]\nspan = 'always'\n";
    for text in [
        "const fn f() { a(); b() }",
        "extern \"C\" fn f() { a(); b() }",
        "#[test] async fn f() { a(); b() }",
        "#[tokio::test] async fn f() { a(); b() }",
        "#[cfg(test)] mod tests { async fn f() { a(); b() } }",
        "#[cfg(all(test, unix))] async fn f() { a(); b() }",
        "#[inline] fn f() { a(); b() }",
        "#[track_caller] fn f() { a(); b() }",
        "#[unsafe(no_mangle)] fn f() { a(); b() }",
        "#[tracing::instrument] async fn f() { a(); b() }",
        "#[telemark::traced] async fn f() { a(); b() }",
        "#[traced] impl A { async fn f() { a(); b() } }",
        "impl fmt::Display for A { fn fmt(&self) { a(); b() } }",
        "impl Drop for A { fn drop(&mut self) { a(); b() } }",
        "#[pymethods] impl A { fn f(&self) { a(); b() } }",
        "macro_rules! f { () => { async fn f() { a(); b() } } }",
        "extern \"C\" { fn f(); }",
        "static A: fn() = || { fn inner() { a(); b() } };",
    ] {
        let expected =
            if text.starts_with("static") { text.replace("fn inner", "#[traced] fn inner") } else { text.to_owned() };
        check_with(rules, text, &expected);
    }
    check_with(rules, "fn f() { async fn g() { a(); b() } }", "#[traced] fn f() { async fn g() { a(); b() } }");
}

#[test]
fn rules_see_paths_and_signatures() {
    let rules = "[[rule]]\npath = 'shop::inside::cart::Cart::*'\nvisibility = 'pub'\nreturns = 'Result'\nspan = 'root'\nfields = ['id']\n";
    check_with(
        rules,
        "mod cart { impl Cart { pub fn add(&self, id: u8) -> io::Result<()> { a() } fn sum(&self) -> Result<u8, E> { b() } } }",
        "mod cart { impl Cart { #[traced(root, owner = \"Cart\", fields(id))] pub fn add(&self, id: u8) -> io::Result<()> { a() } \
         fn sum(&self) -> Result<u8, E> { b() } } }",
    );
}

#[track_caller]
fn check_root(text: &str, expected: &str) {
    let text = &format!("{text}\n");
    let without = "[defaults]\nsqlx = false\nreqwest = false\n";
    let new = rewritten(text, Role::Binary, without).apply(text);
    assert_eq!(new.trim_end(), expected);
    holds(text, Role::Binary, without);
    holds(text, Role::Binary, "");
}

#[test]
fn main_starts_telemetry() {
    check_root("fn main() {}", "fn main() { let _telemark = ::telemark::auto();}");
    check_root(
        "#[tokio::main]\nasync fn main() -> R { #![allow(dead_code)] a()?; b() }",
        "#[tokio::main]\nasync fn main() -> R { #![allow(dead_code)] let _telemark = ::telemark::auto(); a()?; b() }",
    );
    check_root("fn main() { fn main() {} }", "fn main() { let _telemark = ::telemark::auto(); fn main() {} }");
    check_root("mod a { fn main() {} }", "mod a { fn main() {} }");
}

#[test]
fn a_crate_with_spans_allows_deeper_types() {
    let limit = "#![recursion_limit = \"256\"] ";
    let traced = "#[::telemark::traced(below)] async fn f() { a(); b() }";
    check_root("async fn f() { a(); b() }", &format!("{limit}{traced}"));
    check_root("//! A.\n#![deny(x)]\nasync fn f() { a(); b() }", &format!("{limit}//! A.\n#![deny(x)]\n{traced}"));
    check_root(
        "#![recursion_limit = \"99\"]\nasync fn f() { a(); b() }",
        &format!("#![recursion_limit = \"99\"]\n{traced}"),
    );
    check_root("#!/usr/bin/env run\nasync fn f() { a(); b() }", &format!("#!/usr/bin/env run\n{limit}{traced}"));
    check_root("\u{feff}async fn f() { a(); b() }", &format!("\u{feff}{limit}{traced}"));
    check_root(
        "// é\r\nasync fn f() {\r\n a(); b() }",
        &format!("// é\r\n{limit}{}", traced.replace("{ a", "{\r\n a")),
    );
}

#[test]
fn routers_get_the_layer() {
    check(
        "fn f() { axum::serve(l, app).await }",
        "fn f() { axum::serve(l, (app).layer(::telemark::axum::layer())).await }",
    );
    check(
        "use axum::serve as s;\nfn f() { s(l, r.with_state(x).into_make_service_with_connect_info::<A>()) }",
        "use axum::serve as s;\nfn f() { s(l, (r.with_state(x)).layer(::telemark::axum::layer()).into_make_service_with_connect_info::<A>()) }",
    );
    check("fn f() { other::serve(l, app) }", "fn f() { other::serve(l, app) }");
    check(
        "fn f() { axum::serve(l, app.layer(telemark::axum::layer()).x()) }",
        "fn f() { axum::serve(l, (app.layer(telemark::axum::layer()).x()).layer(::telemark::axum::layer())) }",
    );
}

#[test]
fn tasks_of_functions_with_spans_get_the_context() {
    check(
        "async fn f() { tokio::spawn(a()); b() }\nasync fn g() { tokio::spawn(a()) }",
        "#[traced(below)] async fn f() { tokio::spawn(propagate(a())); b() }\nasync fn g() { tokio::spawn(a()) }",
    );
    check(
        "use tokio::task;\nasync fn f() { task::spawn(async { tokio::spawn(a()) }); b() }",
        "use tokio::task;\n#[traced(below)] async fn f() { task::spawn(propagate(async { tokio::spawn(propagate(a())) })); b() }",
    );
    let accepting = "async fn f() { loop { let c = l.accept().await; tokio::spawn(serve(c)); } }";
    check(accepting, &format!("#[traced(below)] {accepting}"));
    let accepting = "async fn f() { while let Ok(c) = l.accept().await { a(); tokio::spawn(serve(c)); } }";
    check(accepting, &format!("#[traced(below)] {accepting}"));
}

#[test]
fn paths_of_clients_and_pools_lead_to_telemark() {
    check(
        "use reqwest::{Client, Url};\nfn f(c: &reqwest::Client, p: sqlx::SqlitePool) { reqwest::get(u); ::reqwest::get(u); a::reqwest::b() }",
        "use crate::__telemark::reqwest::{Client, Url};\n\
         fn f(c: &crate::__telemark::reqwest::Client, p: crate::__telemark::sqlx::SqlitePool) \
         { crate::__telemark::reqwest::get(u); crate::__telemark::reqwest::get(u); a::reqwest::b() }",
    );
    let tests = "#[cfg(test)] mod tests { fn f() -> reqwest::Client { reqwest::Client::new() } }";
    check(tests, &tests.replace("reqwest::", "crate::__telemark::reqwest::"));
    let text = "async fn f() { reqwest::get(u); axum::serve(l, r) }";
    let new = rewritten(text, Role::Test, "").apply(text);
    assert_eq!(new, text.replace("reqwest", "crate::__telemark::reqwest"), "a file of tests");
    check("use {sqlx, std::io};", "use {crate::__telemark::sqlx, std::io};");
    check(
        "fn f() { sqlx::migrate!().run(&self.pool).await; sqlx::query!(\"x\"); m.run(&pool) }",
        "fn f() { sqlx::migrate!().run(&*self.pool).await; sqlx::query!(\"x\"); m.run(&pool) }",
    );
    let text = "fn f() {} // end";
    let new = rewritten(text, Role::Library, "").apply(text);
    let module = "fn f() {} #[allow(unused_imports, unreachable_pub)] mod __telemark { pub mod reqwest { pub use ::reqwest::*; \
                  pub use ::telemark::reqwest::Client; ";
    assert!(new.starts_with(module), "{new}");
    assert!(
        new.contains("pub mod sqlite { pub use ::sqlx::sqlite::*; pub use ::telemark::sqlx::SqliteConnection; "),
        "{new}"
    );
    assert!(new.ends_with(" // end"), "{new}");
    syn::parse_file(&new).unwrap();
}

#[test]
fn calls_get_a_wrapper() {
    let rules = "[defaults]\nfunctions = false\n[[rule]]\ncall = ['deadpool::*::new', 'shop::inside::cart::*']\nwrap = 'observers::seen'\n";
    check_with(
        rules,
        "use deadpool as d;\nuse d::Other;\nfn f() { d::Pool::<T>::new(deadpool::x::new(1)?)\n.await; Other::new(); x.new(); m!(d::Pool::new()) }",
        "use deadpool as d;\nuse d::Other;\nfn f() { ::observers::seen(d::Pool::<T>::new(::observers::seen(deadpool::x::new(1))?))\n.await; \
         Other::new(); x.new(); m!(d::Pool::new()) }",
    );
    check_with(
        rules,
        "mod cart { impl Cart { fn add() { Self::sum(1); sum(2); super::cart::sum(3); Cart::x(4); <A as B>::sum(5) } } } \
         fn g() { cart::sum(6); crate::inside::cart::sum(7); other::cart::sum(8) }",
        "mod cart { impl Cart { fn add() { Self::sum(1); ::observers::seen(sum(2)); ::observers::seen(super::cart::sum(3)); \
         Cart::x(4); <A as B>::sum(5) } } } fn g() { ::observers::seen(cart::sum(6)); ::observers::seen(crate::inside::cart::sum(7)); \
         other::cart::sum(8) }",
    );
    let tests = "#[cfg(test)] mod tests { fn f() { deadpool::Pool::new() } }";
    check_with(rules, tests, tests);
    check_with(
        rules,
        "fn f() { println!(\"{} {a}\", deadpool::x::new(), a = vec![deadpool::x::new()]); assert!(deadpool::x::new()); vec![deadpool::x::new(); 2]; }",
        "fn f() { println!(\"{} {a}\", ::observers::seen(deadpool::x::new()), a = vec![::observers::seen(deadpool::x::new())]); \
         assert!(deadpool::x::new()); vec![deadpool::x::new(); 2]; }",
    );
    let elsewhere = "[[rule]]\ncall = 'a::b'\nwrap = 'crate::c'\n";
    check_with(elsewhere, "fn f() { a::b() }", "fn f() { crate::c(a::b()) }");
    for condition in ["crate = 'other'", "file = 'src/lib.rs'"] {
        check_with(&format!("{elsewhere}{condition}"), "fn f() { a::b() }", "fn f() { a::b() }");
    }
    for off in ["crate = 'shop'", "file = 'src/*'"] {
        check_with(&format!("[off]\n{off}\n{elsewhere}"), "fn f() { a::b() }", "fn f() { a::b() }");
    }
    // The first rule that matches decides, also before those of Telemark.
    let of_spawn = "[[rule]]\ncall = 'tokio::spawn'\nwrap = 'a::b'\n[[rule]]\ncall = 'tokio::*'\nwrap = 'c::d'\n";
    check_with(
        of_spawn,
        "async fn f() { tokio::spawn(g()); tokio::join() }",
        "#[traced(below)] async fn f() { ::a::b(tokio::spawn(g())); ::c::d(tokio::join()) }",
    );
}

#[test]
fn paths_are_replaced_by_a_module_of_the_root() {
    let rules = "[defaults]\nsqlx = false\nreqwest = false\n[[rule]]\nreplace = 'deadpool::managed::Pool'\nwith = 'observers::Deadpool'\n\
                 [[rule]]\nreplace = 'deadpool::managed::Pool'\nwith = 'never::Pool'\n\
                 [[rule]]\nreplace = 'deadpool::connect'\nwith = 'crate::pools::connect'\n";
    check_with(
        rules,
        "use deadpool::{Runtime, managed::{self, Object}};\nuse deadpool::{Runtime, Status};\nuse deadpool::managed::*; use deadpool::other::*;\n\
         fn f(p: managed::Pool<T>, o: deadpool::managed::Object) { deadpool::connect(); ::deadpool::managed::Pool::<T>::new(); deadpool::other() }",
        "use crate::__telemark::deadpool::{Runtime, managed::{self, Object}};\nuse deadpool::{Runtime, Status};\n\
         use crate::__telemark::deadpool::managed::*; use deadpool::other::*;\n\
         fn f(p: managed::Pool<T>, o: deadpool::managed::Object) { crate::__telemark::deadpool::connect(); \
         crate::__telemark::deadpool::managed::Pool::<T>::new(); deadpool::other() }",
    );
    let local = "mod deadpool { fn connect() {} } fn f() { deadpool::connect() }";
    check_with(rules, local, local);
    let imported = "use a::deadpool; fn f() { deadpool::connect() }";
    check_with(rules, imported, imported);
    let of_other_crate = format!("{rules}crate = 'other'\n");
    check_with(&of_other_crate, "fn f() { deadpool::connect() }", "fn f() { deadpool::connect() }");
    let module = "mod a; #[allow(unused_imports, unreachable_pub)] mod __telemark { pub mod deadpool { pub use ::deadpool::*; \
                  pub use crate::pools::connect; pub mod managed { pub use ::deadpool::managed::*; pub use ::observers::Deadpool as Pool; } } }";
    assert_eq!(rewritten("mod a;", Role::Library, rules).apply("mod a;"), module);
    let mut without = rewritten("mod a;", Role::Library, rules);
    without.drop_module();
    assert_eq!((without.apply("mod a;"), without.changes), ("mod a;".to_owned(), Vec::new()));
    // A rule about a crate comes in place of Telemark's own.
    let rules = "[[rule]]\nreplace = 'reqwest::Client'\nwith = 'observers::Client'\n";
    check_with(rules, "fn f() { reqwest::get() }", "fn f() { reqwest::get() }");
}

#[test]
fn a_crate_that_may_be_absent_is_replaced_under_its_condition() {
    let rules = Rules::parse("[defaults]\nsqlx = false\n").unwrap();
    let mut edges = edges(&rules);
    edges.conditions.insert("reqwest".to_owned(), "feature = \"client\"".to_owned());
    let none = BTreeSet::new();
    let new = rewrite(&source("mod a;", Role::Library, &edges, &none), &rules).unwrap().apply("mod a;");
    assert!(new.contains("mod __telemark { #[cfg(feature = \"client\")] pub mod reqwest {"), "{new}");
    syn::parse_file(&new).unwrap();
}

#[test]
fn files_that_are_left_alone_have_a_reason() {
    let rules = Rules::default();
    let (edges, none) = (edges(&rules), BTreeSet::new());
    let reason = |text, role| rewrite(&source(text, role, &edges, &none), &rules).unwrap_err();
    assert_eq!(reason("// @generated\n", Role::Module), "generated");
    assert_eq!(reason("#![no_std]\n", Role::Library), "no_std");
    assert!(reason("fn f( {", Role::Module).starts_with("line 1: "));
}

#[test]
fn the_smallest_change_around_an_error_is_the_suspect() {
    let text = "async fn f() {\n    tokio::spawn(a());\n    b()\n}\n";
    let rewritten = rewritten(text, Role::Module, "");
    let suspects = |line| rewritten.suspects(line).iter().map(|change| change.what.clone()).collect::<Vec<_>>();
    assert!(matches!(&*suspects(2), [What::Call(_)]));
    assert!(matches!(&*suspects(3), [What::Span(path, _)] if path == "shop::inside::f"));
    assert_eq!(suspects(5), []);
}

const RULES: [&str; 5] = [
    "",
    "[[rule]]\nspan = 'root'\nfields = ['a = \"é\"']",
    "[defaults]\nsqlx = false",
    "[[rule]]\ncall = '**'\nwrap = 'a::é'\n[[rule]]\nreplace = 'tokio::task'\nwith = 'crate::task'",
    "[[rule]]\ncall = ['**::spawn', '**::serve']\nwrap = 'crate::x'\n[[rule]]\nreplace = 'x::y::Z'\nwith = 'telemark::Z'",
];

const PIECES: [&str; 40] = [
    "async fn f() { a(); b() }",
    "pub(crate) async unsafe fn f<'a, T: X>(self: &'a Self) -> impl Y + use<'a> where T: Z { a(); b() }",
    "fn f() -> Result { struct Result; a(); b(); Result }",
    "fn main() { }",
    "async fn main() { #![allow(x)] a(); axum::serve(l, r).await; }",
    "impl A { ",
    "impl<T> B<T> for T { ",
    "trait C { ",
    "mod d { ",
    "#[cfg(test)] mod tests { ",
    "#[cfg(unix)] mod e { ",
    "} ",
    "}\n",
    "/// Documents: é, 日本.\n",
    "//! Inner.\n",
    "/* a /* nested */ comment */ ",
    "// a comment\r\n",
    "\n",
    "\r\n",
    "#[path = \"x.rs\"] mod f; ",
    "use tokio::{spawn, task::{self as t}}; ",
    "use reqwest::Client; ",
    "use ::x::y::{self, Z as W}; use x::*; ",
    "mod x { fn f() -> ::x::y::Z { ::x::y::Z::new(x::y::Z(1), <A as x::y::Z>::f())(2) } } ",
    "const T: U = x::y::Z::new(#[a] b(c), |d| e(d)?.f(g()), match h() { _ => i!(j()) }); ",
    "use sqlx; ",
    "async fn g() { tokio::spawn(async move { tokio::spawn(x) }); loop { l.accept(); spawn(y) } }",
    "fn h(p: sqlx::SqlitePool, c: reqwest::Client) { sqlx::migrate!(\"x\").run(&p) }",
    "fn i() { axum::serve(l, axum::serve(l, r.into_make_service())) }",
    "macro_rules! m { ($($t:tt)*) => { async fn f() { a(); b() } } }",
    "unsafe extern \"C\" { fn f(); }",
    "#[unsafe(no_mangle)] pub extern \"C\" fn j() {} ",
    "const K: &str = r#\"fn f() { \n } \"#; ",
    "static L: [u8; 2] = *b\"\\\"{\"; ",
    "fn r#async() -> char { '\\'' } ",
    "#[async_trait::async_trait] impl M for N { async fn o(&self) { a(); b() } }",
    "enum P { Q = { fn q() {} 1 } } ",
    "fn u() { write!(f, \"é {}\", x::y::Z::new(spawn(1)),).and(vec![a::b(), vec![c()]]); format!(\"{a}\", a = d()) } ",
    "#![deny(warnings)] ",
    "default async fn s() { a(); b() }",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_source_keeps_its_lines_and_bytes(
        head in prop::sample::select(&["", "\u{feff}", "#!/bin/x\n", "\u{feff}#!x\r\n", "#![a]\n"][..]),
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..10),
        role in prop::sample::select(&[Role::Binary, Role::Library, Role::Module, Role::Test][..]),
        rules in prop::sample::select(&RULES[..]),
    ) {
        let mut text = format!("{head}{}", pieces.concat());
        // Blocks that are open end somewhere.
        let open = pieces.iter().filter(|piece| piece.ends_with("{ ")).count();
        let closed = pieces.iter().filter(|piece| piece.starts_with("} ") || piece.starts_with("}\n")).count();
        text.extend(std::iter::repeat_n("}", open.saturating_sub(closed)));
        holds(&text, role, rules);
    }
}

/// This repository's sources are a sample of real ones.
#[test]
fn real_sources_keep_their_lines_and_bytes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<_> =
        ["cli", "src", "examples", "macros", "integrations/sqlx"].map(|name| root.join(name)).into();
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                holds(&text, Role::Binary, "[[rule]]\nspan = 'always'\n");
                files += 1;
            }
        }
    }
    assert!(files > 60, "{files}");
}

#[test]
fn what_does_not_compile_around_a_call_or_in_main_is_noted() {
    let text = "fn main() {\n    axum::serve(listener, app);\n}\n";
    let rules = Rules::parse("").unwrap();
    let (edges, none) = (edges(&rules), BTreeSet::new());
    let whole = rewrite(&source(text, Role::Binary, &edges, &none), &rules).unwrap();
    let left_out = whole.changes.iter().map(|change| change.offset).collect();
    let rest = rewrite(&source(text, Role::Binary, &edges, &left_out), &rules).unwrap();
    let noted = rest.left.iter().map(|left| (left.path.as_str(), left.line, left.why));
    let noted: Vec<_> = noted.filter(|(_, _, why)| [Why::NotStarted, Why::NotAround].contains(why)).collect();
    assert_eq!(noted, [("main", 1, Why::NotStarted), ("axum::serve", 2, Why::NotAround)]);
    assert_eq!(rest.apply(text), text);
}
