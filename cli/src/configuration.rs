//! The configuration: resolves it as a program does, finds its problems, and reads the parts that matter to the doctor.

use std::ffi::OsString;
use std::path::Path;

use telemark::config::{self, Data, Env, Item, Origin, Printed, Tree};
use telemark_sdk::config::schema;

/// The exporters that bind a port or write a file as soon as they are created.
const WITH_EFFECTS: [&str; 4] = ["otlp_file/development", "prometheus", "prometheus/development", "viewer"];
/// The exporter that takes their place during a check.
const WITHOUT_EFFECT: &str = "console";

/// The configuration of a program that has these variables.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The configuration as a file, without defaults. It is absent if the file cannot be parsed.
    tree: Option<Tree>,
    /// The file, or `None` if the variables are the configuration.
    pub(crate) file: Option<String>,
    problems: Vec<String>,
    /// The service's name in the variables, which detectors may read.
    service: Option<String>,
}

/// A signal, and the names of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(crate) const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    pub(crate) fn variable(self) -> &'static str {
        match self {
            Signal::Traces => "OTEL_TRACES_EXPORTER",
            Signal::Metrics => "OTEL_METRICS_EXPORTER",
            Signal::Logs => "OTEL_LOGS_EXPORTER",
        }
    }

    /// Returns the keys of the provider and of the list that leads to its exporters.
    pub(crate) fn keys(self) -> (&'static str, &'static str) {
        match self {
            Signal::Traces => ("tracer_provider", "processors"),
            Signal::Metrics => ("meter_provider", "readers"),
            Signal::Logs => ("logger_provider", "processors"),
        }
    }
}

impl Configuration {
    /// Resolves the configuration: the file that `OTEL_CONFIG_FILE` names, or the variables.
    pub(crate) fn resolve(variables: &[(String, OsString)]) -> Self {
        match env(variables).string("OTEL_CONFIG_FILE") {
            Some(path) => Self::of_file(Path::new(&path), variables),
            None => Self::of_variables(variables),
        }
    }

    pub(crate) fn of_variables(variables: &[(String, OsString)]) -> Self {
        let inert: Vec<_> = variables.iter().map(|(name, value)| (name.clone(), inert_value(name, value))).collect();
        let tree = telemark::builder().with_env(env(variables)).config_of_variables();
        Configuration {
            problems: problems(telemark::builder().with_env(env(&inert))),
            ..Self::new(Some(tree), variables)
        }
    }

    pub(crate) fn of_file(path: &Path, variables: &[(String, OsString)]) -> Self {
        let file = Some(path.display().to_string());
        let tree = match config::read(path, &env(variables)) {
            Ok(tree) => tree,
            Err(error) => {
                return Configuration { file, problems: vec![error.to_string()], ..Self::new(None, variables) };
            }
        };
        let check = |root: &Item| {
            let builder = telemark::builder().with_env(env(variables));
            problems(builder.with_config(Tree::new(tree.name(), root.clone())))
        };
        let inert = inert(tree.root());
        let mut problems = check(&inert);
        if inert != *tree.root() {
            // A disabled SDK creates no exporter, but all names and values of the file are checked.
            let problems_of_names = check(&with(tree.root(), "disabled", Item::new(true)));
            problems.extend(
                problems_of_names.into_iter().filter(|problem| !problems.contains(problem)).collect::<Vec<_>>(),
            );
        }
        Configuration { file, problems, ..Self::new(Some(tree), variables) }
    }

    fn new(tree: Option<Tree>, variables: &[(String, OsString)]) -> Self {
        let service = env(variables).string("OTEL_SERVICE_NAME");
        Configuration { tree, file: None, problems: Vec::new(), service }
    }

    /// Returns every reason why the configuration cannot be used, and every part of it that has no effect.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Returns the configuration as the text of a file, without secrets.
    pub(crate) fn written(&self) -> String {
        self.tree.as_ref().map(|tree| Printed::new(tree).to_string()).unwrap_or_default()
    }

    /// Returns the configuration with its defaults, or `None` if the file cannot be parsed.
    pub(crate) fn completed(&self) -> Option<Tree> {
        self.tree.as_ref().map(schema::completed)
    }

    /// Returns the name of the service, or `None` if telemetry will have the name of the program.
    pub(crate) fn service(&self, tree: &Tree) -> Option<String> {
        let resource = tree.root().get("resource")?;
        let attributes = resource.get("attributes").map(Item::items).unwrap_or_default();
        let of_list = attributes.iter().find_map(|attribute| {
            let is_name = text(attribute.get("name")?)? == "service.name";
            is_name.then(|| attribute.get("value").and_then(text)).flatten()
        });
        let list = resource.get("attributes_list").and_then(text).unwrap_or_default();
        let of_text = list.split(',').find_map(|entry| entry.trim().strip_prefix("service.name="));
        let detected = detectors(tree).any(|name| name == "service").then_some(self.service.as_deref()).flatten();
        of_list.or(of_text).or(detected).filter(|name| !name.is_empty()).map(str::to_owned)
    }
}

fn env(variables: &[(String, OsString)]) -> Env {
    Env::from_pairs(variables.iter().cloned())
}

/// Returns the error and the warnings of a configuration, one text each.
fn problems(builder: telemark::Builder) -> Vec<String> {
    let mut problems = Vec::new();
    // Each signal reports a variable that all of them read.
    for problem in builder.check().unwrap_or_else(|error| vec![error]) {
        let problem = problem.to_string();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    problems
}

/// Returns true for the problem that variables are set and have no effect beside a file, which is none of the file itself.
pub(crate) fn is_of_variables(problem: &str) -> bool {
    problem.starts_with("OTEL_CONFIG_FILE: does not refer to these variables")
}

/// Returns the value of a variable for a check, which must neither bind a port nor write a file.
fn inert_value(name: &str, value: &OsString) -> OsString {
    let is_list = Signal::ALL.iter().any(|signal| signal.variable() == name);
    let Some(list) = value.to_str().filter(|_| is_list) else { return value.clone() };
    let names = list.split(',').map(|name| if WITH_EFFECTS.contains(&name.trim()) { WITHOUT_EFFECT } else { name });
    names.collect::<Vec<_>>().join(",").into()
}

/// Returns the file with other exporters in place of those that bind a port or write a file.
fn inert(root: &Item) -> Item {
    Signal::ALL.iter().fold(root.clone(), |root, signal| {
        let (provider_key, list_key) = signal.keys();
        let Some(provider) = root.get(provider_key) else { return root };
        let Some(list) = provider.get(list_key) else { return root };
        let has_effect = |entry: &Item| exporter(entry).is_some_and(|(name, _)| WITH_EFFECTS.contains(&name));
        if !list.items().iter().any(has_effect) {
            return root;
        }
        let console = || Item::mapping([("exporter", Item::mapping([(WITHOUT_EFFECT, Item::new(Data::Null))]))]);
        let kind = if *signal == Signal::Metrics { "periodic" } else { "simple" };
        let entries = list.items().iter().map(|entry| match has_effect(entry) {
            true => Item::mapping([(kind, console())]).with_origin(entry.origin.clone()),
            false => entry.clone(),
        });
        let list = Item::new(entries.collect::<Vec<_>>()).with_origin(list.origin.clone());
        with(&root, provider_key, with(provider, list_key, list))
    })
}

/// Returns a mapping with a value for this key, at the place of the former value.
fn with(mapping: &Item, key: &str, value: Item) -> Item {
    let mut entries = mapping.entries().to_vec();
    match entries.iter_mut().find(|(known, _)| known == key) {
        Some((_, former)) => *former = value,
        None => entries.push((key.to_owned(), value)),
    }
    Item::mapping(entries).with_origin(mapping.origin.clone())
}

/// Returns the name and the settings of the exporter in an entry of a list of processors or readers.
fn exporter(entry: &Item) -> Option<(&str, &Item)> {
    let (_, processor) = entry.entries().first()?;
    component(processor.get("exporter")?)
}

/// Returns the name and the settings of a component.
pub(crate) fn component(item: &Item) -> Option<(&str, &Item)> {
    item.entries().first().map(|(name, settings)| (name.as_str(), settings))
}

/// Returns the exporters of a signal with their settings.
pub(crate) fn exporters(tree: &Tree, signal: Signal) -> Vec<(&str, &Item)> {
    let (provider, list) = signal.keys();
    let list = tree.root().get(provider).and_then(|provider| provider.get(list));
    list.map(Item::items).unwrap_or_default().iter().filter_map(exporter).collect()
}

pub(crate) fn is_disabled(tree: &Tree) -> bool {
    tree.root().get("disabled").is_some_and(|disabled| disabled.data == Data::Boolean(true))
}

/// Returns the names of the propagators.
pub(crate) fn propagators(tree: &Tree) -> Vec<&str> {
    let Some(propagator) = tree.root().get("propagator") else { return Vec::new() };
    let composite = propagator.get("composite").map(Item::items).unwrap_or_default();
    let list = propagator.get("composite_list").and_then(text).unwrap_or_default();
    let of_list = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    composite.iter().filter_map(|item| component(item).map(|(name, _)| name)).chain(of_list).collect()
}

/// Returns the names of the resource detectors.
pub(crate) fn detectors(tree: &Tree) -> impl Iterator<Item = &str> {
    let detection = tree.root().get("resource").and_then(|resource| resource.get("detection/development"));
    let list = detection.and_then(|detection| detection.get("detectors")).map(Item::items).unwrap_or_default();
    list.iter().filter_map(|item| component(item).map(|(name, _)| name))
}

pub(crate) fn sampler(tree: &Tree) -> Option<&Item> {
    tree.root().get("tracer_provider")?.get("sampler")
}

/// Returns a setting below `distribution.telemark`.
fn of_distribution<'a>(tree: &'a Tree, path: &[&str]) -> Option<&'a Item> {
    let telemark = tree.root().get("distribution")?.get("telemark")?;
    path.iter().try_fold(telemark, |item, key| item.get(key))
}

/// Returns the policies of tail sampling with what they keep, or `None` without tail sampling.
pub(crate) fn tail_policies(tree: &Tree) -> Option<String> {
    let policies = of_distribution(tree, &["tail_sampling", "policies"])?;
    let shown = policies.items().iter().filter_map(component).map(|(name, settings)| {
        let of = |key: &str| settings.get(key).map(|value| format!("{}", value.data));
        match of("ratio").or_else(|| of("quantile")) {
            Some(number) => format!("{name}({number})"),
            None => name.to_owned(),
        }
    });
    Some(shown.collect::<Vec<_>>().join(", "))
}

/// Returns the presets of the redaction and the number of other rules, or `None` without redaction.
pub(crate) fn redaction_presets(tree: &Tree) -> Option<String> {
    let redaction = of_distribution(tree, &["redaction"])?;
    let presets = redaction.get("presets").map(Item::items).unwrap_or_default().iter().filter_map(text);
    let rules = match redaction.get("rules").map_or(0, |rules| rules.items().len()) {
        0 => None,
        1 => Some("1 rule".to_owned()),
        rules => Some(format!("{rules} rules")),
    };
    let shown: Vec<_> = presets.map(str::to_owned).chain(rules).collect();
    Some(if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") })
}

/// Shows a sampler with what it does for the first span of a trace.
pub(crate) fn shown_sampler(sampler: &Item) -> String {
    let Some((name, settings)) = component(sampler) else { return String::new() };
    match (settings.get("root"), settings.get("ratio")) {
        (Some(root), _) => format!("{name}({})", shown_sampler(root)),
        (None, Some(ratio)) => format!("{name}({})", ratio.data),
        (None, None) => name.to_owned(),
    }
}

/// Returns the part of a sampler that drops every trace that starts in this program.
pub(crate) fn drops_everything(sampler: &Item) -> Option<(&str, &Origin)> {
    let (name, settings) = component(sampler)?;
    match (name, settings.get("root"), settings.get("ratio")) {
        ("always_off", ..) => Some((name, &settings.origin)),
        (_, Some(root), _) => drops_everything(root),
        (_, None, Some(ratio)) if matches!(ratio.data, Data::Integer(0)) || ratio.data == Data::Number(0.0) => {
            Some((name, &ratio.origin))
        }
        _ => None,
    }
}

pub(crate) fn text(item: &Item) -> Option<&str> {
    match &item.data {
        Data::Text(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_binds_no_port_and_writes_no_file() {
        assert_eq!(inert_value("OTEL_TRACES_EXPORTER", &"otlp, viewer".into()), "otlp,console");
        assert_eq!(inert_value("OTEL_METRICS_EXPORTER", &"prometheus".into()), "console");
        assert_eq!(inert_value("OTEL_SERVICE_NAME", &"viewer".into()), "viewer");
        let tree = config::parse(
            "file",
            "meter_provider: {readers: [{pull: {exporter: {prometheus/development: {port: 1}}}}, {periodic: {exporter: {console: }}}]}\n\
             tracer_provider: {processors: [{batch: {exporter: {otlp_file/development: {output_stream: 'file:///x'}}}}]}\n",
            &env(&[]),
        )
        .unwrap();
        let expected = "meter_provider:\n  readers:\n    - periodic:\n        exporter:\n          console:\n\
                        \x20   - periodic:\n        exporter:\n          console:\n\
                        tracer_provider:\n  processors:\n    - simple:\n        exporter:\n          console:\n";
        let inert = Tree::new("", inert(tree.root()));
        assert_eq!(Printed::new(&inert).without_origins().to_string(), expected);
    }

    #[test]
    fn samplers_that_drop_everything() {
        let check = |text: &str, shown: &str, drops: Option<&str>| {
            let tree = config::parse("file", text, &env(&[])).unwrap();
            assert_eq!(shown_sampler(tree.root()), shown);
            assert_eq!(drops_everything(tree.root()).map(|(name, _)| name), drops, "{text}");
        };
        check("always_off: ", "always_off", Some("always_off"));
        check("parent_based: {root: {always_off: }}", "parent_based(always_off)", Some("always_off"));
        check("trace_id_ratio_based: {ratio: 0}", "trace_id_ratio_based(0)", Some("trace_id_ratio_based"));
        check(
            "parent_based: {root: {trace_id_ratio_based: {ratio: 0.1}}}",
            "parent_based(trace_id_ratio_based(0.1))",
            None,
        );
        check("always_on: ", "always_on", None);
    }
}
