//! Parses the formats of `/proc/self`. The parsers are pure functions over bytes, skip unreadable values, and never
//! panic.

/// The numbers in `/proc/self/stat` for the whole process, including threads that have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Page faults that needed no storage access.
    pub(super) minor_faults: u64,
    /// Page faults that needed storage access.
    pub(super) major_faults: u64,
    /// Clock ticks in user mode.
    pub(super) user_ticks: u64,
    /// Clock ticks in the kernel.
    pub(super) system_ticks: u64,
    /// Clock ticks between the start of the system and the start of the process.
    pub(super) start_ticks: u64,
}

/// Parses `/proc/self/stat`, a single line of numbers after the program name, which may contain any byte except NUL.
pub(super) fn stat(content: &[u8]) -> Option<Stat> {
    // The name is enclosed in parentheses and may contain more of them; only a letter and numbers follow the last one.
    let name_end = content.iter().rposition(|byte| *byte == b')')?;
    let mut fields = words(content.get(name_end + 1..)?);
    // The manual page numbers the process id as field 1, so the first field after the name is field 3.
    let minor_faults = number(fields.nth(10 - 3)?)?;
    let major_faults = number(fields.nth(1)?)?;
    let user_ticks = number(fields.nth(1)?)?;
    let system_ticks = number(fields.next()?)?;
    let start_ticks = number(fields.nth(22 - 16)?)?;
    Some(Stat { minor_faults, major_faults, user_ticks, system_ticks, start_ticks })
}

/// The numbers in `/proc/self/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// The physical memory in use, in bytes.
    pub(super) resident: Option<u64>,
    /// The size of the address space, in bytes.
    pub(super) size: Option<u64>,
    /// The number of threads.
    pub(super) threads: Option<u64>,
}

/// Parses `/proc/self/status`, which has one key and value per line.
pub(super) fn status(content: &[u8]) -> Status {
    let mut status = Status::default();
    for (key, value) in lines(content) {
        let (field, value) = match key {
            b"VmRSS" => (&mut status.resident, kibibytes(value)),
            b"VmSize" => (&mut status.size, kibibytes(value)),
            b"Threads" => (&mut status.threads, only_number(value)),
            _ => continue,
        };
        *field = field.or(value);
    }
    status
}

/// The context switches of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Switches {
    /// The thread had to wait.
    pub(super) voluntary: u64,
    /// The thread's time slice had ended.
    pub(super) involuntary: u64,
}

/// Parses the last two lines of `/proc/self/task/<id>/status`.
pub(super) fn switches(content: &[u8]) -> Option<Switches> {
    let (mut voluntary, mut involuntary) = (None, None);
    for (key, value) in lines(content) {
        match key {
            b"voluntary_ctxt_switches" => voluntary = voluntary.or(only_number(value)),
            b"nonvoluntary_ctxt_switches" => involuntary = involuntary.or(only_number(value)),
            _ => {}
        }
    }
    Some(Switches { voluntary: voluntary?, involuntary: involuntary? })
}

/// The storage traffic in `/proc/self/io`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Io {
    /// Read from storage.
    pub(super) read: Option<u64>,
    /// Bytes written to storage, including those still waiting to be written.
    pub(super) written: Option<u64>,
}

/// Parses `/proc/self/io`, which has one key and number per line.
pub(super) fn io(content: &[u8]) -> Io {
    let mut io = Io::default();
    for (key, value) in lines(content) {
        match key {
            b"read_bytes" => io.read = io.read.or(only_number(value)),
            b"write_bytes" => io.written = io.written.or(only_number(value)),
            _ => {}
        }
    }
    io
}

/// Parses the first number of `/proc/uptime`: the seconds since the system started.
pub(super) fn uptime(content: &[u8]) -> Option<f64> {
    let seconds = std::str::from_utf8(words(content).next()?).ok()?;
    // The float parser also accepts "inf", "nan" and a sign.
    if !seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    seconds.parse().ok().filter(|seconds: &f64| seconds.is_finite())
}

/// Parses the clock ticks per second from `/proc/self/auxv`, which contains pairs of machine words: a key and a value.
pub(super) fn ticks_per_second(content: &[u8]) -> Option<u64> {
    const CLOCK_TICKS: usize = 17;
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| bytes.try_into().ok().map(usize::from_ne_bytes);
    content.chunks_exact(2 * WORD).find_map(|pair| {
        let (key, value) = pair.split_at(WORD);
        let ticks = u64::try_from(word(value)?).ok()?;
        // Kernels have been built with 100 to 1024 ticks.
        (word(key)? == CLOCK_TICKS && (1..=1_000_000).contains(&ticks)).then_some(ticks)
    })
}

fn lines(content: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    content.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((line.get(..colon)?, line.get(colon + 1..)?))
    })
}

fn words(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn only_number(value: &[u8]) -> Option<u64> {
    let mut words = words(value);
    let number = number(words.next()?)?;
    words.next().is_none().then_some(number)
}

/// Parses `1716 kB`, which means kibibytes, as bytes.
fn kibibytes(value: &[u8]) -> Option<u64> {
    let mut words = words(value);
    let number = number(words.next()?)?;
    (words.next()? == b"kB" && words.next().is_none()).then_some(())?;
    number.checked_mul(1024)
}

/// Parses digits only; returns `None` if the number is too large.
fn number(word: &[u8]) -> Option<u64> {
    word.iter().try_fold((), |(), byte| byte.is_ascii_digit().then_some(()))?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_stat(content: &str, expected: &str) {
        let found = stat(content.as_bytes()).map(|stat| {
            let Stat { minor_faults, major_faults, user_ticks, system_ticks, start_ticks } = stat;
            format!("faults {minor_faults} {major_faults}, ticks {user_ticks} {system_ticks}, start {start_ticks}")
        });
        assert_eq!(found.unwrap_or_default(), expected, "{content:?}");
    }

    #[test]
    fn stat_is_read_after_the_name() {
        let numbers = "R 14696 14696 680 0 -1 4194304 103 1 7 2 31 12 5 6 20 0 1 0 500377 3133440 390 184467440737095";
        let expected = "faults 103 7, ticks 31 12, start 500377";
        check_stat(&format!("14699 (cat) {numbers}\n"), expected);
        check_stat(&format!("14699 (a b) R 1 (c) {numbers}"), expected);
        check_stat(&format!("14699 (\n) {numbers}"), expected);
        check_stat(&format!("1 () {numbers}"), expected);
    }

    #[test]
    fn a_stat_that_is_cut_or_invalid_is_absent() {
        for content in [
            "",
            ")",
            "1 (cat)",
            "1 cat R 1 1 680 0 -1 4194304 103 1 7 2 31 12 5 6 20 0 1 0 500377",
            "1 (cat) R 1 1 680 0 -1 4194304 103 1 7 2 31 12 5 6 20 0 1 0",
            "1 (cat) R 1 1 680 0 -1 4194304 -3 1 7 2 31 12 5 6 20 0 1 0 500377",
            "1 (cat) R 1 1 680 0 -1 4194304 103 1 7 2 99999999999999999999 12 5 6 20 0 1 0 500377",
        ] {
            check_stat(content, "");
        }
    }

    fn check_status(content: &str, expected: &str) {
        let Status { resident, size, threads } = status(content.as_bytes());
        let text = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        assert_eq!(format!("{} {} {}", text(resident), text(size), text(threads)), expected, "{content:?}");
    }

    #[test]
    fn status_is_read_key_by_key() {
        check_status("Name:\tcat\nVmSize:\t    3060 kB\nVmRSS:\t    1716 kB\nThreads:\t3\n", "1757184 3133440 3");
        check_status("VmRSS: 1 kB", "1024 - -");
        check_status("VmRSS: 1 kB\nVmRSS: 2 kB\n", "1024 - -");
        check_status("Name:\tVmRSS: 1 kB\\nThreads: 7\n", "- - -");
        for unusable in ["VmRSS: 1", "VmRSS: 1 MB", "VmRSS: 1 kB kB", "VmRSS: -1 kB", "VmRSS:", "VmRSS", "xVmRSS: 1 kB"]
        {
            check_status(unusable, "- - -");
        }
        // 2^64 bytes.
        check_status("VmRSS: 18014398509481984 kB", "- - -");
        check_status("VmRSS: 18014398509481983 kB", "18446744073709550592 - -");
        check_status("Threads: +1", "- - -");
        check_status("Threads: 1 2", "- - -");
    }

    #[test]
    fn switches_need_both_numbers() {
        let both = b"voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!(switches(both), Some(Switches { voluntary: 5, involuntary: 7 }));
        assert_eq!(switches(b"voluntary_ctxt_switches:\t5\n"), None);
        assert_eq!(switches(b"nonvoluntary_ctxt_switches:\t5\n"), None);
    }

    #[test]
    fn io_is_that_of_the_storage() {
        let content =
            b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: 7\n";
        assert_eq!(io(content), Io { read: Some(5), written: Some(6) });
        assert_eq!(io(b"cancelled_write_bytes: 7\nread_bytes: many"), Io::default());
    }

    #[test]
    fn uptime_is_the_first_number() {
        assert_eq!(uptime(b"5003.78 3314.85\n"), Some(5003.78));
        assert_eq!(uptime(b"7\n"), Some(7.0));
        for content in ["", " ", "inf", "nan", "-1.0", "+1.0", "1e5", "1.2.3", &"9".repeat(400)] {
            assert_eq!(uptime(content.as_bytes()), None, "{content:?}");
        }
    }

    #[test]
    fn ticks_are_found_among_the_pairs() {
        let words = |words: &[usize]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
        assert_eq!(ticks_per_second(&words(&[6, 4096, 17, 100, 0, 0])), Some(100));
        // A value is not mistaken for a key.
        assert_eq!(ticks_per_second(&words(&[6, 17, 100, 17])), None);
        assert_eq!(ticks_per_second(&words(&[17, 0])), None);
        assert_eq!(ticks_per_second(&words(&[17])), None);
        assert_eq!(ticks_per_second(&words(&[17, usize::MAX])), None);
    }

    /// Generates bytes that partly resemble the real files.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..20),
            any::<u64>().prop_map(|number| number.to_string().into_bytes()),
            proptest::sample::select(vec![
                "VmRSS:",
                "VmSize:",
                "Threads:",
                "read_bytes:",
                "write_bytes:",
                " kB",
                "\n",
                " ",
                "\t",
                ")",
                "(",
                "-",
                ".",
                "voluntary_ctxt_switches:",
                "nonvoluntary_ctxt_switches:",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_content_panics(content in hostile()) {
            stat(&content);
            status(&content);
            switches(&content);
            io(&content);
            ticks_per_second(&content);
            prop_assert!(uptime(&content).is_none_or(|seconds| seconds >= 0.0));
        }

        #[test]
        fn stat_is_read_after_any_name(
            name in proptest::collection::vec(1_u8.., 0..16),
            values in proptest::collection::vec(any::<u64>(), 50),
        ) {
            let mut content = [b"1 (", &*name, b") S"].concat();
            for value in &values {
                content.extend_from_slice(format!(" {value}").as_bytes());
            }
            // The values start at field 4.
            let field = |number: usize| values[number - 4];
            let expected = Stat {
                minor_faults: field(10),
                major_faults: field(12),
                user_ticks: field(14),
                system_ticks: field(15),
                start_ticks: field(22),
            };
            prop_assert_eq!(stat(&content), Some(expected));
        }

        #[test]
        fn any_status_is_read(resident in 0..=u64::MAX / 1024, size in 0..=u64::MAX / 1024, threads in any::<u64>()) {
            let content = format!("VmSize:\t{size} kB\nVmRSS:\t{resident:>8} kB\nOther:\nThreads:\t{threads}\n");
            let expected = Status { resident: Some(resident * 1024), size: Some(size * 1024), threads: Some(threads) };
            prop_assert_eq!(status(content.as_bytes()), expected);
        }
    }
}
