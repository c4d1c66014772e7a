//! The lines in each format, with every field type, colliding names, and span fields.
#![allow(clippy::unwrap_used, reason = "test helpers")]

mod common;

use std::error::Error;
use std::fmt;

use common::{Kept, layer};
use opentelemetry::KeyValue;
use telemark_sdk::Resource;
use telemark_tracing_fmt::{Format, LineLayer};
use tracing::field::Empty;
use tracing::subscriber::with_default;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

/// Returns the lines that `run` writes, without timestamps.
fn lines(format: Format, set: fn(LineLayer<Kept>) -> LineLayer<Kept>, run: impl FnOnce()) -> String {
    let kept = Kept::default();
    with_default(tracing_subscriber::registry().with(set(layer(format, &kept))), run);
    kept.lines()
}

fn check(format: Format, run: impl FnOnce(), expected: &str) {
    assert_eq!(lines(format, |layer| layer, run), format!("{expected}\n"));
}

fn with_resource(layer: LineLayer<Kept>) -> LineLayer<Kept> {
    layer.with_resource(&Resource::new([
        KeyValue::new("service.name", "shop"),
        KeyValue::new("deployment.environment.name", "dev"),
        KeyValue::new("host.name", "here"),
    ]))
}

#[derive(Debug)]
struct Failed(std::io::Error);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot pay")
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn every_type() {
    let error = Failed(std::io::Error::other("refused"));
    tracing::warn!(
        target: "shop",
        integer = -1,
        large = u64::MAX,
        huge = i128::MAX,
        float = 0.25,
        infinite = f64::INFINITY,
        flag = true,
        text = "a \"b\"",
        shown = %"c\nd",
        formatted = ?Some("e"),
        bytes = &b"f"[..],
        error = &error as &dyn Error,
        "order {} placed", 7
    );
}

#[test]
fn text_has_colours_on_request_and_other_formats_never() {
    let line = |format| {
        let kept = Kept::default();
        let lines = layer(format, &kept).with_color(true);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            tracing::warn!(target: "shop", n = 7, "few\x1b[31m left");
        });
        kept.lines()
    };
    assert_eq!(
        line(Format::Text),
        "\x1b[2m2026-11-29T17:45:00.123456Z\x1b[0m \x1b[33m WARN\x1b[0m \x1b[2mshop:\x1b[0m few\\u001b[31m left n=7\n"
    );
    for format in [Format::Json, Format::JsonFlat, Format::Ecs] {
        assert!(!line(format).contains('\x1b'));
    }
}

#[test]
fn json_has_the_names_of_the_data_model() {
    check(
        Format::Json,
        every_type,
        r#"{"timestamp":"2026-11-29T17:45:00.123456Z","severity":"WARN","scope":{"name":"shop"},"body":"order 7 placed","attributes":{"integer":-1,"large":"18446744073709551615","huge":"170141183460469231731687303715884105727","float":0.25,"infinite":"Infinity","flag":true,"text":"a \"b\"","shown":"c\nd","formatted":"Some(\"e\")","bytes":"Zg==","error":"cannot pay: refused"}}"#,
    );
    check(
        Format::Json,
        || tracing::info!(target: "a\"b", message = 7),
        r#"{"timestamp":"2026-11-29T17:45:00.123456Z","severity":"INFO","scope":{"name":"a\"b"},"body":"7","attributes":{}}"#,
    );
    check(
        Format::Json,
        || tracing::trace!(target: "shop", alone = 1),
        r#"{"timestamp":"2026-11-29T17:45:00.123456Z","severity":"TRACE","scope":{"name":"shop"},"body":"","attributes":{"alone":1}}"#,
    );
}

#[test]
fn flat_json_has_one_level() {
    check(
        Format::JsonFlat,
        || tracing::error!(target: "shop", { order.id = 7 }, "placed"),
        r#"{"timestamp":"2026-11-29T17:45:00.123456Z","severity":"ERROR","scope.name":"shop","body":"placed","order.id":7}"#,
    );
}

#[test]
fn ecs_has_the_names_of_the_schema() {
    check(
        Format::Ecs,
        || {
            let error = Failed(std::io::Error::other("refused"));
            tracing::info!(target: "shop", { order.id = 7, count = 2, error = &error as &dyn Error }, "placed");
        },
        r#"{"@timestamp":"2026-11-29T17:45:00.123456Z","log.level":"INFO","message":"placed","ecs.version":"8.11.0","log.logger":"shop","order.id":7,"labels.count":2,"error.message":"cannot pay: refused"}"#,
    );
}

#[test]
fn text_is_for_people() {
    check(
        Format::Text,
        every_type,
        "2026-11-29T17:45:00.123456Z  WARN shop: order 7 placed integer=-1 large=18446744073709551615 \
         huge=170141183460469231731687303715884105727 float=0.25 infinite=Infinity flag=true text=\"a \\\"b\\\"\" \
         shown=c\\nd formatted=Some(\"e\") bytes=Zg== error=cannot pay: refused",
    );
    check(Format::Text, || tracing::debug!(target: "shop", n = 1), "2026-11-29T17:45:00.123456Z DEBUG shop: n=1");
}

#[test]
fn the_resource_is_where_each_format_expects_it() {
    let line =
        |format| lines(format, with_resource, || tracing::info!(target: "shop", { service.name = "mine" }, "placed"));
    let start = "{\"timestamp\":\"2026-11-29T17:45:00.123456Z\",\"severity\":\"INFO\",";
    assert_eq!(
        line(Format::Json),
        format!(
            "{start}{}\n",
            r#""resource":{"service.name":"shop","deployment.environment.name":"dev"},"scope":{"name":"shop"},"body":"placed","attributes":{"service.name":"mine"}}"#
        )
    );
    assert_eq!(
        line(Format::JsonFlat),
        format!(
            "{start}{}\n",
            r#""service.name":"shop","deployment.environment.name":"dev","scope.name":"shop","body":"placed","attributes.service.name":"mine"}"#
        )
    );
    assert_eq!(
        line(Format::Ecs),
        r#"{"@timestamp":"2026-11-29T17:45:00.123456Z","log.level":"INFO","message":"placed","ecs.version":"8.11.0","service.name":"shop","service.environment":"dev","log.logger":"shop","labels.service_name":"mine"}
"#
    );
}

#[test]
fn names_that_collide_are_written_under_another_name() {
    let run = || {
        tracing::info!(
            target: "shop",
            timestamp = 1, severity = 2, body = 3, trace_id = 4, attributes.body = 5, trace.id = 6, telemark.truncated = 7,
            "placed"
        );
    };
    let members = |format| lines(format, |layer| layer, run).split_once("\"placed\",").unwrap().1.to_owned();
    assert_eq!(
        members(Format::JsonFlat),
        r#""attributes.timestamp":1,"attributes.severity":2,"attributes.body":3,"attributes.trace_id":4,"attributes.attributes.body":5,"trace.id":6,"attributes.telemark.truncated":7}
"#
    );
    assert_eq!(
        members(Format::Ecs),
        r#""ecs.version":"8.11.0","log.logger":"shop","labels.timestamp":1,"labels.severity":2,"labels.body":3,"labels.trace_id":4,"attributes.body":5,"labels.telemark_truncated":7}
"#,
        "the first of two fields with the same name stays"
    );
}

#[test]
fn fields_of_the_enclosing_spans_are_added_on_request() {
    let run = || {
        let outer = tracing::info_span!("outer", user = "ada", order = 1, late = Empty, r#type = "web");
        let _outer = outer.enter();
        let inner = tracing::info_span!("inner", order = 2, item = ?Some(3));
        let _inner = inner.enter();
        outer.record("late", 0.5);
        inner.record("order", 4);
        tracing::info!(target: "shop", item = 9, "placed");
    };
    let attributes = |set| lines(Format::Json, set, run).split_once("\"attributes\":").unwrap().1.to_owned();
    assert_eq!(attributes(|layer| layer), "{\"item\":9}}\n");
    let expected = "{\"item\":9,\"order\":4,\"user\":\"ada\",\"type\":\"web\",\"late\":0.5}}\n";
    assert_eq!(attributes(LineLayer::with_span_fields), expected);
}

#[test]
fn two_layers_of_one_subscriber_share_the_fields_of_spans() {
    let (json, text) = (Kept::default(), Kept::default());
    let subscriber = tracing_subscriber::registry()
        .with(layer(Format::JsonFlat, &json).with_span_fields())
        .with(layer(Format::Text, &text).with_span_fields().boxed());
    with_default(subscriber, || {
        let span = tracing::info_span!("outer", user = "ada", late = Empty).entered();
        span.record("late", true);
        tracing::info!("placed");
    });
    assert!(json.lines().ends_with("\"user\":\"ada\",\"late\":true}\n"));
    assert!(text.lines().ends_with("placed user=ada late=true\n"));
}

#[test]
fn the_code_location_is_added_on_request() {
    let location = |format| lines(format, LineLayer::with_code_location, || tracing::info!("placed"));
    let (json, ecs) = (location(Format::JsonFlat), location(Format::Ecs));
    assert!(json.contains(r#""code.file.path":"bridges/tracing-fmt/tests/formats.rs","code.line.number":"#), "{json}");
    assert!(ecs.contains(r#""log.origin.file.name":"bridges/tracing-fmt/tests/formats.rs","log.origin.file.line":"#));
}

#[test]
fn a_record_of_the_log_crate_has_its_own_target() {
    let run = || tracing::info!(target: "log", { log.target = "hyper", log.line = 7 }, "connected");
    assert_eq!(lines(Format::Text, |layer| layer, run), "2026-11-29T17:45:00.123456Z  INFO hyper: connected\n");
}

#[test]
fn a_long_line_is_cut_says_so_and_keeps_the_ids() {
    let telemetry = telemark_sdk::testing::TestTelemetry::new();
    let _guard = telemetry.attach();
    for format in [Format::Json, Format::JsonFlat, Format::Ecs, Format::Text] {
        let line = lines(
            format,
            |layer| with_resource(layer.with_max_line_size(0)),
            || {
                telemark_sdk::instrument::spans::span("order").in_scope(|| {
                    tracing::info!(target: "shop", n = 1, "{}", "\n".repeat(5000));
                });
            },
        );
        assert!((1900..=2048).contains(&line.len()), "{format:?}: {}", line.len());
        assert!(line.contains("span_id") || line.contains("span.id"), "{line}");
        if format == Format::Text {
            assert!(line.ends_with(" (truncated)\n"), "{line}");
            continue;
        }
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["telemark.truncated"], true);
        assert!(line.contains("service.name"), "{line}");
    }
}

#[test]
fn endless_values_end() {
    struct Endless;
    impl fmt::Debug for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("more ")?;
            }
        }
    }
    let line = lines(Format::Json, LineLayer::with_span_fields, || {
        let _span = tracing::info_span!("endless", of_span = ?Endless).entered();
        tracing::info!(endless = ?Endless, "placed");
    });
    assert!(line.len() <= 16 * 1024 && line.ends_with("\"},\"telemark.truncated\":true}\n"), "{}", line.len());
}

#[test]
fn fields_that_steer_the_span_are_not_in_lines() {
    let line = lines(Format::Json, LineLayer::with_span_fields, || {
        let _span = tracing::info_span!("pay", otel.kind = "client", otel.name = "PAY", amount = 7).entered();
        tracing::info!("placed");
    });
    assert!(line.contains(r#""attributes":{"amount":7}"#), "{line}");
}

#[test]
fn an_error_without_a_message_is_the_body() {
    let error = Failed(std::io::Error::other("refused"));
    let body = |format| lines(format, |layer| layer, || tracing::error!(target: "shop", error = &error as &dyn Error));
    assert!(body(Format::Json).contains(r#""body":"cannot pay: refused""#), "{}", body(Format::Json));
    assert!(body(Format::Ecs).contains(r#""message":"cannot pay: refused""#), "{}", body(Format::Ecs));
}
