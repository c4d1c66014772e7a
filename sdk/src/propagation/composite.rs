//! A chain of propagators, in the order given by `OTEL_PROPAGATORS`.

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

use super::factory::{self, PropagatorFactory};
use super::{BaggagePropagator, TraceContextPropagator};
use crate::config::Env;
use crate::error::{ConfigError, Contained};
use crate::unsampled;

/// A chain of propagators, each of which extracts into the context returned by the previous one.
///
/// The default chain is W3C Trace Context followed by W3C Baggage.
///
/// The order matters for baggage: `baggage` replaces the baggage of the context by what its header contains, and `jaeger`, `ottrace` and
/// `xray` add to it. So name `baggage` before them, for example `tracecontext,baggage,jaeger`: after them, it drops what they extracted.
/// Of several span contexts, the last one wins.
#[derive(Debug)]
pub struct Propagators {
    members: Vec<Member>,
    fields: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Member {
    /// A separate variant, because baggage usually comes last and is usually absent, in which case the context need
    /// not be copied.
    Baggage(BaggagePropagator),
    /// Another propagator of this crate.
    Own(Box<dyn TextMapPropagator + Send + Sync>),
    /// A propagator that knows only the API, and therefore not the spans that are in no context. Its destructor may panic.
    Foreign(Contained<Box<dyn TextMapPropagator + Send + Sync>>),
}

impl Propagators {
    /// Returns the names that `OTEL_PROPAGATORS` and a configuration file can list: those of this crate and of `factories`.
    pub(crate) fn names(factories: &[PropagatorFactory]) -> Vec<&'static str> {
        factory::names(factories).collect()
    }

    /// Creates an empty chain, which neither extracts nor injects anything.
    pub fn none() -> Self {
        Propagators { members: Vec::new(), fields: Vec::new() }
    }

    /// Creates the chain listed in `OTEL_PROPAGATORS`: `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `ottrace`, or `none`.
    ///
    /// Reports unknown names to `env` and skips them. If none of the names is known, the variable counts as unset.
    ///
    /// spec: configuration/sdk-environment-variables.md#general-sdk-configuration
    pub fn from_env(env: &Env) -> Self {
        Propagators::from_env_with(env, &[])
    }

    /// Creates the chain listed in `OTEL_PROPAGATORS`, like [`Self::from_env`], which may also name `factories`.
    pub fn from_env_with(env: &Env, factories: &[PropagatorFactory]) -> Self {
        const NONE: &str = "none";
        let known = factory::names(factories).chain([NONE]).map(|name| (name, name));
        let names = env.list_of(factory::VARIABLE, &known.collect::<Vec<_>>()).unwrap_or_default();
        if names == [NONE] {
            return Propagators::none();
        }
        if names.contains(&NONE) {
            let beside = "`none` has no meaning beside other propagators and is left out";
            env.warn(ConfigError::state(factory::VARIABLE, beside));
        }
        let mut chain = Propagators::none();
        for name in names.into_iter().filter(|&name| name != NONE) {
            match factory::make(name, factories) {
                Ok(member) => chain = chain.with_member(member),
                Err(error) => env.warn(error),
            }
        }
        if chain.members.is_empty() { Propagators::default() } else { chain }
    }

    /// Appends the propagator with this name, one of `factories` or of those that [`Self::from_env`] lists.
    ///
    /// # Errors
    /// Returns an error if the name is unknown, or if the propagator is not compiled in.
    pub fn with_named(self, name: &str, factories: &[PropagatorFactory]) -> Result<Self, ConfigError> {
        Ok(self.with_member(factory::make(name, factories)?))
    }

    /// Appends the propagator with this name, or returns the chain unchanged with the reason.
    pub(crate) fn try_named(self, name: &str, factories: &[PropagatorFactory]) -> (Self, Option<ConfigError>) {
        match factory::make(name, factories) {
            Ok(member) => (self.with_member(member), None),
            Err(error) => (self, Some(error)),
        }
    }

    /// Appends a propagator to the chain.
    pub fn with_propagator(self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.with_member(Member::foreign(Box::new(propagator)))
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
    pub(super) fn foreign(propagator: Box<dyn TextMapPropagator + Send + Sync>) -> Self {
        Member::Foreign(Contained::new(propagator))
    }

    fn propagator(&self) -> &dyn TextMapPropagator {
        match self {
            Member::Baggage(baggage) => baggage,
            Member::Own(own) => &**own,
            Member::Foreign(foreign) => &***foreign,
        }
    }

    fn inject(&self, cx: &Context, injector: &mut dyn Injector) {
        match self {
            Member::Baggage(_) | Member::Own(_) => self.propagator().inject_context(cx, injector),
            Member::Foreign(foreign) => unsampled::with_context(cx, |cx| foreign.inject_context(cx, injector)),
        }
    }

    /// Extracts into a context passed by value, which avoids a copy.
    fn extract_into(&self, cx: Context, extractor: &dyn Extractor) -> Context {
        match self {
            Member::Baggage(baggage) => match baggage.extract(extractor) {
                None => cx,
                Some(baggage) => cx.with_baggage(baggage),
            },
            Member::Own(_) | Member::Foreign(_) => self.propagator().extract_with_context(&cx, extractor),
        }
    }
}

impl Default for Propagators {
    fn default() -> Self {
        Propagators::none()
            .with_member(Member::Own(Box::new(TraceContextPropagator::new())))
            .with_member(Member::Baggage(BaggagePropagator::new()))
    }
}

impl TextMapPropagator for Propagators {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        self.members.iter().for_each(|member| member.inject(cx, injector));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propagation::B3Propagator;
    use opentelemetry::trace::TraceContextExt;
    use std::collections::HashMap;

    fn check(value: &str, expected: &str) {
        check_with(&[], value, expected);
    }

    /// Compares the header fields and warnings that result from a value of the variable with `expected`.
    fn check_with(factories: &[PropagatorFactory], value: &str, expected: &str) {
        let env = Env::from_pairs([("OTEL_PROPAGATORS", value)]);
        let fields = Propagators::from_env_with(&env, factories).fields().collect::<Vec<_>>().join(" ");
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
        check("jaeger,ottrace", "uber-trace-id ot-tracer-traceid ot-tracer-spanid ot-tracer-sampled");
        let accepted = "expected one of tracecontext, baggage, b3, b3multi, jaeger, ottrace, none";
        check("xray,b3", &format!(r#"b3; OTEL_PROPAGATORS="xray" cannot be used: {accepted}"#));
        let unusable = format!(r#"OTEL_PROPAGATORS="xray" cannot be used: {accepted}"#);
        check("xray", &format!("traceparent tracestate baggage; {unusable}"));
        let beside = "OTEL_PROPAGATORS: `none` has no meaning beside other propagators and is left out";
        check("none,b3", &format!("b3; {beside}"));
    }

    /// Sends the ids of the context in a header of its own.
    #[derive(Debug)]
    struct Stranger;

    impl TextMapPropagator for Stranger {
        fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
            let span = cx.span().span_context().clone();
            injector.set("stranger", format!("{}-{}", span.trace_id(), span.span_id()));
        }

        fn extract_with_context(&self, cx: &Context, _: &dyn Extractor) -> Context {
            cx.clone()
        }

        fn fields(&self) -> FieldIter<'_> {
            static FIELDS: std::sync::LazyLock<[String; 1]> = std::sync::LazyLock::new(|| ["stranger".to_owned()]);
            FieldIter::new(&*FIELDS)
        }
    }

    const FACTORIES: &[PropagatorFactory] = &[
        PropagatorFactory::new("stranger", || Box::new(Stranger)),
        PropagatorFactory::missing("absent", "enable the feature `absent`"),
    ];

    #[test]
    fn the_variable_names_factories() {
        check_with(FACTORIES, "b3,stranger", "b3 stranger");
        let absent = r#"OTEL_PROPAGATORS="absent" cannot be used: "#;
        let absent = format!("{absent}expected a propagator that is compiled in: enable the feature `absent`");
        check_with(FACTORIES, "absent,b3", &format!("b3; {absent}"));
        check_with(FACTORIES, "absent", &format!("traceparent tracestate baggage; {absent}"));
        let unknown = r#"OTEL_PROPAGATORS="x" cannot be used: "#;
        let unknown = format!(
            "{unknown}expected one of tracecontext, baggage, b3, b3multi, jaeger, ottrace, stranger, absent, none"
        );
        check_with(FACTORIES, "x,b3", &format!("b3; {unknown}"));
    }

    #[test]
    fn by_name() {
        let chain = Propagators::none().with_named("stranger", FACTORIES).unwrap().with_named("b3", &[]).unwrap();
        assert_eq!(chain.fields().collect::<Vec<_>>(), ["stranger", "b3"]);
        assert!(Propagators::none().with_named("stranger", &[]).is_err());
        assert!(Propagators::none().with_named("absent", FACTORIES).is_err());
        const REPLACES: &[PropagatorFactory] = &[PropagatorFactory::new("b3", || Box::new(Stranger))];
        let replaced = Propagators::none().with_named("b3", REPLACES).unwrap();
        assert_eq!(replaced.fields().collect::<Vec<_>>(), ["stranger"]);
    }

    /// spec: trace/sdk.md#sdk-span-creation — a dropped span has its own id, which every propagator sends.
    #[test]
    fn a_stranger_sends_the_id_of_a_dropped_span() {
        use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};

        let parent = SpanContext::new(1.into(), 2.into(), TraceFlags::NOT_SAMPLED, true, TraceState::NONE);
        let cx = Context::new().with_remote_span_context(parent.clone());
        let sent = || {
            let mut out = HashMap::new();
            Propagators::default().with_propagator(Stranger).inject_context(&cx, &mut out);
            (out["traceparent"][3..52].to_owned(), out["stranger"].clone())
        };
        assert!(sent().1.ends_with("-0000000000000002"));
        let _entered = unsampled::Unsampled::below(unsampled::Parent::new(&parent)).enter();
        let (own, stranger) = sent();
        assert_eq!(own, stranger);
        assert!(!stranger.ends_with("-0000000000000002"), "{stranger}");
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
