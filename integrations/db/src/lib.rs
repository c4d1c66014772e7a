//! Database semantics on the OpenTelemetry API, shared by Telemark's database integrations and independent of any driver.
//!
//! Most applications use `telemark-sqlx`, which is built on this crate. An integration for another driver can do the same:
//!
//! ```
//! use telemark_db::{Call, ClientConfig, CurrentCall, Database, DbClientInstrumentation, End, GlobalTracer, System};
//!
//! let tracer = GlobalTracer::new(telemark_db::scope("my-driver", "1.0.0"));
//! let client = DbClientInstrumentation::new(ClientConfig::new(), tracer);
//! let database = Database::new(System::PostgreSql).with_namespace("shop").with_server("db.example", Some(5432));
//!
//! let call = Call::statement("SELECT name FROM users WHERE id = $1", true);
//! let mut operation = client.begin(&database, call).ok_or("the tracer panicked")?;
//! {
//!     let _current = CurrentCall::enter(Some(&operation)); // on every poll, never across an await
//!     // … the driver works …
//! }
//! operation.add_rows(1);
//! operation.end(End::Completed); // or End::Failed; dropping it means End::Cancelled
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With [`DbClientInstrumentation::with_meter`], the same calls also record `db.client.operation.duration` and
//! `db.client.response.returned_rows`, and [`DbClientInstrumentation::pool`] measures a connection pool.
//!
//! # Attributes of a span
//! A span is named after the summary of its statement, such as `SELECT orders customers`. It has the attributes that the
//! semantic conventions 1.45.0 define for SQL databases, and two of Telemark's own: `telemark.outcome`, which is `cancelled`
//! if the caller dropped the future or the stream of rows before its end, and `telemark.truncated`.
//!
//! # Values
//! Values of parameters are never recorded. A statement with parameters is recorded as it is, with any literals beside them; in any
//! other one, `?` replaces the literals, as [`sql::sanitize`] does. [`QueryText::Sanitized`] replaces them in all. The messages of a
//! database, which may repeat values, are recorded only on request.
//!
//! # Limits
//! A statement is read up to [`sql::MAX_ANALYZED_BYTES`]; its text is recorded up to [`MAX_TEXT_BYTES`]. Summaries and texts
//! of up to 1 MiB of statements are kept, so that a repeated statement costs one lookup.
//!
//! # Environment variables
//! This crate reads no environment variables itself. [`ClientConfig::from_env_fn`] accepts a reader and lists the variables.

mod client;
pub mod sql;

pub use client::{
    Call, ClientConfig, Commenter, ConfigProblem, CurrentCall, Database, DbClientInstrumentation, End, Failure, InUse,
    Operation, PoolMeasurements, PoolState, QueryText, System, Waiting,
};
pub use telemark_kit::{GlobalTracer, MAX_TEXT_BYTES, scope};
