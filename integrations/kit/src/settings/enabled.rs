//! The variables that enable or disable an integration as a whole.

/// The variable that applies to every integration without a variable of its own.
pub const DEFAULT_ENABLED: &str = "OTEL_RUST_INSTRUMENTATION_COMMON_DEFAULT_ENABLED";

/// The choice of a user to enable or disable one integration.
///
/// ```
/// use telemark_kit::Enabled;
///
/// let read = |name: &str| (name == "OTEL_RUST_INSTRUMENTATION_MY_CLIENT_ENABLED").then(|| "false".to_owned());
/// let choice = Enabled::read("my-client", read);
/// assert!(!choice.is_enabled);
/// assert!(choice.problems.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enabled {
    /// False if the integration must behave as if it were absent: no spans, no metrics, no propagation.
    pub is_enabled: bool,
    /// Values that were ignored, one message each, for the application to report.
    pub problems: Vec<String>,
}

impl Enabled {
    /// Reads the choice for an integration, which is named after its Cargo feature, such as `axum` or `runtime-metrics`.
    ///
    /// | variable | value | default |
    /// |---|---|---|
    /// | `OTEL_RUST_INSTRUMENTATION_<NAME>_ENABLED` | `true` or `false`; `<NAME>` is the name in upper case with `_` for `-` | the next variable |
    /// | `OTEL_RUST_INSTRUMENTATION_COMMON_DEFAULT_ENABLED` | `true` or `false`, for all integrations | `true` |
    ///
    /// `read` returns the value of an environment variable. An empty value counts as unset, and so does an invalid one, which is
    /// listed in `problems`.
    pub fn read(integration: &str, read: impl Fn(&str) -> Option<String>) -> Self {
        let own = format!("OTEL_RUST_INSTRUMENTATION_{}_ENABLED", integration.to_uppercase().replace('-', "_"));
        let mut problems = Vec::new();
        let mut choice = |name: &str| boolean(name, &read(name)?, &mut problems);
        let is_enabled = choice(&own).or_else(|| choice(DEFAULT_ENABLED)).unwrap_or(true);
        Enabled { is_enabled, problems }
    }
}

fn boolean(name: &str, value: &str, problems: &mut Vec<String>) -> Option<bool> {
    match value.trim() {
        "" => None,
        value if value.eq_ignore_ascii_case("true") => Some(true),
        value if value.eq_ignore_ascii_case("false") => Some(false),
        value => {
            problems.push(format!("{name}: ignored {value:?}, expected `true` or `false`"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_variable_wins_over_the_common_one() {
        const OWN: &str = "OTEL_RUST_INSTRUMENTATION_RUNTIME_METRICS_ENABLED";
        fn check(variables: &[(&str, &str)], is_enabled: bool, problems: &[&str]) {
            let read = |name: &str| Some(variables.iter().find(|(variable, _)| *variable == name)?.1.to_owned());
            let problems = problems.iter().map(ToString::to_string).collect();
            assert_eq!(Enabled::read("runtime-metrics", read), Enabled { is_enabled, problems }, "{variables:?}");
        }
        check(&[], true, &[]);
        check(&[(OWN, "false")], false, &[]);
        check(&[(OWN, " FALSE ")], false, &[]);
        check(&[(DEFAULT_ENABLED, "false")], false, &[]);
        check(&[(DEFAULT_ENABLED, "false"), (OWN, "True")], true, &[]);
        check(&[(DEFAULT_ENABLED, "true"), (OWN, "false")], false, &[]);
        check(&[(DEFAULT_ENABLED, "false"), (OWN, "")], false, &[]);
        check(&[("OTEL_RUST_INSTRUMENTATION_AXUM_ENABLED", "false")], true, &[]);
        let own = "OTEL_RUST_INSTRUMENTATION_RUNTIME_METRICS_ENABLED: ignored \"0\", expected `true` or `false`";
        check(&[(OWN, "0")], true, &[own]);
        check(&[(DEFAULT_ENABLED, "false"), (OWN, "0")], false, &[own]);
        let common = "OTEL_RUST_INSTRUMENTATION_COMMON_DEFAULT_ENABLED: ignored \"off\", expected `true` or `false`";
        check(&[(DEFAULT_ENABLED, "off"), (OWN, "0")], true, &[own, common]);
    }
}
