//! A process between this tool and a receiver, which ensures that the receiver never outlives the tool. When the tool
//! ends, even by SIGKILL, the pipe to the keeper closes and the keeper stops the receiver.

use std::io::{Read, stdin};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use super::process::PAUSE;
use crate::step::Failure;

/// The internal command with which this tool starts itself as a keeper.
pub(crate) const COMMAND: &str = "keep";

/// Wraps a command in a keeper, which runs as long as the pipe to it is open.
pub(super) fn kept(command: &Command) -> Result<Command, Failure> {
    let this = std::env::current_exe()
        .map_err(|error| Failure::new(format!("the executable of this tool cannot be found: {error}")))?;
    let mut keeper = Command::new(this);
    keeper.arg(COMMAND).arg(command.get_program()).args(command.get_args()).stdin(Stdio::piped());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => keeper.env(name, value),
            None => keeper.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        keeper.current_dir(folder);
    }
    // A separate process group, because Ctrl-C in a terminal would otherwise end the keeper before its program.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut keeper, 0);
    Ok(keeper)
}

/// Runs the program until it ends or standard input closes.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let Some((program, arguments)) = arguments.split_first() else {
        return Err(Failure::usage("there is nothing to keep"));
    };
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).spawn();
    let child = child.map_err(|error| Failure::new(format!("{program} could not be started: {error}")))?;
    match keep(child, stdin()) {
        // The keeper stopped the program.
        None => Ok(()),
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(Failure::new(format!("{program} ended ({status})"))),
    }
}

/// Waits for the program to end, or stops it when `input` ends.
fn keep(mut child: Child, mut input: impl Read + Send + 'static) -> Option<ExitStatus> {
    let (open, is_open) = channel::<()>();
    thread::spawn(move || {
        // No data is expected, and an error also counts as the end.
        let _ = input.read_to_end(&mut Vec::new());
        drop(open);
    });
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if is_open.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
            // This fails if the program has just ended.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;

    /// An input that ends when the sender is dropped.
    struct Until(Receiver<()>);

    impl Read for Until {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(0)
        }
    }

    #[test]
    fn a_program_that_ends_by_itself_is_waited_for() {
        let (_open, input) = channel();
        // The test's own executable, which prints its usage and exits.
        let mut command = Command::new(std::env::current_exe().unwrap());
        let child = command.arg("--help").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        assert!(keep(child, Until(input)).unwrap().success());
    }

    #[test]
    fn the_command_is_that_of_the_program_behind_this_one() {
        let mut command = Command::new("prometheus");
        command.args(["--a", "b"]).current_dir("/tmp").env("X", "1");
        let kept = kept(&command).unwrap();
        let arguments: Vec<_> = kept.get_args().map(|argument| argument.to_str().unwrap()).collect();
        assert_eq!(arguments, [COMMAND, "prometheus", "--a", "b"]);
        assert_eq!(kept.get_current_dir(), command.get_current_dir());
        assert_eq!(kept.get_envs().collect::<Vec<_>>(), command.get_envs().collect::<Vec<_>>());
    }

    #[test]
    #[cfg(unix)]
    fn a_program_is_stopped_when_its_input_ends() {
        let (open, input) = channel();
        // A process that outlives any test unless it is stopped.
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let id = child.id();
        let keeper = thread::spawn(move || keep(child, Until(input)));
        drop(open);
        assert_eq!(keeper.join().unwrap(), None);
        let is_there = Command::new("kill").args(["-0", &id.to_string()]).stderr(Stdio::null()).status();
        assert!(!is_there.unwrap().success(), "process {id} is still running");
    }
}
