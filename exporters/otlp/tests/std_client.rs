//! Repeats the tests of transport over HTTP with the client on the standard library, and shows what that client refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::duplicate_mod, reason = "each of these files is also a test binary of its own, with the same support")]

#[path = "credentials.rs"]
mod credentials;
#[cfg(unix)]
#[path = "exhaustion.rs"]
mod exhaustion;
#[path = "fit.rs"]
mod fit;
#[path = "http.rs"]
mod http;
#[path = "proxy.rs"]
mod proxy;
mod support;

use support::http::{Server, Step};
use support::{export, outcome, over_http};
#[cfg(feature = "hyper-client")]
use telemark_otlp::OtlpExporter;
use telemark_otlp::{OtlpBuilder, Protocol};
use telemark_sdk::signal::Traces;

#[track_caller]
fn check(configure: impl FnOnce(OtlpBuilder<Traces>) -> OtlpBuilder<Traces>, expected: &str) {
    let error = configure(over_http()).build().unwrap_err().to_string();
    assert_eq!(error, expected);
}

#[test]
fn it_speaks_http_alone() {
    #[cfg(feature = "grpc")]
    check(
        |builder| builder.with_protocol(Protocol::Grpc).with_base_endpoint("http://collector:4317"),
        "std_client: cannot send over grpc, expected http/protobuf or http/json",
    );
    #[cfg(feature = "tls")]
    check(
        |builder| builder.with_base_endpoint("https://collector").with_protocol(Protocol::HttpJson),
        "std_client: cannot send to https://collector, expected an http:// URL",
    );
    #[cfg(not(feature = "tls"))]
    check(
        |builder| builder.with_base_endpoint("https://collector").with_protocol(Protocol::HttpJson),
        "base_endpoint=\"https://collector\" cannot be used: expected an http:// URL, or the feature `tls` of telemark or telemark-otlp",
    );
}

/// No runtime is involved, so that a thread of a runtime is a thread like any other.
#[tokio::test]
async fn on_a_thread_of_a_runtime() {
    let server = Server::start([Step::ok()]);
    let mut exporter = over_http().with_base_endpoint(server.url()).build().unwrap();
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 0 rejected, 0 retries");
}

/// On a kept connection, with everything that the first export has set up.
#[cfg(feature = "hyper-client")]
#[test]
fn an_export_allocates_less_than_with_hyper() {
    let allocations = |builder: OtlpBuilder<Traces>| {
        let server = Server::start(vec![Step::ok(); 3]);
        let mut exporter = builder.with_base_endpoint(server.url()).build().unwrap();
        let mut counts = [0; 3];
        for count in &mut counts {
            *count = allocation_counter::measure(|| assert!(export(&mut exporter, "a").is_ok())).count_total;
        }
        counts[2]
    };
    let (std, hyper) = (allocations(over_http()), allocations(OtlpExporter::<Traces>::builder()));
    println!("{std} allocations, {hyper} with hyper");
    assert!(std < hyper, "{std} allocations, {hyper} with hyper");
}
