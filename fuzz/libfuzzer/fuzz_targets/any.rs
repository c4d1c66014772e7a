//! Runs a target under libFuzzer. The variable `TELEMARK_FUZZ_TARGET` names it. One program for all targets is linked once.
#![no_main]

use std::sync::OnceLock;

use telemark_fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("TELEMARK_FUZZ_TARGET").unwrap_or_default();
        TARGET.get_or_init(|| Target::named(&name));
    },
    |input: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(input);
        }
    }
);
