//! The libraries whose calls Telemark instruments, with their versions.

use std::collections::BTreeSet;

use super::program::Program;
use crate::zero::rules::edges::{AXUM, REQWEST, SQLX};
use crate::zero::shadow::lock::Lock;

/// The libraries, and the start of the versions that fit.
const LIBRARIES: [(&str, &str); 6] =
    [("axum", AXUM), ("hyper", "1"), ("hyper-util", "0.1"), ("reqwest", REQWEST), ("sqlx", SQLX), ("tonic", "0.14")];

/// Returns true if the versions of a library in `Cargo.lock` fit.
pub(crate) fn fits(lock: &Lock, name: &str) -> bool {
    LIBRARIES.iter().any(|(known, version)| *known == name && lock.has_only(name, version))
}

/// Says which libraries that the packages use are there in versions that do not fit.
pub(crate) fn unfit(program: &Program) -> Vec<String> {
    let packages: BTreeSet<_> = program.files.iter().map(|file| file.package).collect();
    let used = |name: &str| packages.iter().any(|package| program.workspace.packages[*package].depends_on(name));
    let unfit = LIBRARIES.iter().filter(|(name, _)| used(name) && !fits(&program.lock, name));
    unfit
        .map(|(name, version)| {
            let present = program.lock.versions(name).join(", ");
            let present = if present.is_empty() { "of no version in Cargo.lock".to_owned() } else { present };
            format!("{name} {present} is left alone: Telemark knows {name} {version}.*")
        })
        .collect()
}
