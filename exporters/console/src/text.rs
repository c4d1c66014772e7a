//! Terminal text: colours, columns, escaping, durations, and times.

use std::time::Duration;

use telemark_sdk::text::is_harmful;
use telemark_sdk::time::Timestamp;

use crate::values::float;

/// The role of a piece of text, which determines its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Faint,
    Accent,
    Good,
    Warn,
    Bad,
}

impl Tone {
    fn sequence(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Strong => "\x1b[1m",
            Tone::Faint => "\x1b[2m",
            Tone::Accent => "\x1b[36m",
            Tone::Good => "\x1b[32m",
            Tone::Warn => "\x1b[33m",
            Tone::Bad => "\x1b[31m",
        }
    }
}

/// The lines written so far. Tracks the current column, with or without colours.
#[derive(Debug)]
pub(crate) struct Canvas {
    text: String,
    column: usize,
    /// Spaces that are written only when text follows, so that lines have no trailing spaces.
    pending: usize,
    is_colored: bool,
}

impl Canvas {
    pub(crate) fn new(is_colored: bool) -> Self {
        Canvas { text: String::new(), column: 0, pending: 0, is_colored }
    }

    /// Appends text, which must not contain control characters.
    pub(crate) fn put(&mut self, tone: Tone, text: &str) {
        if text.is_empty() {
            return;
        }
        self.text.extend(std::iter::repeat_n(' ', std::mem::take(&mut self.pending)));
        self.column += columns(text);
        if self.is_colored && tone != Tone::Plain {
            self.text.push_str(tone.sequence());
            self.text.push_str(text);
            self.text.push_str("\x1b[0m");
        } else {
            self.text.push_str(text);
        }
    }

    pub(crate) fn space(&mut self, columns: usize) {
        self.pending += columns;
        self.column += columns;
    }

    /// Moves to `column`, unless the line is already past it.
    pub(crate) fn move_to(&mut self, column: usize) {
        self.space(column.saturating_sub(self.column));
    }

    pub(crate) fn column(&self) -> usize {
        self.column
    }

    pub(crate) fn end_line(&mut self) {
        self.text.push('\n');
        (self.column, self.pending) = (0, 0);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// Returns the width of the text in columns.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Returns 2 for East Asian scripts and emoji, and 1 for all other characters. Combining marks also count as 1
/// although they take no column; otherwise text of any length would fit.
fn width(character: char) -> usize {
    match character {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// Escapes control characters, and truncates text to `limit` columns with an ellipsis.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(4 * limit));
    let mut used = 0;
    // The length to truncate to, which leaves room for the ellipsis.
    let mut cut = 0;
    let mut escape = String::new();
    for character in text.chars() {
        escape.clear();
        if is_harmful(character) {
            escape.extend(character.escape_default());
        } else {
            escape.push(character);
        }
        used += columns(&escape);
        if used > limit {
            cleaned.truncate(cut);
            cleaned.push('…');
            return cleaned;
        }
        cleaned.push_str(&escape);
        if used < limit {
            cut = cleaned.len();
        }
    }
    cleaned
}

/// Formats a duration with three digits and a unit: `900µs`, `12.4ms`, `1.20s`, `2m05s`, `1h02m`.
pub(crate) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    // Each bound is the value at which rounding would reach the next unit.
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos}ns"),
        1_000..999_500 => (nanos as f64 / 1e3, "µs"),
        999_500..999_500_000 => (nanos as f64 / 1e6, "ms"),
        999_500_000..99_950_000_000 => (nanos as f64 / 1e9, "s"),
        _ => {
            let seconds = u64::try_from((nanos + 500_000_000) / 1_000_000_000).unwrap_or(u64::MAX);
            return match seconds {
                0..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
                _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
            };
        }
    };
    match value {
        ..9.995 => format!("{value:.2}{unit}"),
        9.995..99.95 => format!("{value:.1}{unit}"),
        _ => format!("{value:.0}{unit}"),
    }
}

/// Formats a value with its unit. Seconds and milliseconds become a duration. Other values become a number followed by
/// the unit, where `{order}` becomes `order`.
pub(crate) fn quantity(value: f64, unit: &str) -> String {
    let seconds = match unit {
        "s" => Some(value),
        "ms" => Some(value / 1e3),
        _ => None,
    };
    if let Some(seconds) = seconds {
        let sign = if value < 0.0 { "-" } else { "" };
        if let Ok(length) = Duration::try_from_secs_f64(seconds.abs()) {
            return format!("{sign}{}", duration(length));
        }
    }
    let unit = clean(unit.trim_start_matches('{').trim_end_matches('}'), 20);
    let gap = if unit.is_empty() || unit == "1" { "" } else { " " };
    let unit = if unit == "1" { "" } else { &unit };
    format!("{}{gap}{unit}", number(value))
}

/// Formats whole numbers in full, and others with three significant digits.
fn number(value: f64) -> String {
    match value.abs() {
        // Above this limit, adjacent floats may be more than 1 apart.
        _ if value.fract() == 0.0 && value.abs() < 1e15 => format!("{value:.0}"),
        100.0..1e15 => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        0.1..10.0 => format!("{value:.2}"),
        f64::INFINITY => float(value),
        _ => format!("{value:.2e}"),
    }
}

/// Formats the time of day in UTC, with milliseconds.
pub(crate) fn time_of_day(timestamp: Timestamp) -> String {
    let millis = timestamp.as_nanos() / 1_000_000 % 86_400_000;
    let (seconds, millis) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (nanos, expected) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00µs"),
            (9_994, "9.99µs"),
            (9_996, "10.0µs"),
            (999_499, "999µs"),
            (999_500, "1.00ms"),
            (12_400_000, "12.4ms"),
            (999_499_999, "999ms"),
            (1_200_000_000, "1.20s"),
            (99_949_000_000, "99.9s"),
            (99_950_000_000, "1m40s"),
            (3_599_600_000_000, "1h00m"),
            (u64::MAX, "5124095h34m"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), expected, "{nanos}");
        }
    }

    #[test]
    fn cleaning() {
        for (given, limit, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("größe", 4, "grö…"),
            ("a\x1b[31mb", 20, "a\\u{1b}[31mb"),
            ("a\r\n\tb", 20, "a\\r\\n\\tb"),
            ("abc\n", 4, "abc…"),
            ("\u{202e}x\u{9b}", 40, "\\u{202e}x\\u{9b}"),
            ("", 3, ""),
            ("ab", 1, "…"),
        ] {
            assert_eq!(clean(given, limit), expected, "{given:?}");
        }
    }

    #[test]
    fn no_line_ends_in_spaces_and_colours_take_no_column() {
        let mut canvas = Canvas::new(true);
        canvas.put(Tone::Bad, "x");
        canvas.move_to(4);
        canvas.put(Tone::Plain, "y");
        assert_eq!(canvas.column(), 5);
        canvas.space(9);
        canvas.end_line();
        assert_eq!(canvas.as_str(), "\x1b[31mx\x1b[0m   y\n");
    }

    #[test]
    fn quantities() {
        for (value, unit, expected) in [
            (3.0, "{order}", "3 order"),
            (0.0, "", "0"),
            (-2.5, "1", "-2.50"),
            (0.003, "s", "3.00ms"),
            (-1.5, "ms", "-1.50ms"),
            (1234.56, "By", "1235 By"),
            (12.34, "Cel", "12.3 Cel"),
            (0.0123, "", "1.23e-2"),
            (1e300, "s", "1.00e300 s"),
            (f64::MAX, "", "1.80e308"),
            (18_446_744_073_709_551_615.0, "By", "1.84e19 By"),
            (1.0, "{\x1b[31m}", "1 \\u{1b}[31m"),
            (f64::INFINITY, "s", "Infinity s"),
            (f64::NEG_INFINITY, "", "-Infinity"),
            (f64::NAN, "By", "NaN By"),
        ] {
            assert_eq!(quantity(value, unit), expected, "{value} {unit:?}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time_of_day(Timestamp::from_nanos(1_700_000_000_123_456_789)), "22:13:20.123Z");
    }

    proptest! {
        #[test]
        fn cleaned_text_is_harmless_and_short(text: String, limit in 1usize..50) {
            let cleaned = clean(&text, limit);
            prop_assert!(columns(&cleaned) <= limit && !cleaned.chars().any(is_harmful), "{cleaned:?}");
        }
    }
}
