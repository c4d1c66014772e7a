//! The errors accepted by `record_error`. [`Described`] can inspect a type's traits because it is used directly in
//! user code; a function cannot. The accepted errors are therefore listed here, each with a marker type that prevents
//! the implementations from overlapping.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::ops::Deref;

use super::{Described, Description};

/// An error that [`record_error`](crate::instrument::spans::record_error) can record: any [`Error`], a pointer to a `dyn
/// Error` such as `Box<dyn Error + Send + Sync>` or `anyhow::Error`, or a string. `Kind` distinguishes these cases and is
/// always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded as an error",
    label = "neither an `Error`, nor a pointer to one, nor text",
    note = "pass `&error.to_string()` to record a text"
)]
pub trait RecordError<Kind> {
    #[doc(hidden)]
    fn described(&self) -> (Description, &'static str);
}

/// Markers for the kinds of [`RecordError`].
#[allow(missing_debug_implementations, reason = "never made")]
pub(super) mod kind {
    /// An error of a known type.
    pub enum Typed {}
    /// A `dyn Error`, with or without `Send` and `Sync`.
    pub enum Object {}
    /// A pointer to a `dyn Error`.
    pub enum Pointer {}
    /// A pointer to a `dyn Error + Send + Sync`.
    pub enum SharedPointer {}
    /// A string.
    pub enum Text {}
}

macro_rules! kinds {
    ($($kind:ident: ($($generics:tt)*) $type:ty;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> RecordError<kind::$kind> for $type {
            fn described(&self) -> (Description, &'static str) {
                let described = Described::new(self);
                (described.description(), described.error_type())
            }
        }
    )*};
}

kinds! {
    Typed: (E: Error) E;
    Object: () dyn Error;
    Object: () dyn Error + Send;
    Object: () dyn Error + Send + Sync;
    Pointer: (P: Deref<Target = dyn Error>) P;
    SharedPointer: (P: Deref<Target = dyn Error + Send + Sync>) P;
    Text: () str;
    Text: () String;
    Text: () Cow<'_, str>;
    Text: () fmt::Arguments<'_>;
}
