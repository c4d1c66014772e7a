//! The configuration of pages: names, scopes, and the resource.

use telemark_sdk::text::Patterns;

use crate::names::TranslationStrategy;

/// The configuration of a [`Renderer`](crate::Renderer).
#[derive(Clone, Debug)]
pub(crate) struct PageConfig {
    pub(crate) strategy: TranslationStrategy,
    pub(crate) scope_labels: bool,
    pub(crate) target_info: bool,
    /// The keys of the resource attributes that are added as labels to every series.
    pub(crate) resource_labels: Patterns,
}

impl Default for PageConfig {
    fn default() -> Self {
        PageConfig {
            strategy: TranslationStrategy::default(),
            scope_labels: true,
            target_info: true,
            resource_labels: Patterns::new(Some([""; 0]), [""; 0]),
        }
    }
}

impl PageConfig {
    pub(crate) fn is_resource_label(&self, key: &str) -> bool {
        self.resource_labels.matches(key)
    }
}
