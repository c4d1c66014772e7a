//! Prometheus, as packaged by Debian. Scrapes the tests' servers every second.
//!
//! A test adds a file in the format of Prometheus' file-based service discovery to the folder of targets, and queries the
//! scraped data through the HTTP API.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::install::{apt, is_there};
use super::process::{Process, Service, free_address, run_folder};
use crate::step::Failure;

/// The number of attempts, because another program may take the chosen port first.
const ATTEMPTS: usize = 3;

/// With native histograms enabled, Prometheus prefers protobuf. Exporters that only produce text fall back to
/// OpenMetrics.
const FEATURES: &str = "--enable-feature=exemplar-storage,native-histograms";

pub(super) fn start() -> Result<Service, Failure> {
    if !is_there("prometheus") || !is_there("promtool") {
        apt("prometheus")?;
    }
    let mut result = attempt();
    for _ in 1..ATTEMPTS {
        if result.is_err() {
            result = attempt();
        }
    }
    result
}

fn attempt() -> Result<Service, Failure> {
    let address = free_address()?;
    let folder = fresh_folder()?;
    let targets = folder.join("targets");
    write(&folder.join("prometheus.yml"), &config(&targets))?;
    let mut command = Command::new("prometheus");
    command.arg(format!("--web.listen-address={address}")).arg(FEATURES).current_dir(&folder);
    command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=1h"]);
    let variables = [
        ("URL", format!("http://{address}")),
        ("TARGETS", targets.display().to_string()),
        ("PROMTOOL", "promtool".to_owned()),
    ];
    let process = Process::start("prometheus", &command)?;
    Ok(Service::when_reachable(process, &[address], variables)?.with_scratch(folder))
}

/// Creates an empty folder for the configuration, the data and the targets.
fn fresh_folder() -> Result<PathBuf, Failure> {
    let folder = run_folder()?.join(format!("prometheus-{}", std::process::id()));
    // The folder usually does not exist.
    let _ = fs::remove_dir_all(&folder);
    let targets = folder.join("targets");
    match fs::create_dir_all(&targets) {
        Ok(()) => Ok(folder),
        Err(error) => Err(Failure::new(format!("{} cannot be created: {error}", targets.display()))),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))
}

/// Returns the configuration, which keeps the page's label names. Prometheus notices changes to the folder within a
/// second.
fn config(targets: &Path) -> String {
    format!(
        "\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: tests
    honor_labels: true
    file_sd_configs:
      - files: [{:?}]
        refresh_interval: 1s
",
        targets.join("*.json").display().to_string()
    )
}
