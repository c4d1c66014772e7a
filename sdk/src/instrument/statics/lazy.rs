//! The instrument behind a static. It is created by the first measurement after a provider is installed.

use std::borrow::Cow;
use std::sync::OnceLock;

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider, UpDownCounter};
use opentelemetry::{InstrumentationScope, KeyValue};

use super::{Attributes, Scope};
use crate::context;
use crate::instrument::shield::shielded;
use crate::metrics::SdkMeterProvider;
use crate::metrics::active::{self, Found};

/// The declaration of a static instrument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Description {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) description: &'static str,
    pub(super) scope: Option<Scope>,
    pub(super) boundaries: Option<&'static [f64]>,
}

/// An API instrument that is created once a provider is installed.
pub(super) struct Lazy<I> {
    pub(super) description: Description,
    /// The instrument created on the installed provider.
    installed: OnceLock<I>,
}

impl<I> Lazy<I> {
    pub(super) const fn new(name: &'static str) -> Self {
        let description = Description { name, unit: "", description: "", scope: None, boundaries: None };
        Lazy { description, installed: OnceLock::new() }
    }
}

impl<I: ApiInstrument> Lazy<I> {
    /// Records a value. Costs one relaxed load if no provider is installed.
    #[inline]
    pub(super) fn record(&self, value: I::Number, attributes: impl Attributes) {
        if !active::is_installed() {
            return;
        }
        match (active::only_installed(), self.installed.get()) {
            (Some(_), Some(known)) => record(known, value, attributes),
            _ => self.find(|found| record(found, value, attributes)),
        }
    }

    #[cold]
    fn find(&self, record: impl FnOnce(&I)) {
        // The context is no longer borrowed when user code runs.
        match context::look(active::find).flatten() {
            Some(Found::Installed(provider)) => {
                if self.installed.get().is_none() {
                    let _ = self.installed.set(self.make(provider));
                }
                if let Some(installed) = self.installed.get() {
                    record(installed);
                }
            }
            // Not cached, because a test's provider finds its instrument by name.
            Some(Found::InContext(provider)) => record(&self.make(&provider)),
            None => {}
        }
    }

    fn make(&self, provider: &SdkMeterProvider) -> I {
        let Scope { name, version } = self.description.scope.unwrap_or(Scope::TELEMARK);
        let scope = InstrumentationScope::builder(name).with_version(version).build();
        I::make(&provider.meter_with_scope(scope), &self.description)
    }
}

#[inline]
fn record<I: ApiInstrument>(instrument: &I, value: I::Number, attributes: impl Attributes) {
    // Converting a value may run user code; a panic there loses only the measurement.
    shielded(|| attributes.show(|list| instrument.record(value, list)));
}

impl<I> std::fmt::Debug for Lazy<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.description.fmt(f)
    }
}

/// An instrument type of the API.
#[diagnostic::on_unimplemented(
    message = "there is no `{Self}`",
    label = "counters and histograms are of `u64` or `f64`, up-down counters of `i64` or `f64`, gauges of any of the three"
)]
pub trait ApiInstrument: Sized {
    /// The type of the values that the instrument records.
    type Number;

    #[doc(hidden)]
    #[allow(private_interfaces, reason = "sealed: other crates cannot name the description")]
    fn make(meter: &Meter, description: &Description) -> Self;

    #[doc(hidden)]
    fn record(&self, value: Self::Number, attributes: &[KeyValue]);
}

macro_rules! instruments {
    ($($instrument:ident $number:ty: $builder:ident $record:ident;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl ApiInstrument for $instrument<$number> {
            type Number = $number;

            #[allow(private_interfaces, reason = "sealed")]
            fn make(meter: &Meter, description: &Description) -> Self {
                let builder = meter
                    .$builder(Cow::Borrowed(description.name))
                    .with_unit(description.unit)
                    .with_description(description.description);
                instruments!(@boundaries $instrument builder description).build()
            }

            #[inline]
            fn record(&self, value: $number, attributes: &[KeyValue]) {
                self.$record(value, attributes);
            }
        }
    )*};
    (@boundaries Histogram $builder:ident $description:ident) => {
        match $description.boundaries {
            Some(boundaries) => $builder.with_boundaries(boundaries.to_vec()),
            None => $builder,
        }
    };
    (@boundaries $instrument:ident $builder:ident $description:ident) => {
        $builder
    };
}

instruments! {
    Counter u64: u64_counter add;
    Counter f64: f64_counter add;
    UpDownCounter i64: i64_up_down_counter add;
    UpDownCounter f64: f64_up_down_counter add;
    Gauge u64: u64_gauge record;
    Gauge i64: i64_gauge record;
    Gauge f64: f64_gauge record;
    Histogram u64: u64_histogram record;
    Histogram f64: f64_histogram record;
}
