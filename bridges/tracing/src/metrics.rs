//! Metrics from events: a field such as `monotonic_counter.orders` is a measurement, and the other fields are its attributes.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{OnceLock, RwLock};

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider, UpDownCounter};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use telemark_sdk::diag;
use telemark_sdk::instrument::bridge::{self, contained, free};
use telemark_sdk::metrics::active;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::events::text;
use crate::fields::integer;
use crate::filter::is_question;

/// The layer together with its filter, which keeps only events with measurements.
pub type MetricsLayer<S> = Filtered<MetricsBridge, MetricsFilter, S>;

/// Returns a layer that converts event fields to measurements, using the same prefixes as tracing-opentelemetry:
///
/// | prefix | instrument | values |
/// |---|---|---|
/// | `monotonic_counter.` | counter | integers and floats that are not negative |
/// | `counter.` | up-down counter | integers and floats |
/// | `histogram.` | histogram | integers and floats that are not negative |
/// | `gauge.` | gauge | integers and floats |
///
/// Events at every level are recorded, regardless of the filters of other layers. Exemplars link to the current span. The layer
/// records into the installed telemetry, or into a test's telemetry.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let subscriber = tracing_subscriber::registry().with(telemark_tracing::layer()).with(telemark_tracing::metrics_layer());
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::info!(monotonic_counter.shop.orders = 1, shop.order.kind = "web");
/// });
/// ```
pub fn metrics_layer<S>() -> MetricsLayer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    MetricsBridge::default().with_filter(MetricsFilter(()))
}

/// The layer without its filter.
#[derive(Debug, Default)]
pub struct MetricsBridge {
    /// A meter of the installed provider, set by the first measurement after metrics are installed.
    meter: OnceLock<Meter>,
    /// The instruments of that meter.
    instruments: RwLock<HashMap<(Kind, &'static str), Instrument>>,
}

/// Keeps events with a measurement.
#[derive(Debug)]
pub struct MetricsFilter(());

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Counter,
    FloatCounter,
    UpDownCounter,
    FloatUpDownCounter,
    Histogram,
    FloatHistogram,
    Gauge,
    FloatGauge,
}

#[derive(Clone, Debug)]
enum Instrument {
    Counter(Counter<u64>),
    FloatCounter(Counter<f64>),
    UpDownCounter(UpDownCounter<i64>),
    FloatUpDownCounter(UpDownCounter<f64>),
    Histogram(Histogram<u64>),
    FloatHistogram(Histogram<f64>),
    Gauge(Gauge<i64>),
    FloatGauge(Gauge<f64>),
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Integer(i64),
    /// Beyond `i64::MAX`.
    Large(u64),
    Float(f64),
}

#[derive(Clone, Copy, Debug)]
enum Family {
    Counter,
    UpDownCounter,
    Histogram,
    Gauge,
}

const PREFIXES: [(&str, Family); 4] = [
    ("monotonic_counter.", Family::Counter),
    ("counter.", Family::UpDownCounter),
    ("histogram.", Family::Histogram),
    ("gauge.", Family::Gauge),
];

fn family(field: &'static str) -> Option<(Family, &'static str)> {
    PREFIXES.iter().find_map(|(prefix, family)| Some((*family, field.strip_prefix(prefix)?)))
}

fn measures(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.fields().iter().any(|field| family(field.name()).is_some())
}

impl<S> Filter<S> for MetricsFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        is_question(metadata) || measures(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if measures(metadata) { Interest::always() } else { Interest::never() }
    }
}

impl<S> Layer<S> for MetricsBridge
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // The filter does not remove the records of the `log` crate.
        if bridge::is_suppressed() || !measures(event.metadata()) {
            return;
        }
        // A test's provider lies in its context and ends with the test, so nothing of it is kept.
        let of_test = active::in_current_context().map(|provider| provider.meter_with_scope(scope()));
        let Some(meter) = of_test.as_ref().or_else(|| self.meter()) else { return };
        let mut fields = Fields::default();
        contained(|| event.record(&mut fields));
        for (family, name, number) in fields.measurements {
            let Some(kind) = checked_kind(family, name, number) else { continue };
            let instrument = match &of_test {
                Some(meter) => make(meter, kind, name),
                None => self.instrument(meter, kind, name),
            };
            instrument.record(number, &fields.attributes);
        }
    }
}

impl MetricsBridge {
    fn meter(&self) -> Option<&Meter> {
        if let Some(meter) = self.meter.get() {
            return Some(meter);
        }
        let meter = active::provider()?.meter_with_scope(scope());
        Some(self.meter.get_or_init(|| meter))
    }

    fn instrument(&self, meter: &Meter, kind: Kind, name: &'static str) -> Instrument {
        // Waits for no lock, which may be locked forever in a forked child: the meter knows its instruments too.
        let known = free(self.instruments.try_read()).and_then(|known| known.get(&(kind, name)).cloned());
        known.unwrap_or_else(|| {
            let made = make(meter, kind, name);
            match free(self.instruments.try_write()) {
                Some(mut instruments) => instruments.entry((kind, name)).or_insert(made).clone(),
                None => made,
            }
        })
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("telemark-tracing").with_version(env!("CARGO_PKG_VERSION")).build()
}

/// Returns the kind of the instrument. Logs a warning if there is none for the number.
fn checked_kind(family: Family, name: &'static str, number: Number) -> Option<Kind> {
    let kind = kind(family, number);
    if kind.is_none() {
        diag::log(
            diag::Level::Warn,
            "tracing.metrics",
            format_args!("a measurement of {name:?} by an event is negative or too large, and is dropped"),
        );
    }
    kind
}

/// Returns the kind of the instrument, or `None` if it cannot record the number.
fn kind(family: Family, number: Number) -> Option<Kind> {
    Some(match (family, number) {
        (Family::Counter | Family::Histogram, Number::Integer(..0)) => return None,
        (Family::UpDownCounter | Family::Gauge, Number::Large(_)) => return None,
        (Family::Counter, Number::Float(_)) => Kind::FloatCounter,
        (Family::Counter, _) => Kind::Counter,
        (Family::UpDownCounter, Number::Float(_)) => Kind::FloatUpDownCounter,
        (Family::UpDownCounter, _) => Kind::UpDownCounter,
        (Family::Histogram, Number::Float(_)) => Kind::FloatHistogram,
        (Family::Histogram, _) => Kind::Histogram,
        (Family::Gauge, Number::Float(_)) => Kind::FloatGauge,
        (Family::Gauge, _) => Kind::Gauge,
    })
}

fn make(meter: &Meter, kind: Kind, name: &'static str) -> Instrument {
    match kind {
        Kind::Counter => Instrument::Counter(meter.u64_counter(name).build()),
        Kind::FloatCounter => Instrument::FloatCounter(meter.f64_counter(name).build()),
        Kind::UpDownCounter => Instrument::UpDownCounter(meter.i64_up_down_counter(name).build()),
        Kind::FloatUpDownCounter => Instrument::FloatUpDownCounter(meter.f64_up_down_counter(name).build()),
        Kind::Histogram => Instrument::Histogram(meter.u64_histogram(name).build()),
        Kind::FloatHistogram => Instrument::FloatHistogram(meter.f64_histogram(name).build()),
        Kind::Gauge => Instrument::Gauge(meter.i64_gauge(name).build()),
        Kind::FloatGauge => Instrument::FloatGauge(meter.f64_gauge(name).build()),
    }
}

impl Instrument {
    fn record(&self, number: Number, attributes: &[KeyValue]) {
        match self {
            Instrument::Counter(counter) => counter.add(number.unsigned(), attributes),
            Instrument::FloatCounter(counter) => counter.add(number.float(), attributes),
            Instrument::UpDownCounter(counter) => counter.add(number.signed(), attributes),
            Instrument::FloatUpDownCounter(counter) => counter.add(number.float(), attributes),
            Instrument::Histogram(histogram) => histogram.record(number.unsigned(), attributes),
            Instrument::FloatHistogram(histogram) => histogram.record(number.float(), attributes),
            Instrument::Gauge(gauge) => gauge.record(number.signed(), attributes),
            Instrument::FloatGauge(gauge) => gauge.record(number.float(), attributes),
        }
    }
}

/// [`kind`] has already rejected numbers that do not fit.
impl Number {
    fn unsigned(self) -> u64 {
        match self {
            Number::Integer(value) => value.unsigned_abs(),
            Number::Large(value) => value,
            Number::Float(_) => 0,
        }
    }

    fn signed(self) -> i64 {
        match self {
            Number::Integer(value) => value,
            Number::Large(_) | Number::Float(_) => 0,
        }
    }

    fn float(self) -> f64 {
        match self {
            Number::Float(value) => value,
            Number::Integer(_) | Number::Large(_) => 0.0,
        }
    }
}

#[derive(Debug, Default)]
struct Fields {
    measurements: Vec<(Family, &'static str, Number)>,
    attributes: Vec<KeyValue>,
}

impl Fields {
    fn number(&mut self, field: &Field, number: Number, value: impl FnOnce() -> Value) {
        match family(field.name()) {
            Some((family, name)) => self.measurements.push((family, name, number)),
            None => self.attributes.push(KeyValue::new(field.name(), value())),
        }
    }

    fn text(&mut self, field: &Field, text: String) {
        if field.name() != "message" {
            self.attributes.push(KeyValue::new(field.name(), text));
        }
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, Number::Integer(value), || value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let number = i64::try_from(value).map_or(Number::Large(value), Number::Integer);
        self.number(field, number, || integer(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, Number::Float(value), || value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, text(value));
    }
}
