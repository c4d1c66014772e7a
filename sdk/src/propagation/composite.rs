//! A chain of propagators, in the order given by `OTEL_PROPAGATORS`.

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

use super::{B3Propagator, BaggagePropagator, TraceContextPropagator};
use crate::config::Env;
use crate::error::{ConfigError, Contained};

/// A chain of propagators, each of which extracts into the context returned by the previous one.
///
/// The default chain is W3C Trace Context followed by W3C Baggage.
#[derive(Debug)]
pub struct Propagators {
    members: Vec<Member>,
    fields: Vec<String>,
}

#[derive(Debug)]
enum Member {
    /// A separate variant, because baggage usually comes last and is usually absent, in which case the context need
    /// not be copied.
    Baggage(BaggagePropagator),
    Other(Contained<Box<dyn TextMapPropagator + Send + Sync>>),
}

impl Propagators {
    /// Creates an empty chain, which neither extracts nor injects anything.
    pub fn none() -> Self {
        Propagators { members: Vec::new(), fields: Vec::new() }
    }

    /// Creates the chain listed in `OTEL_PROPAGATORS`: `tracecontext`, `baggage`, `b3`, `b3multi`, or `none`.
    ///
    /// Reports unknown names to `env` and skips them. If none of the names is known, the variable counts as unset.
    ///
    /// spec: configuration/sdk-environment-variables.md#general-sdk-configuration
    pub fn from_env(env: &Env) -> Self {
        const NAME: &str = "OTEL_PROPAGATORS";
        const NONE: &str = "none";
        let known = PROPAGATORS.iter().map(|(name, _)| *name).chain([NONE]).map(|name| (name, name));
        let names = env.list_of(NAME, &known.collect::<Vec<_>>()).unwrap_or_default();
        if names == [NONE] {
            return Propagators::none();
        }
        if names.contains(&NONE) {
            env.warn(ConfigError::state(NAME, "`none` has no meaning beside other propagators and is left out"));
        }
        if names.is_empty() {
            return Propagators::default();
        }
        let factories = names.into_iter().filter_map(|name| PROPAGATORS.iter().find(|(known, _)| *known == name));
        factories.fold(Propagators::none(), |propagators, (_, make)| propagators.with_member(make()))
    }

    /// Appends a propagator to the chain.
    pub fn with_propagator(self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.with_member(Member::other(propagator))
    }

    fn with_member(mut self, member: Member) -> Self {
        let propagator = member.propagator();
        for field in propagator.fields() {
            if !self.fields.iter().any(|known| known == field) {
                self.fields.push(field.to_owned());
            }
        }
        self.members.push(member);
        self
    }
}

impl Member {
    fn other(propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        Member::Other(Contained::new(Box::new(propagator)))
    }

    fn propagator(&self) -> &dyn TextMapPropagator {
        match self {
            Member::Baggage(baggage) => baggage,
            Member::Other(other) => &***other,
        }
    }

    /// Extracts into a context passed by value, which avoids a copy.
    fn extract_into(&self, cx: Context, extractor: &dyn Extractor) -> Context {
        match self {
            Member::Baggage(baggage) => match baggage.extract(extractor) {
                None => cx,
                Some(baggage) => cx.with_baggage(baggage),
            },
            Member::Other(other) => other.extract_with_context(&cx, extractor),
        }
    }
}

impl Default for Propagators {
    fn default() -> Self {
        Propagators::none()
            .with_propagator(TraceContextPropagator::new())
            .with_member(Member::Baggage(BaggagePropagator::new()))
    }
}

impl TextMapPropagator for Propagators {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        self.members.iter().for_each(|member| member.propagator().inject_context(cx, injector));
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let Some((first, others)) = self.members.split_first() else { return cx.clone() };
        let extracted = first.propagator().extract_with_context(cx, extractor);
        others.iter().fold(extracted, |cx, member| member.extract_into(cx, extractor))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

/// Creates the propagator for a name.
type Factory = fn() -> Member;

/// The list of propagators, with one row per name.
const PROPAGATORS: &[(&str, Factory)] = &[
    ("tracecontext", || Member::other(TraceContextPropagator::new())),
    ("baggage", || Member::Baggage(BaggagePropagator::new())),
    ("b3", || Member::other(B3Propagator::single())),
    ("b3multi", || Member::other(B3Propagator::multi())),
];

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::TraceContextExt;
    use std::collections::HashMap;

    /// Compares the header fields and warnings that result from a value of the variable with `expected`.
    fn check(value: &str, expected: &str) {
        let env = Env::from_pairs([("OTEL_PROPAGATORS", value)]);
        let fields = Propagators::from_env(&env).fields().collect::<Vec<_>>().join(" ");
        let warnings = env.take_warnings().into_iter().map(|warning| warning.to_string());
        assert_eq!(std::iter::once(fields).chain(warnings).collect::<Vec<_>>().join("; "), expected, "{value:?}");
    }

    #[test]
    fn the_variable() {
        check("", "traceparent tracestate baggage");
        check("tracecontext", "traceparent tracestate");
        check("baggage, tracecontext,baggage", "baggage traceparent tracestate");
        check("b3", "b3");
        check("b3multi,b3", "x-b3-traceid x-b3-spanid x-b3-sampled x-b3-flags b3");
        check("none", "");
        let accepted = "expected one of tracecontext, baggage, b3, b3multi, none";
        check("xray,b3", &format!(r#"b3; OTEL_PROPAGATORS="xray" cannot be used: {accepted}"#));
        let unusable = format!(r#"OTEL_PROPAGATORS="jaeger" cannot be used: {accepted}"#);
        check("jaeger", &format!("traceparent tracestate baggage; {unusable}"));
        let beside = "OTEL_PROPAGATORS: `none` has no meaning beside other propagators and is left out";
        check("none,b3", &format!("b3; {beside}"));
    }

    #[test]
    fn one_after_the_other() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";
        let incoming = [("traceparent", parent), ("baggage", "user=7"), ("b3", "0")];
        let incoming: HashMap<_, _> = incoming.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let propagators = Propagators::default().with_propagator(B3Propagator::single());
        let cx = propagators.extract_with_context(&Context::new(), &incoming);
        assert!(cx.span().span_context().is_remote());
        assert_eq!(cx.baggage().get("user").map(ToString::to_string).as_deref(), Some("7"));

        let mut outgoing = HashMap::new();
        propagators.inject_context(&cx, &mut outgoing);
        let b3 = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1";
        assert_eq!(
            outgoing,
            [("traceparent", parent), ("baggage", "user=7"), ("b3", b3)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        );
    }

    #[test]
    fn none_does_nothing() {
        let propagators = Propagators::none();
        let incoming = HashMap::from([("baggage".to_owned(), "a=1".to_owned())]);
        let cx = propagators.extract_with_context(&Context::new(), &incoming);
        assert!(cx.baggage().is_empty());
    }
}
