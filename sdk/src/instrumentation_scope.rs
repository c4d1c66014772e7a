//! The instrumentation scope of a span or a log record, shared rather than copied.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use opentelemetry::InstrumentationScope;

use crate::attributes;

/// The scope of a span or a log record. It is shared by all items of a tracer or a logger, or static for `#[traced]` call
/// sites.
#[derive(Clone, Debug)]
pub enum Scope {
    /// The scope of a call site, which lives as long as the program.
    Static(&'static InstrumentationScope),
    /// The scope of a tracer or a logger.
    Shared(Arc<InstrumentationScope>),
}

impl Scope {
    /// Returns a scope with an empty name.
    #[inline]
    pub(crate) fn unnamed() -> Self {
        static UNNAMED: OnceLock<InstrumentationScope> = OnceLock::new();
        Scope::Static(UNNAMED.get_or_init(InstrumentationScope::default))
    }

    /// Moves the scope out and leaves a scope that owns nothing.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        match self {
            Scope::Static(scope) => Scope::Static(scope),
            Scope::Shared(_) => std::mem::replace(self, Scope::unnamed()),
        }
    }

    /// Returns true if both refer to the same value in memory. This is a cheap check before names, versions and
    /// attributes are compared.
    #[inline]
    pub fn is_same(&self, other: &Scope) -> bool {
        std::ptr::eq::<InstrumentationScope>(&**self, &**other)
    }
}

impl Deref for Scope {
    type Target = InstrumentationScope;

    #[inline]
    fn deref(&self) -> &InstrumentationScope {
        match self {
            Scope::Static(scope) => scope,
            Scope::Shared(scope) => scope,
        }
    }
}

impl From<InstrumentationScope> for Scope {
    fn from(scope: InstrumentationScope) -> Self {
        Scope::Shared(Arc::new(attributes::valid_scope(scope)))
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || **self == **other
    }
}
