//! Timestamps as RFC 3339 in UTC, with microseconds.

use std::cell::Cell;

use telemark_sdk::time::Timestamp;

use crate::line::Line;

/// The date and the time of day, `2026-11-29T17:45:00`.
type Second = [u8; 19];

thread_local! {
    /// The last second written on this thread. The type has no destructor, so that it can be used until the thread has ended.
    static LAST: Cell<(u64, Second)> = const { Cell::new((0, *b"1970-01-01T00:00:00")) };
}

/// Appends a timestamp, `2026-11-29T17:45:00.123456Z`.
#[inline]
pub(crate) fn write(line: &mut Line, timestamp: Timestamp) {
    let micros = timestamp.as_nanos() / 1_000;
    let (second, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (last, mut written) = LAST.get();
    if last != second {
        written = date_and_time(second);
        LAST.set((second, written));
    }
    line.raw_bytes(&written);
    let mut fraction = *b".000000Z";
    two(&mut fraction, 1, micros / 10_000);
    two(&mut fraction, 3, micros / 100 % 100);
    two(&mut fraction, 5, micros % 100);
    line.raw_bytes(&fraction);
}

/// Writes a number below 100 as two digits.
#[inline]
fn two(digits: &mut [u8], at: usize, number: u64) {
    digits[at] = b'0' + (number / 10 % 10) as u8;
    digits[at + 1] = b'0' + (number % 10) as u8;
}

/// Converts seconds since the epoch. The Gregorian calendar repeats every 400 years, and if a year starts in March, its leap
/// day is at the end.
fn date_and_time(second: u64) -> Second {
    const DAYS_TO_EPOCH: u64 = 719_468; // from 0000-03-01
    const DAYS_PER_ERA: u64 = 146_097; // 400 years
    let days = second / 86_400 + DAYS_TO_EPOCH;
    let (era, day) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // from March
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
    let year = year + u64::from(month <= 2);

    let mut written = *b"0000-00-00T00:00:00";
    let time = second % 86_400;
    let parts = [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, time / 3_600),
        (14, time / 60 % 60),
        (17, time % 60),
    ];
    for (at, number) in parts {
        two(&mut written, at, number);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        // The expected dates are the output of `date -u -d @SECONDS`.
        for (second, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (1_795_974_300, "2026-11-29T17:45:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (18_446_744_073, "2554-07-21T23:34:33"),
        ] {
            assert_eq!(std::str::from_utf8(&date_and_time(second)), Ok(expected));
        }
    }

    #[test]
    fn days_follow_each_other() {
        const LENGTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut day = 0;
        for year in 1970..2554_u64 {
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for (month, length) in LENGTHS.into_iter().enumerate() {
                for date in 1..=length + u64::from(is_leap && month == 1) {
                    let expected = format!("{year}-{:02}-{date:02}T00:00:00", month + 1);
                    assert_eq!(std::str::from_utf8(&date_and_time(day * 86_400)), Ok(&*expected));
                    day += 1;
                }
            }
        }
    }

    #[test]
    fn the_fraction_has_six_digits_and_the_cached_second_changes() {
        let written = |nanos| {
            let mut line = Line::default();
            line.begin(100);
            write(&mut line, Timestamp::from_nanos(nanos));
            String::from_utf8(line.bytes().to_vec()).unwrap()
        };
        assert_eq!(written(1_795_974_300_000_001_999), "2026-11-29T17:45:00.000001Z");
        assert_eq!(written(1_795_974_300_987_654_321), "2026-11-29T17:45:00.987654Z");
        assert_eq!(written(1_795_974_301_000_000_000), "2026-11-29T17:45:01.000000Z");
        assert_eq!(written(1_000), "1970-01-01T00:00:00.000001Z");
    }
}
