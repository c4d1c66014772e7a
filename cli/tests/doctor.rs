//! `cargo telemark doctor` against each failure of a receiver and each mistake in a configuration, as text.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking, and one measures time")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use support::tls::{Authority, Unusual};
use support::{NOBODY, Script, Temporary, grpc, http, run};

const LOCK: &str = "tests/fixture.lock";
/// Leaves one signal, so that each text appears once.
const TRACES: [(&str, &str); 3] =
    [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none"), ("OTEL_SERVICE_NAME", "shop")];

fn doctor(variables: &[(&str, &str)]) -> (i32, String) {
    run(&["doctor", "--lock-file", LOCK], &[&TRACES, variables].concat())
}

/// Compares the problems at this address, without their number, with `expected`.
#[track_caller]
fn check_at(address: SocketAddr, variables: &[(&str, &str)], expected: &str) {
    let endpoint = format!("http://{address}");
    let (status, text) = doctor(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)], variables].concat());
    // The port of `NOBODY` is a digit, which other numbers contain.
    let port = address.port();
    let text = text.replace(&format!(":{port}"), ":PORT").replace(&format!(" {port} "), " PORT ");
    let problems = text.split_once("\n1. ").map_or("", |(_, problems)| problems);
    assert_eq!(problems.trim_end(), expected, "{text}");
    assert_eq!(status, i32::from(!expected.is_empty()), "{text}");
}

#[track_caller]
fn check(script: Script, expected: &str) {
    check_at(http(script, ""), &[], expected);
}

#[track_caller]
fn check_grpc(headers: &'static [(&'static str, &'static str)], message: &'static [u8], expected: &str) {
    check_at(grpc(headers, message), &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], expected);
}

#[test]
fn a_receiver_that_accepts_everything() {
    let address = http(Script::status("200 OK"), "");
    let endpoint = format!("http://{address}");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_SERVICE_NAME", "shop")];
    let (status, text) = run(&["doctor", "--lock-file", LOCK], &variables);
    let expected = "configuration the environment variables\n\
                    traces        http/protobuf to http://127.0.0.1:PORT/v1/traces, timeout 10s\n\
                    metrics       http/protobuf to http://127.0.0.1:PORT/v1/metrics, timeout 10s\n\
                    logs          http/protobuf to http://127.0.0.1:PORT/v1/logs, timeout 10s\n\
                    sampler       parent_based(always_on)\n\
                    propagators   tracecontext, baggage\n\
                    service       shop\n\
                    arrived       traces, metrics, logs\n\
                    \nno problems\n";
    assert_eq!(text.replace(&address.port().to_string(), "PORT"), expected);
    assert_eq!(status, 0);
}

#[test]
fn a_receiver_over_grpc() {
    check_grpc(&[("grpc-status", "0")], b"\0\0\0\0\0", "");
}

#[test]
fn nobody_listens() {
    check_at(
        NOBODY.parse().unwrap(),
        &[],
        "traces: cannot connect to http://127.0.0.1:PORT/v1/traces: Connection refused (os error 111)\n   \
         Nothing listens at 127.0.0.1:PORT. Start a receiver there, such as the OpenTelemetry Collector or `telemark-viewer`, or set \
         OTEL_EXPORTER_OTLP_ENDPOINT to its address. In a container, localhost is the container itself.",
    );
}

/// All addresses that begin with 127 are this machine on Linux, so the default ports of one are free. Each run of the tests has its own.
#[cfg(target_os = "linux")]
#[test]
fn only_the_port_of_the_other_protocol_listens() {
    let [a, b, c, d] = std::process::id().to_be_bytes();
    let host = std::net::Ipv4Addr::new(127, 64 + (a ^ b) % 64, c, d);
    let check = |listens: u16, other: u16, protocol: &str, expected: &str| {
        let _listener = TcpListener::bind((host, listens)).unwrap();
        let endpoint = format!("http://{host}:{other}");
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let (_, text) = doctor(&variables);
        assert!(text.replace(&host.to_string(), "HOST").ends_with(&format!("\n   {expected}\n")), "{text}");
    };
    check(
        4317,
        4318,
        "http/protobuf",
        "Nothing listens at HOST:4318, but port 4317 does, which is usually that of OTLP over gRPC. To use it, set \
         OTEL_EXPORTER_OTLP_PROTOCOL=grpc and name that port in OTEL_EXPORTER_OTLP_ENDPOINT.",
    );
    check(
        4318,
        4317,
        "grpc",
        "Nothing listens at HOST:4317, but port 4318 does, which is usually that of OTLP over HTTP. To use it, set \
         OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf and name that port in OTEL_EXPORTER_OTLP_ENDPOINT.",
    );
}

#[test]
fn a_host_that_does_not_exist() {
    let (status, text) = doctor(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid:4318")]);
    assert!(
        text.ends_with(
            "\n   The host cannot be reached. Check the name in OTEL_EXPORTER_OTLP_ENDPOINT, and whether it resolves on this machine.\n"
        ),
        "{text}"
    );
    assert_eq!(status, 1);
}

#[test]
fn refusals_over_http() {
    const URL: &str = "traces: http://127.0.0.1:PORT/v1/traces answered";
    check(
        Script::response("400 Bad Request", "", b"what is this"),
        &format!(
            "{URL} 400 Bad Request: what is this\n   The server cannot read OTLP. Check that OTEL_EXPORTER_OTLP_ENDPOINT is an OTLP receiver \
             and that no proxy changes the body."
        ),
    );
    for status in ["401 Unauthorized", "403 Forbidden"] {
        check(
            Script::status(status),
            &format!(
                "{URL} {status}\n   The receiver wants credentials and none are sent. Set OTEL_EXPORTER_OTLP_HEADERS, for example to \
                 authorization=Bearer%20TOKEN."
            ),
        );
    }
    check(
        Script::status("404 Not Found"),
        &format!(
            "{URL} 404 Not Found\n   The server has no such path. Receivers take /v1/traces, /v1/metrics and /v1/logs; a path that the \
             vendor documents belongs into OTEL_EXPORTER_OTLP_ENDPOINT. A receiver may also lack this signal."
        ),
    );
    check(
        Script::status("405 Method Not Allowed"),
        &format!(
            "{URL} 405 Method Not Allowed\n   The path takes no POST, so it is not that of an OTLP receiver. Check \
             OTEL_EXPORTER_OTLP_ENDPOINT."
        ),
    );
    check(
        Script::status("413 Payload Too Large"),
        &format!(
            "{URL} 413 Payload Too Large\n   Even a single item is too large for the receiver or for a proxy in front of it. Raise the limit \
             there, such as max_recv_msg_size_mib or client_max_body_size."
        ),
    );
    check(
        Script::status("415 Unsupported Media Type"),
        &format!(
            "{URL} 415 Unsupported Media Type\n   The receiver does not take this encoding. Use http/protobuf, which every OTLP receiver \
             takes."
        ),
    );
    check(
        Script::response("429 Too Many Requests", "retry-after: 60\r\n", b""),
        &format!(
            "{URL} 429 Too Many Requests\n   The receiver limits how much it takes. Send less, with a sampler for example, or raise the \
             quota."
        ),
    );
    check(
        Script::status("503 Service Unavailable"),
        &format!(
            "{URL} 503 Service Unavailable\n   The receiver, or a proxy in front of it, cannot take data now. The exporter tries again until \
             its timeout. If this lasts, look at the receiver's load and at the server behind it."
        ),
    );
    check(
        Script::status("500 Internal Server Error"),
        &format!("{URL} 500 Internal Server Error\n   The receiver has failed. Its own log says why."),
    );
}

#[test]
fn credentials_are_named_and_never_shown() {
    let address = http(Script::response("401 Unauthorized", "", b"bad token s3cret"), "");
    let endpoint = format!("http://{address}");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret,x-tenant=s3cret"),
    ];
    let (_, text) = doctor(&variables);
    assert!(text.contains("timeout 10s, headers authorization x-tenant\n"), "{text}");
    assert!(
        text.ends_with(
            "\n   The receiver refuses the credentials in authorization, x-tenant. Check in OTEL_EXPORTER_OTLP_HEADERS that the value is \
             complete, has not expired and may write this signal. Blanks are written as %20 in variables.\n"
        ),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn refusals_over_grpc() {
    const URL: &str = "http://127.0.0.1:PORT/opentelemetry.proto.collector.trace.v1.TraceService/Export answered";
    check_grpc(
        &[("grpc-status", "14"), ("grpc-message", "no backend")],
        b"",
        &format!(
            "traces: {URL} UNAVAILABLE: no backend\n   The receiver, or a proxy in front of it, cannot take data now. The exporter tries \
             again until its timeout. If this lasts, look at the receiver's load and at the server behind it."
        ),
    );
    check_grpc(
        &[("grpc-status", "16"), ("grpc-message", "who are you")],
        b"",
        &format!(
            "traces: {URL} UNAUTHENTICATED: who are you\n   The receiver wants credentials and none are sent. Set \
             OTEL_EXPORTER_OTLP_HEADERS, for example to authorization=Bearer%20TOKEN."
        ),
    );
    check_grpc(
        &[("grpc-status", "12"), ("grpc-message", "unknown service")],
        b"",
        &format!(
            "traces: {URL} UNIMPLEMENTED: unknown service\n   The server speaks gRPC, but does not take this signal over OTLP. Enable it \
             there, or turn the signal's exporter off with none."
        ),
    );
    check_grpc(
        &[("grpc-status", "8"), ("grpc-message", "quota")],
        b"",
        &format!(
            "traces: {URL} RESOURCE_EXHAUSTED: quota\n   The receiver limits how much it takes. Send less, with a sampler for example, or \
             raise the quota."
        ),
    );
}

/// Compares only the advice: the words of the operating system and of libraries before it vary.
#[track_caller]
fn check_advice(address: SocketAddr, variables: &[(&str, &str)], expected: &str) {
    let endpoint = format!("http://{address}");
    let (status, text) = doctor(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)], variables].concat());
    let text = text.replace(&address.port().to_string(), "PORT");
    assert!(text.contains("\n1. traces: ") && text.ends_with(&format!("\n   {expected}\n")), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn the_wrong_protocol() {
    check_advice(
        http(Script::status("200 OK"), ""),
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        "The server at 127.0.0.1:PORT does not speak OTLP over gRPC. If it takes OTLP over HTTP, set \
         OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf; if not, set OTEL_EXPORTER_OTLP_ENDPOINT to the port for gRPC, usually 4317.",
    );
    check_advice(
        // A server for gRPC begins with its settings.
        http(Script::SpeakFirst(b"\0\0\0\x04\0\0\0\0\0"), ""),
        &[],
        "The server at 127.0.0.1:PORT does not speak OTLP over HTTP. If it takes OTLP over gRPC, set OTEL_EXPORTER_OTLP_PROTOCOL=grpc; if \
         not, set OTEL_EXPORTER_OTLP_ENDPOINT to the port for HTTP, usually 4318.",
    );
}

#[test]
fn connections_that_fail() {
    check_advice(
        http(Script::Reset, ""),
        &[],
        "The server closed the connection without a response. Typical causes are a proxy that limits connections, and a receiver for \
         another protocol. Check OTEL_EXPORTER_OTLP_ENDPOINT and the server's log.",
    );
    check_advice(
        http(Script::Reply(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), ""),
        &[],
        "The server at 127.0.0.1:PORT does not speak OTLP over HTTP. If it takes OTLP over gRPC, set OTEL_EXPORTER_OTLP_PROTOCOL=grpc; if \
         not, set OTEL_EXPORTER_OTLP_ENDPOINT to the port for HTTP, usually 4318.",
    );
    check_at(
        http(Script::Hang, ""),
        &[("OTEL_EXPORTER_OTLP_TIMEOUT", "300")],
        "traces: no response from http://127.0.0.1:PORT/v1/traces in time\n   The server accepts connections, but has not responded within \
         300ms. It is overloaded or stuck, or PORT is not the port of an OTLP receiver.",
    );
}

/// Compares the advice for an https endpoint at `host`, whose certificates are those in the file `trusted`.
#[track_caller]
fn check_tls(address: SocketAddr, host: &str, trusted: &Authority, protocol: &str, expected: &str) {
    let endpoint = format!("https://{host}:{}", address.port());
    let file = trusted.file(&format!("{}.pem", address.port()));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", file.path()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
    ];
    let (status, text) = run(&["doctor", "--lock-file", "tests/tls.lock"], &[&TRACES, &variables[..]].concat());
    let text = text.replace(&address.port().to_string(), "PORT");
    match expected {
        "" => assert!(text.ends_with("\nno problems\n"), "{text}"),
        _ => {
            assert!(
                text.contains("\n1 problem\n\n1. traces: ") && text.ends_with(&format!("\n   {expected}\n")),
                "{text}"
            );
        }
    }
    assert_eq!(status, i32::from(!expected.is_empty()), "{text}");
}

#[test]
fn receivers_with_tls() {
    let (ours, other, namesake) = (Authority::new("ours"), Authority::new("other"), Authority::new("ours"));
    let check = |name: &str, unusual, trusted, expected: &str| {
        for protocol in ["http/protobuf", "grpc"] {
            if expected.is_empty() && protocol == "grpc" {
                continue;
            }
            let address = ours.https(name, unusual, Script::status("200 OK"), "");
            check_tls(address, "localhost", trusted, protocol, expected);
        }
    };
    check("localhost", Unusual::Nothing, &ours, "");
    for trusted in [&other, &namesake] {
        check(
            "localhost",
            Unusual::Nothing,
            trusted,
            "The certificate of localhost:PORT comes from an authority that is not trusted here. Set OTEL_EXPORTER_OTLP_CERTIFICATE to a PEM \
             file with the certificate of that authority.",
        );
    }
    check(
        "collector.example",
        Unusual::Nothing,
        &ours,
        "The certificate is for collector.example, not for localhost. Use a name of the certificate in OTEL_EXPORTER_OTLP_ENDPOINT, or give \
         the server a certificate for localhost.",
    );
    check(
        "localhost",
        Unusual::Expired,
        &ours,
        "The server's certificate has expired. Renew it there, or set this machine's clock.",
    );
    check(
        "localhost",
        Unusual::NotYetValid,
        &ours,
        "The server's certificate is not valid yet. Set this machine's clock.",
    );
    check(
        "localhost",
        Unusual::WantsClients,
        &ours,
        "The server wants a client certificate. Set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY.",
    );
}

#[test]
fn https_to_a_port_without_tls_and_http_to_one_with_tls() {
    let authority = Authority::new("ours");
    check_tls(
        http(Script::status("200 OK"), ""),
        "127.0.0.1",
        &authority,
        "http/protobuf",
        "The server at 127.0.0.1:PORT does not speak TLS. Write http:// in OTEL_EXPORTER_OTLP_ENDPOINT if it is the right one; if not, use the \
         port for https.",
    );
    for protocol in ["http/protobuf", "grpc"] {
        check_advice(
            authority.https("localhost", Unusual::Nothing, Script::status("200 OK"), ""),
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)],
            "The server at 127.0.0.1:PORT expects TLS. Write https:// in OTEL_EXPORTER_OTLP_ENDPOINT.",
        );
    }
}

#[test]
fn responses_that_are_no_full_success() {
    check(
        Script::response("200 OK", "content-type: application/x-protobuf\r\n", b"\x0a\x0b\x08\x01\x12\x07too old"),
        "traces: http/protobuf to http://127.0.0.1:PORT/v1/traces rejected the probe: too old\n   \
         The receiver reads the requests, but its rules reject the data. Look for limits, filters and required attributes there.",
    );
    check(
        Script::response("200 OK", "content-type: text/html\r\n", b"<html>hello</html>"),
        "traces: http/protobuf to http://127.0.0.1:PORT/v1/traces accepted, but the response is not OTLP\n   \
         A web server that accepts everything answers like this. Check that OTEL_EXPORTER_OTLP_ENDPOINT is an OTLP receiver.",
    );
    let address = http(Script::response("200 OK", "", b"\x0a\x09\x12\x07be nice"), "");
    let (status, text) = doctor(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}"))]);
    assert!(text.contains("accepted the probe with a warning: be nice\n") && status == 0, "{text}");
}

#[test]
fn a_response_that_is_too_large() {
    let body = vec![0x0a; 5 << 20];
    check_advice(
        http(Script::response("200 OK", "content-type: application/x-protobuf\r\n", &body), ""),
        &[],
        "An OTLP receiver responds with a few bytes. Check that OTEL_EXPORTER_OTLP_ENDPOINT is one.",
    );
}

#[test]
fn a_receiver_that_stalls_gets_the_whole_time() {
    let address = http(Script::Hang, "");
    let started = Instant::now();
    let endpoint = format!("http://{address}");
    let (_, text) = doctor(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_TIMEOUT", "3000")]);
    assert!(text.contains("has not responded within 3s") && started.elapsed() >= Duration::from_secs(3), "{text}");
}

#[test]
fn one_problem_of_all_signals_is_said_once() {
    let address = http(Script::status("403 Forbidden"), "");
    let endpoint = format!("http://{address}");
    let (_, text) = run(&["doctor", "--lock-file", LOCK], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)]);
    assert!(text.contains("\n1 problem\n\n1. traces, metrics, logs: http://"), "{text}");
    assert!(
        text.contains("note          service.name is not set, so the program appears as unknown_service\n"),
        "{text}"
    );
}

#[test]
fn a_clock_that_is_off_by_that_of_a_receiver_over_https() {
    let authority = Authority::new("ours");
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT";
    let address = authority.https("localhost", Unusual::Nothing, Script::status("200 OK"), date);
    let (endpoint, file) = (format!("https://localhost:{}", address.port()), authority.file("clock.pem"));
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_CERTIFICATE", file.path())];
    let (_, text) = run(&["doctor", "--lock-file", "tests/tls.lock"], &[&TRACES, &variables[..]].concat());
    assert!(text.contains("\n1 problem\n\n1. this machine's clock is "), "{text}");
}

#[test]
fn a_clock_that_is_off() {
    let (status, text) = {
        let address = http(Script::status("200 OK"), "date: Sun, 06 Nov 1994 08:49:37 GMT");
        doctor(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}"))])
    };
    assert!(text.contains("\n1. this machine's clock is ") && text.contains(" s ahead of the receiver's\n"), "{text}");
    assert_eq!(status, 1);
}

/// Compares the problems of these variables, which are found without sending anything.
#[track_caller]
fn check_variables(variables: &[(&str, &str)], expected: &str) {
    let variables = [&[("OTEL_SERVICE_NAME", "shop")], variables].concat();
    let (status, text) = run(&["doctor", "--no-send", "--lock-file", LOCK], &variables);
    let problems = text.split_once("\n1. ").map_or("", |(_, problems)| problems);
    assert_eq!(problems.trim_end(), expected, "{text}");
    assert_eq!(status, i32::from(!expected.is_empty()));
}

#[test]
fn variables_that_turn_telemetry_off() {
    check_variables(&[], "");
    check_variables(
        &[("OTEL_SDK_DISABLED", "true")],
        "OTEL_SDK_DISABLED=true turns telemetry off\n   Nothing is recorded or sent, whatever code says. Remove the setting.",
    );
    check_variables(
        &[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")],
        "no signal has an exporter\n   Set OTEL_TRACES_EXPORTER=otlp.",
    );
    let advice = "\n   Use parentbased_always_on, or traceidratio with a ratio above 0; in a file parent_based or trace_id_ratio_based.";
    check_variables(
        &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")],
        &format!("the sampler always_off (OTEL_TRACES_SAMPLER) drops every trace that starts here{advice}"),
    );
    check_variables(
        &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")],
        &format!(
            "the sampler trace_id_ratio_based (OTEL_TRACES_SAMPLER_ARG) drops every trace that starts here{advice}"
        ),
    );
}

#[test]
fn variables_without_effect() {
    check_variables(
        &[("OTEL_EXPORTER_OLTP_ENDPOINT", "http://a:1")],
        "environment: OTEL_EXPORTER_OLTP_ENDPOINT has no effect, is OTEL_EXPORTER_OTLP_ENDPOINT meant?",
    );
    check_variables(
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http")],
        "OTEL_EXPORTER_OTLP_PROTOCOL=\"http\" cannot be used: expected one of http/protobuf, http/json, grpc",
    );
    check_variables(
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318")],
        "OTEL_EXPORTER_OTLP_ENDPOINT=\"localhost:4318\" cannot be used: expected a URL such as http://localhost:4318 or https://host/path",
    );
}

#[test]
fn features_that_are_off() {
    check_variables(
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://receiver")],
        "an https endpoint needs the feature `tls` of telemark, which is off in Cargo.lock\n   Enable it: cargo add telemark --features tls",
    );
    check_variables(
        &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")],
        "compression needs the feature `gzip` of telemark, which is off in Cargo.lock\n   Enable it: cargo add telemark --features gzip",
    );
    check_variables(
        &[("OTEL_TRACES_EXPORTER", "viewer"), ("OTEL_PROPAGATORS", "xray")],
        "the exporter viewer needs the feature `viewer` of telemark, which is off in Cargo.lock\n   \
         Enable it: cargo add telemark --features viewer\n\n\
         2. the propagator xray needs the feature `xray` of telemark, which is off in Cargo.lock\n   \
         Enable it: cargo add telemark --features xray",
    );
}

#[test]
fn a_second_version_of_opentelemetry() {
    let variables = [("OTEL_SERVICE_NAME", "shop")];
    let (status, text) = run(&["doctor", "--no-send", "--lock-file", "tests/two_versions.lock"], &variables);
    let expected = "\n1. Cargo.lock has opentelemetry 0.33.1 and 0.30.0; 0.30.0 comes through shop 1.0.0 → legacy 1.2.0 → opentelemetry \
                    0.30.0\n   Update legacy 1.2.0 to a version that uses opentelemetry 0.33. Spans, contexts and globals of one version do \
                    not exist for the other.\n";
    assert!(text.ends_with(expected), "{text}");
    assert_eq!(status, 1);
}

/// Returns the report about a configuration file without its path.
fn doctor_of_file(name: &str, text: &str) -> (i32, String) {
    let file = Temporary::new(name, text);
    let (status, text) = run(&["doctor", "--lock-file", LOCK], &[("OTEL_CONFIG_FILE", file.path())]);
    (status, text.replace(file.path(), "FILE"))
}

#[test]
fn a_file_is_described_in_its_own_words() {
    let (status, text) = doctor_of_file(
        "doctor",
        &format!(
            "file_format: '1.2'\n\
             resource: {{attributes: [{{name: service.name, value: shop}}]}}\n\
             tracer_provider:\n  processors: [{{batch: {{exporter: {{otlp_http: {{endpoint: 'http://{NOBODY}/v1/traces'}}}}}}}}]\n  \
             sampler: {{parent_based: {{root: {{always_off: }}}}}}\n"
        ),
    );
    let expected = "configuration FILE\n\
                    traces        http/protobuf to http://127.0.0.1:PORT/v1/traces, timeout 10s\n\
                    metrics       none: the file has no meter_provider with an exporter\n\
                    logs          none: the file has no logger_provider with an exporter\n\
                    sampler       parent_based(always_off)\n\
                    propagators   none\n\
                    service       shop\n\
                    note          the file has no `propagator`, so traces end at this program's borders\n\
                    \n2 problems\n\n\
                    1. the sampler always_off (line 5) drops every trace that starts here\n   \
                    Use parentbased_always_on, or traceidratio with a ratio above 0; in a file parent_based or trace_id_ratio_based.\n\n\
                    2. traces: cannot connect to http://127.0.0.1:PORT/v1/traces: Connection refused (os error 111)\n   \
                    Nothing listens at 127.0.0.1:PORT. Start a receiver there, such as the OpenTelemetry Collector or `telemark-viewer`, or \
                    set the exporter's `endpoint` to its address. In a container, localhost is the container itself.\n";
    assert_eq!(text.replace(NOBODY, "127.0.0.1:PORT"), expected);
    assert_eq!(status, 1);
}

#[test]
fn a_file_with_tail_sampling_and_redaction_says_so() {
    let (_, text) = doctor_of_file(
        "tail",
        "file_format: '1.2'\n\
         tracer_provider: {processors: [{batch: {exporter: {console: }}}]}\n\
         distribution:\n  telemark:\n    \
         redaction: {presets: [email, password], rules: [{keys: [user.name], action: delete}]}\n    \
         tail_sampling: {policies: [{errors: }, {slowest: {quantile: 0.99}}, {probability: {ratio: 0.05, name: rest}}]}\n",
    );
    let expected = "tail sampling errors, slowest(0.99), probability(0.05)\n\
                    redaction     email, password, 1 rule\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_path_that_begins_with_two_slashes() {
    let server = http(Script::status("404 Not Found"), "");
    let (_, text) = doctor_of_file(
        "slashes",
        &format!(
            "file_format: '1.2'\n\
             tracer_provider: {{processors: [{{batch: {{exporter: {{otlp_http: {{endpoint: 'http://{server}//v1/traces'}}}}}}}}]}}\n"
        ),
    );
    let expected = "The path begins with two slashes, because the exporter's `endpoint` ends with one to which a path is appended. Remove it.";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_file_that_turns_telemetry_off_and_one_that_cannot_be_parsed() {
    let (_, text) = doctor_of_file("off", "file_format: '1.2'\ndisabled: true\n");
    assert!(text.contains("\n1 problem\n\n1. `disabled: true` turns telemetry off\n"), "{text}");
    let (status, text) = doctor_of_file("broken", "a: [");
    let expected = "configuration FILE\n\n1 problem\n\n1. configuration: FILE cannot be used, one problem\n  line 2, column 1: while \
                    parsing a node, did not find expected node content\n";
    assert_eq!((status, &*text), (1, expected));
}

#[test]
fn findings_as_json() {
    let endpoint = format!("http://{NOBODY}");
    let variables =
        [&TRACES[..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_PROPAGATORS", "none")]].concat();
    let (status, text) = run(&["doctor", "--lock-file", LOCK, "--json"], &variables);
    let json: serde_json::Value = serde_json::from_str(&text.replace(NOBODY, "127.0.0.1:PORT")).unwrap();
    let expected = serde_json::json!({
        "version": 1,
        "ok": false,
        "configuration": [
            {"name": "configuration", "value": "the environment variables"},
            {"name": "traces", "value": "http/protobuf to http://127.0.0.1:PORT/v1/traces, timeout 10s"},
            {"name": "metrics", "value": "none: OTEL_METRICS_EXPORTER=none"},
            {"name": "logs", "value": "none: OTEL_LOGS_EXPORTER=none"},
            {"name": "sampler", "value": "parent_based(always_on)"},
            {"name": "propagators", "value": "none"},
            {"name": "service", "value": "shop"},
        ],
        "notes": ["OTEL_PROPAGATORS=none, so traces end at this program's borders"],
        "problems": [{
            "signals": ["traces"],
            "finding": "cannot connect to http://127.0.0.1:PORT/v1/traces: Connection refused (os error 111)",
            "advice": "Nothing listens at 127.0.0.1:PORT. Start a receiver there, such as the OpenTelemetry Collector or `telemark-viewer`, \
                       or set OTEL_EXPORTER_OTLP_ENDPOINT to its address. In a container, localhost is the container itself.",
        }],
    });
    assert_eq!((status, json), (1, expected));
    let (status, text) = run(&["doctor", "--lock-file", LOCK, "--json", "--no-send"], &TRACES);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(status == 0 && json["ok"] == true && json["problems"] == serde_json::json!([]), "{text}");
}

/// Compares the problems of a receiver behind a proxy at this address with `expected`.
#[track_caller]
fn check_proxy(script: Script, protocol: &str, expected: &str) {
    let proxy = http(script, "");
    check_way(&proxy.to_string(), protocol, expected);
}

#[track_caller]
fn check_way(proxy: &str, protocol: &str, expected: &str) {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("ALL_PROXY", &format!("http://user:s3cret@{proxy}")),
    ];
    let (status, text) = doctor(&variables);
    let text = text.replace(proxy, "PROXY");
    assert!(text.ends_with(&format!("{expected}\n")), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    assert_eq!(status, 1, "{text}");
}

#[test]
fn proxies() {
    const DIRECT: &str =
        "To reach collector.invalid without it, add the host to NO_PROXY or set OTEL_RUST_EXPORTER_OTLP_PROXY to none.";
    const CREDENTIALS: &str = "Write the credentials into the URL of the proxy, as in http://user:password@proxy:3128, with % escapes for \
         special characters. Only the scheme Basic is supported.";
    let refused = Script::status("407 Proxy Authentication Required");
    for protocol in ["http/protobuf", "grpc"] {
        check_proxy(
            refused.clone(),
            protocol,
            &format!("it answered 407 Proxy Authentication Required\n   {CREDENTIALS}"),
        );
        check_way(
            NOBODY,
            protocol,
            &format!("Nothing listens at the address of the proxy. Check the variable in brackets. {DIRECT}"),
        );
    }
    check_proxy(
        Script::status("403 Forbidden"),
        "grpc",
        &format!(
            "it answered 403 Forbidden\n   The proxy does not lead to the receiver. Its log and its rules say why. {DIRECT}"
        ),
    );
}

#[test]
fn a_proxy_that_does_not_answer() {
    const CHECK: &str = "Check the variable in brackets and the log of the proxy. To reach collector.invalid without it, add the host to \
         NO_PROXY or set OTEL_RUST_EXPORTER_OTLP_PROXY to none.";
    let silent = http(Script::Hang, "").to_string();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
        ("ALL_PROXY", &*silent),
    ];
    let (_, text) = doctor(&variables);
    let expected = format!("Neither the proxy nor the receiver behind it has responded within 300ms. {CHECK}\n");
    assert!(text.ends_with(&expected), "{text}");
    check_proxy(
        Script::Reset,
        "http/protobuf",
        &format!("The proxy, or the receiver behind it, does not answer as HTTP servers do. {CHECK}"),
    );
}

#[test]
fn headers_that_cannot_be_read() {
    let address = http(Script::status("200 OK"), "");
    let endpoint = format!("http://{address}");
    let check = |variable: &str, value: &str, expected: &str| {
        let (status, text) = doctor(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), (variable, value)]);
        assert!(text.contains(&format!("\n   {expected}\n")), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(status, 1, "{text}");
    };
    check(
        "OTEL_RUST_EXPORTER_OTLP_HEADERS_FILE",
        "/no/such/file",
        "Check the path in OTEL_RUST_EXPORTER_OTLP_HEADERS_FILE, that this user may read the file, and that its lines are `name: value` or \
         that it has a token alone.",
    );
    check(
        "OTEL_RUST_EXPORTER_OTLP_TRACES_HEADERS_COMMAND",
        "/no/such/program s3cret",
        "Run the command in OTEL_RUST_EXPORTER_OTLP_TRACES_HEADERS_COMMAND by hand, as the same user: it must print lines such as \
         `name: value` or a token alone, and end within the exporter's timeout.",
    );
}

#[test]
fn a_token_in_a_file_that_is_refused() {
    let token = Temporary::new("token", "s3cret");
    let config = Temporary::new(
        "token.yaml",
        &format!(
            "file_format: '1.2'\ntracer_provider:\n  processors:\n    - batch:\n        exporter:\n          otlp_http: {{endpoint: \
             'http://{}/v1/traces'}}\ndistribution:\n  telemark:\n    otlp:\n      traces: {{headers_file: '{}'}}\n",
            http(Script::status("401 Unauthorized"), ""),
            token.path()
        ),
    );
    let (_, text) = run(&["doctor", "--lock-file", LOCK], &[("OTEL_CONFIG_FILE", config.path())]);
    let expected = "The receiver refuses the credentials from `distribution.telemark.otlp.traces.headers_file`, also after they were read \
         again. Check that they are complete, have not expired and may write this signal.";
    assert!(text.contains(expected) && !text.contains("s3cret"), "{text}");
}
