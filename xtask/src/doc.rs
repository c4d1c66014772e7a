//! `cargo xtask doc`: the documentation, where a broken link is an error.

use crate::step::{Failure, Step};

pub(crate) fn run() -> Result<(), Failure> {
    Step::cargo("documentation", "doc --no-deps --all-features").env("RUSTDOCFLAGS", "-D warnings").run()
}
