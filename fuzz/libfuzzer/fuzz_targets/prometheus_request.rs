//! libFuzzer on `prometheus_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| telemark_fuzz::run("prometheus_request", input));
