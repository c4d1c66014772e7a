//! The configuration of an exporter: from code and from the environment, checked once when it is built.
//!
//! spec: protocol/exporter.md#configuration-options

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use telemark_sdk::config::Env;
use telemark_sdk::{ConfigError, text};

use crate::credentials::{Credentials, SourceConfig};
use crate::delivery::RetryConfig;
use crate::endpoint::{ACCEPTED, Endpoint, Path};
use crate::headers::Headers;
use crate::proxy::{Proxy, ProxySetting, ProxyVariables, choose};
use crate::settings::{COMPRESSIONS, Compression, Named, PROTOCOLS, Pem, Protocol};
use crate::tls::{Tls, TlsSettings};

/// An endpoint as it was set. Its query may contain a key and is not shown.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) text: String,
    /// True to append the signal's path.
    pub(crate) base: bool,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", text::url(&self.text))
    }
}

/// The settings of one source, code or environment.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) endpoint: Option<Named<Address>>,
    pub(crate) protocol: Option<Named<Protocol>>,
    pub(crate) headers: Headers,
    pub(crate) source: SourceConfig,
    pub(crate) proxy: Option<Named<ProxySetting>>,
    /// Set only by the environment, even beside a configuration file.
    pub(crate) proxy_variables: ProxyVariables,
    pub(crate) compression: Option<Named<Compression>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) insecure: Option<bool>,
    pub(crate) certificate: Option<Named<Pem>>,
    pub(crate) client_key: Option<Named<Pem>>,
    pub(crate) client_certificate: Option<Named<Pem>>,
    // Set only in code and in a configuration file, which takes the place of the environment.
    pub(crate) max_request_size: Option<usize>,
    pub(crate) max_response_size: Option<usize>,
    pub(crate) retry: Option<RetryConfig>,
    // Set only in code.
    pub(crate) std_client: bool,
}

/// The checked configuration. The values of `headers` are marked as sensitive, which hides them in `Debug`.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) signal: SignalNames,
    pub(crate) endpoint: Endpoint,
    /// The variable or argument that set the endpoint.
    pub(crate) endpoint_setting: Cow<'static, str>,
    pub(crate) protocol: Protocol,
    pub(crate) headers: HeaderMap,
    /// The source of headers that change.
    pub(crate) source: SourceConfig,
    /// The headers in code that those of a source in the environment do not replace.
    pub(crate) kept: Vec<HeaderName>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) compression: Compression,
    pub(crate) timeout: Duration,
    #[cfg_attr(not(feature = "hyper-client"), allow(dead_code, reason = "there is no client with TLS"))]
    pub(crate) tls: Option<Tls>,
    pub(crate) max_request_size: usize,
    pub(crate) max_response_size: usize,
    pub(crate) retry: RetryConfig,
    /// True to use the client on the standard library even though another one is compiled in.
    #[cfg_attr(not(feature = "hyper-client"), allow(dead_code, reason = "there is no other client"))]
    pub(crate) std_client: bool,
    /// Settings that have no effect because of other settings.
    pub(crate) unused: Vec<ConfigError>,
}

/// The names of a signal in requests and responses, copied from [`Encode`](crate::Encode). Values are used instead of a
/// type parameter so that the code that uses them is compiled only once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignalNames {
    pub(crate) path: &'static str,
    pub(crate) method: &'static str,
    pub(crate) rejected: &'static str,
}

impl Config {
    pub(crate) fn new(code: Settings, environment: Settings, signal: SignalNames) -> Result<Self, ConfigError> {
        let protocol = protocol(code.protocol.or(environment.protocol))?;
        let endpoint = endpoint(code.endpoint.or(environment.endpoint), protocol, signal, environment.insecure)?;
        if code.std_client {
            needs_no_other_client(&endpoint.value, protocol)?;
        }
        let mut unused = Vec::new();
        if protocol == Protocol::Grpc && endpoint.value.has_unused_path {
            unused.push(ConfigError::state(endpoint.name.clone(), "its path and query have no effect over grpc"));
        }
        let mut source = SourceConfig { refresh: code.source.refresh.or(environment.source.refresh), ..code.source };
        let mut kept = Vec::new();
        if source.source.is_none() {
            kept = code.headers.names();
            source.source = environment.source.source;
            unused.extend(environment.source.unused);
        }
        let setting = code.proxy.or(environment.proxy);
        let proxy = choose(setting, environment.proxy_variables, &endpoint.value, protocol, &mut unused)?;
        let tls = TlsSettings {
            certificate: code.certificate.or(environment.certificate),
            client_key: code.client_key.or(environment.client_key),
            client_certificate: code.client_certificate.or(environment.client_certificate),
        };
        if !endpoint.value.tls {
            let settings = [&tls.certificate, &tls.client_key, &tls.client_certificate];
            unused.extend(settings.into_iter().flatten().map(|setting| {
                let problem = format!("has no effect, because {} does not use TLS", endpoint.value);
                ConfigError::state(setting.name.clone(), problem)
            }));
        }
        Ok(Config {
            signal,
            unused,
            tls: if endpoint.value.tls { Some(Tls::new(&endpoint, tls, protocol)?) } else { None },
            endpoint: endpoint.value,
            endpoint_setting: endpoint.name,
            protocol,
            headers: code.headers.or(environment.headers).into_map(),
            source,
            kept,
            proxy,
            compression: compression(code.compression.or(environment.compression))?,
            timeout: code.timeout.or(environment.timeout).unwrap_or(Duration::from_secs(10)),
            max_request_size: match code.max_request_size.or(environment.max_request_size).unwrap_or(64 << 20) {
                // gRPC message lengths have 32 bits.
                0 => u32::MAX as usize,
                bytes => bytes.min(u32::MAX as usize),
            },
            max_response_size: code.max_response_size.or(environment.max_response_size).unwrap_or(4 << 20),
            retry: code.retry.unwrap_or_default(),
            std_client: code.std_client,
        })
    }
}

impl Config {
    /// Returns the headers that change, if there are any, and reads them if that takes no time.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        let mut credentials = Credentials::new(&self.source, &self.kept)?;
        credentials.look();
        Some(credentials)
    }
}

impl Settings {
    /// Reads the variables. `signal` is the part of their names that identifies the signal.
    pub(crate) fn from_env(env: &Env, signal: &str) -> Self {
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
            // spec: the list for a signal replaces the list for all signals
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
            ..Settings::shared(env, signal)
        }
    }

    /// Reads the variables that have an effect beside a configuration file as well: our own, whose values then come from the file, and
    /// those of proxies, which other programs share.
    pub(crate) fn shared(env: &Env, signal: &str) -> Self {
        const PROXY: &str = "OTEL_RUST_EXPORTER_OTLP_PROXY";
        let proxy = env.string(PROXY).map(|text| Named { name: PROXY.into(), value: ProxySetting::from_text(text) });
        Settings {
            source: SourceConfig::from_env(env, signal),
            proxy,
            proxy_variables: ProxyVariables::from_env(env),
            ..Settings::default()
        }
    }
}

/// Reads the variable for the signal, or else the one for all signals.
fn either<T>(own: &str, all: &str, read: impl Fn(&str) -> Option<T>) -> Option<Named<T>> {
    [own, all].into_iter().find_map(|name| Some(Named { value: read(name)?, name: name.to_owned().into() }))
}

fn needs_no_other_client(endpoint: &Endpoint, protocol: Protocol) -> Result<(), ConfigError> {
    let problem = if protocol == Protocol::Grpc {
        "cannot send over grpc, expected http/protobuf or http/json".to_owned()
    } else if endpoint.tls && cfg!(feature = "tls") {
        format!("cannot send to {}, expected an http:// URL", endpoint.as_set())
    } else {
        return Ok(());
    };
    Err(ConfigError::state("std_client", problem))
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
    signal: SignalNames,
    insecure: Option<bool>,
) -> Result<Named<Endpoint>, ConfigError> {
    let port = if protocol == Protocol::Grpc { 4317 } else { 4318 };
    let default = || Address { text: format!("http://localhost:{port}"), base: true };
    let setting = setting.unwrap_or_else(|| Named { name: "endpoint".into(), value: default() });
    let Address { text, base } = setting.value;
    let path = match (protocol, base) {
        (Protocol::Grpc, _) => Path::Service(signal.method),
        (_, true) => Path::Append(signal.path),
        (_, false) => Path::AsIs,
    };
    // spec: `insecure` is only for gRPC endpoints without a scheme
    let tls_without_scheme = (protocol == Protocol::Grpc).then(|| !insecure.unwrap_or(false));
    match Endpoint::parse(&text, path, tls_without_scheme) {
        Some(endpoint) => Ok(Named { name: setting.name, value: endpoint }),
        None => Err(ConfigError::invalid(setting.name, text, ACCEPTED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporter::OtlpExporter;
    use telemark_sdk::signal::Traces;

    fn show(config: Result<Config, ConfigError>) -> String {
        match config {
            Ok(c) => {
                let unused: String = c.unused.iter().map(|unused| format!("; {unused}")).collect();
                let Config { endpoint, protocol, compression, timeout, headers, .. } = c;
                format!("{endpoint} {protocol:?} {compression:?} {timeout:?} {headers:?}{unused}")
            }
            Err(error) => format!("error: {error}"),
        }
    }

    fn check(variables: &[(&str, &str)], expected: &str) {
        let variables = variables.iter().map(|&(name, value)| (format!("OTEL_EXPORTER_OTLP_{name}"), value));
        let env = Env::from_pairs(variables);
        let shown = show(OtlpExporter::<Traces>::builder().with_env(&env).into_parts().map(|(config, ())| config));
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
            "error: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=\"http://…@collector\" cannot be used: \
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

    #[cfg(feature = "grpc")]
    #[test]
    fn a_path_without_effect_over_grpc_is_reported() {
        const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export Grpc None 10s {}";
        let unused = "; OTEL_EXPORTER_OTLP_ENDPOINT: its path and query have no effect over grpc";
        for path in ["/v1/traces", "?api_key=secret"] {
            let endpoint = format!("http://collector:4317{path}");
            check(&[("PROTOCOL", "grpc"), ("ENDPOINT", &endpoint)], &format!("http://collector:4317{METHOD}{unused}"));
        }
        check(
            &[("PROTOCOL", "grpc"), ("ENDPOINT", "http://collector:4317/")],
            &format!("http://collector:4317{METHOD}"),
        );
    }

    #[test]
    fn certificates_without_tls_are_reported_to_have_no_effect() {
        check(
            &[("ENDPOINT", "http://collector"), ("CERTIFICATE", "/no/such/file"), ("TRACES_CLIENT_KEY", "key.pem")],
            "http://collector/v1/traces HttpProtobuf None 10s {}\
             ; OTEL_EXPORTER_OTLP_CERTIFICATE: has no effect, because http://collector/v1/traces does not use TLS\
             ; OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: has no effect, because http://collector/v1/traces does not use TLS",
        );
    }

    #[test]
    fn a_query_is_sent_and_never_shown() {
        check(
            &[("ENDPOINT", "http://collector/base?api_key=secret")],
            "http://collector/base/v1/traces?… HttpProtobuf None 10s {}",
        );
        let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector/own?api_key=secret")]);
        let builder = OtlpExporter::<Traces>::builder().with_env(&env);
        let debug = format!("{builder:?}");
        let config = builder.into_parts().unwrap().0;
        assert_eq!(config.endpoint.path, "/own?api_key=secret");
        assert!(!format!("{debug} {config:?}").contains("secret"), "{debug} {config:?}");
        check(
            &[("ENDPOINT", "collector:4318?api_key=secret")],
            "error: OTEL_EXPORTER_OTLP_ENDPOINT=\"collector:4318?…\" cannot be used: \
             expected a URL such as http://localhost:4318 or https://host/path",
        );
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
            "error: OTEL_EXPORTER_OTLP_ENDPOINT=\"https://collector\" cannot be used: \
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
            OtlpExporter::<Traces>::builder().with_base_endpoint("http://code").with_header("a", "code").with_env(&env);
        let debug = format!("{builder:?}");
        let config = builder.into_parts().unwrap().0;
        assert!(!debug.contains("\"code\"") && !debug.contains("\"env\""), "{debug}");
        assert_eq!((config.headers["a"].as_bytes(), config.headers["b"].as_bytes()), (&b"code"[..], &b"env"[..]));
        assert_eq!(show(Ok(config)), r#"http://code/v1/traces HttpProtobuf None 1ms {"a": Sensitive, "b": Sensitive}"#);
    }

    #[test]
    fn an_invalid_header_in_code_is_an_error_without_the_value() {
        let error = OtlpExporter::<Traces>::builder().with_header("a b", "secret").into_parts().err().unwrap();
        assert!(error.to_string().starts_with(r#"header="a b=…" cannot be used"#), "{error}");
    }
}
