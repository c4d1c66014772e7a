//! A redactor and every place in which it hides a value, and what a known series costs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use opentelemetry::logs::{AnyValue, LogRecord, Logger};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{
    Link, Span, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, Value};
use telemark_sdk::config::Env;
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::limits::{AttributeLimits, LogRecordLimits, SpanLimits};
use telemark_sdk::metrics::exemplar::{ExemplarReservoir, Offer};
use telemark_sdk::metrics::{Exemplar, ExemplarFilter, Number, View};
use telemark_sdk::redaction::Redactor;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::{Logs, Metrics, Traces};
use telemark_sdk::testing::{InMemoryExporter, logs_text, metrics_text};
use telemark_sdk::time::Deadline;

/// Replaces `secret` by `…`, removes the key `gone`, and panics at the text `panic`. Counts the attributes that it has seen.
#[derive(Clone, Debug, Default)]
struct Hide(Arc<AtomicUsize>);

impl Redactor for Hide {
    fn attribute(&self, key: &str, value: &mut Value) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        if let Some(text) = self.text(&value.as_str()) {
            *value = text.into();
        }
        key != "gone"
    }

    fn log_value(&self, key: &str, value: &mut AnyValue) -> bool {
        match value {
            AnyValue::String(text) => {
                if let Some(text) = self.text(text.as_str()) {
                    *value = AnyValue::String(text.into());
                }
            }
            AnyValue::Map(map) => map.retain(|key, value| self.log_value(key.as_str(), value)),
            _ => {}
        }
        key != "gone"
    }

    fn text(&self, text: &str) -> Option<String> {
        assert_ne!(text, "panic");
        text.contains("secret").then(|| text.replace("secret", "…"))
    }
}

struct Exporters {
    spans: InMemoryExporter<Traces>,
    logs: InMemoryExporter<Logs>,
    metrics: InMemoryExporter<Metrics>,
}

fn telemetry(change: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> (Telemetry, Exporters) {
    let exporters =
        Exporters { spans: InMemoryExporter::new(), logs: InMemoryExporter::new(), metrics: InMemoryExporter::new() };
    let builder = Telemetry::builder(Env::from_pairs([("OTEL_RUST_RESOURCE_DETECTORS", "none")]))
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .with_span_exporter(exporters.spans.clone())
        .with_log_exporter(exporters.logs.clone())
        .with_metric_exporter(exporters.metrics.clone())
        .with_exemplar_filter(ExemplarFilter::AlwaysOn);
    (change(builder).build().unwrap(), exporters)
}

fn hidden(redactor: &Hide) -> (Telemetry, Exporters) {
    telemetry(|builder| builder.with_redaction(redactor.clone()))
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("shop").with_attributes([KeyValue::new("of.scope", "secret")]).build()
}

fn shown<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> String {
    attributes.into_iter().map(|one| format!("{}={} ", one.key, one.value)).collect()
}

#[test]
fn every_text_of_a_span_is_redacted() {
    let (telemetry, exporters) = hidden(&Hide::default());
    let tracer = telemetry.tracer_provider().tracer_with_scope(scope());
    let linked = SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
    let attributes = || vec![KeyValue::new("a", "the secret"), KeyValue::new("gone", 1), KeyValue::new("n", 7)];
    let mut span = tracer.build_with_context(
        SpanBuilder::from_name("GET /secret").with_attributes(attributes()).with_links(vec![Link::new(
            linked.clone(),
            attributes(),
            0,
        )]),
        &Context::new(),
    );
    span.add_event("a secret", attributes());
    span.set_status(Status::error("a secret"));
    span.end();
    telemetry.force_flush(Deadline::NEVER).unwrap();
    let items = exporters.spans.items();
    let span = &items[0];
    let expected = "a=the … n=7 ";
    assert_eq!((&*span.name, shown(span.attributes())), ("GET /…", expected.to_owned()));
    assert_eq!((&*span.events[0].name, shown(&span.events[0].attributes)), ("a …", expected.to_owned()));
    assert_eq!((&span.links[0].span_context, shown(&span.links[0].attributes)), (&linked, expected.to_owned()));
    assert_eq!(span.status, Status::error("a …"));
    assert_eq!(shown(span.scope.attributes()), "of.scope=… ");
}

#[test]
fn the_body_and_the_attributes_of_a_record_are_redacted() {
    let (telemetry, exporters) = hidden(&Hide::default());
    let logger = telemetry.logger_provider().logger_in(scope().into());
    let mut record = logger.create_log_record();
    let map = HashMap::from([("a".into(), AnyValue::from("secret")), ("gone".into(), AnyValue::from(1))]);
    record.set_body(AnyValue::Map(Box::new(map)));
    record.set_event_name("secret.event");
    record.add_attributes([("b", "secret"), ("gone", "x")]);
    logger.emit(record);
    let mut record = logger.create_log_record();
    record.set_body("a secret".into());
    logger.emit(record);
    telemetry.force_flush(Deadline::NEVER).unwrap();
    let items = exporters.logs.items();
    assert_eq!(items[0].body(), Some(&AnyValue::from_iter([("a", "…")])));
    assert_eq!(items[0].event_name(), Some("secret.event"));
    assert_eq!(items[0].attributes(), [("b".into(), AnyValue::from("…"))]);
    assert_eq!(shown(items[0].scope().attributes()), "of.scope=… ");
    assert_eq!(items[1].body(), Some(&AnyValue::from("a …")));
}

/// Hides nothing and says that it has.
#[derive(Debug)]
struct Counting;

impl Redactor for Counting {
    fn attribute(&self, _: &str, _: &mut Value) -> bool {
        true
    }

    fn log_value(&self, _: &str, _: &mut AnyValue) -> bool {
        true
    }

    fn text(&self, _: &str) -> Option<String> {
        None
    }

    fn hidden(&self) -> Vec<(Cow<'static, str>, u64)> {
        vec![("email".into(), 7), ("unused".into(), 0)]
    }
}

#[test]
fn what_rules_have_hidden_is_in_the_health_and_a_metric() {
    let (telemetry, exporters) = telemetry(|builder| builder.with_redaction(Counting).with_self_metrics());
    telemetry.force_flush(Deadline::NEVER).unwrap();
    assert_eq!(telemetry.health().redaction, [("email".into(), 7), ("unused".into(), 0)]);
    let metrics = metrics_text(&exporters.metrics.items());
    let shown: Vec<_> = metrics.lines().filter(|line| line.contains("redaction")).collect();
    assert_eq!(shown, ["telemark.sdk.redaction.hidden[{value}]{telemark.redaction.rule=email} sum 7 # 7"]);
    let (plain, _) = self::telemetry(|builder| builder);
    assert_eq!(plain.health().redaction, []);
}

#[test]
fn an_item_whose_redaction_panics_is_dropped_and_counted() {
    let (telemetry, exporters) = hidden(&Hide::default());
    let tracer = telemetry.tracer("shop");
    for value in ["panic", "kept"] {
        tracer.start("span").set_attribute(KeyValue::new("a", value));
    }
    telemetry.force_flush(Deadline::NEVER).unwrap();
    assert_eq!(exporters.spans.items().len(), 1);
    let health = &telemetry.health().traces[0];
    assert_eq!((health.exported, health.dropped_by_stage), (1, 1));
}

#[test]
fn a_value_is_cut_once_it_is_redacted() {
    let limits = AttributeLimits::new(128, Some(4));
    let (telemetry, exporters) = telemetry(|builder| {
        let mut of_spans = SpanLimits::DEFAULT;
        of_spans.attributes = limits;
        builder
            .with_redaction(Hide::default())
            .with_span_limits(of_spans)
            .with_log_limits(LogRecordLimits::DEFAULT.with_attributes(limits))
    });
    let attributes = || vec![KeyValue::new("a", "a secret"), KeyValue::new("b", "plain text")];
    let mut span = telemetry.tracer("shop").start("span");
    span.set_attributes(attributes());
    span.add_event("event", attributes());
    span.end();
    let logger = telemetry.logger("shop");
    let mut record = logger.create_log_record();
    record.add_attributes([("a", "a secret"), ("b", "plain text")]);
    logger.emit(record);
    telemetry.force_flush(Deadline::NEVER).unwrap();
    let span = &exporters.spans.items()[0];
    assert_eq!(
        (shown(span.attributes()), shown(&span.events[0].attributes)),
        ("a=a … b=plai ".into(), "a=a … b=plai ".into())
    );
    assert_eq!(logs_text(&exporters.logs.items()), "a=a … b=plai\n");
}

#[test]
fn the_resource_is_redacted() {
    let (telemetry, _) = telemetry(|builder| {
        builder.with_redaction(Hide::default()).with_resource([KeyValue::new("a", "secret"), KeyValue::new("gone", 1)])
    });
    let resource = telemetry.tracer_provider().resource();
    assert_eq!((resource.get("a"), resource.get("gone")), (Some(&Value::from("…")), None));
}

#[test]
fn sets_that_become_equal_are_one_series_and_a_known_list_asks_no_redactor() {
    let redactor = Hide::default();
    let (telemetry, exporters) = telemetry(|builder| {
        builder
            .with_redaction(redactor.clone())
            .with_exemplar_filter(ExemplarFilter::AlwaysOff)
            .with_view(View::of("some").without_attribute_keys(["removed"]))
    });
    let meter = telemetry.meter_provider().meter_with_scope(scope());
    let counter = meter.u64_counter("all").build();
    let of_a_view = meter.u64_counter("some").build();
    let lists =
        ["secret", "…", "plain", "secret secret"].map(|user| [KeyValue::new("user", user), KeyValue::new("gone", 1)]);
    let record = || {
        for list in &lists {
            counter.add(1, list);
        }
        of_a_view.add(1, &[KeyValue::new("removed", "secret"), KeyValue::new("user", "secret")]);
    };
    record();
    let asked = redactor.0.load(Ordering::Relaxed);
    (0..9).for_each(|_| record());
    assert_eq!(redactor.0.load(Ordering::Relaxed), asked, "each list is redacted once");
    telemetry.force_flush(Deadline::NEVER).unwrap();
    let text = metrics_text(&exporters.metrics.items());
    assert_eq!(
        text, "all{user=plain} sum 10\nall{user=… …} sum 10\nall{user=…} sum 20\nsome{user=…} sum 10\n",
        "{text}"
    );
    assert_eq!(shown(exporters.metrics.items()[0].scope.attributes()), "of.scope=… ");
}

#[test]
fn bound_and_observed_series_and_exemplars_are_redacted() {
    let (telemetry, exporters) = telemetry(|builder| {
        builder.with_redaction(Hide::default()).with_view(View::of("filtered").without_attribute_keys(["user"]))
    });
    let meter = telemetry.meter("shop");
    let bound = meter.u64_counter("bound").build().bind(&[KeyValue::new("user", "secret")]);
    bound.add(2);
    let _gauge = meter
        .u64_observable_counter("observed")
        .with_callback(|observer| {
            observer.observe(3, &[KeyValue::new("user", "secret"), KeyValue::new("gone", 1)]);
            observer.observe(4, &[KeyValue::new("user", "secret"), KeyValue::new("gone", 2)]);
        })
        .build();
    meter.u64_counter("filtered").build().add(5, &[KeyValue::new("user", "secret"), KeyValue::new("gone", 1)]);
    telemetry.force_flush(Deadline::NEVER).unwrap();
    let items = exporters.metrics.items();
    let text = metrics_text(&items);
    assert!(!text.contains("secret"), "{text}");
    for line in ["bound{user=…} sum 2", "observed{user=…} sum 7", "filtered sum 5"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!format!("{items:?}").contains("secret"), "{items:?}");
    assert!(format!("{items:?}").contains('…'));
}

/// Discards every offer, and notes the attributes of those with the value 7.
#[derive(Clone, Debug, Default)]
struct Sevens(Arc<Mutex<String>>);

impl ExemplarReservoir for Sevens {
    fn offer(&mut self, offer: &Offer<'_>) {
        if offer.value() == Number::U64(7) {
            *self.0.lock().unwrap() = format!("{offer:?} {}{}", shown(offer.attributes()), shown(offer.attributes()));
        }
    }

    fn collect(&mut self, _: bool) -> Vec<Exemplar> {
        Vec::new()
    }
}

#[test]
fn an_offer_that_no_reservoir_looks_at_asks_no_redactor() {
    let (redactor, reservoir) = (Hide::default(), Sevens::default());
    let made = reservoir.clone();
    let (telemetry, _exporters) = telemetry(|builder| {
        let view = View::of("orders").with_exemplar_reservoir(move || made.clone());
        builder.with_redaction(redactor.clone()).with_view(view)
    });
    let counter = telemetry.meter("shop").u64_counter("orders").build();
    let list = [KeyValue::new("user", "secret")];
    counter.add(1, &list);
    let asked = || redactor.0.load(Ordering::Relaxed);
    let before = asked();
    (0..9).for_each(|_| counter.add(1, &list));
    assert_eq!(asked(), before);
    counter.add(7, &list);
    assert_eq!(asked(), before + 1, "an offer is redacted once");
    let seen = reservoir.0.lock().unwrap();
    assert!(seen.ends_with("user=… user=… ") && !seen.contains("secret"), "{seen}");
}

#[test]
fn lists_without_end_share_their_series_and_the_memory_of_a_thread_is_bounded() {
    let (telemetry, exporters) = hidden(&Hide::default());
    let counter = telemetry.meter("shop").u64_counter("orders").build();
    for number in 0..10_000 {
        counter.add(1, &[KeyValue::new("gone", number)]);
    }
    telemetry.force_flush(Deadline::NEVER).unwrap();
    let text = metrics_text(&exporters.metrics.items());
    assert!(text.starts_with("orders sum 10000"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_running_span_shows_its_name_as_exporters_may_see_it() {
    let (telemetry, _) = hidden(&Hide::default());
    let span = telemetry.tracer("shop").start("GET /secret");
    assert_eq!(span.exported_name().as_deref(), Some("GET /…"));
    assert!(span.span_context().is_valid());
    let _ = Context::new().with_span(span);
}
