//! Runs the target `macro_options` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| telemark_fuzz::run("macro_options", input));
