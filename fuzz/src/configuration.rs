//! The environment variables, with typical values, mistakes and attacks.

use telemark_otlp::OtlpExporter;
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::config::{Env, VARIABLES};
use telemark_sdk::limits::SpanLimits;
use telemark_sdk::metrics::{ExemplarFilter, PeriodicConfig};
use telemark_sdk::propagation::Propagators;
use telemark_sdk::signal::{Metrics, Traces};
use telemark_sdk::{Resource, sampling};

/// Sets one variable to an arbitrary value. The value must either be used, or be ignored and reported without control
/// characters.
pub(crate) fn variables(input: &[u8]) {
    // The first byte selects the variable, so that mutations try the same value with different variables.
    let Some((first, value)) = input.split_first() else { return };
    let value = String::from_utf8_lossy(value).replace('\0', "");
    let name = VARIABLES[usize::from(*first) % VARIABLES.len()].name;
    // Skip variables that name files, because opening a file is not parsing.
    if name.contains("CERTIFICATE") || name.contains("CLIENT_KEY") || name.contains("FILE") {
        return;
    }
    let env = Env::from_pairs([(name, &*value)]);
    drop(Resource::from_env(&env));
    let _ = SpanLimits::from_env(&env);
    let _ = BatchConfig::spans_from_env(&env);
    let _ = PeriodicConfig::from_env(&env);
    let _ = ExemplarFilter::from_env(&env);
    drop(sampling::from_env(&env));
    drop(Propagators::from_env(&env));
    let errors = [OtlpExporter::<Traces>::from_env(&env).err(), OtlpExporter::<Metrics>::from_env(&env).err()];
    for text in errors.into_iter().flatten().chain(env.take_warnings()).map(|error| error.to_string()) {
        // The report may quote the value, but its control characters must not reach a terminal.
        assert!(!text.chars().any(char::is_control), "{name}={value:?} is reported as {text:?}");
    }
}
