//! Reads samplers.

use opentelemetry::trace::SpanKind;

use super::{Reading, extensions, shared};
use crate::config::Settings;
use crate::sampling::{
    Adaptive, AlwaysOff, AlwaysOn, AlwaysRecord, Annotating, ComposableSampler, Composite, ParentBased, ParentKind,
    ParentThreshold, Probability, RateLimiting, Rule, RuleBased, Sampler, TraceIdRatio,
};

/// Returns the sampler that a mapping with one key selects.
pub(super) fn sampler(settings: Settings<'_>, reading: &Reading<'_>) -> Option<Box<dyn Sampler>> {
    let (name, settings) = settings.component()?;
    Some(match name {
        "always_on" => Box::new(AlwaysOn),
        "always_off" => Box::new(AlwaysOff),
        "trace_id_ratio_based" => Box::new(TraceIdRatio::new(ratio(settings))),
        "probability/development" => Box::new(Probability::new(ratio(settings))),
        "composite/development" => Box::new(Composite::new(composable(settings)?)),
        "rate_limiting" => Box::new(Composite::new(ParentThreshold::new(RateLimiting::new(rate(settings)?)))),
        "adaptive" => Box::new(Composite::new(ParentThreshold::new(Adaptive::new(rate(settings)?)))),
        "always_record" => Box::new(AlwaysRecord::new(sampler(settings.object("root")?, reading)?)),
        "parent_based" => Box::new(parent_based(settings, reading)),
        name => extensions::make(&reading.extensions.samplers, name, settings, reading)?,
    })
}

fn parent_based(settings: Settings<'_>, reading: &Reading<'_>) -> ParentBased {
    let delegate = |key| mapping(settings, key).and_then(|value| sampler(value, reading));
    let mut parent_based = match delegate("root") {
        Some(root) => ParentBased::new(root),
        None => ParentBased::new(AlwaysOn),
    };
    if let Some(sampler) = delegate("remote_parent_sampled") {
        parent_based = parent_based.with_remote_parent_sampled(sampler);
    }
    if let Some(sampler) = delegate("remote_parent_not_sampled") {
        parent_based = parent_based.with_remote_parent_not_sampled(sampler);
    }
    if let Some(sampler) = delegate("local_parent_sampled") {
        parent_based = parent_based.with_local_parent_sampled(sampler);
    }
    if let Some(sampler) = delegate("local_parent_not_sampled") {
        parent_based = parent_based.with_local_parent_not_sampled(sampler);
    }
    parent_based
}

fn ratio(settings: Settings<'_>) -> f64 {
    settings.number("ratio", 0.0..=1.0).unwrap_or(1.0)
}

fn rate(settings: Settings<'_>) -> Option<f64> {
    settings.number("traces_per_second", 0.0..=f64::MAX)
}

/// Returns the composable sampler that a mapping with one key selects.
fn composable(settings: Settings<'_>) -> Option<Box<dyn ComposableSampler>> {
    let (name, settings) = settings.component()?;
    Some(match name {
        "always_on" => Box::new(AlwaysOn),
        "always_off" => Box::new(AlwaysOff),
        "probability" => Box::new(Probability::new(ratio(settings))),
        "parent_threshold" => Box::new(ParentThreshold::new(composable(settings.object("root")?)?)),
        "rule_based" => Box::new(settings.list("rules").filter_map(rule).fold(RuleBased::new(), RuleBased::with_rule)),
        "annotating" => {
            let attributes: Vec<_> = settings.list("attributes").filter_map(shared::attribute).collect();
            Box::new(Annotating::new(composable(settings.object("sampler")?)?, attributes))
        }
        "rate_limiting" => Box::new(RateLimiting::new(rate(settings)?)),
        "adaptive" => Box::new(Adaptive::new(rate(settings)?)),
        // The schema has reported the name.
        _ => return None,
    })
}

fn rule(settings: Settings<'_>) -> Option<Rule> {
    let mut rule = Rule::new(composable(settings.object("sampler")?)?);
    if let Some(names) = settings.texts("span_names") {
        rule = rule.with_span_names(names);
    }
    if let Some(condition) = mapping(settings, "attribute_values") {
        rule = rule.with_attribute_values(condition.text("key")?.to_owned(), condition.texts("values")?);
    }
    if let Some(condition) = mapping(settings, "attribute_patterns") {
        rule = rule.with_attribute_patterns(condition.text("key")?.to_owned(), shared::patterns(condition));
    }
    if let Some(kinds) = settings.texts("span_kinds") {
        rule = rule.with_kinds(kinds.into_iter().filter_map(|kind| named(KINDS, kind)));
    }
    if let Some(parents) = settings.texts("parent") {
        rule = rule.with_parents(parents.into_iter().filter_map(|parent| named(PARENTS, parent)));
    }
    Some(rule)
}

/// Returns a mapping unless it is missing or null.
fn mapping<'a>(settings: Settings<'a>, key: &str) -> Option<Settings<'a>> {
    settings.object(key).filter(|value| !value.item().is_null())
}

/// Returns the value with this name. The schema has reported other names.
fn named<T: Clone>(values: &[(&str, T)], name: &str) -> Option<T> {
    values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
}

const KINDS: &[(&str, SpanKind)] = &[
    ("internal", SpanKind::Internal),
    ("server", SpanKind::Server),
    ("client", SpanKind::Client),
    ("producer", SpanKind::Producer),
    ("consumer", SpanKind::Consumer),
];

const PARENTS: &[(&str, ParentKind)] =
    &[("none", ParentKind::None), ("remote", ParentKind::Remote), ("local", ParentKind::Local)];
