//! Runs the target `other_formats` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| telemark_fuzz::run("other_formats", input));
