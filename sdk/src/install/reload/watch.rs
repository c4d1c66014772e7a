//! Looks at the configuration file, by its path and its content, and asks for a reload once a new version is still.

use std::hash::{DefaultHasher, Hasher};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::Control;
use super::reloader::Reloader;
use crate::diag::{self, Level};
use crate::error::{ConfigError, ExportError};
use crate::process::open_regular_file;
use crate::runtime::{Handle, Next, Runtime, Task, Wake};
use crate::time::Deadline;

/// The time for which a new version must stay as it is, because a file that is being written can be valid.
const STILL: Duration = Duration::from_millis(500);

/// The maximum number of bytes that are read of a file. No larger file can be used.
const MAX_BYTES: u64 = 1 << 20;

/// What a file looks like, so that two versions can be told apart. Links are followed, so what counts is the file at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::install) enum Fingerprint {
    /// The number of bytes, and a hash of them.
    Content(u64, u64),
    /// Too large to be used, with the number of bytes and the time of the last change.
    TooLarge(u64, Option<SystemTime>),
    /// A folder, a pipe or the like, which could block a reader.
    NoFile,
    Unreadable(ErrorKind),
}

impl Fingerprint {
    /// Looks at a file. Takes a bounded time, whatever the file is.
    pub(in crate::install) fn of(path: &Path) -> Self {
        Fingerprint::read(path).unwrap_or_else(|error| Fingerprint::Unreadable(error.kind()))
    }

    fn read(path: &Path) -> std::io::Result<Self> {
        let Some(file) = open_regular_file(path)? else { return Ok(Fingerprint::NoFile) };
        let metadata = file.metadata()?;
        if metadata.len() > MAX_BYTES {
            return Ok(Fingerprint::TooLarge(metadata.len(), metadata.modified().ok()));
        }
        let (mut file, mut hasher, mut length) = (file.take(MAX_BYTES), DefaultHasher::new(), 0);
        let mut piece = [0; 4096];
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(Fingerprint::Content(length, hasher.finish())),
                Ok(size) => {
                    hasher.write(&piece[..size]);
                    length += size as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Starts to look at the file in this interval; without one, only when the task is woken.
///
/// # Errors
/// Returns an error if the operating system refuses to start another thread.
pub(in crate::install) fn start(
    reloader: &Arc<Reloader>,
    control: Control,
    interval: Option<Duration>,
    runtime: &Runtime,
) -> Result<Handle, ConfigError> {
    runtime.start(
        "telemark-config",
        Watch { reloader: reloader.clone(), control, interval, candidate: None, is_asked: false },
    )
}

struct Watch {
    reloader: Arc<Reloader>,
    control: Control,
    interval: Option<Duration>,
    /// A new version, once it has been seen.
    candidate: Option<Fingerprint>,
    /// True as long as a signal asks for a version that could not be read yet.
    is_asked: bool,
}

impl Watch {
    /// Reads the file because a signal has asked for it. Returns the time until the next look.
    fn read(&mut self) -> Duration {
        self.candidate = None;
        let interval = self.interval.unwrap_or(FOREVER);
        let Err(error) = self.reloader.reload(&self.control, None) else {
            self.is_asked = false;
            return interval;
        };
        diag::log(Level::Debug, "reload", format_args!("SIGHUP: {error}"));
        // A version that is refused has been looked at. Otherwise the file is being written, or another reload is under way, and no other
        // signal may come.
        self.is_asked = self.reloader.is_new(&Fingerprint::of(self.reloader.path()));
        if self.is_asked { interval.min(STILL) } else { interval }
    }

    /// Looks at the file. Returns the time until the next look.
    fn look(&mut self, interval: Duration) -> Duration {
        let now = Fingerprint::of(self.reloader.path());
        if !self.reloader.is_new(&now) {
            self.candidate = None;
            return interval;
        }
        if self.candidate.as_ref() != Some(&now) {
            self.candidate = Some(now);
            return interval.min(STILL);
        }
        self.candidate = None;
        // The reloader reports a version that cannot be used, and an error without a version means that there will be another look.
        let _ = self.reloader.reload(&self.control, Some(&now));
        interval
    }
}

impl Task for Watch {
    fn first(&self) -> Duration {
        self.interval.unwrap_or(FOREVER)
    }

    fn run(&mut self, why: Wake) -> Next {
        Next::After(match (why, self.interval) {
            // A signal has asked for it.
            (Wake::Full, _) => self.read(),
            _ if self.is_asked => self.read(),
            (_, Some(interval)) => self.look(interval),
            (_, None) => FOREVER,
        })
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        Ok(())
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

/// A time after which a task that waits for nothing runs again, without any effect.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::config::{Env, Item, Tree};
    use crate::install::{Components, Telemetry};
    use crate::runtime::ManualRuntime;

    /// The number of readings after which the file is another one.
    static WRITES: AtomicUsize = AtomicUsize::new(0);

    fn read_while_it_is_written(path: &Path, _: &Env) -> Result<Tree, ConfigError> {
        let text = fs::read_to_string(path).unwrap();
        if WRITES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            fs::write(path, format!("{text}.")).unwrap();
        }
        Ok(Tree::new("test", Item::mapping([("file_format", Item::new("1.2"))])))
    }

    #[test]
    fn a_signal_while_the_file_is_being_written_is_not_lost() {
        static COMPONENTS: Components = Components::NONE.with_config_files(Ok(read_while_it_is_written));
        let path = std::env::temp_dir().join(format!("telemark-sighup-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let runtime = ManualRuntime::new();
        let env = Env::from_pairs([("OTEL_CONFIG_FILE", path.to_str().unwrap())]);
        let builder = Telemetry::builder(env).with_components(&COMPONENTS).with_reload_on_sighup(true);
        let telemetry = builder.with_runtime(Runtime::Manual(runtime.clone())).build().unwrap();
        let applied = || telemetry.health().config.applied;
        WRITES.store(3, Ordering::Relaxed);
        telemetry.handle.watch.as_ref().unwrap().wake();
        runtime.run_woken();
        assert_eq!((applied(), WRITES.load(Ordering::Relaxed)), (0, 0));
        runtime.run_timers();
        assert_eq!(applied(), 1);
        // Once is enough.
        runtime.run_timers();
        assert_eq!(applied(), 1);
        fs::remove_file(path).unwrap();
    }
}
