//! Delivery, from encoded requests to the receiver's verdict on a batch.
//!
//! | module | owns |
//! |---|---|
//! | `attempts` | one request: retries and pauses, up to the verdict |
//! | `retry` | the backoff: a state machine without a clock |
//! | `fit` | the sizes of requests, learned from refusals |
//! | `outcome` | the combined verdicts on a batch's requests |
//!
//! Nothing in this module depends on the signal.

mod attempts;
mod fit;
mod outcome;
mod retry;

pub(crate) use attempts::{Delivery, Refusal};
pub(crate) use fit::{Fit, Size};
pub(crate) use outcome::Outcome;
pub use retry::RetryConfig;
