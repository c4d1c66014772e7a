//! Measures what the count of a request by route and origin costs beside the request itself.
//!
//! ```text
//! cargo run --release -p telemark-http --example request_cost
//! ```
#![allow(clippy::disallowed_methods, reason = "an example that measures time")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use http::{Request, Response};
use opentelemetry::trace::noop::NoopTracer;
use telemark_http::{DefaultPolicy, End, HttpServerInstrumentation, RequestHead, ResponseHead, ServerConfig};
use telemark_kit::{OriginCounts, ParentOrigin};

/// Returns the shortest time of a call in nanoseconds.
fn nanos(mut call: impl FnMut()) -> f64 {
    let round = || {
        let start = Instant::now();
        (0..1000).for_each(|_| call());
        start.elapsed().as_secs_f64() * 1e6
    };
    std::iter::repeat_with(round).take(1000).fold(f64::INFINITY, f64::min)
}

fn main() {
    static COUNTS: OriginCounts = OriginCounts::new();
    let count = nanos(|| black_box(&COUNTS).count(black_box(ParentOrigin::None)));
    let config = ServerConfig::new().with_route_templates(["/users/{id}"]);
    let server = Arc::new(HttpServerInstrumentation::new(config, DefaultPolicy, NoopTracer::new()));
    let (Ok(request), Ok(response)) = (Request::get("/users/7").body(()), Response::builder().body(())) else { return };
    let whole = nanos(|| {
        if let Some(mut span) = server.begin(RequestHead::new(black_box(&request))) {
            span.respond(ResponseHead::new(&response));
            span.end(End::Completed);
        }
    });
    println!("the count of a request: {count:.1} ns\na request without a tracer and a meter: {whole:.0} ns");
}
