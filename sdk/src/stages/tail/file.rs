//! Reads tail sampling from a configuration file.

use super::{Budget, Policy, TailSampling};
use crate::config::Settings;

/// The budgets of a file by name.
type Budgets<'a> = Vec<(&'a str, Budget)>;

impl TailSampling {
    /// Reads `distribution.telemark.tail_sampling`. The schema has checked names and types.
    pub(crate) fn from_settings(settings: Settings<'_>) -> Self {
        let budget = |budget: Settings<'_>| {
            Some((
                budget.text("name")?.to_owned(),
                Budget::per_second(budget.number("traces_per_second", 0.0..=f64::MAX)?),
            ))
        };
        let named: Vec<_> = settings.list("budgets").filter_map(budget).collect();
        let budgets = named.iter().map(|(name, budget)| (name.as_str(), budget.clone())).collect();
        let mut tail = TailSampling::new();
        for policy in settings.list("policies") {
            if let Some(policy) = policy_of(policy, &budgets) {
                tail = tail.keep(policy);
            }
        }
        if let Some(traces) = settings.size("max_traces", 1) {
            tail = tail.with_max_traces(traces);
        }
        if let Some(spans) = settings.size("max_spans", 1) {
            tail = tail.with_max_spans(spans);
        }
        if let Some(bytes) = settings.size("max_bytes", 1) {
            tail = tail.with_max_bytes(bytes);
        }
        if let Some(deadline) = settings.duration("deadline") {
            tail = tail.with_deadline(deadline);
        }
        if let Some(grace) = settings.duration("grace") {
            tail = tail.with_grace(grace);
        }
        tail.with_logs_held(settings.boolean("hold_logs").unwrap_or(false))
            .with_errors_told(settings.boolean("tell_errors").unwrap_or(false))
    }
}

/// Returns the policy that a mapping selects with its only key.
fn policy_of(mapping: Settings<'_>, budgets: &Budgets<'_>) -> Option<Policy> {
    let (kind, settings) = mapping.component()?;
    let texts = |key| settings.texts(key).unwrap_or_default();
    let policy = match kind {
        "always" => Policy::always(),
        "errors" => Policy::errors(),
        "slower_than" => Policy::slower_than(settings.duration("duration")?),
        "slowest" => Policy::slowest(settings.number("quantile", 0.0..=1.0)?),
        "attribute" => Policy::attribute(settings.text("key")?, texts("values")),
        "baggage" => Policy::baggage(settings.text("key")?, texts("values")),
        "root_name" => Policy::root_name(texts("patterns")),
        "more_spans_than" => Policy::more_spans_than(settings.size("spans", 0)?),
        "head_sampled" => Policy::head_sampled(),
        "probability" => Policy::probability(settings.number("ratio", f64::MIN_POSITIVE..=1.0)?),
        "per_second" => Policy::per_second(settings.number("traces", 0.0..=f64::MAX)?),
        "all" => {
            let parts: Option<Vec<_>> = settings.list("policies").map(|part| policy_of(part, budgets)).collect();
            Policy::all(parts?)
        }
        "not" => policy_of(settings.object("policy")?, budgets)?.not(),
        _ => return None,
    };
    let policy = match settings.text("name") {
        Some(name) => policy.named(name.to_owned()),
        None => policy,
    };
    let Some(name) = settings.text("budget") else { return Some(policy) };
    match budgets.iter().find(|(known, _)| *known == name) {
        Some((_, budget)) => Some(policy.within(budget)),
        None => {
            let known = budgets.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none is defined".to_owned() } else { known };
            settings.get("budget").into_iter().for_each(|value| {
                value.reject(&format!("the name of a budget of tail_sampling.budgets: {known}"));
            });
            Some(policy)
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Data, Item, Report, Tree};

    #[test]
    fn settings_and_policies_are_read() {
        let text = |text: &str| Item::new(Data::Text(text.to_owned()));
        let number = |number| Item::new(Data::Integer(number));
        let list = |items: Vec<Item>| Item::new(Data::List(items));
        let one = |kind: &'static str, item| Item::mapping([(kind, item)]);
        let none = || Item::new(Data::Null);
        let policies = list(vec![
            one("errors", Item::mapping([("budget", text("main"))])),
            one("slower_than", Item::mapping([("duration", number(500)), ("name", text("slow"))])),
            one("not", Item::mapping([("policy", one("head_sampled", none()))])),
            one("all", Item::mapping([("policies", list(vec![one("always", none()), one("errors", none())]))])),
            one("probability", Item::mapping([("ratio", Item::new(Data::Number(0.25))), ("budget", text("other"))])),
        ]);
        let budget = Item::mapping([("name", text("main")), ("traces_per_second", number(10))]);
        let root = Item::mapping([
            ("budgets", list(vec![budget])),
            ("policies", policies),
            ("max_traces", number(7)),
            ("deadline", number(1500)),
            ("hold_logs", Item::new(Data::Boolean(true))),
        ]);
        let tree = Tree::new("example", root);
        let report = Report::new(&tree);
        let read = TailSampling::from_settings(Settings::new(tree.root(), &report));
        let budget = Budget::per_second(10.0);
        let expected = TailSampling::new()
            .keep(Policy::errors().within(&budget))
            .keep(Policy::slower_than(Duration::from_millis(500)).named("slow"))
            .keep(Policy::head_sampled().not())
            .keep(Policy::all([Policy::always(), Policy::errors()]))
            .keep(Policy::probability(0.25))
            .with_max_traces(7)
            .with_deadline(Duration::from_millis(1500))
            .with_logs_held(true);
        assert_eq!(format!("{read:?}"), format!("{expected:?}"));
        let error = report.into_result().unwrap_err().to_string();
        assert!(error.contains("the name of a budget of tail_sampling.budgets: main"), "{error}");
    }
}
