//! The headers in use, and when they are read again.
//!
//! They are read on the exporter's thread: before the first request, once they are as old as the refresh interval, and at once if the
//! receiver refuses them. If they cannot be read again, those in use remain. A command or code that fails is not asked again before a
//! pause, which doubles with each failure, because every request and every retry needs the headers.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use telemark_sdk::diag::{Level, log};
use telemark_sdk::time::Deadline;

use super::source::{HeaderSource, SourceConfig};

/// The time until the failed reading of a file is repeated, unless the refresh interval is shorter or nothing has been read.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// The pause after the first failure of a command or of code.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The pause after many failures.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The time for which a command or code is not asked again after the receiver has refused headers that were new.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// Headers that change.
pub(crate) struct Credentials {
    source: HeaderSource,
    /// The variable or argument that set the source.
    setting: Cow<'static, str>,
    refresh: Duration,
    kept: Vec<HeaderName>,
    /// The process that may read the source.
    home: u32,
    /// The headers of the last successful reading.
    headers: Option<HeaderMap>,
    /// Grows when the headers change.
    version: u64,
    next: Deadline,
    /// The end of the time in which refusals do not lead to a reading.
    refused_until: Option<Deadline>,
    /// The problem of the last reading, which has been reported.
    problem: Option<String>,
    failures: u64,
    first_pause: Duration,
    /// The pause since the last reading failed, and its end.
    pause: Option<(Duration, Deadline)>,
}

impl Credentials {
    /// Returns `None` if there is no source. Headers with the names in `kept` are left out.
    pub(crate) fn new(config: &SourceConfig, kept: &[HeaderName]) -> Option<Self> {
        let source = config.source.clone()?;
        let refresh = config.refresh.unwrap_or_else(|| source.value.default_refresh());
        Some(Credentials {
            source: source.value,
            setting: source.name,
            refresh,
            kept: kept.to_vec(),
            home: std::process::id(),
            headers: None,
            version: 0,
            next: Deadline::after(Duration::ZERO),
            refused_until: None,
            problem: None,
            failures: 0,
            first_pause: FIRST_PAUSE,
            pause: None,
        })
    }

    /// Reads a file when the exporter is built, so that a mistake is reported at once. It is no error, because the program that writes
    /// the file may start later.
    pub(crate) fn look(&mut self) {
        if self.source.is_file() {
            // Reports the problem.
            let _ = self.read(Deadline::NEVER);
            // The first export tries again.
            self.next = if self.headers.is_some() { self.next } else { Deadline::after(Duration::ZERO) };
        }
    }

    /// Returns the headers and their version, and reads them first if it is time to.
    ///
    /// # Errors
    /// Describes the problem if they have never been read.
    pub(crate) fn current(&mut self, deadline: Deadline) -> Result<(&HeaderMap, u64), String> {
        if self.headers.is_none() || self.next.has_passed() {
            // Reported by `read`. The old headers, if there are any, remain.
            self.read(deadline).or_else(|problem| if self.headers.is_some() { Ok(()) } else { Err(problem) })?;
        }
        let Credentials { headers: Some(headers), version, .. } = self else { return Err(self.setting.to_string()) };
        Ok((headers, *version))
    }

    /// Reads the headers again because the receiver has refused them. Returns true if they have changed.
    pub(crate) fn renew(&mut self, deadline: Deadline) -> bool {
        if self.refused_until.is_some_and(|until| !until.has_passed()) {
            return false;
        }
        let before = self.version;
        let has_changed = self.read(deadline).is_ok() && self.version != before;
        if !has_changed {
            self.note_refusal();
        }
        has_changed
    }

    /// Notes that the receiver has refused new headers as well, so that a command does not run for every batch.
    pub(crate) fn note_refusal(&mut self) {
        if !self.source.is_file() {
            self.refused_until = Some(Deadline::after(AFTER_REFUSAL));
        }
    }

    /// Returns the number of readings that failed. That of a file, which is repeated for each request, counts once for each reason.
    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    fn read(&mut self, deadline: Deadline) -> Result<(), String> {
        if std::process::id() != self.home {
            return Err(format!("{}: is not read in a forked child process", self.setting));
        }
        if let (Some((pause, until)), Some(problem)) = (self.pause, &self.problem) {
            if !until.has_passed() {
                return Err(format!("{problem}, and is not tried again within {pause:?}"));
            }
        }
        match self.source.read(deadline) {
            Ok(headers) => {
                self.next = Deadline::after(self.refresh);
                (self.problem, self.pause) = (None, None);
                let mut headers = headers.into_map();
                for name in &self.kept {
                    headers.remove(name);
                }
                if self.headers.as_ref() != Some(&headers) {
                    self.headers = Some(headers);
                    self.version += 1;
                }
                Ok(())
            }
            Err(problem) => {
                self.next = Deadline::after(self.refresh.min(AFTER_FAILURE));
                let problem = format!("{}: {problem}", self.setting);
                let is_new = self.problem.as_ref() != Some(&problem);
                if !self.source.is_file() {
                    let pause = self.pause.map_or(self.first_pause, |(last, _)| (last * 2).min(MAX_PAUSE));
                    self.pause = Some((pause, Deadline::after(pause)));
                }
                self.failures += u64::from(is_new || !self.source.is_file());
                if is_new {
                    let rest = match self.headers {
                        Some(_) => "the headers read before stay in use",
                        None => "nothing is sent without these headers",
                    };
                    log(Level::Warn, "headers", format_args!("{problem}; {rest}"));
                    self.problem = Some(problem.clone());
                }
                Err(problem)
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("source", &self.source)
            .field("setting", &self.setting)
            .field("refresh", &self.refresh)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::settings::Named;

    /// Returns credentials whose readings give these values, and the number of readings.
    fn credentials(
        values: &'static [Result<&'static str, &'static str>],
        refresh: Duration,
    ) -> (Credentials, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let source = HeaderSource::Code(Arc::new(move || {
            let index = counter.fetch_add(1, Ordering::Relaxed).min(values.len() - 1);
            match values[index] {
                Ok(value) => Ok(vec![("a".to_owned(), value.to_owned())]),
                Err("panic") => panic!("s3cret"),
                Err(error) => Err(error.into()),
            }
        }));
        let source = Named::from_code("header_source", source);
        let config = SourceConfig { source, refresh: Some(refresh), unused: Vec::new() };
        let credentials = Credentials::new(&config, &[]).unwrap();
        (Credentials { first_pause: Duration::ZERO, ..credentials }, count)
    }

    fn shown(credentials: &mut Credentials) -> String {
        match credentials.current(Deadline::NEVER) {
            Ok((headers, version)) => format!("{} v{version}", headers["a"].to_str().unwrap()),
            Err(error) => error,
        }
    }

    #[test]
    fn headers_are_read_once_an_interval() {
        let (mut often, count) = credentials(&[Ok("1"), Ok("1"), Ok("2")], Duration::ZERO);
        assert_eq!([(); 4].map(|()| shown(&mut often)), ["1 v1", "1 v1", "2 v2", "2 v2"]);
        assert_eq!(count.load(Ordering::Relaxed), 4);
        let (mut never, count) = credentials(&[Ok("1"), Ok("2")], Duration::MAX);
        assert_eq!([(); 3].map(|()| shown(&mut never)), ["1 v1", "1 v1", "1 v1"]);
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert!(never.renew(Deadline::NEVER));
        assert_eq!(shown(&mut never), "2 v2");
    }

    #[test]
    fn a_reading_that_fails_keeps_the_headers_and_counts() {
        let values = &[Err("down"), Ok("1"), Err("down"), Err("down"), Err("panic"), Ok("2")];
        let (mut credentials, _) = credentials(values, Duration::ZERO);
        let seen = [(); 6].map(|()| shown(&mut credentials));
        assert_eq!(seen, ["header_source: failed (down)", "1 v1", "1 v1", "1 v1", "1 v1", "2 v2"]);
        assert_eq!(credentials.failures(), 4);
    }

    #[test]
    fn after_a_failure_nothing_is_asked_until_a_pause_has_passed() {
        let (mut paused, count) = credentials(&[Err("down"), Ok("1"), Err("down"), Ok("2")], Duration::ZERO);
        paused.first_pause = Duration::from_secs(3600);
        let seen = [(); 100].map(|()| shown(&mut paused));
        assert_eq!(seen[0], "header_source: failed (down)");
        assert!(seen[1..].iter().all(|later| *later == format!("{}, and is not tried again within 3600s", seen[0])));
        assert!(!paused.renew(Deadline::NEVER));
        assert_eq!((count.load(Ordering::Relaxed), paused.failures()), (1, 1));
        // A success ends the pauses, and headers that have been read stay in use in a pause.
        paused.pause = Some((Duration::from_secs(3600), Deadline::after(Duration::ZERO)));
        assert_eq!([(); 4].map(|()| shown(&mut paused)), ["1 v1"; 4]);
        assert_eq!((count.load(Ordering::Relaxed), paused.failures()), (3, 2));
    }

    #[test]
    fn pauses_double_up_to_a_maximum() {
        let (mut failing, count) = credentials(&[Err("down")], Duration::ZERO);
        failing.first_pause = FIRST_PAUSE;
        let pauses = [(); 6].map(|()| {
            shown(&mut failing);
            let (pause, until) = failing.pause.unwrap();
            assert!(!until.has_passed() && until.remaining() <= Some(pause));
            failing.pause = Some((pause, Deadline::after(Duration::ZERO)));
            pause.as_secs()
        });
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        assert_eq!(count.load(Ordering::Relaxed), 6);
    }

    #[test]
    fn code_is_not_asked_for_every_refusal() {
        let (mut credentials, count) = credentials(&[Ok("1")], Duration::MAX);
        assert_eq!(shown(&mut credentials), "1 v1");
        assert_eq!([(); 5].map(|()| credentials.renew(Deadline::NEVER)), [false; 5]);
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_forked_child_reads_nothing() {
        let (mut credentials, count) = credentials(&[Ok("1")], Duration::ZERO);
        credentials.home += 1;
        assert_eq!(shown(&mut credentials), "header_source: is not read in a forked child process");
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
