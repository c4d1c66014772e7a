//! `cargo xtask doc`: builds the documentation and fails on broken links.

use crate::step::{Failure, Step};

pub(crate) fn run() -> Result<(), Failure> {
    Step::cargo("documentation", "doc --no-deps --all-features").env("RUSTDOCFLAGS", "-D warnings").run()
}
