//! Detects variables that resemble known ones but have no effect: misspelt names, and variables from the specification
//! that this SDK does not support.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Env, VARIABLES};
use crate::error::ConfigError;

/// Variables from the specification that have no effect in this SDK.
///
/// spec: configuration/sdk-environment-variables.md, protocol/exporter.md
const WITHOUT_EFFECT: &[&str] = &[
    "OTEL_EXPERIMENTAL_CONFIG_FILE",
    "OTEL_ENTITIES",
    "OTEL_EXPERIMENTAL_ENTITIES_ENABLED",
    "OTEL_EXPORTER_OTLP_SPAN_INSECURE",
    "OTEL_EXPORTER_OTLP_METRIC_INSECURE",
    "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
    "OTEL_EXPORTER_ZIPKIN_TIMEOUT",
    "OTEL_EXPORTER_ZIPKIN_PROTOCOL",
];

/// The start and the end of the names of the variables that enable integrations.
const INTEGRATION: (&str, &str) = ("OTEL_RUST_INSTRUMENTATION_", "_ENABLED");

/// The start of the names that only Telemark has.
const OWN: &str = "OTEL_RUST_";
/// What is in the names that Kubernetes gives the variables of a Service, which may be called `otel-rust-shop`.
const OF_SERVICES: [&str; 2] = ["_SERVICE_", "_PORT"];

/// Maximum edit distance at which a name counts as a misspelling.
const MAX_EDITS: usize = 2;

/// Reports the variables of `env` that resemble known ones but have no effect, all in a single warning: names within one or
/// two edits of a known name, unknown names that start with `OTEL_RUST_`, and unsupported variables from the specification. Values are not
/// checked.
///
/// Ignores every other name, such as those that Kubernetes sets for a Service called `otel-collector`, or the variables of
/// SDKs for other languages. The process environment is checked only once.
pub fn warn_of_unknown(env: &Env) {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    if env.is_of_the_process() && REPORTED.swap(true, Ordering::Relaxed) {
        return;
    }
    let names = env.names();
    let mut problems: Vec<_> = names.iter().filter_map(|name| problem(name, &names)).collect();
    problems.sort();
    if !problems.is_empty() {
        env.warn(ConfigError::state("environment", problems.join("; ")));
    }
}

fn problem(name: &str, names: &[String]) -> Option<String> {
    if !resembles_ours(name) || VARIABLES.iter().any(|variable| variable.name == name) {
        return None;
    }
    if WITHOUT_EFFECT.contains(&name) {
        return Some(format!("{name} has no effect, it is not supported"));
    }
    if name.starts_with(INTEGRATION.0) && name.ends_with(INTEGRATION.1) {
        return Some(format!("{} has no effect, no integration reads it", crate::text::foreign(name)));
    }
    let upper = name.to_ascii_uppercase();
    let known = VARIABLES.iter().map(|variable| variable.name).chain(WITHOUT_EFFECT.iter().copied());
    let nearest = known.filter(|known| resembles_ours(known)).map(|known| (edits(&upper, known), known)).min()?;
    let (distance, meant) = nearest;
    let shown = crate::text::foreign(name);
    if distance <= MAX_EDITS {
        return Some(format!("{shown} has no effect, is {meant} meant?"));
    }
    (name.starts_with(OWN) && !is_of_a_service(name, names))
        .then(|| format!("{shown} has no effect, there is no such variable"))
}

/// Returns true if Kubernetes has made the variable for a Service, which also has a variable for its host.
fn is_of_a_service(name: &str, names: &[String]) -> bool {
    let service = |part: &str| name.find(part).and_then(|at| name.get(..at));
    let has_host = |service: &str| names.iter().any(|name| name.strip_suffix("_SERVICE_HOST") == Some(service));
    OF_SERVICES.into_iter().filter_map(service).any(has_host)
}

/// Returns true if the name starts with `OTEL_`, allowing for a misspelling.
fn resembles_ours(name: &str) -> bool {
    name.get(..5).is_some_and(|start| edits(&start.to_ascii_uppercase(), "OTEL_") <= MAX_EDITS) && name.len() < 100
}

/// Returns the edit distance between two names: the minimum number of insertions, deletions, substitutions and swaps
/// of neighbouring characters. A result beyond [`MAX_EDITS`] is not exact: the real distance is only known to exceed
/// that limit.
pub(crate) fn edits(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    if from.len().abs_diff(to.len()) > MAX_EDITS {
        return MAX_EDITS + 1;
    }
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=to.len()).collect());
    for (i, a) in from.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut least = replaced.min(last[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        if next.iter().all(|distance| *distance > MAX_EDITS) {
            return MAX_EDITS + 1;
        }
        before = std::mem::replace(&mut last, next);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], expected: &str) {
        let env = Env::from_pairs(names.iter().map(|name| (*name, "s3cret")));
        warn_of_unknown(&env);
        let warnings: Vec<_> = env.take_warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings.join("\n"), expected, "{names:?}");
    }

    #[test]
    fn a_misspelt_name_is_said_with_the_one_that_is_meant() {
        for (misspelt, meant) in [
            ("OTEL_TRACES_SAMPLR", "OTEL_TRACES_SAMPLER"),
            ("OTEL_TRACE_EXPORTER", "OTEL_TRACES_EXPORTER"),
            ("OTEL_EXPORTER_OTLP_TRACE_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
            ("OTEL_EXPORTER_OLTP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("OTEL_SERVICENAME", "OTEL_SERVICE_NAME"),
            ("OTLE_SERVICE_NAME", "OTEL_SERVICE_NAME"),
            ("OTE_SERVICE_NAME", "OTEL_SERVICE_NAME"),
            ("otel_service_name", "OTEL_SERVICE_NAME"),
            ("OTEL_LOG_EXPORTER", "OTEL_LOGS_EXPORTER"),
            ("OTEL_RUST_SELF_METRIC", "OTEL_RUST_SELF_METRICS"),
            ("OTEL_EXPORTER_PROMETHEUS_PORTS", "OTEL_EXPORTER_PROMETHEUS_PORT"),
        ] {
            check(&[misspelt], &format!("environment: {misspelt} has no effect, is {meant} meant?"));
        }
    }

    #[test]
    fn a_variable_of_the_specification_that_is_not_supported_is_said() {
        for name in ["OTEL_ENTITIES", "OTEL_EXPORTER_ZIPKIN_ENDPOINT"] {
            check(&[name], &format!("environment: {name} has no effect, it is not supported"));
        }
        let supported = |name: &&str| VARIABLES.iter().any(|variable| variable.name == *name);
        assert_eq!(WITHOUT_EFFECT.iter().find(|name| supported(name)), None);
    }

    #[test]
    fn an_integration_that_has_no_variable_is_said() {
        let name = "OTEL_RUST_INSTRUMENTATION_TRACING_ENABLED";
        check(&[name], &format!("environment: {name} has no effect, no integration reads it"));
    }

    #[test]
    fn an_unknown_name_of_telemark_is_said() {
        // The latter resembles one that Kubernetes makes for a Service, and there is no host of it.
        for name in ["OTEL_RUST_COLOUR_OF_SPANS", "OTEL_RUST_VIEWER_PORT"] {
            check(&[name], &format!("environment: {name} has no effect, there is no such variable"));
        }
    }

    #[test]
    fn several_are_said_in_one_line_without_their_values() {
        check(
            &["OTEL_TRACES_SAMPLR", "OTEL_ENTITIES", "OTEL_EXPORTER_OTLP_HEADER", "PATH"],
            "environment: OTEL_ENTITIES has no effect, it is not supported; OTEL_EXPORTER_OTLP_HEADER has no effect, is \
             OTEL_EXPORTER_OTLP_HEADERS meant?; OTEL_TRACES_SAMPLR has no effect, is OTEL_TRACES_SAMPLER meant?",
        );
    }

    #[test]
    fn what_others_set_is_passed_over() {
        let known: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        check(&known, "");
        check(
            &[
                // Variables that Kubernetes and Docker set, for a Service called otel-collector and for one with an
                // unfortunate name.
                "OTEL_COLLECTOR_SERVICE_HOST",
                "OTEL_COLLECTOR_SERVICE_PORT",
                "OTEL_COLLECTOR_SERVICE_PORT_OTLP_GRPC",
                "OTEL_COLLECTOR_PORT",
                "OTEL_COLLECTOR_PORT_4317_TCP",
                "OTEL_COLLECTOR_PORT_4317_TCP_ADDR",
                "OTEL_COLLECTOR_PORT_4317_TCP_PROTO",
                "OTEL_SERVICE_HOST",
                "OTEL_SERVICE_PORT",
                "OTEL_SERVICE_PORT_4317_TCP",
                "OTEL_PORT",
                "OTEL_SDK_PORT_80_TCP_ADDR",
                "OTEL_RUST_SHOP_SERVICE_HOST",
                "OTEL_RUST_SHOP_PORT_80_TCP",
                // Variables that SDKs for other languages and the Kubernetes operator set.
                "OTEL_PYTHON_LOG_LEVEL",
                "OTEL_PHP_LOG_LEVEL",
                "OTEL_RUBY_SERVICE_NAME",
                "OTEL_JAVA_GLOBAL_AUTOCONFIGURE_ENABLED",
                "OTEL_ERLANG_TRACES_EXPORTER",
                "OTEL_DOTNET_AUTO_HOME",
                "OTEL_JAVAAGENT_ENABLED",
                "OTEL_NODE_RESOURCE_DETECTORS",
                "OTEL_GO_X_OBSERVABILITY",
                "OTEL_GO_LOG_LEVEL",
                "OTEL_RESOURCE_ATTRIBUTES_POD_NAME",
                "OTEL_RESOURCE_ATTRIBUTES_NODE_NAME",
                "OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED",
                // Variables of unknown origin.
                "OTEL_SOMETHING_ELSE",
                "HOTEL_NAME",
                "PATH",
                "",
                "ö",
                "ÖTEL_SERVICE_NAME",
            ],
            "",
        );
    }

    #[test]
    fn edits_are_counted() {
        for (from, to, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "acb", 1),
            ("abc", "ab", 1),
            ("abc", "xabc", 1),
            ("abcd", "badc", 2),
            ("abc", "xyz", 3),
            ("abc", "abcdef", 3),
        ] {
            assert_eq!(edits(from, to), expected, "{from} {to}");
            assert_eq!(edits(to, from), expected, "{to} {from}");
        }
    }
}
