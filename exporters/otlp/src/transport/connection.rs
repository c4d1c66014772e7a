//! The connection, which is opened when needed, kept between batches, and replaced when lost: the choice between the two clients.

use std::sync::Arc;

use http::{HeaderMap, Request};
use opentelemetry::Context;
use telemark_sdk::time::Deadline;

use super::blocking;
#[cfg(feature = "hyper-client")]
use super::evented;
use super::failure::Failure;
use super::peer::Peer;
use super::received::Received;
use crate::config::Config;

/// The connection to one endpoint.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    client: Client,
}

/// One of the two clients. Neither depends on an async runtime.
#[derive(Debug)]
enum Client {
    Blocking(blocking::Client),
    #[cfg(feature = "hyper-client")]
    Evented(Box<evented::Client>),
}

impl Client {
    #[cfg(feature = "hyper-client")]
    fn new(config: &Config) -> Self {
        if config.std_client {
            Client::Blocking(blocking::Client::default())
        } else {
            Client::Evented(Box::new(evented::Client::new(config)))
        }
    }

    #[cfg(not(feature = "hyper-client"))]
    fn new(_: &Config) -> Self {
        Client::Blocking(blocking::Client::default())
    }
}

impl Connection {
    pub(super) fn new(config: &Config) -> Self {
        Connection { peer: Peer::new(config), client: Client::new(config) }
    }

    /// Returns the number of times that changed certificates could not be used.
    pub(super) fn failed_refreshes(&self) -> u64 {
        match &self.client {
            Client::Blocking(_) => 0,
            #[cfg(feature = "hyper-client")]
            Client::Evented(client) => client.failed_refreshes(),
        }
    }

    /// Replaces the values that must not appear in messages, after the headers have changed.
    pub(super) fn set_secrets(&mut self, headers: &HeaderMap) {
        self.peer.set_secrets(headers);
    }

    pub(super) fn close(&mut self) {
        match &mut self.client {
            Client::Blocking(client) => client.close(),
            #[cfg(feature = "hyper-client")]
            Client::Evented(client) => client.close(),
        }
    }

    /// Sends a request and reads the response, which may exceed the configured limit by up to `prefix` bytes. Blocks until
    /// the response arrives or the deadline passes.
    pub(super) fn exchange(
        &mut self,
        request: Request<Arc<Vec<u8>>>,
        prefix: usize,
        deadline: Deadline,
    ) -> Result<Received, Failure> {
        // A request must never produce telemetry about telemetry, regardless of the caller.
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let limit = self.peer.max_response_size.saturating_add(prefix);
        match &mut self.client {
            Client::Blocking(client) => client.exchange(&mut self.peer, &request, limit, deadline),
            #[cfg(feature = "hyper-client")]
            Client::Evented(client) => client.exchange(&mut self.peer, request, limit, deadline),
        }
    }
}
