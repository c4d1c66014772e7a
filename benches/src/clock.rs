//! CPU time of the process and the current thread, in nanoseconds, and other resource usage that the system tracks.
#![allow(unsafe_code, reason = "the CPU clocks have no safe interface in std")]

/// Returns the user and system time used by all threads of this process.
pub(crate) fn process_cpu() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Returns the user and system time used by the calling thread.
pub(crate) fn thread_cpu() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Returns the number of times that the calling thread was preempted.
pub(crate) fn preemptions() -> u64 {
    usage(libc::RUSAGE_THREAD).ru_nivcsw.unsigned_abs()
}

/// Pins the calling thread to one of the cores that the process may use. Different numbers select different cores if
/// there are enough cores.
pub(crate) fn stay_on_core(number: usize) {
    let mut allowed = std::mem::MaybeUninit::<libc::cpu_set_t>::zeroed();
    let size = std::mem::size_of::<libc::cpu_set_t>();
    // SAFETY: the sets are valid for reads and writes of their size, and all zeros is a valid value for them; the core
    // numbers are below CPU_SETSIZE.
    unsafe {
        assert_eq!(libc::sched_getaffinity(0, size, allowed.as_mut_ptr()), 0, "this platform does not name its cores");
        let allowed = allowed.assume_init();
        let cores: Vec<usize> =
            (0..libc::CPU_SETSIZE as usize).filter(|&core| libc::CPU_ISSET(core, &allowed)).collect();
        let mut one = std::mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(cores[number % cores.len()], &mut one);
        assert_eq!(libc::sched_setaffinity(0, size, &raw const one), 0, "the core is one of those allowed");
    }
}

/// Returns this process's resident memory in bytes.
pub(crate) fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("this platform has /proc");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the status has VmRSS");
    let kilobytes = line.trim().trim_end_matches("kB").trim_end();
    kilobytes.parse::<u64>().expect("VmRSS is a number") * 1024
}

/// Returns the user and system time of all child processes that have ended and been waited for.
pub(crate) fn children_cpu() -> u64 {
    let usage = usage(libc::RUSAGE_CHILDREN);
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|time| time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_usec.unsigned_abs() * 1_000)
        .sum()
}

fn usage(whose: libc::c_int) -> libc::rusage {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` points to a writable rusage, for which all zeros is a valid value.
    unsafe {
        let code = libc::getrusage(whose, usage.as_mut_ptr());
        assert_eq!(code, 0, "this platform does not account for that");
        usage.assume_init()
    }
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, exclusively borrowed timespec that outlives the call.
    let code = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(code, 0, "this platform has no CPU clocks");
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
