#![cfg_attr(docsrs, feature(doc_cfg))]
//! A small client for the metadata services of clouds, which detectors ask while telemetry starts.
//!
//! ```no_run
//! use std::time::Duration;
//! use telemark_metadata::Service;
//! use telemark_sdk::time::Deadline;
//!
//! let service = Service::at(([169, 254, 169, 254], 80).into());
//! let response = service.get("/latest/meta-data/instance-id", &[], Deadline::after(Duration::from_secs(1)));
//! let id = response.and_then(|response| response.line());
//! ```
//!
//! A metadata service has a fixed address in the local network and speaks HTTP without TLS. Where there is none, anything may be at its
//! address, or nothing. So the client trusts nothing:
//!
//! | what may come | what happens |
//! |---|---|
//! | no connection, or no response | ends at the deadline, which covers all of a request |
//! | a long head or body | stops at 16 KiB and 64 KiB |
//! | a redirect, or another status than 200 | no response |
//! | bytes that are not UTF-8, or values of several lines | no value |
//!
//! Names are not resolved, because the system's resolver accepts no deadline. Each request has a connection of its own.
//!
//! # Features
//! `testing` adds `testing::Server`, a scripted server for the tests of detectors.
//!
//! # Environment variables
//! This crate reads no environment variables.

mod response;
mod service;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use response::Response;
pub use service::Service;
