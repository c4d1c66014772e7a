//! The facts about the source of a workspace.

use std::collections::BTreeSet;

use super::routed::Step;

/// All facts, in the order of the files and of their lines.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) functions: Vec<Function>,
    pub(crate) spots: Vec<Spot>,
    pub(crate) handlers: Vec<Handler>,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    /// The index of its file.
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) name: String,
    /// The modules that lead to it, without the crate.
    pub(crate) modules: Vec<String>,
    /// The type or the trait of a method.
    pub(crate) owner: Option<String>,
    /// The trait that a method implements.
    pub(crate) of_trait: Option<String>,
    pub(crate) is_async: bool,
    /// True for the `main` of a program.
    pub(crate) is_main: bool,
    /// True if an attribute gives it a span.
    pub(crate) has_span: bool,
    pub(crate) in_test: bool,
    /// The type that it returns, as written.
    pub(crate) returns: String,
    /// The names and types of its parameters, as written.
    pub(crate) parameters: Vec<(String, String)>,
    /// The paths that lead to Telemark, and other layers that make spans, as full paths.
    pub(crate) mentions: BTreeSet<String>,
    /// The steps that may concern routers.
    pub(crate) body: Vec<Step>,
}

/// A call that concerns telemetry.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) file: usize,
    pub(crate) line: usize,
    /// The index of the function around it.
    pub(crate) function: usize,
    pub(crate) what: Call,
    /// True within a loop that accepts connections.
    pub(crate) in_accept_loop: bool,
    /// True within an async function or block.
    pub(crate) in_async: bool,
}

/// The kind of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// A task or a thread begins without the context.
    Spawn(String),
    /// A client of this library is made.
    Client(&'static str, String),
    /// A pool or a connection of sqlx is made.
    Pool(String),
    /// A macro prints.
    Print(String),
    /// The error of a call is dropped.
    Dropped { callee: String, how: Drop },
}

/// The way in which an error is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drop {
    /// `let _ =`
    Ignored,
    /// `.ok();`
    Ok,
}

/// A handler of a route, or the method of a gRPC service.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) name: String,
    /// The route, if it is a literal.
    pub(crate) route: Option<String>,
    pub(crate) kind: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Grpc,
}
