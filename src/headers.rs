//! Trace context in HTTP request headers, for clients and servers without a layer.

use http::HeaderMap;
use opentelemetry::Context;
use telemark_http::{HeaderExtractor, HeaderInjector};
use telemark_sdk::error::catch;
use telemark_sdk::instrument::private::current_context;
use telemark_sdk::propagation::active;

/// Writes the context of the current span and its baggage into the headers of a request, so that the receiver's spans
/// join the same trace. The formats are selected by `OTEL_PROPAGATORS`, by default `traceparent`, `tracestate` and
/// `baggage`. Replaces existing headers with these names. Writes nothing if there is neither a current span nor baggage.
///
/// With hyper and other libraries that use the `http` crate's requests:
///
/// ```
/// use telemark::traced;
///
/// #[traced(kind = client)]
/// fn stock(sku: &str) -> Result<http::Request<()>, http::Error> {
///     let mut request = http::Request::get(format!("http://inventory/stock/{sku}")).body(())?;
///     telemark::inject(request.headers_mut());
///     Ok(request) // to the client: client.request(request).await
/// }
/// # stock("cup")?;
/// # Ok::<(), http::Error>(())
/// ```
///
/// With reqwest, which uses the same `HeaderMap` type:
///
/// ```
/// let mut headers = http::HeaderMap::new(); // or reqwest::header::HeaderMap
/// telemark::inject(&mut headers);
/// // client.get(url).headers(headers).send().await?
/// ```
///
/// spec: context/api-propagators.md#inject
pub fn inject(headers: &mut HeaderMap) {
    // The propagator may be user code. If it panics, the request is sent without context.
    let _ = catch(|| active::inject(&current_context(), &mut HeaderInjector(headers)));
}

/// Returns the current context with the span context and the baggage from the headers of a request. Missing or invalid
/// headers leave it unchanged. The HTTP layers already do this.
///
/// ```
/// use telemark::traced;
///
/// fn receive(request: &http::Request<String>) {
///     let _sender = telemark::extract(request.headers()).attach();
///     handle(request.body());
/// }
///
/// #[traced(kind = server)] // a child of the sender's span
/// fn handle(body: &str) {}
/// # receive(&http::Request::new(String::new()));
/// ```
///
/// The guard of an attached context must not live across an `.await`. In an async handler, pass the context as the span's
/// parent instead, to [`span`](crate::span()) or to `#[traced(parent = context)]`:
///
/// ```
/// # async fn work() {}
/// async fn handler(headers: http::HeaderMap) {
///     telemark::span("receive").with_parent(telemark::extract(&headers)).run(work()).await;
/// }
/// ```
///
/// spec: context/api-propagators.md#extract
pub fn extract(headers: &HeaderMap) -> Context {
    let current = current_context();
    catch(|| active::extract(&current, &HeaderExtractor(headers))).unwrap_or(current)
}
