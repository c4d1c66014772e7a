//! libFuzzer on `baggage`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| telemark_fuzz::run("baggage", input));
