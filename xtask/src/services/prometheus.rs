//! Prometheus, as Debian packages it: scrapes every second what the tests ask it to.
//!
//! A test puts a file into the folder of targets, in the format of Prometheus' file-based service discovery, and asks for
//! what was scraped through the HTTP API.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::install::apt;
use super::process::{Process, Service, free_address, run_folder};
use crate::step::Failure;

/// Between choosing a port and listening on it, another program may take it.
const ATTEMPTS: usize = 3;

/// Native histograms are asked for in protobuf, which exporters of text do not offer: they fall back to OpenMetrics.
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

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
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

/// For the configuration, the data and the targets; without those of earlier runs.
fn fresh_folder() -> Result<PathBuf, Failure> {
    let folder = run_folder()?.join(format!("prometheus-{}", std::process::id()));
    // Not there as a rule.
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

/// The names of labels stay as the page has them. Changes of the folder are noticed at once, or else within a second.
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
