//! The description and name of an error, selected by the traits that its type implements. The error type of a traced
//! function does not have to implement [`Error`] or be printable.
//!
//! Each step below defines the same two methods for types that meet its bound, and dereferences to the next step. Method
//! lookup picks the first step that applies; for a type parameter, it considers only the declared bounds. User code does not
//! need any imports.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::ops::Deref;

use super::ErrorType;
use super::chain::{self, Description};
use super::error_type::{dyn_error_name, error_name, type_path, value_name};
use crate::instrument::shield::shielded;

/// Describes an error of any type.
///
/// | the error is | `description` | `error_type` |
/// |---|---|---|
/// | [`ErrorType`] | | chosen by the type |
/// | [`Error`], also in a `Box` | its message and the messages of its causes | the type, and the variant of an enum |
/// | a pointer to [`Error`]: `Box<dyn Error>`, `anyhow::Error` | as above | the start of its `Debug` output, or `_OTHER` for text |
/// | [`Display`] | its `Display` output | |
/// | [`Debug`] | empty, because the output may contain secrets | the type, and the variant of an enum |
/// | anything else | empty | the type |
pub struct Described<'a, E: ?Sized>(Boxed<'a, E>);

/// The step for a `Box` that contains an error of a known type.
pub struct Boxed<'a, E: ?Sized>(Typed<'a, E>);

/// The step for an error of a known type.
pub struct Typed<'a, E: ?Sized>(Pointer<'a, E>);

/// The step for a pointer to an error.
pub struct Pointer<'a, E: ?Sized>(Printed<'a, E>);

/// The step for a printable type that is not an error.
pub struct Printed<'a, E: ?Sized>(Unknown<'a, E>);

/// The step for any other type.
pub struct Unknown<'a, E: ?Sized>(&'a E);

impl<'a, E: ?Sized> Described<'a, E> {
    /// Wraps `error` for method lookup.
    pub fn new(error: &'a E) -> Self {
        Described(Boxed(Typed(Pointer(Printed(Unknown(error))))))
    }
}

impl<E: ErrorType + ?Sized> Described<'_, E> {
    /// Returns the name chosen by the [`ErrorType`] implementation.
    pub fn error_type(&self) -> &'static str {
        let error = self.error();
        shielded(|| error.error_type()).unwrap_or_else(type_path::<E>)
    }
}

impl<E: Error> Boxed<'_, Box<E>> {
    /// Returns the path of the boxed type and, for an enum, the variant.
    pub fn error_type(&self) -> &'static str {
        error_name::<E>(self.error())
    }
}

impl<E: Error> Typed<'_, E> {
    /// Returns the path of the type and, for an enum, the variant.
    pub fn error_type(&self) -> &'static str {
        error_name::<E>(self.error())
    }
}

macro_rules! objects {
    ($($object:ty)*) => {$(
        impl Typed<'_, $object> {
            /// Returns the start of the error's `Debug` output, if it is a name.
            pub fn error_type(&self) -> &'static str {
                dyn_error_name(&self.error())
            }
        }
    )*};
}

objects!(dyn Error + '_ dyn Error + Send + '_ dyn Error + Send + Sync + '_);

impl<E: Error + ?Sized> Typed<'_, E> {
    /// Returns the messages of the error and its causes.
    pub fn description(&self) -> Description {
        chain::describe(&self.error())
    }
}

impl<E: Deref<Target: Error> + ?Sized> Pointer<'_, E> {
    /// Returns the start of the `Debug` output of the pointed-to error or one of its causes, if it is a name.
    pub fn error_type(&self) -> &'static str {
        dyn_error_name(&&**self.error())
    }

    /// Returns the messages of the error and its causes.
    pub fn description(&self) -> Description {
        chain::describe(&&**self.error())
    }
}

impl<E: Display + ?Sized> Printed<'_, E> {
    /// Returns the `Display` output.
    pub fn description(&self) -> Description {
        chain::print(self.error())
    }
}

impl<E: Debug> Printed<'_, E> {
    /// Returns the path of the type and, for an enum, the variant.
    pub fn error_type(&self) -> &'static str {
        value_name::<E>(self.error())
    }
}

impl<'a, E: ?Sized> Unknown<'a, E> {
    fn error(&self) -> &'a E {
        self.0
    }

    /// Returns an empty description.
    pub fn description(&self) -> Description {
        Description::default()
    }

    /// Returns the path of the type.
    pub fn error_type(&self) -> &'static str {
        type_path::<E>()
    }
}

macro_rules! steps {
    ($($step:ident => $next:ident,)*) => {$(
        impl<'a, E: ?Sized> Deref for $step<'a, E> {
            type Target = $next<'a, E>;

            fn deref(&self) -> &$next<'a, E> {
                &self.0
            }
        }
    )*};
}

steps! {
    Described => Boxed,
    Boxed => Typed,
    Typed => Pointer,
    Pointer => Printed,
    Printed => Unknown,
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;
    use std::sync::Arc;

    use super::*;

    /// Describes an error the way `#[traced]` does. This is a macro because the error's type must be known at the
    /// point of use.
    macro_rules! check {
        ($error:expr, $error_type:expr, $description:expr) => {{
            let error = $error;
            let described = Described::new(&error);
            assert_eq!((described.error_type(), &*described.description()), ($error_type, $description));
        }};
    }

    #[derive(Debug)]
    enum Store {
        Closed,
        Io(io::Error),
    }

    impl Display for Store {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the store failed")
        }
    }

    impl Error for Store {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            match self {
                Store::Closed => None,
                Store::Io(error) => Some(error),
            }
        }
    }

    fn io_error() -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused")
    }

    const CLOSED: &str = "telemark_sdk::instrument::spans::outcome::described::tests::Store::Closed";
    const IO: &str = "telemark_sdk::instrument::spans::outcome::described::tests::Store::Io";

    /// Like `anyhow::Error`: not an `Error` itself, and its alternate form prints the whole chain.
    struct Any(Box<dyn Error + Send + Sync>);

    impl Deref for Any {
        type Target = dyn Error + Send + Sync;
        fn deref(&self) -> &Self::Target {
            &*self.0
        }
    }

    impl Display for Any {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if f.alternate() { "the whole chain" } else { "the outermost alone" })
        }
    }

    impl Debug for Any {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            Display::fmt(self, f)
        }
    }

    #[test]
    fn every_kind_of_error_is_described_and_named() {
        check!(Store::Io(io_error()), IO, "the store failed: connection refused");
        check!(Box::new(Store::Closed), CLOSED, "the store failed");
        check!(&Store::Closed, &CLOSED[..CLOSED.len() - 8], "the store failed");
        check!(io_error(), "std::io::ErrorKind::ConnectionRefused", "connection refused");
        check!(Box::<dyn Error>::from(Store::Io(io_error())), "Io", "the store failed: connection refused");
        check!(Box::<dyn Error + Send + Sync>::from(Store::Closed), "Closed", "the store failed");
        check!(Box::<dyn Error + Send + Sync>::from("only a text"), "_OTHER", "only a text");
        check!(Arc::<dyn Error>::from(Box::<dyn Error>::from(Store::Closed)), "Closed", "the store failed");
        check!(Any(Store::Io(io_error()).into()), "Io", "the store failed: connection refused");
        let any = "telemark_sdk::instrument::spans::outcome::described::tests::Any";
        check!(Any("a text".into()), "_OTHER", "a text");
        check!(Arc::new(Any("a text".into())), any, "the whole chain");
        check!("text", "str", "text");
        check!(String::from("text"), "alloc::string::String", "text");
        check!(Some(1), "core::option::Option::Some", "");
        check!((), "()", "");
    }

    #[test]
    fn an_unsized_error_behind_a_reference_is_described() {
        let error: Box<dyn Error + Send + Sync> = Store::Closed.into();
        let described = Described::new(&*error);
        assert_eq!((described.error_type(), &*described.description()), ("Closed", "the store failed"));
        let described = Described::new("text");
        assert_eq!((described.error_type(), &*described.description()), ("str", "text"));
    }

    #[test]
    fn a_generic_error_is_what_its_bounds_say() {
        fn unknown<E>(error: &E) -> (&'static str, String) {
            (Described::new(error).error_type(), Described::new(error).description().to_string())
        }
        fn printed<E: Display>(error: &E) -> (&'static str, String) {
            (Described::new(error).error_type(), Described::new(error).description().to_string())
        }
        fn known<E: Error>(error: &E) -> (&'static str, String) {
            (Described::new(error).error_type(), Described::new(error).description().to_string())
        }
        let path = &CLOSED[..CLOSED.len() - 8];
        assert_eq!(unknown(&Store::Closed), (path, String::new()));
        assert_eq!(printed(&Store::Closed), (path, "the store failed".to_owned()));
        assert_eq!(known(&Store::Io(io_error())), (IO, "the store failed: connection refused".to_owned()));
    }

    #[test]
    fn an_error_that_borrows_is_described() {
        #[derive(Debug)]
        struct Borrows<'a>(&'a str);
        impl Display for Borrows<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl Error for Borrows<'_> {}
        let text = String::from("borrowed");
        let path =
            "telemark_sdk::instrument::spans::outcome::described::tests::an_error_that_borrows_is_described::Borrows";
        check!(Borrows(&text), path, "borrowed");
        let boxed: Box<dyn Error + '_> = Box::new(Borrows(&text));
        check!(boxed, "Borrows", "borrowed");
    }

    #[test]
    fn an_error_may_name_itself() {
        struct Refused(u16);
        impl ErrorType for Refused {
            fn error_type(&self) -> &'static str {
                match self.0 {
                    404 => "not_found",
                    _ => panic!("in error_type"),
                }
            }
        }
        check!(Refused(404), "not_found", "");
        check!(Box::new(Refused(404)), "not_found", "");
        check!(&Arc::new(Refused(404)), "not_found", "");
        check!(
            Refused(0),
            "telemark_sdk::instrument::spans::outcome::described::tests::an_error_may_name_itself::Refused",
            ""
        );
    }

    #[test]
    fn a_display_that_fails_keeps_the_text_before() {
        struct Fails;
        impl Display for Fails {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("part")?;
                Err(fmt::Error)
            }
        }
        assert_eq!(&*Described::new(&Fails).description(), "part");
    }
}
