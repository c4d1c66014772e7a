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
//! | `shrink` | makes a record fit into a number of bytes |
//! | `chunk` | records as they wait, and the bytes that a record takes |
//! | `values` | the limits on values that nest |
//! | `volume` | the rules that limit the volume of records |
//! | `exception` | an error as attributes of a record |
//! | `processor` | the seam [`LogRecordProcessor`] |
//! | `active` | the installed provider, or that of a test |

pub mod active;
mod chunk;
mod config;
mod exception;
mod logger;
mod processor;
mod provider;
mod record;
mod shrink;
mod values;
mod volume;

pub use crate::instrumentation_scope::Scope;
pub use chunk::LogChunk;
pub use config::LoggerConfig;
pub use exception::Exception;
pub use logger::SdkLogger;
pub(crate) use logger::is_emitting;
pub use processor::LogRecordProcessor;
pub use provider::{LoggerProviderBuilder, SdkLoggerProvider};
pub use record::{SdkLogRecord, TraceContext};
pub use volume::{LogSite, LogVolume};

use crate::signal::{Logs, Signal};

impl Signal for Logs {
    type Item = SdkLogRecord;
    type View<'a> = &'a SdkLogRecord;
    type Chunk = LogChunk;
    const NAME: &'static str = "logs";
    const ITEMS: &'static str = "log records";
    const QUEUE_VARIABLES: [&'static str; 2] = ["OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_RUST_BLRP_MAX_QUEUE_BYTES"];
    const OWNED_SIZE: usize = 0;

    fn to_item(view: &SdkLogRecord) -> SdkLogRecord {
        view.clone()
    }

    #[inline]
    fn size(record: &SdkLogRecord) -> usize {
        chunk::size(record)
    }
}
