//! Reads samplers.

use super::{Reading, extensions};
use crate::config::Settings;
use crate::sampling::{AlwaysOff, AlwaysOn, AlwaysRecord, ParentBased, Sampler, TraceIdRatio};

/// Returns the sampler that a mapping with one key selects.
pub(super) fn sampler(settings: Settings<'_>, reading: &Reading<'_>) -> Option<Box<dyn Sampler>> {
    let (name, settings) = settings.component()?;
    Some(match name {
        "always_on" => Box::new(AlwaysOn),
        "always_off" => Box::new(AlwaysOff),
        "trace_id_ratio_based" => Box::new(TraceIdRatio::new(settings.number("ratio", 0.0..=1.0).unwrap_or(1.0))),
        "always_record" => Box::new(AlwaysRecord::new(sampler(settings.object("root")?, reading)?)),
        "parent_based" => Box::new(parent_based(settings, reading)),
        name => extensions::make(&reading.extensions.samplers, name, settings, reading)?,
    })
}

fn parent_based(settings: Settings<'_>, reading: &Reading<'_>) -> ParentBased {
    let delegate =
        |key| settings.object(key).filter(|value| !value.item().is_null()).and_then(|value| sampler(value, reading));
    let mut parent_based = match delegate("root") {
        Some(root) => ParentBased::new(root),
        None => ParentBased::new(AlwaysOn),
    };
    if let Some(sampler) = delegate("remote_parent_sampled") {
        parent_based = parent_based.with_remote_parent_sampled(sampler);
    }
    if let Some(sampler) = delegate("remote_parent_not_sampled") {
        parent_based = parent_based.with_remote_parent_not_sampled(sampler);
    }
    if let Some(sampler) = delegate("local_parent_sampled") {
        parent_based = parent_based.with_local_parent_sampled(sampler);
    }
    if let Some(sampler) = delegate("local_parent_not_sampled") {
        parent_based = parent_based.with_local_parent_not_sampled(sampler);
    }
    parent_based
}
