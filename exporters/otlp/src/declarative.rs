//! Reads the settings of an exporter from a configuration file.
//!
//! spec: configuration/data-model.md; opentelemetry-configuration: `OtlpHttpExporter`, `OtlpGrpcExporter`, `OtlpFileExporter`

use std::path::Path;

use telemark_sdk::ConfigError;
use telemark_sdk::config::{Env, Settings as FileSettings};

use crate::config::{Address, Settings};
use crate::encode::Encode;
use crate::exporter::OtlpExporter;
use crate::file::JsonLinesExporter;
use crate::headers::Headers;
use crate::settings::{Compression, Named, Pem, Protocol};

impl<S: Encode> OtlpExporter<S> {
    /// Builds an exporter from the settings of a configuration file; see [`OtlpBuilder::with_settings`](crate::OtlpBuilder::with_settings).
    ///
    /// # Errors
    /// Fails in the same cases as [`OtlpBuilder::build`](crate::OtlpBuilder::build). The error names the setting by its path below
    /// `settings`.
    pub fn from_settings(settings: FileSettings<'_>, protocol: Protocol, env: &Env) -> Result<Self, ConfigError> {
        Self::builder().with_settings(settings, protocol, env).build()
    }
}

impl Settings {
    /// Reads the settings of an exporter, in addition to those that all exporters share.
    pub(crate) fn from_file(settings: FileSettings<'_>, protocol: Protocol, shared: Settings) -> Self {
        let tls = settings.object("tls");
        let pem = |key: &str, name: &'static str| {
            let path = tls?.text(key)?;
            if !Path::new(path).is_absolute() {
                tls?.get(key)?.reject("an absolute path");
                return None;
            }
            Named::from_code(name, Pem::File(path.into()))
        };
        let encodings = [("protobuf", Protocol::HttpProtobuf), ("json", Protocol::HttpJson)];
        let protocol = match protocol {
            Protocol::Grpc => Protocol::Grpc,
            default => settings.one_of("encoding", &encodings).unwrap_or(default),
        };
        let compressions = [("none", Compression::None), ("gzip", Compression::Gzip)];
        let endpoint = settings.text("endpoint").map(|url| Address { text: url.to_owned(), base: false });
        Settings {
            endpoint: endpoint.and_then(|address| Named::from_code("endpoint", address)),
            protocol: Named::from_code("protocol", protocol),
            headers: headers(settings),
            compression: settings
                .one_of("compression", &compressions)
                .and_then(|one| Named::from_code("compression", one)),
            timeout: settings.timeout("timeout"),
            insecure: tls.and_then(|tls| tls.boolean("insecure")),
            certificate: pem("ca_file", "tls.ca_file"),
            client_key: pem("key_file", "tls.key_file"),
            client_certificate: pem("cert_file", "tls.cert_file"),
            max_request_size: settings.size("max_request_size", 0),
            max_response_size: settings.size("max_response_size", 1),
            ..shared
        }
    }
}

/// Returns the headers of both lists. Those of `headers` take precedence, and one without a value is left out.
fn headers(settings: FileSettings<'_>) -> Headers {
    let mut headers = Headers::default();
    for header in settings.list("headers") {
        let Some((name, value)) = header.text("name").zip(header.text("value")) else { continue };
        if let Err(error) = headers.set("header", name, value) {
            header.problem(&error.to_string());
        }
    }
    let Some(list) = settings.text("headers_list") else { return headers };
    headers.or(Headers::from_list(list, "headers_list", |error| {
        settings.problem_at("headers_list", &error.to_string());
    }))
}

impl<S: Encode> JsonLinesExporter<S> {
    /// Builds an exporter from the settings of `otlp_file/development` in a configuration file, which writes to standard output or to
    /// a file with a `file://` URL.
    ///
    /// # Errors
    /// Fails if the file cannot be opened.
    pub fn from_settings(settings: FileSettings<'_>) -> Result<Self, ConfigError> {
        match settings.text("output_stream") {
            None | Some("stdout") => Ok(Self::to_writer(std::io::stdout())),
            Some(url) => match url.strip_prefix("file://").filter(|path| Path::new(path).is_absolute()) {
                Some(path) => Self::to_file(path),
                None => Err(ConfigError::invalid("output_stream", url, "stdout or file:/// with an absolute path")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use telemark_sdk::config::tree::Printed;
    use telemark_sdk::config::{Item, Report, schema};
    use telemark_sdk::install::{Components, Factory, Pipeline, Telemetry};
    use telemark_sdk::signal::{Metrics, Traces};

    use super::*;
    use crate::config::Config;

    /// Returns the config of an exporter with these settings, or the problems of the file.
    fn config(item: &Item, report: &Report<'_>, protocol: Protocol) -> Result<Config, ConfigError> {
        let settings = FileSettings::new(item, report);
        let env = Env::from_pairs::<String, String>([]);
        OtlpExporter::<Traces>::builder()
            .with_settings(settings, protocol, &env)
            .into_parts()
            .map(|(config, ())| config)
    }

    #[track_caller]
    fn check(text: &str, protocol: Protocol, expected: &str) {
        let tree = telemark_config::parse("file", text, &Env::from_pairs([("TOKEN", "s3cret")])).unwrap();
        let report = Report::new(&tree);
        let shown = match config(tree.root(), &report, protocol) {
            Ok(c) => {
                let mut headers: Vec<_> =
                    c.headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
                headers.sort();
                let Config { endpoint, protocol, compression, timeout, max_request_size, max_response_size, .. } = c;
                format!(
                    "{endpoint} {protocol:?} {compression:?} {timeout:?} {max_request_size} {max_response_size} {headers:?}"
                )
            }
            Err(error) => format!("error: {error}"),
        };
        let problems = report.into_result().err().map(|error| error.to_string()).unwrap_or_default();
        let problems = problems.lines().skip(1).map(|line| format!("; {}", line.trim()));
        assert_eq!([shown].into_iter().chain(problems).collect::<String>(), expected, "{text}");
    }

    #[test]
    fn defaults() {
        check("", Protocol::HttpProtobuf, "http://localhost:4318/v1/traces HttpProtobuf None 10s 67108864 4194304 []");
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn every_setting_of_http() {
        check(
            "endpoint: http://collector:1/own?k=v\nheaders: [{name: a, value: '1'}, {name: b, value: }]\nheaders_list: a=2,c=${TOKEN}\n\
             compression: gzip\nmax_request_size: 0\nmax_response_size: 9\ntimeout: 0\nencoding: json\n",
            Protocol::HttpProtobuf,
            &format!(
                "http://collector:1/own?… HttpJson Gzip {:?} 4294967295 9 [\"a=1\", \"c=s3cret\"]",
                std::time::Duration::MAX
            ),
        );
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn grpc() {
        const METHOD: &str =
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export Grpc None 10s 67108864 4194304 []";
        check("", Protocol::Grpc, &format!("http://localhost:4317{METHOD}"));
        check(
            "endpoint: collector:4317\ntls: {insecure: true}\n",
            Protocol::Grpc,
            &format!("http://collector:4317{METHOD}"),
        );
    }

    #[test]
    fn what_cannot_be_used_is_a_problem_of_its_own_line_and_shows_no_secret() {
        check(
            "headers:\n  - {name: a b, value: s3cret}\nheaders_list: s3cret\ntls:\n  ca_file: relative.pem\n",
            Protocol::HttpProtobuf,
            "http://localhost:4318/v1/traces HttpProtobuf None 10s 67108864 4194304 []\
             ; line 2, column 5: headers[0]: header=\"a b=…\" cannot be used: expected key=value,key=value with percent-encoded values, \
             and no header that belongs to the protocol\
             ; line 3, column 15: headers_list: entry 1 of headers_list: cannot be used, expected key=value,key=value with \
             percent-encoded values, and no header that belongs to the protocol\
             ; line 5, column 12: tls.ca_file=\"relative.pem\" cannot be used: expected an absolute path",
        );
        check(
            "endpoint: ftp://u:s3cret@h\n",
            Protocol::HttpProtobuf,
            "error: endpoint=\"ftp://…@h\" cannot be used: expected a URL such as http://localhost:4318 or https://host/path",
        );
    }

    #[test]
    fn json_lines_go_to_a_file_by_its_url() {
        let write = |text: &str| {
            let tree = telemark_config::parse("file", text, &Env::from_pairs([("", "")])).unwrap();
            let report = Report::new(&tree);
            JsonLinesExporter::<Traces>::from_settings(FileSettings::new(tree.root(), &report))
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        let path = std::env::temp_dir().join(format!("telemark-otlp-{}.jsonl", std::process::id()));
        assert_eq!(write(&format!("output_stream: file://{}", path.display())), Ok(()));
        assert!(std::fs::remove_file(&path).is_ok());
        assert_eq!((write(""), write("output_stream: stdout")), (Ok(()), Ok(())));
        let relative =
            "output_stream=\"traces.jsonl\" cannot be used: expected stdout or file:/// with an absolute path";
        assert_eq!(write("output_stream: traces.jsonl"), Err(relative.to_owned()));
    }

    static COMPONENTS: Components = Components::NONE
        .with_span_exporters(&[Factory::new("otlp", |_| Err(ConfigError::state("otlp", "is not built here")))])
        .with_metric_exporters(&[Factory::new("otlp", |node| {
            Ok(Pipeline::new(OtlpExporter::<Metrics>::from_env(node.env())?))
        })]);

    /// Returns the only exporter in a provider of the file.
    fn exporter<'a>(root: &'a Item, path: &[&str]) -> &'a Item {
        let list = path.iter().fold(root, |item, key| item.get(key).unwrap());
        let processor = &list.items()[0].entries()[0].1;
        processor.get("exporter").unwrap()
    }

    /// The variables with values, for one signal and for all of them.
    fn variables() -> impl proptest::strategy::Strategy<Value = Vec<(String, &'static str)>> {
        use proptest::prelude::*;

        let values: [(&str, &[&'static str]); 7] = [
            ("ENDPOINT", &["http://a:1", "http://b/x/", "http://c/y?k=v", "http://[::1]:4318"]),
            ("PROTOCOL", &["http/json", "HTTP/protobuf", "grpc", "other"]),
            ("HEADERS", &["a=1", "a=1,b=%20x%2Cy", "token=a==, x = $y"]),
            ("COMPRESSION", &["gzip", "none", "zip"]),
            ("TIMEOUT", &["0", "5", "-1"]),
            ("INSECURE", &["true", "false"]),
            ("CERTIFICATE", &["/a.pem"]),
        ];
        let each: Vec<_> = ["", "TRACES_"]
            .into_iter()
            .flat_map(|signal| values.map(move |(name, values)| (format!("OTEL_EXPORTER_OTLP_{signal}{name}"), values)))
            .map(|(name, values)| {
                proptest::option::weighted(0.4, proptest::sample::select(values))
                    .prop_map(move |value| Some((name.clone(), value?)))
            })
            .collect();
        each.prop_map(|list| list.into_iter().flatten().collect())
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(200))]

        /// The exporter of the file that is written from variables is that of the variables.
        #[test]
        fn the_file_of_the_variables_has_their_effect(variables in variables()) {
            let env = Env::from_pairs(variables.clone());
            let written = Telemetry::builder(Env::from_pairs(variables)).with_components(&COMPONENTS).config_of_variables();
            // Secrets appear as references.
            let text = Printed::new(&written).to_string();
            let tree = telemark_config::parse("file", &text, &env).unwrap();
            let report = Report::new(&tree);
            schema::check(&report, &|_| Vec::new());
            let (name, settings) = &exporter(tree.root(), &["tracer_provider", "processors"]).entries()[0];
            let protocol = if name == "otlp_grpc" { Protocol::Grpc } else { Protocol::HttpProtobuf };
            let show = |config: Result<Config, ConfigError>| match config {
                Ok(c) => format!("{} {:?} {:?} {:?} {:?} {}", c.endpoint, c.protocol, c.compression, c.timeout, {
                    let mut headers: Vec<_> = c.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
                    headers.sort();
                    headers
                }, c.tls.is_some()),
                Err(error) => format!("error: {}", error.to_string().split(": ").last().unwrap_or_default()),
            };
            let of_variables = show(OtlpExporter::<Traces>::builder().with_env(&env).into_parts().map(|(config, ())| config));
            let of_file = show(config(settings, &report, protocol));
            proptest::prop_assert_eq!(of_variables, of_file, "{}", text);
            proptest::prop_assert!(report.into_result().is_ok(), "{}", text);
        }
    }
}
