//! Head sampling: the decision to record a span, made when it starts.
//!
//! - [`Sampler`] is the trait; a [`SamplingRequest`] goes in, a [`SamplingResult`] comes out.
//! - [`AlwaysOn`], [`AlwaysOff`] and [`TraceIdRatio`] decide by themselves.
//! - [`ParentBased`] follows the parent and asks another sampler for root spans: the default of the specification.
//! - [`AlwaysRecord`] records what another sampler drops, without exporting it.
//! - [`from_env`] makes the sampler that `OTEL_TRACES_SAMPLER` names.
//!
//! spec: trace/sdk.md#sampling

mod always;
mod from_env;
mod parent_based;
mod ratio;
mod sampler;

pub use always::{AlwaysOff, AlwaysOn, AlwaysRecord};
pub use from_env::from_env;
pub(crate) use from_env::name_of;
pub use parent_based::ParentBased;
pub use ratio::TraceIdRatio;
pub(crate) use sampler::shut_down;
pub use sampler::{Decision, Sampler, SamplingRequest, SamplingResult};
