//! Context propagation: the header formats that carry a trace and its baggage.
//!
//! | propagator | headers | extracts | injects |
//! |---|---|---|---|
//! | [`TraceContextPropagator`] | `traceparent`, `tracestate` | W3C Trace Context level 2 and later versions | version `00` |
//! | [`BaggagePropagator`] | `baggage` | W3C Baggage | W3C Baggage |
//! | [`B3Propagator`] | `b3`, `x-b3-*` | single and multi | one of the two |
//! | [`JaegerPropagator`] | `uber-trace-id`, `uberctx-*` | Jaeger, also its baggage | ids of full length |
//! | [`OtTracePropagator`] | `ot-tracer-*`, `ot-baggage-*` | ids of 64 and of 128 bits | ids of 64 bits |
//!
//! [`Propagators`] chains them in the order given by `OTEL_PROPAGATORS`, and a [`PropagatorFactory`] adds another to the names. All propagators treat headers as untrusted input:
//! extraction never panics, takes time linear in the length of the headers, and returns the given context unchanged if
//! anything is invalid.
//!
//! [`active`] finds the propagator of the program or of a test. [`environment`] carries context into a child process.
//!
//! ```
//! use std::collections::HashMap;
//! use opentelemetry::propagation::TextMapPropagator;
//! use opentelemetry::trace::TraceContextExt;
//! use opentelemetry::Context;
//! use telemark_sdk::config::Env;
//! use telemark_sdk::propagation::Propagators;
//!
//! let propagators = Propagators::from_env(&Env::process());
//! let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
//! let incoming = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
//!
//! let cx = propagators.extract_with_context(&Context::new(), &incoming);
//! assert!(cx.span().span_context().is_remote());
//!
//! let mut outgoing = HashMap::new();
//! propagators.inject_context(&cx, &mut outgoing);
//! assert_eq!(outgoing["traceparent"], traceparent);
//! ```
//!
//! spec: context/api-propagators.md

pub mod active;
mod b3;
mod baggage;
mod composite;
mod entries;
pub mod environment;
mod factory;
mod jaeger;
mod ot_trace;
mod trace_context;
mod trace_state;
#[cfg(test)]
mod w3c_suite;

pub use b3::B3Propagator;
pub use baggage::BaggagePropagator;
pub use composite::Propagators;
pub use factory::PropagatorFactory;
pub use jaeger::JaegerPropagator;
pub use ot_trace::OtTracePropagator;
pub use trace_context::TraceContextPropagator;
