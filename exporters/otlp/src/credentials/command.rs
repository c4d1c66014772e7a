//! A command that prints headers: it runs on the exporter's thread, without a shell, for a limited time.
//!
//! The command inherits the program's environment, working directory and user, but none of the exporter's descriptors. It has no input,
//! and its standard error is discarded, because it may contain secrets.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use telemark_sdk::text;
use telemark_sdk::time::Deadline;

/// The maximum time of one run, unless the export must end sooner.
const MAX_TIME: Duration = Duration::from_secs(30);

/// A program and its arguments. Shown without the arguments, which may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Command {
    program: OsString,
    arguments: Vec<OsString>,
}

impl Command {
    pub(super) fn new(program: OsString, arguments: Vec<OsString>) -> Self {
        Command { program, arguments }
    }

    /// Splits a line into words at white space. Quotation marks, single or double, keep words together; nothing else is special, so
    /// `sh -c '…'` runs a shell. Returns `None` if there is no word, or if a quotation mark has no counterpart.
    pub(super) fn parse(line: &str) -> Option<Command> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        for character in line.chars() {
            match (quote, character) {
                (Some(mark), _) if character == mark => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(character);
                    word.get_or_insert_default();
                }
                (None, _) if character.is_whitespace() => words.extend(word.take()),
                _ => word.get_or_insert_default().push(character),
            }
        }
        words.extend(word);
        let mut words = words.into_iter().map(OsString::from);
        let program = words.next().filter(|program| quote.is_none() && !program.is_empty())?;
        Some(Command { program, arguments: words.collect() })
    }

    /// Runs the command and returns its output. The error describes the problem without the output.
    #[cfg(unix)]
    pub(super) fn run(&self, deadline: Deadline) -> Result<Vec<u8>, String> {
        unix::run(self, deadline.min(Deadline::after(MAX_TIME)))
    }

    #[cfg(not(unix))]
    pub(super) fn run(&self, _: Deadline) -> Result<Vec<u8>, String> {
        let _ = (MAX_TIME, &self.arguments);
        Err("cannot be run, because commands need a Unix system".to_owned())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments = if self.arguments.is_empty() { "" } else { " …" };
        write!(f, "`{}{arguments}`", text::foreign(self.program.as_encoded_bytes()))
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, ErrorKind, Read};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::CommandExt;
    use std::process::{self, Child, Stdio};
    use std::thread;
    use std::time::Duration;

    use telemark_sdk::runtime::kill_group;
    use telemark_sdk::time::Deadline;

    use super::Command;
    use crate::credentials::grammar::MAX_SIZE;

    /// The maximum delay before the end of the command is noticed.
    const POLL_INTERVAL: Duration = Duration::from_millis(10);
    /// The maximum time for which the end of a killed command is awaited.
    const GRACE: Duration = Duration::from_secs(1);

    pub(super) fn run(command: &Command, deadline: Deadline) -> Result<Vec<u8>, String> {
        let mut child = process::Command::new(&command.program)
            .args(&command.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C ends the program, which still exports and may need the command for that.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot be started ({error})"))?;
        let pipe = child.stdout.take().ok_or_else(|| io::Error::from(ErrorKind::BrokenPipe));
        let mut pipe = pipe.and_then(|pipe| nonblocking(pipe.into()));
        let result = match &mut pipe {
            Ok(pipe) => output(&mut child, pipe, deadline),
            Err(error) => Err(unreadable(error)),
        };
        if result.is_err() {
            // What it has started would otherwise stay, with each attempt: a shell does not end its commands.
            if matches!(child.try_wait(), Ok(None)) {
                kill_group(child.id());
            }
            // Fails if the command has ended.
            let _ = child.kill();
            // Only now: a command that writes into a closed pipe ends, and its group could no longer be killed.
            drop(pipe);
            let grace = Deadline::after(GRACE);
            while matches!(child.try_wait(), Ok(None)) && !grace.has_passed() {
                thread::sleep(POLL_INTERVAL);
            }
        }
        result
    }

    /// Reads the output until the command has ended. A process that the command leaves behind may keep the pipe open, so the end of the
    /// pipe is not awaited.
    fn output(child: &mut Child, pipe: &mut File, deadline: Deadline) -> Result<Vec<u8>, String> {
        let mut output = Vec::new();
        let mut wait = Duration::from_millis(1);
        loop {
            // Checked before the last bytes are read, which an ended command can no longer add to.
            let ended = end(child);
            read(pipe, &mut output).map_err(|error| unreadable(&error))?;
            if output.len() > MAX_SIZE {
                return Err(format!("writes more than {MAX_SIZE} bytes"));
            }
            match ended {
                Some(None) => return Ok(output),
                Some(Some(failure)) => return Err(failure),
                None if deadline.has_passed() => return Err("did not end in time and was killed".to_owned()),
                None => thread::sleep(deadline.remaining().map_or(wait, |left| left.min(wait))),
            }
            wait = (wait * 2).min(POLL_INTERVAL);
        }
    }

    fn unreadable(error: &io::Error) -> String {
        format!("has an output that cannot be read ({error})")
    }

    /// Makes reads return at once. The standard library has a safe call for this only on sockets, which on every system is one that
    /// descriptors of any kind accept.
    fn nonblocking(pipe: OwnedFd) -> io::Result<File> {
        let as_socket = UnixStream::from(pipe);
        as_socket.set_nonblocking(true)?;
        Ok(File::from(OwnedFd::from(as_socket)))
    }

    /// Reads what is there, up to one byte more than is allowed.
    fn read(pipe: &mut File, output: &mut Vec<u8>) -> io::Result<()> {
        let mut bytes = [0; 4096];
        while output.len() <= MAX_SIZE {
            match pipe.read(&mut bytes) {
                Ok(0) => break,
                Ok(len) => output.extend_from_slice(&bytes[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns `None` while the command runs, and then how it failed, if it did.
    fn end(child: &mut Child) -> Option<Option<String>> {
        /// The program reaps or ignores all its children, so that the status of this one is lost.
        const NO_SUCH_CHILD: i32 = 10;
        match child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) if status.success() => Some(None),
            Ok(Some(status)) => Some(Some(format!(
                "failed ({status}); its error output may contain secrets and is not shown, so run it by hand"
            ))),
            Err(error) if error.raw_os_error() == Some(NO_SUCH_CHILD) => Some(None),
            Err(error) => Some(Some(format!("cannot be waited for ({error})"))),
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let deadline = Deadline::after(Duration::from_secs(20));
        let shown = match Command::parse(line).unwrap().run(deadline) {
            Ok(output) => String::from_utf8(output).unwrap(),
            Err(problem) => format!("error: {problem}"),
        };
        assert_eq!(shown.split(" (os error").next().unwrap(), expected, "{line}");
    }

    #[test]
    fn words() {
        let words = |line: &str| Command::parse(line).map(|command| (command.program, command.arguments));
        let expect = |program: &str, arguments: &[&str]| {
            Some((OsString::from(program), arguments.iter().map(OsString::from).collect::<Vec<_>>()))
        };
        assert_eq!(words("vault read  -field=t"), expect("vault", &["read", "-field=t"]));
        assert_eq!(words(r#"sh -c 'echo "a b" $X' "" "it's""#), expect("sh", &["-c", "echo \"a b\" $X", "", "it's"]));
        assert_eq!(words(r"C:\a\b.exe x'y z'"), expect(r"C:\a\b.exe", &["xy z"]));
        assert_eq!(
            [words(""), words("  "), words("''"), words("a 'b"), words("a \"b'")],
            [None, None, None, None, None]
        );
    }

    #[test]
    fn output_and_failures() {
        check("echo a=1", "a=1\n");
        check("sh -c 'cat; echo $0 done'", "sh done\n");
        check("/no/such/program s3cret", "error: cannot be started (No such file or directory");
        const HIDDEN: &str = "its error output may contain secrets and is not shown, so run it by hand";
        check("sh -c 'echo s3cret >&2; echo s3cret; exit 3'", &format!("error: failed (exit status: 3); {HIDDEN}"));
        check("sh -c 'kill -9 $$'", &format!("error: failed (signal: 9 (SIGKILL)); {HIDDEN}"));
        check("sh -c 'head -c 65536 /dev/zero | tr \"\\0\" x'", &"x".repeat(65536));
        check("cat /dev/zero", "error: writes more than 65536 bytes");
        assert_eq!(format!("{:?}", Command::parse("a s3cret").unwrap()), "`a …`");
    }

    #[test]
    fn what_the_command_leaves_behind_is_not_waited_for() {
        let run = |line: &str| String::from_utf8(Command::parse(line).unwrap().run(Deadline::NEVER).unwrap()).unwrap();
        let left = run("sh -c 'sleep 1000 & echo $!'");
        // Fails unless the process is still there.
        run(&format!("kill {}", left.trim()));
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let file = std::env::temp_dir().join(format!("telemark-otlp-command-{}", std::process::id()));
        let line = format!("sh -c 'echo $$ > {}; exec sleep 1000'", file.display());
        // On a busy machine, a command may be killed before it has written its number.
        let killed_after = |millis| {
            let problem =
                Command::parse(&line).unwrap().run(Deadline::after(Duration::from_millis(millis))).unwrap_err();
            assert_eq!(problem, "did not end in time and was killed");
            std::fs::read_to_string(&file).ok().filter(|pid| pid.ends_with('\n'))
        };
        let pid = [300, 3_000, 30_000].into_iter().find_map(killed_after).unwrap();
        std::fs::remove_file(&file).unwrap();
        check(&format!("sh -c 'kill -0 {} 2>/dev/null || echo gone'", pid.trim()), "gone\n");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a thread of a test, which waits for a process")]
    fn what_a_command_has_started_is_killed_with_it() {
        let pipe = std::env::temp_dir().join(format!("telemark-otlp-group-{}", std::process::id()));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (sender, ended) = std::sync::mpsc::channel();
        let path = pipe.clone();
        // The pipe ends with the last process that has it open.
        let reader = std::thread::spawn(move || sender.send(std::fs::read(path).unwrap()));
        let line = format!("sh -c 'exec 3>{}; sleep 1000 & exec cat /dev/zero'", pipe.display());
        check(&line, "error: writes more than 65536 bytes");
        assert_eq!(ended.recv_timeout(Duration::from_secs(20)).as_deref(), Ok(&b""[..]));
        reader.join().unwrap().unwrap();
        std::fs::remove_file(&pipe).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_descriptor_is_inherited() {
        use std::os::fd::AsRawFd;

        // Far above those that the command opens itself.
        let held: Vec<_> = (0..100).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let output = Command::parse("ls /proc/self/fd").unwrap().run(Deadline::NEVER).unwrap();
        let inherited: Vec<i32> =
            String::from_utf8(output).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        let ours: Vec<_> = held.iter().map(AsRawFd::as_raw_fd).filter(|fd| *fd > 20).collect();
        assert!(ours.len() > 50 && inherited.contains(&1), "{ours:?} {inherited:?}");
        assert!(!inherited.iter().any(|fd| ours.contains(fd)), "{ours:?} {inherited:?}");
    }
}
