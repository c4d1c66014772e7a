//! Telemark's `#[traced]` attribute. Use it through the `telemark` crate.
//!
//! This crate is the entry point and the documentation; `telemark-macros-expand` does the work.

use proc_macro::TokenStream;
use telemark_macros_expand::{Error, expand};

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
/// The attribute applies to functions and methods of every kind, except `const fn` and a program's `main`, and to `impl`, `trait`
/// and inline `mod` blocks (see below).
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name = "..."` | the name of the span: a literal or a constant | the function's name; in an `impl` or `trait` block `Type::function` |
/// | `kind = server` | `server`, `client`, `producer`, `consumer` or `internal` | `internal` |
/// | `level = "debug"` | the level: `"error"`, `"warn"`, `"info"`, `"debug"` or `"trace"`, see below | `"info"` |
/// | `target = "..."` | the target for the filter: a literal or a constant | the module path |
/// | `fields(...)` | attributes, see below | none: no argument is captured automatically |
/// | `err`, `err(Debug)`, `err(Display)`, `err = off` | records an `Err`, see below | on for a `Result` |
/// | `err_if = condition` | a `Fn(&E) -> bool` that returns true if this `Err` is an error, see below | every `Err` is an error |
/// | `ret`, `ret(Debug)`, `ret(Display)`, `ret = off` | records the return value as `return`; for a `Result`, the value in `Ok` | off |
/// | `root` | starts a new trace, with the current baggage | |
/// | `parent = expr` | a `&Context` or `SpanContext` to start in | the current context |
/// | `below` | starts a span only if another one is current, see [Only below another span](#only-below-another-span); `below = off` excludes a function of a block | off |
/// | `links = expr` | a list of `SpanContext`, `&Context` or `Link` | none |
/// | `owner = "Type"` | the type in the names of a single method: `Type::function` | the type of a traced block |
/// | `metrics` | measures every call, see below; `metrics = off` excludes a function of a block | off |
/// | `future`, `stream`, `iterator` | extends the span over the life of the returned value, see below; `future = off` limits it to the call | `impl Future` and similar types are recognized |
/// | `code = off` | omits `code.function.name`, `code.file.path` and `code.line.number` | included |
/// | `crate = path` | the path to `telemark`, for crates that re-export it | `::telemark` |
/// | `skip` | leaves a function out of a block | |
///
/// # Blocks
///
/// On an `impl`, `trait` or inline `mod` block, the attribute traces every function with a body, and on a `mod` also the
/// blocks inside. The options of a function's own `#[traced(...)]` take precedence, and `#[traced(skip)]` excludes it. The
/// following functions are left out unless they have a `#[traced]` themselves:
///
/// - `const fn`;
/// - constructors: functions that take no `self`, are not `async`, and are called `new` or return `Self` or the type by its
///   name, as in `fn empty() -> Self`. `fn open() -> io::Result<Self>` can fail and is therefore traced;
/// - in a `mod`, implementations of `Drop`, of the traits of `std::fmt`, and of `Clone`, `Default`, `From`, `Into`,
///   `PartialEq`, `Ord`, `Hash`, `Deref`, `AsRef`, `Borrow`, `Index`, `Error` and similar traits. A `#[traced]` on such an
///   `impl` includes its functions.
///
/// In a block, the span name starts with the type name, which distinguishes `Store::get` from `Cache::get`; if the type has no
/// name, the trait name is used. On a single method, the macro cannot see the type, so the span for `get` is called `get` unless
/// you write `#[traced(owner = "Store")]`.
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
/// `fields(id, user.name = name, "http.route" = ROUTE, total = %self.total, cart = ?cart, %addr)`: a field is the name of an
/// argument, or a key and an expression. `%` records with `Display`, `?` with `Debug`. Without either, the value keeps its
/// type: booleans, integers, floats, strings, lists of these, and `Option`, whose `None` sets no attribute. Expressions are
/// evaluated only when the span is recorded, in the context of the caller. If an expression panics, it and all later fields
/// are lost, but the call proceeds. The same applies to links, unless there is a `parent` or a `root`.
///
/// # Errors
///
/// An `Err` sets the status `Error`, with the messages of the error and its causes, and sets `error.type` to the path of
/// its type, with the variant of an enum that derives `Debug`. For a pointer that hides the type, such as `Box<dyn Error>` or
/// `anyhow::Error`, `error.type` is the name at the start of the error's `Debug` output, such as `NotFound`, or `_OTHER` for
/// text. Implement `telemark::ErrorType` to choose another name. If the function itself sets `error.type` or a status, that value
/// is kept.
///
/// The actual type matters, not its name: an alias of `Result` is treated as a `Result`, but another type called `Result` is not.
/// `err` requires a `Result`, and `err = off` records no error. A `Result` behind a type parameter or an `impl Trait` is not
/// visible.
///
/// The error is also recorded as an exception, an event with `exception.type` and `exception.message`, on the span in which it
/// first appeared. The functions through which it propagates get the status, but do not record the exception again. They
/// recognize the error by its root, which is the last message in its source chain, or its own message if there is no source. If a
/// span that ended within the call, or the span itself, recorded an exception whose root occurs in this error's messages, it is
/// considered the same error. This covers `?`, `map_err`, `anyhow`'s `context`, and futures and threads that run in the call's
/// context. With `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN=logs`, the exception is a log record with the ids of that span instead of an
/// event; with `logs/dup`, it is both. The last eight exceptions of a span are remembered.
///
/// `err_if` determines which `Err` values are errors. Any other `Err` counts as a success, both on the span and in the `metrics`
/// measurement. If the condition panics, it counts as true.
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
/// # Levels
///
/// A filter keeps or leaves out spans by target and level, like a logger's filter. By default, it keeps `info` and above. It is
/// set by the variable `OTEL_RUST_SPANS`, which has the grammar of `RUST_LOG`, as in `OTEL_RUST_SPANS=shop::cart=debug`, and can
/// be changed at run time with
/// [`span_filter::set`](https://docs.rs/telemark/latest/telemark/span_filter/fn.set.html). A call whose span is left out runs
/// as if it had no attribute, except that `metrics` still measures it: its children belong to the span around it, and a `root`
/// or `parent` applies to them.
///
/// ```
/// # use telemark::traced;
/// #[traced(level = "debug")]
/// fn price(item: u32) -> u32 {
///     item * 7
/// }
/// # let _ = price(3);
/// ```
///
/// # Only below another span
///
/// With `below`, a call starts a span only if a span is current, such as that of a request, recorded or not. Any other call runs as if
/// it had no attribute, except that `metrics` still measures it, and evaluates no `fields`. Helpers that run everywhere then add detail
/// to traces without starting traces of their own.
///
/// ```
/// # use telemark::traced;
/// #[traced]
/// fn request() {
///     load(); // a span below that of `request`
/// }
///
/// #[traced(below)]
/// fn load() {}
/// # request();
///
/// fn warm_up() {
///     load(); // no span
/// }
/// # warm_up();
/// ```
///
/// # Futures, streams and iterators
///
/// | on | the span starts | it ends |
/// |---|---|---|
/// | `async fn`, also with `async_trait` | at the first poll, like the body | when the future is ready or dropped |
/// | a function that returns `impl Future`, `Pin<Box<dyn Future>>` or `BoxFuture`, or any other type with `future` | at the call, which is part of the span | same |
/// | a function with `stream` or `iterator` | at the call, which is part of the span | at the first `None`, or when the value is dropped |
/// | everything else | at the call | when the function returns |
///
/// `future`, `stream` and `iterator` support functions that return `impl Trait` or a box: `Pin<Box<dyn ..>>` for a future or a
/// stream, `Box<dyn Iterator>` for an iterator, under any alias. Such a box is moved into another box. An alias of a boxed
/// future without one of these options does not compile, because its span would end before the work begins.
///
/// The span of a stream or an iterator records the number of items as `telemark.items`, and the first item that is an `Err`
/// sets its status. The manual counterpart is
/// [`SpanBuilder::run_stream`](https://docs.rs/telemark/latest/telemark/struct.SpanBuilder.html#method.run_stream), which
/// does not inspect the items.
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
/// If the value is dropped before its end, the span gets `telemark.outcome = "cancelled"`. If a panic leaves the function, the
/// span gets the status `Error`, `error.type = "panic"` and `telemark.outcome = "panicked"`, and the panic continues.
///
/// # The `main` function
///
/// `#[traced]` on `main` does not compile, above or below `#[tokio::main]`: the span would start before `telemark::init()` and
/// end after the flush. Trace a function that `main` calls after `init`.
///
/// # `#[track_caller]`
///
/// To inspect the return value, the macro moves the body into a closure, in which `Location::caller` is a place in the
/// function itself. In a function with `#[track_caller]`, the macro does so only if the return type is called `Result`;
/// `err = off` leaves the body in place.
///
/// # Metrics
///
/// `metrics` adds a histogram of the function's calls, `telemark.function.duration` in seconds, from which their rate, errors
/// and durations follow:
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
/// | `error.type` | on failed calls: the type of the error as on the span, or `panic` |
/// | `telemark.outcome` | `panicked`, or `cancelled` for a future that was dropped before completion |
///
/// Every call that begins is measured once, sampled or not, from the start of the span; an `async fn` begins with its first
/// poll. The measurement is recorded inside the span, so its exemplars point to it. `fields` do not become attributes of the
/// metric, because each of their values would create a series. While telemetry is
/// [suppressed](https://docs.rs/telemark/latest/telemark/fn.suppress.html), nothing is measured.
///
/// # Cost
///
/// Without an installed tracer, and if the filter leaves its span out, a call costs one relaxed load, and a second one with
/// `metrics`. A call below an unsampled span
/// allocates nothing and attaches nothing; `metrics` adds two clock readings and a measurement. Such a call has
/// its own span id, which Telemark's propagators send and `telemark::current_span_context` returns; `Context::current()`
/// still holds its parent.
///
/// A traced `async fn` is a future inside a future, and both hold the arguments: with 64 bytes of arguments it takes 200 bytes
/// instead of 72. A chain of 14 such functions that await each other without a `Box::pin` between them reaches the compiler's
/// default limit of nested types, compared with 34 untraced ones; the compiler then reports "queries overflow the depth limit"
/// or "overflow evaluating the requirement". `#![recursion_limit = "256"]` at the top of the crate doubles both numbers.
/// `Box::pin` around one call in the chain stops the growth of the futures; arguments behind a reference or an `Arc` add
/// little.
#[proc_macro_attribute]
pub fn traced(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options.into(), item.into()).unwrap_or_else(Error::into_compile_error).into()
}
