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
//! No client can hold up another: sockets never block, and each connection gets one request answered per turn. Everything a
//! stranger can use up is bounded:
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | connections | 64 | the oldest that waits for its client is closed |
//! | head of a request | 16 KiB, 100 fields | 431 |
//! | time to send a request, from its first byte | 5 s | closed |
//! | time to read a response | 30 s | closed |
//! | time between two requests | 2 minutes | closed |
//! | responses on their way | 32 MiB in all, or one of any size | the oldest is closed |
//!
//! A body of a request is not read. Connections that are closed to make room are reported, at most once a minute.
//!
//! # DNS rebinding
//! A page of another site may give its own name the address 127.0.0.1 and then read what a server there answers. A server on a
//! loopback address therefore answers only requests for `localhost`, for a loopback address, or for a name given to
//! [`Builder::with_allowed_hosts`]; others get 421. A server on another address is asked by whatever address leads to it, so it
//! checks only if there are such names.
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
/// The crate whose requests and responses a [`Handler`] has.
pub use http;
pub use server::{Builder, Server};
pub use service::Handler;
