//! Prometheus export for Telemark.

mod buckets;
mod exemplars;
mod families;
mod format;
mod labels;
mod names;
mod negotiate;
mod numbers;
mod page;
mod renderer;
mod units;

pub use format::{Escaping, Format, Protocol};
pub use names::TranslationStrategy;
pub use negotiate::negotiate;
pub use renderer::Renderer;
