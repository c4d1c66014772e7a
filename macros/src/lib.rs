//! The `#[traced]` attribute of Telemark. Use it through the `telemark` crate.
//!
//! | file | owns |
//! |---|---|
//! | `options`, `fields` | the grammar: what was written |
//! | `foreign` | the advice for options of other crates' attributes |
//! | `shape` | the kind of function: where it works, and what it returns |
//! | `check` | the errors where the two do not fit |
//! | `expand` | the new body of a function |
//! | `record` | the closures that look at what it returns |
//! | `item` | functions in blocks, and the options that they inherit |
//! | `blocks` | functions that a block leaves out unless they are asked for |

mod blocks;
mod check;
mod expand;
mod fields;
mod foreign;
mod item;
mod options;
mod record;
mod shape;

use proc_macro::TokenStream;

/// Runs a function in a span.
///
/// ```
/// use telemark::traced;
///
/// #[traced]
/// fn items(cart: &str) -> Result<u32, std::num::ParseIntError> {
///     cart.parse()
/// }
///
/// #[traced(name = "charge card", kind = client, fields(payment.amount = amount, currency))]
/// async fn charge(amount: u32, currency: &str) {
///     // The span is `Context::current().span()`, in every poll.
/// #   let _ = (amount, currency);
/// }
///
/// struct Cart;
///
/// #[traced(kind = server)]
/// impl Cart {
///     fn total(&self) -> u32 {
///         0
///     }
///
///     #[traced(skip)]
///     fn len(&self) -> usize {
///         0
///     }
/// }
/// # let _ = (items("3"), Cart.total(), Cart.len());
/// ```
///
/// It goes on functions and methods of every kind but `const fn`, and on `impl`, `trait` and inline `mod` blocks, where it
/// means every function with a body. A function in a block may have a `#[traced(...)]` of its own, whose options win, or
/// `#[traced(skip)]`.
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name = "..."` | the name of the span: a literal or a constant | the function's name |
/// | `kind = server` | `server`, `client`, `producer`, `consumer` or `internal` | `internal` |
/// | `fields(...)` | attributes, see below | none: arguments are not captured unless they are named |
/// | `err`, `err(Debug)`, `err(Display)`, `err = off` | how an `Err` is recorded, see below | on for a `Result` |
/// | `ret`, `ret(Debug)`, `ret(Display)`, `ret = off` | records what is returned, of a `Result` the `Ok`, as `return` | off |
/// | `root` | starts a new trace, with the current baggage | |
/// | `parent = expr` | a `&Context` or `SpanContext` to start in | the current context |
/// | `links = expr` | a list of `SpanContext`, `&Context` or `Link` | none |
/// | `metrics` | measures every call, see below; `metrics = off` for one function of a block | off |
/// | `code = off` | leaves out `code.function.name`, `code.file.path` and `code.line.number` | they are there |
/// | `crate = path` | where `telemark` is, for a crate that re-exports it | `::telemark` |
///
/// # Fields
///
/// `fields(id, user.name = name, "http.route" = ROUTE, total = %self.total, cart = ?cart, %addr)`: an argument by its name,
/// or a key and an expression; `%` records with `Display`, `?` with `Debug`. Without them the value keeps its type:
/// booleans, integers, floats, strings, lists of one of these, and `Option`, whose `None` is no attribute. Expressions are
/// evaluated only when the span is recorded, in the context of the caller; one that panics costs the fields and not the
/// call. So are links, unless there is a `parent` or a `root`.
///
/// # Errors
///
/// A function whose return type is called `Result`, whatever its path, records an `Err` as the status `Error` with the
/// error's `Display`, if it has that, and the name of its type as `error.type`. A macro sees names and not types: for a
/// `Result` by another name write `err`, for a `Result` that is none `err = off`.
///
/// # Futures
///
/// | on | the span starts | it ends |
/// |---|---|---|
/// | `async fn`, also with `async_trait` | at the first poll, like the body | when the future is ready or dropped |
/// | a function that returns `impl Future`, `Pin<Box<dyn Future>>` or `BoxFuture` | at the call, which is part of it | same |
/// | everything else | at the call | when the function returns |
///
/// A future that is dropped before it is ready has `telemark.outcome = "cancelled"`. When a panic leaves the function, the
/// span has the status `Error`, `error.type = "panic"` and `telemark.outcome = "panicked"`, and the panic goes on.
///
/// # Metrics
///
/// `metrics` gives the function a histogram beside its span, `code.function.duration` in seconds, and with that its rate,
/// errors and durations:
///
/// ```
/// # use telemark::traced;
/// #[traced(metrics)]
/// fn price(cart: &str) -> Result<u32, std::num::ParseIntError> {
///     cart.parse()
/// }
/// # let _ = price("3");
/// ```
///
/// | attribute | |
/// |---|---|
/// | `code.function.name` | the path of the function, as on the span |
/// | `error.type` | only of calls that failed: the type of the error as on the span, or `panic` |
/// | `telemark.outcome` | `panicked`, or `cancelled` for a future that was dropped before it was ready |
///
/// Every call that began is measured once, whether its span is sampled or not, from the start of the span; the body of an
/// `async fn` that is never polled has not begun. It is measured inside of the span, which an exemplar therefore leads to.
/// `fields` do not become attributes of the metric: it would have a series for each of their values. Where telemetry is
/// [suppressed](https://docs.rs/telemark/latest/telemark/fn.suppress.html), nothing is measured.
///
/// # Cost
///
/// One relaxed load without an installed tracer, and one more with `metrics`. A call below a span that is not sampled
/// allocates nothing and attaches nothing; to measure it is to read the clock twice and to add to a histogram.
#[proc_macro_attribute]
pub fn traced(options: TokenStream, item: TokenStream) -> TokenStream {
    item::expand(options.into(), item.into()).into()
}
