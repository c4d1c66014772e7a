//! The handlers that are below a layer: a router keeps its handlers through functions, variables and other routers, and a layer covers
//! those that it has by then.

use std::collections::{BTreeSet, HashMap};

use super::facts::{Function, Protocol};
use super::program::Program;
use super::routed::{Routed, Step};

/// The layers that make a span for each request.
const LAYERS: [&str; 11] = [
    "telemark::axum::layer",
    "telemark::tower::layer",
    "telemark::tonic::server_layer",
    "telemark::hyper::server_layer",
    "telemark_axum",
    "telemark_tower",
    "telemark_tonic",
    "telemark_hyper",
    "axum_tracing_opentelemetry",
    "telemark::tower",
    "telemark::server",
];
/// The layer whose spans are those of `tracing`, and what makes spans of a trace of them.
const TRACING_LAYER: &str = "tower_http::trace::TraceLayer";
const TRACING: [&str; 3] = ["telemark::tracing", "telemark_tracing", "tracing_opentelemetry"];
/// The layers around a gRPC server.
const GRPC: [&str; 2] = ["telemark::tonic::server_layer", "telemark_tonic"];

/// The part of a program that a value may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Handler(usize),
    /// The parameters of the current function.
    Parameter,
}

type Parts = BTreeSet<Part>;

/// Returns the indexes of the handlers that have a span, by a layer or by their own attribute.
pub(crate) fn covered(program: &Program) -> BTreeSet<usize> {
    let mut coverage = Coverage {
        program,
        has_tracing: mentions(program, &TRACING),
        by_name: HashMap::new(),
        known: HashMap::new(),
        covered: BTreeSet::new(),
        covers_parameters: BTreeSet::new(),
    };
    for (index, function) in program.facts.functions.iter().enumerate() {
        coverage.by_name.entry(function.name.as_str()).or_default().push(index);
    }
    // A function that is asked for while it is being followed is known the second time.
    for _ in 0..2 {
        coverage.known.clear();
        for index in 0..program.facts.functions.len() {
            coverage.of_function(index);
        }
    }
    let has_grpc_layer = mentions(program, &GRPC);
    let mut covered = coverage.covered;
    for (index, handler) in program.facts.handlers.iter().enumerate() {
        let is_covered = match handler.kind {
            Protocol::Grpc => has_grpc_layer || has_own_span(program, index),
            Protocol::Http => has_own_span(program, index),
        };
        if is_covered {
            covered.insert(index);
        }
    }
    covered
}

/// Returns true if the code mentions one of these paths outside of tests.
fn mentions(program: &Program, paths: &[&str]) -> bool {
    let functions = program.facts.functions.iter().filter(|function| !function.in_test);
    functions.flat_map(|function| &function.mentions).any(|path| is_one_of(path, paths))
}

fn is_one_of(path: &str, paths: &[&str]) -> bool {
    paths.iter().any(|known| path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
}

/// Returns the functions that a handler is: those with its name, in its file if there is one.
pub(crate) fn functions_of(program: &Program, handler: usize) -> Vec<&Function> {
    let handler = &program.facts.handlers[handler];
    let name = handler.name.rsplit("::").next().unwrap_or_default();
    let named = |function: &&Function| function.name == name && !function.in_test;
    let in_file: Vec<_> =
        program.facts.functions.iter().filter(named).filter(|function| function.file == handler.file).collect();
    if !in_file.is_empty() {
        return in_file;
    }
    let package = program.files[handler.file].package;
    program
        .facts
        .functions
        .iter()
        .filter(named)
        .filter(|function| program.files[function.file].package == package)
        .collect()
}

fn has_own_span(program: &Program, handler: usize) -> bool {
    functions_of(program, handler).iter().any(|function| function.has_span)
}

struct Coverage<'a> {
    program: &'a Program,
    /// True if spans of `tracing` are spans of a trace.
    has_tracing: bool,
    by_name: HashMap<&'a str, Vec<usize>>,
    /// The parts of what each function returns.
    known: HashMap<usize, Parts>,
    covered: BTreeSet<usize>,
    /// The functions that put a layer on what they are given.
    covers_parameters: BTreeSet<usize>,
}

impl Coverage<'_> {
    fn of_function(&mut self, index: usize) -> Parts {
        if let Some(known) = self.known.get(&index) {
            return known.clone();
        }
        // Until it is followed to its end.
        self.known.insert(index, Parts::new());
        let function = &self.program.facts.functions[index];
        let mut variables: HashMap<String, Parts> = HashMap::new();
        for (name, _) in &function.parameters {
            variables.insert(name.clone(), Parts::from([Part::Parameter]));
        }
        let parts = self.block(&function.body, index, &mut variables);
        self.known.insert(index, parts.clone());
        parts
    }

    fn block(&mut self, steps: &[Step], function: usize, variables: &mut HashMap<String, Parts>) -> Parts {
        let mut last = Parts::new();
        for step in steps {
            last = self.value(&step.value, function, variables);
            if let Some(name) = &step.variable {
                variables.insert(name.clone(), std::mem::take(&mut last));
            }
        }
        last
    }

    fn value(&mut self, of: &Routed, function: usize, variables: &mut HashMap<String, Parts>) -> Parts {
        match of {
            Routed::Unknown | Routed::New => Parts::new(),
            Routed::Handler(index) => Parts::from([Part::Handler(*index)]),
            Routed::Variable(name) => variables.get(name).cloned().unwrap_or_default(),
            Routed::Block(steps) => self.block(steps, function, variables),
            Routed::All(values) => {
                let mut all = Parts::new();
                for value in values {
                    all.extend(self.value(value, function, variables));
                }
                all
            }
            Routed::Layered(inner, paths) => {
                let parts = self.value(inner, function, variables);
                if paths.iter().any(|path| self.is_layer(path, function)) {
                    self.cover(&parts, function);
                }
                parts
            }
            Routed::Call(path, arguments) => {
                let mut given = Parts::new();
                for argument in arguments {
                    given.extend(self.value(argument, function, variables));
                }
                let Some(called) = self.called(path, function) else { return given };
                let returned = self.of_function(called);
                if self.covers_parameters.contains(&called) {
                    self.cover(&given, function);
                }
                let of_called = returned.iter().filter(|part| **part != Part::Parameter).copied();
                let mut parts: Parts = of_called.collect();
                if returned.contains(&Part::Parameter) {
                    parts.extend(given);
                }
                parts
            }
        }
    }

    fn cover(&mut self, parts: &Parts, function: usize) {
        for part in parts {
            match part {
                Part::Handler(index) => _ = self.covered.insert(*index),
                Part::Parameter => _ = self.covers_parameters.insert(function),
            }
        }
    }

    /// Returns true if the path in the expression of a layer leads to one that makes spans.
    fn is_layer(&self, path: &[String], function: usize) -> bool {
        let shown = path.join("::");
        if is_one_of(&shown, &LAYERS) || self.has_tracing && is_one_of(&shown, &[TRACING_LAYER]) {
            return true;
        }
        let of = &self.program.facts.functions[function];
        // A variable, whose value is made in the same function, or a function that returns the layer.
        let is_variable = matches!(path, [name] if self.binds_layer(of, name));
        is_variable
            || self.called(path, function).is_some_and(|called| {
                let mentions = &self.program.facts.functions[called].mentions;
                mentions.iter().any(|path| is_one_of(path, &LAYERS))
            })
    }

    fn binds_layer(&self, function: &Function, name: &str) -> bool {
        let binds = |step: &Step| {
            let value = match &step.value {
                Routed::Call(path, _) => is_one_of(&path.join("::"), &LAYERS),
                Routed::All(values) => values.iter().any(|value| match value {
                    Routed::Call(path, _) => is_one_of(&path.join("::"), &LAYERS),
                    _ => false,
                }),
                _ => false,
            };
            value && step.variable.as_deref() == Some(name)
        };
        function.body.iter().any(binds)
    }

    /// Returns the function of the workspace that a path leads to.
    fn called(&self, path: &[String], function: usize) -> Option<usize> {
        let [qualifiers @ .., name] = path else { return None };
        let candidates = self.by_name.get(name.as_str())?;
        let caller = &self.program.facts.functions[function];
        let functions = &self.program.facts.functions;
        let qualifier =
            qualifiers.last().map(String::as_str).filter(|word| !matches!(*word, "crate" | "self" | "super"));
        let qualifier = if qualifier == Some("Self") { caller.owner.as_deref() } else { qualifier };
        let krate = |index: usize| self.program.files[functions[index].file].krate.as_str();
        let fits = |index: &usize| match qualifier {
            None => functions[*index].owner.is_none(),
            Some(word) => {
                let candidate = &functions[*index];
                candidate.owner.as_deref() == Some(word)
                    || candidate.modules.last().is_some_and(|module| module == word)
                    || candidate.modules.is_empty() && krate(*index) == word
            }
        };
        let fitting: Vec<_> =
            candidates.iter().copied().filter(fits).filter(|index| !functions[*index].in_test).collect();
        let near = |index: &&usize| functions[**index].file == caller.file;
        let in_crate = |index: &&usize| krate(**index) == krate(function);
        fitting.iter().find(near).or_else(|| fitting.iter().find(in_crate)).or(fitting.first()).copied()
    }
}
