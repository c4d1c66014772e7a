//! Exports through a scripted proxy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use support::http::Server;
use support::proxy::{Proxy, Step};
use support::{EXPIRES, PATIENCE, export, outcome, over_http, quick_retries};
use telemark_otlp::OtlpBuilder;
use telemark_sdk::Exporter;
use telemark_sdk::config::Env;
use telemark_sdk::signal::Traces;

const TAKEN: &str = "taken, 0 rejected, 0 retries";

fn builder() -> OtlpBuilder<Traces> {
    over_http().with_retry(quick_retries().with_max_retries(1))
}

#[test]
fn plain_requests_name_the_receiver_and_the_credentials_of_the_proxy() {
    let server = Server::start([support::http::Step::ok(), support::http::Step::ok()]);
    let proxy = Proxy::start([Step::Forward(server.address)]);
    let url = format!("http://user:s3cret@{}", proxy.address);
    // The receiver's name is unknown here. Only the proxy resolves it.
    let endpoint = "http://collector.invalid:4318";
    let mut exporter = builder().with_base_endpoint(endpoint).with_proxy(url).build().unwrap();
    assert_eq!([(); 2].map(|()| outcome(&export(&mut exporter, "a"))), [TAKEN; 2]);
    assert_eq!(
        exporter.destination(),
        format!("http/protobuf to {endpoint}/v1/traces through the proxy {} (proxy)", proxy.url())
    );
    assert!(!format!("{exporter:?}").contains("s3cret"));
    let heads = proxy.heads();
    assert_eq!(heads.len(), 2, "one connection for both");
    for head in heads {
        assert!(head.starts_with("POST http://collector.invalid:4318/v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nhost: collector.invalid:4318\r\n"), "{head}");
        assert!(head.contains("\r\nproxy-authorization: Basic dXNlcjpzM2NyZXQ=\r\n"), "{head}");
    }
}

#[test]
fn variables_choose_the_proxy() {
    let server = Server::start([support::http::Step::ok()]);
    let proxy = Proxy::start([Step::Forward(server.address)]);
    let url = proxy.url();
    let env = Env::from_pairs([("http_proxy", &*url), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid")]);
    assert_eq!(outcome(&export(&mut builder().with_env(&env).build().unwrap(), "a")), TAKEN);
    // The receivers of the tests are on this machine.
    let server = Server::start([support::http::Step::ok(), support::http::Step::ok()]);
    let endpoint = server.url();
    let env = Env::from_pairs([("http_proxy", &*url), ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)]);
    assert_eq!(outcome(&export(&mut builder().with_env(&env).build().unwrap(), "a")), TAKEN);
    let env = Env::from_pairs([("OTEL_RUST_EXPORTER_OTLP_PROXY", &*url)]);
    let direct = builder().with_env(&env).without_proxy().with_base_endpoint(endpoint);
    assert_eq!(outcome(&export(&mut direct.build().unwrap(), "a")), TAKEN);
}

/// Compares the outcome and the message, in which `PROXY` stands for the address of the proxy.
#[track_caller]
fn check(script: &[Step], builder: OtlpBuilder<Traces>, expected: &str, message: &str) {
    let proxy = Proxy::start(script);
    let waits = script.iter().any(|step| matches!(step, Step::Hang | Step::Drip));
    let mut exporter = builder
        .with_proxy(format!("http://user:s3cret@{}", proxy.address))
        .with_timeout(if waits { EXPIRES } else { PATIENCE })
        .build()
        .unwrap();
    let error = export(&mut exporter, "a").unwrap_err();
    let text = error.to_string().replace(&proxy.address.to_string(), "PROXY");
    assert_eq!(format!("{}, {} retries", error.error_type(), error.retries()), expected, "{text}");
    assert!(text.starts_with(message), "{text}");
    assert!(!text.contains("s3cret") && !text.contains("dXNlcjpzM2NyZXQ="), "{text}");
}

fn plain() -> OtlpBuilder<Traces> {
    builder().with_base_endpoint("http://collector.invalid")
}

#[test]
fn failures_of_a_proxy_for_plain_requests() {
    let reply = |text| [Step::Reply(text), Step::Reply(text)];
    check(
        &reply("HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"),
        plain(),
        "unavailable, 0 retries",
        "the proxy http://PROXY (proxy) refuses these credentials, so http://collector.invalid/v1/traces cannot be reached: it answered 407 \
         Proxy Authentication Required",
    );
    check(
        &reply("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 30\r\n\r\nno user:s3cret dXNlcjpzM2NyZXQ"),
        plain(),
        "unavailable, 1 retries",
        "http://collector.invalid/v1/traces through the proxy http://PROXY (proxy) answered 502 Bad Gateway",
    );
    check(
        &[Step::Close, Step::Close],
        plain(),
        "unavailable, 1 retries",
        "the connection to http://collector.invalid/v1/traces through the",
    );
    for step in [Step::Hang, Step::Drip] {
        check(
            &[step],
            plain(),
            "timeout, 0 retries",
            "no response from http://collector.invalid/v1/traces through the proxy http://PROXY (proxy) in time",
        );
    }
    check(&[Step::Flood], plain(), "too_large, 0 retries", "the head of the answer of http://collector.invalid");
    check(&reply("SSH-2.0-OpenSSH\r\n\r\n"), plain(), "_OTHER, 0 retries", "the response of http://collector.invalid");
}

#[test]
fn a_proxy_that_is_not_there() {
    let address = "127.0.0.1:1";
    let mut exporter = plain().with_proxy(address).build().unwrap();
    let error = export(&mut exporter, "a").unwrap_err();
    assert_eq!(
        outcome(&Err(telemark_sdk::ExportError::unavailable("").with_retries(error.retries()))),
        "unavailable, 1 retries"
    );
    let expected = format!(
        "cannot connect to the proxy http://{address} (proxy), which leads to http://collector.invalid/v1/traces"
    );
    assert!(error.is_unavailable() && error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn an_unusable_proxy_is_an_error_only_in_our_own_settings() {
    let error = builder().with_proxy("socks5://u:s3cret@p").build().unwrap_err().to_string();
    assert!(error.starts_with("proxy=\"socks5://…@p\" cannot be used: expected an http:// URL"), "{error}");
    let env = Env::from_pairs([("ALL_PROXY", "socks5://u:s3cret@p"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h")]);
    let exporter = builder().with_env(&env).build().unwrap();
    assert_eq!(exporter.destination(), "http/protobuf to http://h/v1/traces");
}

#[cfg(feature = "grpc")]
mod tunnels {
    use support::grpc::{Server, Step as Call};
    use support::proxy::ESTABLISHED;
    use telemark_otlp::{OtlpExporter, Protocol};

    use super::*;

    fn grpc(endpoint: impl Into<String>) -> OtlpBuilder<Traces> {
        OtlpExporter::<Traces>::builder()
            .with_retry(quick_retries().with_max_retries(1))
            .with_protocol(Protocol::Grpc)
            .with_endpoint(endpoint)
    }

    #[test]
    fn grpc_without_tls_goes_through_a_tunnel() {
        // The receiver's first frame may follow the head at once, and interim responses may precede it.
        for response in
            [ESTABLISHED, "HTTP/1.0 200\n\n", "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"]
        {
            let server = Server::start([Call::ok(), Call::ok()]);
            let proxy = Proxy::start([Step::Tunnel(response, server.address)]);
            let url = format!("http://user:s3cret@{}", proxy.address);
            let mut exporter = grpc("http://collector.invalid:4317").with_proxy(url).build().unwrap();
            assert_eq!([(); 2].map(|()| outcome(&export(&mut exporter, "a"))), [TAKEN; 2]);
            assert_eq!(
                proxy.heads(),
                ["CONNECT collector.invalid:4317 HTTP/1.1\r\nHost: collector.invalid:4317\r\n\
                  Proxy-Authorization: Basic dXNlcjpzM2NyZXQ=\r\n\r\n"]
            );
            let calls = server.finish();
            assert!(calls.iter().all(|call| call.connection == 0 && !call.headers.contains_key("proxy-authorization")));
        }
    }

    #[test]
    fn an_ipv6_receiver_is_in_brackets() {
        let server = Server::start([Call::ok()]);
        let proxy = Proxy::start([Step::Tunnel(ESTABLISHED, server.address)]);
        let mut exporter = grpc("http://[2001:db8::1]").with_proxy(proxy.url()).build().unwrap();
        assert_eq!(outcome(&export(&mut exporter, "a")), TAKEN);
        assert_eq!(proxy.heads(), ["CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n"]);
    }

    #[test]
    fn a_tunnel_that_breaks_is_opened_again() {
        let server = Server::start([Call::ok(), Call::Close, Call::ok()]);
        let proxy =
            Proxy::start([Step::Tunnel(ESTABLISHED, server.address), Step::Tunnel(ESTABLISHED, server.address)]);
        let mut exporter = grpc("http://collector.invalid").with_proxy(proxy.url()).build().unwrap();
        assert_eq!(outcome(&export(&mut exporter, "a")), TAKEN);
        assert_eq!(outcome(&export(&mut exporter, "b")), "taken, 0 rejected, 1 retries");
        assert_eq!(proxy.heads().len(), 2);
    }

    #[test]
    fn failures_of_a_proxy_for_tunnels() {
        let check = |script: &[Step], expected, message: &str| {
            let message = message
                .replace("TO", "http://collector.invalid/opentelemetry.proto.collector.trace.v1.TraceService/Export");
            super::check(script, grpc("http://collector.invalid"), expected, &message);
        };
        let reply = |text| [Step::Reply(text), Step::Reply(text)];
        check(
            &reply("HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n"),
            "unavailable, 0 retries",
            "the proxy http://PROXY (proxy) refuses these credentials, so TO cannot be reached: it answered 407",
        );
        check(
            &reply("HTTP/1.1 503 Service Unavailable\r\n\r\n"),
            "unavailable, 1 retries",
            "the proxy http://PROXY (proxy) cannot reach TO: it answered 503 Service Unavailable",
        );
        check(
            &reply("HTTP/1.1 403 Forbidden\r\n\r\n"),
            "unavailable, 0 retries",
            "the proxy http://PROXY (proxy) refuses to lead to TO: it answered 403 Forbidden",
        );
        check(
            &reply("HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\n\r\n"),
            "unavailable, 0 retries",
            "the proxy http://PROXY (proxy) refuses to lead to TO: it answered 302 Found",
        );
        check(
            &reply("SSH-2.0-OpenSSH\r\n"),
            "_OTHER, 0 retries",
            "the proxy http://PROXY (proxy), which should lead to TO, does not speak HTTP/1.1",
        );
        check(
            &reply("HTTP/1.1 what\r\n\r\n"),
            "_OTHER, 0 retries",
            "the proxy http://PROXY (proxy), which should lead to TO, does not",
        );
        check(
            &[Step::Flood],
            "_OTHER, 0 retries",
            "the head of the answer of the proxy http://PROXY (proxy), which should lead to TO, is too large",
        );
        for script in [[Step::Close, Step::Close], reply("HTTP/1.1 200 OK\r\n")] {
            check(
                &script,
                "unavailable, 1 retries",
                "the proxy http://PROXY (proxy) closed the connection that should lead to TO",
            );
        }
        for step in [Step::Hang, Step::Drip] {
            check(&[step], "timeout, 0 retries", "no response from TO through the proxy http://PROXY (proxy) in time");
        }
    }
}
