//! The builder of an exporter.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use telemark_sdk::ConfigError;
use telemark_sdk::config::{Env, Settings as FileSettings};
use telemark_sdk::diag::{Level, log};
use telemark_sdk::metrics::{Aggregation, TemporalityPreference};
use telemark_sdk::signal::Metrics;

use crate::config::{Address, Config, Settings, SignalNames};
use crate::credentials::HeaderSource;
use crate::delivery::RetryConfig;
use crate::encode::Encode;
use crate::exporter::OtlpExporter;
use crate::preferences::Preferences;
use crate::proxy::ProxySetting;
use crate::settings::{Compression, Named, Pem, Protocol};

/// Builds an [`OtlpExporter`]. Settings in code win over the environment, and the environment wins over the defaults.
///
/// ```no_run
/// use std::time::Duration;
/// use telemark_otlp::{Compression, OtlpExporter, Protocol};
/// use telemark_sdk::signal::Traces;
///
/// # fn main() -> Result<(), telemark_sdk::ConfigError> {
/// let exporter = OtlpExporter::<Traces>::builder()
///     .with_base_endpoint("http://collector:4318/otlp")
///     .with_protocol(Protocol::HttpProtobuf)
///     .with_compression(Compression::Gzip)
///     .with_timeout(Duration::from_secs(5))
///     .build()?;
/// # let _ = exporter;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct OtlpBuilder<S: Encode> {
    code: Settings,
    environment: Settings,
    code_preferences: S::Preferences,
    environment_preferences: S::Preferences,
    /// The first header that cannot be used.
    error: Option<ConfigError>,
}

impl<S: Encode> OtlpExporter<S> {
    /// Builds an exporter from the environment.
    ///
    /// # Errors
    /// See [`OtlpBuilder::build`].
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Self::builder().with_env(env).build()
    }

    /// Returns a builder without any settings.
    pub fn builder() -> OtlpBuilder<S> {
        OtlpBuilder {
            code: Settings::default(),
            environment: Settings::default(),
            code_preferences: S::Preferences::default(),
            environment_preferences: S::Preferences::default(),
            error: None,
        }
    }
}

impl<S: Encode> OtlpBuilder<S> {
    /// Sends to exactly this URL. By default, HTTP goes to port 4318 of `localhost` and gRPC to port 4317.
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.code.endpoint = Named::from_code("endpoint", Address { text: url.into(), base: false });
        self
    }

    /// Sends to this URL with the signal's path, such as `v1/traces`, appended.
    pub fn with_base_endpoint(mut self, url: impl Into<String>) -> Self {
        self.code.endpoint = Named::from_code("base_endpoint", Address { text: url.into(), base: true });
        self
    }

    /// Sets the protocol. Defaults to [`Protocol::HttpProtobuf`].
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.code.protocol = Named::from_code("protocol", protocol);
        self
    }

    /// Sends with the client on the sockets of the standard library, even if the features enable the one on hyper. It needs a single
    /// descriptor and supports HTTP without TLS: [`Self::build`] fails for gRPC and for `https` endpoints.
    pub fn with_std_client(mut self) -> Self {
        self.code.std_client = true;
        self
    }

    /// Adds a header to every request. Its value is never shown. [`Self::build`] reports an invalid header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Err(error) = self.code.headers.set("header", name, value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Adds the headers in a file, which is read again when it is a minute old in memory or when the receiver refuses them. See
    /// [the crate](crate#credentials) for the format. Takes the place of another source.
    pub fn with_headers_from_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.code.source.source = Named::from_code("headers_file", HeaderSource::File(path.into()));
        self
    }

    /// Adds the headers that a command prints, which runs again after five minutes or when the receiver refuses them. It runs on the
    /// exporter's thread and is killed, with what it has started, at the end of the export's timeout, or after 30 seconds. See
    /// [the crate](crate#credentials) for the format. Takes the place of another source.
    ///
    /// ```
    /// use telemark_otlp::OtlpExporter;
    /// use telemark_sdk::signal::Traces;
    ///
    /// let builder = OtlpExporter::<Traces>::builder().with_headers_from_command("gcloud", ["auth", "print-access-token"]);
    /// ```
    pub fn with_headers_from_command(
        mut self,
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        let source = HeaderSource::command(program, arguments.into_iter().map(Into::into).collect());
        self.code.source.source = Named::from_code("headers_command", source);
        self
    }

    /// Adds the headers that `source` returns as names and values. It is called on the exporter's thread, before the first request,
    /// again after five minutes, and when the receiver refuses the headers. It delays the export, so it should give up in time. If it
    /// fails or panics, the headers before remain. Its error appears in messages. Takes the place of another source.
    ///
    /// ```
    /// use telemark_otlp::OtlpExporter;
    /// use telemark_sdk::signal::Traces;
    ///
    /// # fn token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let builder = OtlpExporter::<Traces>::builder()
    ///     .with_header_source(|| Ok::<_, std::io::Error>(vec![("authorization".to_owned(), format!("Bearer {}", token()?))]));
    /// ```
    pub fn with_header_source<E: Into<Box<dyn Error + Send + Sync>>>(
        mut self,
        source: impl Fn() -> Result<Vec<(String, String)>, E> + Send + Sync + 'static,
    ) -> Self {
        let source = HeaderSource::Code(Arc::new(move || source().map_err(Into::into)));
        self.code.source.source = Named::from_code("header_source", source);
        self
    }

    /// Sets the time after which headers from a file, a command or code are read again. Defaults to one minute for a file and to five
    /// minutes otherwise; [`Duration::MAX`] means only when the receiver refuses them.
    pub fn with_headers_refresh(mut self, interval: Duration) -> Self {
        self.code.source.refresh = Some(interval);
        self
    }

    /// Sends through the HTTP proxy at this URL, which may contain credentials, whatever the endpoint and `NO_PROXY` are.
    pub fn with_proxy(mut self, url: impl Into<String>) -> Self {
        self.code.proxy = Named::from_code("proxy", ProxySetting::Address(url.into()));
        self
    }

    /// Sends directly to the endpoint, whatever the variables of proxies are.
    pub fn without_proxy(mut self) -> Self {
        self.code.proxy = Named::from_code("proxy", ProxySetting::Direct);
        self
    }

    /// Sets the compression for requests. Defaults to none.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.code.compression = Named::from_code("compression", compression);
        self
    }

    /// Sets the time limit for one batch, including all retries and waits. Defaults to ten seconds; [`Duration::MAX`] means no
    /// limit.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.code.timeout = Some(timeout);
        self
    }

    /// Trusts these certificates instead of the system's.
    pub fn with_certificate(mut self, certificate: impl Into<Pem>) -> Self {
        self.code.certificate = Named::from_code("certificate", certificate.into());
        self
    }

    /// Sets the private key of the client certificate.
    pub fn with_client_key(mut self, key: impl Into<Pem>) -> Self {
        self.code.client_key = Named::from_code("client_key", key.into());
        self
    }

    /// Sets the client certificate that identifies the exporter.
    pub fn with_client_certificate(mut self, certificate: impl Into<Pem>) -> Self {
        self.code.client_certificate = Named::from_code("client_certificate", certificate.into());
        self
    }

    /// Sets the maximum size of a request in bytes, before and after compression. Defaults to 64 MiB; 0 means no limit. A
    /// larger batch is sent in parts, and a larger item is dropped and counted.
    ///
    /// Raising the limit does not increase the size of most requests: parts have at most 4 MiB, the default limit of gRPC
    /// servers, and less once the receiver has refused a size. Only a request with a single item can be larger.
    ///
    /// spec: protocol/exporter.md, max request size
    pub fn with_max_request_size(mut self, bytes: usize) -> Self {
        self.code.max_request_size = Some(bytes);
        self
    }

    /// Sets the maximum size of a response in bytes, before and after decompression. Defaults to 4 MiB. A larger response
    /// counts as a failure.
    pub fn with_max_response_size(mut self, bytes: usize) -> Self {
        self.code.max_response_size = Some(bytes);
        self
    }

    /// Sets the number of retries and the backoff between them.
    pub fn with_retry(mut self, retry: RetryConfig) -> Self {
        self.code.retry = Some(retry);
        self
    }

    /// Reads settings that are not set in code from the environment. Ignores values that cannot be parsed and reports them to
    /// `env`.
    pub fn with_env(mut self, env: &Env) -> Self {
        self.environment = Settings::from_env(env, S::VARIABLE);
        self.environment_preferences = S::Preferences::from_env(env);
        self
    }

    /// Reads settings that are not set in code from `otlp_http` in a configuration file, or from `otlp_grpc` if the protocol is
    /// [`Protocol::Grpc`]. Over HTTP, the file chooses between Protobuf and JSON, so `protocol` is only its default. Takes the place of
    /// [`Self::with_env`]. Unusable values are reported to the report of `settings`. `env` provides the variables of proxies, and those
    /// of our own with the values in `distribution.telemark.otlp`.
    pub fn with_settings(mut self, settings: FileSettings<'_>, protocol: Protocol, env: &Env) -> Self {
        self.environment = Settings::from_file(settings, protocol, Settings::shared(env, S::VARIABLE));
        self
    }

    /// Builds the exporter, which connects when it exports its first batch. Logs a warning about settings that have no effect.
    ///
    /// # Errors
    /// Fails if the endpoint, a header, the proxy, a certificate or a key is invalid, or if a setting requires a feature that is not
    /// enabled.
    pub fn build(self) -> Result<OtlpExporter<S>, ConfigError> {
        let (config, preferences) = self.into_parts()?;
        if !config.unused.is_empty() {
            let unused: Vec<_> = config.unused.iter().map(ToString::to_string).collect();
            // One rate-limit topic per signal, so that a warning for one signal does not suppress those for others.
            log(Level::Warn, S::METHOD, format_args!("{}", unused.join("; ")));
        }
        Ok(OtlpExporter::new(config, preferences))
    }

    pub(crate) fn into_parts(self) -> Result<(Config, S::Preferences), ConfigError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let signal = SignalNames { path: S::PATH, method: S::METHOD, rejected: S::REJECTED };
        let config = Config::new(self.code, self.environment, signal)?;
        Ok((config, self.code_preferences.or(self.environment_preferences)))
    }
}

impl OtlpBuilder<Metrics> {
    /// Sets the preferred temporality. Defaults to cumulative. See [`OtlpExporter::temporality_preference`].
    pub fn with_temporality_preference(mut self, preference: TemporalityPreference) -> Self {
        self.code_preferences.temporality = Some(preference);
        self
    }

    /// Sets the aggregation for histograms that no view selects. See [`OtlpExporter::default_histogram_aggregation`].
    pub fn with_default_histogram_aggregation(mut self, aggregation: Aggregation) -> Self {
        self.code_preferences.histogram = Some(aggregation);
        self
    }
}

impl<S: Encode> fmt::Debug for OtlpBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpBuilder")
            .field("code", &self.code)
            .field("code_preferences", &self.code_preferences)
            .field("environment", &self.environment)
            .field("environment_preferences", &self.environment_preferences)
            .finish_non_exhaustive()
    }
}
