//! Runs the target `otlp_response` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| telemark_fuzz::run("otlp_response", input));
