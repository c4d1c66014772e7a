//! The parts of a request that both protocols share.

use http::header::USER_AGENT;
use http::uri::{Parts, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use telemark_sdk::ExportError;
use telemark_sdk::time::Deadline;

use super::connection::Connection;
use super::failure::Failure;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;

/// The headers of every request.
#[derive(Debug)]
pub(super) struct Headers {
    current: HeaderMap,
    changing: Option<Changing>,
}

/// Headers that are read again from time to time.
#[derive(Debug)]
struct Changing {
    credentials: Credentials,
    /// The headers that do not change.
    fixed: HeaderMap,
    /// The configured ones of these, which are secrets.
    configured: HeaderMap,
    /// The version of the credentials in use.
    version: u64,
}

impl Headers {
    /// Adds the configured headers to those of the protocol, which take precedence.
    pub(super) fn new(config: &Config, protocol: HeaderMap) -> Self {
        /// spec: protocol/exporter.md#user-agent — a product name may precede it
        const AGENT: &str =
            concat!("telemark/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));
        let mut fixed = config.headers.clone();
        fixed.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        insert(&mut fixed, &protocol);
        let changing = config.credentials().map(|credentials| Changing {
            credentials,
            fixed: fixed.clone(),
            configured: config.headers.clone(),
            version: 0,
        });
        Headers { current: fixed, changing }
    }

    /// Adds a header unless there is one with this name.
    pub(super) fn or_insert(&mut self, name: HeaderName, value: HeaderValue) {
        if let Some(changing) = &mut self.changing {
            changing.fixed.entry(&name).or_insert(value.clone());
        }
        self.current.entry(name).or_insert(value);
    }

    /// Returns the headers for a request, and reads those that change if it is time to.
    ///
    /// # Errors
    /// Fails if they have never been read, because a request without them would only be refused.
    pub(super) fn current(&mut self, connection: &mut Connection, deadline: Deadline) -> Result<&HeaderMap, Failure> {
        if let Some(changing) = &mut self.changing {
            let unread = |problem| Failure::transient(ExportError::unavailable(format!("nothing was sent: {problem}")));
            let (headers, version) = changing.credentials.current(deadline).map_err(unread)?;
            if version != changing.version {
                let mut secrets = changing.configured.clone();
                insert(&mut secrets, headers);
                connection.set_secrets(&secrets);
                self.current.clone_from(&changing.fixed);
                insert(&mut self.current, headers);
                changing.version = version;
            }
        }
        Ok(&self.current)
    }

    /// Returns the headers that change.
    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.changing.as_ref().map(|changing| &changing.credentials)
    }

    pub(super) fn credentials_mut(&mut self) -> Option<&mut Credentials> {
        self.changing.as_mut().map(|changing| &mut changing.credentials)
    }
}

fn insert(into: &mut HeaderMap, headers: &HeaderMap) {
    for (name, value) in headers {
        into.insert(name, value.clone());
    }
}

/// Returns the URI of a request that names the receiver.
pub(super) fn uri(endpoint: &Endpoint) -> Uri {
    let mut parts = Parts::default();
    parts.scheme = Some(if endpoint.tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(endpoint.authority.clone());
    parts.path_and_query = Some(endpoint.path.clone());
    // This fails only if one of the three parts is missing.
    Uri::from_parts(parts).unwrap_or_default()
}

/// Returns the value of a response header, or an empty string if it is missing or not text.
pub(super) fn header(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
