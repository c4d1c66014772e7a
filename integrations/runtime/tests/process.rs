//! Checks that all metrics of this process are present and that their values change.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs::File;
use std::hint::black_box;
use std::sync::mpsc;
use support::Collected;
use telemark_runtime::{ProcessMetrics, register_process};

#[test]
fn all_instruments() {
    let expected = "
process.context_switches counter {context_switch}
  process.context_switch.type=involuntary
  process.context_switch.type=voluntary
process.cpu.time counter s
  cpu.mode=system
  cpu.mode=user
process.disk.io counter By
  disk.io.direction=read
  disk.io.direction=write
process.memory.usage up-down counter By
  -
process.memory.virtual up-down counter By
  -
process.paging.faults counter {fault}
  system.paging.fault.type=major
  system.paging.fault.type=minor
process.thread.count up-down counter {thread}
  -
process.unix.file_descriptor.count up-down counter {file_descriptor}
  -
process.uptime gauge s
  -
";
    let collected = Collected::new(register_process);
    assert_eq!(collected.list().trim_end(), expected.trim());
    assert_eq!(collected.list().trim_end(), expected.trim(), "the same again");
}

#[test]
fn the_scope_has_the_version_of_this_crate_and_the_schema() {
    let scope = telemark_runtime::scope();
    assert_eq!(scope.name(), "telemark-runtime");
    assert_eq!(scope.version(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(scope.schema_url(), Some("https://opentelemetry.io/schemas/1.45.0"));
}

#[test]
fn cpu_time_grows_with_work() {
    let collected = Collected::new(register_process);
    let before = collected.value("process.cpu.time", "cpu.mode=user");
    let work = || {
        black_box((0..5_000_000_u64).fold(0_u64, |sum, number| black_box(sum ^ number)));
    };
    collected.await_value("process.cpu.time", "cpu.mode=user", work, |after| after >= before + 0.1);
}

#[test]
fn cpu_utilization_is_there_on_request() {
    let collected = Collected::new(|meter| ProcessMetrics::new().with_cpu_utilization().register(meter));
    let work = || {
        black_box((0..5_000_000_u64).fold(0_u64, |sum, number| black_box(sum ^ number)));
    };
    // The first window lasts a second.
    collected.await_value("process.uptime", "", work, |_| collected.list().contains("process.cpu.utilization gauge 1"));
    let share = collected.value("process.cpu.utilization", "cpu.mode=user");
    assert!(share > 0.0 && share <= 1.0, "{share}");
    assert!((0.0..=1.0).contains(&collected.value("process.cpu.utilization", "cpu.mode=system")));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the threads that are counted")]
fn threads_are_counted() {
    let collected = Collected::new(register_process);
    let started: Vec<_> = (0..64)
        .map(|_| {
            let (sender, receiver) = mpsc::channel::<()>();
            (sender, std::thread::spawn(move || receiver.recv().is_err()))
        })
        .collect();
    let count = collected.value("process.thread.count", "");
    assert!((65.0..1000.0).contains(&count), "{count}");
    for (sender, thread) in started {
        drop(sender);
        thread.join().unwrap();
    }
    collected.await_value("process.thread.count", "", || {}, |after| after < count);
}

#[test]
fn open_files_are_counted() {
    let collected = Collected::new(register_process);
    let files: Vec<_> = (0..200).map(|_| File::open("/proc/self/stat").unwrap()).collect();
    let count = collected.value("process.unix.file_descriptor.count", "");
    assert!((200.0..1000.0).contains(&count), "{count}");
    drop(files);
    collected.await_value("process.unix.file_descriptor.count", "", || {}, |after| after < 200.0);
}

#[test]
fn memory_in_use_is_resident_and_faulted_in() {
    const SIZE: usize = 64 << 20;
    let collected = Collected::new(register_process);
    let faults = collected.value("process.paging.faults", "system.paging.fault.type=minor");
    let memory = black_box(vec![1_u8; SIZE]);
    let usage = collected.value("process.memory.usage", "");
    assert!(usage >= SIZE as f64, "{usage}");
    assert!(collected.value("process.memory.virtual", "") >= usage);
    assert!(collected.value("process.paging.faults", "system.paging.fault.type=minor") > faults);
    drop(memory);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the thread that waits")]
fn waiting_switches_the_context() {
    let collected = Collected::new(register_process);
    let before = collected.value("process.context_switches", "process.context_switch.type=voluntary");
    let (ping, pinged) = mpsc::channel();
    let (pong, ponged) = mpsc::channel();
    // A separate thread, because `/proc/self/status` contains only the numbers of the main thread.
    let thread = std::thread::spawn(move || pinged.iter().for_each(|()| pong.send(()).unwrap()));
    let exchange = || {
        for _ in 0..100 {
            ping.send(()).unwrap();
            ponged.recv().unwrap();
        }
    };
    collected.await_value("process.context_switches", "process.context_switch.type=voluntary", exchange, |after| {
        after >= before + 100.0
    });
    drop(ping);
    thread.join().unwrap();
}

#[test]
fn uptime_grows() {
    let collected = Collected::new(register_process);
    let before = collected.value("process.uptime", "");
    assert!((0.0..3600.0).contains(&before), "{before}");
    collected.await_value("process.uptime", "", || {}, |after| after > before);
}
