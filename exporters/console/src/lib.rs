//! Readable trace trees in a terminal.
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
//! | variable | meaning |
//! |---|---|
//! | `NO_COLOR` | any value: no colours |
//! | `COLUMNS` | the width of a line, by default 100 |

mod details;
mod exporter;
mod held;
mod render;
mod text;
mod tree;

pub use exporter::{Color, ConsoleExporter};
