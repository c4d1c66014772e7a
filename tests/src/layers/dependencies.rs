//! The dependencies that each crate may have.

use super::workspace::{Kind, Package};

/// Unpublished packages, for use inside this repository only.
const INTERNAL: &[&str] = &["telemark-benches", "telemark-tests", "telemark-examples", "telemark-fuzz", "xtask"];

/// The dependencies of the sdk: the API and at most three small crates. A new one must be added here.
const SDK: &[&str] = &["opentelemetry", "futures-core", "libc", "pin-project-lite"];
const EXPANSION: &[&str] = &["syn", "quote", "proc-macro2"];

/// The axum layer is the tower layer plus the route template.
const INTEGRATIONS_ON_INTEGRATIONS: &[(&str, &str)] =
    &[("telemark-axum", "telemark-tower"), ("telemark-hyper", "telemark-tower")];

/// Returns every dependency that breaks a rule.
pub fn dependency_violations(packages: &[Package]) -> Vec<String> {
    let mut violations = Vec::new();
    for package in packages {
        for dependency in &package.dependencies {
            let on = packages.iter().find(|other| other.name == dependency.name);
            if let Some(rule) = broken_rule(package, &dependency.name, dependency.kind, on) {
                violations.push(format!("{} depends on {}: {rule}", package.name, dependency.name));
            }
        }
    }
    violations
}

/// Returns the rule that a dependency breaks. `on` is the package if it belongs to the workspace.
fn broken_rule(package: &Package, name: &str, kind: Kind, on: Option<&Package>) -> Option<&'static str> {
    let place = place(package);
    let is_ours = on.is_some();
    let is_shipped = matches!(kind, Kind::Normal | Kind::Build);
    let on_place = on.map(self::place);
    if INTERNAL.contains(&name) {
        return Some("nothing depends on examples, benches, fuzz, tests or xtask");
    }
    if name == "telemark-cli" {
        return Some("nothing depends on the command `cargo telemark`");
    }
    if name == "opentelemetry_sdk"
        && is_shipped
        && !matches!(place, "benches" | "tests")
        && package.name != "telemark-upstream"
    {
        return Some("opentelemetry_sdk is for bridges/upstream, benches and tests");
    }
    if name == "opentelemetry-proto" && is_shipped && !matches!(place, "benches" | "tests") {
        return Some("opentelemetry-proto is an oracle of tests; it drags opentelemetry_sdk along");
    }
    if !is_shipped {
        return None;
    }
    match place {
        "sdk" if is_ours => Some("the sdk knows no other crate of ours"),
        "sdk" if !SDK.contains(&name) => {
            Some("the sdk has the API and at most three small crates, listed in this test")
        }
        "macros" if package.name == "telemark-macros" && name != "telemark-macros-expand" => {
            Some("macros is a shim around macros/expand and depends on that alone")
        }
        "macros" if package.name != "telemark-macros" && !EXPANSION.contains(&name) => {
            Some("macros/expand depends on syn, quote and proc-macro2 only")
        }
        "exporters" if is_ours && !matches!(name, "telemark-sdk" | "telemark-serve") => {
            Some("an exporter knows the sdk and serve; no other exporter, no integration, not the facade")
        }
        "viewer" if is_ours && !matches!(name, "telemark-sdk" | "telemark-serve") => {
            Some("the viewer knows the sdk and serve; no exporter, no integration, not the facade")
        }
        "bridges" if is_ours && name != "telemark-sdk" => Some("a bridge knows the sdk and what it bridges to"),
        "detectors" if is_ours && !matches!(name, "telemark-sdk" | "telemark-metadata") => {
            Some("a detector knows the sdk and detectors/metadata")
        }
        "propagators" if is_ours => Some("a propagator knows the API alone"),
        "config" if is_ours && name != "telemark-sdk" => Some("config knows the sdk alone"),
        "redaction" if is_ours && name != "telemark-sdk" => Some("redaction knows the sdk alone"),
        "serve" if is_ours && name != "telemark-sdk" => Some("serve knows the sdk alone"),
        "integrations" if is_ours && on_place != Some("integrations") => {
            Some("an integration depends on the API, its framework, integrations/kit and http; never on the sdk")
        }
        "integrations" if package.name == "telemark-kit" && name != "opentelemetry" => {
            Some("integrations/kit knows the API alone")
        }
        "integrations" if is_ours && package.name == "telemark-http" && name != "telemark-kit" => {
            Some("integrations/http knows no framework and no other integration but integrations/kit")
        }
        "integrations" if package.name == "telemark-db" && !matches!(name, "telemark-kit" | "opentelemetry") => {
            Some("integrations/db knows the API and integrations/kit, and no driver")
        }
        "integrations"
            if is_ours
                && !matches!(name, "telemark-kit" | "telemark-http" | "telemark-db")
                && !INTEGRATIONS_ON_INTEGRATIONS.contains(&(&package.name, name)) =>
        {
            Some("an integration depends on no other but integrations/kit, http and db")
        }
        _ => None,
    }
}

/// Returns the part of the workspace that a package belongs to, which is its top-level folder.
fn place(package: &Package) -> &str {
    package.folder.split('/').next().unwrap_or_default()
}
