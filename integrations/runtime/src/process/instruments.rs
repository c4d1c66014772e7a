//! The instruments of the process, with names, units and attributes of the semantic conventions, and their callbacks.
// spec: semantic-conventions/docs/system/process-metrics.md

use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry::{KeyValue, StringValue};
use telemark_kit::{keys, lock};

use super::files::Proc;
use super::parse::{Stat, Status};
use super::shared::{Sample, Shared, now};
use super::switches::SwitchCount;
use super::utilization::{CpuTime, Utilization};

/// The maximum age of a sample: longer than a collection, and shorter than the time between two collections.
const FRESH: Duration = Duration::from_millis(100);

/// Registers the recommended metrics that Linux provides.
pub(super) fn register(meter: &Meter, source: &Arc<Source>) {
    cpu_time(meter, source.clone());
    memory_usage(meter, source.clone());
    memory_virtual(meter, source.clone());
    disk_io(meter, source.clone());
    thread_count(meter, source.clone());
    file_descriptor_count(meter, source.clone());
    context_switches(meter, source.clone());
    paging_faults(meter, source.clone());
    uptime(meter, source.clone());
}

/// The data source of all instruments of one registration.
#[derive(Debug)]
pub(super) struct Source {
    files: Proc,
    ticks_per_second: f64,
    stat: Shared<Stat>,
    status: Shared<Status>,
    switches: Mutex<SwitchCount>,
    utilization: Mutex<Utilization>,
}

/// The instruments that read `stat`, one bit each.
mod stat_observer {
    pub(super) const CPU_TIME: u8 = 1;
    pub(super) const CPU_UTILIZATION: u8 = 2;
    pub(super) const PAGING_FAULTS: u8 = 4;
    pub(super) const UPTIME: u8 = 8;
}

/// The instruments that read `status`, one bit each.
mod status_observer {
    pub(super) const MEMORY_USAGE: u8 = 1;
    pub(super) const MEMORY_VIRTUAL: u8 = 2;
    pub(super) const THREAD_COUNT: u8 = 4;
}

impl Source {
    pub(super) fn new(files: Proc) -> Arc<Self> {
        Source::fresh_for(FRESH, files)
    }

    fn fresh_for(fresh: Duration, files: Proc) -> Arc<Self> {
        let ticks_per_second = files.ticks_per_second();
        Arc::new(Source {
            files,
            ticks_per_second: float(ticks_per_second),
            stat: Shared::new(fresh),
            status: Shared::new(fresh),
            switches: Mutex::default(),
            utilization: Mutex::default(),
        })
    }

    fn stat(&self, observer: u8) -> Option<Sample<Stat>> {
        self.stat.sample(observer, now(), || self.files.stat())
    }

    fn status(&self, observer: u8) -> Option<Status> {
        self.status.sample(observer, now(), || self.files.status()).map(|sample| sample.value)
    }

    fn cpu_time(&self, stat: Stat) -> CpuTime {
        CpuTime {
            user: float(stat.user_ticks) / self.ticks_per_second,
            system: float(stat.system_ticks) / self.ticks_per_second,
        }
    }

    fn cpu_utilization(&self) -> Option<CpuTime> {
        let sample = self.stat(stat_observer::CPU_UTILIZATION)?;
        // Not cached, because affinity and quota may change.
        let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut utilization = lock(&self.utilization);
        utilization.measure(sample.taken, self.cpu_time(sample.value), cpus)
    }

    /// Returns the seconds since the process started.
    fn uptime(&self) -> Option<f64> {
        let started = float(self.stat(stat_observer::UPTIME)?.value.start_ticks) / self.ticks_per_second;
        // In a container, one of the two may belong to the container and the other to its host.
        Some(self.files.uptime()? - started).filter(|uptime| *uptime >= 0.0)
    }
}

fn cpu_time(meter: &Meter, source: Arc<Source>) {
    let [user, system] = one_each(keys::CPU_MODE, ["user", "system"]);
    meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_description("CPU seconds of the process, by mode.")
        .with_callback(move |instrument| {
            if let Some(sample) = source.stat(stat_observer::CPU_TIME) {
                let time = source.cpu_time(sample.value);
                instrument.observe(time.user, &user);
                instrument.observe(time.system, &system);
            }
        })
        .build();
}

/// Registers the opt-in metric `process.cpu.utilization`.
pub(super) fn register_cpu_utilization(meter: &Meter, source: &Arc<Source>) {
    // Start the first window.
    source.cpu_utilization();
    let [user, system] = one_each(keys::CPU_MODE, ["user", "system"]);
    let source = source.clone();
    meter
        .f64_observable_gauge("process.cpu.utilization")
        .with_unit("1")
        .with_description("CPU time since the last measurement, as a share of the CPUs that the process may use.")
        .with_callback(move |instrument| {
            if let Some(share) = source.cpu_utilization() {
                instrument.observe(share.user, &user);
                instrument.observe(share.system, &system);
            }
        })
        .build();
}

fn memory_usage(meter: &Meter, source: Arc<Source>) {
    meter
        .i64_observable_up_down_counter("process.memory.usage")
        .with_unit("By")
        .with_description("Physical memory in use by the process.")
        .with_callback(move |instrument| {
            let resident = source.status(status_observer::MEMORY_USAGE).and_then(|status| status.resident);
            observe_signed(instrument, resident);
        })
        .build();
}

fn memory_virtual(meter: &Meter, source: Arc<Source>) {
    meter
        .i64_observable_up_down_counter("process.memory.virtual")
        .with_unit("By")
        .with_description("Virtual memory of the process.")
        .with_callback(move |instrument| {
            let size = source.status(status_observer::MEMORY_VIRTUAL).and_then(|status| status.size);
            observe_signed(instrument, size);
        })
        .build();
}

fn disk_io(meter: &Meter, source: Arc<Source>) {
    let [read, write] = one_each(keys::DISK_IO_DIRECTION, ["read", "write"]);
    meter
        .u64_observable_counter("process.disk.io")
        .with_unit("By")
        .with_description("Bytes that the process moved from and to storage.")
        .with_callback(move |instrument| {
            let io = source.files.io().unwrap_or_default();
            if let Some(bytes) = io.read {
                instrument.observe(bytes, &read);
            }
            if let Some(bytes) = io.written {
                instrument.observe(bytes, &write);
            }
        })
        .build();
}

fn thread_count(meter: &Meter, source: Arc<Source>) {
    meter
        .i64_observable_up_down_counter("process.thread.count")
        .with_unit("{thread}")
        .with_description("Threads of the process.")
        .with_callback(move |instrument| {
            let threads = source.status(status_observer::THREAD_COUNT).and_then(|status| status.threads);
            observe_signed(instrument, threads);
        })
        .build();
}

fn file_descriptor_count(meter: &Meter, source: Arc<Source>) {
    meter
        .i64_observable_up_down_counter("process.unix.file_descriptor.count")
        .with_unit("{file_descriptor}")
        .with_description("File descriptors that the process has open.")
        .with_callback(move |instrument| observe_signed(instrument, source.files.open_files()))
        .build();
}

fn context_switches(meter: &Meter, source: Arc<Source>) {
    let [voluntary, involuntary] = one_each(keys::PROCESS_CONTEXT_SWITCH_TYPE, ["voluntary", "involuntary"]);
    meter
        .u64_observable_counter("process.context_switches")
        .with_unit("{context_switch}")
        .with_description("Number of times that a thread of the process left its CPU.")
        .with_callback(move |instrument| {
            let mut count = lock(&source.switches);
            let total = source.files.count_switches(&mut count).map(|()| count.total());
            drop(count);
            if let Some(total) = total {
                instrument.observe(total.voluntary, &voluntary);
                instrument.observe(total.involuntary, &involuntary);
            }
        })
        .build();
}

fn paging_faults(meter: &Meter, source: Arc<Source>) {
    let [minor, major] = one_each(keys::SYSTEM_PAGING_FAULT_TYPE, ["minor", "major"]);
    meter
        .u64_observable_counter("process.paging.faults")
        .with_unit("{fault}")
        .with_description("Page faults of the process.")
        .with_callback(move |instrument| {
            if let Some(Sample { value, .. }) = source.stat(stat_observer::PAGING_FAULTS) {
                instrument.observe(value.minor_faults, &minor);
                instrument.observe(value.major_faults, &major);
            }
        })
        .build();
}

fn uptime(meter: &Meter, source: Arc<Source>) {
    meter
        .f64_observable_gauge("process.uptime")
        .with_unit("s")
        .with_description("Time that the process has been running.")
        .with_callback(move |instrument| {
            if let Some(uptime) = source.uptime() {
                instrument.observe(uptime, &[]);
            }
        })
        .build();
}

/// Returns one attribute set for each value of an attribute.
fn one_each<const N: usize>(key: &'static str, values: [&'static str; N]) -> [[KeyValue; 1]; N] {
    values.map(|value| [KeyValue::new(key, StringValue::from(value))])
}

/// Observes a value unless it exceeds `i64`, which happens on no real system.
fn observe_signed(instrument: &dyn AsyncInstrument<i64>, value: Option<u64>) {
    if let Some(value) = value.and_then(|value| i64::try_from(value).ok()) {
        instrument.observe(value, &[]);
    }
}

#[allow(clippy::cast_precision_loss, reason = "2^53 ticks are millions of years")]
fn float(ticks: u64) -> f64 {
    ticks as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{Collected, Folder};
    use std::fs;
    use std::path::Path;

    const STAT: &str =
        "7 (a) b) S 1 7 7 0 -1 4194304 103 1 7 2 3125 1250 5 6 20 0 3 0 50000 3133440 390 18446744073709";
    const STATUS: &str = "Name:\ta) b\nVmSize:\t    3060 kB\nVmRSS:\t    1716 kB\nThreads:\t3\n";
    const IO: &str = "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\nwrite_bytes: 8192\n";

    /// Creates a folder with the files of a process, some of them replaced.
    fn folder(name: &str, replaced: &[(&str, &str)]) -> Folder {
        let root = Folder::new(name);
        let auxv: Vec<u8> = [6_usize, 4096, 17, 1000, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let switches = |voluntary, involuntary| {
            format!("voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}\n")
        };
        for (path, content) in [
            ("self/stat", STAT.as_bytes()),
            ("self/status", STATUS.as_bytes()),
            ("self/io", IO.as_bytes()),
            ("self/auxv", &auxv),
            // The size of this file represents the number of descriptors.
            ("self/fd", b"12345"),
            ("self/task/7/status", switches(10, 20).as_bytes()),
            ("self/task/8/status", switches(1, 2).as_bytes()),
            ("self/task/other/status", switches(1000, 1000).as_bytes()),
            ("uptime", b"65.25 100.00\n"),
        ] {
            write(root.path(), path, content);
        }
        for (path, content) in replaced {
            write(root.path(), path, content.as_bytes());
        }
        root
    }

    fn write(root: &Path, path: &str, content: &[u8]) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn check(name: &str, replaced: &[(&str, &str)], expected: &str) {
        let folder = folder(name, replaced);
        let source = Source::new(Proc::at(folder.path()));
        let collected = Collected::new(|meter| register(meter, &source));
        assert_eq!(collected.page().trim_end(), expected.trim());
    }

    #[test]
    fn the_numbers_are_those_of_the_files() {
        check(
            "numbers",
            &[],
            "
process.context_switches counter {context_switch}
  process.context_switch.type=involuntary 22
  process.context_switch.type=voluntary 11
process.cpu.time counter s
  cpu.mode=system 1.25
  cpu.mode=user 3.125
process.disk.io counter By
  disk.io.direction=read 4096
  disk.io.direction=write 8192
process.memory.usage up-down counter By
  1757184
process.memory.virtual up-down counter By
  3133440
process.paging.faults counter {fault}
  system.paging.fault.type=major 7
  system.paging.fault.type=minor 103
process.thread.count up-down counter {thread}
  3
process.unix.file_descriptor.count up-down counter {file_descriptor}
  5
process.uptime gauge s
  15.25
",
        );
    }

    #[test]
    fn hostile_files_are_not_observed() {
        let hostile = [
            ("self/stat", "7 (a) S 1 7 7 0 -1 -1 -1"),
            ("self/status", "VmRSS: 18014398509481983 kB\nVmSize: x\nThreads: 9223372036854775807\n"),
            ("self/io", "read_bytes: -5\nwrite_bytes: 18446744073709551615\n"),
            ("self/auxv", "\u{11}"),
            ("self/fd", "123"),
            ("self/task/7/status", "voluntary_ctxt_switches:\t\u{0}\n"),
            ("self/task/99999999999999999999/status", "voluntary_ctxt_switches: 1\nnonvoluntary_ctxt_switches: 1\n"),
            ("uptime", "inf"),
        ];
        check(
            "hostile",
            &hostile,
            "
process.context_switches counter {context_switch}
  process.context_switch.type=involuntary 2
  process.context_switch.type=voluntary 1
process.disk.io counter By
  disk.io.direction=write 18446744073709551615
process.thread.count up-down counter {thread}
  9223372036854775807
process.unix.file_descriptor.count up-down counter {file_descriptor}
  3
",
        );
    }

    #[test]
    fn a_system_that_contradicts_itself_has_no_uptime() {
        let collected = |name, uptime| {
            let folder = folder(name, &[("uptime", uptime)]);
            let source = Source::new(Proc::at(folder.path()));
            Collected::new(|meter| register(meter, &source)).page()
        };
        assert!(!collected("younger", "49.99 1.00\n").contains("process.uptime"));
        assert!(collected("as_old", "50.00 1.00\n").contains("process.uptime"));
    }

    #[test]
    fn nothing_is_there_without_files() {
        let folder = Folder::new("empty");
        let source = Source::new(Proc::at(folder.path()));
        let collected = Collected::new(|meter| {
            register(meter, &source);
            register_cpu_utilization(meter, &source);
        });
        assert_eq!(collected.page(), "");
    }

    #[test]
    fn each_file_is_read_once_in_a_collection() {
        let folder = folder("once", &[]);
        // An hour, so that the sample stays fresh even on slow machines.
        let source = Source::fresh_for(Duration::from_secs(3600), Proc::at(folder.path()));
        let collected = Collected::new(|meter| {
            register(meter, &source);
            register_cpu_utilization(meter, &source);
        });
        for _ in 0..3 {
            source.files.reads.lock().unwrap().clear();
            collected.page();
            let mut reads = std::mem::take(&mut *source.files.reads.lock().unwrap());
            reads.sort();
            assert_eq!(reads, ["self/io", "self/stat", "self/status", "uptime"]);
        }
    }
}
