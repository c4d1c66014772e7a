//! The checks: what is a finding, and what to do about it.

use std::collections::{BTreeSet, HashMap};

use crate::source::coverage::{covered, functions_of};
use crate::source::facts::{Call, Drop, Function, Handler, Protocol, Spot};
use crate::source::libraries;
use crate::source::program::Program;
use crate::zero::rewrite::Role;

/// The names of the checks.
pub(crate) const CHECKS: [&str; 6] = ["handler", "spawn", "client", "pool", "print", "error"];

/// Functions of libraries that return an error which matters.
const FALLIBLE: [&str; 14] = [
    "commit",
    "copy",
    "create_dir_all",
    "execute",
    "fetch_all",
    "fetch_one",
    "fetch_optional",
    "publish",
    "remove_dir_all",
    "remove_file",
    "rename",
    "rollback",
    "sync_all",
    "write_all",
];
/// Functions whose error says that the other side has ended, or that the work was done before.
const HARMLESS: [&str; 12] = [
    "ctrl_c",
    "send",
    "try_send",
    "blocking_send",
    "join",
    "set",
    "try_init",
    "dotenv",
    "reply",
    "close",
    "shutdown",
    "flush",
];

/// Something to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    /// The index of its file.
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) finding: String,
    pub(crate) advice: String,
    /// True if it is about an entry point that has no span.
    pub(crate) is_entry_point: bool,
}

fn library(handler: &Handler) -> &'static str {
    match handler.kind {
        Protocol::Http => "axum",
        Protocol::Grpc => "tonic",
    }
}

fn of_handler(handler: &Handler) -> Finding {
    let route = handler.route.as_ref().map(|route| format!(" of {route}")).unwrap_or_default();
    let advice = match handler.kind {
        Protocol::Http => {
            "put `.layer(telemark::axum::layer())` after the last route of its router, or `#[telemark::traced]` on the handler"
        }
        Protocol::Grpc => "build the server with `Server::builder().layer(telemark::tonic::server_layer())`",
    };
    Finding {
        check: "handler",
        file: handler.file,
        line: handler.line,
        finding: format!("the handler{route}, {}, has no span", shown(&handler.name)),
        advice: advice.to_owned(),
        is_entry_point: true,
    }
}

fn shown(name: &str) -> String {
    if name.contains(' ') { name.to_owned() } else { format!("`{name}`") }
}

/// A program, and what the checks ask for.
pub(crate) struct Audit<'a> {
    program: &'a Program,
    /// The functions that run in a request: handlers, and those with a span.
    in_requests: BTreeSet<usize>,
    /// True for each package of examples alone.
    has_only_examples: Vec<bool>,
    /// The functions of each package by their name: true if all of them return a `Result`.
    returns_result: HashMap<(usize, &'a str), bool>,
}

impl<'a> Audit<'a> {
    pub(crate) fn new(program: &'a Program) -> Audit<'a> {
        let mut in_requests = BTreeSet::new();
        let mut handlers = BTreeSet::new();
        for index in 0..program.facts.handlers.len() {
            handlers.extend(functions_of(program, index).into_iter().map(|function| (function.file, function.line)));
        }
        let mut returns_result = HashMap::new();
        for (index, function) in program.facts.functions.iter().enumerate() {
            if !function.in_test && (function.has_span || handlers.contains(&(function.file, function.line))) {
                in_requests.insert(index);
            }
            let package = program.files[function.file].package;
            let all = returns_result.entry((package, function.name.as_str())).or_insert(true);
            *all &= function.returns.contains("Result");
        }
        let packages = &program.workspace.packages;
        let is_example = |root: &crate::zero::shadow::workspace::Root| root.is_example || root.role == Role::Test;
        let has_only_examples = packages.iter().map(|package| package.roots.iter().all(is_example)).collect();
        Audit { program, in_requests, has_only_examples, returns_result }
    }

    /// Returns the number of entry points, and everything that the checks find in the order of files and lines.
    pub(crate) fn findings(&self) -> (usize, Vec<Finding>) {
        let mut findings = Vec::new();
        let covered = covered(self.program);
        let mut entry_points = 0;
        for (index, handler) in self.program.facts.handlers.iter().enumerate() {
            if !self.reads(handler.file) || !self.fits(library(handler)) {
                continue;
            }
            entry_points += 1;
            if !covered.contains(&index) {
                findings.push(of_handler(handler));
            }
        }
        findings.extend(self.program.facts.spots.iter().filter_map(|spot| self.of_spot(spot)));
        let place = |finding: &Finding| (self.program.files[finding.file].shown.clone(), finding.line);
        findings.sort_by_cached_key(place);
        (entry_points, findings)
    }

    /// Returns true for a file that is audited. The examples of a library show its use, and are no service.
    pub(crate) fn reads(&self, file: usize) -> bool {
        let of = &self.program.files[file];
        of.role != Role::Test
            && (!of.is_example || self.has_only_examples[of.package])
            && !self.program.rules.audit.leaves_out(&of.shown)
    }

    fn of_spot(&self, spot: &Spot) -> Option<Finding> {
        if !self.reads(spot.file) {
            return None;
        }
        let function = &self.program.facts.functions[spot.function];
        let is_request = self.in_requests.contains(&spot.function);
        let (check, finding, advice) = match &spot.what {
            Call::Spawn(path) if is_request && !spot.in_accept_loop => of_spawn(path),
            Call::Client(library, path) if self.is_bare(library, function) => of_client(library, path),
            Call::Pool(path) if self.fits("sqlx") && !self.logs_statements(spot.file) => (
                "pool",
                format!("statements behind `{path}` have no span"),
                "take the types with these names from `telemark::sqlx`".to_owned(),
            ),
            Call::Print(name) => self.of_print(name, function, is_request)?,
            Call::Dropped { callee, how } if (spot.in_async || is_request) && self.is_error(callee, *how, function) => {
                (
                    "error",
                    format!("the error of `{callee}` is dropped"),
                    "return it with `?`, handle it, or log it".to_owned(),
                )
            }
            _ => return None,
        };
        Some(Finding { check, file: spot.file, line: spot.line, finding, advice, is_entry_point: false })
    }

    fn fits(&self, library: &str) -> bool {
        libraries::fits(&self.program.lock, library)
    }

    /// Returns true if nothing near the constructor of a client wraps it.
    fn is_bare(&self, library: &str, function: &Function) -> bool {
        let wrappers: &[&str] = match library {
            "reqwest" => &["telemark::reqwest::middleware", "telemark_reqwest"],
            "tonic" => &["telemark::tonic::client_layer", "telemark_tonic"],
            _ => &["telemark::hyper", "telemark_hyper"],
        };
        let in_file = self.program.facts.functions.iter().filter(|other| other.file == function.file);
        let mut mentions = in_file.flat_map(|other| &other.mentions);
        self.fits(library) && !mentions.any(|path| wrappers.iter().any(|wrapper| path.starts_with(wrapper)))
    }

    /// Returns true if the layer for `tracing`, which makes a span of each statement that sqlx logs, is installed in this program or in
    /// another one of the workspace that is no example.
    fn logs_statements(&self, file: usize) -> bool {
        let of = &self.program.files[file];
        self.program.facts.functions.iter().any(|function| {
            let other = &self.program.files[function.file];
            let is_near = (other.package, &other.krate) == (of.package, &of.krate) || !other.is_example;
            let installs =
                |path: &String| path.starts_with("telemark::tracing") || path.starts_with("telemark_tracing");
            is_near && !function.in_test && function.mentions.iter().any(installs)
        })
    }

    fn of_print(&self, name: &str, function: &Function, is_request: bool) -> Option<(&'static str, String, String)> {
        if name == "dbg!" {
            return Some(("print", "`dbg!` is left over".to_owned(), "remove it".to_owned()));
        }
        let is_service = is_request || function.is_async && !function.is_main && self.is_library(function.file);
        if !is_service && !self.program.rules.audit.prints_everywhere {
            return None;
        }
        let advice = "log with `tracing`, whose events are records of the trace";
        Some(("print", format!("`{name}` writes past the logs"), advice.to_owned()))
    }

    fn is_library(&self, file: usize) -> bool {
        let of = &self.program.files[file];
        let files = self.program.files.iter();
        files.into_iter().any(|other| {
            (other.package, &other.krate, other.role) == (of.package, &of.krate, Role::Library)
                && of.role != Role::Binary
        })
    }

    /// Returns true if a call looks as if it returned an error that matters.
    fn is_error(&self, callee: &str, how: Drop, function: &Function) -> bool {
        if function.is_main || function.of_trait.as_deref() == Some("Drop") || HARMLESS.contains(&callee) {
            return false;
        }
        let package = self.program.files[function.file].package;
        how == Drop::Ok || FALLIBLE.contains(&callee) || self.returns_result.get(&(package, callee)) == Some(&true)
    }
}

fn of_spawn(path: &str) -> (&'static str, String, String) {
    let spawn = match path {
        "std::thread::spawn" => "telemark::thread::spawn",
        _ if path.ends_with("spawn_blocking") => "telemark::spawn_blocking",
        _ if path.ends_with("spawn_local") => "telemark::spawn_local",
        _ => "telemark::spawn",
    };
    let advice = match path.starts_with("tokio") || path.starts_with("std") {
        true => format!("call `{spawn}`, or wrap what is spawned in `telemark::propagate(..)` or `propagate_fn(..)`"),
        false => "wrap what is spawned in `telemark::propagate(..)`".to_owned(),
    };
    ("spawn", format!("`{path}` leaves the trace of its request"), advice)
}

fn of_client(library: &str, path: &str) -> (&'static str, String, String) {
    let advice = match library {
        "reqwest" => "write `use telemark::reqwest;`, so that its path leads there",
        "tonic" => {
            "wrap the channel: `ServiceBuilder::new().layer(telemark::tonic::client_layer(target)).service(channel)`"
        }
        _ => "wrap the client: `telemark::hyper::client(client)`",
    };
    ("client", format!("calls through `{path}` have no span and send no context"), advice.to_owned())
}
