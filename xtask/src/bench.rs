//! `cargo xtask bench`: runs the benchmarks. They compile every competing crate, so no other command builds them.

use crate::step::{Failure, Step};

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    Step::cargo("benchmarks", "run --release --package telemark-benches --").arguments(arguments).run()
}
