//! The exporter's built-in server, for programs without one. Serves the page at `/metrics` on its own thread.

use std::net::SocketAddr;

use http::{HeaderValue, Response, StatusCode, header};
use telemark_sdk::config::{Env, Settings};
use telemark_sdk::time::Deadline;
use telemark_sdk::{ConfigError, ExportError};
use telemark_serve::BindError;

use crate::exporter::PrometheusExporter;

const HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

/// Serves the page at `/metrics` until dropped.
///
/// Slow or silent clients do not delay other clients. [`telemark_serve`] documents the limits. Collections run
/// one after another on the server's thread, so a stuck callback does delay the page.
///
/// On a loopback address, the server responds only to requests for `localhost`, a loopback address, the configured
/// host, or a host from [`ServerBuilder::with_allowed_hosts`]. This protects against DNS rebinding.
///
/// ```
/// use telemark_prometheus::{PrometheusExporter, Server};
///
/// let prometheus = PrometheusExporter::new();
/// let server = Server::start(prometheus.clone(), "localhost", 0)?;
/// println!("http://{}/metrics", server.address());
/// # Ok::<(), telemark_sdk::ConfigError>(())
/// ```
///
/// spec: metrics/sdk_exporters/prometheus.md#configuration
#[derive(Debug)]
pub struct Server(telemark_serve::Server);

impl Server {
    /// Starts a server on a host and a port. Port 0 picks a free port.
    ///
    /// # Errors
    /// The error names `host` if it is not an address of this machine, and `port` if the port is taken or
    /// reserved. Also fails if the operating system cannot provide a thread or a file descriptor.
    pub fn start(prometheus: PrometheusExporter, host: &str, port: u16) -> Result<Self, ConfigError> {
        Server::builder(prometheus).with_host(host).with_port(port).start()
    }

    /// Starts a server on `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT`, which default to
    /// `localhost` and `9464`.
    ///
    /// # Errors
    /// Fails in the same cases as [`Server::start`], but the error names the variable instead of the argument.
    pub fn from_env(prometheus: PrometheusExporter, env: &Env) -> Result<Self, ConfigError> {
        let mut builder = Server::builder(prometheus);
        (builder.host_setting, builder.port_setting) = (HOST, PORT);
        if let Some(host) = env.string(HOST) {
            builder = builder.with_host(host);
        }
        let port = env.integer(PORT, 0..=usize::from(u16::MAX));
        if let Some(port) = port.and_then(|port| u16::try_from(port).ok()) {
            builder = builder.with_port(port);
        }
        builder.start()
    }

    /// Starts a server with the settings `host` and `port` of `prometheus/development` in a configuration file.
    ///
    /// # Errors
    /// Fails in the same cases as [`Server::start`].
    pub fn from_settings(prometheus: PrometheusExporter, settings: Settings<'_>) -> Result<Self, ConfigError> {
        let mut builder = Server::builder(prometheus);
        if let Some(host) = settings.text("host") {
            builder = builder.with_host(host);
        }
        let port = settings.integer("port", 0..=i64::from(u16::MAX));
        if let Some(port) = port.and_then(|port| u16::try_from(port).ok()) {
            builder = builder.with_port(port);
        }
        builder.start()
    }

    /// Returns a builder for a server, which listens on `localhost:9464` by default.
    pub fn builder(prometheus: PrometheusExporter) -> ServerBuilder {
        ServerBuilder {
            prometheus,
            host: "localhost".to_owned(),
            port: 9464,
            allowed_hosts: Vec::new(),
            host_setting: "host",
            port_setting: "port",
        }
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Shuts the server down. Pages being sent get up to 250 ms to finish.
    ///
    /// # Errors
    /// Fails if the deadline passes first. The server still shuts down later.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.shutdown(deadline)
    }
}

/// Configures and starts a [`Server`].
///
/// ```
/// use telemark_prometheus::{PrometheusExporter, Server};
///
/// let builder = Server::builder(PrometheusExporter::new()).with_host("127.0.0.1").with_port(0);
/// let server = builder.with_allowed_hosts(["metrics.internal"]).start()?;
/// assert!(server.address().ip().is_loopback());
/// # Ok::<(), telemark_sdk::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct ServerBuilder {
    prometheus: PrometheusExporter,
    host: String,
    port: u16,
    allowed_hosts: Vec<String>,
    host_setting: &'static str,
    port_setting: &'static str,
}

impl ServerBuilder {
    /// Sets the host name or address to listen on. Defaults to `localhost`.
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Sets the port. Defaults to 9464; port 0 picks a free port.
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the hosts, without ports, that requests may address in addition to `localhost` and loopback
    /// addresses. If none are set, a server on a non-loopback address accepts every host, because Prometheus
    /// scrapes pods by IP address.
    pub fn with_allowed_hosts<N: Into<String>>(mut self, hosts: impl IntoIterator<Item = N>) -> Self {
        self.allowed_hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// Fails in the same cases as [`Server::start`].
    pub fn start(self) -> Result<Server, ConfigError> {
        let ServerBuilder { prometheus, host, port, mut allowed_hosts, host_setting, port_setting } = self;
        let listener = telemark_serve::bind(&host, port).map_err(|error| match error {
            BindError::Port(error) => {
                ConfigError::invalid(port_setting, port.to_string(), "a port that is free, or 0 for any")
                    .with_source(error)
            }
            error => ConfigError::invalid(host_setting, &*host, "a host name or an address of this machine")
                .with_source(error),
        })?;
        // The host may be another name for a loopback address.
        let is_loopback = listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
        if is_loopback {
            allowed_hosts.push(host);
        }
        let handler = move |request: &http::request::Parts| match request.uri.path() {
            "/metrics" => prometheus.respond(&request.headers),
            _ => not_found(),
        };
        let server = telemark_serve::Server::builder("telemark-prometheus", handler);
        server.with_allowed_hosts(allowed_hosts).start(listener).map(Server)
    }
}

fn not_found() -> Response<Vec<u8>> {
    let mut response = Response::new(b"the page is at /metrics\n".to_vec());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
