//! Checks the workspace against the rules of the architecture, and the checks against planted violations.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use telemark_tests::layers::{
    Dependency, Kind, SourceFile, Workspace, dependency_violations, macro_violations, module_violations,
    shape_violations,
};

#[test]
fn crates_depend_in_one_direction() {
    let packages = Workspace::read().unwrap().packages;
    assert!(packages.iter().any(|package| package.name == "telemark-sdk"), "the workspace was read");
    check_none(dependency_violations(&packages));
}

#[test]
fn modules_use_lower_layers_only() {
    let files = Workspace::read().unwrap().files;
    for path in ["sdk/src/trace/mod.rs", "integrations/http/src/server/mod.rs"] {
        assert!(files.iter().any(|file| file.path == path), "the sources were read");
    }
    check_none(module_violations(&files));
}

#[test]
fn the_macro_names_one_path() {
    check_none(macro_violations(&Workspace::read().unwrap().files));
}

#[test]
fn files_are_short_and_say_what_they_own() {
    check_none(shape_violations(&Workspace::read().unwrap().files));
}

#[test]
fn every_published_crate_is_built_alone() {
    let workspace = Workspace::read().unwrap();
    let list = workspace.files.iter().find(|file| file.path == "xtask/src/test.rs").unwrap();
    let internal = ["telemark-benches", "telemark-fuzz", "telemark-tests", "telemark-examples", "xtask"];
    for name in workspace.packages.iter().map(|package| &*package.name).filter(|name| !internal.contains(name)) {
        assert!(list.text.contains(&format!("{name:?}")), "PUBLISHED in {} lacks {name}", list.path);
    }
}

#[test]
fn documentation_shows_every_feature() {
    let mut checked = 0;
    for package in Workspace::read().unwrap().packages {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let manifest = std::fs::read_to_string(root.join(&package.folder).join("Cargo.toml")).unwrap();
        if manifest.contains("\n[features]\n") && !manifest.contains("\npublish = false\n") {
            let shows = manifest.contains("\n[package.metadata.docs.rs]\nall-features = true\n");
            assert!(shows, "{} has features: docs.rs should build it with all of them", package.name);
            checked += 1;
        }
    }
    assert!(checked > 5, "the manifests were read");
}

fn check_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// Checks the packages with one added dependency.
fn check_planted_dependency(package: &str, on: &str, kind: Kind, expected: &str) {
    let mut packages = Workspace::read().unwrap().packages;
    let before = dependency_violations(&packages);
    let at = packages.iter().position(|candidate| candidate.name == package).unwrap();
    packages[at].dependencies.push(Dependency { name: on.to_owned(), kind });
    let found: Vec<_> = dependency_violations(&packages).into_iter().filter(|text| !before.contains(text)).collect();
    let expected = if expected.is_empty() { vec![] } else { vec![format!("{package} depends on {on}: {expected}")] };
    assert_eq!(found, expected);
}

#[test]
fn a_planted_dependency_is_noticed() {
    use Kind::{Build, Dev, Normal};
    let internal = "nothing depends on examples, benches, fuzz, tests or xtask";
    let upstream = "opentelemetry_sdk is for bridges/upstream, benches and tests";
    let oracle = "opentelemetry-proto is an oracle of tests; it drags opentelemetry_sdk along";
    let exporter = "an exporter knows the sdk and serve; no other exporter, no integration, not the facade";
    let integration = "an integration depends on the API, its framework, integrations/kit and http; never on the sdk";
    let small = "the sdk has the API and at most three small crates, listed in this test";
    check_planted_dependency("telemark-sdk", "telemark-otlp", Normal, "the sdk knows no other crate of ours");
    check_planted_dependency("telemark-sdk", "tokio", Normal, small);
    check_planted_dependency("telemark-sdk", "cc", Build, small);
    check_planted_dependency("telemark-sdk", "tokio", Dev, "");
    check_planted_dependency("telemark-sdk", "loom", Normal, small);
    check_planted_dependency("telemark-tower", "opentelemetry_sdk", Normal, upstream);
    check_planted_dependency("telemark-tower", "opentelemetry_sdk", Dev, "");
    check_planted_dependency("telemark-otlp", "opentelemetry-proto", Normal, oracle);
    check_planted_dependency("telemark-otlp", "opentelemetry-proto", Dev, "");
    check_planted_dependency("telemark-tests", "opentelemetry-proto", Normal, "");
    check_planted_dependency("telemark-otlp", "telemark-console", Normal, exporter);
    check_planted_dependency("telemark-console", "telemark-tower", Normal, exporter);
    check_planted_dependency("telemark-console", "telemark", Normal, exporter);
    check_planted_dependency("telemark-console", "telemark-serve", Normal, "");
    let viewer = "the viewer knows the sdk and serve; no exporter, no integration, not the facade";
    check_planted_dependency("telemark-viewer", "telemark-otlp", Normal, viewer);
    check_planted_dependency("telemark-viewer", "telemark-otlp", Dev, "");
    check_planted_dependency("telemark-viewer", "telemark", Normal, viewer);
    check_planted_dependency("telemark", "telemark-cli", Dev, "nothing depends on the command `cargo telemark`");
    check_planted_dependency("telemark-config", "telemark-serve", Normal, "config knows the sdk alone");
    check_planted_dependency("telemark-config", "saphyr-parser", Normal, "");
    check_planted_dependency("telemark-redaction", "telemark-config", Normal, "redaction knows the sdk alone");
    check_planted_dependency("telemark-redaction", "regex", Normal, "");
    check_planted_dependency("telemark-serve", "telemark-prometheus", Normal, "serve knows the sdk alone");
    check_planted_dependency("telemark-tower", "telemark-serve", Normal, integration);
    check_planted_dependency("telemark-tower", "telemark-sdk", Normal, integration);
    check_planted_dependency("telemark-tower", "telemark-sdk", Dev, "");
    check_planted_dependency("telemark-tower", "telemark", Normal, integration);
    let other = "an integration depends on no other but integrations/kit, http and db";
    check_planted_dependency("telemark-tower", "telemark-axum", Normal, other);
    check_planted_dependency("telemark-runtime", "telemark-kit", Normal, "");
    let http = "integrations/http knows no framework and no other integration but integrations/kit";
    check_planted_dependency("telemark-http", "telemark-tower", Normal, http);
    let db = "integrations/db knows the API and integrations/kit, and no driver";
    for dependency in ["telemark-http", "sqlx-core", "tokio"] {
        check_planted_dependency("telemark-db", dependency, Normal, db);
    }
    check_planted_dependency("telemark-runtime", "telemark-db", Normal, "");
    check_planted_dependency("telemark-sqlx", "telemark-tower", Normal, other);
    let kit = "integrations/kit knows the API alone";
    for dependency in ["telemark-http", "http", "tokio"] {
        check_planted_dependency("telemark-kit", dependency, Normal, kit);
    }
    check_planted_dependency("telemark-kit", "telemark-sdk", Normal, integration);
    check_planted_dependency("telemark-kit", "proptest", Dev, "");
    let bridge = "a bridge knows the sdk and what it bridges to";
    check_planted_dependency("telemark-upstream", "telemark-otlp", Normal, bridge);
    check_planted_dependency("telemark-upstream", "opentelemetry_sdk", Normal, "");
    check_planted_dependency("telemark-tracing-fmt", "telemark-upstream", Normal, bridge);
    check_planted_dependency(
        "telemark-container",
        "telemark-aws",
        Normal,
        "a detector knows the sdk and detectors/metadata",
    );
    check_planted_dependency("telemark-container", "telemark-metadata", Normal, "");
    check_planted_dependency("telemark-xray", "telemark-sdk", Normal, "a propagator knows the API alone");
    check_planted_dependency(
        "telemark-macros-expand",
        "telemark-sdk",
        Normal,
        "macros/expand depends on syn, quote and proc-macro2 only",
    );
    check_planted_dependency(
        "telemark-macros",
        "syn",
        Normal,
        "macros is a shim around macros/expand and depends on that alone",
    );
    check_planted_dependency("telemark-macros", "telemark-macros-expand", Normal, "");
    check_planted_dependency("telemark", "xtask", Dev, internal);
    check_planted_dependency("telemark", "telemark-benches", Normal, internal);
    check_planted_dependency("telemark-benches", "opentelemetry_sdk", Normal, "");
}

/// Checks the sources of a small sdk with one added file.
fn check_planted_source(path: &str, text: &str, expected: &[&str]) {
    let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
    let mut files: Vec<_> = ["time", "error", "config", "diag", "batch", "sampling", "propagation", "testing"]
        .iter()
        .map(|module| file(&format!("sdk/src/{module}.rs"), "//! A module.\n"))
        .collect();
    files.push(file("sdk/src/trace/mod.rs", "//! Traces.\n"));
    files.push(file("sdk/src/export.rs", "//! The seam.\n#[macro_export] macro_rules! __send { () => {} }\n"));
    files.push(file(
        "sdk/src/lib.rs",
        "//! The sdk.\npub use export::{Batch, Exporter as Seam};\npub use error::Error;\n",
    ));
    files.retain(|other| other.path != path);
    files.push(file(path, text));
    assert_eq!(module_violations(&files), expected, "{text}");
}

#[test]
fn a_planted_use_of_a_higher_module_is_noticed() {
    let above = |file: &str, used: &str, user: &str| format!("sdk/src/{file}.rs uses {used}, which lies above {user}");
    for text in [
        "use crate::trace::SpanData;",
        "use crate::{error::Error, trace::{SpanData, Link}};",
        "fn f() { let x: crate::trace::SpanData; }",
        "use super::trace;",
        "macro_rules! m { () => { $crate::trace::f() } }",
        "#[cfg(not(loom))] mod inner { use crate::trace::SpanData; }",
    ] {
        check_planted_source("sdk/src/batch.rs", text, &[&above("batch", "trace", "batch")]);
    }
    check_planted_source(
        "sdk/src/batch/queue.rs",
        "use super::super::trace;",
        &[&above("batch/queue", "trace", "batch")],
    );
    // The paths lead through a re-export and a macro in the root.
    check_planted_source("sdk/src/time.rs", "use crate::Batch;", &[&above("time", "export", "time")]);
    check_planted_source("sdk/src/time.rs", "fn f() { crate::__send!() }", &[&above("time", "export", "time")]);
}

#[test]
fn a_planted_use_of_a_later_folder_of_metrics_is_noticed() {
    let file = |path: &str, text: &str| SourceFile { path: format!("sdk/src/metrics/{path}"), text: text.to_owned() };
    let check = |path: &str, text: &str, expected: &[&str]| {
        let files = [
            file("mod.rs", "//! Metrics.\npub use reader::PullReader;\n"),
            file("data/mod.rs", "//! Points."),
            file("config/mod.rs", "use crate::metrics::data::Point;"),
            file("reader/mod.rs", "use crate::metrics::config::View;"),
            file(path, text),
        ];
        assert_eq!(module_violations(&files), expected, "{text}");
    };
    check("data/point.rs", "use crate::config::Env; use super::number::Number;", &[]);
    check(
        "data/point.rs",
        "use crate::metrics::config::View;",
        &["sdk/src/metrics/data/point.rs uses config, which lies above data"],
    );
    check(
        "config/view.rs",
        "use crate::metrics::PullReader;",
        &["sdk/src/metrics/config/view.rs uses reader, which lies above config"],
    );
}

#[test]
fn a_planted_use_of_the_server_by_what_it_shares_is_noticed() {
    let file =
        |path: &str, text: &str| SourceFile { path: format!("integrations/http/src/{path}"), text: text.to_owned() };
    let check = |path: &str, text: &str, expected: &[&str]| {
        let files = [
            file("lib.rs", "//! HTTP.\npub use server::HttpServerInstrumentation;\n"),
            file("server/mod.rs", "use crate::shared::host;"),
            file("shared/host.rs", "use super::query;"),
            file("client/mod.rs", "use crate::shared::host;"),
            file(path, text),
        ];
        assert_eq!(module_violations(&files), expected, "{text}");
    };
    check("shared/query.rs", "use telemark_kit::keys;", &[]);
    let above = "integrations/http/src/shared/query.rs uses server, which lies above shared";
    check("shared/query.rs", "use crate::server::settings::ServerConfig;", &[above]);
    check("shared/query.rs", "use super::super::HttpServerInstrumentation;", &[above]);
    let strangers = "integrations/http/src/client/span.rs uses server: client and server do not know each other";
    check("client/span.rs", "use crate::server::End;", &[strangers]);
    check("shared/query.rs", "use super::host::split;", &["shared::host, shared::query use each other in a circle"]);
}

#[test]
fn what_is_allowed_is_not_reported() {
    for text in [
        "use crate::{batch, config::Env, sampling::Sampler};",
        "use super::Scope; use self::data::SpanData; use crate::trace::active;",
        "// use crate::testing;\n/// [`crate::testing`]\nfn f() { g(\"crate::testing\") }",
        "#[cfg(test)]\nmod tests { use crate::testing::Clock; }",
        "pub(crate) fn f() {}",
    ] {
        check_planted_source("sdk/src/trace/mod.rs", text, &[]);
    }
    check_planted_source("sdk/src/trace/tests.rs", "use crate::testing::Clock;", &[]);
}

#[test]
fn siblings_circles_and_strangers_are_noticed() {
    check_planted_source(
        "sdk/src/trace/mod.rs",
        "use crate::propagation::inject;",
        &["sdk/src/trace/mod.rs uses propagation: trace and propagation do not know each other"],
    );
    check_planted_source(
        "sdk/src/metricks.rs",
        "//! A module nobody has placed.",
        &["sdk/src/metricks.rs: the module metricks has no layer; give it one in this test"],
    );
    let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
    let circle = [
        file("sdk/src/config.rs", "use crate::resource::Resource;"),
        file("sdk/src/resource.rs", "use crate::diag::log;"),
        file("sdk/src/diag.rs", "use crate::config::Env;"),
        file("sdk/src/runtime.rs", "use crate::diag::log;"),
    ];
    assert_eq!(module_violations(&circle), ["config, diag, resource use each other in a circle"]);
}

#[test]
fn a_planted_path_in_the_macro_is_noticed() {
    let check = |code: &str, expected: &str| {
        let file = SourceFile { path: "macros/expand/src/body.rs".to_owned(), text: code.to_owned() };
        assert_eq!(macro_violations(&[file]).join("\n"), expected);
    };
    check("parse_quote!(::telemark::__private) // telemark_sdk::trace", "");
    let ends = "an expansion names ::telemark::__private only";
    check("quote!(::telemark::init())", &format!("macros/expand/src/body.rs names telemark::init: {ends}"));
    check("quote!(::telemark_sdk::x)", &format!("macros/expand/src/body.rs names telemark_sdk::x: {ends}"));
    check(
        "quote!(::opentelemetry::Context)",
        &format!("macros/expand/src/body.rs names opentelemetry::Context: {ends}"),
    );
}

#[test]
fn a_planted_shape_is_noticed() {
    let check = |path: &str, text: String, expected: &str| {
        let file = SourceFile { path: path.to_owned(), text };
        assert_eq!(shape_violations(&[file]).join("\n"), expected);
    };
    let lines = |n: usize| "const A: u8 = 1;\n".repeat(n);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(500));
    check("sdk/src/a.rs", format!("//! A.\n{}{tests}", lines(419)), "");
    check(
        "sdk/src/a.rs",
        format!("//! A.\n{}{tests}", lines(420)),
        "sdk/src/a.rs: 421 lines without tests, more than 420; make it two",
    );
    check("sdk/tests/a.rs", format!("//! A.\n{}", lines(900)), "");
    let documented = format!("//! A.\n{}{}", "// Why.\n".repeat(200), lines(120));
    check("sdk/src/a/mod.rs", documented, "");
    let check_folder = |names: &[&str], expected: &str| {
        let many = (0..11).map(|n| format!("{n}.rs")).chain(names.iter().map(|name| (*name).to_owned()));
        let file = |name| SourceFile { path: format!("sdk/src/a/{name}"), text: "//! A.\n".to_owned() };
        assert_eq!(shape_violations(&many.map(file).collect::<Vec<_>>()).join("\n"), expected);
    };
    check_folder(&["mod.rs", "12th.rs", "12th_tests.rs", "b/other.rs"], "");
    check_folder(&["12th.rs", "13th.rs"], "sdk/src/a: 13 files, more than 12; make it two folders");
    let message = "sdk/src/lib.rs: 121 lines of code, more than 120; it is for documentation and re-exports";
    check("sdk/src/lib.rs", format!("//! A.\n{}", lines(121)), message);
    let first = "the first line should say with `//!` what the file owns";
    check("sdk/tests/a.rs", lines(1), &format!("sdk/tests/a.rs: {first}"));
    check("sdk/src/lib.rs", "#![forbid(unsafe_code)]\n//! A.\n".to_owned(), "");
    check("sdk/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n".to_owned(), "");
    check("macros/tests/ui/a.rs", lines(1), "");
    let chain = "//! A.\nfn a(b: bool, c: Option<u8>) {\n    if b && let Some(_) = c {}\n}\n".to_owned();
    check("sdk/src/a.rs", chain, "sdk/src/a.rs:3: `&& let` needs Rust 1.88, and crates promise 1.85");
}
