//! The levels of spans, which are the same as in `tracing` and `log`.

use std::fmt;

/// The level of a span. Lower values are more important. `#[traced]` spans have the level `Info` unless they specify
/// another level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Kept unless the filter is off.
    Error = 1,
    /// Kept if the filter is set to `warn` or a more verbose level.
    Warn,
    /// The default level of a span and of the filter.
    Info,
    /// For spans that are usually too numerous to keep.
    Debug,
    /// For spans of the innermost loops.
    Trace,
}

impl Level {
    /// The levels and their names in a filter.
    const NAMES: [(&'static str, Level); 5] = [
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ];

    /// Returns the name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }

    /// Returns the most verbose level that a word in a filter keeps: a level, `Some(None)` for `off`, or `None` for
    /// any other word. Ignores case.
    pub(super) fn kept_by(word: &str) -> Option<Option<Level>> {
        if word.eq_ignore_ascii_case("off") {
            return Some(None);
        }
        let named = Level::NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
        named.map(|&(_, level)| Some(level))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
