//! No secret leaves the program by any exporter, wherever it is and whichever API recorded it.
#![allow(clippy::unwrap_used, reason = "test helpers")]
#![allow(clippy::disallowed_methods, reason = "a receiver that is not part of what is tested")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry::logs::{AnyValue, LogRecord, Logger};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{
    Link, Span, SpanBuilder, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, Value};
use proptest::prelude::*;
use telemark::config::Env;
use telemark::console::{ConsoleLogExporter, ConsoleMetricExporter, ConsoleTraceExporter};
use telemark::export::{Logs, Metrics, Traces};
use telemark::metrics::{ExemplarFilter, View};
use telemark::otlp::{Encode, JsonLinesExporter, OtlpExporter, Protocol};
use telemark::prometheus::PrometheusExporter;
use telemark::redaction::{Action, HashKey, Preset, Redaction, Rule};
use telemark::time::Deadline;
use telemark::{Guard, traced};
use telemark_tests::http_get;
use tracing_subscriber::layer::SubscriberExt;

/// What an exporter has written.
#[derive(Clone, Debug, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Accepts every request, and keeps the bytes of its body.
fn receiver() -> (SocketAddr, Written) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let written = Written::default();
    let kept = written.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut kept = kept.clone();
            std::thread::spawn(move || serve(stream.unwrap(), &mut kept));
        }
    });
    (address, written)
}

fn serve(stream: TcpStream, kept: &mut Written) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.to_ascii_lowercase().strip_prefix("content-length:") {
                Some(value) => length = value.trim().parse().unwrap(),
                None if line == "\r\n" => break,
                None => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        kept.write_all(&body).unwrap();
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

/// A program with every exporter, behind all presets and two rules.
struct Program {
    telemetry: Guard,
    prometheus: PrometheusExporter,
    written: [(&'static str, Written); 3],
}

fn otlp<S: Encode>(address: SocketAddr) -> OtlpExporter<S> {
    let builder = OtlpExporter::<S>::builder().with_protocol(Protocol::HttpProtobuf);
    builder.with_endpoint(format!("http://{address}/v1")).build().unwrap()
}

impl Program {
    fn start() -> Self {
        let (address, protobuf) = receiver();
        let (json, console) = (Written::default(), Written::default());
        let prometheus = PrometheusExporter::new();
        let env = Env::from_pairs([
            ("OTEL_TRACES_EXPORTER", "viewer"),
            ("OTEL_METRICS_EXPORTER", "viewer"),
            ("OTEL_LOGS_EXPORTER", "viewer"),
            ("OTEL_RUST_VIEWER_ADDRESS", "127.0.0.1:0"),
        ]);
        let redaction = Redaction::new()
            .with_rule(Rule::for_keys(["plain.key"]).with_action(Action::Delete))
            .with_rule(Rule::for_keys(["user.id"]).with_action(Action::Hash(HashKey::new("0123456789abcdef").unwrap())))
            .with_presets(Preset::ALL);
        let telemetry = telemark::builder()
            .with_env(env)
            .with_redaction(redaction)
            .with_resource([KeyValue::new("of.resource", "ann@example.com")])
            .with_additional_span_exporter(otlp::<Traces>(address))
            .with_additional_log_exporter(otlp::<Logs>(address))
            .with_additional_metric_exporter(otlp::<Metrics>(address))
            .with_additional_span_exporter(JsonLinesExporter::<Traces>::to_writer(json.clone()))
            .with_additional_log_exporter(JsonLinesExporter::<Logs>::to_writer(json.clone()))
            .with_additional_metric_exporter(JsonLinesExporter::<Metrics>::to_writer(json.clone()))
            .with_additional_span_exporter(ConsoleTraceExporter::to_writer(console.clone()).with_all_attributes())
            .with_additional_log_exporter(ConsoleLogExporter::to_writer(console.clone()))
            .with_additional_metric_exporter(ConsoleMetricExporter::to_writer(console.clone()))
            .with_additional_metric_reader(prometheus.reader())
            .with_view(View::of("filtered").without_attribute_keys(["removed"]))
            .with_exemplar_filter(ExemplarFilter::AlwaysOn)
            .init()
            .unwrap();
        let written = [("protobuf", protobuf), ("json", json), ("console", console)];
        Program { telemetry, prometheus, written }
    }

    /// Exports everything. Returns what each exporter has written since the last call, as text.
    fn outputs(&self, trace: TraceId, span: SpanId) -> Vec<(&'static str, String)> {
        self.telemetry.force_flush(Deadline::NEVER).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let mut outputs: Vec<_> = self.written.iter().map(|(name, written)| (*name, text(written.take()))).collect();
        let page = self.prometheus.response_for("application/openmetrics-text", "");
        outputs.push(("prometheus", text(page.body)));
        let link = telemark::viewer().unwrap();
        let viewer = link.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let get = |path: &str| http_get(viewer, path, "").unwrap().1;
        let viewed =
            ["/records.json".to_owned(), format!("/trace/{trace}.json"), format!("/trace/{trace}/span/{span}.json")];
        outputs.push(("viewer", viewed.iter().map(|path| get(path)).collect()));
        outputs
    }
}

#[traced(fields(secret = text))]
fn traced_call(text: &str) -> Result<(), std::io::Error> {
    Err(std::io::Error::other(text.to_owned()))
}

/// Records a text in every place, each with a mark that shows whether the place is exported. Returns the marks, and the ids of the span.
fn plant(program: &Program, text: &str, number: Option<i64>) -> (Vec<&'static str>, TraceId, SpanId) {
    let mut marks = Vec::new();
    let mut marked = |mark: &'static str| {
        marks.push(mark);
        format!("{mark} {text}")
    };
    let telemetry = &program.telemetry;
    let scope = InstrumentationScope::builder("shop").with_attributes([KeyValue::new("a", marked("m1s"))]).build();
    let tracer = telemetry.tracer_provider().tracer_with_scope(scope.clone());
    let linked = SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
    let list = Value::Array(Array::String(vec![marked("m2s").into(), marked("m3s").into()]));
    let number = number.map_or_else(|| Value::from("none"), Value::I64);
    let attributes =
        vec![KeyValue::new("a", marked("m4s")), KeyValue::new("list", list), KeyValue::new("n", number.clone())];
    let link = Link::new(linked, vec![KeyValue::new("a", marked("m5s"))], 0);
    let builder = SpanBuilder::from_name(marked("m6s")).with_attributes(attributes).with_links(vec![link]);
    let mut span = tracer.build_with_context(builder, &Context::new());
    span.add_event(marked("m7s"), vec![KeyValue::new("a", marked("m8s"))]);
    span.record_error(&std::io::Error::other(marked("m9s")));
    span.set_status(Status::error(marked("m10s")));
    span.set_attribute(KeyValue::new("plain.key", text.to_owned()));
    span.set_attribute(KeyValue::new("user.id", text.to_owned()));
    let (trace, id) = (span.span_context().trace_id(), span.span_context().span_id());
    span.end();

    assert!(traced_call(&marked("m11s")).is_err());
    let subscriber = tracing_subscriber::registry().with(telemark::tracing::layer());
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("span", a = marked("m12s"));
        span.in_scope(|| tracing::info!(a = marked("m13s"), "{}", marked("m14s")));
    });

    let logger = telemetry.logger_provider().logger_in(scope.clone().into());
    let inner = HashMap::from([("b".into(), AnyValue::from_iter([marked("m15s")]))]);
    let body = HashMap::from([("a".into(), marked("m16s").into()), ("map".into(), AnyValue::Map(Box::new(inner)))]);
    let mut record = logger.create_log_record();
    record.set_body(AnyValue::Map(Box::new(body)));
    record.add_attribute("a", marked("m17s"));
    logger.emit(record);
    let mut record = logger.create_log_record();
    record.set_body(marked("m18s").into());
    record.add_attribute("bytes", AnyValue::Bytes(Box::new(text.as_bytes().to_vec())));
    logger.emit(record);

    let meter = telemetry.meter_provider().meter_with_scope(scope);
    meter.u64_counter("counted").build().add(1, &[KeyValue::new("a", marked("m19s")), KeyValue::new("n", number)]);
    let removed = KeyValue::new("removed", marked("m20s"));
    meter.u64_counter("filtered").build().add(1, &[removed]);
    let observed = [KeyValue::new("a", marked("m21s"))];
    let _ =
        meter.f64_observable_gauge("observed").with_callback(move |observer| observer.observe(1.0, &observed)).build();
    (marks, trace, id)
}

fn digits(length: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(0u8..10, length)
        .prop_map(|digits| digits.iter().map(|digit| char::from(b'0' + digit)).collect())
}

/// Returns a number with Luhn's check digit at its end.
fn with_check_digit(mut number: String) -> String {
    let from_the_right = number.bytes().rev().enumerate();
    let sum: u32 = from_the_right
        .map(|(place, digit)| match (place % 2, u32::from(digit - b'0')) {
            (0, digit) if digit > 4 => 2 * digit - 9,
            (0, digit) => 2 * digit,
            (_, digit) => digit,
        })
        .sum();
    number.push_str(&((10 - sum % 10) % 10).to_string());
    number
}

/// Returns a text with a secret in it, the secret, and the secret as a number if it is one.
fn secrets() -> impl Strategy<Value = (String, String, Option<i64>)> {
    let email = "[a-z][a-z0-9._+-]{0,12}[a-z0-9]@[a-z]{2,8}\\.(com|example|co\\.uk)";
    let email = email.prop_map(|email: String| (email.clone(), email, None));
    let card = (prop::sample::select(vec!["4", "51", "2221", "6011", "3528"]), digits(15), 0usize..3).prop_map(
        |(prefix, rest, form)| {
            let number = with_check_digit(format!("{prefix}{}", &rest[..15 - prefix.len()]));
            let grouped = |separator: &str| -> String {
                let groups: Vec<_> = (0..4).map(|at| &number[4 * at..4 * at + 4]).collect();
                groups.join(separator)
            };
            let text = match form {
                0 => number.clone(),
                1 => grouped(" "),
                _ => grouped("-"),
            };
            (text.clone(), text, number.parse().ok())
        },
    );
    let ssn = (1u16..900, 1u8..100, 1u16..10_000).prop_filter_map("an area that is issued", |(area, group, serial)| {
        let text = format!("{area:03}-{group:02}-{serial:04}");
        (area != 666).then(|| (text.clone(), text, None))
    });
    let bearer = "[A-Za-z0-9._~+/-]{16,40}".prop_map(|token: String| (format!("Bearer {token}"), token, None));
    let password = ("[A-Za-z0-9!$*+,./@~-]{8,20}", 0usize..4).prop_map(|(password, form): (String, usize)| {
        let forms = ["password={}", "/login?user=x&access_token={}", "\"client_secret\": \"{}\"", "PGPASSWORD={}"];
        (forms[form].replace("{}", &password), password, None)
    });
    let url = "[A-Za-z0-9!$*+,.~-]{8,20}"
        .prop_map(|password: String| (format!("postgres://ann:{password}@db.internal/shop"), password, None));
    let v4 = (1u8..224, 0u8..=255, 0u8..=255, 0u8..=255).prop_filter_map("not this host", |(a, b, c, d)| {
        let text = format!("{a}.{b}.{c}.{d}");
        (a != 127).then(|| (text.clone(), text, None))
    });
    let v6 = any::<[u16; 7]>().prop_map(|parts| {
        let text =
            std::net::Ipv6Addr::from([&[0x2001], &parts[..]].concat().try_into().map_or([0; 8], |all: [u16; 8]| all));
        (text.to_string(), text.to_string(), None)
    });
    prop_oneof![email, card, ssn, bearer, password, url, v4, v6]
}

#[test]
fn no_planted_secret_leaves_by_any_exporter() {
    let program = Program::start();
    let surroundings = ("(|[a-z ]{0,20} |\\[|\"|\\(|user: |a,)", "(| [a-z ]{0,20}|,|\\)|\"| 7)");
    let config =
        ProptestConfig { cases: 96, max_shrink_iters: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((secret_text, secret, number) in secrets(), (before, after) in surroundings)| {
        let (marks, trace, span) = plant(&program, &format!("{before}{secret_text}{after}"), number);
        let outputs = program.outputs(trace, span);
        for (name, text) in &outputs {
            prop_assert!(!text.contains(&secret), "{secret} is in the output of {name}: {}", around(text, &secret));
            if let Some(number) = number {
                prop_assert!(!text.contains(&number.to_string()), "{number} is in the output of {name}");
            }
            prop_assert!(!text.contains("ann@example.com"), "the resource of {name}");
            // Each place is seen by the exporters of everything, so that the absence of a secret means something.
            let is_seen = |mark: &&str| text.contains(&format!("{mark} "));
            let missing: Vec<_> = marks.iter().filter(|mark| !is_seen(mark)).collect();
            match *name {
                "protobuf" | "json" => prop_assert!(missing.is_empty(), "{name} lacks {missing:?}"),
                _ => prop_assert!(missing.len() < marks.len(), "{name} shows none"),
            }
        }
    });
    // Hashes stay, so that equal values can be told from different ones.
    let (_, trace, span) = plant(&program, "ann", None);
    let hash = "fb385915a0623c0be3e7b0a7134dbb62";
    let outputs = program.outputs(trace, span);
    assert!(outputs.iter().any(|(name, text)| *name == "json" && text.contains(hash)), "{outputs:?}");
}

fn around(text: &str, secret: &str) -> String {
    let at = text.find(secret).unwrap_or_default();
    text.bytes().skip(at.saturating_sub(60)).take(160).map(char::from).collect()
}

#[test]
fn a_variable_selects_presets_and_a_wrong_name_is_an_error_of_the_start() {
    let build = |value: &str| {
        let exporters =
            ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"].map(|name| (name, "none"));
        let env = Env::from_pairs(exporters.into_iter().chain([("OTEL_RUST_REDACTION", value)]));
        telemark::builder().with_env(env).with_resource([KeyValue::new("owner", "ann@example.com, 192.0.2.7")]).build()
    };
    let owner = |value: &str| build(value).unwrap().tracer_provider().resource().get("owner").unwrap().to_string();
    assert_eq!(owner(""), "ann@example.com, 192.0.2.7");
    assert_eq!(owner("Email"), "[email], 192.0.2.7");
    assert_eq!(owner("ip_address, email"), "[email], [ip_address]");
    let error = build("email,e-mail").unwrap_err().to_string();
    assert_eq!(
        error,
        "OTEL_RUST_REDACTION=\"e-mail\" cannot be used: expected one of password, bearer_token, email, payment_card, \
         social_security_number, ip_address"
    );
}

/// Builds from a file with this redaction, and returns attributes of the resource that shows it.
fn of_file(redaction: &str) -> Result<String, String> {
    let text = format!(
        "file_format: \"1.2\"\nresource:\n  attributes:\n    - {{name: service.name, value: shop}}\n    \
        - {{name: owner, value: \"ann@example.com 4111111111111111 ACME-123456 192.0.2.7\"}}\n    - {{name: peer, value: 192.0.2.7}}\n    \
        - {{name: user.id, value: ann}}\ndistribution:\n  telemark:\n    redaction:\n{redaction}"
    );
    let env = Env::from_pairs([("REDACTION_KEY", "0123456789abcdef")]);
    let tree = telemark::config::parse("file", &text, &env).map_err(|error| error.to_string())?;
    let telemetry = telemark::builder().with_env(env).with_config(tree).build().map_err(|error| error.to_string())?;
    let resource = telemetry.tracer_provider().resource();
    let shown =
        ["owner", "peer", "user.id"].map(|key| resource.get(key).map_or("none".to_owned(), ToString::to_string));
    Ok(shown.join(" | "))
}

#[test]
fn a_file_has_presets_rules_and_exemptions() {
    let file = "      presets: [email, ip_address, payment_card]\n      hash_key: ${REDACTION_KEY}\n      exempt_keys: [peer]\n      rules:\n        \
                - {keys: [user.*], action: hash}\n        - {values: ['\\bACME-\\d{6}\\b'], replacement: '[customer]'}\n        \
                - {preset: payment_card, action: mask, keep_last: 4}\n";
    assert_eq!(
        of_file(file).unwrap(),
        "[email] ************1111 [customer] [ip_address] | 192.0.2.7 | fb385915a0623c0be3e7b0a7134dbb62"
    );
    assert_eq!(
        of_file("      rules:\n        - {keys: [peer, user.id], action: delete}\n")
            .unwrap()
            .split_once(" | ")
            .unwrap()
            .1,
        "none | none"
    );
}

#[test]
fn mistakes_of_a_file_are_reported_at_their_places() {
    let file = "      presets: [e-mail]\n      hash_key: S3CRET\n      rules:\n        - {action: mask}\n        - {values: ['(a'], preset: email}\n        \
                - {values: ['(a']}\n        - {keys: [a], action: hash}\n        - {keys: [a], keep_last: 4}\n        - {keys: [a], action: mask, replacement: x}\n";
    let error = of_file(file).unwrap_err();
    for expected in [
        "distribution.telemark.redaction.presets[0]=\"e-mail\" cannot be used: expected one of email, payment_card",
        "hash_key: must have at least 16 characters",
        "rules[0]: selects nothing; it needs keys, values or a preset",
        "rules[1]: has a preset and values",
        "unclosed group",
        "keep_last: belongs to the action mask",
        "replacement: belongs to the action replace",
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(!error.contains("S3CRET"), "{error}");
}
