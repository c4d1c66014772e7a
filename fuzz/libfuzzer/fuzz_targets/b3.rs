//! Runs the target `b3` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| telemark_fuzz::run("b3", input));
