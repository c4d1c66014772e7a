//! Runs the target `http_request` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| telemark_fuzz::run("http_request", input));
