//! Building blocks for instrumentation on the OpenTelemetry API: the parts that every integration needs and no framework owns.
//!
//! Applications use an integration, such as `telemark-axum`. This crate is for the author of one:
//!
//! ```
//! use opentelemetry::metrics::{Counter, Meter};
//! use opentelemetry::trace::{SpanBuilder, Tracer};
//! use opentelemetry::{Context, KeyValue};
//! use telemark_kit::{GlobalTracer, Instruments, guarded, keys};
//!
//! struct Client {
//!     tracer: GlobalTracer,
//!     calls: Instruments<Counter<u64>>,
//! }
//!
//! let scope = telemark_kit::scope("my-integration", "1.0.0");
//! let make_calls = |meter: &Meter| meter.u64_counter("my.calls").build();
//! let client = Client { tracer: GlobalTracer::new(scope.clone()), calls: Instruments::global(scope, make_calls) };
//!
//! // For each call. Neither a tracer nor a meter that panics harms the host.
//! let server = KeyValue::new(keys::SERVER_ADDRESS, "db.example");
//! let builder = SpanBuilder::from_name("call").with_attributes([server.clone()]);
//! let span = guarded(|| client.tracer.build_with_context(builder, &Context::current()));
//! guarded(|| client.calls.get().map(|calls| calls.add(1, &[server])));
//! # let _ = span;
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `tracer` | [`scope`] and [`GlobalTracer`], which finds the global tracer when it is first needed |
//! | `instruments` | [`Instruments`]: the same for the global meter |
//! | `guard` | [`guarded`]: foreign code whose panic must not reach the host; [`lock`], which ignores poison |
//! | [`keys`] | the attribute names of the semantic conventions |
//! | `attributes` | [`Attributes`] on their way to a span, and the names of those that were cut |
//! | `attribute_sets` | [`AttributeSets`] of metrics, built once |
//! | `text` | [`BoundedText`]: text of a peer, bounded and valid |
//! | `interner` | [`Interner`]: a bounded number of strings for the life of the program |
//! | `clock` | [`Clock`], which an application may replace |
//!
//! # Environment variables
//! None are read.

mod attribute_sets;
mod attributes;
mod clock;
mod guard;
mod instruments;
mod interner;
pub mod keys;
mod text;
mod tracer;

pub use attribute_sets::{AttributeSets, SetKey};
pub use attributes::{Attributes, Cut};
pub use clock::Clock;
pub use guard::{guarded, lock};
pub use instruments::Instruments;
pub use interner::Interner;
pub use text::{BoundedText, MAX_TEXT_BYTES};
pub use tracer::{GlobalTracer, scope};
