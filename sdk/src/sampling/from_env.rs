//! Reads the sampler from the environment.

use std::borrow::Cow;

use super::{AlwaysOff, AlwaysOn, ParentBased, Sampler, TraceIdRatio};
use crate::config::Env;
use crate::error::ConfigError;

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Returns the sampler selected by `OTEL_TRACES_SAMPLER`, with the ratio from `OTEL_TRACES_SAMPLER_ARG`; the default
/// is `parentbased_always_on`. Reports invalid values to `env` and treats them as unset. Also reports a ratio that the
/// sampler does not use, because it was probably meant to limit the number of traces.
///
/// spec: configuration/sdk-environment-variables.md#general-sdk-configuration
pub fn from_env(env: &Env) -> Box<dyn Sampler> {
    let named = env.one_of(SAMPLER, SAMPLERS);
    match named {
        Some(Factory::OfRatio(_)) => {}
        _ if env.string(ARGUMENT).is_none() => {}
        Some(Factory::Plain(_)) => {
            env.warn(ConfigError::state(ARGUMENT, "has no effect: the sampler of OTEL_TRACES_SAMPLER takes no ratio"))
        }
        None => env.warn(ConfigError::state(
            ARGUMENT,
            "has no effect without traceidratio or parentbased_traceidratio in OTEL_TRACES_SAMPLER",
        )),
    }
    match named {
        None => Box::new(ParentBased::default()),
        Some(Factory::Plain(make)) => make(),
        Some(Factory::OfRatio(make)) => make(TraceIdRatio::new(env.number(ARGUMENT, 0.0..=1.0).unwrap_or(1.0))),
    }
}

/// Creates the sampler for a name.
#[derive(Clone, Copy)]
enum Factory {
    Plain(fn() -> Box<dyn Sampler>),
    OfRatio(fn(TraceIdRatio) -> Box<dyn Sampler>),
}

/// The list of samplers, with one row per name.
const SAMPLERS: &[(&str, Factory)] = &[
    ("always_on", Factory::Plain(|| Box::new(AlwaysOn))),
    ("always_off", Factory::Plain(|| Box::new(AlwaysOff))),
    ("traceidratio", Factory::OfRatio(|ratio| Box::new(ratio))),
    ("parentbased_always_on", Factory::Plain(|| Box::new(ParentBased::new(AlwaysOn)))),
    ("parentbased_always_off", Factory::Plain(|| Box::new(ParentBased::new(AlwaysOff)))),
    ("parentbased_traceidratio", Factory::OfRatio(|ratio| Box::new(ParentBased::new(ratio)))),
];

/// Returns the `OTEL_TRACES_SAMPLER` name of the sampler with this description, followed by its ratio if it has one, as in
/// `parentbased_traceidratio 0.000100`. Returns the description itself for any other sampler.
pub(crate) fn name_of(description: &str) -> Cow<'_, str> {
    const BRANCHES: &str = ",remoteParentSampled:AlwaysOnSampler,remoteParentNotSampled:AlwaysOffSampler,\
        localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}";
    let root = description.strip_prefix("ParentBased{root:").and_then(|rest| rest.strip_suffix(BRANCHES));
    let (prefix, own) = root.map_or(("", description), |root| ("parentbased_", root));
    let ratio = own.strip_prefix("TraceIdRatioBased{").and_then(|rest| rest.strip_suffix('}'));
    match (own, ratio) {
        ("AlwaysOnSampler", _) => format!("{prefix}always_on").into(),
        ("AlwaysOffSampler", _) => format!("{prefix}always_off").into(),
        (_, Some(ratio)) => format!("{prefix}traceidratio {ratio}").into(),
        _ => description.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the root part of the description (or all of it if there is no such part) and the warnings with
    /// `expected`.
    fn check(sampler: &str, argument: &str, expected: &str) {
        let env = Env::from_pairs([("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        let description = from_env(&env).description().into_owned();
        let short = description.split(",remoteParentSampled:AlwaysOnSampler").next().unwrap_or_default().to_owned();
        let warnings = env.take_warnings().iter().map(ToString::to_string).collect();
        assert_eq!([vec![short], warnings].concat().join("; "), expected, "{sampler:?} {argument:?}");
    }

    #[test]
    fn every_name_is_that_of_its_sampler() {
        for (name, _) in SAMPLERS {
            let env = Env::from_pairs([("OTEL_TRACES_SAMPLER", *name), ("OTEL_TRACES_SAMPLER_ARG", "0.25")]);
            let description = from_env(&env).description().into_owned();
            let expected = if name.ends_with("ratio") { format!("{name} 0.250000") } else { (*name).to_owned() };
            assert_eq!(name_of(&description), expected);
        }
        for other in [
            ParentBased::new(AlwaysOn).with_local_parent_not_sampled(AlwaysOn).description(),
            "the program's own".into(),
        ] {
            assert_eq!(name_of(&other), other);
        }
    }

    #[test]
    fn names() {
        check("", "", "ParentBased{root:AlwaysOnSampler");
        check("always_on", "", "AlwaysOnSampler");
        check(" ALWAYS_OFF ", "", "AlwaysOffSampler");
        check("traceidratio", "0.25", "TraceIdRatioBased{0.250000}");
        check("parentbased_always_on", "", "ParentBased{root:AlwaysOnSampler");
        check("parentbased_always_off", "", "ParentBased{root:AlwaysOffSampler");
        check("parentbased_traceidratio", "1e-4", "ParentBased{root:TraceIdRatioBased{0.000100}");
    }

    const NAMES_NONE: &str = "OTEL_TRACES_SAMPLER_ARG: has no effect without traceidratio or parentbased_traceidratio in \
                              OTEL_TRACES_SAMPLER";

    #[test]
    fn an_unknown_sampler_is_reported_and_the_default_is_taken() {
        let accepted = "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, \
                        parentbased_traceidratio";
        for unknown in ["jaeger_remote", "xray", "parent_based", "0.5"] {
            let expected = format!(
                "ParentBased{{root:AlwaysOnSampler; OTEL_TRACES_SAMPLER={unknown:?} cannot be used: expected one of \
                 {accepted}; {NAMES_NONE}"
            );
            check(unknown, "0.5", &expected);
        }
    }

    #[test]
    fn an_argument_that_is_no_ratio_is_reported_and_everything_is_sampled() {
        check("traceidratio", "", "TraceIdRatioBased{1.000000}");
        for invalid in ["2", "-0.5", "half", "NaN", "inf"] {
            let expected = format!(
                "TraceIdRatioBased{{1.000000}}; OTEL_TRACES_SAMPLER_ARG={invalid:?} cannot be used: expected a number \
                 from 0 to 1"
            );
            check("traceidratio", invalid, &expected);
        }
    }

    #[test]
    fn an_argument_that_has_no_effect_is_reported() {
        check("", "0.1", &format!("ParentBased{{root:AlwaysOnSampler; {NAMES_NONE}"));
        let takes_none = "OTEL_TRACES_SAMPLER_ARG: has no effect: the sampler of OTEL_TRACES_SAMPLER takes no ratio";
        check("always_off", "0.1", &format!("AlwaysOffSampler; {takes_none}"));
        check("parentbased_always_on", "nonsense", &format!("ParentBased{{root:AlwaysOnSampler; {takes_none}"));
    }
}
