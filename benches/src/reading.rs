//! A measured value, passed as a line of text from a child process to its parent.

use std::fmt;
use std::str::FromStr;

use crate::Failure;

/// A metric's name and its value. The name includes the unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) metric: String,
    pub(crate) value: f64,
}

/// The number of spans that the child has ended, which the parent compares with the sink's count.
pub(crate) const PRODUCED: &str = "produced";

impl Reading {
    pub(crate) fn new(metric: &str, value: f64) -> Self {
        Self { metric: metric.to_owned(), value }
    }

    /// Divides a total over `count` operations into the cost per operation.
    pub(crate) fn per(metric: &str, total: u64, count: u64) -> Self {
        Self::new(metric, total as f64 / count as f64)
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\t{}", self.metric, self.value)
    }
}

impl FromStr for Reading {
    type Err = Failure;

    fn from_str(line: &str) -> Result<Self, Failure> {
        let (metric, value) = line.split_once('\t').ok_or_else(|| format!("not a reading: {line:?}"))?;
        Ok(Self::new(metric, value.parse()?))
    }
}
