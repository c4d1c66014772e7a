//! MariaDB, as packaged by Debian, with an empty database and without passwords.

use std::fs;
use std::process::{Command, Stdio};

use super::database::{attempts, fresh_folder, is_root, succeed};
use super::install::apt;
use super::process::{Process, Service, free_address};
use crate::step::Failure;

/// Runs when the server starts.
const INITIAL: &str = "\
CREATE DATABASE IF NOT EXISTS telemark;
CREATE USER IF NOT EXISTS telemark@'%';
GRANT ALL ON *.* TO telemark@'%';
";

pub(super) fn start() -> Result<Service, Failure> {
    let is_there = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !is_there("mariadbd") {
        apt("mariadb-server")?;
    }
    attempts(attempt)
}

fn attempt() -> Result<Service, Failure> {
    let address = free_address()?;
    let folder = fresh_folder("mariadb", None)?;
    let data = folder.join("data");
    // As root, the server asks for the user to run as.
    let user = is_root().then_some("--user=root");
    let mut command = Command::new("mariadb-install-db");
    command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
    command.args(["--auth-root-authentication-method=normal", "--skip-test-db"]).args(user);
    succeed("mariadb-install-db", command.stdout(Stdio::null()))?;
    let initial = folder.join("initial.sql");
    fs::write(&initial, INITIAL)
        .map_err(|error| Failure::new(format!("{} cannot be written: {error}", initial.display())))?;
    let mut command = Command::new("mariadbd");
    command.arg("--no-defaults").arg(format!("--datadir={}", data.display())).args(user);
    command.args(["--bind-address=127.0.0.1", &format!("--port={}", address.port()), "--skip-name-resolve"]);
    command.arg(format!("--socket={}", folder.join("socket").display()));
    command.arg(format!("--init-file={}", initial.display()));
    let process = Process::start("mariadb", &command)?;
    let url = format!("mysql://telemark@{address}/telemark");
    Ok(Service::when_reachable(process, &[address], [("URL", url)])?.with_scratch(folder))
}
