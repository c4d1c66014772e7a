//! Resource detectors: their registry, and how they run.

use std::fmt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry::KeyValue;

use super::{Resource, SCHEMA_URL, host, process, service, variables};
use crate::config::Env;
use crate::error::{ConfigError, catch};
use crate::runtime;
use crate::time::Deadline;

const VARIABLE: &str = "OTEL_RUST_RESOURCE_DETECTORS";

/// The detectors in use unless the variable names others.
const DEFAULT: [&str; 3] = ["service", "process", "host"];

/// The time that all detectors together may take.
pub const DETECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// Detects a part of the resource, such as the host. It is known by its name in `OTEL_RUST_RESOURCE_DETECTORS`.
#[derive(Clone, Copy)]
pub struct Detector {
    name: &'static str,
    detect: Detect,
}

type Function = fn(&Env, Deadline) -> Resource;

#[derive(Clone, Copy)]
enum Detect {
    Here(Function),
    Apart(Function),
    /// Apart as well, or here if there can be no other thread.
    Files(Function),
    /// Not compiled in. Holds advice.
    Missing(&'static str),
}

impl Detector {
    /// Creates a detector. `detect` runs once, while telemetry starts, on the thread that starts it, so it must not wait. It reports
    /// invalid settings with [`Env::warn`], and returns an empty resource if there is nothing to detect. A panic is caught.
    ///
    /// spec: resource/sdk.md#detecting-resource-information-from-the-environment
    pub const fn new(name: &'static str, detect: fn(&Env, Deadline) -> Resource) -> Self {
        Detector { name, detect: Detect::Here(detect) }
    }

    /// Creates a detector that asks other programs. `detect` runs on a thread of its own, beside other detectors, and with telemetry
    /// suppressed. Its deadline is a little before that of the program, so that what it returns then is still received. What it returns
    /// later is dropped.
    pub const fn for_network(name: &'static str, detect: fn(&Env, Deadline) -> Resource) -> Self {
        Detector { name, detect: Detect::Apart(detect) }
    }

    /// Creates a detector that reads files of the system. `detect` runs like that of [`Self::for_network`], because a file system may hang.
    pub const fn for_files(name: &'static str, detect: fn(&Env, Deadline) -> Resource) -> Self {
        Detector { name, detect: Detect::Files(detect) }
    }

    /// Creates the row of a detector that is known but not compiled in. A configuration with this name is told `remedy`, such as
    /// "enable the feature `aws` of telemark".
    pub const fn missing(name: &'static str, remedy: &'static str) -> Self {
        Detector { name, detect: Detect::Missing(remedy) }
    }

    /// Returns the detector's name in the configuration.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    fn is_missing(&self) -> bool {
        matches!(self.detect, Detect::Missing(_))
    }
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The detectors of this crate. `env` is part of every resource that variables describe.
///
/// | name | attributes |
/// |---|---|
/// | `service` | `service.instance.id`, and `service.name` if `OTEL_SERVICE_NAME` is set |
/// | `process` | `process.pid`, `process.creation.time`, `process.executable.*`, `process.runtime.name` |
/// | `host` | `host.name`, `host.id`, `host.arch`, `os.type` |
/// | `os` | `os.type`, `os.name`, `os.version`, `os.description`, `os.build_id` |
/// | `env` | those of `OTEL_RESOURCE_ATTRIBUTES`, and `service.name` if `OTEL_SERVICE_NAME` is set |
pub const DETECTORS: &[Detector] = &[
    Detector::new("service", |env, _| described(service::service(env))),
    Detector::new("process", |_, _| described(process::process())),
    Detector::for_files("host", |_, _| described(host::host(Path::new("/")))),
    Detector::for_files("os", |_, _| described(host::os(Path::new("/")))),
    Detector::new("env", |env, _| Resource::new(variables::variables(env))),
];

/// Returns a resource that follows the conventions.
fn described(attributes: Vec<KeyValue>) -> Resource {
    Resource::with_schema_url(attributes, Some(SCHEMA_URL.to_owned()))
}

/// Returns the attributes that every resource has: those of the SDK, and a name for a service that has no other.
pub(super) fn base() -> Resource {
    let mut attributes = service::sdk();
    attributes.push(service::default_name());
    described(attributes)
}

/// Returns the detectors that `OTEL_RUST_RESOURCE_DETECTORS` names: those of this crate and `more`.
pub(super) fn selected(env: &Env, more: &[Detector]) -> Vec<Detector> {
    const ALL: &str = "all";
    const NONE: &str = "none";
    let others = DETECTORS.iter().filter(|own| !more.iter().any(|detector| detector.name == own.name));
    let known: Vec<_> = others.chain(more).copied().collect();
    let names: Vec<_> =
        known.iter().map(|detector| detector.name).chain([ALL, NONE]).map(|name| (name, name)).collect();
    let mut names = env.list_of(VARIABLE, &names).unwrap_or_default();
    match &names[..] {
        [] => names = DEFAULT.to_vec(),
        [NONE] => return Vec::new(),
        named if named.contains(&NONE) => {
            env.warn(ConfigError::state(VARIABLE, "`none` has no meaning beside other detectors and is left out"));
        }
        _ => {}
    }
    if names.contains(&ALL) {
        return known.into_iter().filter(|detector| !detector.is_missing()).collect();
    }
    names.iter().filter_map(|name| known.iter().find(|detector| detector.name == *name)).copied().collect()
}

/// Runs the detectors and merges what they find, in their order: of several values of an attribute, the last wins.
///
/// Reports to `env` the detectors that are not compiled in, that panic, and that have found nothing by the deadline because they
/// still wait.
pub fn detect(detectors: &[Detector], env: &Env, deadline: Deadline) -> Resource {
    let problem = |detector: &Detector, problem: &str| {
        env.warn(ConfigError::state(VARIABLE, format!("`{}` {problem}", detector.name)));
        Resource::empty()
    };
    // Those that wait run while the others do.
    let started = detectors.iter().map(|detector| (detector, start(detector, env, deadline))).collect::<Vec<_>>();
    let here = |detector: &Detector, detect: Function| {
        catch(|| detect(env, deadline)).unwrap_or_else(|_| problem(detector, "panicked and is left out"))
    };
    let found = started.into_iter().map(|(detector, started)| match (detector.detect, started) {
        (Detect::Missing(remedy), _) => problem(detector, &format!("is not compiled in: {remedy}")),
        (Detect::Here(detect), _) | (Detect::Files(detect), None | Some(Err(_))) => here(detector, detect),
        (Detect::Apart(_) | Detect::Files(_), Some(Ok(result))) => match received(&result, deadline) {
            Ok((resource, warnings)) => {
                warnings.into_iter().for_each(|warning| env.warn(warning));
                resource
            }
            Err(mpsc::RecvTimeoutError::Timeout) => problem(detector, "took too long and is left out"),
            Err(mpsc::RecvTimeoutError::Disconnected) => problem(detector, "panicked and is left out"),
        },
        (Detect::Apart(_), Some(Err(error))) => {
            env.warn(error);
            Resource::empty()
        }
        (Detect::Apart(_), None) => Resource::empty(),
    });
    found.fold(Resource::empty(), |resource, found| resource.merge(&found))
}

/// A resource and the warnings found on the way.
type Found = (Resource, Vec<ConfigError>);

type Pending = Result<mpsc::Receiver<Found>, ConfigError>;

/// Starts a detector that runs on a thread of its own.
fn start(detector: &Detector, env: &Env, deadline: Deadline) -> Option<Pending> {
    let (Detect::Apart(detect) | Detect::Files(detect)) = detector.detect else { return None };
    let (sender, receiver) = mpsc::sync_channel(1);
    let env = env.copy();
    // Leaves time to receive what the detector returns at its deadline, such as what it knows without the other program.
    let own = deadline.remaining().map_or(Deadline::NEVER, |left| Deadline::after(left - left / 10));
    let work = move || {
        if let Ok(resource) = catch(|| runtime::apart(|| detect(&env, own))) {
            // Nobody receives it after the deadline.
            drop(sender.try_send((resource, env.take_warnings())));
        }
    };
    Some(runtime::spawn(&format!("telemark-{}", detector.name), work).map(|()| receiver))
}

fn received(result: &mpsc::Receiver<Found>, deadline: Deadline) -> Result<Found, mpsc::RecvTimeoutError> {
    match deadline.remaining() {
        Some(remaining) => result.recv_timeout(remaining),
        None => result.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Barrier, Condvar, Mutex};

    const MORE: &[Detector] = &[
        Detector::for_network("cloud", |env, _| {
            env.warn(ConfigError::state("CLOUD", "is odd"));
            Resource::new([KeyValue::new("cloud.provider", "test"), KeyValue::new("host.name", "cloud")])
        }),
        Detector::for_network("stuck", |_, _| {
            // Waits for as long as the process lives.
            let (lock, condvar) = (Mutex::new(()), Condvar::new());
            drop(condvar.wait_while(lock.lock().unwrap(), |()| true));
            Resource::empty()
        }),
        Detector::for_files("hangs", |_, _| {
            // Like a file system whose server does not respond.
            std::thread::park();
            Resource::empty()
        }),
        Detector::for_network("panics apart", |_, _| panic!("on purpose")),
        Detector::new("panics", |_, _| panic!("on purpose")),
        Detector::missing("absent", "enable the feature `absent`"),
    ];

    fn env(value: &str) -> Env {
        Env::from_pairs([(VARIABLE, value), ("OTEL_SERVICE_NAME", "shop")])
    }

    /// Compares the names of the selected detectors and the warnings with `expected`.
    fn check(value: &str, expected: &str) {
        let env = env(value);
        let names = selected(&env, MORE).iter().map(Detector::name).collect::<Vec<_>>().join(" ");
        let warnings = env.take_warnings().into_iter().map(|warning| warning.to_string());
        assert_eq!(std::iter::once(names).chain(warnings).collect::<Vec<_>>().join("; "), expected, "{value:?}");
    }

    #[test]
    fn the_variable() {
        check("", "service process host");
        check("os, Host,os", "os host");
        check("none", "");
        check("all", "service process host os env cloud stuck hangs panics apart panics");
        check("env,cloud,absent", "env cloud absent");
        let beside = "OTEL_RUST_RESOURCE_DETECTORS: `none` has no meaning beside other detectors and is left out";
        check("none,os", &format!("os; {beside}"));
        let accepted =
            "one of service, process, host, os, env, cloud, stuck, hangs, panics apart, panics, absent, all, none";
        let unknown = format!(r#"OTEL_RUST_RESOURCE_DETECTORS="x" cannot be used: expected {accepted}"#);
        check("x,os", &format!("os; {unknown}"));
        check("x", &format!("service process host; {unknown}"));
    }

    #[test]
    fn detectors_that_read_files_do_not_hold_up_the_program() {
        let of_files = DETECTORS.iter().filter(|detector| matches!(detector.detect, Detect::Files(_)));
        assert_eq!(of_files.map(Detector::name).collect::<Vec<_>>(), ["host", "os"]);
    }

    #[test]
    fn a_row_may_replace_one_of_this_crate() {
        const OS: &[Detector] = &[Detector::new("os", |_, _| Resource::new([KeyValue::new("os.name", "mine")]))];
        let env = env("os");
        let resource = detect(&selected(&env, OS), &env, Deadline::NEVER);
        assert_eq!(format!("{resource:?}"), r#"{"os.name": "mine"}"#);
    }

    #[test]
    fn the_last_of_several_values_wins_and_warnings_come_along() {
        let env = env("host,cloud");
        let resource = detect(&selected(&env, MORE), &env, Deadline::after(Duration::from_secs(60)));
        assert_eq!(resource.get("host.name").unwrap().as_str(), "cloud");
        assert!(resource.get("host.arch").is_some());
        let warnings: Vec<_> = env.take_warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings, ["CLOUD: is odd"]);
    }

    #[test]
    fn what_does_not_work_is_left_out_and_said() {
        let check = |name: &str, timeout: u64, expected: &str| {
            let env = env(&format!("{name},service"));
            let resource = detect(&selected(&env, MORE), &env, Deadline::after(Duration::from_millis(timeout)));
            assert_eq!(resource.get("service.name").unwrap().as_str(), "shop");
            let warnings: Vec<_> = env.take_warnings().iter().map(ToString::to_string).collect();
            assert_eq!(warnings, [format!("OTEL_RUST_RESOURCE_DETECTORS: `{name}` {expected}")]);
        };
        check("stuck", 20, "took too long and is left out");
        check("hangs", 20, "took too long and is left out");
        check("panics apart", 60_000, "panicked and is left out");
        check("panics", 60_000, "panicked and is left out");
        check("absent", 60_000, "is not compiled in: enable the feature `absent`");
    }

    #[test]
    fn detectors_that_wait_run_beside_each_other() {
        static BOTH: Barrier = Barrier::new(2);
        fn meet(_: &Env, _: Deadline) -> Resource {
            BOTH.wait();
            Resource::new([KeyValue::new("met", true)])
        }
        let pair = [Detector::for_network("a", meet), Detector::for_network("b", meet)];
        let resource = detect(&pair, &env(""), Deadline::after(Duration::from_secs(60)));
        assert!(resource.get("met").is_some());
    }

    #[test]
    fn what_is_found_at_the_deadline_of_a_detector_is_received() {
        // Waits in vain for as long as it may, and falls back on what it knows.
        let silent = Detector::for_network("silent", |_, deadline| {
            let (lock, condvar) = (Mutex::new(()), Condvar::new());
            while let Some(left) = deadline.remaining().filter(|left| !left.is_zero()) {
                drop(condvar.wait_timeout(lock.lock().unwrap(), left).unwrap());
            }
            Resource::new([KeyValue::new("cloud.platform", "aws_eks")])
        });
        let env = env("");
        let resource = detect(&[silent], &env, Deadline::after(Duration::from_secs(3)));
        assert_eq!(format!("{resource:?}"), r#"{"cloud.platform": "aws_eks"}"#);
        assert!(env.take_warnings().is_empty());
    }

    #[test]
    fn no_start_waits_longer_than_the_timeout() {
        let env = env("stuck");
        // The detector itself never returns.
        let resource = Resource::from_env_with(&env, MORE);
        assert_eq!(resource.get("service.name").unwrap().as_str(), "shop");
        assert_eq!(env.take_warnings().len(), 1);
    }

    #[test]
    fn every_detector_names_the_conventions() {
        for detector in DETECTORS.iter().filter(|detector| detector.name != "env") {
            let resource = detect(&[*detector], &env(""), Deadline::NEVER);
            assert_eq!(resource.schema_url(), Some(SCHEMA_URL), "{detector:?}");
            assert!(!resource.is_empty());
        }
    }
}
