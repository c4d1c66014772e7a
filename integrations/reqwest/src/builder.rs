//! The builder of a client, with the methods of reqwest's.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Proxy, Result, dns, retry};
use telemark_http::{ClientConfig, HttpClientInstrumentation};

use crate::client::InstrumentedClient;
use crate::credentials::may_add_credentials;
use crate::defaults::{Defaults, GlobalTelemetry};
use crate::phases::{ObservedResolver, PhaseLayer, observe_default_resolver};
use crate::redirects::{Redirects, Rules};

/// A [`reqwest::ClientBuilder`] whose client has spans and metrics.
///
/// The methods without a description of their own are reqwest's. Those of reqwest's TLS features and other features that this
/// crate does not have are available through [`InstrumentedClientBuilder::map_inner`].
#[must_use]
pub struct InstrumentedClientBuilder<D = GlobalTelemetry> {
    inner: reqwest::ClientBuilder,
    /// `None` if the policy is inside of a builder from elsewhere.
    redirect: Option<Policy>,
    https_only: bool,
    instrumentation: Option<HttpClientInstrumentation>,
    changes: Vec<Change>,
    defaults: PhantomData<fn() -> D>,
}

type Change = Box<dyn FnOnce(ClientConfig) -> ClientConfig + Send>;

impl<D: Defaults> InstrumentedClientBuilder<D> {
    /// Returns a builder with reqwest's defaults.
    pub fn new() -> Self {
        // A resolver that `map_inner` sets later replaces this one.
        let inner = observe_default_resolver(reqwest::ClientBuilder::new());
        InstrumentedClientBuilder { redirect: Some(Policy::default()), ..inner.into() }
    }

    /// Returns the client.
    ///
    /// # Errors
    /// Fails like `reqwest::ClientBuilder::build`.
    pub fn build(self) -> Result<InstrumentedClient<D>> {
        let InstrumentedClientBuilder { mut inner, redirect, https_only, instrumentation, changes, .. } = self;
        let instrumentation = instrumentation.unwrap_or_else(D::instrumentation);
        let instrumentation = changes.into_iter().fold(instrumentation, HttpClientInstrumentation::map_config);
        if instrumentation.config().records_connection_phases() {
            inner = inner.connector_layer(PhaseLayer);
        }
        let mut redirects = Redirects::unobserved();
        if let Some(policy) = redirect {
            let (observing, referer);
            (inner, referer) = with_referer(inner);
            let can_repeat = !may_add_credentials(&inner);
            let rules = Rules { can_repeat, referer, https_only };
            (redirects, observing) = Redirects::observed(policy, rules, instrumentation.clone());
            inner = inner.redirect(observing);
        }
        Ok(InstrumentedClient::from_parts(inner.build()?, instrumentation, redirects))
    }
}

/// The methods of reqwest's builder, by name and parameters.
macro_rules! forward {
    ($(
        $(#[cfg($($condition:tt)*)])*
        fn $method:ident($($name:ident: $type:ty),*);
    )*) => {
        $(
            $(#[cfg($($condition)*)])*
            #[doc = concat!("See `reqwest::ClientBuilder::", stringify!($method), "`.")]
            pub fn $method(self $(, $name: $type)*) -> Self {
                self.map_inner(|inner| inner.$method($($name),*))
            }
        )*
    };
}

impl<D> InstrumentedClientBuilder<D> {
    /// Changes reqwest's builder, for methods that this builder does not have.
    ///
    /// A redirect policy that is set here is replaced when the client is built.
    pub fn map_inner(mut self, change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Self {
        self.inner = change(self.inner);
        self
    }

    /// Replaces the telemetry and the settings of the client. Changes by [`InstrumentedClientBuilder::map_config`] apply to
    /// it, regardless of the order of the calls.
    pub fn with_instrumentation(mut self, instrumentation: HttpClientInstrumentation) -> Self {
        self.instrumentation = Some(instrumentation);
        self
    }

    /// Changes the settings of the client. `change` receives the present settings, including those from the environment,
    /// and returns new ones.
    pub fn map_config(mut self, change: impl FnOnce(ClientConfig) -> ClientConfig + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Sets the redirect policy. Redirects become events of the span with every policy.
    pub fn redirect(mut self, policy: Policy) -> Self {
        self.redirect = Some(policy);
        self
    }

    /// See `reqwest::ClientBuilder::https_only`. Set it here rather than with [`InstrumentedClientBuilder::map_inner`], so that
    /// a redirect to an `http` URL of another host fails as a redirect, like in reqwest.
    pub fn https_only(mut self, enabled: bool) -> Self {
        self.https_only = enabled;
        self.map_inner(|inner| inner.https_only(enabled))
    }

    /// See `reqwest::ClientBuilder::default_headers`.
    ///
    /// A client with credentials among its default headers cannot withhold the trace context from redirects; see
    /// [the crate](crate#redirects-to-other-hosts).
    pub fn default_headers(self, headers: HeaderMap) -> Self {
        self.map_inner(|inner| inner.default_headers(headers))
    }

    /// See `reqwest::ClientBuilder::user_agent`.
    pub fn user_agent<V>(self, value: V) -> Self
    where
        V: TryInto<HeaderValue>,
        V::Error: Into<http::Error>,
    {
        self.map_inner(|inner| inner.user_agent(value))
    }

    /// See `reqwest::ClientBuilder::pool_idle_timeout`.
    pub fn pool_idle_timeout(self, value: impl Into<Option<Duration>>) -> Self {
        self.map_inner(|inner| inner.pool_idle_timeout(value))
    }

    /// See `reqwest::ClientBuilder::local_address`.
    pub fn local_address(self, address: impl Into<Option<IpAddr>>) -> Self {
        self.map_inner(|inner| inner.local_address(address))
    }

    /// See `reqwest::ClientBuilder::dns_resolver`. With [`ClientConfig::with_connection_phases`], its work is a phase of the request.
    pub fn dns_resolver<R: dns::Resolve + 'static>(self, resolver: Arc<R>) -> Self {
        self.map_inner(|inner| inner.dns_resolver(ObservedResolver(resolver)))
    }

    /// See `reqwest::ClientBuilder::cookie_provider`.
    #[cfg(feature = "cookies")]
    pub fn cookie_provider<C: reqwest::cookie::CookieStore + 'static>(self, store: Arc<C>) -> Self {
        self.map_inner(|inner| inner.cookie_provider(store))
    }

    forward! {
        #[cfg(feature = "cookies")]
        fn cookie_store(enable: bool);
        #[cfg(feature = "gzip")]
        fn gzip(enable: bool);
        #[cfg(feature = "deflate")]
        fn deflate(enable: bool);
        fn referer(enable: bool);
        fn no_gzip();
        fn no_brotli();
        fn no_zstd();
        fn no_deflate();
        fn retry(policy: retry::Builder);
        fn proxy(proxy: Proxy);
        fn no_proxy();
        fn timeout(timeout: Duration);
        fn read_timeout(timeout: Duration);
        fn connect_timeout(timeout: Duration);
        fn connection_verbose(verbose: bool);
        fn pool_max_idle_per_host(max: usize);
        fn http1_title_case_headers();
        fn http1_allow_obsolete_multiline_headers_in_responses(value: bool);
        fn http1_ignore_invalid_headers_in_responses(value: bool);
        fn http1_allow_spaces_after_header_name_in_responses(value: bool);
        fn http1_max_headers(max: usize);
        fn http1_only();
        fn http09_responses();
        #[cfg(feature = "http2")]
        fn http2_prior_knowledge();
        #[cfg(feature = "http2")]
        fn http2_initial_stream_window_size(size: impl Into<Option<u32>>);
        #[cfg(feature = "http2")]
        fn http2_initial_connection_window_size(size: impl Into<Option<u32>>);
        #[cfg(feature = "http2")]
        fn http2_adaptive_window(enabled: bool);
        #[cfg(feature = "http2")]
        fn http2_max_frame_size(size: impl Into<Option<u32>>);
        #[cfg(feature = "http2")]
        fn http2_max_header_list_size(max_header_size_bytes: u32);
        #[cfg(feature = "http2")]
        fn http2_keep_alive_interval(interval: impl Into<Option<Duration>>);
        #[cfg(feature = "http2")]
        fn http2_keep_alive_timeout(timeout: Duration);
        #[cfg(feature = "http2")]
        fn http2_keep_alive_while_idle(enabled: bool);
        fn tcp_nodelay(enabled: bool);
        fn tcp_keepalive(value: impl Into<Option<Duration>>);
        fn tcp_keepalive_interval(value: impl Into<Option<Duration>>);
        fn tcp_keepalive_retries(value: impl Into<Option<u32>>);
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        fn tcp_user_timeout(value: impl Into<Option<Duration>>);
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux", target_os = "macos"))]
        fn interface(interface: &str);
        fn no_hickory_dns();
        fn resolve(domain: &str, address: SocketAddr);
        fn resolve_to_addrs(domain: &str, addresses: &[SocketAddr]);
    }
}

impl<D: Defaults> Default for InstrumentedClientBuilder<D> {
    fn default() -> Self {
        InstrumentedClientBuilder::new()
    }
}

impl<D> From<reqwest::ClientBuilder> for InstrumentedClientBuilder<D> {
    /// Keeps the redirect policy of `inner`. Unless [`InstrumentedClientBuilder::redirect`] sets one, redirects are not events,
    /// and the trace context follows them, also to hosts outside of
    /// [`ClientConfig::with_propagation_hosts`].
    fn from(inner: reqwest::ClientBuilder) -> Self {
        InstrumentedClientBuilder {
            inner,
            redirect: None,
            https_only: false,
            instrumentation: None,
            changes: Vec::new(),
            defaults: PhantomData,
        }
    }
}

/// Returns the builder, and true if its clients send `Referer` on redirects. reqwest reveals the setting only in the text of a
/// builder, which changes when the setting does.
fn with_referer(builder: reqwest::ClientBuilder) -> (reqwest::ClientBuilder, bool) {
    let before = format!("{builder:?}");
    let builder = builder.referer(false);
    let is_sent = before != format!("{builder:?}");
    (builder.referer(is_sent), is_sent)
}

impl<D> fmt::Debug for InstrumentedClientBuilder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
