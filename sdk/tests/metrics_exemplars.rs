//! Tests which measurements are kept as exemplars, what exemplars contain, and custom reservoirs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::metrics::{Counter, Meter, MeterProvider};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::instrument::spans;
use telemark_sdk::metrics::exemplar::{ExemplarReservoir, Offer, SimpleFixedSizeExemplarReservoir};
use telemark_sdk::metrics::{
    Aggregation, Exemplar, ExemplarFilter, MetricData, PullReader, ReaderConfig, SdkMeterProvider,
    TemporalityPreference, View,
};
use telemark_sdk::testing::{TestTelemetry, metrics_text};
use telemark_sdk::time::{Clock, Deadline, TimeSource, Timestamp};

fn with(filter: ExemplarFilter, config: ReaderConfig, view: View) -> TestTelemetry {
    TestTelemetry::new().with_metrics(config, |builder| builder.with_exemplar_filter(filter).with_view(view))
}

fn always_on(view: View) -> TestTelemetry {
    with(ExemplarFilter::AlwaysOn, ReaderConfig::new(), view)
}

/// Records inside a span with this ID.
fn in_span(id: u8, flags: TraceFlags, record: impl FnOnce()) {
    let context =
        SpanContext::new(TraceId::from(u128::from(id)), SpanId::from(u64::from(id)), flags, false, TraceState::NONE);
    let _attached = Context::new().with_remote_span_context(context).attach();
    record();
}

fn kv(key: &'static str, value: &'static str) -> KeyValue {
    KeyValue::new(key, value)
}

fn exemplars(telemetry: &TestTelemetry) -> Vec<Exemplar> {
    let mut all = Vec::new();
    for metric in telemetry.collect().into_iter().flat_map(|scope| scope.metrics) {
        match metric.data {
            MetricData::Sum { points, .. } | MetricData::Gauge { points } => {
                points.into_iter().for_each(|point| all.extend(point.exemplars));
            }
            MetricData::Histogram { points, .. } => points.into_iter().for_each(|point| all.extend(point.exemplars)),
            MetricData::ExponentialHistogram { points, .. } => {
                points.into_iter().for_each(|point| all.extend(point.exemplars));
            }
            _ => {}
        }
    }
    all
}

#[test]
fn the_filter_decides() {
    let check = |filter: ExemplarFilter, expected: &str| {
        let telemetry = with(filter, ReaderConfig::new(), View::of("none"));
        let meter = telemetry.meter("test");
        let counter = |name: &'static str| meter.u64_counter(name).build();
        counter("outside").add(1, &[]);
        in_span(1, TraceFlags::SAMPLED, || counter("sampled").add(1, &[]));
        in_span(2, TraceFlags::default(), || counter("unsampled").add(1, &[]));
        assert_eq!(telemetry.metrics(), expected, "{filter:?}");
    };
    check(ExemplarFilter::TraceBased, "outside sum 1\nsampled sum 1 # 1 @1:1\nunsampled sum 1\n");
    check(ExemplarFilter::AlwaysOn, "outside sum 1 # 1\nsampled sum 1 # 1 @1:1\nunsampled sum 1 # 1 @2:2\n");
    check(ExemplarFilter::AlwaysOff, "outside sum 1\nsampled sum 1\nunsampled sum 1\n");
}

#[test]
fn every_kind_of_instrument_has_them_bound_or_not() {
    let record = |meter: &Meter, bound: bool| {
        let attributes = [kv("keep", "1"), kv("drop", "2")];
        macro_rules! record {
            ($($instrument:ident $method:ident $value:expr;)*) => {$(
                let instrument = meter.$instrument(stringify!($instrument)).build();
                if bound {
                    instrument.bind(&attributes).$method($value);
                } else {
                    instrument.$method($value, &attributes);
                }
            )*};
        }
        record! {
            u64_counter add 1;
            f64_counter add 1.5;
            i64_up_down_counter add -1;
            i64_gauge record -2;
            f64_histogram record 3.5;
            u64_histogram record 4;
        }
    };
    for bound in [false, true] {
        let telemetry =
            with(ExemplarFilter::TraceBased, ReaderConfig::new(), View::of_all().with_attribute_keys(["keep"]));
        in_span(7, TraceFlags::SAMPLED, || record(&telemetry.meter("test"), bound));
        assert_eq!(
            telemetry.metrics(),
            "f64_counter{keep=1} sum 1.5 # 1.5{drop=2} @7:7\n\
             f64_histogram{keep=1} histogram count=1 sum=3.5 min=3.5 max=3.5 <=5:1 # 3.5{drop=2} @7:7\n\
             i64_gauge{keep=1} gauge -2 # -2{drop=2} @7:7\n\
             i64_up_down_counter{keep=1} up-down sum -1 # -1{drop=2} @7:7\n\
             u64_counter{keep=1} sum 1 # 1{drop=2} @7:7\n\
             u64_histogram{keep=1} histogram count=1 sum=4 min=4 max=4 <=5:1 # 4{drop=2} @7:7\n"
        );
    }
}

#[test]
fn observed_values_have_them() {
    let telemetry = always_on(View::of_all().with_attribute_keys(["keep"]));
    telemetry
        .meter("test")
        .u64_observable_gauge("g")
        .with_callback(|o| o.observe(5, &[kv("keep", "1"), kv("drop", "2")]))
        .build();
    assert_eq!(telemetry.metrics(), "g{keep=1} gauge 5 # 5{drop=2}\n");
}

/// A scrape is served inside a span, which must not appear in the collected metrics.
#[test]
fn the_span_that_a_scrape_runs_in_is_in_nothing_that_is_collected() {
    let check = |filter: ExemplarFilter, expected: &str| {
        let telemetry = TestTelemetry::with(|builder| builder.with_span_counts());
        let config = ReaderConfig::new().with_producer({
            let tracer = telemetry.tracer("producer");
            move || {
                tracer.in_span("of a producer", |_| ());
                Ok(Vec::new())
            }
        });
        let telemetry = telemetry.with_metrics(config, |builder| builder.with_exemplar_filter(filter));
        let (meter, tracer) = (telemetry.meter("test"), telemetry.tracer("callback"));
        let counter = meter.u64_counter("counter").build();
        meter
            .u64_observable_gauge("gauge")
            .with_callback(move |o| {
                o.observe(u64::from(Context::current().span().span_context().is_valid()), &[]);
                counter.add(1, &[]);
                spans::span("of a callback").in_scope(|| ());
                tracer.in_span("of a callback", |_| ());
            })
            .build();
        let _attached = telemetry.attach();
        let scrape = || telemetry.tracer("server").in_span("scrape", |_| telemetry.collect());
        drop(scrape());
        // The second scrape includes the duration of the first one.
        let text = metrics_text(&scrape());
        assert!(text.contains("otel.sdk.metric_reader.collection.duration") && !text.contains('@'), "{text}");
        let lines: Vec<_> = text.lines().filter(|line| !line.contains(".sdk.")).collect();
        assert_eq!(lines.join("\n"), expected, "{filter:?}");
        assert_eq!(telemetry.tree(), "scrape\nscrape\n");
    };
    check(ExemplarFilter::TraceBased, "counter sum 2\ngauge gauge 0");
    check(ExemplarFilter::AlwaysOn, "counter sum 2 # 1\ngauge gauge 0 # 0");
}

#[test]
fn a_span_of_the_sdk_is_the_one_that_is_current() {
    let telemetry = TestTelemetry::new();
    let counter = telemetry.meter("test").u64_counter("c").build();
    telemetry.tracer("test").in_span("s", |_| counter.add(1, &[]));
    let span = &telemetry.spans()[0];
    let exemplar = &exemplars(&telemetry)[0];
    assert_eq!((exemplar.trace_id, exemplar.span_id), (span.context.trace_id(), span.context.span_id()));
}

#[test]
fn the_overflow_keeps_the_attributes_in_its_exemplars() {
    let telemetry = always_on(View::of_all().with_cardinality_limit(1));
    let counter = telemetry.meter("test").u64_counter("c").build();
    counter.add(1, &[kv("k", "a")]);
    counter.add(2, &[kv("k", "b")]);
    assert_eq!(telemetry.metrics(), "c{k=a} sum 1 # 1\nc{otel.metric.overflow=true} sum 2 # 2{k=b}\n");
}

#[test]
fn time_is_that_of_the_measurement_and_old_exemplars_of_totals_stay_until_newer_ones_come() {
    let telemetry = always_on(View::of("none"));
    let counter = telemetry.meter("test").u64_counter("c").build();
    let began = telemetry.clock.clock().now();
    let pass = || telemetry.clock.advance(Duration::from_secs(1));
    let seen = || -> Vec<_> {
        exemplars(&telemetry).iter().map(|one| (one.value.to_string(), one.time.since(began).as_secs())).collect()
    };
    counter.add(1, &[]);
    pass();
    assert_eq!(seen(), [("1".to_owned(), 0)]);
    assert_eq!(seen(), [("1".to_owned(), 0)]);
    counter.add(2, &[]);
    pass();
    assert_eq!(seen(), [("2".to_owned(), 1)]);
}

#[test]
fn exemplars_of_deltas_belong_to_their_interval() {
    let config = ReaderConfig::new().with_temporality(TemporalityPreference::Delta);
    let telemetry = with(ExemplarFilter::AlwaysOn, config, View::of("none"));
    let meter = telemetry.meter("test");
    let histogram = meter.u64_histogram("h").build();
    for value in [1, 2] {
        histogram.record(value, &[]);
        meter.u64_counter("c").build().add(value, &[]);
        let values: Vec<_> = exemplars(&telemetry).iter().map(|one| one.value.to_string()).collect();
        assert_eq!(values, [value.to_string(), value.to_string()]);
    }
}

#[test]
fn an_exponential_histogram_keeps_up_to_twenty() {
    let telemetry = always_on(View::of_all().with_aggregation(Aggregation::exponential()));
    let histogram = telemetry.meter("test").u64_histogram("h").build();
    (1..=100).for_each(|value| histogram.record(value, &[]));
    assert_eq!(exemplars(&telemetry).len(), 20);
    let telemetry = always_on(View::of_all().with_aggregation(Aggregation::Base2ExponentialHistogram {
        max_size: 4,
        max_scale: 20,
        record_min_max: true,
    }));
    let histogram = telemetry.meter("test").u64_histogram("h").build();
    (1..=100).for_each(|value| histogram.record(value, &[]));
    assert_eq!(exemplars(&telemetry).len(), 4);
    // Two concurrent threads, each with its own cell.
    let both = std::sync::Barrier::new(2);
    let telemetry = always_on(View::of_all().with_aggregation(Aggregation::exponential()));
    let histogram = telemetry.meter("test").u64_histogram("h").build();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                (1..=100).for_each(|value| histogram.record(value, &[]));
                both.wait();
            });
        }
    });
    assert_eq!(exemplars(&telemetry).len(), 20);
}

#[test]
fn a_histogram_without_buckets_keeps_one() {
    let telemetry = always_on(View::of_all().with_aggregation(Aggregation::explicit_buckets([])));
    let histogram = telemetry.meter("test").u64_histogram("h").build();
    (1..=100).for_each(|value| histogram.record(value, &[]));
    assert_eq!(exemplars(&telemetry).len(), 1);
}

/// Keeps the exemplar with the greatest value, and checks that each offer has all attributes.
#[derive(Debug)]
struct Greatest(Option<Exemplar>);

impl ExemplarReservoir for Greatest {
    fn offer(&mut self, offer: &Offer<'_>) {
        assert!(offer.attributes().iter().any(|one| one.key.as_str() == "all"), "the attributes are complete");
        if self.0.as_ref().is_none_or(|kept| kept.value.as_f64() < offer.value().as_f64()) {
            self.0 = Some(offer.exemplar());
        }
    }

    fn collect(&mut self, _: bool) -> Vec<Exemplar> {
        self.0.take().into_iter().collect()
    }
}

#[test]
fn a_view_may_bring_its_own_reservoir_one_for_each_series() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let telemetry = always_on(View::of_all().with_attribute_keys(["k"]).with_exemplar_reservoir(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Greatest(None)
    }));
    let histogram = telemetry.meter("test").u64_histogram("h").with_boundaries(vec![]).build();
    for (value, series) in [(3, "a"), (9, "a"), (4, "a"), (1, "b")] {
        histogram.record(value, &[kv("k", series), kv("all", "x")]);
    }
    assert_eq!(
        telemetry.metrics(),
        "h{k=a} histogram count=3 sum=16 min=3 max=9 <=inf:3 # 9{all=x}\n\
         h{k=b} histogram count=1 sum=1 min=1 max=1 <=inf:1 # 1{all=x}\n"
    );
    assert_eq!(made.load(Ordering::Relaxed), 2);

    let telemetry = always_on(View::of_all().with_exemplar_reservoir(|| SimpleFixedSizeExemplarReservoir::new(3)));
    let counter = telemetry.meter("test").u64_counter("c").build();
    (0..50).for_each(|value| counter.add(value, &[]));
    assert_eq!(exemplars(&telemetry).len(), 3);
}

/// Keeps the last measurement, together with the tenant from its baggage.
#[derive(Debug, Default)]
struct OfTenant(Vec<Exemplar>);

impl ExemplarReservoir for OfTenant {
    fn offer(&mut self, offer: &Offer<'_>) {
        let tenant =
            offer.context().baggage().get("tenant").map(|tenant| KeyValue::new("tenant", tenant.as_str().to_owned()));
        self.0 = vec![offer.exemplar().with_filtered_attributes(tenant.into_iter().collect())];
    }

    fn collect(&mut self, _: bool) -> Vec<Exemplar> {
        std::mem::take(&mut self.0)
    }
}

#[test]
fn a_reservoir_sees_the_context_of_a_measurement() {
    let telemetry = always_on(View::of_all().with_exemplar_reservoir(OfTenant::default));
    let counter = telemetry.meter("test").u64_counter("c").build();
    counter.add(1, &[]);
    assert_eq!(telemetry.metrics(), "c sum 1 # 1\n");
    let _tenant = Context::current_with_baggage([KeyValue::new("tenant", "acme")]).attach();
    counter.add(1, &[]);
    assert_eq!(telemetry.metrics(), "c sum 2 # 1{tenant=acme}\n");
}

#[test]
fn an_exponential_histogram_has_its_measurements_beside_a_reservoir_of_a_view() {
    let view = View::of_all().with_aggregation(Aggregation::exponential());
    let telemetry = always_on(view.with_exemplar_reservoir(|| SimpleFixedSizeExemplarReservoir::new(1)));
    let histogram = telemetry.meter("test").u64_histogram("size").build();
    histogram.record(7, &[]);
    histogram.record(7, &[]);
    let [exemplar] = &exemplars(&telemetry)[..] else { panic!("one exemplar") };
    assert_eq!(exemplar.value.as_f64(), 7.0);
    assert!(telemetry.metrics().contains("count=2"), "{}", telemetry.metrics());
}

/// A misbehaving reservoir, which records into its own metric and panics.
#[derive(Debug)]
struct Wild(Arc<OnceLock<Counter<u64>>>);

impl ExemplarReservoir for Wild {
    fn offer(&mut self, offer: &Offer<'_>) {
        if offer.value().as_f64() < 3.0 {
            self.0.get().unwrap().add(3, &[]);
            self.0.get().unwrap().add(3, &[kv("new", "series")]);
        }
        panic!("on purpose");
    }

    fn collect(&mut self, _: bool) -> Vec<Exemplar> {
        panic!("on purpose");
    }
}

impl Drop for Wild {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[test]
fn a_reservoir_that_panics_and_records_does_no_harm() {
    let counter = Arc::new(OnceLock::new());
    let inside = counter.clone();
    let telemetry = always_on(View::of_all().with_exemplar_reservoir(move || Wild(inside.clone())));
    let made = counter.get_or_init(|| telemetry.meter("test").u64_counter("c").build());
    made.add(1, &[]);
    made.add(1, &[]);
    assert_eq!(telemetry.metrics(), "c sum 8\nc{new=series} sum 6\n");
}

/// A clock that collects all metrics whenever it is read.
#[derive(Debug)]
struct Collects {
    reader: PullReader,
    collected: Arc<AtomicUsize>,
}

thread_local!(static IS_ASKED: Cell<bool> = const { Cell::new(false) });

impl TimeSource for Collects {
    fn now(&self) -> Timestamp {
        // Do not collect again if the collection itself reads the clock.
        if !IS_ASKED.replace(true) {
            if self.reader.collect(Deadline::after(Duration::from_secs(20))).is_ok() {
                self.collected.fetch_add(1, Ordering::Relaxed);
            }
            IS_ASKED.set(false);
        }
        Timestamp::from_nanos(1)
    }
}

#[test]
fn a_clock_that_collects_is_asked_while_nothing_is_locked() {
    let reader = PullReader::default();
    let collected = Arc::new(AtomicUsize::new(0));
    let clock = Clock::from_source(Collects { reader: reader.clone(), collected: collected.clone() });
    let provider = SdkMeterProvider::builder()
        .with_reader(reader.clone())
        .with_clock(clock)
        .with_exemplar_filter(ExemplarFilter::AlwaysOn)
        .with_view(View::of("e").with_aggregation(Aggregation::exponential()))
        .build();
    let meter = provider.meter("test");
    let histograms = [
        meter.f64_histogram("h").build(),
        meter.f64_histogram("e").build(),
        meter.f64_histogram("b").with_boundaries(vec![]).build(),
    ];
    let (counter, gauge) = (meter.u64_counter("c").build(), meter.f64_gauge("g").build());
    let before = collected.load(Ordering::Relaxed);
    for round in 0..3 {
        histograms.iter().for_each(|histogram| histogram.record(1.0, &[]));
        counter.add(1, &[]);
        gauge.record(1.0, &[]);
        assert!(collected.load(Ordering::Relaxed) >= before + 5 * (round + 1), "each had the time of an exemplar");
    }
    IS_ASKED.set(true);
    let text = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines.iter().all(|line| line.ends_with(" # 1")), "{text}");
    assert!(lines.iter().filter(|line| line.contains("count=3 ")).count() == 3, "{text}");
}

/// A reservoir that collects all metrics on every offer.
#[derive(Debug)]
struct Reads(PullReader, Vec<Exemplar>);

impl ExemplarReservoir for Reads {
    fn offer(&mut self, offer: &Offer<'_>) {
        let scopes = self.0.collect(Deadline::after(Duration::from_secs(20))).unwrap();
        let sums = metrics_text(&scopes);
        assert!(sums.starts_with("c sum "), "{sums}");
        self.1 = vec![offer.exemplar()];
    }

    fn collect(&mut self, _: bool) -> Vec<Exemplar> {
        self.1.clone()
    }
}

#[test]
fn a_reservoir_that_collects_is_not_waited_for() {
    let reader = PullReader::default();
    let inside = reader.clone();
    let provider = SdkMeterProvider::builder()
        .with_reader(reader.clone())
        .with_exemplar_filter(ExemplarFilter::AlwaysOn)
        .with_view(View::of_all().with_exemplar_reservoir(move || Reads(inside.clone(), Vec::new())))
        .build();
    let counter = provider.meter("test").u64_counter("c").build();
    (0..3).for_each(|_| counter.add(1, &[]));
    assert_eq!(metrics_text(&reader.collect(Deadline::NEVER).unwrap()), "c sum 3 # 1\n");
}

/// A reservoir that records into its own metric when it is dropped.
#[derive(Debug)]
struct Records(Option<Counter<u64>>);

impl ExemplarReservoir for Records {
    fn offer(&mut self, _: &Offer<'_>) {}

    fn collect(&mut self, _: bool) -> Vec<Exemplar> {
        Vec::new()
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        if let Some(counter) = self.0.take() {
            counter.add(4, &[kv("k", "at the end")]);
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a deadlock must fail the test")]
fn a_reservoir_of_an_overflow_series_that_comes_second_is_dropped_while_nothing_is_locked() {
    let (counter, made) = (Arc::new(OnceLock::<Counter<u64>>::new()), AtomicUsize::new(0));
    let inside = counter.clone();
    let make = move || {
        // The second reservoir is that of the overflow series, of which another one exists before this function returns.
        let is_second = made.fetch_add(1, Ordering::Relaxed) == 1;
        let counter = is_second.then(|| inside.get().unwrap().clone());
        counter.iter().for_each(|counter| counter.add(2, &[kv("k", "first")]));
        Records(counter)
    };
    let telemetry = always_on(View::of_all().with_cardinality_limit(1).with_exemplar_reservoir(make));
    let counter = counter.get_or_init(|| telemetry.meter("test").u64_counter("c").build()).clone();
    let (done, wait) = channel();
    std::thread::spawn(move || {
        counter.add(1, &[kv("k", "own")]);
        counter.add(1, &[kv("k", "second")]);
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(telemetry.metrics(), "c{k=own} sum 1\nc{otel.metric.overflow=true} sum 7\n");
}
