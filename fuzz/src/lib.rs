//! Fuzz targets for every part of Telemark that reads untrusted input.
//!
//! A target is a function that takes bytes and panics when a property fails. `cargo test -p telemark-fuzz` runs each over
//! its corpus and thousands of mutations of it. `cargo xtask fuzz` runs each under libFuzzer with coverage and
//! AddressSanitizer.
//!
//! To turn a crash found by libFuzzer into a regression test, save the input as a file in `corpus/<target>/`.

mod config_file;
mod configuration;
mod console;
mod http_request;
mod macro_options;
mod mutation;
mod page;
mod propagation;
mod response;
mod sql;
mod viewer;

pub use mutation::Mutator;

/// A fuzz target by name.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the target's folder in `corpus/`.
    pub name: &'static str,
    /// Runs the target. Panics if the input breaks a property.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "trace_context", run: propagation::trace_context },
    Target { name: "baggage", run: propagation::baggage },
    Target { name: "b3", run: propagation::b3 },
    Target { name: "other_formats", run: propagation::other_formats },
    Target { name: "variables", run: configuration::variables },
    Target { name: "config_file", run: config_file::file },
    Target { name: "http_request", run: http_request::server_span },
    Target { name: "macro_options", run: macro_options::expansion },
    Target { name: "prometheus_request", run: page::negotiation },
    Target { name: "otlp_response", run: response::otlp },
    Target { name: "sql", run: sql::statement },
    Target { name: "console_text", run: console::text },
    Target { name: "viewer_otlp", run: viewer::otlp },
    Target { name: "viewer_query", run: viewer::query },
];

impl Target {
    /// Returns the target with this name.
    ///
    /// # Panics
    /// Panics if no target has this name.
    #[allow(clippy::panic, reason = "the message is for whoever started the fuzzer")]
    pub fn named(name: &str) -> Target {
        match TARGETS.iter().find(|target| target.name == name) {
            Some(target) => *target,
            None => panic!("TELEMARK_FUZZ_TARGET must name a folder of fuzz/corpus, not {name:?}"),
        }
    }
}

/// Parses lines of `name: value`. Replaces invalid UTF-8, because a carrier holds strings.
fn headers(input: &[u8]) -> std::collections::HashMap<String, String> {
    let text = String::from_utf8_lossy(input);
    let lines = text.split('\n').filter_map(|line| line.split_once(": "));
    lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect()
}
