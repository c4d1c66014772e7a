//! Log lines of `tracing` that carry the ids of the current OpenTelemetry span: JSON, flat JSON, ECS and text.
//!
//! ```
//! use telemark_tracing_fmt::{Format, LineLayer};
//! use tracing_subscriber::prelude::*;
//!
//! let subscriber = tracing_subscriber::registry().with(LineLayer::new(Format::Json));
//! tracing::subscriber::with_default(subscriber, || {
//!     tracing::info!(order.id = 7, "order placed");
//! });
//! ```
//!
//! # How to
//! - **log**: call [`init()`], or pass [`install`] to the builder of the telemetry. Neither replaces a subscriber that the
//!   program has set.
//! - **choose a format**: set `OTEL_RUST_LOG_FORMAT` or pass a [`Format`] to [`LineLayer::new`]. JSON goes to standard output,
//!   text to standard error.
//! - **filter**: set `RUST_LOG`; see [`filter`].
//! - **build the subscriber yourself**: add a [`LineLayer`] to it, or another layer to the lines with [`subscriber_with`].
//! - **show fields of the enclosing spans**: call [`LineLayer::with_span_fields`].
//! - **write elsewhere**: call [`LineLayer::with_writer`].
//!
//! # Lines
//! The ids come from the current OpenTelemetry context, like those of
//! [`current_span_context`](telemark_sdk::instrument::spans::current_span_context): it does not matter what made the span, and a
//! span that is not sampled has its ids too. Outside of a span a line has none. The context decides, not the `parent:` of an
//! event.
//!
//! - **Every event is one line and one write**, of at most 16 KiB ([`LineLayer::with_max_line_size`]). Control characters and
//!   those that change the direction of text are escaped. A line that was cut has `"telemark.truncated":true`; a line of text ends
//!   with `(truncated)`.
//! - **Types are kept.** Integers beyond `i64`, and floats that are not finite, become strings; bytes become base64. An error that
//!   is recorded as one has the messages of its causes.
//! - **No name occurs twice.** Of two fields with one name, the first stays. The variants of [`Format`] document what happens to
//!   fields whose names the format uses itself.
//! - **An event never fails**: a value whose formatting panics is `<panicked>`, and a line that cannot be written is counted
//!   ([`dropped_lines`]) and reported at most once a minute. Events may occur within the formatting of others.
//!
//! # Why a layer
//! A format for the layer of `tracing-subscriber` would write through a `dyn` writer into a `String`, could not count the lines
//! that are lost after it, and would let a panic of a field through. This layer visits fields straight into a buffer of its
//! thread, and stores nothing for spans unless their fields are wanted.
//!
//! # Environment variables
//! | variable | meaning |
//! |---|---|
//! | `OTEL_RUST_LOG_FORMAT` | `json` (default), `json_flat`, `ecs` or `text` |
//! | `RUST_LOG` | the filter of lines; `info` by default |

mod fields;
mod format;
mod install;
mod layer;
mod line;
mod output;
mod render;
mod resource;
mod time;
mod value;

pub use format::Format;
pub use install::{filter, init, init_with, install, subscriber, subscriber_with};
pub use layer::LineLayer;
pub use output::{Standard, StandardStream, dropped_lines};
