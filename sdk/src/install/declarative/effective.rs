//! The configuration that a program has, as a file.

use std::borrow::Cow;

use super::super::model::Model;
use super::super::telemetry::{Source, Telemetry};
use crate::config::tree::Printed;
use crate::config::{Env, Item, Origin, Tree, schema};
use crate::diag;

impl Telemetry {
    /// Returns the effective configuration as a file, with the defaults and the origin of each value: a default, a variable, a line of
    /// the configuration file, or code, with `run-time change` if it applied later than at the start. [`Printed`] writes it without
    /// secrets, as `OTEL_RUST_CONFIG_PRINT=true` does when telemetry starts. What code has set and no file can express, such as an exporter or
    /// a sampler, is named in `distribution.telemark.code`.
    ///
    /// ```
    /// use telemark_sdk::config::{Env, tree::Printed};
    /// use telemark_sdk::install::Telemetry;
    ///
    /// let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "shop")])).build()?;
    /// let config = telemetry.config();
    /// assert!(Printed::new(&config).to_string().contains("value: shop # OTEL_SERVICE_NAME"));
    /// # Ok::<(), telemark_sdk::ConfigError>(())
    /// ```
    pub fn config(&self) -> Tree {
        let tree = match (&self.source, &self.handle.reloader) {
            (_, Some(reloader)) => Cow::Owned(reloader.effective()),
            (Source::Env(of_variables), None) => Cow::Borrowed(of_variables),
            (Source::File(tree, _), None) => Cow::Borrowed(tree),
        };
        let mut root = tree.root().clone();
        let changed = self.handle.changes.apply(&mut root);
        let set = self.set_in_code.iter().filter(|name| !changed.contains(name)).map(|name| (*name, Origin::Code));
        let named = set.chain(changed.iter().map(|name| (*name, Origin::CodeChange)));
        with_code(schema::completed(&Tree::new(tree.name(), root)), named)
    }

    /// Writes the effective configuration to standard error if the variable asks for it.
    pub(in crate::install) fn print_config(&self, env: &Env) {
        if env.boolean(super::PRINT) {
            let config = self.config();
            // A message has a maximum length, and a configuration is longer.
            for line in Printed::new(&config).to_string().lines() {
                diag::write_line(line);
            }
        }
    }
}

/// Adds the names of the settings that code has set.
fn with_code(tree: Tree, names: impl Iterator<Item = (&'static str, Origin)>) -> Tree {
    let code: Vec<_> = names.map(|(name, origin)| Item::new(name).with_origin(origin)).collect();
    if code.is_empty() {
        return tree;
    }
    let is_change = code.iter().all(|name| name.origin == Origin::CodeChange);
    let origin = if is_change { Origin::CodeChange } else { Origin::Code };
    let mut root = tree.root().clone();
    let place = ["distribution", "telemark", "code"].iter().fold(&mut root, |item, key| item.value_mut(key));
    *place = Item::new(code).with_origin(origin);
    Tree::new(tree.name(), root)
}

impl Model {
    /// Returns the names of the settings that code has set, as the builder's methods name them.
    pub(in crate::install) fn set_in_code(&self) -> Vec<&'static str> {
        let traces = &self.signals.traces;
        let logs = &self.signals.logs;
        let metrics = &self.signals.metrics;
        let is_set = [
            ("propagator", self.propagator.is_some()),
            ("resource", !self.resource.is_empty()),
            ("redaction", self.redaction.is_some()),
            ("self_metrics", self.self_metrics.is_some()),
            ("item_limits", self.limits.is_some()),
            ("panic_records", self.records_panics.is_some()),
            ("termination_handler", self.handles_termination.is_some()),
            ("sampler", traces.sampler.is_some()),
            ("span_limits", traces.limits.is_some()),
            ("exception_signal", traces.exceptions.is_some()),
            ("baggage_attributes", traces.baggage.is_some()),
            ("span_filter", traces.filter.is_some()),
            ("span_batch", traces.pipelines.schedule().is_some()),
            ("span_exporter", traces.pipelines.has_any()),
            ("tracer_config", traces.provider.has_rules()),
            ("span_processor", traces.provider.has_processors()),
            ("log_limits", logs.limits.is_some()),
            ("log_volume", logs.volume.is_some()),
            ("log_filter", logs.filter.is_some()),
            ("log_batch", logs.pipelines.schedule().is_some()),
            ("log_exporter", logs.pipelines.has_any()),
            ("logger_config", logs.provider.has_rules()),
            ("exemplar_filter", metrics.exemplars.is_some()),
            ("meter_config", metrics.provider.has_rules()),
            ("series_expiry", metrics.provider.has_series_expiry()),
            ("metric_periods", metrics.pipelines.schedule().is_some()),
            ("metric_exporter", metrics.pipelines.has_any()),
        ];
        is_set.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect()
    }
}
