//! From bytes to the receiver and back: one request at a time over one connection.
//!
//! - `runtime`: the tokio runtime of the exporter's own.
//! - `protocol`: the choice between the two below.
//! - `connection`: connects, keeps, notices what is lost.
//! - `tls`: certificates, once, when the exporter is built.
//! - `http`, `grpc`: what a request looks like, and what an answer means.

mod connection;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
mod protocol;
mod runtime;
pub(crate) mod tls;

pub(crate) use protocol::{Failure, Transport};
pub(crate) use runtime::Runtime;
