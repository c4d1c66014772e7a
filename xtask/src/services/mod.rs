//! `cargo xtask services`: real receivers for the tests, on free loopback ports.
//!
//! - `install` installs packages into `.services/`.
//! - `process` starts a program, waits until it accepts connections, and stops it when dropped.
//! - `keeper` runs between this tool and a program, and stops the program when the tool ends.
//! - `rotel` and `mockotlpserver` are the receivers. `prometheus` scrapes the tests' servers.
//! - `postgres` and `mariadb` are the databases, and `database` is the code that they share.
//! - `packages` are installed but not started: the Prometheus client, whose parsers read Telemark's pages; gRPC for Python,
//!   for a collector that compresses its responses; Envoy, which a test starts between two services; the SDKs for Python and
//!   JavaScript, which send to the viewer; Chromium (`browser`), which shows its page; and the sources of mini-redis and
//!   sqlx_remote_run, whose own tests run with and without telemetry.

mod browser;
mod database;
pub(crate) mod install;
pub(crate) mod keeper;
mod mariadb;
mod mockotlpserver;
mod packages;
mod postgres;
mod process;
mod prometheus;
mod rotel;

use std::io::Read;

use crate::step::{Failure, Step, is_ci};
use process::Service;

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
        for (variable, packages) in packages::ALL {
            let folders: Result<Vec<_>, _> = packages.iter().map(packages::Package::install).collect();
            match folders {
                Ok(folders) => services.variables.push((variable.to_owned(), folders.join(":"))),
                Err(failure) if is_ci() => return Err(failure),
                Err(failure) => services.skipped.push(failure.to_string()),
            }
        }
        services.repeat_what_was_skipped();
        Ok(services)
    }

    /// Returns the variables through which tests find the services: `TELEMARK_TEST_<RECEIVER>_{GRPC,HTTP,OUTPUT}` for
    /// the receivers, `TELEMARK_TEST_PROMETHEUS_{URL,TARGETS,PROMTOOL}` for Prometheus,
    /// `TELEMARK_TEST_{POSTGRES,MARIADB}_URL` for the databases, and the folders of the Python packages in
    /// `TELEMARK_TEST_PROMETHEUS_CLIENT` (the parser), `TELEMARK_TEST_GRPCIO` (a collector that compresses),
    /// `TELEMARK_TEST_ENVOY` (a proxy), `TELEMARK_TEST_PYTHON_SDK` and `TELEMARK_TEST_JAVASCRIPT_SDK` (clients of the viewer), the program
    /// in `TELEMARK_TEST_CHROMIUM`, and the sources in `TELEMARK_TEST_{MINI_REDIS,SQLX_REMOTE_RUN}`.
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
