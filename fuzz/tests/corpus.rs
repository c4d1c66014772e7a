//! Runs every target over its corpus and thousands of mutations of it, without a fuzzer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use telemark_fuzz::{Mutator, TARGETS};

const MUTATIONS: usize = 10_000;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Runs a target on each input. Panics with the first input that fails.
fn check(name: &str, run: fn(&[u8]), inputs: impl Iterator<Item = Vec<u8>>) {
    for input in inputs {
        if catch_unwind(AssertUnwindSafe(|| run(&input))).is_err() {
            panic!("the target {name} fails on {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn every_target_survives_its_corpus() {
    for target in TARGETS {
        let inputs = corpus(target.name);
        assert!(!inputs.is_empty(), "corpus/{} is empty", target.name);
        check(target.name, target.run, inputs.into_iter());
    }
}

#[test]
fn every_target_survives_mutations() {
    for target in TARGETS {
        let mut mutator = Mutator::new(corpus(target.name), 0x9e37_79b9_7f4a_7c15);
        check(target.name, target.run, (0..MUTATIONS).map(|_| mutator.next_input()));
    }
}

#[test]
fn a_target_that_fails_is_noticed() {
    fn fails_on_a_percent_sign(input: &[u8]) {
        assert!(!input.contains(&b'%'));
    }
    let mut mutator = Mutator::new(vec![b"a=b".to_vec()], 1);
    let found = catch_unwind(AssertUnwindSafe(|| {
        check("planted", fails_on_a_percent_sign, (0..MUTATIONS).map(|_| mutator.next_input()));
    }));
    assert!(found.is_err(), "{MUTATIONS} mutations never inserted a percent sign");
}

/// `cargo xtask fuzz` takes the names of the targets from the folders.
#[test]
fn every_folder_of_the_corpus_is_a_target() {
    let folders = std::fs::read_dir(folder("")).unwrap();
    let mut folders: Vec<_> = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    let mut targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    targets.sort_unstable();
    assert_eq!(folders, targets);
}
