//! Head sampling: deciding whether to record a span when the span starts.
//!
//! - [`Sampler`] is the trait. It receives a [`SamplingRequest`] and returns a [`SamplingResult`].
//! - [`AlwaysOn`], [`AlwaysOff`] and [`TraceIdRatio`] decide on their own.
//! - [`ParentBased`] follows the parent and uses another sampler for root spans. It is the specification's default.
//! - [`AlwaysRecord`] records spans that another sampler drops, without exporting them.
//! - [`Probability`] decides like [`TraceIdRatio`] and writes into the trace state how many traces each sampled one stands for.
//! - [`Composite`] combines samplers that do so: [`AlwaysOn`], [`AlwaysOff`], [`Probability`], [`ParentThreshold`], [`RuleBased`],
//!   [`Annotating`], [`RateLimiting`] and [`Adaptive`].
//! - [`Threshold`] and [`Randomness`] are the arithmetic of consistent probability sampling, and [`ot_entry`] reads and writes the
//!   threshold in the trace state.
//! - [`from_env`] creates the sampler selected by `OTEL_TRACES_SAMPLER`.
//!
//! ```
//! use opentelemetry::trace::SpanKind;
//! use telemark_sdk::sampling::{Adaptive, AlwaysOff, Composite, ParentThreshold, Rule, RuleBased};
//!
//! // No health checks, and of everything else 100 traces a second for each name.
//! let rules = RuleBased::new()
//!     .with_rule(Rule::new(AlwaysOff).with_kinds([SpanKind::Server]).with_span_names(["GET /health*"]))
//!     .with_rule(Rule::new(Adaptive::new(100.0)));
//! let sampler = Composite::new(ParentThreshold::new(rules));
//! ```
//!
//! spec: trace/sdk.md#sampling

mod always;
mod composite;
mod from_env;
pub mod ot_entry;
mod parent_based;
mod probability;
mod ratio;
mod sampler;
mod threshold;

pub use always::{AlwaysOff, AlwaysOn, AlwaysRecord};
pub use composite::{
    Adaptive, Annotating, ComposableSampler, Composite, ParentKind, ParentThreshold, RateLimiting, Rule, RuleBased,
    SamplingIntent,
};
pub use from_env::from_env;
pub(crate) use from_env::name_of;
pub use parent_based::ParentBased;
pub use probability::Probability;
pub use ratio::TraceIdRatio;
pub(crate) use sampler::shut_down;
pub use sampler::{Decision, Sampler, SamplingRequest, SamplingResult};
pub use threshold::{Randomness, Threshold};

pub use crate::text::Patterns;
