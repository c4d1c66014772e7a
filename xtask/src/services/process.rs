//! A receiver's process. Its output is written to a file, a successful connection shows that it is ready, and dropping
//! it stops it.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::keeper;
use crate::step::{Failure, root};

/// The time limit for a receiver to become ready.
const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// A running program that accepts connections, and the variables through which tests find it.
pub(super) struct Service {
    /// Held until dropped.
    _process: Process,
    /// Dropped after the process, which writes to this folder.
    _scratch: Option<Scratch>,
    variables: Vec<(String, String)>,
}

/// A folder that is removed when dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover folder is harmless.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Service {
    /// Waits until a receiver reports its addresses, gRPC first, and accepts connections on both.
    ///
    /// Sets `TELEMARK_TEST_<NAME>_GRPC` and `_HTTP` to the URLs, and `_OUTPUT` to the file with the receiver's output.
    pub(super) fn when_ready(
        mut process: Process,
        addresses: impl Fn(&str) -> Option<(SocketAddr, SocketAddr)>,
    ) -> Result<Self, Failure> {
        let (grpc, http) = process.until("says where it listens", |output| addresses(output))?;
        let variables = [
            ("GRPC", format!("http://{grpc}")),
            ("HTTP", format!("http://{http}")),
            ("OUTPUT", process.output.display().to_string()),
        ];
        Service::when_reachable(process, &[grpc, http], variables)
    }

    /// Waits until the program accepts connections on all addresses. The names of the variables get the prefix
    /// `TELEMARK_TEST_<NAME>_`.
    pub(super) fn when_reachable<const N: usize>(
        mut process: Process,
        addresses: &[SocketAddr],
        variables: [(&str, String); N],
    ) -> Result<Self, Failure> {
        for address in addresses {
            let connect = |_: &str| TcpStream::connect_timeout(address, Duration::from_secs(1)).ok();
            process.until(&format!("takes connections on {address}"), connect)?;
        }
        let name = process.name.to_uppercase();
        let variables = variables.map(|(what, value)| (format!("TELEMARK_TEST_{name}_{what}"), value));
        Ok(Service { _process: process, _scratch: None, variables: variables.into() })
    }

    /// Adds a folder to remove after the program has been stopped.
    pub(super) fn with_scratch(mut self, folder: PathBuf) -> Self {
        self._scratch = Some(Scratch(folder));
        self
    }

    pub(super) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }
}

/// A running program with its keeper.
pub(super) struct Process {
    name: String,
    keeper: Child,
    output: PathBuf,
}

impl Process {
    /// Starts the program and redirects its standard output and error to `.services/run/`.
    pub(super) fn start(name: &str, command: &Command) -> Result<Self, Failure> {
        let output = run_folder()?.join(format!("{name}-{}.out", std::process::id()));
        let errors = output.with_extension("err");
        let file = |path: &Path| {
            File::create(path).map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))
        };
        let keeper = keeper::kept(command)?
            .stdout(file(&output)?)
            .stderr(file(&errors)?)
            .spawn()
            .map_err(|error| Failure::new(format!("{name} could not be started: {error}")))?;
        eprintln!("    process {}, output in {}", keeper.id(), output.display());
        Ok(Process { name: name.to_owned(), keeper, output })
    }

    /// Polls until `ask` returns a value. `ask` receives the output so far.
    fn until<T>(&mut self, what: &str, ask: impl Fn(&str) -> Option<T>) -> Result<T, Failure> {
        let start = Instant::now();
        loop {
            // Checked first: if the program has ended, another one may be responding on its port.
            let ended = self.keeper.try_wait().ok().flatten();
            let output = fs::read_to_string(&self.output).unwrap_or_default();
            if let Some(status) = ended {
                let errors = fs::read_to_string(self.output.with_extension("err")).unwrap_or_default();
                return Err(Failure::new(format!("{} ended ({status}):\n{output}{errors}", self.name)));
            }
            if let Some(answer) = ask(&output) {
                return Ok(answer);
            }
            if start.elapsed() > PATIENCE {
                return Err(Failure::new(format!("{} never {what}, after {PATIENCE:?}", self.name)));
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // When its input is closed, the keeper stops the program. Both may already have ended.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Waits for a program to end. Stops it after `patience`.
pub(super) fn wait(mut child: Child, patience: Duration) -> Result<ExitStatus, Failure> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() < patience => thread::sleep(PAUSE),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Failure::new(format!("process {} was stopped after {patience:?}", child.id())));
            }
            Err(error) => return Err(Failure::new(format!("waiting for process {} failed: {error}", child.id()))),
        }
    }
}

/// Returns the folder for the output of running receivers.
pub(super) fn run_folder() -> Result<PathBuf, Failure> {
    let folder = root().join(".services/run");
    match fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder),
        Err(error) => Err(Failure::new(format!("{} cannot be created: {error}", folder.display()))),
    }
}

/// Returns an unused loopback address, which is different for each call, for programs that cannot choose a port
/// themselves.
///
/// Avoids the ephemeral port range, whose ports the system may hand out at any moment.
pub(super) fn free_address() -> Result<SocketAddr, Failure> {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 10_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);

    // Other instances of this tool start at a different port.
    let begin = std::process::id().wrapping_mul(37);
    for _ in 0..COUNT {
        let port = FIRST + begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap_or(0)));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(Failure::new("there is no free port on loopback from 20000 to 29999".to_owned()))
}
