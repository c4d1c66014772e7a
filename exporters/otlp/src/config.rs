//! The settings of an exporter: from code and from the environment, checked once when it is built.
//!
//! spec: protocol/exporter.md#configuration-options

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use http::HeaderMap;
use telemark_sdk::ConfigError;
use telemark_sdk::config::Env;
use telemark_sdk::signal::Metrics;

use crate::encode::Encode;
use crate::endpoint::{ACCEPTED, Endpoint, Path};
use crate::exporter::Otlp;
use crate::headers::Headers;
use crate::metrics::Preferences;
use crate::retry::RetrySettings;
use crate::transport::tls::{Tls, TlsSettings};

/// How requests are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Protobuf over HTTP/1.1.
    #[default]
    HttpProtobuf,
    /// JSON over HTTP/1.1.
    HttpJson,
    /// gRPC, with the feature `grpc`.
    Grpc,
}

const PROTOCOLS: [(&str, Protocol); 3] =
    [("http/protobuf", Protocol::HttpProtobuf), ("http/json", Protocol::HttpJson), ("grpc", Protocol::Grpc)];

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = PROTOCOLS.iter().find(|(_, protocol)| protocol == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// With gzip, with the feature `gzip`.
    Gzip,
}

const COMPRESSIONS: [(&str, Compression); 2] = [("none", Compression::None), ("gzip", Compression::Gzip)];

const MAX_REQUEST_SIZE: usize = 64 << 20;
const MAX_RESPONSE_SIZE: usize = 4 << 20;

/// Certificates or a key in PEM format.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pem {
    /// In a file, read when the exporter is built.
    File(PathBuf),
    /// In memory.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::File(path) => f.debug_tuple("File").field(path).finish(),
            Pem::Bytes(_) => f.write_str("Bytes(…)"),
        }
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Pem::File(path)
    }
}

impl From<&FilePath> for Pem {
    fn from(path: &FilePath) -> Self {
        Pem::File(path.to_owned())
    }
}

impl From<Vec<u8>> for Pem {
    fn from(bytes: Vec<u8>) -> Self {
        Pem::Bytes(bytes)
    }
}

impl From<&[u8]> for Pem {
    fn from(bytes: &[u8]) -> Self {
        Pem::Bytes(bytes.to_owned())
    }
}

/// A value and the argument or variable it came from.
#[derive(Clone, Debug)]
pub(crate) struct Named<T> {
    pub(crate) name: Cow<'static, str>,
    pub(crate) value: T,
}

impl<T> Named<T> {
    fn code(name: &'static str, value: T) -> Option<Self> {
        Some(Named { name: Cow::Borrowed(name), value })
    }
}

#[derive(Clone, Debug)]
struct Address {
    text: String,
    /// Whether the signal's path is appended.
    base: bool,
}

/// What one source, code or environment, says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    endpoint: Option<Named<Address>>,
    protocol: Option<Named<Protocol>>,
    headers: Headers,
    compression: Option<Named<Compression>>,
    timeout: Option<Duration>,
    insecure: Option<bool>,
    certificate: Option<Named<Pem>>,
    client_key: Option<Named<Pem>>,
    client_certificate: Option<Named<Pem>>,
    pub(crate) preferences: Preferences,
}

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

    /// Takes from the environment what code does not set. What cannot be parsed is reported to `env` and ignored.
    pub fn with_env(mut self, env: &Env) -> Self {
        self.environment = Settings::from_env(env, S::VARIABLE);
        self
    }

    /// The exporter. It does not connect before its first batch.
    ///
    /// # Errors
    /// The endpoint, a header, a certificate or a key cannot be used, or the build lacks the feature that a setting needs.
    pub fn build(self) -> Result<Otlp<S>, ConfigError> {
        self.into_config().map(Otlp::new)
    }

    fn into_config(self) -> Result<Config, ConfigError> {
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

/// Everything an exporter needs, checked. The values of `headers` are marked as sensitive, which hides them in `Debug`.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) endpoint: Endpoint,
    /// The variable or argument that says so.
    pub(crate) endpoint_setting: Cow<'static, str>,
    pub(crate) protocol: Protocol,
    pub(crate) headers: HeaderMap,
    pub(crate) compression: Compression,
    pub(crate) timeout: Duration,
    pub(crate) tls: Option<Tls>,
    pub(crate) max_request_size: usize,
    pub(crate) max_response_size: usize,
    pub(crate) retry: RetrySettings,
    pub(crate) preferences: Preferences,
}

/// Where a signal is sent to below the endpoint. Values and not types: the code that uses them is there once.
struct Paths {
    path: &'static str,
    method: &'static str,
}

impl Config {
    fn new(code: Settings, environment: Settings, paths: Paths) -> Result<Self, ConfigError> {
        let protocol = protocol(code.protocol.or(environment.protocol))?;
        let endpoint = endpoint(code.endpoint.or(environment.endpoint), protocol, paths, environment.insecure)?;
        let tls = TlsSettings {
            certificate: code.certificate.or(environment.certificate),
            client_key: code.client_key.or(environment.client_key),
            client_certificate: code.client_certificate.or(environment.client_certificate),
        };
        Ok(Config {
            tls: if endpoint.value.tls { Some(Tls::new(&endpoint, tls, protocol)?) } else { None },
            endpoint: endpoint.value,
            endpoint_setting: endpoint.name,
            protocol,
            headers: code.headers.or(environment.headers).into_map(),
            compression: compression(code.compression.or(environment.compression))?,
            timeout: code.timeout.or(environment.timeout).unwrap_or(Duration::from_secs(10)),
            max_request_size: MAX_REQUEST_SIZE,
            max_response_size: MAX_RESPONSE_SIZE,
            retry: RetrySettings::default(),
            preferences: code.preferences.or(environment.preferences),
        })
    }
}

impl Settings {
    /// `signal` is its part in the names of variables.
    fn from_env(env: &Env, signal: &str) -> Self {
        let own = |option: &str| format!("OTEL_EXPORTER_OTLP_{signal}_{option}");
        let all = |option: &str| format!("OTEL_EXPORTER_OTLP_{option}");
        let pem =
            |option| either(&own(option), &all(option), |name| env.string(name).map(|path| Pem::File(path.into())));
        let address = |name: String, base| {
            let text = env.string(&name)?;
            Some(Named { name: name.into(), value: Address { text, base } })
        };
        Settings {
            endpoint: address(own("ENDPOINT"), false).or_else(|| address(all("ENDPOINT"), true)),
            protocol: either(&own("PROTOCOL"), &all("PROTOCOL"), |name| env.one_of(name, &PROTOCOLS)),
            // spec: the list of the signal replaces the list of all signals
            headers: either(&own("HEADERS"), &all("HEADERS"), |name| Headers::from_variable(env, name))
                .map(|headers| headers.value)
                .unwrap_or_default(),
            compression: either(&own("COMPRESSION"), &all("COMPRESSION"), |name| env.one_of(name, &COMPRESSIONS)),
            timeout: either(&own("TIMEOUT"), &all("TIMEOUT"), |name| env.timeout(name)).map(|timeout| timeout.value),
            insecure: either(&own("INSECURE"), &all("INSECURE"), |name| env.string(name).map(|_| env.boolean(name)))
                .map(|insecure| insecure.value),
            certificate: pem("CERTIFICATE"),
            client_key: pem("CLIENT_KEY"),
            client_certificate: pem("CLIENT_CERTIFICATE"),
            preferences: if signal == Metrics::VARIABLE { Preferences::from_env(env) } else { Preferences::default() },
        }
    }
}

/// The variable of the signal, or else the one of all signals.
fn either<T>(own: &str, all: &str, read: impl Fn(&str) -> Option<T>) -> Option<Named<T>> {
    [own, all].into_iter().find_map(|name| Some(Named { value: read(name)?, name: name.to_owned().into() }))
}

fn protocol(setting: Option<Named<Protocol>>) -> Result<Protocol, ConfigError> {
    match setting {
        Some(Named { name, value: Protocol::Grpc }) if cfg!(not(feature = "grpc")) => Err(ConfigError::invalid(
            name,
            "grpc",
            "http/protobuf or http/json, or the feature `grpc` of telemark or telemark-otlp",
        )),
        setting => Ok(setting.map(|setting| setting.value).unwrap_or_default()),
    }
}

fn compression(setting: Option<Named<Compression>>) -> Result<Compression, ConfigError> {
    match setting {
        Some(Named { name, value: Compression::Gzip }) if cfg!(not(feature = "gzip")) => {
            Err(ConfigError::invalid(name, "gzip", "none, or the feature `gzip` of telemark-otlp"))
        }
        setting => Ok(setting.map(|setting| setting.value).unwrap_or_default()),
    }
}

fn endpoint(
    setting: Option<Named<Address>>,
    protocol: Protocol,
    paths: Paths,
    insecure: Option<bool>,
) -> Result<Named<Endpoint>, ConfigError> {
    let port = if protocol == Protocol::Grpc { 4317 } else { 4318 };
    let default = || Address { text: format!("http://localhost:{port}"), base: true };
    let setting = setting.unwrap_or_else(|| Named { name: "endpoint".into(), value: default() });
    let Address { text, base } = setting.value;
    let path = match (protocol, base) {
        (Protocol::Grpc, _) => Path::Service(paths.method),
        (_, true) => Path::Append(paths.path),
        (_, false) => Path::AsIs,
    };
    // spec: `insecure` is for gRPC endpoints without a scheme alone
    let tls_without_scheme = (protocol == Protocol::Grpc).then(|| !insecure.unwrap_or(false));
    match Endpoint::parse(&text, path, tls_without_scheme) {
        Some(endpoint) => Ok(Named { name: setting.name, value: endpoint }),
        // A URL with credentials is not to be repeated.
        None if text.contains('@') => Err(ConfigError::invalid(setting.name, "…@…", ACCEPTED)),
        None => Err(ConfigError::invalid(setting.name, text, ACCEPTED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemark_sdk::signal::Traces;

    fn show(config: Result<Config, ConfigError>) -> String {
        match config {
            Ok(c) => format!("{} {:?} {:?} {:?} {:?}", c.endpoint, c.protocol, c.compression, c.timeout, c.headers),
            Err(error) => format!("error: {error}"),
        }
    }

    fn check(variables: &[(&str, &str)], expected: &str) {
        let variables = variables.iter().map(|&(name, value)| (format!("OTEL_EXPORTER_OTLP_{name}"), value));
        let env = Env::from_pairs(variables);
        let shown = show(Builder::<Traces>::new().with_env(&env).into_config());
        let warnings = env.take_warnings().into_iter().map(|warning| format!("; {warning}"));
        assert_eq!([shown].into_iter().chain(warnings).collect::<String>(), expected);
    }

    #[test]
    fn defaults() {
        check(&[], "http://localhost:4318/v1/traces HttpProtobuf None 10s {}");
    }

    #[test]
    fn the_variables_of_the_signal_win() {
        check(
            &[
                ("ENDPOINT", "http://all:1"),
                ("TRACES_ENDPOINT", "http://own:2/x"),
                ("PROTOCOL", "http/protobuf"),
                ("TRACES_PROTOCOL", "HTTP/JSON"),
                ("HEADERS", "a=1,b=2"),
                ("TRACES_HEADERS", "c=3"),
                ("TIMEOUT", "1"),
                ("TRACES_TIMEOUT", "250"),
            ],
            r#"http://own:2/x HttpJson None 250ms {"c": Sensitive}"#,
        );
    }

    #[test]
    fn what_cannot_be_parsed_is_ignored_with_a_warning() {
        check(
            &[("PROTOCOL", "http"), ("TIMEOUT", "-1"), ("COMPRESSION", "zip")],
            "http://localhost:4318/v1/traces HttpProtobuf None 10s {}\
             ; OTEL_EXPORTER_OTLP_PROTOCOL=\"http\" cannot be used: expected one of http/protobuf, http/json, grpc\
             ; OTEL_EXPORTER_OTLP_COMPRESSION=\"zip\" cannot be used: expected one of none, gzip\
             ; OTEL_EXPORTER_OTLP_TIMEOUT=\"-1\" cannot be used: expected a whole number of milliseconds",
        );
    }

    #[test]
    fn an_endpoint_that_cannot_be_used_is_an_error() {
        check(
            &[("ENDPOINT", "collector:4318")],
            "error: OTEL_EXPORTER_OTLP_ENDPOINT=\"collector:4318\" cannot be used: \
             expected a URL such as http://localhost:4318 or https://host/path",
        );
        check(
            &[("TRACES_ENDPOINT", "http://user:secret@collector")],
            "error: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=\"…@…\" cannot be used: \
             expected a URL such as http://localhost:4318 or https://host/path",
        );
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn grpc() {
        const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export Grpc None 10s {}";
        check(&[("PROTOCOL", "grpc")], &format!("http://localhost:4317{METHOD}"));
        let insecure = [("PROTOCOL", "grpc"), ("ENDPOINT", "collector:4317"), ("INSECURE", "true")];
        check(&insecure, &format!("http://collector:4317{METHOD}"));
        #[cfg(feature = "tls")]
        check(&insecure[..2], &format!("https://collector:4317{METHOD}"));
    }

    #[cfg(not(feature = "grpc"))]
    #[test]
    fn grpc_needs_its_feature() {
        check(
            &[("PROTOCOL", "grpc")],
            "error: OTEL_EXPORTER_OTLP_PROTOCOL=\"grpc\" cannot be used: \
             expected http/protobuf or http/json, or the feature `grpc` of telemark or telemark-otlp",
        );
    }

    #[cfg(not(feature = "gzip"))]
    #[test]
    fn gzip_needs_its_feature() {
        check(
            &[("COMPRESSION", "gzip")],
            "error: OTEL_EXPORTER_OTLP_COMPRESSION=\"gzip\" cannot be used: \
             expected none, or the feature `gzip` of telemark-otlp",
        );
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn https_needs_its_feature() {
        check(
            &[("ENDPOINT", "https://collector")],
            "error: OTEL_EXPORTER_OTLP_ENDPOINT=\"https://collector/v1/traces\" cannot be used: \
             expected an http:// URL, or the feature `tls` of telemark or telemark-otlp",
        );
    }

    #[cfg(feature = "tls")]
    #[test]
    fn certificates_that_cannot_be_read_are_errors() {
        check(
            &[("ENDPOINT", "https://collector"), ("CERTIFICATE", "/no/such/file")],
            "error: OTEL_EXPORTER_OTLP_CERTIFICATE=\"/no/such/file\" cannot be used: \
             expected a file with PEM certificates (No such file or directory (os error 2))",
        );
    }

    #[test]
    fn code_wins_over_the_environment() {
        let env = Env::from_pairs([
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://env:1/x"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=env,b=env"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ]);
        let builder =
            Builder::<Traces>::new().with_base_endpoint("http://code").with_header("a", "code").with_env(&env);
        let debug = format!("{builder:?}");
        let config = builder.into_config().unwrap();
        assert!(!debug.contains("\"code\"") && !debug.contains("\"env\""), "{debug}");
        assert_eq!((config.headers["a"].as_bytes(), config.headers["b"].as_bytes()), (&b"code"[..], &b"env"[..]));
        assert_eq!(show(Ok(config)), r#"http://code/v1/traces HttpProtobuf None 1ms {"a": Sensitive, "b": Sensitive}"#);
    }

    #[test]
    fn an_invalid_header_in_code_is_an_error_without_the_value() {
        let error = Builder::<Traces>::new().with_header("a b", "secret").into_config().unwrap_err();
        assert!(error.to_string().starts_with(r#"header="a b=…" cannot be used"#), "{error}");
    }
}
