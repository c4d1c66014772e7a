//! The callback that reports the SDK's own metrics.

use std::sync::Arc;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::{Context, InstrumentationScope};

use super::limits::Limits;
use super::pipelines::SignalInstruments;
use super::redaction::Hidden;
use super::registrar::Registrar;
use super::reloads::Reloads;
use super::series::SeriesInstruments;
use super::served::Served;
use super::spans::{Records, Spans};
use super::tail::Tail;
use super::words::Words;
use crate::diag::{Counters, LimitCounts, Listener, ReloadCounts, ServedRoutes};
use crate::logs::SdkLoggerProvider;
use crate::metrics::{CallbackHandle, SELF_METRICS_SCOPE, SdkMeterProvider};
use crate::redaction::Redaction;
use crate::trace::SdkTracerProvider;

/// Exposes the SDK's work as metrics in the scope `telemark.sdk`, until dropped: started and live spans, emitted
/// log records, processor queues, items in flight and exported, and the durations of exports and collections, as `otel.sdk.*`.
///
/// Telemark adds what the conventions do not have:
///
/// | metric | attributes | value |
/// |---|---|---|
/// | `telemark.sdk.metric.series` | reader (`otel.component.*`), `telemark.metric.name` | series of a metric, without that of the overflow |
/// | `telemark.sdk.metric.series.limit` | the same | their maximum number |
/// | `telemark.sdk.metric.series.expired` | the same | series that [expired](crate::metrics::MeterProviderBuilder::with_series_expiry) so far |
/// | `telemark.sdk.metric.attribute.values` | the same, `telemark.attribute.key` | distinct values of an attribute, from 32 on, estimated within about 7 % |
/// | `telemark.sdk.config.reloads` | `telemark.config.outcome`: `applied` or `refused` | versions of the configuration file that came while the program ran |
/// | `telemark.sdk.tail.decided` | `telemark.sampling.result`: `kept`, `dropped` or `evicted`; `telemark.sampling.policy` if kept; `telemark.sampling.was_error` | traces about which [tail sampling](crate::stages::tail) has decided |
/// | `telemark.sdk.tail.late` | the result and `was_error` | spans that ended after the decision about their trace |
/// | `telemark.sdk.tail.held`, `telemark.sdk.tail.held.size` | | traces that wait for a decision, and the bytes of their spans |
/// | `telemark.sdk.limits.dropped` | `telemark.limit.name`: `max_spans_per_trace` or `max_spans_per_second` | spans that [limits](crate::stages::limits) have dropped |
/// | `telemark.sdk.limits.cut` | the same: `max_span_bytes` or `max_log_record_bytes` | spans and log records that limits have made smaller |
/// | `telemark.sdk.redaction.hidden` | `telemark.redaction.rule` | values in which a rule of the [redaction](crate::redaction) has hidden something |
/// | `telemark.sdk.server.requests` | `http.route`; `otel.span.parent.origin`: `none`, `local` or `remote` | requests that the program's HTTP servers have ended, sampled or not |
///
/// Metrics of several scopes that have the same name are added up. The scope `telemark.sdk` is not counted.
///
/// The semantic conventions for these metrics are still in development, so they are off by default. Enable them with
/// [`TelemetryBuilder::with_self_metrics`](crate::install::TelemetryBuilder::with_self_metrics) or
/// `OTEL_RUST_SELF_METRICS=true`. Spans are counted only if their provider was built [with span
/// counts](crate::trace::TracerProviderBuilder::with_span_counts).
///
/// The SDK's work itself records only one duration per export or collection; all the counters are read by a callback.
/// Exporting these metrics therefore creates no additional telemetry, but only changes the values of the next export.
///
/// spec: self-observability.md, semconv otel/sdk-metrics.md
#[derive(Debug)]
#[must_use = "the metrics end when this is dropped"]
pub struct SelfMetrics {
    _callback: CallbackHandle,
    _listeners: Vec<Arc<Listener>>,
}

/// What a whole telemetry counts beside its pipelines.
#[derive(Default)]
pub(crate) struct Sources<'a> {
    pub(crate) loggers: Option<&'a SdkLoggerProvider>,
    pub(crate) reloads: Option<Arc<ReloadCounts>>,
    pub(crate) limits: Option<Arc<LimitCounts>>,
    pub(crate) redaction: Option<Redaction>,
    pub(crate) routes: Option<ServedRoutes>,
}

impl SelfMetrics {
    /// Exposes the work of these providers as metrics, to the readers of `meters`. If two `SelfMetrics` observe the
    /// same providers, only the later one receives the durations.
    pub fn observe(tracers: &SdkTracerProvider, meters: &SdkMeterProvider) -> Self {
        let points = meters.components().filter_map(|(_, _, counters)| counters).collect();
        let signals = [(Words::SPANS, tracers.counters()), (Words::POINTS, points)];
        SelfMetrics::of_pipelines(tracers, meters, signals, Sources::default())
    }

    /// Like [`Self::observe`], but for the given pipelines of any signal, and with what a whole telemetry counts besides.
    pub(crate) fn of_pipelines(
        tracers: &SdkTracerProvider,
        meters: &SdkMeterProvider,
        signals: impl IntoIterator<Item = (Words, Vec<Arc<Counters>>)>,
        sources: Sources<'_>,
    ) -> Self {
        let scope = InstrumentationScope::builder(SELF_METRICS_SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(crate::resource::SCHEMA_URL)
            .build();
        let mut registrar = Registrar::new(tracers.clock().clone(), &meters.meter_with_scope(scope.clone()));
        let meter = meters.sdk_meter(scope);
        let spans = Spans::new(&meter, tracers.span_counts());
        let records = Records::new(&meter, sources.loggers.and_then(SdkLoggerProvider::log_count));
        let tail = Tail::new(&meter, tracers.tail_counts().cloned());
        let reloads = Reloads::new(&meter, sources.reloads);
        let limits = Limits::new(&meter, sources.limits);
        let hidden = Hidden::new(&meter, sources.redaction);
        let served = Served::new(&meter, sources.routes);
        let signals = signals.into_iter();
        let instruments: Vec<_> = signals
            .map(|(words, counters)| SignalInstruments::new(&meter, words, registrar.add(words, counters)))
            .collect();
        let readers = meters.components().zip(meters.series_sources());
        let readers = readers
            .map(|((reader, durations, _), source)| (source, registrar.time_collections(reader, durations)))
            .collect();
        let series = SeriesInstruments::new(&meter, readers);
        let callback = meter.register_callback(move |observer| {
            // The counts are unrelated to the span that is current during a collection, so that span must not become
            // part of an exemplar.
            let _outside = Context::new().attach();
            spans.observe(observer);
            records.observe(observer);
            reloads.observe(observer);
            instruments.iter().for_each(|signal| signal.observe(observer));
            series.observe(observer);
            tail.observe(observer);
            limits.observe(observer);
            hidden.observe(observer);
            served.observe(observer);
        });
        SelfMetrics { _callback: callback, _listeners: registrar.listeners }
    }
}
