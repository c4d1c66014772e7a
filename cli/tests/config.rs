//! `cargo telemark config`: checks files, and writes them from variables.
#![allow(clippy::unwrap_used, reason = "test helpers")]

mod support;

use std::net::TcpListener;

use support::{Temporary, run};

#[track_caller]
fn check(name: &str, text: &str, expected: &str) {
    let file = Temporary::new(name, text);
    let (status, text) = run(&["config", "check", file.path()], &[("TOKEN", "s3cret")]);
    assert_eq!(text.replace(file.path(), "FILE").trim_end(), expected);
    assert_eq!(status, i32::from(!expected.ends_with("no problems")));
}

#[test]
fn a_file_without_problems() {
    check(
        "well",
        "file_format: '1.2'\n\
         tracer_provider:\n  processors:\n    - batch: {exporter: {otlp_http: {headers_list: 'authorization=${TOKEN}'}}}\n",
        "FILE: no problems",
    );
}

#[test]
fn all_problems_are_said_at_once() {
    check(
        "broken",
        "file_format: '1.2'\n\
         tracer_provider:\n  processors:\n    - batch:\n        exporter:\n          otlp_http: {endpoint: 'ftp://h', timeout: soon}\n\
         samplr: {}\n",
        "configuration: FILE cannot be used, 3 problems\n  \
         line 6, column 33: tracer_provider.processors[0].batch.exporter.otlp_http.endpoint=\"ftp://h\" cannot be used: expected a URL such as \
         http://localhost:4318 or https://host/path\n  \
         line 6, column 53: tracer_provider.processors[0].batch.exporter.otlp_http.timeout=\"soon\" cannot be used: expected milliseconds, \
         a whole number of at least 0\n  \
         line 7, column 1: samplr is no property of the configuration: expected one of file_format, disabled, log_level, attribute_limits, \
         resource, propagator, tracer_provider, meter_provider, logger_provider, instrumentation/development and distribution",
    );
    let unfinished = "line 2, column 1: while parsing a node, did not find expected node content";
    check("yaml", "a: [", &format!("configuration: FILE cannot be used, one problem\n  {unfinished}"));
}

#[test]
fn problems_as_json() {
    let check = |name: &str, text: &str, expected: serde_json::Value| {
        let file = Temporary::new(name, text);
        let (status, text) = run(&["config", "check", "--json", file.path()], &[]);
        let json: serde_json::Value = serde_json::from_str(&text.replace(file.path(), "FILE")).unwrap();
        assert_eq!(status, i32::from(expected["ok"] == false));
        assert_eq!(json, expected);
    };
    check(
        "well",
        "file_format: '1.2'\n",
        serde_json::json!({"version": 1, "ok": true, "file": "FILE", "notes": [], "problems": []}),
    );
    let problems = serde_json::json!([
        {"line": 1, "column": 14, "problem": "file_format=\"2.0\" cannot be used: expected version 1.2 or another of 1"},
        {"line": 2, "column": 11, "problem": "disabled=\"no\" cannot be used: expected true or false"},
    ]);
    let expected = serde_json::json!({"version": 1, "ok": false, "file": "FILE", "notes": [], "problems": problems});
    check("broken", "file_format: '2.0'\ndisabled: \"no\"\n", expected);
    let warning = serde_json::json!([{
        "line": 2, "column": 55, "problem": "resource.detection/development.detectors[0].hst: no such resource detector",
    }]);
    let file =
        Temporary::new("warned", "file_format: '1.2'\nresource: {detection/development: {detectors: [{hst: }]}}\n");
    let (status, text) = run(&["config", "check", file.path(), "--json"], &[]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &json["problems"][0]["line"]), (1, &warning[0]["line"]), "{text}");
    let found = json["problems"][0]["problem"].as_str().unwrap();
    assert!(found.starts_with(warning[0]["problem"].as_str().unwrap()), "{text}");
}

#[test]
fn variables_beside_a_file_are_a_note() {
    let file = Temporary::new("beside", "file_format: '1.2'\n");
    let variables = [("OTEL_SERVICE_NAME", "shop")];
    let note = "OTEL_CONFIG_FILE: does not refer to these variables, so they have no effect: OTEL_SERVICE_NAME";
    let (status, text) = run(&["config", "check", file.path()], &variables);
    assert_eq!((status, text.replace(file.path(), "FILE")), (0, format!("FILE: no problems\nnote: {note}\n")));
    let (status, text) = run(&["config", "check", "--json", file.path()], &variables);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(status == 0 && json["ok"] == true && json["notes"] == serde_json::json!([note]), "{text}");
}

#[test]
fn a_check_leaves_ports_and_files_alone() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let page = format!(
        "meter_provider: {{readers: [{{pull: {{exporter: {{prometheus/development: {{host: 127.0.0.1, port: {port}}}}}}}}}]}}"
    );
    check("port", &format!("file_format: '1.2'\n{page}\n"), "FILE: no problems");
    let output = std::env::temp_dir().join(format!("telemark-cli-{}.jsonl", std::process::id()));
    let lines = format!(
        "tracer_provider: {{processors: [{{simple: {{exporter: {{otlp_file/development: {{output_stream: 'file://{}'}}}}}}}}]}}",
        output.display()
    );
    check("file", &format!("file_format: '1.2'\n{lines}\n"), "FILE: no problems");
    assert!(!output.exists());
}

#[test]
fn a_file_that_is_not_there() {
    let (status, text) = run(&["config", "check", "/nowhere/otel.yaml"], &[]);
    assert!(
        text.starts_with("OTEL_CONFIG_FILE=\"/nowhere/otel.yaml\" cannot be used: expected a file that can be read"),
        "{text}"
    );
    assert_eq!(status, 1);
}

#[test]
fn the_file_of_the_variables_passes_the_check_and_has_their_effect() {
    let variables = [
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
    ];
    let (status, written) = run(&["config", "from-env"], &variables);
    assert_eq!(status, 0, "{written}");
    assert!(!written.contains("s3cret") && written.contains("${OTEL_EXPORTER_OTLP_HEADERS}"), "{written}");
    let file = Temporary::new("written", &written);
    let header = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret");
    let (status, text) = run(&["config", "check", file.path()], &[header]);
    assert_eq!((status, text.replace(file.path(), "FILE")), (0, "FILE: no problems\n".to_owned()));
    // The doctor sees the same configuration in both.
    let doctor = |variables: &[(&str, &str)]| {
        let (_, text) = run(&["doctor", "--no-send", "--lock-file", "tests/two_versions.lock"], variables);
        text.lines()
            .filter(|line| !line.starts_with("configuration"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let of_file = doctor(&[header, ("OTEL_CONFIG_FILE", file.path())]);
    assert!(of_file.contains("sampler       parent_based(trace_id_ratio_based(0.25))\n"), "{of_file}");
    assert_eq!(
        of_file,
        doctor(&variables).replace("metrics       prometheus\n", "metrics       prometheus/development\n")
    );
}

#[test]
fn variables_that_cannot_be_written_are_said() {
    let (status, text) =
        run(&["config", "from-env"], &[("OTEL_TRACES_SAMPLER_ARG", "2"), ("OTEL_TRACES_SAMPLER", "traceidratio")]);
    assert!(
        text.ends_with("cargo telemark: OTEL_TRACES_SAMPLER_ARG=\"2\" cannot be used: expected a number from 0 to 1\n"),
        "{text}"
    );
    assert_eq!(status, 1);
}

#[test]
fn usage() {
    let (status, text) = run(&["docter"], &[]);
    assert_eq!((status, &*text), (2, "cargo telemark: the command \"docter\" is not known; see --help\n"));
    let (status, text) = run(&["--help"], &[]);
    assert!(status == 0 && text.contains("cargo telemark doctor"), "{text}");
}
