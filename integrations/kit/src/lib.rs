//! Building blocks for instrumentation on the OpenTelemetry API: the framework-independent parts of every integration.
//!
//! Applications use an integration, such as `telemark-axum`. This crate is for authors of integrations:
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
//! // For each call. A panic of the tracer or the meter does not reach the host.
//! let server = KeyValue::new(keys::SERVER_ADDRESS, "db.example");
//! let builder = SpanBuilder::from_name("call").with_attributes([server.clone()]);
//! let span = guarded(|| client.tracer.build_with_context(builder, &Context::current()));
//! guarded(|| client.calls.get().map(|calls| calls.add(1, &[server])));
//! # let _ = span;
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `tracer` | [`scope`] and [`GlobalTracer`], which looks up the global tracer on first use |
//! | `instruments` | [`Instruments`], which does the same with the global meter |
//! | `guard` | [`guarded`], which contains panics of foreign code; [`watch`], which sees one; [`lock`], which ignores poisoning |
//! | `span_context` | [`with_span`] and [`attach_unless_current`]: the context of an operation |
//! | `server_span` | [`mark_server_span`]: one server span for a request over two protocols |
//! | [`keys`] | the attribute names of the semantic conventions |
//! | `attributes` | [`Attributes`] for a span, and the names of truncated ones |
//! | `attribute_sets` | [`AttributeSets`] for metrics, built once |
//! | `text` | [`BoundedText`]: text from a peer, bounded and valid |
//! | `interner` | [`Interner`]: a bounded number of strings for the life of the program |
//! | `origins` | [`OriginCounts`]: requests by the origin of their parent, and [`ServedRoute`], those of one route |
//! | `clock` | [`Clock`], which an application may replace |
//! | `settings` | [`Enabled`]: the variables that enable or disable an integration; [`Live`]: settings that [`change_settings`] changes while the program runs |
//!
//! # Environment variables
//! This crate reads no environment variables itself; [`Enabled::read`] accepts a reader and lists the variables.

mod attribute_sets;
mod attributes;
mod clock;
mod guard;
mod instruments;
mod interner;
pub mod keys;
mod origins;
mod server_span;
mod settings;
mod span_context;
mod text;
mod tracer;

pub use attribute_sets::{AttributeSets, SetKey};
pub use attributes::{Attributes, Cut};
pub use clock::Clock;
#[doc(hidden)]
pub use guard::free;
pub use guard::{guarded, lock, watch};
pub use instruments::Instruments;
pub use interner::Interner;
pub use origins::{OriginCounts, ParentOrigin, ServedRoute};
pub use server_span::{is_server_span_marked, mark_server_span};
pub use settings::{ChangeError, ChangedText, DEFAULT_ENABLED, Enabled, LIVE_SETTINGS, Live, change_settings};
pub use span_context::{attach_unless_current, is_current, is_unsampled, with_span};
pub use text::{BoundedText, MAX_TEXT_BYTES};
pub use tracer::{GlobalTracer, scope};
