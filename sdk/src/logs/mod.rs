//! Logs: provider, logger, records and processors, behind the API's `LoggerProvider`, `Logger` and `LogRecord`.
//!
//! A program rarely calls the logger itself. A bridge does, such as `opentelemetry-appender-tracing`, and hands over what the
//! program logs.
//!
//! | file | owns |
//! |---|---|
//! | `provider` | the provider and its builder |
//! | `logger` | the logger: decides, completes a record, and calls the processors |
//! | `config` | the rules of one logger |
//! | `record` | the record |
//! | `values` | the limits on values that nest |
//! | `exception` | an error as attributes of a record |
//! | `processor` | the seam [`LogRecordProcessor`] |
//! | `active` | the installed provider, or that of a test |

pub mod active;
mod config;
mod exception;
mod logger;
mod processor;
mod provider;
mod record;
mod values;

pub use crate::instrumentation_scope::Scope;
pub use config::LoggerConfig;
pub use exception::Exception;
pub use logger::SdkLogger;
pub use processor::LogRecordProcessor;
pub use provider::{LoggerProviderBuilder, SdkLoggerProvider};
pub use record::{SdkLogRecord, TraceContext};

use std::ops::Range;

use crate::signal::{Chunk, Logs, Signal};

impl Signal for Logs {
    type Item = SdkLogRecord;
    type View<'a> = &'a SdkLogRecord;
    type Chunk = Vec<SdkLogRecord>;
    const NAME: &'static str = "logs";
    const ITEMS: &'static str = "log records";

    fn to_item(view: &SdkLogRecord) -> SdkLogRecord {
        view.clone()
    }
}

impl Chunk<Logs> for Vec<SdkLogRecord> {
    fn len(&self) -> usize {
        self.len()
    }

    fn views(&self, range: Range<usize>) -> impl Iterator<Item = &SdkLogRecord> + Clone {
        self.get(range).unwrap_or_default().iter()
    }

    fn push(&mut self, item: SdkLogRecord) {
        self.push(item);
    }

    fn clear(&mut self) {
        self.clear();
    }
}
