//! AWS X-Ray's propagation format, the `X-Amzn-Trace-Id` header, on the OpenTelemetry API.
//!
//! ```
//! use std::collections::HashMap;
//!
//! use opentelemetry::Context;
//! use opentelemetry::propagation::TextMapPropagator;
//! use opentelemetry::trace::TraceContextExt;
//! use telemark_xray::XRayPropagator;
//!
//! let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
//! let incoming = HashMap::from([("x-amzn-trace-id".to_owned(), header.to_owned())]);
//!
//! let cx = XRayPropagator::new().extract(&incoming);
//! assert_eq!(cx.span().span_context().trace_id().to_string(), "5759e988bd862e3fe1be46a994272793");
//!
//! let mut outgoing = HashMap::new();
//! XRayPropagator::new().inject_context(&cx, &mut outgoing);
//! assert_eq!(outgoing["x-amzn-trace-id"], header);
//! ```
//!
//! [`XRayPropagator::new`] is `OTEL_PROPAGATORS=xray`, and [`XRayPropagator::for_lambda`] is `xray-lambda`, which an AWS Lambda
//! function uses in its place if its spans go to X-Ray.
//!
//! | part of the header | read | sent |
//! |---|---|---|
//! | `Root` | the trace id; the time may lack leading zeros | the trace id |
//! | `Parent` | the span id; without one there is no span context | the span id |
//! | `Sampled` | `1`, `0`, or undecided: `?` or absent | `1` or `0`, or nothing if the caller has not decided either |
//! | `Lineage` | into the baggage | from the baggage |
//! | `Self` and others | no | no |
//!
//! A header with an invalid part is ignored as a whole. No input makes the propagator panic, and the time that it takes is linear in
//! the length of the header.
//!
//! # Environment variables
//! This crate reads no environment variables. `telemark` reads `_X_AMZN_TRACE_ID` for `xray-lambda`.

mod header;
mod propagator;

pub use propagator::XRayPropagator;
