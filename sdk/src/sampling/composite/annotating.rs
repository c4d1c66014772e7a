//! A sampler that adds attributes to what another one samples.

use std::borrow::Cow;

use opentelemetry::KeyValue;

use super::{ComposableSampler, SamplingIntent};
use crate::error::{Contained, ExportError};
use crate::sampling::SamplingRequest;
use crate::time::Deadline;

/// Adds attributes to the spans that another sampler samples, for example the name of the rule that selected it.
///
/// spec: trace/sdk.md#composableannotating, in development
#[derive(Debug)]
pub struct Annotating {
    sampler: Contained<Box<dyn ComposableSampler>>,
    attributes: Vec<KeyValue>,
}

impl Annotating {
    /// Creates a sampler that adds `attributes` to what `sampler` samples.
    pub fn new(sampler: impl ComposableSampler, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        let attributes = attributes.into_iter().collect();
        Annotating { sampler: Contained::new(Box::new(sampler)), attributes }
    }
}

impl ComposableSampler for Annotating {
    fn intent<'a>(&'a self, request: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        let intent = self.sampler.intent(request);
        if intent.threshold.is_none() { intent } else { intent.with_attributes(|| self.attributes.clone()) }
    }

    fn description(&self) -> Cow<'static, str> {
        let attributes: Vec<_> = self.attributes.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
        let sampler = self.sampler.description();
        Cow::Owned(format!("ComposableAnnotatingSampler{{{sampler},attributes:[{}]}}", attributes.join(",")))
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        self.sampler.drops_below_unsampled_parents()
    }

    fn samples_below_sampled_parents(&self) -> bool {
        self.attributes.is_empty() && self.sampler.samples_below_sampled_parents()
    }

    fn wants_attributes(&self) -> bool {
        self.sampler.wants_attributes()
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.sampler.shutdown(deadline)
    }
}
