//! The composite sampler and the samplers that it is composed of.
//!
//! | file | owns |
//! |---|---|
//! | `intent` | the trait [`ComposableSampler`] and the intent that it returns |
//! | `sampler` | [`Composite`], which turns an intent into a decision |
//! | `parent_threshold` | [`ParentThreshold`], which follows the parent |
//! | `annotating` | [`Annotating`], which adds attributes |
//! | `rule`, `rule_based` | [`Rule`] and [`RuleBased`], which select a sampler by what is known about the span |
//! | `allowance` | the bound on the number of traces a second that the next two share |
//! | `rate_limiting`, `adaptive` | [`RateLimiting`] and [`Adaptive`] |
//!
//! spec: trace/sdk.md#compositesampler, in development

mod adaptive;
mod allowance;
mod annotating;
mod intent;
mod parent_threshold;
mod rate_limiting;
mod rule;
mod rule_based;
mod sampler;
#[cfg(test)]
mod tests;

pub use adaptive::Adaptive;
pub use annotating::Annotating;
pub use intent::{ComposableSampler, SamplingIntent};
pub use parent_threshold::ParentThreshold;
pub use rate_limiting::RateLimiting;
pub use rule::{ParentKind, Rule};
pub use rule_based::RuleBased;
pub use sampler::Composite;
