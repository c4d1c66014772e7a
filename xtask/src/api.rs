//! `cargo xtask api`: compares the public API of each published crate with the list in `docs/api/`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::step::{Failure, Step, root};
use crate::test::{PROGRAMS, PUBLISHED};

/// Runs rustdoc with its unstable options. As a variable of cargo's, `RUSTC_BOOTSTRAP` would build all dependencies again.
const RUSTDOC: &str = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n";

/// Fails with the changed lines if a crate's public API differs from its list. With `bless`, rewrites the lists instead.
///
/// Reads rustdoc's JSON, whose format is unstable, so the compiler must match the version of the crate `public-api`.
pub(crate) fn run(bless: bool) -> Result<(), Failure> {
    let mut arguments = "doc --no-deps --lib --all-features --target-dir target".to_owned();
    let libraries = || PUBLISHED.iter().filter(|package| !PROGRAMS.contains(package));
    for package in libraries() {
        arguments += &format!(" --package {package}");
    }
    let rustdoc = rustdoc().map_err(|error| Failure::new(format!("rustdoc cannot be wrapped: {error}")))?;
    Step::cargo("public API", &arguments)
        .env("RUSTDOC", &rustdoc)
        .env("RUSTDOCFLAGS", "-Z unstable-options --output-format json --cap-lints allow")
        .run()?;
    let mut changed = Vec::new();
    for package in libraries() {
        let current = list(package)?;
        let path = root().join(format!("docs/api/{package}.txt"));
        if bless {
            fs::write(&path, current)
                .map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))?;
            continue;
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        changed.extend(difference(&kept, &current).map(|line| format!("{package}: {line}")));
    }
    if changed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the public API has changed; if it is meant to, run `cargo xtask api --bless` and review the diff:\n{}",
        changed.join("\n")
    )))
}

/// Writes the program that takes the place of rustdoc. Returns its path.
fn rustdoc() -> io::Result<String> {
    let folder = root().join("target");
    fs::create_dir_all(&folder)?;
    let path = folder.join("rustdoc-json");
    fs::write(&path, RUSTDOC)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path.display().to_string())
}

/// Lists the crate's public items, one per line, without derived and automatic implementations.
fn list(package: &str) -> Result<String, Failure> {
    let json: PathBuf = root().join(format!("target/doc/{}.json", package.replace('-', "_")));
    let api = public_api::Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .map_err(|error| Failure::new(format!("the public API of {package} cannot be read: {error}")))?;
    Ok(api.items().map(|item| format!("{item}\n")).collect())
}

/// Returns the lines that exist on only one side, marked with `-` or `+`.
fn difference(kept: &str, current: &str) -> impl Iterator<Item = String> {
    let only = |mark: char, lines: &str, others: &str| {
        let others: Vec<_> = others.lines().collect();
        let missing = lines.lines().filter(|line| !others.contains(line));
        missing.map(|line| format!("{mark} {line}")).collect::<Vec<_>>()
    };
    only('-', kept, current).into_iter().chain(only('+', current, kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_and_an_added_item_are_told() {
        let found: Vec<_> = difference("pub fn a()\npub fn b()\n", "pub fn b()\npub fn c()\n").collect();
        assert_eq!(found, ["- pub fn a()", "+ pub fn c()"]);
    }
}
