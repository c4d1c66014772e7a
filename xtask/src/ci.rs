//! `cargo xtask ci`: runs all checks that a merge requires, starting with the quick ones.

use crate::step::{Failure, Step};
use crate::{api, deny, doc, fuzz, minimal, test};

pub(crate) fn run() -> Result<(), Failure> {
    Step::cargo("formatting", "fmt --all -- --check").run()?;
    Step::cargo("clippy", "clippy --all-targets --all-features -- -D warnings").run()?;
    // Not a default member, because of the rivals. A check suffices to notice that a change has left it behind.
    Step::cargo("benchmarks", "check -p telemark-benches --all-targets").run()?;
    doc::run()?;
    api::run(false)?;
    deny::run()?;
    minimal::run(false)?;
    test::run()?;
    fuzz::run(fuzz::BRIEFLY)?;
    eprintln!("\nAll checks passed.");
    Ok(())
}
