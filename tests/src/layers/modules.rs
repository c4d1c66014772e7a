//! Checks that modules of the sdk and of integrations/http use only lower layers.

use std::collections::{BTreeMap, BTreeSet};

use super::code::{tokens, without_comments_and_texts, without_tests};
use super::workspace::SourceFile;

/// The layers from lowest to highest. `sampling` lies below `trace`, which calls the `Sampler`, and `diag` below
/// `export`, which uses its counters.
const LAYERS: &[Layer] = &[
    Layer {
        modules: &[
            "sync",
            "time",
            "process",
            "context",
            "value",
            "text",
            "id",
            "error",
            "attributes",
            "instrumentation_scope",
            "limits",
            "signal",
        ],
        are_strangers: false,
    },
    Layer {
        modules: &[
            "config",
            "resource",
            "export",
            "diag",
            "runtime",
            "unsampled",
            "span_filter",
            "baggage_attributes",
            "control",
            "decided",
            "redaction",
        ],
        are_strangers: false,
    },
    Layer { modules: &["batch"], are_strangers: false },
    Layer { modules: &["sampling"], are_strangers: false },
    Layer { modules: &["trace", "metrics", "logs", "propagation"], are_strangers: true },
    Layer { modules: &["instrument", "testing", "install", "self_metrics", "stages"], are_strangers: false },
];

/// The folders in sdk/src/metrics, in the order in which a measurement passes through them.
const METRICS: &[Layer] = &[
    Layer { modules: &["data"], are_strangers: false },
    Layer { modules: &["exemplar"], are_strangers: false },
    Layer { modules: &["config"], are_strangers: false },
    Layer { modules: &["meters"], are_strangers: false },
    Layer { modules: &["aggregation"], are_strangers: false },
    Layer { modules: &["series"], are_strangers: false },
    Layer { modules: &["reader"], are_strangers: false },
    Layer { modules: &["instrument"], are_strangers: false },
    Layer { modules: &["provider", "active"], are_strangers: false },
];

/// The layers of integrations/http.
const HTTP: &[Layer] = &[
    Layer { modules: &["shared"], are_strangers: false },
    Layer { modules: &["server", "client"], are_strangers: true },
];

struct Layer {
    modules: &'static [&'static str],
    /// True if the modules must not use each other. In other layers, modules may use each other, but not in a cycle.
    are_strangers: bool,
}

/// Returns every use of a module that breaks the layers.
pub fn module_violations(files: &[SourceFile]) -> Vec<String> {
    let crates = [("sdk/src/", LAYERS), ("sdk/src/metrics/", METRICS), ("integrations/http/src/", HTTP)];
    let layers = crates.iter().flat_map(|(folder, layers)| violations_in(folder, layers, files));
    layers.chain(file_circles("integrations/http/src/", files)).collect()
}

/// Returns the files in a crate's folders that use each other in a cycle.
fn file_circles(folder: &str, files: &[SourceFile]) -> Vec<String> {
    let sources: Vec<_> = files.iter().filter_map(|file| Source::new(folder, file)).collect();
    let names: Vec<_> = sources.iter().map(|source| source.module.join("::")).collect();
    let mut uses: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (source, name) in sources.iter().zip(&names).filter(|(source, _)| source.module.len() == 2) {
        let paths: Vec<_> = source.paths().collect();
        let used = paths.iter().filter_map(|path| {
            let (base, rest) = absolute(&source.module, path);
            let parts: Vec<_> = base.iter().chain(rest).take(2).cloned().collect();
            Some(parts.join("::")).filter(|used| used != name && names.contains(used))
        });
        uses.entry(name).or_default().extend(used);
    }
    circles(&uses)
}

fn violations_in(folder: &str, layers: &[Layer], files: &[SourceFile]) -> Vec<String> {
    let layer = |module: &str| layers.iter().position(|layer| layer.modules.contains(&module));
    let sources: Vec<_> = files.iter().filter_map(|file| Source::new(folder, file)).collect();
    let names = Names::new(&sources);
    let mut violations = Vec::new();
    let mut uses: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for source in &sources {
        // The root declares and re-exports everything, so it is exempt.
        let Some(user) = source.module.first() else { continue };
        let Some(own) = layer(user) else {
            violations.push(format!("{}: the module {user} has no layer; give it one in this test", source.path));
            continue;
        };
        let used: BTreeSet<_> = source.paths().filter_map(|path| names.module(&source.module, &path)).collect();
        for used in used.into_iter().filter(|used| used != user) {
            match layer(&used) {
                Some(below) if below < own => {}
                Some(same) if same == own && !layers[own].are_strangers => {
                    uses.entry(user).or_default().insert(used);
                }
                Some(same) if same == own => {
                    violations.push(format!("{} uses {used}: {user} and {used} do not know each other", source.path));
                }
                _ => violations.push(format!("{} uses {used}, which lies above {user}", source.path)),
            }
        }
    }
    violations.extend(circles(&uses));
    violations
}

/// Returns the modules in one layer that use each other in a cycle.
fn circles(uses: &BTreeMap<&str, BTreeSet<String>>) -> Vec<String> {
    let reaches_itself = |start: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(used) = next.pop().and_then(|module| uses.get(module)) {
            next.extend(used.iter().map(String::as_str).filter(|used| seen.insert(*used)));
        }
        seen.contains(start)
    };
    let circle: Vec<_> = uses.keys().copied().filter(|module| reaches_itself(module)).collect();
    if circle.is_empty() { Vec::new() } else { vec![format!("{} use each other in a circle", circle.join(", "))] }
}

/// A file in one of the checked crates.
struct Source {
    path: String,
    /// The module path from the crate root.
    module: Vec<String>,
    tokens: Vec<String>,
}

impl Source {
    fn new(folder: &str, file: &SourceFile) -> Option<Self> {
        let name = file.path.strip_prefix(folder)?.strip_suffix(".rs")?;
        let mut module: Vec<_> = name.split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        // Tests in separate files may use any module.
        if module.iter().any(|part| part == "tests" || part == "loom_tests") {
            return None;
        }
        let mut code = without_tests(&without_comments_and_texts(&file.text));
        // Treat the folder as a crate, so that paths are relative to it.
        if let Some(folder) = folder.strip_prefix("sdk/src/").filter(|folder| !folder.is_empty()) {
            let inside = format!("elsewhere::{}::", folder.trim_end_matches('/'));
            code = code.replace("crate::", "elsewhere::").replace(&inside, "crate::");
        }
        Some(Source { path: file.path.clone(), module, tokens: tokens(&code).map(str::to_owned).collect() })
    }

    /// Returns every path that starts in this crate.
    fn paths(&self) -> impl Iterator<Item = Vec<String>> {
        let heads = self.tokens.iter().enumerate().filter(|(_, token)| matches!(&***token, "crate" | "super" | "self"));
        // `super::super` is one path, not two.
        let heads = heads.filter(|(at, _)| *at == 0 || self.tokens[at - 1] != "::");
        heads.flat_map(|(at, _)| {
            let mut paths = Vec::new();
            self.tree(at, &mut Vec::new(), &mut paths);
            paths
        })
    }

    /// Reads `a::b` or `a::{b, c::d}` and returns the index of its end.
    fn tree(&self, mut at: usize, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> usize {
        let token = |at: usize| self.tokens.get(at).map_or("", String::as_str);
        let depth = prefix.len();
        if token(at) == "{" {
            at += 1;
            while !matches!(token(at), "}" | "") {
                let end = self.tree(at, prefix, paths);
                at = if end == at { at + 1 } else { end };
            }
            at += 1;
        } else if token(at).starts_with(|c: char| c.is_alphabetic() || c == '_') {
            prefix.push(token(at).to_owned());
            at += 1;
            if token(at) == "::" {
                at = self.tree(at + 1, prefix, paths);
            } else {
                paths.push(prefix.clone());
            }
        } else if depth > 0 {
            // Covers `a::*` and `a::<T>`.
            paths.push(prefix.clone());
        }
        prefix.truncate(depth);
        at
    }
}

/// Returns the module in which a path used by `user` starts, and the rest of the path.
fn absolute<'p>(user: &'p [String], path: &'p [String]) -> (&'p [String], &'p [String]) {
    let (mut base, mut rest) = (user, path);
    while let [head, tail @ ..] = rest {
        match &**head {
            "crate" => base = &[],
            "super" => base = &base[..base.len().saturating_sub(1)],
            "self" => {}
            _ => break,
        }
        rest = tail;
    }
    (base, rest)
}

/// Maps names in the crate root (modules, re-exports and macros) to their modules.
struct Names {
    modules: BTreeSet<String>,
    others: BTreeMap<String, String>,
}

impl Names {
    fn new(sources: &[Source]) -> Self {
        let modules: BTreeSet<_> = sources.iter().filter_map(|source| source.module.first().cloned()).collect();
        let mut others = BTreeMap::new();
        for source in sources {
            for window in source.tokens.windows(3) {
                if let ([rules, bang, name], Some(module)) = (window, source.module.first())
                    && rules == "macro_rules"
                    && bang == "!"
                {
                    others.insert(name.clone(), module.clone());
                }
            }
        }
        // Handles `pub use error::{ConfigError, ExportError};` in the root.
        for root in sources.iter().filter(|source| source.module.is_empty()) {
            for at in (0..root.tokens.len()).filter(|&at| root.tokens[at] == "use") {
                let mut paths = Vec::new();
                root.tree(at + 1, &mut Vec::new(), &mut paths);
                for path in paths {
                    let path: Vec<_> = path.into_iter().filter(|part| part != "self" && part != "crate").collect();
                    if let (Some(module), Some(name)) = (path.first(), path.last())
                        && path.len() > 1
                    {
                        others.insert(name.clone(), module.clone());
                    }
                }
            }
        }
        Names { modules, others }
    }

    /// Returns the top-level module that a path in `user` leads to.
    fn module(&self, user: &[String], path: &[String]) -> Option<String> {
        let (base, rest) = absolute(user, path);
        let name = base.first().or_else(|| rest.first())?;
        self.modules.get(name).or_else(|| self.others.get(name)).cloned()
    }
}
