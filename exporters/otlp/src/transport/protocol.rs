//! The two protocols behind one face, and what they share.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::USER_AGENT;
use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, ExportReport, ResponseStatus};

use crate::config::Config;
use crate::encode::Encode;
use crate::endpoint::Endpoint;

use super::connection::Connection;
#[cfg(feature = "grpc")]
use super::grpc::Grpc;
use super::http::Http;

/// Why a request was not taken, and whether it may be later.
#[derive(Debug)]
pub(crate) enum Failure {
    Final(ExportError),
    /// `asked` is the pause that the receiver asks for.
    Transient {
        error: ExportError,
        asked: Option<Duration>,
    },
    /// The deadline passed before there was an answer.
    Timeout(ExportError),
}

impl Failure {
    pub(super) fn transient(error: ExportError) -> Self {
        Failure::Transient { error, asked: None }
    }

    /// Adds the status of the answer.
    pub(super) fn with_response(self, status: ResponseStatus) -> Self {
        match self {
            Failure::Final(error) => Failure::Final(error.with_response(status)),
            Failure::Transient { error, asked } => Failure::Transient { error: error.with_response(status), asked },
            Failure::Timeout(error) => Failure::Timeout(error),
        }
    }
}

/// One of the two protocols.
#[derive(Debug)]
pub(crate) enum Transport {
    Http(Http),
    #[cfg(feature = "grpc")]
    Grpc(Grpc),
}

impl Transport {
    pub(crate) fn new<S: Encode>(config: &Config) -> Self {
        match config.protocol {
            #[cfg(feature = "grpc")]
            crate::settings::Protocol::Grpc => Transport::Grpc(Grpc::new(config)),
            _ => Transport::Http(Http::new(config, S::PATH, S::REJECTED)),
        }
    }

    /// The bytes that the message must leave free at its beginning.
    pub(crate) fn headroom(&self) -> usize {
        match self {
            Transport::Http(_) => 0,
            #[cfg(feature = "grpc")]
            Transport::Grpc(_) => super::grpc::PREFIX,
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

    /// Sends a request and reads the answer. Blocks until the deadline at the latest.
    pub(crate) fn send(&mut self, body: Bytes, deadline: Deadline) -> Result<ExportReport, Failure> {
        match self {
            Transport::Http(http) => http.send(body, deadline),
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => grpc.send(body, deadline),
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.connection().endpoint()
    }

    /// Returns true once the receiver has been there.
    pub(crate) fn was_reached(&self) -> bool {
        self.connection().was_reached()
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        self.connection_mut().close();
    }

    fn connection(&self) -> &Connection {
        match self {
            Transport::Http(http) => &http.connection,
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => &grpc.connection,
        }
    }

    fn connection_mut(&mut self) -> &mut Connection {
        match self {
            Transport::Http(http) => &mut http.connection,
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => &mut grpc.connection,
        }
    }
}

/// The headers of every request, the user's own among them.
pub(super) fn headers(config: &Config) -> http::HeaderMap {
    /// spec: protocol/exporter.md#user-agent — the product may stand before it
    const AGENT: &str =
        concat!("telemark/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));
    let mut headers = config.headers.clone();
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    headers
}
