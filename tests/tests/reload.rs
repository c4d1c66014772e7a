//! New versions of the configuration file while a program runs: when they apply, what they change, and what they cannot change.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests of threads and of panics")]
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::logs::{LogRecord, Logger, Severity};
use opentelemetry::trace::{Span, TraceContextExt, Tracer};
use telemark::config::{Env, Printed};
use telemark::span_filter::Level;
use telemark::{Builder, Guard};
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::metrics::PullReader;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::sampling::{AlwaysOn, Sampler};
use telemark_sdk::signal::{Logs, Traces};
use telemark_sdk::testing::{InMemoryExporter, metrics_text};
use telemark_sdk::time::Deadline;

const HEAD: &str = "file_format: \"1.2\"\n";
const ON: &str = "file_format: \"1.2\"\ntracer_provider: {processors: [{none: }], sampler: {always_on: }}\n";
const OFF: &str = "file_format: \"1.2\"\ntracer_provider: {processors: [{none: }], sampler: {always_off: }}\n";

/// A folder as Kubernetes mounts a ConfigMap: the file is a link into `..data`, which is a link to the folder of a version.
struct ConfigMap {
    folder: PathBuf,
    versions: usize,
}

impl ConfigMap {
    fn new(name: &str, text: impl AsRef<[u8]>) -> Self {
        let folder = std::env::temp_dir().join(format!("telemark-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir(&folder).unwrap();
        let mut map = ConfigMap { folder, versions: 0 };
        map.swap(text);
        symlink("..data/telemark.yaml", map.path()).unwrap();
        map
    }

    fn path(&self) -> PathBuf {
        self.folder.join("telemark.yaml")
    }

    /// Replaces the version as the kubelet does: a new folder, a new link, which is renamed, and the old folder is removed.
    fn swap(&mut self, text: impl AsRef<[u8]>) {
        let old = self.folder.join(format!("..version{}", self.versions));
        self.versions += 1;
        let name = format!("..version{}", self.versions);
        fs::create_dir(self.folder.join(&name)).unwrap();
        fs::write(self.folder.join(&name).join("telemark.yaml"), text).unwrap();
        symlink(&name, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        drop(fs::remove_dir_all(old));
    }

    /// Writes into the file in place, as `echo > file` does.
    fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(self.path(), text).unwrap();
    }

    fn builder(&self) -> Builder {
        let path = self.path();
        telemark::builder().with_env(Env::from_pairs([("OTEL_CONFIG_FILE", path.to_str().unwrap())]))
    }
}

impl Drop for ConfigMap {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn samples(telemetry: &Guard) -> bool {
    telemetry.tracer("test").start_with_context("span", &Context::new()).span_context().is_sampled()
}

/// The file is watched by a task that the test runs.
struct Watched {
    telemetry: Guard,
    runtime: ManualRuntime,
}

impl Watched {
    fn new(map: &ConfigMap) -> Self {
        let runtime = ManualRuntime::new();
        let builder = map.builder().with_runtime(Runtime::Manual(runtime.clone()));
        let telemetry = builder.with_config_watch(Duration::from_secs(1)).build().unwrap();
        Watched { telemetry, runtime }
    }

    /// Looks at the file and returns true if spans are sampled afterwards.
    fn look(&self) -> bool {
        self.runtime.run_timers();
        samples(&self.telemetry)
    }

    fn problem(&self) -> String {
        self.telemetry.health().config.problem.unwrap_or_default()
    }
}

#[test]
fn a_version_applies_once_two_looks_have_seen_it() {
    let mut map = ConfigMap::new("still", OFF);
    let watched = Watched::new(&map);
    assert!(!watched.look() && !watched.look());
    // A swap of links, and back.
    map.swap(ON);
    assert!(!watched.look() && watched.look() && watched.look());
    map.swap(OFF);
    assert!(watched.look() && !watched.look());
    // A version that is gone at the second look never applies.
    map.swap(ON);
    assert!(!watched.look());
    map.swap(OFF);
    assert!(!watched.look() && !watched.look() && !watched.look());
    assert_eq!(watched.telemetry.health().config.applied, 2);
    // An editor that writes another file and renames it.
    let other = map.folder.join(".telemark.yaml.swp");
    fs::write(&other, ON).unwrap();
    fs::rename(&other, map.path()).unwrap();
    assert!(!watched.look() && watched.look());
    // The same content in another file is the same version.
    fs::write(&other, ON).unwrap();
    fs::rename(&other, map.path()).unwrap();
    assert!(watched.look() && watched.look());
    assert_eq!(watched.telemetry.health().config.applied, 3);
}

#[test]
fn a_file_that_is_being_written_is_not_applied_although_it_is_valid() {
    let map = ConfigMap::new("half", OFF);
    let watched = Watched::new(&map);
    // The first half is a valid file, with the default of the sampler, which is on.
    let half = "file_format: \"1.2\"\ntracer_provider: {processors: [{none: }]}\n";
    map.write(half);
    assert!(!watched.look());
    map.write(OFF);
    assert!(!watched.look() && !watched.look());
    // As long as it grows, nothing happens.
    let mut text = half.to_owned();
    for line in 0..20 {
        text.push_str(&format!("# {line}\n"));
        map.write(&text);
        assert!(!watched.look());
    }
    assert!(watched.look(), "and then it is still");
    map.write("");
    assert!(watched.look());
    map.write(OFF);
    assert!(watched.look() && !watched.look());
    assert_eq!((watched.telemetry.health().config.refused, &*watched.problem()), (0, ""));
}

#[test]
fn a_deleted_file_leaves_everything_as_it_is_and_is_reported() {
    let map = ConfigMap::new("deleted", OFF);
    let watched = Watched::new(&map);
    fs::remove_file(map.path()).unwrap();
    assert!(!watched.look() && !watched.look() && !watched.look());
    let (health, problem) = (watched.telemetry.health().config, watched.problem());
    assert_eq!((health.applied, health.refused), (0, 1), "reported once");
    assert!(problem.contains("cannot be used: expected a file that can be read"), "{problem}");
    fs::write(map.path(), OFF).unwrap();
    assert!(!watched.look() && !watched.look());
    assert_eq!(watched.problem(), "");
    fs::write(map.path(), ON).unwrap();
    assert!(!watched.look() && watched.look());
}

/// Each hostile version changes nothing, is refused with a reason that shows no secret, and takes a bounded time.
#[test]
fn a_file_that_cannot_be_used_changes_nothing() {
    let mut map = ConfigMap::new("hostile", OFF);
    let watched = Watched::new(&map);
    let large = format!("{ON}# {}", "x".repeat(10 << 20));
    let wide =
        (0..40_000).fold(format!("{ON}distribution:\n  other:\n"), |text, n| text + &format!("    key{n}: {n}\n"));
    let deep = format!("{ON}distribution: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let secret =
        "file_format: \"1.2\"\ntracer_provider:\n  processors: [{batch: {exporter: {otlp_http: {headers: S3CRET}}}}]\n";
    let versions: [(&str, Vec<u8>, &str); 8] = [
        ("10 MB", large.into_bytes(), "expected a file of at most 1048576 bytes"),
        ("binary", (0..=255).cycle().take(1 << 20).collect(), "is not text in UTF-8"),
        ("deep", deep.into_bytes(), "telemark.yaml"),
        ("no YAML", b"a: [".to_vec(), "telemark.yaml"),
        ("empty", Vec::new(), "file_format"),
        ("misspelt", ON.replace("always_on", "allways_on").into_bytes(), "is always_on meant?"),
        ("a wrong value", format!("{ON}log_level: loud\n").into_bytes(), "log_level=\"loud\" cannot be used"),
        ("a secret", secret.into(), "headers"),
    ];
    let start = Instant::now();
    for (refused, (name, text, reason)) in (1..).zip(versions) {
        map.swap(text);
        assert!(!watched.look() && !watched.look() && !watched.look(), "{name}");
        let (health, problem) = (watched.telemetry.health().config, watched.problem());
        assert_eq!((health.refused, health.applied), (refused, 0), "{name} {problem}");
        assert!(
            problem.contains(reason) && !problem.contains("S3CRET") && problem.len() < 100_000,
            "{name}: {problem}"
        );
    }
    map.swap(wide);
    assert!(!watched.look() && watched.look(), "{}", watched.problem());
    // A folder, and a pipe that nobody writes into.
    map.swap(OFF);
    assert!(watched.look() && !watched.look());
    fs::remove_file(map.path()).unwrap();
    fs::create_dir(map.path()).unwrap();
    assert!(!watched.look() && !watched.look() && watched.problem().contains("expected a regular file"));
    fs::remove_dir(map.path()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(map.path()).status().unwrap().success());
    assert!(!watched.look() && !watched.look() && watched.problem().contains("expected a regular file"));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// Builds the telemetry of a file with exporters and readers of the test, and reloads it with other files.
struct Reloaded {
    map: ConfigMap,
    telemetry: Guard,
    spans: InMemoryExporter<Traces>,
    records: InMemoryExporter<Logs>,
    reader: PullReader,
}

impl Reloaded {
    fn new(name: &str, text: &str, change: impl FnOnce(Builder) -> Builder) -> Self {
        let map = ConfigMap::new(name, format!("{HEAD}{text}"));
        let (spans, records, reader) = (InMemoryExporter::new(), InMemoryExporter::new(), PullReader::default());
        let builder = map.builder().with_runtime(Runtime::Manual(ManualRuntime::new()));
        let builder =
            builder.with_additional_span_exporter(spans.clone()).with_additional_log_exporter(records.clone());
        let telemetry = change(builder.with_additional_metric_reader(reader.clone())).build().unwrap();
        Reloaded { map, telemetry, spans, records, reader }
    }

    /// Applies a version. Returns the paths that apply, then those that need a restart, then those that code has set.
    fn reload(&mut self, text: &str) -> String {
        self.map.swap(format!("{HEAD}{text}"));
        match self.telemetry.control().reload() {
            Ok(reload) => [reload.applied, reload.needs_restart, reload.set_in_code].map(sorted).join("; "),
            Err(error) => error.to_string(),
        }
    }

    /// Records a span, a log record and a measurement in two scopes. Returns what is exported.
    fn recorded(&self) -> String {
        for scope in ["shop", "bank"] {
            telemetry_span(&self.telemetry, scope);
            let logger = self.telemetry.logger(scope);
            let mut record = logger.create_log_record();
            record.set_severity_number(Severity::Info);
            logger.emit(record);
            self.telemetry.meter(scope).u64_counter("orders").build().add(1, &[]);
        }
        self.telemetry.force_flush(Deadline::NEVER).unwrap();
        let spans = self.spans.items().iter().map(|span| span.scope.name().to_owned()).collect::<Vec<_>>().join(" ");
        let records = self.records.items().len();
        self.spans.clear();
        self.records.clear();
        let metrics = metrics_text(&self.reader.collect(Deadline::NEVER).unwrap()).lines().count();
        format!("{spans}, {records} records, {metrics} metrics")
    }
}

fn sorted(mut paths: Vec<String>) -> String {
    paths.sort_unstable();
    paths.join(" ")
}

fn telemetry_span(telemetry: &Guard, scope: &'static str) {
    drop(telemetry.tracer(scope).start_with_context("span", &Context::new()));
}

const PROVIDERS: &str = "tracer_provider: {processors: [{none: }]}\nmeter_provider: {readers: [{periodic: {exporter: {console: }}}]}\n\
                         logger_provider: {processors: [{batch: {exporter: {console: }}}]}\n";

#[test]
fn what_can_change_does() {
    let mut reloaded = Reloaded::new("changes", PROVIDERS, |builder| builder);
    let everything = "shop bank, 2 records, 2 metrics";
    assert_eq!(reloaded.recorded(), everything);
    let mut check = |text: &str, applied: &str, expected: &str| {
        assert_eq!(reloaded.reload(text), format!("{applied}; ; "));
        assert_eq!(reloaded.recorded(), expected, "{text}");
    };
    let with = |provider: &str, text: &str| PROVIDERS.replace(provider, &format!("{provider}{text}, "));
    let sampler = with("tracer_provider: {", "sampler: {always_off: }");
    check(&sampler, "tracer_provider.sampler", ", 2 records, 2 metrics");
    check(PROVIDERS, "tracer_provider.sampler", everything);
    let rules = |list: &str| format!("{list}: [{{name: \"ba*\", config: {{enabled: false}}}}]");
    let tracers = with("tracer_provider: {", &format!("tracer_configurator/development: {{{}}}", rules("tracers")));
    check(&tracers, "tracer_provider.tracer_configurator/development.tracers", "shop, 2 records, 2 metrics");
    check(PROVIDERS, "tracer_provider.tracer_configurator/development.tracers", everything);
    let meters = with("meter_provider: {", &format!("meter_configurator/development: {{{}}}", rules("meters")));
    check(&meters, "meter_provider.meter_configurator/development.meters", "shop bank, 2 records, 1 metrics");
    check(PROVIDERS, "meter_provider.meter_configurator/development.meters", everything);
    let loggers = with("logger_provider: {", &format!("logger_configurator/development: {{{}}}", rules("loggers")));
    check(&loggers, "logger_provider.logger_configurator/development.loggers", "shop bank, 1 records, 2 metrics");
    check(PROVIDERS, "logger_provider.logger_configurator/development.loggers", everything);
    check(&format!("disabled: true\n{PROVIDERS}"), "disabled", ", 0 records, 0 metrics");
    check(PROVIDERS, "disabled", everything);
    // Comments, other spellings and explicit defaults are no changes.
    check(&format!("# a comment\nlog_level: info\n{PROVIDERS}"), "", everything);
    let volume = format!("{PROVIDERS}distribution: {{telemark: {{logs: {{max_per_minute: 1000}}}}}}\n");
    check(&volume, "distribution.telemark.logs.max_per_minute", everything);
    check(PROVIDERS, "distribution.telemark.logs.max_per_minute", everything);
    let delays = PROVIDERS
        .replace("{batch: {", "{batch: {schedule_delay: 1234, ")
        .replace("{periodic: {", "{periodic: {interval: 4321, ");
    check(
        &delays,
        "logger_provider.processors[0].batch.schedule_delay meter_provider.readers[0].periodic.interval",
        everything,
    );
    check(&format!("log_level: warn\n{delays}"), "log_level", everything);
    telemark::diag::set_max_level(Some(telemark::diag::Level::Info));
    let filters = format!("{delays}distribution: {{telemark: {{spans: \"warn\", logs: {{filter: \"error\"}}}}}}\n");
    check(&filters, "distribution.telemark.logs.filter distribution.telemark.spans log_level", everything);
    let keeps = |level| {
        [telemark::span_filter::current(), telemark::log_filter::current()].map(|filter| filter.enabled("shop", level))
    };
    assert_eq!([Level::Info, Level::Warn, Level::Error].map(keeps), [[false, false], [true, false], [true, true]]);
    check(&delays, "distribution.telemark.logs.filter distribution.telemark.spans", everything);
    assert_eq!(keeps(Level::Info), [true, true]);
    let health = reloaded.telemetry.health().config;
    assert_eq!((health.applied, health.refused, health.needs_restart), (17, 0, Vec::new()));
}

#[test]
fn what_cannot_change_is_named_and_keeps_its_value() {
    let text = |name: &str, host: &str, ratio: f64| {
        format!(
            "resource: {{attributes: [{{name: service.name, value: {name}}}]}}\ntracer_provider:\n  sampler: {{trace_id_ratio_based: {{ratio: \
             {ratio}}}}}\n  processors: [{{batch: {{schedule_delay: 7000, exporter: {{otlp_http: {{endpoint: \"http://{host}:1/\"}}}}}}}}]\n"
        )
    };
    let mut reloaded = Reloaded::new("restart", &text("shop", "one", 0.5), |builder| builder);
    let endpoint = "tracer_provider.processors[0].batch.exporter.otlp_http.endpoint";
    assert_eq!(
        reloaded.reload(&text("bank", "two", 0.25)),
        format!("tracer_provider.sampler.trace_id_ratio_based.ratio; resource.attributes[0].value {endpoint}; ")
    );
    let health = reloaded.telemetry.health().config;
    assert_eq!(health.needs_restart, ["resource.attributes[0].value", endpoint]);
    let printed = Printed::new(&reloaded.telemetry.config()).to_string();
    for line in ["value: shop # line 2\n", "ratio: 0.25 # run-time change, line 4\n", "schedule_delay: 7000 # line 5\n"]
    {
        assert!(printed.contains(line), "{line}{printed}");
    }
    assert!(printed.contains("one:1") && !printed.contains("two:1"), "{printed}");
    // What is the same as at the start needs no restart any more.
    assert_eq!(reloaded.reload(&text("bank", "one", 0.25)), "; resource.attributes[0].value; ");
    assert_eq!(reloaded.reload(&text("shop", "one", 0.5)), "tracer_provider.sampler.trace_id_ratio_based.ratio; ; ");
    let printed = Printed::new(&reloaded.telemetry.config()).to_string();
    assert!(!printed.contains("run-time change") && printed.contains("ratio: 0.5 # line 4\n"), "{printed}");
    // A provider that is gone, and one that comes.
    let metrics = "meter_provider: {readers: [{periodic: {exporter: {console: }}}]}\n";
    assert_eq!(reloaded.reload(metrics), "; meter_provider resource.attributes tracer_provider; ");
}

/// A version that lacks a provider needs a restart, so that its sampler keeps running, and the next one is compared with that.
#[test]
fn what_comes_back_after_a_version_that_needs_a_restart_applies() {
    let providers = |ratio: u8, processors: &str| {
        format!(
            "tracer_provider: {{sampler: {{trace_id_ratio_based: {{ratio: {ratio}}}}}, processors: [{processors}]}}\n"
        )
    };
    let batch = |delay: u16| format!("{{batch: {{schedule_delay: {delay}, exporter: {{console: }}}}}}");
    let mut reloaded = Reloaded::new("back", &providers(1, &batch(7000)), |builder| builder);
    assert!(samples(&reloaded.telemetry));
    let ratio = "tracer_provider.sampler.trace_id_ratio_based.ratio";
    assert_eq!(reloaded.reload(&providers(0, &batch(7000))), format!("{ratio}; ; "));
    assert_eq!(reloaded.reload("log_level: info\n"), "; tracer_provider; ");
    let printed = Printed::new(&reloaded.telemetry.config()).to_string();
    assert!(printed.contains("ratio: 0 # run-time change"), "the sampler runs on: {printed}");
    assert!(!samples(&reloaded.telemetry));
    assert_eq!(reloaded.reload(&providers(1, &batch(7000))), format!("{ratio}; ; "));
    assert!(samples(&reloaded.telemetry));
    // Another processor before the one that runs needs a restart, and so does its delay, which is not that of the one that runs.
    let two = |delay: u16| format!("{}, {}", batch(delay), batch(7000));
    assert_eq!(reloaded.reload(&providers(1, &two(1))), "; tracer_provider.processors; ");
    assert_eq!(reloaded.reload(&providers(1, &two(2))), "; tracer_provider.processors; ");
    let delay = "tracer_provider.processors[0].batch.schedule_delay";
    assert_eq!(reloaded.reload(&providers(1, &batch(2))), format!("{delay}; ; "));
    let printed = Printed::new(&reloaded.telemetry.config()).to_string();
    assert!(printed.contains("schedule_delay: 2 # run-time change"), "{printed}");
}

#[test]
fn what_code_has_set_stays_unless_the_same_part_of_the_file_changes() {
    let sampler = |ratio: f64| {
        format!(
            "tracer_provider: {{processors: [{{none: }}], sampler: {{trace_id_ratio_based: {{ratio: {ratio}}}}}}}\n"
        )
    };
    let mut reloaded = Reloaded::new("code", &sampler(0.0), |builder| builder.with_sampler(AlwaysOn));
    assert_eq!(reloaded.reload(&sampler(0.1)), "; ; tracer_provider.sampler.trace_id_ratio_based.ratio");
    assert!(samples(&reloaded.telemetry));
    // A change in code while the program runs goes before the file until the file says otherwise.
    let mut reloaded = Reloaded::new("code", &sampler(0.0), |builder| builder);
    let shown = |reloaded: &Reloaded| Printed::new(&reloaded.telemetry.config()).to_string();
    const CHANGED: &str = "- sampler # run-time change, code\n";
    reloaded.telemetry.control().set_sampler(AlwaysOn);
    assert_eq!(reloaded.reload(&format!("log_level: debug\n{}", sampler(0.0))), "log_level; ; ");
    telemark::diag::set_max_level(Some(telemark::diag::Level::Info));
    assert!(samples(&reloaded.telemetry) && shown(&reloaded).contains(CHANGED), "{}", shown(&reloaded));
    reloaded.reload(&sampler(0.000_000_1));
    assert!(!samples(&reloaded.telemetry) && !shown(&reloaded).contains("- sampler"), "{}", shown(&reloaded));
    // The switch is a value of the file.
    reloaded.telemetry.control().disable();
    assert!(shown(&reloaded).contains("disabled: true # run-time change, code\n"), "{}", shown(&reloaded));
    assert_eq!(reloaded.reload(&format!("disabled: true\n{}", sampler(0.000_000_1))), "disabled; ; ");
    assert!(shown(&reloaded).contains("disabled: true # run-time change, line 2\n"), "{}", shown(&reloaded));
}

#[test]
fn without_a_file_and_after_the_end_there_is_nothing_to_reload() {
    let telemetry = telemark::builder().with_env(Env::from_pairs([("OTEL_TRACES_EXPORTER", "none")])).build().unwrap();
    let error = telemetry.control().reload().unwrap_err().to_string();
    assert_eq!(error, "reload: the telemetry does not come from a file that OTEL_CONFIG_FILE names");
    let reloaded = Reloaded::new("end", PROVIDERS, |builder| builder);
    let control = reloaded.telemetry.control();
    reloaded.telemetry.shutdown(Deadline::after(Duration::from_secs(20))).unwrap();
    assert_eq!(control.reload().unwrap_err().to_string(), "reload: telemetry has been shut down");
}

/// Reloads under load: every span that was sampled at its start is exported.
#[test]
fn a_thousand_reloads_lose_no_span() {
    const RELOADS: usize = 1000;
    let exporter = InMemoryExporter::<Traces>::new();
    let text = |ratio: usize| {
        format!(
            "{HEAD}tracer_provider: {{processors: [{{none: }}], sampler: {{trace_id_ratio_based: {{ratio: {ratio}}}}}}}\n"
        )
    };
    let map = ConfigMap::new("load", text(1));
    let telemetry = map
        .builder()
        .with_additional_span_exporter(exporter.clone())
        .with_span_batch(BatchConfig::SPANS.with_max_queue_size(1 << 22).with_max_queue_bytes(usize::MAX))
        .build()
        .unwrap();
    let control = telemetry.control();
    let (is_over, started, sampled) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let tracer = telemetry.tracer("load");
        let root = tracer.start_with_context("root", &Context::new());
        let context = Context::new().with_span(root);
        let child = tracer.start_with_context("child", &context);
        let is_sampled = context.span().span_context().is_sampled();
        sampled.fetch_add(usize::from(is_sampled) + usize::from(child.span_context().is_sampled()), Ordering::Relaxed);
        started.fetch_add(1, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    work();
                }
            });
        }
        for number in 0..RELOADS {
            map.write(text(number % 2));
            let result = control.reload();
            if result.is_err() || samples(&telemetry) != (number % 2 == 1) {
                is_over.store(true, Ordering::Relaxed);
                panic!("{number}: {result:?}");
            }
            sampled.fetch_add(number % 2, Ordering::Relaxed);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    telemetry.force_flush(Deadline::after(Duration::from_secs(60))).unwrap();
    assert_eq!(exporter.items().len(), sampled.load(Ordering::Relaxed));
    let health = telemetry.health();
    assert_eq!((health.config.applied, health.config.refused), (RELOADS as u64, 0));
    assert_eq!(health.traces[0].dropped_queue_full, 0);
    assert!(started.load(Ordering::Relaxed) > RELOADS, "{started:?} roots under {RELOADS} reloads");
}

/// What the factory of a sampler does, one call after the other.
static FACTORY: Mutex<Option<Receiver<()>>> = Mutex::new(None);
static IS_IN_FACTORY: AtomicBool = AtomicBool::new(false);

fn slow_sampler() -> Box<dyn Sampler> {
    let wait = FACTORY.lock().unwrap().take();
    if let Some(wait) = wait {
        IS_IN_FACTORY.store(true, Ordering::Release);
        let _ = wait.recv();
    }
    Box::new(AlwaysOn)
}

#[test]
fn a_shutdown_does_not_wait_for_a_reload_and_another_reload_neither() {
    let text = |part: &str| format!("tracer_provider: {{processors: [{{none: }}], sampler: {{{part}: }}}}\n");
    let mut reloaded = Reloaded::new("shutdown", &text("always_off"), |builder| {
        builder
            .with_sampler_factory("slow", |_| Ok(slow_sampler()))
            .with_sampler_factory("broken", |_| panic!("on purpose"))
    });
    assert!(reloaded.reload(&text("broken")).contains("a component of the file panicked when it was created"));
    assert_eq!(reloaded.telemetry.health().config.refused, 1);
    let (release, wait) = channel();
    *FACTORY.lock().unwrap() = Some(wait);
    reloaded.map.swap(format!("{HEAD}{}", text("slow")));
    let telemetry = Arc::new(reloaded.telemetry);
    let control = telemetry.control();
    let of_thread = control.clone();
    let reload = thread::spawn(move || of_thread.reload());
    while !IS_IN_FACTORY.load(Ordering::Acquire) {
        thread::yield_now();
    }
    assert_eq!(control.reload().unwrap_err().to_string(), "reload: another reload is under way");
    assert_eq!(telemetry.health().config.applied, 0);
    telemetry.shutdown(Deadline::after(Duration::from_secs(20))).unwrap();
    assert!(!samples(&telemetry));
    release.send(()).unwrap();
    assert_eq!(reload.join().unwrap().unwrap().applied, ["tracer_provider.sampler"]);
    assert!(!samples(&telemetry), "a sampler that comes after the end is not used");
}

/// The thread of the watch, in a program without a test's runtime.
#[test]
fn a_file_is_watched_on_a_thread_of_its_own() {
    let mut map = ConfigMap::new("thread", format!("{OFF}distribution: {{telemark: {{watch_interval: 10}}}}\n"));
    let telemetry = map.builder().build().unwrap();
    map.swap(format!("{ON}distribution: {{telemark: {{watch_interval: 10}}}}\n"));
    let start = Instant::now();
    while !samples(&telemetry) {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", telemetry.health().config);
        thread::yield_now();
    }
    // A signal of the environment has the same effect, but the file goes first.
    let path = map.path();
    let env = [("OTEL_CONFIG_FILE", path.to_str().unwrap()), ("OTEL_RUST_CONFIG_WATCH_INTERVAL", "5")];
    map.swap(OFF);
    let telemetry = telemark::builder().with_env(Env::from_pairs(env)).build().unwrap();
    assert!(!samples(&telemetry));
    map.swap(ON);
    while !samples(&telemetry) {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", telemetry.health().config);
        thread::yield_now();
    }
}
