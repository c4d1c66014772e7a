//! The layers around the routers that are served, and around gRPC servers.

use std::collections::BTreeMap;

use super::edits::Edit;
use crate::source::facts::{Call, Served};
use crate::source::program::Program;
use crate::source::routed::{Routed, Step};

const HTTP: &str = ".layer(telemark::axum::layer())";
const GRPC: &str = ".layer(telemark::tonic::server_layer())";
/// Paths whose mention shows that the program has layers of its own.
const OWN_HTTP: [&str; 5] =
    ["telemark::axum", "telemark::tower", "telemark_axum", "telemark_tower", "axum_tracing_opentelemetry"];
const OWN_GRPC: [&str; 2] = ["telemark::tonic::server_layer", "telemark_tonic"];

/// The edits of each file by its index, and what remains to do by hand.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) edits: BTreeMap<usize, Vec<Edit>>,
    pub(crate) by_hand: Vec<String>,
}

/// Returns the layers that the program lacks, where `has` says that a library fits in a package.
pub(crate) fn layers(program: &Program, has: impl Fn(usize, &str) -> bool) -> Layers {
    let mut layers = Layers::default();
    let is_source = |file: usize| !program.files[file].is_example;
    if !mentions(program, &OWN_HTTP) {
        for served in &program.facts.served {
            let file = &program.files[served.file];
            if !is_source(served.file) || !has(file.package, "axum") {
                continue;
            }
            if is_router(program, served) {
                layers.edits.entry(served.file).or_default().push(Edit::insert(served.bytes.end, HTTP));
            } else {
                layers.by_hand.push(format!(
                    "{}:{}: the type of what is served is not known here: if it is a router, it needs `{HTTP}`",
                    file.shown, served.line
                ));
            }
        }
    }
    if !mentions(program, &OWN_GRPC) {
        for spot in program.facts.spots.iter().filter(|spot| is_source(spot.file)) {
            if let Call::GrpcServer(range) = &spot.what {
                if has(program.files[spot.file].package, "tonic") {
                    layers.edits.entry(spot.file).or_default().push(Edit::insert(range.end, GRPC));
                }
            }
        }
    }
    layers
}

fn mentions(program: &Program, paths: &[&str]) -> bool {
    let functions = program.facts.functions.iter().filter(|function| !function.in_test);
    functions.flat_map(|function| &function.mentions).any(|path| paths.iter().any(|known| path.starts_with(known)))
}

/// Returns true if what is served is a router for sure.
fn is_router(program: &Program, served: &Served) -> bool {
    let function = &program.facts.functions[served.function];
    // A variable that stands for itself, as in `let app = app.layer(..)`, leads to an earlier step.
    let mut steps = Vec::new();
    flatten(&function.body, &mut steps);
    let mut value = &served.router;
    let mut before = steps.len();
    loop {
        match value {
            Routed::New => return true,
            Routed::All(values) => match values.first() {
                Some(first) => value = first,
                None => return false,
            },
            Routed::Layered(inner, _) => value = inner,
            Routed::Variable(name) => {
                let step = steps[..before].iter().rposition(|step| step.variable.as_deref() == Some(name));
                match step {
                    Some(step) => {
                        before = step;
                        value = &steps[step].value;
                    }
                    None => return function.parameters.iter().any(|(known, of)| known == name && is_type(of)),
                }
            }
            Routed::Call(path, _) => {
                let name = path.last().map(String::as_str).unwrap_or_default();
                let mut called =
                    program.facts.functions.iter().filter(|other| other.name == name && !other.in_test).peekable();
                return called.peek().is_some() && called.all(|other| is_type(&other.returns));
            }
            Routed::Unknown | Routed::Handler(_) | Routed::Block(_) => return false,
        }
    }
}

/// Collects the steps of a body in their order, with those in blocks.
fn flatten<'a>(of: &'a [Step], steps: &mut Vec<&'a Step>) {
    for step in of {
        inside(&step.value, steps);
        steps.push(step);
    }
}

fn inside<'a>(value: &'a Routed, steps: &mut Vec<&'a Step>) {
    match value {
        Routed::Block(inner) => flatten(inner, steps),
        Routed::All(values) | Routed::Call(_, values) => values.iter().for_each(|value| inside(value, steps)),
        Routed::Layered(inner, _) => inside(inner, steps),
        Routed::Unknown | Routed::New | Routed::Handler(_) | Routed::Variable(_) => {}
    }
}

/// Returns true if a type is a router, or a result with one.
fn is_type(shown: &str) -> bool {
    let words: Vec<_> = shown.split(|char: char| !char.is_alphanumeric() && char != '_').collect();
    words.contains(&"Router") && !words.iter().any(|word| word.starts_with("IntoMake"))
}
