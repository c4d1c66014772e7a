//! The client on hyper: HTTP/1.1 and HTTP/2, TLS and tunnels, driven by the exporter's thread.
//!
//! | module | owns |
//! |---|---|
//! | `client` | opens and keeps the connection, and detects its loss |
//! | `body` | the body of a response, up to its size limit |
//! | `tunnel` | the way through a proxy |
//! | `tasks`, `stream` | the futures and the bytes of a connection, as hyper needs them |
//! | `reactor` | sockets and deadlines, on the exporter's thread |

mod body;
mod client;
mod reactor;
mod stream;
mod tasks;
mod tunnel;

pub(super) use client::Client;
