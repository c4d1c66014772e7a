//! Readable trace trees and metrics in a terminal.
//!
//! ```
//! use telemark_console::ConsoleExporter;
//! use telemark_sdk::signal::Traces;
//!
//! fn exporter() -> impl telemark_sdk::Exporter<Traces> {
//!     ConsoleExporter::stdout()
//! }
//! # let _ = exporter();
//! ```
//!
//! What it prints, in colour when the output is a terminal:
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
//! ```
//!
//! - The bar shows when a span ran within its trace.
//! - A trace is printed when all parents of its spans in this process have ended, after [5 seconds](ConsoleExporter::with_hold)
//!   at the latest, or earlier when more than 4096 spans wait. A span that is printed without its parent says so.
//! - Attributes that rarely help at a glance are left out: see [`ConsoleExporter::with_all_attributes`].
//! - Control characters in names and values are escaped: what a stranger sends cannot move the cursor.
//!
//! Metrics, by [`ConsoleMetrics`], are a table with a line for each series. Of a histogram it shows the count, the mean, what
//! half of the values and 95 of 100 are at most, as far as the buckets tell, and the trace of the greatest exemplar:
//!
//! ```text
//! metrics  22:13:20.000Z
//! telemark.function.duration
//!   code.function.name=shop::charge     12×  avg 9.80ms  p50 ~9.10ms  p95 ~18.0ms  max 19.2ms  trace 4bf92f35…
//!   code.function.name=shop::load_cart  12×  avg 1.20ms  p50 ~1.10ms  p95 ~2.30ms  max 2.40ms  trace 4bf92f35…
//! shop.orders shop.order.kind=web       12 order
//! ```
//!
//! | variable | meaning |
//! |---|---|
//! | `NO_COLOR` | any value: no colours |
//! | `COLUMNS` | the width of a line, by default 100 |

mod details;
mod distribution;
mod exporter;
mod held;
mod metrics;
mod render;
mod text;
mod tree;
mod values;

pub use exporter::{Color, ConsoleExporter};
pub use metrics::ConsoleMetrics;
