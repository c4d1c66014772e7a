//! The facts about the source of a workspace.

use std::collections::BTreeSet;
use std::ops::Range;

use super::routed::{Routed, Step};

/// All facts, in the order of the files and of their lines.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) functions: Vec<Function>,
    pub(crate) spots: Vec<Spot>,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) served: Vec<Served>,
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

impl Function {
    /// Returns the name with that of its type.
    pub(crate) fn shown(&self) -> String {
        match &self.owner {
            Some(owner) => format!("{owner}::{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Returns the entry point that the method of a gRPC service is: it takes a request of tonic and returns its response.
    pub(super) fn grpc(&self) -> Option<Handler> {
        let takes = |(_, of): &(String, String)| of.contains("Request<");
        let is_method = self.is_async
            && self.of_trait.is_some()
            && self.parameters.iter().any(takes)
            && self.returns.contains("Response<")
            && (self.returns.contains("Status") || self.returns.contains("tonic::Result"));
        is_method.then(|| Handler {
            file: self.file,
            line: self.line,
            name: self.shown(),
            route: None,
            kind: Protocol::Grpc,
        })
    }
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
    /// `tonic::transport::Server::builder()`, at these bytes, the start of a chain of calls.
    GrpcServer(Range<usize>),
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

/// A router that is handed to a server.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) file: usize,
    pub(crate) function: usize,
    /// The bytes of the router's expression, without `into_make_service`.
    pub(crate) bytes: Range<usize>,
    pub(crate) router: Routed,
    pub(crate) line: usize,
}
