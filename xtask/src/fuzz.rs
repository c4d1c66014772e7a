//! `cargo xtask fuzz`: runs every fuzz target under libFuzzer for a few seconds each, with coverage and AddressSanitizer.

use std::fs;

use crate::services::install;
use crate::step::{Failure, Step, is_ci, root};

const VERSION: &str = "0.13.2";
/// The number of seconds for each target in continuous integration.
pub(crate) const BRIEFLY: u32 = 5;

/// Fuzzes each target for `seconds`. If cargo-fuzz cannot be installed, fails in continuous integration and skips the fuzzing
/// elsewhere.
pub(crate) fn run(seconds: u32) -> Result<(), Failure> {
    let folder = match install::cargo("cargo-fuzz", VERSION) {
        Ok(folder) => folder,
        Err(failure) if is_ci() => return Err(failure),
        Err(failure) => {
            eprintln!("\n==> fuzzing: SKIPPED, as cargo-fuzz cannot be installed: {failure}");
            return Ok(());
        }
    };
    for target in targets()? {
        // libFuzzer writes new inputs to the first corpus. The second corpus belongs to the repository.
        let found = folder_of("target/fuzz", &target)?;
        let failed = folder_of("fuzz/libfuzzer/artifacts", &target)?;
        Step::program("fuzzing", folder.join("bin/cargo-fuzz"))
            .arguments(["run", "--fuzz-dir", "fuzz/libfuzzer", "--target-dir", "target/fuzz-build", "any"])
            .arguments([&found, &format!("fuzz/corpus/{target}")])
            .arguments(["--", &format!("-artifact_prefix={failed}/")])
            .arguments([&format!("-max_total_time={seconds}"), "-rss_limit_mb=1024", "-verbosity=0"])
            // The sanitizer requires unstable compiler flags.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("TELEMARK_FUZZ_TARGET", &target)
            .run()?;
    }
    Ok(())
}

/// Creates the folder of a target below another one, and returns its path.
fn folder_of(parent: &str, target: &str) -> Result<String, Failure> {
    let folder = root().join(parent).join(target);
    fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("{} cannot be created: {error}", folder.display())))?;
    Ok(folder.to_string_lossy().into_owned())
}

/// Returns the names of the targets. A test in `fuzz` compares the folders of the corpus with the list of targets.
fn targets() -> Result<Vec<String>, Failure> {
    let folder = root().join("fuzz/corpus");
    let entries =
        fs::read_dir(&folder).map_err(|error| Failure::new(format!("{} cannot be read: {error}", folder.display())))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}
