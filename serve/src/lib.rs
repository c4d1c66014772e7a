//! A small HTTP server on one thread, for pages that a program shows about itself.
//!
//! ```
//! use telemark_serve::{Server, bind};
//! use telemark_serve::http::Response;
//!
//! let server = Server::builder("telemark-health", |_: &_| Response::new(b"ok\n".to_vec())).start(bind("localhost", 0)?)?;
//! assert!(server.address().ip().is_loopback());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! thread ─▶ wait until a socket is ready ─▶ accept ─▶ advance each ready connection ─▶ close what is overdue ─┐
//!   ▲                                                   hyper: one request a turn ─▶ Handler                  │
//!   └─────────────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! No client can block another one: sockets never block, and each connection gets one response per turn. Everything that a
//! client can use up is bounded:
//!
//! | resource | bound | beyond it |
//! |---|---|---|
//! | connections | 64 | closes the oldest one that waits for its client |
//! | head of a request | 16 KiB, 100 fields | responds with 431 |
//! | time to send a request, from its first byte | 5 s | closes the connection |
//! | time to read a response | 30 s | closes the connection |
//! | time between two requests | 2 minutes | closes the connection |
//! | responses on their way | 32 MiB in all, or one of any size | closes the oldest connection |
//!
//! The body of a request is not read. Connections closed to make room are reported, at most once a minute.
//!
//! # DNS rebinding
//! A web site may resolve its own name to 127.0.0.1 and then read the responses of a server there. A server on a loopback address
//! therefore only responds to requests for `localhost`, for a loopback address, or for a name given to
//! [`ServerBuilder::with_allowed_hosts`]; other requests get 421. A server on another address is reached by many names and addresses, so
//! it checks the host only if such names are given.
//!
//! # Environment variables
//! None are read.

mod bind;
mod connection;
mod hosts;
mod server;
mod service;
mod socket;
mod worker;

pub use bind::{BindError, bind};
/// The crate of the requests and responses of a [`Handler`].
pub use http;
pub use server::{Server, ServerBuilder};
pub use service::Handler;
