//! Fuzz targets for everything in Telemark that reads what strangers write.
//!
//! A target is a function on bytes that panics when a property fails. `cargo test -p telemark-fuzz` runs each over its corpus
//! and some thousand mutations; `cargo xtask fuzz` runs each under libFuzzer with coverage and address sanitizer.
//!
//! A crash that libFuzzer finds becomes a file in `corpus/<target>/`, so that every later test run repeats it.

mod configuration;
mod console;
mod http_request;
mod macro_options;
mod mutation;
mod page;
mod propagation;
mod response;

pub use mutation::Mutator;

/// A fuzz target by name.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its folder in `corpus/` and of its libFuzzer program.
    pub name: &'static str,
    /// Panics when the input breaks a property.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "trace_context", run: propagation::trace_context },
    Target { name: "baggage", run: propagation::baggage },
    Target { name: "b3", run: propagation::b3 },
    Target { name: "variables", run: configuration::variables },
    Target { name: "http_request", run: http_request::server_span },
    Target { name: "macro_options", run: macro_options::expansion },
    Target { name: "prometheus_request", run: page::negotiation },
    Target { name: "otlp_response", run: response::otlp },
    Target { name: "console_text", run: console::text },
];

/// Runs the target of this name; for the libFuzzer programs, which have one each.
///
/// # Panics
/// No target has this name, or the input breaks a property.
#[allow(clippy::panic, reason = "a fuzz target reports by panicking")]
pub fn run(name: &str, input: &[u8]) {
    match TARGETS.iter().find(|target| target.name == name) {
        Some(target) => (target.run)(input),
        None => panic!("there is no fuzz target {name:?}"),
    }
}

/// Headers from lines of `name: value`; invalid UTF-8 is replaced, as a carrier of strings cannot hold it.
fn headers(input: &[u8]) -> std::collections::HashMap<String, String> {
    let text = String::from_utf8_lossy(input);
    let lines = text.split('\n').filter_map(|line| line.split_once(": "));
    lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect()
}
