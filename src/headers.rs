//! The context of a trace in the headers of HTTP requests, for clients and servers without a layer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use http::HeaderMap;
use opentelemetry::Context;
use telemark_http::{HeaderExtractor, HeaderInjector};
use telemark_sdk::propagation::active;

/// Writes the context of the current span and its baggage into the headers of a request, so that the receiver's spans join the
/// same trace. The formats are those of `OTEL_PROPAGATORS`, by default `traceparent`, `tracestate` and `baggage`; headers of
/// these names are replaced. Without a span and without baggage nothing is written.
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
/// With reqwest, whose `HeaderMap` is the same type:
///
/// ```
/// let mut headers = http::HeaderMap::new(); // or reqwest::header::HeaderMap
/// telemark::inject(&mut headers);
/// // client.get(url).headers(headers).send().await?
/// ```
///
/// spec: context/api-propagators.md#inject
pub fn inject(headers: &mut HeaderMap) {
    // The propagator may be the user's code: if it panics, the request is sent without a context.
    let _ = catch_unwind(AssertUnwindSafe(|| active::inject(&Context::current(), &mut HeaderInjector(headers))));
}

/// Returns the current context with the span context and the baggage from the headers of a request. Missing or invalid headers
/// leave it unchanged. The HTTP layers do this by themselves.
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
/// spec: context/api-propagators.md#extract
pub fn extract(headers: &HeaderMap) -> Context {
    let current = Context::current();
    let extract = || active::extract(&current, &HeaderExtractor(headers));
    catch_unwind(AssertUnwindSafe(extract)).unwrap_or(current)
}
