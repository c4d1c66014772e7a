//! `cargo xtask bench`: the benchmarks. They compile every competing crate, so nothing else builds them.

use crate::step::{Failure, Step};

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    Step::cargo("benchmarks", "run --release --package telemark-benches --").arguments(arguments).run()
}
