//! Logs configured in code: rules, limits and processors for [`builder()`](crate::builder()), and the records that exporters see.

pub use telemark_sdk::batch::{BatchConfig, BatchProcessor, Held, SimpleProcessor, Stage, Verdict};
pub use telemark_sdk::limits::{AttributeLimits, LogRecordLimits};
pub use telemark_sdk::logs::active::ActiveLogger;
pub use telemark_sdk::logs::{
    Exception, LogChunk, LogRecordProcessor, LogSite, LogVolume, LoggerConfig, LoggerProviderBuilder, Scope,
    SdkLogRecord, SdkLogger, SdkLoggerProvider, TraceContext,
};
