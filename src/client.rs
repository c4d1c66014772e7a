//! The HTTP clients, to which the facade adds the installed tracer, the engine's clock, and settings from the environment. The
//! meter is the API's global one, which `init` sets if metrics are read. A client created in a test uses the tracer, the meter
//! and the clock of the test's telemetry.

#![cfg(any(feature = "reqwest", feature = "tower"))]

use opentelemetry::metrics::MeterProvider;
use opentelemetry::{Context, InstrumentationScope};
use telemark_http::{ClientConfig, ClientMetrics, HttpClientInstrumentation};
use telemark_sdk::config::Env;
use telemark_sdk::time::Clock;
use telemark_sdk::trace::active::{self, ActiveTracer};
use telemark_sdk::{diag, metrics};

/// reqwest 0.13 with a client span and metrics for every request. Replace `use reqwest;` by `use telemark::reqwest;`.
///
/// ```no_run
/// use telemark::reqwest;
///
/// # async fn run() -> Result<(), reqwest::Error> {
/// let client = reqwest::Client::new(); // uses the telemetry started by `init`, and settings from the environment
/// let stock = client.get("https://stock.example/items/7").send().await?.text().await?;
/// # Ok(())
/// # }
/// ```
///
/// The module has everything that reqwest has. A client created before `init` starts recording with `init`; a client created in
/// a test records into the [`TestTelemetry`](crate::testing::TestTelemetry) attached there. `telemark_reqwest` describes the
/// spans, the metrics and the settings.
///
/// Variables named `OTEL_RUST_HTTP_CLIENT_*` set all clients, and code sets one:
///
/// ```no_run
/// # fn run() -> Result<(), telemark::reqwest::Error> {
/// let client = telemark::reqwest::Client::builder()
///     .map_config(|config| config.with_propagation_hosts(["*.shop.example"]).with_url_templates(["/items/{id}"]))
///     .build()?;
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
///
/// The feature `reqwest` enables reqwest's features `form`, `json`, `multipart` and `query`, and none of reqwest's default
/// features. Depend on `reqwest` as well, for TLS, `http2`, `charset` and `system-proxy`. Methods that this builder does not have
/// are called on reqwest's own: `Client::builder().map_inner(|builder| builder.gzip(true))`.
///
/// `OTEL_RUST_HTTP_CLIENT_CONNECTION_PHASES=true` shows where the time before a response goes: the resolution of the name and the
/// connection are events of the span.
#[cfg(feature = "reqwest")]
pub mod reqwest {
    pub use telemark_reqwest::*;

    /// reqwest's client with a span and metrics for every request.
    pub type Client = InstrumentedClient<Telemetry>;

    /// Builds a [`Client`].
    pub type ClientBuilder = InstrumentedClientBuilder<Telemetry>;

    /// Builds a request of a [`Client`].
    pub type RequestBuilder = InstrumentedRequestBuilder<Telemetry>;

    /// The telemetry of clients: that of the program, or of the test in which the client is created.
    #[derive(Clone, Copy, Debug)]
    pub struct Telemetry;

    impl Defaults for Telemetry {
        fn instrumentation() -> HttpClientInstrumentation {
            super::on_current_telemetry(scope(), "reqwest")
        }
    }

    /// Sends a `GET` request with a new client.
    ///
    /// # Errors
    /// Fails like `reqwest::get`.
    pub async fn get<U: IntoUrl>(url: U) -> Result<Response> {
        Client::builder().build()?.get(url).send().await
    }

    /// Returns a middleware for `reqwest-middleware`, using the telemetry started by [`init`](crate::init) and settings from
    /// the environment. Put it below a middleware that retries: each attempt is then a span.
    #[cfg(feature = "reqwest-middleware")]
    pub fn middleware() -> Instrumented {
        Instrumented::with_instrumentation(Telemetry::instrumentation())
    }
}

/// hyper 1 with spans and metrics: hyper-util's client, and services for hyper's server.
///
/// The program depends on `hyper-util` with the features `client-legacy`, `http1` and `tokio`:
///
/// ```no_run
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = telemark::hyper::client(Client::builder(TokioExecutor::new()).build_http::<String>());
/// let response = client.get("http://stock.example/items/7".parse()?).await?;
/// # Ok(())
/// # }
/// ```
///
/// For a server, wrap the service of each connection: `HttpService::new(&layer, service).with_peer(peer)`, with one
/// [`server_layer`](hyper::server_layer) for all of them. `telemark_hyper` shows a whole server.
///
/// [`connector`](hyper::connector) observes new connections: their phases and their number.
#[cfg(feature = "hyper")]
pub mod hyper {
    pub use telemark_hyper::*;
    use telemark_sdk::trace::active::ActiveTracer;

    /// Returns the client with spans and metrics, using the telemetry started by [`init`](crate::init) and settings from the
    /// environment.
    ///
    /// A client created in a test records into the [`TestTelemetry`](crate::testing::TestTelemetry) attached there.
    pub fn client<C, B>(client: LegacyClient<C, B>) -> Client<C, B> {
        Client::new(client).with_instrumentation(super::on_current_telemetry(scope(), "hyper"))
    }

    /// Wraps a connector, so that the phases of a new connection are events of the request that waits for it, and connections
    /// are counted, using the telemetry started by [`init`](crate::init) and settings from the environment.
    ///
    /// Both are off by default: `OTEL_RUST_HTTP_CLIENT_CONNECTION_PHASES=true` and
    /// `OTEL_RUST_HTTP_CLIENT_METRICS=duration,connections` enable them. [`ObservedResolver`] adds the resolution of names.
    ///
    /// ```
    /// use hyper_util::client::legacy::{Client, connect::HttpConnector, connect::dns::GaiResolver};
    /// use hyper_util::rt::TokioExecutor;
    /// use telemark::hyper::ObservedResolver;
    ///
    /// let http = HttpConnector::new_with_resolver(ObservedResolver::new(GaiResolver::new()));
    /// let client = Client::builder(TokioExecutor::new()).build::<_, String>(telemark::hyper::connector(http));
    /// let client = telemark::hyper::client(client);
    /// # let _ = client;
    /// ```
    pub fn connector<C>(connector: C) -> ObservedConnector<C> {
        ObservedConnector::new(connector).with_instrumentation(super::on_current_telemetry(scope(), "hyper"))
    }

    /// Wraps a connector that adds TLS to a [`connector`] within. Both report their phase, and a connection is counted once.
    pub fn tls_connector<C>(connector: C) -> ObservedConnector<C> {
        ObservedConnector::tls(connector).with_instrumentation(super::on_current_telemetry(scope(), "hyper"))
    }

    /// Returns the server layer for [`HttpService::new`], using the telemetry started by [`init`](crate::init) and settings
    /// from the environment. All connections of a server should share it.
    ///
    /// `OTEL_RUST_HTTP_SERVER_ROUTE_TEMPLATES` or [`ServerConfig::with_route_templates`] names the routes, since hyper has no
    /// router.
    pub fn server_layer() -> HttpServerLayer<DefaultPolicy, ActiveTracer> {
        let layer = HttpServerLayer::new().with_global_meter(scope());
        crate::server::on_current_telemetry(layer, scope(), "hyper")
    }
}

/// Returns an instrumentation with the current test's telemetry, or else with the program's telemetry.
pub(crate) fn on_current_telemetry(scope: InstrumentationScope, integration: &str) -> HttpClientInstrumentation {
    let context = Context::current();
    let config = config(&context, integration, &Env::process());
    let instrumentation = HttpClientInstrumentation::new(config, ActiveTracer::new(scope.clone()));
    instrumentation.with_metrics(match metrics::active::in_context(&context) {
        Some(of_test) => ClientMetrics::new(&of_test.meter_with_scope(scope)),
        None => ClientMetrics::global(scope),
    })
}

fn config(context: &Context, integration: &str, env: &Env) -> ClientConfig {
    let is_enabled = crate::enabled::is_enabled(integration, env);
    let config = ClientConfig::from_env_fn(|name| env.string(name)).with_enabled(is_enabled);
    for problem in config.problems() {
        diag::log(diag::Level::Warn, "http.client.config", format_args!("{problem}"));
    }
    // Uses the same clock as spans around a request.
    let clock = active::clock_in_context(context).unwrap_or_else(Clock::system);
    config.with_clock(move || clock.now().into())
}

#[cfg(all(test, feature = "reqwest"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use telemark_sdk::testing::TestTelemetry;

    use super::*;

    #[test]
    fn a_client_created_in_a_test_records_there() {
        let telemetry = TestTelemetry::new();
        let attached = telemetry.attach();
        let client = reqwest::Client::new();
        drop(attached);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Nothing listens there.
        let sent = runtime.block_on(async { client.get("http://127.0.0.1:1/").send().await });
        sent.unwrap_err();
        let spans = telemetry.spans();
        assert_eq!((spans.len(), &*spans[0].name), (1, "GET"));
        assert!(telemetry.metrics().contains("http.client.request.duration[s]{error.type=connection_refused"));
        assert_eq!(spans[0].scope.name(), "telemark-reqwest");
    }

    #[test]
    fn the_environment_configures_and_disables_clients() {
        let shown = |variables: &[(&'static str, &'static str)]| {
            format!("{:?}", config(&Context::new(), "reqwest", &Env::from_pairs(variables.iter().copied())))
        };
        let default = shown(&[]);
        assert!(default.contains("is_disabled: false"));
        assert!(shown(&[("OTEL_RUST_INSTRUMENTATION_REQWEST_ENABLED", "false")]).contains("is_disabled: true"));
        assert!(shown(&[("OTEL_RUST_INSTRUMENTATION_COMMON_DEFAULT_ENABLED", "false")]).contains("is_disabled: true"));
        assert_ne!(shown(&[("OTEL_RUST_HTTP_CLIENT_METRICS", "none")]), default);
    }
}
