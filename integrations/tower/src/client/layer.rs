//! The layer, which holds the instrumentation of its services.

use telemark_http::{ClientConfig, ClientMetrics, GlobalTracer, HttpClientInstrumentation};
use tower_layer::Layer;

use super::service::HttpClientService;
use crate::layer::scope;

/// Wraps services that send HTTP requests, so that each request has a client span and metrics, and the headers of the request
/// carry its trace context. Cheap to clone.
///
/// Put it below a layer that retries, so that each attempt is a span. For `http.request.resend_count`, insert a
/// [`ResendCounter`](telemark_http::ResendCounter) into the extensions of the request above that layer.
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::Empty;
/// use telemark_tower::{ClientConfig, HttpClientLayer};
/// use tower::{Layer as _, ServiceExt as _, service_fn};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let layer = HttpClientLayer::new().map_config(|config| config.with_propagation_hosts(["*.shop.example"]));
/// let client = layer.layer(service_fn(async |_request: Request<Empty<bytes::Bytes>>| {
///     Ok::<_, std::io::Error>(Response::new(Empty::<bytes::Bytes>::new())) // a hyper client, for instance
/// }));
/// let response = client.oneshot(Request::get("http://stock.shop.example/items/7").body(Empty::new())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HttpClientLayer {
    instrumentation: HttpClientInstrumentation,
}

impl HttpClientLayer {
    /// Returns a layer with the default settings, the global tracer and the global meter.
    pub fn new() -> Self {
        let instrumentation = HttpClientInstrumentation::new(ClientConfig::new(), GlobalTracer::new(scope()));
        HttpClientLayer::with_instrumentation(instrumentation.with_metrics(ClientMetrics::global(scope())))
    }

    /// Returns a layer with its own tracer, meter and settings.
    pub fn with_instrumentation(instrumentation: HttpClientInstrumentation) -> Self {
        HttpClientLayer { instrumentation }
    }

    /// Changes the settings. `change` receives the layer's settings, including those from the environment, and returns new
    /// ones.
    pub fn map_config(mut self, change: impl FnOnce(ClientConfig) -> ClientConfig) -> Self {
        self.instrumentation = self.instrumentation.map_config(change);
        self
    }
}

impl<S> Layer<S> for HttpClientLayer {
    type Service = HttpClientService<S>;

    fn layer(&self, inner: S) -> HttpClientService<S> {
        HttpClientService::new(inner, self.instrumentation.clone())
    }
}

impl Default for HttpClientLayer {
    fn default() -> Self {
        HttpClientLayer::new()
    }
}
