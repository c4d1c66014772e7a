//! Reads the settings of one mapping of a configuration file.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::item::{Data, Item};
use super::report::{Report, one_of};

/// One value of a configuration file, usually the mapping of a component. The factory of a component reads its settings with it.
///
/// A reader returns `None` if the key is missing, null or unusable. An unusable value is reported with its line and column, so that
/// a factory can go on and find further problems. Once a factory has returned, keys that it has not read are reported as unknown.
///
/// ```
/// use telemark_sdk::config::{Data, Item, Report, Settings, Tree};
///
/// let tree = Tree::new("example", Item::mapping([("size", Item::new("big"))]));
/// let report = Report::new(&tree);
/// assert_eq!(Settings::new(tree.root(), &report).integer("size", 1..=10), None);
/// let error = report.into_result().unwrap_err().to_string();
/// assert!(error.ends_with("size=\"big\" cannot be used: expected a whole number from 1 to 10"), "{error}");
/// # let _ = Data::Null;
/// ```
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    item: &'a Item,
    report: &'a Report<'a>,
}

impl<'a> Settings<'a> {
    /// Creates a reader for `item`, which belongs to the tree of `report`.
    pub fn new(item: &'a Item, report: &'a Report<'a>) -> Self {
        Settings { item, report }
    }

    /// Returns the value.
    pub fn item(self) -> &'a Item {
        self.item
    }

    /// Returns the value of a key, which may be null.
    pub fn get(self, key: &str) -> Option<Settings<'a>> {
        self.report.note_asked(self.item, key);
        self.item.get(key).map(|item| Settings { item, ..self })
    }

    /// Returns the value of a key unless it is null.
    fn value(self, key: &str) -> Option<Settings<'a>> {
        self.get(key).filter(|value| !value.item.is_null())
    }

    /// Returns the settings of a mapping. Null is a mapping without entries, as in `console:`.
    pub fn object(self, key: &str) -> Option<Settings<'a>> {
        let value = self.get(key)?;
        match value.item.data {
            Data::Mapping(_) | Data::Null => Some(value),
            _ => value.refuse("a mapping"),
        }
    }

    /// Returns the entries of a list; none if the key is missing or null.
    pub fn list(self, key: &str) -> impl Iterator<Item = Settings<'a>> {
        let list = self.value(key).and_then(|value| match &value.item.data {
            Data::List(items) => Some(items),
            _ => value.refuse("a list"),
        });
        list.into_iter().flatten().map(move |item| Settings { item, ..self })
    }

    /// Returns the texts of a list; `None` if the key is missing or null.
    pub fn texts(self, key: &str) -> Option<Vec<&'a str>> {
        self.value(key)?;
        Some(self.list(key).filter_map(Settings::as_text).collect())
    }

    /// Returns the entries of this mapping.
    pub fn entries(self) -> impl Iterator<Item = (&'a str, Settings<'a>)> {
        self.item.entries().iter().map(move |(key, item)| {
            self.report.note_asked(self.item, key);
            (key.as_str(), Settings { item, ..self })
        })
    }

    /// Returns the name and the settings of the component that this mapping selects with its only key.
    pub fn component(self) -> Option<(&'a str, Settings<'a>)> {
        self.entries().next()
    }

    /// Returns the text of this value.
    pub fn as_text(self) -> Option<&'a str> {
        match &self.item.data {
            Data::Text(text) => Some(text),
            _ => self.refuse("text; put it in quotes"),
        }
    }

    /// Returns this value as a number.
    pub fn as_number(self) -> Option<f64> {
        self.item.as_number().or_else(|| self.refuse("a number"))
    }

    /// Returns text.
    pub fn text(self, key: &str) -> Option<&'a str> {
        self.value(key)?.as_text()
    }

    /// Returns `true` or `false`.
    pub fn boolean(self, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        match value.item.data {
            Data::Boolean(is) => Some(is),
            _ => value.refuse("true or false"),
        }
    }

    /// Returns a whole number within `range`.
    pub fn integer(self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.value(key)?;
        match value.item.data {
            Data::Integer(number) if range.contains(&number) => Some(number),
            _ => value.refuse(&whole_number(&range)),
        }
    }

    /// Returns a size or a count that is at least `min`.
    pub fn size(self, key: &str, min: i64) -> Option<usize> {
        self.integer(key, min..=i64::MAX).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// Returns a number within `range`.
    pub fn number(self, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.value(key)?;
        match value.item.as_number() {
            Some(number) if range.contains(&number) => Some(number),
            _ => value.refuse(&number(&range)),
        }
    }

    /// Returns a number of milliseconds as a duration.
    pub fn duration(self, key: &str) -> Option<Duration> {
        let value = self.value(key)?;
        match value.item.data {
            Data::Integer(millis @ 0..) => Some(Duration::from_millis(millis.unsigned_abs())),
            _ => value.refuse(&milliseconds(0)),
        }
    }

    /// Returns a number of milliseconds as a timeout. Zero means no limit and is returned as [`Duration::MAX`].
    pub fn timeout(self, key: &str) -> Option<Duration> {
        self.duration(key).map(|timeout| if timeout.is_zero() { Duration::MAX } else { timeout })
    }

    /// Returns the entry of `values` that the text names.
    pub fn one_of<T: Clone>(self, key: &str, values: &[(&str, T)]) -> Option<T> {
        let value = self.value(key)?;
        let named = match &value.item.data {
            Data::Text(text) => values.iter().find(|(name, _)| name == text),
            _ => None,
        };
        match named {
            Some((_, found)) => Some(found.clone()),
            None => value.refuse(&one_of(&values.iter().map(|(name, _)| *name).collect::<Vec<_>>())),
        }
    }

    /// Reports that this value cannot be used.
    pub fn reject(self, accepted: &str) {
        self.report.invalid(self.item, accepted);
    }

    /// Reports a problem of this value.
    pub fn problem(self, problem: &str) {
        self.report.problem(self.item, problem);
    }

    /// Reports a problem of a key, which may be missing.
    pub fn problem_at(self, key: &str, problem: &str) {
        self.report.problem_at(self.item, key, problem);
    }

    /// Warns about this value, which does not prevent the program from starting.
    pub fn warn(self, warning: &str) {
        self.report.warn(self.item, warning);
    }

    fn refuse<T>(self, accepted: &str) -> Option<T> {
        self.reject(accepted);
        None
    }
}

impl Item {
    /// Returns the value as a number if it is one.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a file gives no more precise number where one with a fraction is accepted"
    )]
    pub(crate) fn as_number(&self) -> Option<f64> {
        match self.data {
            Data::Integer(number) => Some(number as f64),
            Data::Number(number) => Some(number),
            _ => None,
        }
    }
}

/// Describes a range of whole numbers.
pub(in crate::config) fn whole_number(range: &RangeInclusive<i64>) -> String {
    match (*range.start(), *range.end()) {
        (start, i64::MAX) => format!("a whole number of at least {start}"),
        (start, end) => format!("a whole number from {start} to {end}"),
    }
}

/// Describes a range of milliseconds that begins with `min`.
pub(in crate::config) fn milliseconds(min: i64) -> String {
    format!("milliseconds, {}", whole_number(&(min..=i64::MAX)))
}

/// Describes a range of numbers.
pub(in crate::config) fn number(range: &RangeInclusive<f64>) -> String {
    match (*range.start(), *range.end()) {
        (f64::MIN, f64::MAX) => "a number".to_owned(),
        (start, f64::MAX) => format!("a number of at least {start}"),
        (f64::MIN_POSITIVE, end) => format!("a number above 0 and up to {end}"),
        (start, end) => format!("a number from {start} to {end}"),
    }
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settings").field(&self.item.data).finish()
    }
}
