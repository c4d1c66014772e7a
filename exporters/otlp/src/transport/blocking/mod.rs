//! The client on the sockets of the standard library: HTTP/1.1 without TLS, on the exporter's thread, which it blocks.
//!
//! | module | owns |
//! |---|---|
//! | `client` | opens and keeps the connection, and writes requests |
//! | `incoming` | reads a response, whose size and duration are limited |
//! | `socket` | the bytes of a connection, up to a deadline |

mod client;
mod incoming;
mod socket;

pub(super) use client::Client;
