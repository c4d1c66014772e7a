//! Sends bytes to the receiver and reads its responses, one request at a time over one connection.
//!
//! | module | owns |
//! |---|---|
//! | `protocol` | the choice between the two protocols |
//! | `http`, `grpc` | the request of each protocol, and the verdict in its response |
//! | `failure`, `request` | failures and headers, shared by both |
//! | `connection` | opens and keeps the connection, and detects its loss |
//! | `received` | the response, up to its size limit |
//! | `tunnel` | the way through a proxy |
//! | `tasks`, `stream` | the futures and the bytes of a connection, as hyper needs them |
//! | `resolver`, `reactor` | name resolution, sockets and deadlines, on the exporter's thread |

mod connection;
mod failure;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
mod protocol;
mod reactor;
mod received;
mod request;
mod resolver;
mod stream;
mod tasks;
mod tunnel;

pub(crate) use failure::Failure;
pub(crate) use protocol::Transport;
