//! The rules about calls and paths. Telemark's own are entries of the same table as those of `telemark.toml`, and come after them.

use super::pattern::Pattern;
use super::{Condition, Defaults};

/// The beginnings of the versions of the libraries that Telemark's own edges know.
pub(crate) const AXUM: &str = "0.8";
pub(crate) const REQWEST: &str = "0.13";
pub(crate) const SQLX: &str = "0.9";

/// The names of sqlx that all databases share and for which Telemark has types, with their modules.
pub(crate) const SHARED_BY_DATABASES: [(&str, &str); 4] =
    [("", "Pool"), ("", "Transaction"), ("pool", "PoolOptions"), ("pool", "PoolConnection")];
/// The ends of the names that each database has in its module.
pub(crate) const OF_DATABASE: [&str; 4] = ["Pool", "PoolOptions", "Connection", "Transaction"];
/// The modules and the starts of names of the databases.
pub(crate) const DATABASES: [(&str, &str); 3] = [("sqlite", "Sqlite"), ("postgres", "Pg"), ("mysql", "MySql")];

/// A rule about calls, or about the paths of a crate.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    /// The line of the rule in `telemark.toml`; `None` for Telemark's own.
    pub(crate) line: Option<usize>,
    /// The effect, as `explain` shows it.
    pub(crate) shown: String,
    pub(crate) condition: Condition,
    /// The packages that the edge needs, with the beginnings of their versions.
    pub(crate) needs: Vec<(String, String)>,
    /// The start of a feature that the program must enable on the replaced crate.
    pub(crate) enabled: Option<&'static str>,
    /// The features of `telemark` that the edge needs.
    pub(crate) features: Vec<String>,
    pub(crate) act: Act,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Puts something around the calls with these paths.
    Call(Vec<Pattern>, Around),
    /// Lets paths of one crate lead elsewhere.
    Paths(Vec<Replaced>),
}

/// The text around a call or one of its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    /// The index of the argument, and the number of arguments of a call that has it; `None` for the call itself.
    pub(crate) argument: Option<(usize, usize)>,
    /// The start of the names of methods at the end of the argument that stay outside.
    pub(crate) outside: Option<&'static str>,
    pub(crate) before: String,
    pub(crate) after: String,
    /// True if it is only put within functions with a span, and not in loops that accept connections.
    pub(crate) needs_span: bool,
}

/// A path that leads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// The crate, its modules and the name.
    pub(crate) path: Vec<String>,
    /// The path in its place, which begins with `::` or `crate::`.
    pub(crate) with: String,
}

impl Edge {
    /// Returns the name of the crate whose paths are replaced.
    pub(crate) fn replaced(&self) -> Option<&str> {
        match &self.act {
            Act::Paths(paths) => paths.first()?.path.first().map(String::as_str),
            Act::Call(..) => None,
        }
    }

    /// Returns the names of the crates that the inserted code refers to.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &str> {
        let (call, paths) = match &self.act {
            Act::Call(_, around) => (Some(around.before.as_str()), &[][..]),
            Act::Paths(paths) => (None, paths.as_slice()),
        };
        let inserted = call.into_iter().chain(paths.iter().map(|replaced| replaced.with.as_str()));
        inserted.filter_map(|path| path.strip_prefix("::")?.split("::").next())
    }

    /// Returns true if a compile error with this text is about the types that the edge brings.
    pub(crate) fn is_cause(&self, error: &str) -> bool {
        let Act::Paths(paths) = &self.act else { return false };
        paths.iter().any(|replaced| {
            let with = replaced.with.trim_start_matches("::");
            match (with.strip_prefix("telemark::"), self.replaced()) {
                // The facade's types are those of a crate of its own.
                (Some(_), Some(krate)) => {
                    error.contains(&format!("telemark_{krate}")) || error.contains(&format!("telemark::{krate}"))
                }
                _ => error.contains(with),
            }
        })
    }
}

/// Returns Telemark's own edges.
pub(super) fn defaults(defaults: Defaults) -> Vec<Edge> {
    let mut edges = Vec::new();
    if defaults.axum {
        let layer = Around {
            argument: Some((1, 2)),
            outside: Some("into_make_service"),
            before: "(".to_owned(),
            after: ").layer(::telemark::axum::layer())".to_owned(),
            needs_span: false,
        };
        let shown = "a span for each request of axum::serve";
        edges.push(Edge {
            features: vec!["axum".to_owned()],
            ..call(shown, &["axum::serve"], layer, &[("axum", AXUM)])
        });
    }
    if defaults.spawn {
        let context = Around {
            argument: Some((0, 1)),
            outside: None,
            before: "::telemark::propagate(".to_owned(),
            after: ")".to_owned(),
            needs_span: true,
        };
        edges.push(call("the context for a spawned task", &["tokio::spawn", "tokio::task::spawn"], context, &[]));
    }
    if defaults.reqwest {
        let names = ["Client", "ClientBuilder", "RequestBuilder", "get"].map(|name| format!("reqwest::{name}"));
        edges.push(facade(&names, REQWEST, "reqwest"));
    }
    if defaults.sqlx {
        edges.extend(DATABASES.map(|(database, prefix)| {
            let all = SHARED_BY_DATABASES.map(|(module, name)| match module {
                "" => name.to_owned(),
                _ => format!("{module}::{name}"),
            });
            // The options are in the module alone.
            let at_root = OF_DATABASE.into_iter().filter(|end| *end != "PoolOptions");
            let at_root = at_root.map(|end| format!("{prefix}{end}"));
            let in_module = OF_DATABASE.map(|end| format!("{database}::{prefix}{end}"));
            let names: Vec<_> =
                all.into_iter().chain(at_root).chain(in_module).map(|name| format!("sqlx::{name}")).collect();
            Edge { enabled: Some(database), ..facade(&names, SQLX, &format!("sqlx-{database}")) }
        }));
    }
    edges
}

fn call(shown: &str, paths: &[&str], around: Around, needs: &[(&str, &str)]) -> Edge {
    let patterns = paths.iter().filter_map(|path| path.parse().ok()).collect();
    edge(shown, needs, Act::Call(patterns, around))
}

/// Returns the edge that replaces names of a crate by those that the facade has in its module for this crate.
fn facade(names: &[String], version: &str, feature: &str) -> Edge {
    let paths: Vec<_> = names.iter().map(|name| name.split("::").map(str::to_owned).collect::<Vec<_>>()).collect();
    let krate = paths.first().and_then(|path| path.first()).cloned().unwrap_or_default();
    let replaced = paths.into_iter().map(|path| {
        let with = format!("::telemark::{krate}::{}", path.last().map_or("", String::as_str));
        Replaced { path, with }
    });
    let edge = edge(
        &format!("paths of {krate} lead to Telemark's types"),
        &[(&krate, version)],
        Act::Paths(replaced.collect()),
    );
    Edge { features: vec![feature.to_owned()], ..edge }
}

fn edge(shown: &str, needs: &[(&str, &str)], act: Act) -> Edge {
    Edge {
        line: None,
        shown: shown.to_owned(),
        condition: Condition::default(),
        needs: needs.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect(),
        enabled: None,
        features: Vec::new(),
        act,
    }
}
