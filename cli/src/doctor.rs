//! `doctor`: examines the configuration, the probes and Cargo.lock, and finds what to do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use telemark_sdk::config::Tree;

use crate::advice::{Words, advice};
use crate::clock;
use crate::configuration::{self, Configuration, Signal};
use crate::lockfile::{self, Lockfile};
use crate::probe::{Outcome, Target};
use crate::report::Findings;

/// Examines the configuration of these variables. Sends probes if `sends` is true. Reads the given Cargo.lock or the nearest one.
pub(crate) fn run(variables: &[(String, OsString)], sends: bool, lockfile: Option<&Path>) -> Findings {
    let mut findings = Findings::default();
    let configuration = Configuration::resolve(variables);
    let source = configuration.file.as_deref().unwrap_or("the environment variables");
    findings.rows.push(("configuration", source.to_owned()));
    for problem in configuration.problems() {
        findings.problem(problem, "");
    }
    let Some(tree) = configuration.completed() else { return findings };
    let targets = describe(&configuration, &tree, &mut findings);
    match lockfile.map(Path::to_owned).or_else(nearest) {
        Some(path) => match Lockfile::read(&path) {
            Ok(lockfile) => examine(&lockfile, &configuration, &tree, &targets, &mut findings),
            Err(error) => {
                findings.problem(format!("{}: {error}", path.display()), "Name another file with --lock-file.")
            }
        },
        None => findings.notes.push("no Cargo.lock in this folder, so versions and features are unknown".to_owned()),
    }
    if sends && !configuration::is_disabled(&tree) {
        probe(&targets, &tree, Words { is_file: configuration.file.is_some() }, &mut findings);
    }
    findings
}

fn nearest() -> Option<PathBuf> {
    lockfile::nearest(&std::env::current_dir().ok()?)
}

/// Adds the table and what the configuration turns off. Returns the exporters that can be probed.
fn describe<'a>(configuration: &Configuration, tree: &'a Tree, findings: &mut Findings) -> Vec<(Signal, Target<'a>)> {
    let is_file = configuration.file.is_some();
    let mut targets = Vec::new();
    let mut count = 0;
    for signal in Signal::ALL {
        let exporters = configuration::exporters(tree, signal);
        count += exporters.len();
        if exporters.is_empty() {
            let origin = match is_file {
                true => format!("none: the file has no {} with an exporter", signal.keys().0),
                false => format!("none: {}=none", signal.variable()),
            };
            findings.rows.push((signal.name(), origin));
        }
        for (name, settings) in exporters {
            match Target::new(signal, (name, settings), tree) {
                Ok(Some(target)) => {
                    findings.rows.push((signal.name(), described(&target)));
                    targets.push((signal, target));
                }
                Ok(None) => findings.rows.push((signal.name(), name.to_owned())),
                // The check of the configuration has reported the error.
                Err(_) => findings.rows.push((signal.name(), format!("{name}, which cannot be created"))),
            }
        }
    }
    let (disable, exporters) = match is_file {
        true => ("`disabled: true`", "Add a tracer_provider with a processor and an exporter to the file."),
        false => ("OTEL_SDK_DISABLED=true", "Set OTEL_TRACES_EXPORTER=otlp."),
    };
    if configuration::is_disabled(tree) {
        findings.problem(
            format!("{disable} turns telemetry off"),
            "Nothing is recorded or sent, whatever code says. Remove the setting.",
        );
    } else if count == 0 && configuration.problems().is_empty() {
        findings.problem("no signal has an exporter", exporters);
    }
    if let Some(sampler) = configuration::sampler(tree) {
        findings.rows.push(("sampler", configuration::shown_sampler(sampler)));
        if let Some((name, origin)) = configuration::drops_everything(sampler) {
            findings.problem(
                format!("the sampler {name} ({origin}) drops every trace that starts here"),
                "Use parentbased_always_on, or traceidratio with a ratio above 0; in a file parent_based or trace_id_ratio_based.",
            );
        }
    }
    let (policies, presets) = (configuration::tail_policies(tree), configuration::redaction_presets(tree));
    for (row, names) in [("tail sampling", policies), ("redaction", presets)] {
        if let Some(names) = names {
            findings.rows.push((row, names));
        }
    }
    let propagators = configuration::propagators(tree);
    if propagators.is_empty() && !configuration::is_disabled(tree) {
        let setting = if is_file { "the file has no `propagator`" } else { "OTEL_PROPAGATORS=none" };
        findings.notes.push(format!("{setting}, so traces end at this program's borders"));
    }
    findings
        .rows
        .push(("propagators", if propagators.is_empty() { "none".to_owned() } else { propagators.join(", ") }));
    match configuration.service(tree) {
        Some(name) => findings.rows.push(("service", name)),
        None => findings.notes.push("service.name is not set, so the program appears as unknown_service".to_owned()),
    }
    targets
}

fn described(target: &Target<'_>) -> String {
    let timeout = target.timeout().map_or("no timeout".to_owned(), |timeout| format!("timeout {timeout:?}"));
    let compression = if target.compresses() { ", gzip" } else { "" };
    let headers = match &*target.headers() {
        [] => String::new(),
        names => format!(", headers {}", names.join(" ")),
    };
    format!("{}, {timeout}{compression}{headers}", target.destination)
}

/// Adds second versions, and features that the configuration needs and the program lacks.
fn examine(
    lockfile: &Lockfile,
    configuration: &Configuration,
    tree: &Tree,
    targets: &[(Signal, Target<'_>)],
    findings: &mut Findings,
) {
    for second in lockfile.seconds() {
        findings.problem(second.finding, second.advice);
    }
    let uses = |name: &str| {
        Signal::ALL.into_iter().any(|signal| {
            configuration::exporters(tree, signal).iter().any(|(exporter, _)| exporter.split('/').next() == Some(name))
        })
    };
    let propagates = |name: &str| configuration::propagators(tree).contains(&name);
    let detects = |name: &str| configuration::detectors(tree).any(|detector| detector == name);
    let redacts = tree.root().get("distribution").and_then(|of| of.get("telemark")?.get("redaction")).is_some();
    let tls = targets.iter().any(|(_, target)| target.uses_tls());
    let gzip = targets.iter().any(|(_, target)| target.compresses());
    for (is_used, feature, reason, package, dependency) in [
        (tls, "tls", "an https endpoint", "telemark-otlp", "rustls"),
        (gzip, "gzip", "compression", "telemark-otlp", "flate2"),
        (configuration.file.is_some(), "config-file", "OTEL_CONFIG_FILE", "telemark", "telemark-config"),
        (uses("console"), "console", "the exporter console", "telemark", "telemark-console"),
        (uses("prometheus"), "prometheus", "the exporter prometheus", "telemark", "telemark-prometheus"),
        (uses("viewer"), "viewer", "the exporter viewer", "telemark", "telemark-viewer"),
        (redacts, "redaction", "the redaction", "telemark", "telemark-redaction"),
        (propagates("xray") || propagates("xray-lambda"), "xray", "the propagator xray", "telemark", "telemark-xray"),
        (detects("container") || detects("kubernetes"), "container", "a detector", "telemark", "telemark-container"),
        (detects("aws"), "aws", "the detector aws", "telemark", "telemark-aws"),
        (detects("gcp"), "gcp", "the detector gcp", "telemark", "telemark-gcp"),
        (detects("azure"), "azure", "the detector azure", "telemark", "telemark-azure"),
    ] {
        if is_used && lockfile.lacks(package, dependency) {
            findings.problem(
                format!("{reason} needs the feature `{feature}` of telemark, which is off in Cargo.lock"),
                format!("Enable it: cargo add telemark --features {feature}"),
            );
        }
    }
}

/// Sends one item with each exporter and adds what is wrong.
fn probe(targets: &[(Signal, Target<'_>)], tree: &Tree, words: Words, findings: &mut Findings) {
    let mut arrived = Vec::new();
    let mut has_clock = false;
    for (signal, target) in targets {
        let outcome = match target.send(tree) {
            Ok(outcome) => outcome,
            Err(error) => {
                findings.problem_of(*signal, error.to_string(), String::new());
                continue;
            }
        };
        let has_responded = match &outcome {
            Outcome::Failed(error) => error.response().is_some(),
            _ => true,
        };
        if has_responded && !has_clock && !target.is_grpc() {
            has_clock = true;
            if let Some(problem) = clock::problem((&target.host, target.port), target.trust().as_ref()) {
                findings.problem(problem, "Spans then lie apart from those of other hosts, and receivers may reject them as too old. Synchronize the clock, with NTP for example.");
            }
        }
        match advice(&outcome, target, words) {
            None => arrived.push(signal.name()),
            Some(advice) if advice.is_note => {
                arrived.push(signal.name());
                findings.notes.push(format!("{}: {}", signal.name(), advice.finding));
            }
            Some(advice) => findings.problem_of(*signal, advice.finding, advice.text),
        }
    }
    if !arrived.is_empty() {
        findings.rows.push(("arrived", arrived.join(", ")));
    }
}
