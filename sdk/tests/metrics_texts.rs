//! Names, descriptions, units and scopes of meters and instruments arrive at the exporter unchanged.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_sdk::diag;
use telemark_sdk::metrics::{
    Metric, PeriodicConfig, PeriodicReader, ReaderConfig, ScopeMetrics, SdkMeterProvider, View,
};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Metrics;
use telemark_sdk::testing::InMemoryExporter;
use telemark_sdk::time::Deadline;

/// Returns the metrics that an exporter receives after `record` has run.
fn exported(views: impl IntoIterator<Item = View>, record: impl FnOnce(&SdkMeterProvider)) -> Vec<ScopeMetrics> {
    let (exporter, runtime) = (InMemoryExporter::<Metrics>::new(), Runtime::Manual(ManualRuntime::new()));
    let reader =
        PeriodicReader::start(exporter.clone(), PeriodicConfig::default(), ReaderConfig::new(), &runtime).unwrap();
    let builder = SdkMeterProvider::builder().with_reader(reader);
    let provider = views.into_iter().fold(builder, |builder, view| builder.with_view(view)).build();
    record(&provider);
    provider.force_flush(Deadline::NEVER).unwrap();
    exporter.items()
}

/// Checks the exported scopes, one line per scope.
fn check_scopes(record: impl FnOnce(&SdkMeterProvider), expected: &[&str]) {
    let lines: Vec<_> = exported([], record)
        .iter()
        .map(|ScopeMetrics { scope, metrics, .. }| {
            let attributes: Vec<_> = scope.attributes().map(|one| format!("{}={}", one.key, one.value)).collect();
            let names: Vec<_> = metrics.iter().map(|metric| &*metric.name).collect();
            let (version, schema) = (scope.version().unwrap_or("-"), scope.schema_url().unwrap_or("-"));
            format!("{:?} {version} {schema} {{{}}}: {}", scope.name(), attributes.join(","), names.join(" "))
        })
        .collect();
    assert_eq!(lines, expected);
}

fn count(meter: &Meter, name: &'static str) {
    meter.u64_counter(name).build().add(1, &[]);
}

#[test]
fn a_meter_keeps_its_whole_scope() {
    let scope = |region: &'static str| {
        InstrumentationScope::builder("shop")
            .with_version("1.2")
            .with_schema_url("https://opentelemetry.io/schemas/1.45.0")
            .with_attributes([KeyValue::new("region", region), KeyValue::new("cell", 7)])
            .build()
    };
    check_scopes(
        |provider| {
            count(&provider.meter_with_scope(scope("north")), "a");
            count(&provider.meter_with_scope(scope("south")), "a");
            // Meters with equal scopes share one scope.
            count(&provider.meter_with_scope(scope("north")), "b");
            count(&provider.meter("shop"), "a");
        },
        &[
            r#""shop" 1.2 https://opentelemetry.io/schemas/1.45.0 {region=north,cell=7}: a b"#,
            r#""shop" 1.2 https://opentelemetry.io/schemas/1.45.0 {region=south,cell=7}: a"#,
            r#""shop" - - {}: a"#,
        ],
    );
}

/// This is the only test in this file that checks messages, because the sink is global to the process.
#[test]
fn a_meter_without_a_name_works_and_is_warned_of() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = said.clone();
    assert!(diag::set_sink(move |level, text| sink.lock().unwrap().push(format!("{level}: {text}"))));
    check_scopes(|provider| count(&provider.meter("shop"), "c"), &[r#""shop" - - {}: c"#]);
    let warning = "warning: a meter was requested without a name";
    let warnings = || said.lock().unwrap().iter().filter(|text| *text == warning).count();
    assert_eq!(warnings(), 0);
    check_scopes(|provider| count(&provider.meter(""), "c"), &[r#""" - - {}: c"#]);
    assert_eq!(warnings(), 1);
}

/// Checks that an instrument's name, description and unit arrive unchanged.
fn check_texts(name: &str, description: &str, unit: &str) {
    let given = [name, description, unit].map(str::to_owned);
    let [name, description, unit] = given.clone();
    let items = exported([], |provider| {
        let meter = provider.meter("test");
        meter.u64_counter(name).with_description(description).with_unit(unit).build().add(1, &[]);
    });
    let Metric { name, description, unit, .. } = &items[0].metrics[0];
    assert_eq!([name, description, unit].map(|text| text.to_string()), given);
}

#[test]
fn long_texts_and_texts_in_any_language_arrive_whole() {
    // spec: metrics/api.md#instrument-description — at least 1023 characters, and the Basic Multilingual Plane.
    for description in
        ["x".repeat(1023), "€".repeat(1023), "x".repeat(20_000), "🦀 Bestellungen: größer als null".into()]
    {
        check_texts("c", &description, "");
    }
    // spec: metrics/api.md#instrument-name-syntax — up to 255 characters.
    for length in [1, 63, 64, 254, 255] {
        check_texts(&"n".repeat(length), "", "");
    }
    check_texts("a.B-c/d_9", "", "{order}/s");
    // spec: metrics/api.md#instrument-unit — up to 63 characters.
    check_texts("c", "", &"u".repeat(63));
    // An invalid unit causes a warning, but the metric still arrives.
    check_texts("c", "", "µs");
}

#[test]
fn a_view_may_describe_in_any_language() {
    let description = "Größe ✓ ".repeat(200);
    let view = View::of("c").with_name("d".repeat(255)).with_description(description.clone());
    let items = exported([view], |provider| count(&provider.meter("test"), "c"));
    let metric = &items[0].metrics[0];
    assert_eq!((&*metric.name, &*metric.description), (&*"d".repeat(255), &*description));
}
