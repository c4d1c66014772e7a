//! `OTEL_SEMCONV_STABILITY_OPT_IN`, with which users of older instrumentation choose between old and stable conventions.

use super::Env;
use crate::error::ConfigError;

const NAME: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";

/// The groups of conventions that the variable may name, each with and without `/dup`.
const GROUPS: &[&str] = &["http", "database", "messaging", "rpc", "code", "k8s"];

/// Conventions that no instrumentation of this project records.
const ELSEWHERE: &[&str] = &["gen_ai_latest_experimental"];

/// Reports values of the variable that have no effect. The stable conventions are always recorded, so naming a group changes
/// nothing, and `/dup`, which asks for the old names as well, adds nothing.
///
/// spec: semconv http/http-spans.md, database/database-spans.md, rpc/rpc-spans.md: the variable is for instrumentation that has
/// recorded the old names before
pub fn warn_of_old_conventions(env: &Env) {
    let value = env.string(NAME).unwrap_or_default();
    let items = || value.split(',').map(str::trim).filter(|item| !item.is_empty());
    let group = |item: &str| GROUPS.iter().find(|group| item.eq_ignore_ascii_case(group)).copied();
    let of_dup = |item: &str| item.get(..item.len().checked_sub(4)?).filter(|_| item.ends_with("/dup")).and_then(group);
    let dups: Vec<_> = items().filter(|item| of_dup(item).is_some()).collect();
    if !dups.is_empty() {
        let problem = format!("{} adds nothing: only the stable conventions are recorded", dups.join(", "));
        env.warn(ConfigError::state(NAME, problem));
    }
    let is_known = |item: &&str| group(item).or_else(|| of_dup(item)).is_some() || ELSEWHERE.contains(item);
    for item in items().filter(|item| !is_known(item)) {
        env.warn(ConfigError::invalid(
            NAME,
            item,
            format!("a list of {}, each with or without /dup", GROUPS.join(", ")),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dup_and_unknown_values_are_reported() {
        fn check(value: &str, expected: &[&str]) {
            let env = Env::from_pairs([(NAME, value)]);
            warn_of_old_conventions(&env);
            let warnings: Vec<_> = env.take_warnings().iter().map(ToString::to_string).collect();
            assert_eq!(warnings, expected, "{value}");
        }
        check("", &[]);
        check("http", &[]);
        check("http, database,rpc,messaging,code, gen_ai_latest_experimental,", &[]);
        let dup = "OTEL_SEMCONV_STABILITY_OPT_IN: http/dup adds nothing: only the stable conventions are recorded";
        check("http/dup", &[dup]);
        check("http,http/dup", &[dup]);
        check(
            "database/dup , rpc, RPC/dup",
            &[
                "OTEL_SEMCONV_STABILITY_OPT_IN: database/dup, RPC/dup adds nothing: only the stable conventions are recorded",
            ],
        );
        for unknown in ["htpp", "/dup", "dup", "http/dupe", "é/dup", "ö"] {
            let expected = format!(
                "OTEL_SEMCONV_STABILITY_OPT_IN={unknown:?} cannot be used: expected a list of http, database, messaging, rpc, \
                 code, k8s, each with or without /dup"
            );
            check(unknown, &[&expected]);
        }
    }
}
