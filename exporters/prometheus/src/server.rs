//! The exporter's own server, for programs that have none: the page at `/metrics` on a thread of its own.

use std::net::SocketAddr;

use http::{HeaderValue, Response, StatusCode, header};
use telemark_sdk::config::Env;
use telemark_sdk::time::Deadline;
use telemark_sdk::{ConfigError, ExportError};
use telemark_serve::BindError;

use crate::exporter::Prometheus;

const HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

/// A server of the page at `/metrics`. It ends when it is dropped.
///
/// Clients that send or read slowly, or not at all, hold up nobody: see [`telemark_serve`] for the bounds. Collections follow
/// each other on its thread, so a callback that is stuck does hold up the page.
///
/// While it listens on a loopback address, it answers requests for `localhost`, loopback addresses, the host it was given and
/// [`ServerBuilder::with_allowed_hosts`], which defends against DNS rebinding.
///
/// spec: metrics/sdk_exporters/prometheus.md#configuration
#[derive(Debug)]
pub struct Server(telemark_serve::Server);

impl Server {
    /// Listens on a host's address; port 0 is a free one.
    ///
    /// # Errors
    /// Names `host` if it has no address here, `port` if it is taken or reserved; or the system gives no thread or descriptor.
    pub fn start(prometheus: Prometheus, host: &str, port: u16) -> Result<Self, ConfigError> {
        Server::builder(prometheus).with_host(host).with_port(port).start()
    }

    /// Listens where `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT` say, or else on `localhost:9464`.
    ///
    /// # Errors
    /// Those of [`Server::start`], with the variable instead of the argument.
    pub fn from_env(prometheus: Prometheus, env: &Env) -> Result<Self, ConfigError> {
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

    /// Begins a server on `localhost:9464`.
    pub fn builder(prometheus: Prometheus) -> ServerBuilder {
        ServerBuilder {
            prometheus,
            host: "localhost".to_owned(),
            port: 9464,
            allowed_hosts: Vec::new(),
            host_setting: "host",
            port_setting: "port",
        }
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Ends the server. Pages on their way are sent, for a quarter of a second at most.
    ///
    /// # Errors
    /// The deadline passed first; the server then ends by itself later.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.shutdown(deadline)
    }
}

/// Builds a [`Server`].
#[derive(Debug)]
#[must_use]
pub struct ServerBuilder {
    prometheus: Prometheus,
    host: String,
    port: u16,
    allowed_hosts: Vec<String>,
    host_setting: &'static str,
    port_setting: &'static str,
}

impl ServerBuilder {
    /// Sets the host name or address to listen on; `localhost` by default.
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Sets the port; 9464 by default, 0 for a free one.
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets hosts, without ports, that requests may be for besides `localhost` and loopback addresses. On an address that is no
    /// loopback one, any host is accepted unless there are such: Prometheus scrapes pods by their addresses.
    pub fn with_allowed_hosts<N: Into<String>>(mut self, hosts: impl IntoIterator<Item = N>) -> Self {
        self.allowed_hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// See [`Server::start`].
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
        // A name of this machine may have a loopback address.
        let is_loopback = listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
        if is_loopback {
            allowed_hosts.push(host);
        }
        let server =
            telemark_serve::Server::builder("telemark-prometheus", move |request: &http::request::Parts| match request
                .uri
                .path()
            {
                "/metrics" => prometheus.respond(&request.headers),
                _ => not_found(),
            });
        server.with_allowed_hosts(allowed_hosts).start(listener).map(Server)
    }
}

fn not_found() -> Response<Vec<u8>> {
    let mut response = Response::new(b"the page is at /metrics\n".to_vec());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
