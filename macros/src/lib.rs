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
/// It goes on functions and methods of every kind but `const fn` and the `main` of a program, and on `impl`, `trait` and
/// inline `mod` blocks, see below.
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name = "..."` | the name of the span: a literal or a constant | the function's name; in an `impl` or `trait` block `Type::function` |
/// | `kind = server` | `server`, `client`, `producer`, `consumer` or `internal` | `internal` |
/// | `fields(...)` | attributes, see below | none: arguments are not captured unless they are named |
/// | `err`, `err(Debug)`, `err(Display)`, `err = off` | how an `Err` is recorded, see below | on for a `Result` |
/// | `err_if = condition` | a `Fn(&E) -> bool` that tells which `Err` is an error, see below | every `Err` is |
/// | `ret`, `ret(Debug)`, `ret(Display)`, `ret = off` | records what is returned, of a `Result` the `Ok`, as `return` | off |
/// | `root` | starts a new trace, with the current baggage | |
/// | `parent = expr` | a `&Context` or `SpanContext` to start in | the current context |
/// | `links = expr` | a list of `SpanContext`, `&Context` or `Link` | none |
/// | `metrics` | measures every call, see below; `metrics = off` for one function of a block | off |
/// | `future`, `stream`, `iterator` | the span lives as long as what is returned, see below; `future = off` for the call alone | `impl Future` and the like are seen |
/// | `code = off` | leaves out `code.function.name`, `code.file.path` and `code.line.number` | they are there |
/// | `crate = path` | where `telemark` is, for a crate that re-exports it | `::telemark` |
/// | `skip` | leaves a function out of a block | |
///
/// # Blocks
///
/// On an `impl`, `trait` or inline `mod` block it traces every function with a body, and on a `mod` the blocks inside, too.
/// A function may have a `#[traced(...)]` of its own, whose options win, or `#[traced(skip)]`. Some are left out unless they
/// have a `#[traced]` themselves:
///
/// - `const fn`;
/// - constructors: without `self`, not `async`, and called `new` or returning `Self` or the type by its name, as in
///   `fn empty() -> Self`. `fn open() -> io::Result<Self>` has something to show and is traced;
/// - in a `mod`, implementations of `Drop`, of the traits of `std::fmt`, and of `Clone`, `Default`, `From`, `Into`,
///   `PartialEq`, `Ord`, `Hash`, `Deref`, `AsRef`, `Borrow`, `Index`, `Error` and their kin. A `#[traced]` on such an `impl`
///   asks for its functions.
///
/// In a block the name of the type comes first, which tells `Store::get` from `Cache::get`; a type without a name leaves
/// that to its trait. On a single method the macro cannot see the type: the span of `get` is called `get`, unless you write
/// `#[traced(name = "Store::get")]`.
///
/// ```
/// # use telemark::traced;
/// struct Store;
///
/// #[traced]
/// impl Store {
///     fn new() -> Self { // no span
///         Store
///     }
///
///     fn get(&self) -> u32 { // the span `Store::get`
///         7
///     }
/// }
/// # let _ = Store::new().get();
/// ```
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
/// An `Err` becomes the status `Error` with the messages of the error and its causes, if it has them, and its name as
/// `error.type`: the path of its type, and the variant of an enum that derives `Debug`. `telemark::ErrorType` gives it
/// another name. What the function sets itself, an `error.type` or a status, stays.
///
/// The type decides: an alias of `Result` is a `Result`, and another type of that name is not. `err` insists that there is
/// one, and `err = off` records none. Behind a type parameter or an `impl Trait` there is no `Result` to see.
///
/// `err_if` says which `Err` is an error. For the others the span is as if the function had returned successfully, and so is
/// the measurement of `metrics`. A condition that panics says yes.
///
/// ```
/// # use telemark::traced;
/// # use std::io::{self, ErrorKind};
/// #[traced(err_if = |error| error.kind() != ErrorKind::NotFound)]
/// fn read(path: &str) -> io::Result<Vec<u8>> {
///     std::fs::read(path)
/// }
/// # let _ = read("/nowhere");
/// ```
///
/// # Futures, streams and iterators
///
/// | on | the span starts | it ends |
/// |---|---|---|
/// | `async fn`, also with `async_trait` | at the first poll, like the body | when the future is ready or dropped |
/// | a function that returns `impl Future`, `Pin<Box<dyn Future>>` or `BoxFuture`, or another one with `future` | at the call, which is part of it | same |
/// | a function with `stream` or `iterator` | at the call, which is part of it | at the first `None`, or when it is dropped |
/// | everything else | at the call | when the function returns |
///
/// `future`, `stream` and `iterator` go on functions that return `impl Trait` or a box: `Pin<Box<dyn ..>>` for a future or a
/// stream, `Box<dyn Iterator>` for an iterator, under any alias. The box is put into another one. An alias of a boxed future
/// without one of these options does not compile: its span would end before the work begins.
///
/// A stream or an iterator has the number of its items as `telemark.items`, and its first item that is an `Err` becomes the
/// status. By hand that is
/// [`SpanBuilder::run_stream`](https://docs.rs/telemark/latest/telemark/struct.SpanBuilder.html#method.run_stream), which
/// does not look at the items.
///
/// ```
/// # use telemark::traced;
/// #[traced(iterator)]
/// fn numbers(text: &str) -> impl Iterator<Item = Result<u32, std::num::ParseIntError>> + '_ {
///     text.split(' ').map(str::parse)
/// }
/// # assert_eq!(numbers("1 x").count(), 2);
/// ```
///
/// What is dropped before its end has `telemark.outcome = "cancelled"`. When a panic leaves the function, the span has the
/// status `Error`, `error.type = "panic"` and `telemark.outcome = "panicked"`, and the panic goes on.
///
/// # The `main` of a program
///
/// Its span would start before `telemark::init()` and end after the flush: `#[traced]` there does not compile, above or below
/// `#[tokio::main]`. Trace a function that `main` calls after `init`.
///
/// # `#[track_caller]`
///
/// To see what a function returns, its body moves into a closure, where `Location::caller` is a place in the function. In a
/// function with `#[track_caller]` only a type called `Result` is looked at; `err = off` leaves the body where it is.
///
/// # Metrics
///
/// `metrics` gives the function a histogram beside its span, `telemark.function.duration` in seconds, and so its rate,
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
/// allocates nothing and attaches nothing; to measure it is to read the clock twice and to add to a histogram. It has a span
/// id of its own, which Telemark's propagators send and `telemark::current_span_context` returns; `Context::current()` still
/// holds its parent.
///
/// A traced `async fn` is a future inside a future. One of 64 bytes of arguments takes 200 bytes instead of 72, because both
/// hold the arguments, and the compiler's default limit of types inside types is reached by a chain of 14 functions that
/// await each other without a `Box::pin` between them, instead of 34: it says "queries overflow the depth limit" or
/// "overflow evaluating the requirement". `#![recursion_limit = "256"]` at the top of the crate doubles both; `Box::pin` around
/// one call in the chain ends the growth of the futures, and arguments behind a reference or an `Arc` take no room twice.
#[proc_macro_attribute]
pub fn traced(options: TokenStream, item: TokenStream) -> TokenStream {
    item::expand(options.into(), item.into()).into()
}
