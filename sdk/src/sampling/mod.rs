//! Head sampling: deciding whether to record a span when the span starts.
//!
//! - [`Sampler`] is the trait. It receives a [`SamplingRequest`] and returns a [`SamplingResult`].
//! - [`AlwaysOn`], [`AlwaysOff`] and [`TraceIdRatio`] decide on their own.
//! - [`ParentBased`] follows the parent and uses another sampler for root spans. It is the specification's default.
//! - [`AlwaysRecord`] records spans that another sampler drops, without exporting them.
//! - [`Threshold`] and [`Randomness`] are the arithmetic of consistent probability sampling, and [`ot_entry`] reads and writes the
//!   threshold in the trace state.
//! - [`from_env`] creates the sampler selected by `OTEL_TRACES_SAMPLER`.
//!
//! spec: trace/sdk.md#sampling

mod always;
mod from_env;
pub mod ot_entry;
mod parent_based;
mod ratio;
mod sampler;
mod threshold;

pub use always::{AlwaysOff, AlwaysOn, AlwaysRecord};
pub use from_env::from_env;
pub(crate) use from_env::name_of;
pub use parent_based::ParentBased;
pub use ratio::TraceIdRatio;
pub(crate) use sampler::shut_down;
pub use sampler::{Decision, Sampler, SamplingRequest, SamplingResult};
pub use threshold::{Randomness, Threshold};
