//! A reference that is counted at first, and static once its value lives as long as the program.

use std::ops::Deref;
// Not that of loom: nothing here is to be interleaved.
use std::sync::Arc;

/// A value with several owners.
#[derive(Debug)]
pub(crate) enum Shared<T: 'static> {
    Counted(Arc<T>),
    Static(&'static Arc<T>),
}

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Shared::Counted(Arc::new(value))
    }

    /// Keeps the value for as long as the program runs, so that further clones need no counting.
    pub(crate) fn into_static(self) -> Self {
        match self {
            Shared::Counted(value) => Shared::Static(Box::leak(Box::new(value))),
            made @ Shared::Static(_) => made,
        }
    }
}

impl<T> Clone for Shared<T> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Shared::Counted(value) => Shared::Counted(value.clone()),
            Shared::Static(value) => Shared::Static(value),
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Shared::Counted(value) => value,
            Shared::Static(value) => value,
        }
    }
}
