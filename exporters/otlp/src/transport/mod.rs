//! From bytes to the receiver and back: one request at a time over one connection.
//!
//! - `protocol`: the choice between the two below.
//! - `http`, `grpc`: what a request looks like, and what an answer means.
//! - `connection`: connects, keeps, notices what is lost; `tasks`, `stream`: what hyper needs for that.
//! - `tls`: certificates, once, when the exporter is built.
//! - `resolver`, `reactor`: names, sockets and deadlines, on the thread of the exporter.

mod connection;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
mod protocol;
pub(crate) mod reactor;
mod resolver;
pub(crate) mod stream;
mod tasks;

pub(crate) use protocol::{Failure, Transport};
