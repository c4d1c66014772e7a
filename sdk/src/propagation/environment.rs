//! Environment variables as carriers: the trace context of a program that another program starts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

use super::{active, jaeger, ot_trace};
use crate::config::Env;

/// Writes fields into the environment of a child process. The environment of this process stays as it is, and the process is
/// not started.
///
/// Other programs of the machine may be able to read the variables.
///
/// spec: context/env-carriers.md
#[derive(Debug)]
pub struct EnvironmentInjector<'c>(&'c mut Command);

impl<'c> EnvironmentInjector<'c> {
    /// Creates an injector into the environment of this command.
    pub fn new(command: &'c mut Command) -> Self {
        EnvironmentInjector(command)
    }
}

impl Injector for EnvironmentInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        // No variable can hold a zero byte, which would make the command fail.
        if !value.contains('\0') {
            self.0.env(&*variable_name(key), value);
        }
    }
}

/// Reads fields from environment variables, as they were when it was created.
///
/// spec: context/env-carriers.md
#[derive(Clone, Default)]
pub struct EnvironmentExtractor {
    variables: BTreeMap<String, String>,
}

impl EnvironmentExtractor {
    /// Reads the variables whose names [`variable_name`] leaves as they are and whose values are UTF-8.
    pub fn new(env: &Env) -> Self {
        let is_normalized = |name: &str| variable_name(name) == name;
        EnvironmentExtractor { variables: env.all().into_iter().filter(|(name, _)| is_normalized(name)).collect() }
    }
}

impl Extractor for EnvironmentExtractor {
    fn get(&self, key: &str) -> Option<&str> {
        self.variables.get(&*variable_name(key)).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.variables.keys().map(String::as_str).collect()
    }
}

/// Shows the names only, because the values of other variables may be secrets.
impl fmt::Debug for EnvironmentExtractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Returns the name of the variable for a field, such as `TRACEPARENT` for `traceparent`, and `X_B3_TRACEID` for `x-b3-traceid`.
///
/// spec: context/env-carriers.md#environment-variable-names
pub fn variable_name(key: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let starts_well = key.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if starts_well && key.bytes().all(is_plain) {
        return Cow::Borrowed(key);
    }
    let plain = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
    let start = if starts_well { "" } else { "_" };
    Cow::Owned(start.chars().chain(key.chars().map(plain)).collect())
}

/// Gives a command the span context and the baggage of `context`, with the propagator of [`active::inject`]. The command does
/// not inherit the fields of the span in which this process was started.
pub fn inject(context: &Context, command: &mut Command) {
    inject_over(&Env::process(), context, command);
}

/// Injects `context` into a command that would inherit `env`.
fn inject_over(env: &Env, context: &Context, command: &mut Command) {
    let fields = active::fields(context);
    for field in &fields {
        command.env_remove(&*variable_name(field));
    }
    for (_, is_stale) in BAGGAGE.iter().filter(|(field, _)| fields.iter().any(|known| known == field)) {
        let given = command.get_envs().filter_map(|(name, _)| name.to_str().map(str::to_owned));
        let inherited = env.all().into_iter().map(|(name, _)| name);
        for name in given.chain(inherited).filter(|name| is_stale(name)).collect::<Vec<_>>() {
            command.env_remove(name);
        }
    }
    active::inject(context, &mut EnvironmentInjector::new(command));
}

type IsOfBaggage = fn(&str) -> bool;

/// Propagators whose baggage is in fields that they cannot list: a field that they list, and whether a variable is of their baggage.
const BAGGAGE: [(&str, IsOfBaggage); 2] = [
    (jaeger::TRACE_ID, |name| {
        name.starts_with(&*variable_name(jaeger::BAGGAGE_PREFIX)) || name == variable_name(jaeger::BAGGAGE)
    }),
    (ot_trace::TRACE_ID, |name| name.starts_with(&*variable_name(ot_trace::BAGGAGE_PREFIX))),
];

/// Returns `context` with the span context and the baggage from `env`, with the propagator of [`active::extract`].
pub fn extract(context: &Context, env: &Env) -> Context {
    active::extract(context, &EnvironmentExtractor::new(env))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propagation::{B3Propagator, JaegerPropagator, OtTracePropagator, Propagators};
    use opentelemetry::baggage::BaggageExt;
    use opentelemetry::trace::TraceContextExt;
    use proptest::prelude::*;
    use std::sync::Arc;

    #[test]
    fn names() {
        for (key, name) in [
            ("", "_"),
            ("traceparent", "TRACEPARENT"),
            ("x-b3-traceid", "X_B3_TRACEID"),
            ("uberctx-user id", "UBERCTX_USER_ID"),
            ("0abc", "_0ABC"),
            ("ключ", "____"),
            ("X_B3", "X_B3"),
            ("_", "_"),
            ("9", "_9"),
        ] {
            assert_eq!(variable_name(key), name, "{key}");
        }
    }

    #[test]
    fn only_normalized_names_are_read() {
        let env = Env::from_pairs([
            ("x-b3-traceid", "1"),
            ("traceparent", "2"),
            ("TRACEPARENT", " 3 "),
            ("0A", "4"),
            ("EMPTY", ""),
        ]);
        let extractor = EnvironmentExtractor::new(&env);
        assert_eq!(extractor.get("x-b3-traceid"), None);
        assert_eq!(extractor.get("traceparent"), Some(" 3 "), "values are opaque");
        assert_eq!(extractor.get("TraceParent"), Some(" 3 "));
        assert_eq!(extractor.keys(), ["EMPTY", "TRACEPARENT"]);
        assert_eq!(format!("{extractor:?}"), r#"{"EMPTY", "TRACEPARENT"}"#);
    }

    /// Injects `context` into a command and returns the variables that it sets, and a `-` before those that it removes.
    fn injected(context: &Context) -> String {
        let mut command = Command::new("none");
        inject(context, &mut command);
        variables_of(&command)
    }

    fn variables_of(command: &Command) -> String {
        let text = |name: &std::ffi::OsStr| name.to_str().map(str::to_owned).unwrap();
        let shown = command.get_envs().map(|(name, value)| match value {
            Some(value) => format!("{}={}", text(name), text(value)),
            None => format!("-{}", text(name)),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_command_has_the_context_and_nothing_older() {
        let propagators =
            Propagators::default().with_propagator(B3Propagator::multi()).with_propagator(JaegerPropagator::new());
        let context = active::with_propagator(&Context::new(), Arc::new(propagators));
        assert_eq!(
            injected(&context),
            "-BAGGAGE -TRACEPARENT -TRACESTATE -UBER_TRACE_ID -X_B3_FLAGS -X_B3_SAMPLED -X_B3_SPANID -X_B3_TRACEID"
        );
        let env = Env::from_pairs([
            ("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("UBERCTX_USER_ID", "7"),
            ("HOME", "/root"),
        ]);
        let context = extract(&context, &env);
        assert!(context.span().span_context().is_remote());
        assert_eq!(context.baggage().get("user_id").map(|value| value.as_str()), Some("7"));
        assert_eq!(
            injected(&context),
            "BAGGAGE=user_id=7 TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 -TRACESTATE \
             UBERCTX_USER_ID=7 UBER_TRACE_ID=4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1 -X_B3_FLAGS \
             X_B3_SAMPLED=1 X_B3_SPANID=00f067aa0ba902b7 X_B3_TRACEID=4bf92f3577b34da6a3ce929d0e0e4736"
        );
    }

    #[test]
    fn a_command_does_not_inherit_older_baggage() {
        let check = |propagators: Propagators, expected: &str| {
            let context = active::with_propagator(&Context::new(), Arc::new(propagators));
            let context = context.with_baggage([opentelemetry::KeyValue::new("new", "1")]);
            let inherited =
                ["UBERCTX_USER", "UBERCTX", "JAEGER_BAGGAGE", "JAEGER_BAGGAGE_2", "OT_BAGGAGE_USER", "HOME"];
            let mut command = Command::new("none");
            // As after an earlier injection into the same command.
            command.env("UBERCTX_OLD", "1").env("OT_BAGGAGE_OLD", "1");
            inject_over(&Env::from_pairs(inherited.map(|name| (name, "7"))), &context, &mut command);
            assert_eq!(variables_of(&command), expected);
        };
        check(Propagators::none(), "OT_BAGGAGE_OLD=1 UBERCTX_OLD=1");
        check(
            Propagators::none().with_propagator(JaegerPropagator::new()),
            "-JAEGER_BAGGAGE OT_BAGGAGE_OLD=1 UBERCTX_NEW=1 -UBERCTX_OLD -UBERCTX_USER -UBER_TRACE_ID",
        );
        check(
            Propagators::none().with_propagator(OtTracePropagator::new()),
            "-OT_BAGGAGE_OLD -OT_BAGGAGE_USER -OT_TRACER_SAMPLED -OT_TRACER_SPANID -OT_TRACER_TRACEID UBERCTX_OLD=1",
        );
    }

    #[test]
    fn a_value_that_no_variable_can_hold_is_left_out() {
        let mut command = Command::new("none");
        EnvironmentInjector::new(&mut command).set("a", "b\0c".to_owned());
        assert_eq!(command.get_envs().count(), 0);
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_a_variable_may_have(key: String) {
            let name = variable_name(&key).into_owned();
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'));
            prop_assert!(name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit()));
            prop_assert_eq!(&*variable_name(&name), &name, "normal names stay");
        }
    }
}
