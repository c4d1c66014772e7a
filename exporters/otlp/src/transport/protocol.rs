//! The choice between the two protocols.

use std::sync::Arc;

use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, ExportReport, ResponseStatus};

use crate::config::Config;
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;

use super::connection::Connection;
use super::failure::Failure;
#[cfg(feature = "grpc")]
use super::grpc::Grpc;
use super::http::Http;
use super::request::Headers;

/// One of the two protocols.
#[derive(Debug)]
pub(crate) enum Transport {
    Http(Http),
    #[cfg(feature = "grpc")]
    Grpc(Grpc),
}

impl Transport {
    pub(crate) fn new(config: &Config) -> Self {
        match config.protocol {
            #[cfg(feature = "grpc")]
            crate::settings::Protocol::Grpc => Transport::Grpc(Grpc::new(config)),
            _ => Transport::Http(Http::new(config)),
        }
    }

    /// Returns the number of bytes to reserve at the start of a message.
    pub(crate) fn headroom(&self) -> usize {
        match self {
            Transport::Http(_) => 0,
            #[cfg(feature = "grpc")]
            Transport::Grpc(_) => crate::response::GRPC_PREFIX,
        }
    }

    /// Fills the headroom.
    pub(crate) fn frame(&self, message: &mut [u8]) {
        match self {
            Transport::Http(_) => {}
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => grpc.frame(message),
        }
        let _ = message;
    }

    /// Sends a request and reads the response. Blocks until the response arrives or the deadline passes. `len` is the
    /// message's length before or after compression, whichever is larger.
    pub(crate) fn send(&mut self, body: Arc<Vec<u8>>, len: usize, deadline: Deadline) -> Result<ExportReport, Failure> {
        // Over HTTP, the status alone shows that a request is too large.
        let _ = len;
        match self {
            Transport::Http(http) => http.send(body, deadline),
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => grpc.send(body, len, deadline),
        }
    }

    /// Reads the headers again if this error says that the receiver refuses them. Returns true if they have changed, so that another
    /// request may be accepted.
    pub(crate) fn renew_credentials(&mut self, error: &ExportError, deadline: Deadline) -> bool {
        is_refusal_of_credentials(error)
            && self.headers_mut().credentials_mut().is_some_and(|credentials| credentials.renew(deadline))
    }

    /// Notes the error of a request with renewed headers.
    pub(crate) fn note_refusal(&mut self, error: &ExportError) {
        if let Some(credentials) = self.headers_mut().credentials_mut().filter(|_| is_refusal_of_credentials(error)) {
            credentials.note_refusal();
        }
    }

    /// Returns the number of times that changed headers or certificates could not be used.
    pub(crate) fn failed_refreshes(&self) -> u64 {
        let headers = match self {
            Transport::Http(http) => &http.headers,
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => &grpc.headers,
        };
        let of_headers = headers.credentials().map_or(0, Credentials::failures);
        of_headers.saturating_add(self.connection().failed_refreshes())
    }

    fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Transport::Http(http) => &mut http.headers,
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => &mut grpc.headers,
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.connection().peer.endpoint
    }

    /// Returns true once a connection to the receiver has been established.
    pub(crate) fn was_reached(&self) -> bool {
        self.connection().peer.was_reached
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        match self {
            Transport::Http(http) => http.connection.close(),
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => grpc.connection.close(),
        }
    }

    fn connection(&self) -> &Connection {
        match self {
            Transport::Http(http) => &http.connection,
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => &grpc.connection,
        }
    }
}

/// spec: RFC 9110, 15.5.2; gRPC status codes
fn is_refusal_of_credentials(error: &ExportError) -> bool {
    matches!(error.response(), Some(ResponseStatus::Http(401) | ResponseStatus::Rpc("UNAUTHENTICATED")))
}
