//! `OTEL_CONFIG_FILE` in a whole program: what it builds, what it says about mistakes, and who follows it.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use telemark::Builder;
use telemark::config::{Env, Item, Origin, Printed, VARIABLES};
use telemark_sdk::config::schema::{self, Kind, Type};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("telemark-{}-{name}.yaml", std::process::id()));
        fs::write(&path, text).unwrap();
        File(path)
    }

    fn builder(&self, others: &[(&str, &str)]) -> Builder {
        let file = ("OTEL_CONFIG_FILE", self.0.to_str().unwrap());
        telemark::builder().with_env(Env::from_pairs([file].into_iter().chain(others.iter().copied())))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn every_component_of_the_facade_is_built_from_a_file() {
    let out = std::env::temp_dir().join(format!("telemark-{}.jsonl", std::process::id()));
    let exporters = format!(
        "    - batch: {{exporter: {{otlp_http: {{endpoint: \"http://127.0.0.1:1/v1/traces\"}}}}}}\n    - batch: {{exporter: {{otlp_grpc: }}}}\n    \
         - simple: {{exporter: {{otlp_file/development: {{output_stream: \"file://{}\"}}}}}}\n    - simple: {{exporter: {{console: }}}}\n    \
         - batch: {{exporter: {{viewer: }}}}\n",
        out.display()
    );
    let text = format!(
        "file_format: \"1.2\"\ntracer_provider:\n  processors:\n{exporters}logger_provider:\n  processors:\n{exporters}meter_provider:\n  readers:\n    \
         - periodic: {{exporter: {{otlp_http: {{temporality_preference: delta}}}}}}\n    - periodic: {{exporter: {{otlp_grpc: }}}}\n    \
         - periodic: {{exporter: {{console: {{default_histogram_aggregation: base2_exponential_bucket_histogram}}}}}}\n    \
         - periodic: {{exporter: {{otlp_file/development: }}}}\n    - periodic: {{exporter: {{viewer: }}}}\n    \
         - pull: {{exporter: {{prometheus/development: {{port: 0, host: 127.0.0.1, resource_constant_labels: {{included: [\"service.*\"]}}}}}}}}\n\
         distribution: {{telemark: {{viewer: {{address: \"127.0.0.1:0\"}}}}}}\n"
    );
    let file = File::new("components", &text);
    let telemetry = file.builder(&[]).with_flush_timeout(Duration::from_millis(100)).build().unwrap();
    let health = telemetry.health();
    assert_eq!((health.traces.len(), health.logs.len(), health.metrics.len()), (5, 5, 5));
    drop(telemetry);
    fs::remove_file(out).unwrap();
}

#[test]
fn all_mistakes_are_one_error_of_the_start() {
    let text = "file_format: \"1.2\"\ntracer_provider:\n  processors:\n    - batch:\n        schedule_delay: soon\n        exporter:\n          otlp_http:\n            \
                endpoint: collector:4318\n            compresion: gzip\n    - simple:\n        exporter:\n          zipkin:\nmeter_provider:\n  readers:\n    \
                - pull:\n        exporter:\n          prometheus/development:\n            port: 99999\n";
    let file = File::new("mistakes", text);
    let error = file.builder(&[]).build().unwrap_err().to_string();
    let path = file.0.display();
    assert_eq!(
        error,
        format!(
            "configuration: {path} cannot be used, 5 problems
  line 5, column 25: tracer_provider.processors[0].batch.schedule_delay=\"soon\" cannot be used: expected milliseconds, a whole number of at least 0
  line 8, column 23: tracer_provider.processors[0].batch.exporter.otlp_http.endpoint=\"collector:4318\" cannot be used: expected a URL such as \
             http://localhost:4318 or https://host/path
  line 9, column 25: tracer_provider.processors[0].batch.exporter.otlp_http.compresion is no property of OtlpHttpExporter, is compression meant?
  line 12, column 11: tracer_provider.processors[1].simple.exporter.zipkin is no known SpanExporter: expected one of otlp_http, otlp_grpc, \
             otlp_file/development, console and viewer
  line 18, column 19: meter_provider.readers[0].pull.exporter.prometheus/development.port=\"99999\" cannot be used: expected a whole number \
             from 0 to 65535"
        )
    );
}

#[test]
fn the_example_is_a_valid_file_and_so_is_the_effective_configuration() {
    let path = root().join("examples/telemark.yaml");
    let variables =
        [("OTEL_CONFIG_FILE", path.to_str().unwrap()), ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer s3cret")];
    let telemetry = telemark::builder().with_env(Env::from_pairs(variables)).build().unwrap();
    let config = telemetry.config();
    let printed = Printed::new(&config).to_string();
    for line in [
        "value: shop # line 12, OTEL_SERVICE_NAME\n",
        "schedule_delay: 1000 # line 30\n",
        "export_timeout: 30000 # default\n",
        "headers_list: \"${OTEL_EXPORTER_OTLP_HEADERS}\" # line 34, OTEL_EXPORTER_OTLP_HEADERS\n",
    ] {
        assert!(printed.contains(line), "{line}{printed}");
    }
    assert!(!printed.contains("s3cret"), "{printed}");
    let again = telemark::config::parse("again", &printed, &Env::from_pairs(variables)).unwrap();
    let telemetry = telemark::builder().with_env(Env::from_pairs([("", "")])).with_config(again).build().unwrap();
    assert_eq!(
        Printed::new(&telemetry.config()).without_origins().to_string(),
        Printed::new(&config).without_origins().to_string()
    );
}

/// Starts each preset, with a free port for the viewer.
#[test]
fn presets_are_valid_and_have_the_effect_that_they_state() {
    for (name, has_tail, has_limits) in
        [("development", false, false), ("staging", false, true), ("production", true, true)]
    {
        let text = fs::read_to_string(root().join(format!("examples/presets/{name}.yaml"))).unwrap();
        let text = text.replace("      max_memory", "      address: 127.0.0.1:0\n      max_memory");
        let file = File::new(name, &text);
        let warnings = file.builder(&[]).check().unwrap();
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
        let telemetry = file.builder(&[]).with_flush_timeout(Duration::from_millis(100)).build().unwrap();
        let health = telemetry.health();
        assert_eq!((health.tail.is_some(), health.limits.is_some()), (has_tail, has_limits), "{name}");
        let stage = telemetry.tracer_provider().resource().get("deployment.environment.name").map(ToString::to_string);
        assert_eq!(stage.as_deref(), Some(name));
    }
}

/// Runs a service with each preset for services, and reads what a collector receives.
#[test]
fn presets_of_services_hide_secrets_and_keep_errors() {
    use opentelemetry::KeyValue;
    use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
    use opentelemetry::trace::{Span, Status, Tracer};
    use telemark_tests::{Script, Sink};

    for (preset, plain) in [("staging", 20), ("production", 0)] {
        let sink = Sink::start(Script::Take).unwrap();
        let text = fs::read_to_string(root().join(format!("examples/presets/{preset}.yaml"))).unwrap();
        // The sink does not decompress.
        let file = File::new(&format!("run-{preset}"), &text.replace("compression: gzip", "compression: none"));
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*sink.endpoint());
        let telemetry =
            file.builder(&[endpoint, ("KEPT_RATIO", "1e-9"), ("TRACES_PER_SECOND", "20.5")]).build().unwrap();
        let tracer = telemetry.tracer("shop");
        let ended = |name: &'static str, status: Status| {
            let mut span = tracer.start(name);
            span.set_attribute(KeyValue::new("url.full", "https://ann:s3cret@shop.example/?to=ann@example.com"));
            span.set_attribute(KeyValue::new("note", "Bearer dG9rZW4tMQ paid with 4111 1111 1111 1111"));
            span.set_status(status);
            span.end();
        };
        (0..20).for_each(|_| ended("GET /orders", Status::Unset));
        ended("POST /orders", Status::error("no stock"));
        let logger = telemetry.logger("shop");
        for severity in [Severity::Info, Severity::Error] {
            let mut record = logger.create_log_record();
            record.set_severity_number(severity);
            record.set_body(AnyValue::from("login of ann@example.com with password=s3cret failed"));
            logger.emit(record);
        }
        telemetry.flush(Duration::from_secs(30)).unwrap();
        let spans = sink.received().spans;
        let count = |name: &str| spans.iter().filter(|span| span.name == name).count();
        // Production keeps only the error; the slowest hundredth is empty before durations are known.
        assert_eq!((count("POST /orders"), count("GET /orders")), (1, plain), "{preset}");
        let received = format!("{spans:?}{:?}", sink.log_records());
        for secret in ["s3cret", "ann@example.com", "dG9rZW4tMQ", "4111 1111"] {
            assert!(!received.contains(secret), "{preset} {secret}: {received}");
        }
        for expected in ["ann:REDACTED@shop.example/?to=[email]", "Bearer [bearer_token] paid with [payment_card]"] {
            assert!(received.contains(expected), "{preset} {expected}: {received}");
        }
        let hidden = telemetry.health().redaction;
        assert_eq!(hidden.len(), 4, "{hidden:?}");
        assert!(hidden.iter().all(|(_, count)| *count >= 21), "{preset}: {hidden:?}");
    }
}

/// A program of its own, because a program has one telemetry.
#[test]
fn integrations_follow_the_installed_file_and_its_effect_is_printed() {
    const CHILD: &str = "TELEMARK_CONFIG_FILE_CHILD";
    let name = "integrations_follow_the_installed_file_and_its_effect_is_printed";
    if std::env::vars().any(|(name, _)| name == CHILD) {
        let _telemetry = telemark::init().unwrap();
        let env = Env::process();
        let excluded = env.string("OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS");
        println!("excluded {excluded:?} ignored {:?}", env.string("OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE"));
        // Another telemetry reads its own file.
        assert!(telemark::builder().env().string("OTEL_CONFIG_FILE").is_some());
        return;
    }
    let file = File::new(
        "installed",
        "file_format: \"1.2\"\ninstrumentation/development: {rust: {http: {server: {excluded_urls: [/health, \"/static/*\"]}}}}\n",
    );
    let mut program = Command::new(std::env::current_exe().unwrap());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        program.env_remove(name);
    }
    let output = program
        .args(["--exact", name, "--nocapture"])
        .envs([(CHILD, "1"), ("OTEL_RUST_CONFIG_PRINT", "true"), ("OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE", "true")])
        .env("OTEL_CONFIG_FILE", &file.0)
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("excluded Some(\"/health,/static/*\") ignored None"), "{stdout}{stderr}");
    let ignored = "OTEL_CONFIG_FILE names a file that does not refer to these variables, so they have no effect: OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE";
    assert_eq!(stderr.matches(ignored).count(), 1, "{stderr}");
    assert!(
        stderr.contains("\nfile_format: \"1.2\" # line 1\n")
            && stderr.contains("excluded_urls: [\"/health\", \"/static/*\"] # line 2\n"),
        "{stderr}"
    );
}

/// Values of which at least one is valid for each variable.
const VALUES: &[&str] = &[
    "email",
    "true",
    "1",
    "0.5",
    "a=b",
    "a",
    "127.0.0.1:1",
    "debug",
    "b3",
    "none",
    "traceidratio",
    "http/json",
    "http://localhost:1",
    "gzip",
    "delta",
    "base2_exponential_bucket_histogram",
    "always_on",
    "logs",
    "text",
    "sanitized",
    "sqlite",
    "1MiB",
];

/// Variables that are listed beside a setting, and that no value of the file comes from.
const WITHOUT_VALUE: &[&str] = &[
    // They decide which mappings the file has.
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_LOGS_EXPORTER",
    "OTEL_RUST_RESOURCE_DETECTORS",
    // `config_of_variables` writes them as limits of each signal.
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
];

/// Adds the variables of all values, each with those that the schema lists on the way to the value.
fn variables<'a>(
    item: &'a Item,
    of: Option<&'static Type>,
    above: &[&'static str],
    found: &mut BTreeSet<(&'a str, String)>,
) {
    if let Origin::Variable(name) = &item.origin {
        found.insert((name, above.join(" ")));
    }
    item.items().iter().for_each(|item| variables(item, of, above, found));
    for (key, value) in item.entries() {
        let property = of.and_then(|of| of.property(key));
        let listed = property.map_or([None, None], |one| [one.variable, one.counterpart]);
        let above: Vec<_> = above.iter().copied().chain(listed.into_iter().flatten()).collect();
        let of = property.and_then(|one| match one.kind {
            Kind::Object(of) | Kind::List(&Kind::Object(of), _) => Some(of),
            _ => None,
        });
        variables(value, of, &above, found);
    }
}

/// Returns true if the variable, or that for all signals, is among those that the schema lists on the way to its value.
fn is_listed(name: &str, above: &str) -> bool {
    let of_all = ["_TRACES_", "_METRICS_", "_LOGS_"].map(|signal| name.replacen(signal, "_", 1));
    above.split(' ').any(|known| known == name || of_all.iter().any(|of_all| of_all == known))
}

/// docs/CONFIGURATION.md names the variable of each setting. The file of the variables has the value of each at that setting.
#[test]
fn each_variable_sets_what_the_schema_says() {
    let bases: [&[(&str, &str)]; 3] = [
        &[("OTEL_TRACES_SAMPLER", "traceidratio")],
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        &[("OTEL_METRICS_EXPORTER", "prometheus")],
    ];
    let listed =
        || schema::types().into_iter().flat_map(|of| of.properties).flat_map(|one| [one.variable, one.counterpart]);
    assert!(
        is_listed("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "A OTEL_EXPORTER_OTLP_TIMEOUT")
            && !is_listed("OTEL_BSP_EXPORT_TIMEOUT", "A OTEL_BLRP_EXPORT_TIMEOUT")
    );
    let mut seen = BTreeSet::new();
    for variable in VARIABLES.iter().map(|variable| variable.name) {
        for (base, value) in bases.iter().flat_map(|base| VALUES.iter().map(move |value| (base, *value))) {
            let env =
                Env::from_pairs(base.iter().copied().filter(|(name, _)| *name != variable).chain([(variable, value)]));
            let tree = telemark::builder().with_env(env).config_of_variables();
            let mut found = BTreeSet::new();
            variables(tree.root(), Some(schema::types()[0]), &[], &mut found);
            for (name, above) in
                found.into_iter().filter(|(name, _)| *name == variable && !WITHOUT_VALUE.contains(name))
            {
                assert!(
                    is_listed(name, &above),
                    "{name} is at the settings of {above:?}: add .counterpart({name:?}) to its row in the schema"
                );
                seen.insert(name.to_owned());
            }
        }
    }
    let missing: Vec<_> =
        listed().flatten().filter(|name| !seen.contains(*name) && !WITHOUT_VALUE.contains(name)).collect();
    assert_eq!(missing, [""; 0], "no value of the file comes from these variables, which the schema lists");
}

/// Returns the names that a message lists behind `expected`.
fn expected(message: &str) -> Vec<&str> {
    let list =
        message.split(": expected one of ").nth(1).or(message.split(", expected one of ").nth(1)).unwrap_or_default();
    list.split([',']).flat_map(|names| names.split(" and ")).map(str::trim).filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_page_of_settings_names_every_component() {
    let page = fs::read_to_string(root().join("docs/CONFIGURATION.md")).unwrap();
    let components = File::new(
        "components-of-points",
        "file_format: \"1.2\"\npropagator: {composite: [{zz: }]}\ntracer_provider: {processors: [{zz: }, {simple: {exporter: {zz: }}}], sampler: {zz: }}\n\
         logger_provider: {processors: [{zz: }, {simple: {exporter: {zz: }}}]}\n\
         meter_provider: {readers: [{periodic: {exporter: {zz: }}}, {pull: {exporter: {zz: }}}]}\n",
    );
    let detectors =
        File::new("detectors", "file_format: \"1.2\"\nresource: {detection/development: {detectors: [{zz: }]}}\n");
    let problems = components.builder(&[]).check().unwrap_err().to_string();
    let warnings = detectors.builder(&[]).check().unwrap();
    let messages: Vec<_> =
        problems.lines().skip(1).map(str::to_owned).chain(warnings.iter().map(ToString::to_string)).collect();
    let names: Vec<_> = messages.iter().flat_map(|message| expected(message)).collect();
    assert!(
        messages.len() == 9 && ["viewer", "jaeger", "os", "none"].iter().all(|name| names.contains(name)),
        "{messages:#?}"
    );
    let missing: Vec<_> = names.into_iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0], "docs/CONFIGURATION.md lacks these components: {messages:#?}");
}
