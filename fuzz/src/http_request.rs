//! HTTP requests as a server receives them: methods, targets, `Forwarded`, `Host`, query strings and captured headers.

use std::sync::{Arc, OnceLock};

use http::{Request, Response, StatusCode};
use telemark_http::{DefaultPolicy, End, HttpServerInstrumentation, RequestHead, ResponseHead, ServerConfig};
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::trace::SdkTracer;

/// Every request must produce spans with attributes of bounded size.
pub(crate) fn server_span(input: &[u8]) {
    let Some(request) = request(input) else { return };
    let telemetry = TestTelemetry::new();
    let server = Arc::new(HttpServerInstrumentation::new(config(), DefaultPolicy, telemetry.tracer("fuzz")));
    respond(&server, &request);
    for span in telemetry.spans() {
        for attribute in span.attributes() {
            let text = attribute.value.as_str();
            assert!(text.len() <= 64 * 1024, "{} holds {} bytes", attribute.key, text.len());
        }
    }
}

fn respond(server: &Arc<HttpServerInstrumentation<DefaultPolicy, SdkTracer>>, request: &Request<()>) {
    let Some(mut span) = server.begin(RequestHead::new(request)) else { return };
    let response = Response::builder().status(StatusCode::OK).body(());
    if let Ok(response) = response {
        drop(span.respond(ResponseHead::new(&response)));
    }
    span.end(End::Completed);
}

fn config() -> ServerConfig {
    static CONFIG: OnceLock<ServerConfig> = OnceLock::new();
    let config =
        || ServerConfig::new().with_forwarded_headers().with_captured_request_headers(["x-captured", "accept"]);
    CONFIG.get_or_init(config).clone()
}

/// Parses `METHOD target` from the first line, and a header from each further line.
fn request(input: &[u8]) -> Option<Request<()>> {
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let at = first.iter().position(|byte| *byte == b' ')?;
    let mut request = Request::builder().method(&first[..at]).uri(&first[at + 1..]);
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..at], line.get(at + 2..).unwrap_or_default());
    }
    request.body(()).ok()
}
