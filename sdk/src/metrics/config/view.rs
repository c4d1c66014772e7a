//! Views: they select instruments and change the resulting metrics.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{InstrumentationScope, Key};

use super::identity::Instrument;
use super::kind::{Aggregation, InstrumentKind};
use super::stream::{AttributeFilter, ReservoirFactory};
use crate::error::Contained;
use crate::metrics::exemplar::ExemplarReservoir;
use crate::text::{Patterns, matches_pattern};

/// Changes the metrics of the instruments that it selects. An instrument produces one metric for each view that
/// selects it, or its default metric if no view does.
///
/// Removing attributes with a view does not remove them from exemplars; see
/// [`Exemplar`](crate::metrics::Exemplar).
///
/// ```
/// use telemark_sdk::metrics::{Aggregation, View};
///
/// let no_user = View::of("http.server.*").without_attribute_keys(["user.id"]);
/// let fine = View::of("db.client.operation.duration").with_aggregation(Aggregation::exponential());
/// # let _ = (no_user, fine);
/// ```
///
/// spec: metrics/sdk.md#view
#[derive(Clone, Default)]
pub struct View {
    select: Selector,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) description: Option<Arc<str>>,
    pub(crate) attributes: AttributeFilter,
    pub(crate) aggregation: Option<Aggregation>,
    pub(crate) limit: Option<usize>,
    pub(crate) expiry: Option<Duration>,
    pub(crate) reservoir: Option<ReservoirFactory>,
    pub(crate) drops_stale_values: bool,
}

/// Selects instruments that match every field that has been set.
#[derive(Clone, Debug, Default)]
struct Selector {
    name: String,
    kind: Option<InstrumentKind>,
    unit: Option<String>,
    meter_name: Option<String>,
    meter_version: Option<String>,
    meter_schema_url: Option<String>,
}

impl View {
    /// Selects instruments by name, ignoring case. `*` matches any sequence of characters, and `?` matches a
    /// single character.
    pub fn of(name: impl Into<String>) -> Self {
        View { select: Selector { name: name.into(), ..Selector::default() }, ..View::default() }
    }

    /// Selects all instruments.
    pub fn of_all() -> Self {
        View::of("*")
    }

    /// Selects only instruments of this kind.
    pub fn of_kind(mut self, kind: InstrumentKind) -> Self {
        self.select.kind = Some(kind);
        self
    }

    /// Selects only instruments with this unit.
    pub fn of_unit(mut self, unit: impl Into<String>) -> Self {
        self.select.unit = Some(unit.into());
        self
    }

    /// Selects only instruments of meters with this name.
    pub fn of_meter(mut self, name: impl Into<String>) -> Self {
        self.select.meter_name = Some(name.into());
        self
    }

    /// Selects only instruments of meters with this version.
    pub fn of_meter_version(mut self, version: impl Into<String>) -> Self {
        self.select.meter_version = Some(version.into());
        self
    }

    /// Selects only instruments of meters with this schema URL.
    pub fn of_meter_schema_url(mut self, url: impl Into<String>) -> Self {
        self.select.meter_schema_url = Some(url.into());
        self
    }

    /// Renames the metric. The view's name pattern must not contain wildcards.
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Replaces the description.
    pub fn with_description(mut self, description: impl Into<Arc<str>>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Keeps only these attributes.
    pub fn with_attribute_keys<K: Into<Key>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.attributes = AttributeFilter::Only(keys.into_iter().map(Into::into).collect());
        self
    }

    /// Removes these attributes.
    pub fn without_attribute_keys<K: Into<Key>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.attributes = AttributeFilter::AllBut(keys.into_iter().map(Into::into).collect());
        self
    }

    /// Keeps only the attributes whose keys match these patterns.
    pub fn with_attribute_patterns(mut self, patterns: Patterns) -> Self {
        self.attributes = AttributeFilter::Matching(Arc::new(patterns));
        self
    }

    /// Sets the aggregation.
    pub fn with_aggregation(mut self, aggregation: Aggregation) -> Self {
        self.aggregation = Some(aggregation);
        self
    }

    /// Sets the maximum number of series. Measurements beyond the limit share one overflow series.
    pub fn with_cardinality_limit(mut self, series: usize) -> Self {
        self.limit = Some(series);
        self
    }

    /// Lets series that are no longer recorded into expire, for these instruments instead of [those of the
    /// provider](crate::metrics::MeterProviderBuilder::with_series_expiry), which has the details. [`Duration::MAX`] keeps them.
    pub fn with_series_expiry(mut self, unused_for: Duration) -> Self {
        self.expiry = Some(unused_for);
        self
    }

    /// Sets the factory for exemplar reservoirs, called once per series.
    pub fn with_exemplar_reservoir<R: ExemplarReservoir>(
        mut self,
        make: impl Fn() -> R + Send + Sync + 'static,
    ) -> Self {
        let make = Contained::new(make);
        self.reservoir = Some(Arc::new(move || Box::new(make())));
        self
    }

    /// Exports a gauge series only if it was recorded since the last collection, which drops, for instance, the series
    /// of closed connections. Without this setting, the last value of a series is exported forever.
    ///
    /// Applies only to recorded last values. Observed values are exported whenever they are observed, and
    /// totals are kept. Each reader collects separately; if two scrapers share a pull reader, each sees only
    /// the series recorded since the previous scrape by either of them.
    pub fn without_stale_values(mut self) -> Self {
        self.drops_stale_values = true;
        self
    }

    /// Returns true if the view selects this instrument.
    pub(crate) fn selects(&self, instrument: &Instrument, scope: &InstrumentationScope) -> bool {
        let Selector { name, kind, unit, meter_name, meter_version, meter_schema_url } = &self.select;
        let is = |wanted: &Option<String>, given: Option<&str>| wanted.as_deref().is_none_or(|one| given == Some(one));
        // spec: metrics/api.md#instrument-name-syntax — instrument names ignore case.
        matches_pattern(name, &instrument.name, |a, b| a.eq_ignore_ascii_case(&b))
            && kind.is_none_or(|kind| kind == instrument.kind)
            && is(unit, Some(&instrument.unit))
            && is(meter_name, Some(scope.name()))
            && is(meter_version, scope.version())
            && is(meter_schema_url, scope.schema_url())
    }

    /// Returns the reason why the view cannot be used, or `None` if it is valid.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        // spec: metrics/sdk.md#stream-configuration — giving several instruments the same name would be a
        // conflict.
        if self.name.is_some() && self.select.name.contains(['*', '?']) {
            return Some("it gives one name to instruments with several names");
        }
        self.aggregation.as_ref().and_then(Aggregation::problem)
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("select", &self.select)
            .field("name", &self.name)
            .field("description", &self.description)
            .field("attributes", &self.attributes)
            .field("aggregation", &self.aggregation)
            .field("limit", &self.limit)
            .field("expiry", &self.expiry)
            .field("drops_stale_values", &self.drops_stale_values)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_name_for_many_is_a_problem() {
        assert!(View::of("a*").with_name("b").problem().is_some());
        assert!(View::of("a").with_name("b").problem().is_none());
        assert!(View::of_all().with_aggregation(Aggregation::explicit_buckets([2.0, 1.0])).problem().is_some());
    }
}
