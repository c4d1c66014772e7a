//! The meter, which creates the API's instruments, and observable instruments whose callbacks can be unregistered.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{
    AsyncInstrumentBuilder, Callback as ApiCallback, Counter, Gauge, Histogram, HistogramBuilder, InstrumentBuilder,
    InstrumentProvider, ObservableCounter, ObservableGauge, ObservableUpDownCounter, UpDownCounter,
};

use super::observable::{CallbackHandle, ForReader, Observable, ObservedNumber, ObservedStreams, Observer};
use super::shared::Shared;
use super::synchronous::{Checks, SdkInstrument};
use crate::error::Contained;
use crate::metrics::config::{Instrument, InstrumentKind};
use crate::metrics::data::Measured;
use crate::metrics::meters::OneMeter;

type Text = Option<Cow<'static, str>>;

/// Creates the instruments of one scope. Cheap to clone.
///
/// The API's meter creates instruments of every kind. `SdkMeter` additionally offers callbacks that can be
/// unregistered.
#[derive(Clone)]
pub struct SdkMeter {
    pub(crate) scope: Arc<InstrumentationScope>,
    pub(crate) shared: Arc<Shared>,
}

impl SdkMeter {
    /// Creates an observable counter for use with [`Self::register_callback`].
    pub fn observable_counter<T: ObservedNumber>(
        &self,
        name: impl Into<Cow<'static, str>>,
    ) -> ObservableBuilder<'_, T> {
        ObservableBuilder::new(self, InstrumentKind::ObservableCounter, name)
    }

    /// Creates an observable up-down counter for use with [`Self::register_callback`].
    pub fn observable_up_down_counter<T: ObservedNumber>(
        &self,
        name: impl Into<Cow<'static, str>>,
    ) -> ObservableBuilder<'_, T> {
        ObservableBuilder::new(self, InstrumentKind::ObservableUpDownCounter, name)
    }

    /// Creates an observable gauge for use with [`Self::register_callback`].
    pub fn observable_gauge<T: ObservedNumber>(&self, name: impl Into<Cow<'static, str>>) -> ObservableBuilder<'_, T> {
        ObservableBuilder::new(self, InstrumentKind::ObservableGauge, name)
    }

    /// Calls `callback` for every collection of every reader, on the collecting thread, until the handle is dropped.
    /// The callback may observe several instruments.
    ///
    /// The callback cannot be interrupted, so it should return quickly. The reader collects nothing else until the
    /// callback returns, and callers that wait for the reader may have to wait until their deadline.
    ///
    /// spec: metrics/api.md#asynchronous-instrument-api
    pub fn register_callback(&self, callback: impl Fn(&Observer) + Send + Sync + 'static) -> CallbackHandle {
        let callback = Contained::new(callback);
        let meter = OneMeter::new(&self.shared.meters, &self.scope);
        let callback: Arc<crate::metrics::reader::pipeline::Callback> = Arc::new(move |reader| {
            if meter.is_on() {
                callback(&Observer { reader });
            }
        });
        // After shutdown, the callback would never be called or freed.
        if !self.is_shut_down() {
            self.shared.callbacks.add_while_held(&callback);
        }
        CallbackHandle { _callback: callback }
    }

    fn checks(&self, kind: InstrumentKind) -> Checks {
        Checks::new(kind, OneMeter::new(&self.shared.meters, &self.scope), &self.shared)
    }

    fn synchronous<T: Measured>(
        &self,
        kind: InstrumentKind,
        (name, description, unit): (Cow<'static, str>, Text, Text),
        boundaries: Option<Vec<f64>>,
    ) -> Arc<SdkInstrument> {
        let instrument = Instrument::new(name, description, unit, boundaries, (kind, T::TYPE));
        let streams = instrument.map_or_else(Vec::new, |instrument| self.streams(&instrument));
        Arc::new(SdkInstrument {
            streams: streams.into_iter().map(|(_, one)| one).collect(),
            checks: self.checks(kind),
        })
    }

    fn observed<T: Measured>(
        &self,
        kind: InstrumentKind,
        (name, description, unit): (Cow<'static, str>, Text, Text),
    ) -> ObservedStreams {
        let instrument = Instrument::new(name, description, unit, None, (kind, T::TYPE));
        let streams = instrument.map_or_else(Vec::new, |instrument| self.streams(&instrument));
        ObservedStreams { streams: streams.into(), checks: self.checks(kind) }
    }

    fn is_shut_down(&self) -> bool {
        self.shared.is_shut_down.load(Ordering::Acquire)
    }

    /// Returns the instrument's streams, or none after shutdown, in which case the instrument does nothing.
    fn streams(&self, instrument: &Instrument) -> Vec<(usize, Arc<crate::metrics::series::stream::Stream>)> {
        if self.is_shut_down() {
            return Vec::new();
        }
        let of = |pipeline: &Arc<crate::metrics::reader::pipeline::Pipeline>| {
            let streams = pipeline.streams(&self.shared.views, &self.scope, instrument);
            let index = pipeline.index;
            streams.into_iter().map(move |stream| (index, stream))
        };
        self.shared.pipelines.iter().flat_map(of).collect()
    }

    /// Creates an observable instrument for the API. Its callbacks live as long as the provider.
    fn observable<T: Measured>(
        &self,
        kind: InstrumentKind,
        texts: (Cow<'static, str>, Text, Text),
        callbacks: Vec<ApiCallback<T>>,
    ) {
        let callbacks: Vec<_> = callbacks.into_iter().map(Contained::new).collect();
        let observed = Arc::new(self.observed::<T>(kind, texts));
        if observed.streams.is_empty() {
            return;
        }
        for callback in callbacks {
            let observed = observed.clone();
            self.shared.callbacks.add(Arc::new(move |reader| {
                if observed.checks.is_on() {
                    callback(&ForReader { observed: &observed, reader });
                }
            }));
        }
    }
}

impl std::fmt::Debug for SdkMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SdkMeter").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Builds an [`Observable`].
#[derive(Debug)]
#[must_use = "an instrument exists once it is built"]
pub struct ObservableBuilder<'a, T> {
    meter: &'a SdkMeter,
    kind: InstrumentKind,
    texts: (Cow<'static, str>, Text, Text),
    number: std::marker::PhantomData<T>,
}

impl<'a, T: ObservedNumber> ObservableBuilder<'a, T> {
    fn new(meter: &'a SdkMeter, kind: InstrumentKind, name: impl Into<Cow<'static, str>>) -> Self {
        ObservableBuilder { meter, kind, texts: (name.into(), None, None), number: std::marker::PhantomData }
    }

    /// Sets the description.
    pub fn with_description(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.texts.1 = Some(description.into());
        self
    }

    /// Sets the unit, written in UCUM.
    pub fn with_unit(mut self, unit: impl Into<Cow<'static, str>>) -> Self {
        self.texts.2 = Some(unit.into());
        self
    }

    /// Creates the instrument.
    pub fn build(self) -> Observable<T> {
        Observable::new(self.meter.observed::<T>(self.kind, self.texts))
    }
}

/// Implements one API method per kind of instrument and number type.
macro_rules! synchronous {
    ($($method:ident $instrument:ident $number:ty;)*) => {$(
        fn $method(&self, builder: InstrumentBuilder<'_, $instrument<$number>>) -> $instrument<$number> {
            let texts = (builder.name, builder.description, builder.unit);
            $instrument::new(self.synchronous::<$number>(InstrumentKind::$instrument, texts, None))
        }
    )*};
}

macro_rules! histograms {
    ($($method:ident $number:ty;)*) => {$(
        fn $method(&self, builder: HistogramBuilder<'_, Histogram<$number>>) -> Histogram<$number> {
            let texts = (builder.name, builder.description, builder.unit);
            Histogram::new(self.synchronous::<$number>(InstrumentKind::Histogram, texts, builder.boundaries))
        }
    )*};
}

macro_rules! observables {
    ($($method:ident $instrument:ident $number:ty;)*) => {$(
        fn $method(
            &self,
            builder: AsyncInstrumentBuilder<'_, $instrument<$number>, $number>,
        ) -> $instrument<$number> {
            let texts = (builder.name, builder.description, builder.unit);
            self.observable::<$number>(InstrumentKind::$instrument, texts, builder.callbacks);
            $instrument::new()
        }
    )*};
}

impl InstrumentProvider for SdkMeter {
    synchronous! {
        u64_counter Counter u64;
        f64_counter Counter f64;
        i64_up_down_counter UpDownCounter i64;
        f64_up_down_counter UpDownCounter f64;
        u64_gauge Gauge u64;
        i64_gauge Gauge i64;
        f64_gauge Gauge f64;
    }

    histograms! {
        u64_histogram u64;
        f64_histogram f64;
    }

    observables! {
        u64_observable_counter ObservableCounter u64;
        f64_observable_counter ObservableCounter f64;
        i64_observable_up_down_counter ObservableUpDownCounter i64;
        f64_observable_up_down_counter ObservableUpDownCounter f64;
        u64_observable_gauge ObservableGauge u64;
        i64_observable_gauge ObservableGauge i64;
        f64_observable_gauge ObservableGauge f64;
    }
}
