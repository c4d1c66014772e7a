//! The turn of a run: one at a time writes and builds a shadow workspace.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// The file whose lock is the turn. It is never removed, because a run may be waiting for it.
const FILE: &str = ".lock";

/// The turn, which ends when it is dropped, and when another program replaces this process.
#[derive(Debug)]
pub(crate) struct Turn {
    _file: File,
}

impl Turn {
    /// Waits until no other run has the turn in this folder, and says so if there is one.
    pub(crate) fn wait(folder: &Path, messages: &mut impl Write) -> io::Result<Turn> {
        let file = File::options().create(true).append(true).open(folder.join(FILE))?;
        let result = match lock(&file, false) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = writeln!(messages, "    Blocking waiting for file lock on {}", folder.display());
                lock(&file, true)
            }
            result => result,
        };
        match result {
            // Some network file systems have no locks. Runs on them are up to the user, as cargo's are.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            _ => Ok(Turn { _file: file }),
        }
    }
}

#[cfg(unix)]
fn lock(file: &File, waits: bool) -> io::Result<()> {
    use rustix::fs::{FlockOperation, flock};
    let operation = if waits { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
    flock(file, operation).map_err(io::Error::from)
}

/// The commands support Unix only.
#[cfg(not(unix))]
fn lock(_: &File, _: bool) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Hands over what is written to it.
    struct Said(Sender<String>);

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "another run")]
    fn a_second_run_waits_until_the_first_one_has_ended() {
        let folder = std::env::temp_dir().join(format!("telemark-turn-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (said, heard): (_, Receiver<String>) = channel();
        let first = Turn::wait(&folder, &mut Said(said.clone())).unwrap();
        let second = {
            let folder = folder.clone();
            std::thread::spawn(move || Turn::wait(&folder, &mut Said(said)).map(drop))
        };
        let mut message = String::new();
        while !message.ends_with('\n') {
            message += &heard.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        }
        assert_eq!(message, format!("    Blocking waiting for file lock on {}\n", folder.display()));
        assert!(!second.is_finished());
        drop(first);
        second.join().unwrap().unwrap();
        assert!(heard.try_recv().is_err(), "the first run has waited for nobody");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
