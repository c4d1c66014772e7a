//! Prints trace trees, metrics and log records to a terminal, for development.
//!
//! ```
//! use telemark_console::ConsoleTraceExporter;
//! use telemark_sdk::signal::Traces;
//!
//! fn exporter() -> impl telemark_sdk::Exporter<Traces> {
//!     ConsoleTraceExporter::stdout()
//! }
//! # let _ = exporter();
//! ```
//!
//! The output, coloured if standard output is a terminal:
//!
//! ```text
//! ━━ shop 1.4.0 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
//!
//! trace 4bf92f3577b34da6a3ce929d0e0e4736  4 spans  12.4ms  1 error  22:13:20.000Z
//! GET /cart/{id}      12.4ms  ━━━━━━━━━━━━━━━━  server  200  url.path=/cart/7
//! │                                             … remote parent 00f067aa0ba902b7
//! ├─ load_cart        1.20ms   ━━               cart.id=7
//! │  └─ SELECT carts   900µs   ━━               client  db.system.name=sqlite
//! └─ charge           9.80ms     ━━━━━━━━━━━━━  ✗ card declined  error.type=CardError
//!      · +1.00ms  retry  attempt=2
//!      · +1.20ms  WARN  shop::cards  declined  card.kind=debit
//! ```
//!
//! - The bar shows when a span ran, relative to the whole trace.
//! - A trace is printed once all local parents of its spans have ended, but at the latest after [5
//!   seconds](ConsoleTraceExporter::with_hold) or once more than 4096 spans are waiting. A span printed without
//!   its parent is marked.
//! - Attributes that rarely help at a glance are omitted; see [`ConsoleTraceExporter::with_all_attributes`].
//! - Control characters in names and values are escaped, so foreign text cannot move the cursor.
//!
//! [`ConsoleMetricExporter`] prints metrics as a table with one line per series. Histograms are summarized by
//! count, mean, median and 95th percentile (both estimated from the buckets), maximum, and the trace of the
//! greatest exemplar:
//!
//! ```text
//! metrics  22:13:20.000Z
//! telemark.function.duration
//!   code.function.name=shop::charge     12×  avg 9.80ms  p50 ~9.10ms  p95 ~18.0ms  max 19.2ms  trace 4bf92f35…
//!   code.function.name=shop::load_cart  12×  avg 1.20ms  p50 ~1.10ms  p95 ~2.30ms  max 2.40ms  trace 4bf92f35…
//! shop.orders shop.order.kind=web       12 order
//! ```
//!
//! [`ConsoleLogExporter`] prints the log records of a span inside the tree, at their time, if traces go to the same output. All
//! other records are lines of their own:
//!
//! ```text
//! 22:13:20.000Z  WARN   shop::orders  few left  item.id=7  trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7
//! ```
//!
//! | variable | meaning |
//! |---|---|
//! | `NO_COLOR` | any value disables colours |
//! | `COLUMNS` | the width of a line in characters, by default 100 |

mod distribution;
mod logs;
mod metrics;
mod output;
mod text;
mod traces;
mod values;

pub use logs::ConsoleLogExporter;
pub use metrics::ConsoleMetricExporter;
pub use output::Color;
pub use traces::ConsoleTraceExporter;
