//! PostgreSQL, as packaged by Debian, with an empty database and without passwords.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::database::{attempts, fresh_folder, is_root, succeed};
use super::install::apt;
use super::process::{Process, Service, free_address};
use crate::step::Failure;

const USER: &str = "postgres";

pub(super) fn start() -> Result<Service, Failure> {
    let programs = match folder_of_programs() {
        Some(programs) => programs,
        None => {
            apt("postgresql")?;
            folder_of_programs().ok_or_else(|| Failure::new("the package postgresql has no initdb".to_owned()))?
        }
    };
    attempts(|| attempt(&programs))
}

/// Returns the folder of `initdb` and `postgres`, which Debian keeps out of the path.
fn folder_of_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let packaged = versions.map(|version| version.path().join("bin"));
    packaged
        .chain([PathBuf::from("/usr/local/bin"), PathBuf::from("/usr/bin")])
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

fn attempt(programs: &Path) -> Result<Service, Failure> {
    let address = free_address()?;
    let folder = fresh_folder("postgres", Some(USER))?;
    let data = folder.join("data");
    let mut command = command(&programs.join("initdb"));
    command.arg("--pgdata").arg(&data).args(["--auth=trust", "--username=telemark", "--no-sync", "--encoding=UTF8"]);
    succeed("initdb", command.current_dir(&folder).stdout(Stdio::null()))?;
    let mut command = self::command(&programs.join("postgres"));
    command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &address.port().to_string()]);
    command.args(["-c", "fsync=off", "-c", "unix_socket_directories="]).current_dir(&folder);
    let process = Process::start("postgres", &command)?;
    let url = format!("postgres://telemark@{address}/postgres");
    Ok(Service::when_reachable(process, &[address], [("URL", url)])?.with_scratch(folder))
}

/// Returns a command that root gives to the user of the package, as PostgreSQL refuses to run for root.
fn command(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"]).arg(program);
    command
}
