//! Paths that lead to Telemark's crates in place of the program's: reqwest's client and sqlx's pools.

use proc_macro2::Ident;
use syn::{Expr, ExprMethodCall};

use super::Edges;
use super::syntax::bytes;
use crate::zero::rules::Rules;

/// The module that each root gets, in which sqlx has Telemark's pools.
pub(super) const MODULE: &str = "__telemark";

/// Returns the replaced crate, and what comes before a path that begins with this name.
pub(super) fn prefix(first: &Ident, edges: &Edges, rules: &Rules) -> Option<(&'static str, String)> {
    if first == "reqwest" && edges.reqwest && rules.defaults.reqwest {
        return Some(("reqwest", "::telemark::".to_owned()));
    }
    if first == "sqlx" && has_sqlx(edges, rules) {
        return Some(("sqlx", format!("crate::{MODULE}::")));
    }
    None
}

fn has_sqlx(edges: &Edges, rules: &Rules) -> bool {
    !edges.sqlx.is_empty() && rules.defaults.sqlx
}

/// Returns the module with sqlx's names, of which those of pools are Telemark's.
pub(super) fn sqlx(edges: &Edges, rules: &Rules) -> Option<String> {
    if !has_sqlx(edges, rules) {
        return None;
    }
    let mut all = vec!["Pool".to_owned(), "Transaction".to_owned()];
    let mut modules = String::new();
    for database in &edges.sqlx {
        let prefix = match *database {
            "sqlite" => "Sqlite",
            "postgres" => "Pg",
            _ => "MySql",
        };
        let named = |suffix: &str| format!("{prefix}{suffix}");
        all.extend(["Pool", "Connection", "Transaction"].map(named));
        let inside = ["Pool", "PoolOptions", "Connection", "Transaction"].map(named).join(", ");
        modules.push_str(&module(database, &inside));
    }
    modules.push_str(&module("pool", "PoolOptions, PoolConnection"));
    let all = all.join(", ");
    Some(format!(
        " #[allow(unused_imports)] mod {MODULE} {{ pub(crate) mod sqlx {{ pub(crate) use ::sqlx::*; \
         pub(crate) use ::telemark::sqlx::{{{all}}}; {modules}}} }}"
    ))
}

fn module(name: &str, names: &str) -> String {
    format!(
        "pub(crate) mod {name} {{ pub(crate) use ::sqlx::{name}::*; pub(crate) use ::telemark::sqlx::{{{names}}}; }} "
    )
}

/// Returns the offset of the pool in `migrator.run(&pool)`, if the migrator is made in the same expression.
pub(super) fn migrated_pool(call: &ExprMethodCall, edges: &Edges, rules: &Rules) -> Option<usize> {
    let is_migrator = match &*call.receiver {
        Expr::Macro(of) => of.mac.path.segments.last().is_some_and(|last| last.ident == "migrate"),
        _ => false,
    };
    if !is_migrator || call.method != "run" || !has_sqlx(edges, rules) {
        return None;
    }
    match call.args.first()? {
        Expr::Reference(reference) if reference.mutability.is_none() => match &*reference.expr {
            // With the star, it is rewritten already.
            pool @ (Expr::Path(_) | Expr::Field(_)) => Some(bytes(pool).start),
            _ => None,
        },
        _ => None,
    }
}
