//! Finds the error in a return value based on the type of the value rather than on its name.

use std::convert::Infallible;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;

/// The return value of a function. A `Result`, under any alias, is an error or a success. A value of any other type
/// counts as a success.
///
/// Method lookup decides, as in [`Described`](super::outcome::Described): the inherent methods below exist only for `Result`.
/// Other types, including type parameters, use the methods of `Other`. User code does not need any imports.
pub struct Output<'a, T>(Other<'a, T>);

/// A value of a type other than `Result`.
pub struct Other<'a, T>(&'a T);

impl<'a, T> Output<'a, T> {
    /// Wraps `output` for method lookup.
    #[inline]
    pub fn new(output: &'a T) -> Self {
        Output(Other(output))
    }
}

impl<'a, T, E> Output<'a, Result<T, E>> {
    /// Returns the success value.
    #[inline]
    pub fn value(&self) -> Option<&'a T> {
        self.0.0.as_ref().ok()
    }

    /// Returns the error.
    #[inline]
    pub fn error(&self) -> Option<&'a E> {
        self.0.0.as_ref().err()
    }
}

/// Implemented for no type. Rejects a boxed future behind a type alias, whose span would end before the work starts.
#[diagnostic::on_unimplemented(
    message = "the span of this function would end before the future that it returns has run",
    label = "an alias of a boxed future",
    note = "write `#[traced(future)]` for a span as long as the future, or `#[traced(future = off)]` for one of the call alone"
)]
pub trait Finished {}

impl<'a, T> Other<'a, T> {
    /// Returns the value.
    #[inline]
    pub fn value(&self) -> Option<&'a T> {
        Some(self.0)
    }

    /// Returns `None`.
    #[inline]
    pub fn error(&self) -> Option<&'a Infallible> {
        None
    }
}

impl<'a, T> Deref for Output<'a, T> {
    type Target = Other<'a, T>;

    #[inline]
    fn deref(&self) -> &Other<'a, T> {
        &self.0
    }
}

/// The return value of a function whose span ends when the call returns.
pub struct Call<'a, T>(&'a T, AnyCall);

/// A call that returned something other than a boxed future.
pub struct AnyCall;

impl<'a, T> Call<'a, T> {
    /// Wraps `output` for method lookup.
    #[inline]
    pub fn new(output: &'a T) -> Self {
        Call(output, AnyCall)
    }
}

// The bound is on the method rather than the `impl`, so that lookup finds the method first and then reports the bound.
impl<F: Future + ?Sized> Call<'_, Pin<Box<F>>> {
    /// Does not compile.
    #[inline]
    pub fn is_over(&self)
    where
        Pin<Box<F>>: Finished,
    {
        let _ = self.0;
    }
}

impl AnyCall {
    /// Does nothing.
    #[inline]
    pub fn is_over(&self) {}
}

impl<T> Deref for Call<'_, T> {
    type Target = AnyCall;

    #[inline]
    fn deref(&self) -> &AnyCall {
        &self.1
    }
}

/// Fails to compile in a function at the crate root, which includes `main`.
#[allow(clippy::panic, reason = "at compile time")]
pub const fn refuse_main(module_path: &str) {
    let path = module_path.as_bytes();
    let mut at = 0;
    while at < path.len() {
        if path[at] == b':' {
            return;
        }
        at += 1;
    }
    panic!(
        "`main` cannot be traced: its span would start before `telemark::init()` and end after the flush. \
         Move the work to another function, trace that, and call it from `main` after `init`"
    );
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_result_is_recognized_under_any_name_and_no_other_type_is() {
        type Alias = Result<u8, &'static str>;
        struct Own;
        fn of_unknown<T>(value: &T) -> bool {
            Output::new(value).error().is_some()
        }
        let failed: Alias = Err("no");
        assert_eq!(Output::new(&failed).error(), Some(&"no"));
        assert_eq!(Output::new(&failed).value(), None);
        assert_eq!(Output::new(&Alias::Ok(7)).value(), Some(&7));
        assert!(Output::new(&Own).error().is_none() && Output::new(&Own).value().is_some());
        assert!(Output::new(&Some(failed)).error().is_none());
        assert!(!of_unknown(&failed), "no bound, no error");
    }

    #[test]
    fn a_main_in_a_module_is_not_that_of_the_program() {
        refuse_main("shop::main");
        assert!(catch_unwind(|| refuse_main("shop")).is_err());
    }
}
