//! The viewer: the store behind a web server.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use telemark_sdk::time::Deadline;
use telemark_sdk::{ConfigError, ExportError};
use telemark_serve::Server;

use crate::api::Api;
use crate::store::Store;

/// The name of the server's thread.
const NAME: &str = "telemark-viewer";
/// The maximum size of a request from a tool in bytes.
const MAX_BODY: usize = 64 << 10;

/// Serves the page and the JSON API. Dropping it ends the server, and keeps the store.
///
/// ```
/// use telemark_serve::bind;
/// use telemark_viewer::{Limits, Store, Viewer};
///
/// let store = Store::new(Limits::default());
/// let viewer = Viewer::builder(store.clone()).start(bind("localhost", 0)?)?;
/// println!("See {}", viewer.link());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Viewer {
    server: Server,
    token: Option<String>,
}

impl Viewer {
    /// Returns a builder for the viewer of a store.
    pub fn builder(store: Arc<Store>) -> ViewerBuilder {
        ViewerBuilder { store, token: None, receivers: Vec::new(), in_process: false }
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns the link to the page, with the token if there is one. Whoever has the link can read the telemetry, so it belongs in
    /// no log.
    pub fn link(&self) -> String {
        match &self.token {
            Some(token) => format!("{}?token={token}", self.page()),
            None => self.page(),
        }
    }

    /// Returns the link to the page without the token, which may be logged.
    pub fn page(&self) -> String {
        let mut address = self.address();
        // Nothing can connect to an unspecified address everywhere.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("http://{address}/")
    }

    /// Shuts the server down. Pending responses have up to 250 ms to be sent.
    ///
    /// # Errors
    /// Fails if the deadline passes first. The server still shuts down later.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.server.shutdown(deadline)
    }
}

/// Configures and starts a [`Viewer`].
///
/// ```
/// use telemark_serve::bind;
/// use telemark_viewer::{Limits, Store, Viewer};
///
/// let builder = Viewer::builder(Store::new(Limits::default())).with_token("correct-horse-battery");
/// let viewer = builder.start(bind("localhost", 0)?)?;
/// assert!(viewer.link().ends_with("/?token=correct-horse-battery"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct ViewerBuilder {
    store: Arc<Store>,
    token: Option<String>,
    receivers: Vec<(&'static str, String)>,
    in_process: bool,
}

impl ViewerBuilder {
    /// Requires a token for all requests: in the link, which moves it to a cookie, or as `Authorization: Bearer`.
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Shows an address that receives OTLP, such as `grpc` at `127.0.0.1:4317`.
    pub fn with_receiver(mut self, protocol: &'static str, address: impl ToString) -> Self {
        self.receivers.push((protocol, address.to_string()));
        self
    }

    /// Shows that the viewer runs inside the program whose telemetry it holds.
    pub fn in_process(mut self, in_process: bool) -> Self {
        self.in_process = in_process;
        self
    }

    /// Starts the server's thread.
    ///
    /// # Errors
    /// Fails if the address is not a loopback address and there is no token, if the token has fewer than 16 characters or
    /// others than letters, digits and `-._~`, or if the operating system cannot provide a thread.
    pub fn start(self, listener: TcpListener) -> Result<Viewer, ConfigError> {
        let ViewerBuilder { store, token, receivers, in_process } = self;
        let address = listener
            .local_addr()
            .map_err(|error| ConfigError::state(NAME, "the address of the listener is not known").with_source(error))?;
        if token.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(ConfigError::state(NAME, "an address that other machines can reach requires a token"));
        }
        let api = Api::new(store, address, receivers, in_process, token.clone()).ok_or_else(|| {
            ConfigError::state(NAME, "the token needs at least 16 characters: letters, digits and -._~")
        })?;
        let server = Server::builder(NAME, api).with_max_body(MAX_BODY).start(listener)?;
        Ok(Viewer { server, token })
    }
}

impl fmt::Debug for ViewerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ViewerBuilder { store: _, token, receivers, in_process } = self;
        f.debug_struct("ViewerBuilder")
            .field("has_token", &token.is_some())
            .field("receivers", receivers)
            .field("in_process", in_process)
            .finish_non_exhaustive()
    }
}
