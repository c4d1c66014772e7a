//! A middleware for `reqwest-middleware`, with a span for each attempt.

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};
use telemark_http::{Failure, HttpClientInstrumentation, ResendCounter};

use crate::defaults::{Defaults, GlobalTelemetry};
use crate::send::{begin, fail, respond};

/// A middleware whose requests have a client span and metrics.
///
/// Put it below a middleware that retries, which is after it in the builder: each attempt is then a span of its own, with
/// `http.request.resend_count`, and sends its own context.
///
/// ```
/// use reqwest_middleware::ClientBuilder;
/// use telemark_reqwest::Instrumented;
///
/// let client = ClientBuilder::new(reqwest::Client::new())
///     // .with(RetryTransientMiddleware::new_with_policy(..))
///     .with(Instrumented::new())
///     .build();
/// # let _ = client;
/// ```
///
/// A [`UrlTemplate`](telemark_http::UrlTemplate) among the extensions of a request names its span.
///
/// A middleware does not see redirects: they are not events, and the trace context follows them, also to hosts outside of
/// [`ClientConfig::with_propagation_hosts`](crate::ClientConfig::with_propagation_hosts). Disable redirects in the
/// `reqwest::Client` below if that must not happen.
#[derive(Clone, Debug)]
pub struct Instrumented(HttpClientInstrumentation);

impl Instrumented {
    /// Returns a middleware on the API's global providers, with the default settings.
    pub fn new() -> Self {
        Instrumented(GlobalTelemetry::instrumentation())
    }

    /// Returns a middleware with its own telemetry and settings.
    pub fn with_instrumentation(instrumentation: HttpClientInstrumentation) -> Self {
        Instrumented(instrumentation)
    }
}

impl Default for Instrumented {
    fn default() -> Self {
        Instrumented::new()
    }
}

#[async_trait::async_trait]
impl Middleware for Instrumented {
    async fn handle(&self, mut request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        // All attempts of a request share its extensions.
        extensions.get_or_insert_default::<ResendCounter>();
        let mut call = begin(&self.0, &mut request, None, Some(extensions));
        let sent = call.run(next.run(request, extensions)).await;
        match sent {
            Ok(response) => Ok(respond(&mut call, response)),
            Err(error) => {
                match &error {
                    Error::Reqwest(error) => fail(&mut call, error),
                    Error::Middleware(error) => {
                        let error: &(dyn std::error::Error + 'static) = &**error;
                        call.fail(Failure::from_error(error, "middleware"));
                    }
                }
                Err(error)
            }
        }
    }
}
