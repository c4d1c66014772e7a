//! The settings of an exporter in code.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use telemark_sdk::ConfigError;
use telemark_sdk::config::Env;
use telemark_sdk::diag::{Level, log};

use crate::config::{Address, Config, MAX_REQUEST_SIZE, MAX_RESPONSE_SIZE, Paths, Settings};
use crate::encode::Encode;
use crate::exporter::Otlp;
use crate::retry::RetrySettings;
use crate::settings::{Compression, Named, Pem, Protocol};

/// Builds an [`Otlp`] exporter. What code sets wins over the environment, and that over the defaults.
#[must_use]
pub struct Builder<S> {
    pub(crate) code: Settings,
    environment: Settings,
    max_request_size: usize,
    max_response_size: usize,
    retry: RetrySettings,
    error: Option<ConfigError>,
    signal: PhantomData<fn() -> S>,
}

impl<S: Encode> Builder<S> {
    pub(crate) fn new() -> Self {
        Builder {
            code: Settings::default(),
            environment: Settings::default(),
            max_request_size: MAX_REQUEST_SIZE,
            max_response_size: MAX_RESPONSE_SIZE,
            retry: RetrySettings::default(),
            error: None,
            signal: PhantomData,
        }
    }

    /// Sends to exactly this URL. By default, HTTP goes to port 4318 of `localhost` and gRPC to port 4317.
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.code.endpoint = Named::code("endpoint", Address { text: url.into(), base: false });
        self
    }

    /// Sends to this URL with the signal's path, such as `v1/traces`, appended.
    pub fn with_base_endpoint(mut self, url: impl Into<String>) -> Self {
        self.code.endpoint = Named::code("base_endpoint", Address { text: url.into(), base: true });
        self
    }

    /// Sets the protocol; [`Protocol::HttpProtobuf`] by default.
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.code.protocol = Named::code("protocol", protocol);
        self
    }

    /// Adds a header to every request. Its value is never shown. An invalid one is reported by [`Self::build`].
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Err(error) = self.code.headers.set("header", name, value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Sets the compression of requests; none by default.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.code.compression = Named::code("compression", compression);
        self
    }

    /// Sets the longest one batch may take with all its retries; ten seconds by default, [`Duration::MAX`] for no limit.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.code.timeout = Some(timeout);
        self
    }

    /// Trusts these certificates instead of the system's.
    pub fn with_certificate(mut self, certificate: impl Into<Pem>) -> Self {
        self.code.certificate = Named::code("certificate", certificate.into());
        self
    }

    /// Sets the private key of the client certificate.
    pub fn with_client_key(mut self, key: impl Into<Pem>) -> Self {
        self.code.client_key = Named::code("client_key", key.into());
        self
    }

    /// Sets the certificate that the exporter identifies itself with.
    pub fn with_client_certificate(mut self, certificate: impl Into<Pem>) -> Self {
        self.code.client_certificate = Named::code("client_certificate", certificate.into());
        self
    }

    /// Sets the largest request in bytes, before compression; 64 MiB by default. A larger one is not sent.
    pub fn with_max_request_size(mut self, bytes: usize) -> Self {
        self.max_request_size = bytes;
        self
    }

    /// Sets the largest answer in bytes; 4 MiB by default. A larger one is a failure.
    pub fn with_max_response_size(mut self, bytes: usize) -> Self {
        self.max_response_size = bytes;
        self
    }

    /// Sets when a batch is sent again.
    pub fn with_retry(mut self, retry: RetrySettings) -> Self {
        self.retry = retry;
        self
    }

    /// Reads from the environment what code does not set. A value that cannot be parsed is reported to `env` and ignored.
    pub fn with_env(mut self, env: &Env) -> Self {
        self.environment = Settings::from_env(env, S::VARIABLE);
        self
    }

    /// Builds the exporter, which connects with its first batch. Settings without effect are logged as a warning.
    ///
    /// # Errors
    /// The endpoint, a header, a certificate or a key cannot be used, or the build lacks the feature that a setting needs.
    pub fn build(self) -> Result<Otlp<S>, ConfigError> {
        let config = self.into_config()?;
        if !config.unused.is_empty() {
            let unused: Vec<_> = config.unused.iter().map(ToString::to_string).collect();
            // A topic of the signal's own, so that it is said of each.
            log(Level::Warn, S::METHOD, format_args!("{}", unused.join("; ")));
        }
        Ok(Otlp::new(config))
    }

    pub(crate) fn into_config(self) -> Result<Config, ConfigError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let config = Config::new(self.code, self.environment, Paths { path: S::PATH, method: S::METHOD })?;
        Ok(Config {
            // The length of a gRPC message has 32 bits.
            max_request_size: self.max_request_size.min(u32::MAX as usize),
            max_response_size: self.max_response_size,
            retry: self.retry,
            ..config
        })
    }
}

impl<S> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("code", &self.code)
            .field("environment", &self.environment)
            .field("max_request_size", &self.max_request_size)
            .field("max_response_size", &self.max_response_size)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
