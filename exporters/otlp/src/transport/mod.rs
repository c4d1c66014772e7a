//! Sends bytes to the receiver and reads its responses, one request at a time over one connection.
//!
//! | module | owns |
//! |---|---|
//! | `protocol` | the choice between the two protocols |
//! | `http`, `grpc` | the request of each protocol, and the verdict in its response |
//! | `failure`, `request`, `received` | failures, headers and the response as it arrived, shared by both |
//! | `connection` | the choice between the two clients |
//! | `peer` | the receiver and the way to it, and the failures that name them |
//! | `head` | the head of a response in HTTP/1.1, for the blocking client and for tunnels |
//! | `blocking` | a client on the sockets of the standard library, for `http` endpoints |
//! | `evented` | a client on hyper, also for TLS, gRPC and tunnels |
//! | `resolver` | name resolution with a deadline |

mod blocking;
mod connection;
#[cfg(feature = "hyper-client")]
mod evented;
mod failure;
#[cfg(feature = "grpc")]
mod grpc;
mod head;
mod http;
mod peer;
mod protocol;
mod received;
mod request;
mod resolver;

pub(crate) use failure::Failure;
pub(crate) use protocol::Transport;
