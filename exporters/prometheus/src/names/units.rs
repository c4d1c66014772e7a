//! Translates UCUM units to the words that names end with.
//!
//! spec: compatibility/prometheus_and_openmetrics.md#metric-metadata

/// UCUM abbreviation, plural, and singular for rates, as in "per second".
const WORDS: &[(&str, &str, &str)] = &[
    ("d", "days", "day"),
    ("h", "hours", "hour"),
    ("min", "minutes", "minute"),
    ("s", "seconds", "second"),
    ("ms", "milliseconds", "millisecond"),
    ("us", "microseconds", "microsecond"),
    ("ns", "nanoseconds", "nanosecond"),
    ("By", "bytes", "byte"),
    ("KiBy", "kibibytes", "kibibyte"),
    ("MiBy", "mebibytes", "mebibyte"),
    ("GiBy", "gibibytes", "gibibyte"),
    ("TiBy", "tebibytes", "tebibyte"),
    ("kBy", "kilobytes", "kilobyte"),
    ("MBy", "megabytes", "megabyte"),
    ("GBy", "gigabytes", "gigabyte"),
    ("TBy", "terabytes", "terabyte"),
    ("m", "meters", "meter"),
    ("V", "volts", "volt"),
    ("A", "amperes", "ampere"),
    ("J", "joules", "joule"),
    ("W", "watts", "watt"),
    ("g", "grams", "gram"),
    ("Cel", "celsius", "celsius"),
    ("Hz", "hertz", "hertz"),
    ("%", "percent", "percent"),
    // The specification's table lists the next three only as rates.
    ("wk", "weeks", "week"),
    ("mo", "months", "month"),
    ("a", "years", "year"),
    // Dimensionless numbers have no unit word.
    ("1", "", ""),
];

/// Returns the unit in words of classic characters, or an empty string for a dimensionless unit.
pub(crate) fn words(unit: &str) -> String {
    let unit = without_annotations(unit);
    let (many, one) = match unit.split_once('/') {
        Some((many, one)) => (many.trim(), one.trim()),
        None => (unit.trim(), ""),
    };
    let many =
        WORDS.iter().find(|(ucum, ..)| *ucum == many).map_or_else(|| cleaned(many), |(_, many, _)| (*many).to_owned());
    let one = WORDS.iter().find(|(ucum, ..)| *ucum == one).map_or_else(|| cleaned(one), |(.., one)| (*one).to_owned());
    match (many.is_empty(), one.is_empty()) {
        (_, true) => many,
        (true, false) => format!("per_{one}"),
        (false, false) => format!("{many}_per_{one}"),
    }
}

/// Removes annotations in braces from the unit.
fn without_annotations(unit: &str) -> String {
    let mut depth = 0usize;
    unit.chars()
        .filter(|c| {
            match c {
                '{' => depth += 1,
                '}' => {
                    depth = depth.saturating_sub(1);
                    return false;
                }
                _ => {}
            }
            depth == 0
        })
        .collect()
}

/// Keeps letters and digits, and replaces each run of other characters between them with an underscore.
fn cleaned(unit: &str) -> String {
    let parts: Vec<_> = unit.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unit: &str, expected: &str) {
        assert_eq!(words(unit), expected, "{unit:?}");
    }

    #[test]
    fn the_table() {
        check("s", "seconds");
        check("ms", "milliseconds");
        check("By", "bytes");
        check("KiBy", "kibibytes");
        check("%", "percent");
        check("Cel", "celsius");
        check("", "");
        check("1", "");
    }

    #[test]
    fn annotations_are_dropped() {
        check("{request}", "");
        check("By{compressed}", "bytes");
        check("{request}/s", "per_second");
        check("{broken", "");
        check("a}b", "ab");
    }

    #[test]
    fn rates() {
        check("m/s", "meters_per_second");
        check("By/s", "bytes_per_second");
        check("1/min", "per_minute");
        check("km/h", "km_per_hour");
        check("/s", "per_second");
        check("m/", "meters");
    }

    #[test]
    fn other_units_are_cleaned() {
        check("foo.bar-baz", "foo_bar_baz");
        check("__x__", "x");
        check("µm", "m");
    }
}
