//! `cargo xtask ci`: runs all checks that a merge requires, starting with the quick ones.

use crate::step::{Failure, Step};
use crate::{api, deny, doc, fuzz, test};

pub(crate) fn run() -> Result<(), Failure> {
    Step::cargo("formatting", "fmt --all -- --check").run()?;
    Step::cargo("clippy", "clippy --all-targets --all-features -- -D warnings").run()?;
    doc::run()?;
    api::run(false)?;
    deny::run()?;
    test::run()?;
    fuzz::run(fuzz::BRIEFLY)?;
    eprintln!("\nAll checks passed.");
    Ok(())
}
