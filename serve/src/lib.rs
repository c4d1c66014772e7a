//! A small single-threaded HTTP server, for pages that a program serves about itself.
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
//! No client can block another one: sockets never block, and each connection gets one response per turn. All
//! resources that clients use are bounded:
//!
//! | resource | limit | beyond the limit |
//! |---|---|---|
//! | connections | 64 | closes the oldest connection, starting with those without a pending response |
//! | request head | 16 KiB, 100 fields | responds with 431 |
//! | request body of POST | refused, or set by [`ServerBuilder::with_max_body`] | responds with 405 or 413 |
//! | time to send a request, from its first byte | 5 s | closes the connection |
//! | time to read a response | 30 s | closes the connection |
//! | time between requests | 2 minutes | closes the connection |
//! | unsent responses | 32 MiB in total, or one response of any size | closes the oldest connection whose response is unsent |
//!
//! Bodies of other requests are ignored. If connections are closed to make room, a warning is logged, at most once a
//! minute.
//!
//! # DNS rebinding
//! A web site may resolve its own name to 127.0.0.1 and then read responses from a server on that address. A
//! server on a loopback address therefore responds only to requests for `localhost`, for a loopback address, or
//! for a name passed to [`ServerBuilder::with_allowed_hosts`]. Other requests get 421. A server on any other
//! address may be reached by many names and addresses, so it checks the host only if such names were passed.
//!
//! # Environment variables
//! This crate reads no environment variables.

mod bind;
mod connection;
mod hosts;
mod server;
mod service;
mod socket;
mod worker;

pub use bind::{BindError, bind};
/// Re-exports the crate that defines the requests and responses of a [`Handler`].
pub use http;
pub use server::{Server, ServerBuilder};
pub use service::Handler;
