//! The engine of Telemark: traces, metrics, logs, propagation, sampling and batching behind the OpenTelemetry API.
//!
//! Most programs depend on the facade, `telemark`, and never use this crate directly. Depend on this crate to write an
//! exporter, processor, sampler or id generator, or to build providers manually.
//!
//! A module may use only the layers below its own. The sibling modules of layer 3 do not depend on each other:
//!
//! ```text
//! L4  instrument  testing  install  self_metrics  stages
//! L3  trace | metrics | logs | propagation
//!     sampling
//! L2  batch
//! L1  config  resource  export  runtime  diag  unsampled  span_filter  baggage_attributes
//!     control  decided  redaction
//! L0  sync  time  process  context  value  text  id  error  attributes  instrumentation_scope  limits  signal
//! ```

pub mod attributes;
pub mod baggage_attributes;
pub mod batch;
pub mod config;
mod context;
pub mod control;
mod decided;
pub mod diag;
pub mod error;
pub mod export;
pub mod id;
pub mod install;
pub mod instrument;
mod instrumentation_scope;
pub mod limits;
pub mod logs;
pub mod metrics;
mod process;
pub mod propagation;
pub mod redaction;
pub mod resource;
pub mod runtime;
pub mod sampling;
pub mod self_metrics;
pub mod signal;
pub mod span_filter;
pub mod stages;
mod sync;
pub mod testing;
pub mod text;
pub mod time;
pub mod trace;
mod unsampled;
mod value;

pub use error::{ConfigError, ExportError, ResponseStatus};
pub use export::{Batch, ExportReport, Exporter};
pub use resource::Resource;
