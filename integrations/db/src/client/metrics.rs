//! The instruments for calls of databases.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use telemark_kit::{AttributeSets, SetKey};

// spec: db/database-metrics.md: the advised boundaries of db.client.operation.duration, in seconds
const DURATION_BOUNDARIES: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
// spec: db/database-metrics.md: the advised boundaries of db.client.response.returned_rows
const ROW_BOUNDARIES: [f64; 13] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0];

pub(crate) struct CallInstruments {
    pub(crate) duration: Histogram<f64>,
    pub(crate) returned_rows: Histogram<u64>,
    pub(crate) sets: AttributeSets<CallKey>,
}

impl CallInstruments {
    // spec: db/database-metrics.md
    pub(crate) fn new(meter: &Meter) -> Self {
        CallInstruments {
            duration: meter
                .f64_histogram("db.client.operation.duration")
                .with_unit("s")
                .with_description("Duration of database client operations.")
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
                .build(),
            returned_rows: meter
                .u64_histogram("db.client.response.returned_rows")
                .with_unit("{row}")
                .with_description("The actual number of records returned by the database operation.")
                .with_boundaries(ROW_BOUNDARIES.to_vec())
                .build(),
            sets: AttributeSets::new(),
        }
    }
}

/// The key of the attributes of a call that succeeded. Failures are too rare to keep their attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallKey {
    /// The identity of the database.
    pub(crate) database: usize,
    /// The summary or the operation, by its address: both live as long as the program.
    pub(crate) name: (usize, usize),
}

impl CallKey {
    pub(crate) fn new(database: usize, name: &'static str) -> Self {
        CallKey { database, name: (name.as_ptr().addr(), name.len()) }
    }
}

impl SetKey for CallKey {
    fn hash(&self) -> usize {
        // Summaries and identities are allocated at multiples of 16, so the low bits of their addresses are equal.
        let (name, database) = (self.name.0 >> 4, self.database >> 4);
        name.wrapping_mul(31).wrapping_add(self.name.1).wrapping_add(database.wrapping_mul(257))
    }
}

/// Adds an attribute if its value is known.
pub(crate) fn extend<V: Into<opentelemetry::Value>>(list: &mut Vec<KeyValue>, key: &'static str, value: Option<V>) {
    list.extend(value.map(|value| KeyValue::new(key, value)));
}
