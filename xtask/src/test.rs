//! `cargo xtask test`: runs every test, but no benchmarks.

use std::path::Path;

use crate::services::Services;
use crate::step::{Failure, Step, is_ci, root};

/// The published crates. Each must build on its own, without features that other crates happen to enable.
pub(crate) const PUBLISHED: &[&str] = &[
    "telemark-sdk",
    "telemark-config",
    "telemark-redaction",
    "telemark-serve",
    "telemark-viewer",
    "telemark-macros-expand",
    "telemark-macros",
    "telemark-otlp",
    "telemark-console",
    "telemark-prometheus",
    "telemark-upstream",
    "telemark-tracing",
    "telemark-tracing-fmt",
    "telemark-kit",
    "telemark-http",
    "telemark-tower",
    "telemark-axum",
    "telemark-tonic",
    "telemark-hyper",
    "telemark-reqwest",
    "telemark-runtime",
    "telemark-db",
    "telemark-sqlx",
    "telemark-xray",
    "telemark-container",
    "telemark-metadata",
    "telemark-aws",
    "telemark-gcp",
    "telemark-azure",
    "telemark",
    "telemark-cli",
];

/// The published crates that are programs without a library.
pub(crate) const PROGRAMS: &[&str] = &["telemark-cli"];

pub(crate) fn run() -> Result<(), Failure> {
    // The services run until this function returns, so that the tests that need receivers run together with all other
    // tests.
    let services = Services::start()?;
    tests("tests", "--all-features").quiet_envs(services.variables()).run()?;
    tests("tests without features", "--package telemark --no-default-features").run()?;
    for package in PUBLISHED {
        Step::cargo("a crate alone", &format!("check --package {package}")).run()?;
        Step::cargo("a crate alone", &format!("check --package {package} --no-default-features")).run()?;
    }
    loom()?;
    services.repeat_what_was_skipped();
    Ok(())
}

/// Returns the step that runs tests. In continuous integration, the hundreds of executables have no debug information, which would be
/// most of their 12 GB, and nobody debugs them.
fn tests(title: &str, arguments: &str) -> Step {
    let profile = if is_ci() { "--config profile.dev.debug=false " } else { "" };
    Step::cargo(title, &format!("test {profile}{arguments}"))
}

/// Tests all interleavings of the lock-free code. Uses a separate target directory, because the flag rebuilds every
/// crate.
fn loom() -> Result<(), Failure> {
    if !contains(&root().join("sdk/src"), "loom::model") {
        eprintln!("\n==> loom: there are no loom tests in sdk/src");
        return Ok(());
    }
    Step::cargo("loom", "test --package telemark-sdk --release --lib --target-dir target/loom loom")
        .env("RUSTFLAGS", "--cfg loom")
        .run()
}

/// Returns true if a file below `folder` contains `text`.
fn contains(folder: &Path, text: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            contains(&path, text)
        } else {
            std::fs::read_to_string(&path).is_ok_and(|content| content.contains(text))
        }
    })
}
