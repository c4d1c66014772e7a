//! The calls that are facts: tasks without context, clients, pools, and errors that are dropped.

use syn::{Expr, ExprCall, ExprMacro, ExprMethodCall};

use super::facts::Call;

/// Macros that print.
const PRINTING: [&str; 5] = ["println", "eprintln", "print", "eprint", "dbg"];
/// Words in the argument of a spawn that show that it takes its context along.
const HANDED_OVER: [&str; 5] = ["propagate", "instrument", "in_current_span", "with_context", "with_current_context"];
/// The constructors of sqlx's pools and connections.
const CONNECTORS: [&str; 5] = ["connect", "connect_with", "connect_lazy", "connect_lazy_with", "new"];
/// The databases whose pools Telemark wraps, by the start of the name of their types.
const DATABASES: [&str; 3] = ["Sqlite", "Pg", "MySql"];

/// Returns the fact that a call of this full path is, if it is one. `text` returns its source.
pub(super) fn of_path<'t>(full: &[String], text: impl FnOnce() -> &'t str) -> Option<Call> {
    let path: Vec<_> = full.iter().map(String::as_str).collect();
    let shown = || full.join("::");
    match path.as_slice() {
        ["tokio", "spawn"]
        | ["tokio", "task", "spawn" | "spawn_blocking" | "spawn_local"]
        | ["std", "thread", "spawn"]
        | ["async_std" | "smol", .., "spawn"] => {
            let is_handed_over = {
                let text = text();
                HANDED_OVER.iter().any(|word| text.contains(word))
            };
            (!is_handed_over).then(|| Call::Spawn(shown()))
        }
        ["reqwest", "Client", "new" | "builder" | "default"]
        | ["reqwest", "ClientBuilder", "new"]
        | ["reqwest", "get"] => Some(Call::Client("reqwest", shown())),
        ["hyper_util", "client", "legacy", "Client", "builder"] => Some(Call::Client("hyper-util", shown())),
        ["tonic", "transport", "Channel" | "Endpoint", "from_static" | "from_shared" | "builder" | "new"]
        | [
            "tonic",
            "transport",
            "channel",
            "Channel" | "Endpoint",
            "from_static" | "from_shared" | "builder" | "new",
        ] => Some(Call::Client("tonic", shown())),
        [.., module, client, "connect"] if client.ends_with("Client") && module.ends_with("_client") => {
            Some(Call::Client("tonic", shown()))
        }
        ["sqlx", .., owner, connector] if CONNECTORS.contains(connector) && is_pool(owner, connector) => {
            Some(Call::Pool(shown()))
        }
        _ => None,
    }
}

fn is_pool(owner: &str, connector: &str) -> bool {
    if owner == "PoolOptions" {
        return connector == "new";
    }
    let rest = DATABASES.iter().find_map(|database| owner.strip_prefix(database));
    match rest {
        Some("PoolOptions") => connector == "new",
        Some("Pool" | "Connection") => connector != "new",
        _ => owner == "Pool" && connector != "new",
    }
}

/// Returns the fact that a macro is.
pub(super) fn of_macro(path: &[String]) -> Option<Call> {
    let name = path.last().filter(|name| PRINTING.contains(&name.as_str()) && (path.len() == 1 || path[0] == "std"))?;
    Some(Call::Print(format!("{name}!")))
}

/// Returns the name of the function or the method whose result an expression is: `commit` for `pool.commit().await`.
pub(super) fn callee(of: &Expr) -> Option<String> {
    match of {
        Expr::Await(of) => callee(&of.base),
        Expr::Paren(of) => callee(&of.expr),
        Expr::MethodCall(ExprMethodCall { method, .. }) => Some(method.to_string()),
        Expr::Call(ExprCall { func, .. }) => match &**func {
            Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        },
        Expr::Macro(ExprMacro { .. }) => None,
        _ => None,
    }
}
