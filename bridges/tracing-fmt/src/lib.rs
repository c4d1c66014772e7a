#![cfg_attr(docsrs, feature(doc_cfg))]
//! Log lines for `tracing` that contain the ids of the current OpenTelemetry span: JSON, flat JSON, ECS and text.
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
//! - **log**: call [`init()`], or pass [`install`] to the telemetry builder. Neither replaces a subscriber that the program has
//!   installed.
//! - **choose a format**: set `OTEL_RUST_LOG_FORMAT` or pass a [`Format`] to [`LineLayer::new`]. JSON goes to standard output,
//!   text to standard error.
//! - **filter**: set `RUST_LOG`; see [`filter`].
//! - **build the subscriber yourself**: add a [`LineLayer`] to it, or another layer to the lines with [`subscriber_with`].
//! - **change the filter at run time**: see [`filter`].
//! - **redact**: lines do not pass the stages and processors of the telemetry, which see spans and log records. Leave secrets out of
//!   the fields of events, or write lines through a [writer](LineLayer::with_writer) that removes them.
//! - **include fields from the enclosing spans**: call [`LineLayer::with_span_fields`].
//! - **write elsewhere**: call [`LineLayer::with_writer`].
//!
//! # Lines
//! The ids come from the current OpenTelemetry context, like those of
//! [`current_span_context`](telemark_sdk::instrument::spans::current_span_context): it does not matter how the span was created,
//! and unsampled spans also have ids. Outside of a span, a line has no ids. For an event that specifies a `parent:`, the ids are those
//! of the parent if [`LineLayer::with_ids_of_spans`] says how to find them, which `telemark::tracing::install` does.
//!
//! - **Every event is one line and one write**, limited to 16 KiB ([`LineLayer::with_max_line_size`]). Control characters and
//!   characters that change the text direction are escaped. A truncated line contains `"telemark.truncated":true` or, in the
//!   text format, ends with `(truncated)`.
//! - **Types are kept.** Integers beyond `i64`, and floats that are not finite, become strings; bytes become base64. A field
//!   recorded as an error includes the messages of its causes.
//! - **No name occurs twice.** If two fields have the same name, the first one is kept. The variants of [`Format`] document how
//!   fields are renamed if the format itself uses their names.
//! - **An event never fails**: a value whose formatting panics is written as `<panicked>`, and a line that cannot be written is
//!   counted ([`dropped_lines`]) and reported at most once a minute. Events may occur while other events are being formatted.
//!
//! # Why a layer
//! A custom format for the `tracing-subscriber` layer would write through a `dyn` writer into a `String`, could not count lines
//! that are dropped later, and would not contain panics in fields. This layer writes fields directly into a per-thread buffer,
//! and stores nothing for spans unless their fields are requested.
//!
//! # Environment variables
//! | variable | meaning |
//! |---|---|
//! | `OTEL_RUST_LOG_FORMAT` | `json`, `json_flat`, `ecs` or `text`; by default `json`, or `text` beside the console exporter |
//! | `RUST_LOG` | the filter for lines, by default `info` |

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
pub use install::{filter, init, init_with, install, install_lines, install_with, subscriber, subscriber_with};
pub use layer::LineLayer;
pub use output::{Standard, StandardStream, dropped_lines};
