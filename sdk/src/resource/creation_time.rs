//! The creation time of this process. Together with the process id, it identifies the process uniquely.

use super::files::read_text;
use crate::time::Timestamp;

/// The unit of time in `/proc`, which is the same on every architecture that Rust supports.
const TICKS_PER_SECOND: u64 = 100;

/// Returns the creation time of this process in ISO 8601 format, in UTC with milliseconds; `None` if Linux does not provide
/// it.
///
/// The result is the same on every call and matches other tools, because both parts come from the kernel: the boot time in
/// whole seconds, and the number of ticks from boot to process start.
///
/// spec: semconv registry process.creation.time
pub(super) fn creation_time() -> Option<String> {
    /// The counts of interrupts before the boot time take many kilobytes on large machines.
    const MAX: u64 = 1024 * 1024;
    let read = |file| read_text(file, MAX);
    created(&read("/proc/stat")?, &read("/proc/self/stat")?).map(iso_8601)
}

fn created(system: &str, process: &str) -> Option<Timestamp> {
    let boot: u64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    // The program name is enclosed in parentheses and may itself contain parentheses. The 22nd field is the 20th after
    // the name.
    let (_, fields) = process.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let nanos = boot.checked_mul(1_000_000_000)?.checked_add(ticks.checked_mul(1_000_000_000 / TICKS_PER_SECOND)?)?;
    Some(Timestamp::from_nanos(nanos))
}

fn iso_8601(time: Timestamp) -> String {
    let millis = time.as_nanos() / 1_000_000;
    let (year, month, day) = date(millis / 86_400_000);
    let (hour, minute) = (millis / 3_600_000 % 24, millis / 60_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.{:03}Z", millis / 1000 % 60, millis % 1000)
}

/// Returns the Gregorian date `days` days after 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    // If years start in March, the leap day is at the end of the year. 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_boot_and_the_ticks() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1000 2000";
        let created = |system: &str, process: &str| created(system, process).map(iso_8601);
        let system = "cpu  1 2 3\nbtime 1700560000\nprocesses 9\n";
        assert_eq!(created(system, stat).as_deref(), Some("2023-11-21T10:07:14.560Z"));
        for broken in ["", "btime x", "btime 99999999999999999999", "btime 18446744073709551615"] {
            assert_eq!(created(broken, stat), None, "{broken:?}");
        }
        for broken in ["", "7 (a", "7 (a) S 1 2", "7 (a) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 x"] {
            assert_eq!(created(system, broken), None, "{broken:?}");
        }
    }

    #[test]
    fn dates() {
        let check = |seconds: u64, expected: &str| {
            assert_eq!(iso_8601(Timestamp::from_nanos(seconds * 1_000_000_000)), expected);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399, "2000-02-28T23:59:59.000Z");
        check(951_782_400, "2000-02-29T00:00:00.000Z");
        check(951_868_800, "2000-03-01T00:00:00.000Z");
        check(1_798_761_599, "2026-12-31T23:59:59.000Z");
        check(4_107_542_400, "2100-03-01T00:00:00.000Z");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_was_created_before_now_and_always_at_the_same_time() {
        let time = creation_time().unwrap();
        assert!(time.as_str() > "2020" && time <= iso_8601(crate::time::Clock::system().now()), "{time}");
        assert_eq!(creation_time(), Some(time));
    }
}
