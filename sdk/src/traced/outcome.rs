//! How what a function returns becomes the outcome of its span.

use std::fmt::{self, Display, Write as _};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A function's return value that may be an error.
#[diagnostic::on_unimplemented(
    message = "`#[traced]` records errors of a `Result`, and `{Self}` is none",
    label = "this is not a `Result`",
    note = "write `#[traced(err = off)]` to leave out the error"
)]
pub trait Fallible<T, E> {
    /// The success.
    fn value(&self) -> Option<&T>;
    /// The error.
    fn error(&self) -> Option<&E>;
}

// Parameters and not associated types: a return type that is no `Result` then gets one message and not two.
#[diagnostic::do_not_recommend]
impl<T, E> Fallible<T, E> for Result<T, E> {
    fn value(&self) -> Option<&T> {
        self.as_ref().ok()
    }

    fn error(&self) -> Option<&E> {
        self.as_ref().err()
    }
}

/// Describes an error with `Display` when it has that, and not at all otherwise: an error type need not be printable for
/// its function to be traced.
///
/// The inherent method below exists only for `E: Display`; for other types, generic ones without that bound among them,
/// method lookup goes on to the one of `Undescribed`. That needs no import in the user's code.
pub struct Described<'a, E: ?Sized>(&'a E, Undescribed);

/// The fallback of [`Described`].
pub struct Undescribed;

impl<'a, E: ?Sized> Described<'a, E> {
    /// About `error`.
    pub fn new(error: &'a E) -> Self {
        Described(error, Undescribed)
    }
}

impl<E: Display + ?Sized> Described<'_, E> {
    /// The error's text.
    pub fn description(&self) -> String {
        text(format_args!("{}", self.0))
    }
}

impl Undescribed {
    /// Nothing.
    pub fn description(&self) -> String {
        String::new()
    }
}

impl<E: ?Sized> Deref for Described<'_, E> {
    type Target = Undescribed;

    fn deref(&self) -> &Undescribed {
        &self.1
    }
}

/// Formats without hurting the caller: what was written before an error or a panic of the value's own formatting is kept.
pub(super) fn text(arguments: fmt::Arguments<'_>) -> String {
    let mut text = String::new();
    let _ = catch_unwind(AssertUnwindSafe(|| text.write_fmt(arguments)));
    text
}

/// The low-cardinality name of an error's type: its path without type parameters, and the content of a `Box`.
///
/// spec: semconv general/recording-errors.md, `error.type`
pub fn error_type<E: ?Sized>(_: &E) -> &'static str {
    without_parameters(std::any::type_name::<E>())
}

fn without_parameters(name: &'static str) -> &'static str {
    let name = name.strip_prefix("alloc::boxed::Box<").unwrap_or(name).trim_start_matches('&');
    let end = name.find(['<', '>', '+']).unwrap_or(name.len());
    name[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_types_have_no_parameters() {
        fn check<E>(error: E, expected: &str) {
            assert_eq!(error_type(&error), expected);
        }
        struct Wrapper<T>(T);
        check(std::fmt::Error, "core::fmt::Error");
        check(Wrapper(vec![1]).0, "alloc::vec::Vec");
        check(Wrapper(1), "telemark_sdk::traced::outcome::tests::error_types_have_no_parameters::Wrapper");
        check(Box::<dyn std::error::Error + Send + Sync>::from("x"), "dyn core::error::Error");
        check("text", "str");
    }

    #[test]
    fn an_error_is_described_when_it_can_be() {
        struct Silent;
        fn of_unknown<E>(error: &E) -> String {
            Described::new(error).description()
        }
        assert_eq!(Described::new("text").description(), "text");
        assert_eq!(Described::new(&Silent).description(), "");
        assert_eq!(of_unknown(&"no bound, no text"), "");
    }

    #[test]
    fn a_display_that_fails_or_panics_hurts_nobody() {
        struct Fails;
        impl Display for Fails {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("part")?;
                Err(fmt::Error)
            }
        }
        struct Panics;
        impl Display for Panics {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("part")?;
                panic!("in Display")
            }
        }
        assert_eq!(Described::new(&Fails).description(), "part");
        assert_eq!(Described::new(&Panics).description(), "part");
    }
}
