//! Names errors for `error.type`, and limits the number of names.
//!
//! A name is the path of the type, followed by the variant for an enum, as in `shop::StoreError::NotFound`. Rust has
//! no API for variant names, but the output of `derive(Debug)` starts with them. Formatting stops at the first
//! character after the name, before any value is printed. A handwritten `Debug` can start with anything, so its output
//! is used only if it looks like derived output, and the number of names is limited.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::io;
use std::mem::{Discriminant, size_of};
use std::sync::{Arc, RwLock};

use super::chain::{MAX_CAUSES, source};
use crate::instrument::shield::shielded;
use crate::process::PerProcess;
use crate::sync::unpoisoned;

/// Names an error for the `error.type` attribute of spans and of the `#[traced(metrics)]` metric.
///
/// Implement this to replace Telemark's default name: the path of the type and, for an enum that derives `Debug`, the
/// variant. Behind a pointer that hides the type, such as `Box<dyn Error>` or `anyhow::Error`, the default is the name
/// that starts the `Debug` output of the error or one of its causes, such as `NotFound`, or `_OTHER` for an error
/// created from a string. The method is called on the thread that returns the error, once for the span and once for
/// the metric. If it panics, the path of the type is used. The result is static because each name creates a new series
/// of the metric.
///
/// ```
/// use telemark_sdk::instrument::spans::ErrorType;
///
/// struct Refused { status: u16 }
///
/// impl ErrorType for Refused {
///     fn error_type(&self) -> &'static str {
///         match self.status {
///             402 => "payment_required",
///             404 => "not_found",
///             _ => "refused",
///         }
///     }
/// }
/// ```
///
/// spec: semconv general/recording-errors.md
pub trait ErrorType {
    /// Returns the name. Use only a small number of different names.
    fn error_type(&self) -> &'static str;
}

/// Uses the kind of the error, such as `std::io::ErrorKind::NotFound`.
impl ErrorType for io::Error {
    fn error_type(&self) -> &'static str {
        io_error_name(self)
    }
}

macro_rules! pointers {
    ($($type:ty)*) => {$(
        impl<T: ErrorType + ?Sized> ErrorType for $type {
            fn error_type(&self) -> &'static str {
                (**self).error_type()
            }
        }
    )*};
}

pointers!(&T Box<T> Arc<T>);

/// The name of an error whose type is unknown. spec: semconv registry/attributes/error.md
const OTHER: &str = "_OTHER";

/// Returns the path of a type, without surrounding pointers or type parameters.
pub(super) fn type_path<E: ?Sized>() -> &'static str {
    let mut name = std::any::type_name::<E>();
    for pointer in ["alloc::boxed::Box<", "alloc::sync::Arc<", "alloc::rc::Rc<", "&", "mut "].iter().cycle().take(15) {
        name = name.strip_prefix(pointer).unwrap_or(name);
    }
    // Trait objects, qualified function pointers and raw pointers have no path.
    if ["dyn ", "unsafe ", "extern ", "for<", "*"].iter().any(|kind| name.starts_with(kind)) {
        return OTHER;
    }
    name.split_at_checked(path_len(name)).map_or(name, |(path, _)| path)
}

/// Returns the length of the path at the start of `name`. Tuples, arrays and parameter lists count as part of it.
fn path_len(name: &str) -> usize {
    let mut depth = 0_usize;
    let is_behind = |character| {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(character, '<' | '>' | '+' | ' ')
    };
    name.find(is_behind).unwrap_or(name.len())
}

/// Returns the path of the type and, for an enum, the variant.
pub(super) fn value_name<E: Debug>(error: &E) -> &'static str {
    let path = type_path::<E>();
    if !is_enum::<E>() {
        // In `record_error`, only the bound `E: Error` is known, which does not give access to the `ErrorType`
        // implementation of `io::Error`.
        let is_io = path == std::any::type_name::<io::Error>();
        return if is_io { io_kind(error).unwrap_or(path) } else { path };
    }
    let mut head = Head::default();
    match head.read(error) {
        Some(variant) if !variant.contains(':') && path.rsplit("::").next() != Some(variant) => {
            name(path, variant).unwrap_or(path)
        }
        _ => path,
    }
}

/// Returns the name of an error, which may itself be a pointer to an error of unknown type.
pub(super) fn error_name<E: Error>(error: &E) -> &'static str {
    match value_name(error) {
        OTHER => dyn_error_name(error),
        named => named,
    }
}

/// Returns the name of an error of unknown type, behind a pointer such as `Box<dyn Error>` or `anyhow::Error`: the
/// name at the start of its `Debug` output, or failing that, of the `Debug` output of the first cause that starts with
/// a name.
pub(super) fn dyn_error_name(error: &dyn Error) -> &'static str {
    let mut cause = source(error);
    let mut found = debug_name(error);
    for _ in 0..MAX_CAUSES {
        let (None, Some(error)) = (found, cause) else { break };
        found = error.downcast_ref().map(io_error_name).or_else(|| debug_name(error));
        cause = source(error);
    }
    // This is usually an error created from a string.
    found.unwrap_or(OTHER)
}

/// Returns the name at the start of the `Debug` output of an error of unknown type.
fn debug_name(error: &dyn Error) -> Option<&'static str> {
    let mut head = Head::default();
    match head.read(&error)? {
        // The name used by the layers of `anyhow`, among others.
        "Error" => None,
        // Internal names of `io::Error`.
        "Os" | "Custom" | "Kind" => io_kind(&error),
        named => name("dyn", named),
    }
}

fn io_error_name(error: &io::Error) -> &'static str {
    let mut head = Head::default();
    let kind = error.kind();
    head.read(&kind).and_then(|kind| name(IO_KIND, kind)).unwrap_or(IO_KIND)
}

const IO_KIND: &str = "std::io::ErrorKind";

/// Extracts the kind of an `io::Error` from its `Debug` output: `Os { code: 2, kind: NotFound, ..`, `Custom { kind: ..`,
/// `Error { kind: ..` or `Kind(..)`.
fn io_kind(error: &dyn Debug) -> Option<&'static str> {
    let mut head = Head { stops: false, ..Head::default() };
    head.write(error);
    let text = head.text();
    let kind = text.split_once("kind: ").map(|(_, kind)| kind).or_else(|| text.strip_prefix("Kind("))?;
    let end = kind.find(|c: char| !c.is_ascii_alphanumeric())?;
    let (kind, rest) = kind.split_at_checked(end)?;
    (!kind.is_empty() && rest.starts_with([',', ' ', ')'])).then(|| name(IO_KIND, kind))?
}

/// Returns true for an enum whose discriminant type was chosen by the compiler. `Discriminant` then holds an `isize`, whereas
/// for a type that is not an enum it holds a `u8`. The language does not guarantee this. If it changed, enums would lose the
/// variant in their names, or other types would be named after the start of their `Debug` output.
fn is_enum<E>() -> bool {
    size_of::<Discriminant<E>>() == size_of::<Discriminant<Option<isize>>>()
}

/// The first bytes written by a value, up to the end of a name.
struct Head {
    bytes: [u8; Head::SIZE],
    len: usize,
    /// If true, reading stops at the end of the name; if false, only when the buffer is full.
    stops: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Inside the name.
    Open,
    /// After a space, which ends the name only if a brace follows.
    Space,
    /// After the name.
    Name,
    /// The output does not start with a name, or the name is too long.
    Other,
}

impl Default for Head {
    fn default() -> Self {
        Head { bytes: [0; Head::SIZE], len: 0, stops: true, state: State::Open }
    }
}

impl Head {
    const SIZE: usize = 64;

    /// Returns the name at the start of `value`'s `Debug` output: `Name`, `Name(..` or `Name {..`, possibly after a path.
    fn read(&mut self, value: &dyn Debug) -> Option<&str> {
        self.write(value);
        let is_whole = matches!(self.state, State::Open | State::Name);
        let text = self.text();
        let last = text.rsplit("::").next().unwrap_or(text);
        (is_whole && last.starts_with(|c: char| c.is_ascii_uppercase())).then_some(text)
    }

    fn write(&mut self, value: &dyn Debug) {
        if shielded(|| write!(self, "{value:?}")).is_none() {
            self.state = State::Other;
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) -> State {
        match self.bytes.get_mut(self.len) {
            None => State::Other,
            Some(free) => {
                *free = byte;
                self.len += 1;
                State::Open
            }
        }
    }
}

impl fmt::Write for Head {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            self.state = match (self.state, byte) {
                (State::Open, byte) if !self.stops => self.push(byte),
                (State::Open, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b':') => self.push(byte),
                (State::Open, b'(') | (State::Space, b'{') => State::Name,
                (State::Open, b' ') => State::Space,
                _ => State::Other,
            };
            if matches!(self.state, State::Name | State::Other) {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

/// Returns `path::rest`, or only `rest` if the path is `dyn`. Each name is created once and kept forever. Returns
/// `None` once the type or the program has reached its maximum number of names.
fn name(path: &'static str, rest: &str) -> Option<&'static str> {
    static NAMES: PerProcess<RwLock<Option<Names>>> =
        PerProcess::new([const { RwLock::new(None) }; PerProcess::<RwLock<Option<Names>>>::PLACES]);
    let names = NAMES.get();
    let known = unpoisoned(names.read()).as_ref().and_then(|names| names.find(path, rest));
    known.or_else(|| unpoisoned(names.write()).get_or_insert_default().add(path, rest))
}

#[derive(Default)]
struct Names {
    of_paths: HashMap<&'static str, Vec<Name>>,
    count: usize,
}

struct Name {
    rest: &'static str,
    whole: &'static str,
}

impl Names {
    /// More variants than almost any enum has.
    const MAX_OF_A_PATH: usize = 128;
    const MAX: usize = 2048;

    fn find(&self, path: &str, rest: &str) -> Option<&'static str> {
        self.of_paths.get(path)?.iter().find(|name| name.rest == rest).map(|name| name.whole)
    }

    fn add(&mut self, path: &'static str, rest: &str) -> Option<&'static str> {
        // Another thread may have added the name already.
        if let Some(known) = self.find(path, rest) {
            return Some(known);
        }
        let names = self.of_paths.entry(path).or_default();
        if names.len() >= Names::MAX_OF_A_PATH || self.count >= Names::MAX {
            return None;
        }
        let whole: &'static str = match path {
            "dyn" => String::from(rest).leak(),
            _ => format!("{path}::{rest}").leak(),
        };
        names.push(Name { rest: &whole[whole.len() - rest.len()..], whole });
        self.count += 1;
        Some(whole)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::num::Wrapping;

    use super::*;

    #[track_caller]
    fn check<E: Debug>(error: E, expected: &str) {
        let module = if expected.starts_with("::") { HERE } else { "" };
        assert_eq!(value_name(&error), format!("{module}{expected}"));
    }

    const HERE: &str = "telemark_sdk::instrument::spans::outcome::error_type::tests";

    #[test]
    fn a_type_is_named_by_its_path_without_parameters_and_pointers() {
        #[derive(Debug)]
        struct Wrapper<T>(#[allow(dead_code, reason = "a parameter")] T);
        let path = "::a_type_is_named_by_its_path_without_parameters_and_pointers::Wrapper";
        check(Wrapper(1), path);
        check(Wrapper(vec![Some("x")]), path);
        let borrowed = &Wrapper(1);
        assert_eq!(value_name(&borrowed), type_path::<Wrapper<i32>>());
        check(Box::new(Wrapper(1)), path);
        check(Arc::new(Wrapper(1)), path);
        check(std::fmt::Error, "core::fmt::Error");
        check("text", "str");
        check(Cow::Borrowed("text"), "alloc::borrow::Cow");
    }

    #[test]
    fn a_tuple_an_array_and_a_function_are_named_as_a_whole() {
        assert_eq!(
            type_path::<(io::Error, Vec<(u8, String)>)>(),
            std::any::type_name::<(io::Error, Vec<(u8, String)>)>()
        );
        assert_eq!(type_path::<Box<(u16, &str)>>(), "(u16, &str)");
        assert_eq!(type_path::<Arc<[u8; 4]>>(), "[u8; 4]");
        assert_eq!(type_path::<fn(u8, u8) -> bool>(), "fn(u8, u8)");
        assert_eq!(type_path::<Wrapping<(u8, u8)>>(), "core::num::wrapping::Wrapping");
        assert_eq!(type_path::<unsafe fn(u8)>(), OTHER);
        assert_eq!(type_path::<*const u8>(), OTHER);
        assert_eq!(value_name(&(404_u16, "text")), "(u16, &str)");
    }

    #[derive(Debug)]
    #[allow(dead_code, reason = "what is in them must not be seen")]
    enum Store {
        Closed,
        NotFound { id: &'static str },
        Refused(&'static str, u8),
    }

    #[test]
    fn an_enum_is_named_with_its_variant_and_without_its_values() {
        check(Store::Closed, "::Store::Closed");
        check(Store::NotFound { id: "secret" }, "::Store::NotFound");
        check(Store::Refused("secret", 1), "::Store::Refused");
        assert!(std::ptr::eq(value_name(&Store::Closed), value_name(&Store::Closed)), "made once");
    }

    #[test]
    fn values_of_a_variant_are_not_even_formatted() {
        struct Untouchable;
        impl Debug for Untouchable {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("formatted")
            }
        }
        #[derive(Debug)]
        #[allow(dead_code, reason = "what is in them must not be seen")]
        enum Full {
            Tuple(Untouchable),
            Fields { field: Untouchable },
        }
        let path = "::values_of_a_variant_are_not_even_formatted::Full";
        check(Full::Tuple(Untouchable), &format!("{path}::Tuple"));
        check(Full::Fields { field: Untouchable }, &format!("{path}::Fields"));
    }

    #[test]
    fn a_debug_that_is_written_by_hand_names_nothing_unless_it_looks_derived() {
        enum Says {
            This(&'static str),
            Panic,
        }
        impl Debug for Says {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Says::This(text) => f.write_str(text),
                    Says::Panic => panic!("in Debug"),
                }
            }
        }
        let path = "::a_debug_that_is_written_by_hand_names_nothing_unless_it_looks_derived::Says";
        let long: &'static str = "X".repeat(65).leak();
        for text in ["", "user 42 is missing", "User 42", "missing", "\"Quoted\"", "A::B", "Says", "Ä", "A-B", long] {
            check(Says::This(text), path);
        }
        check(Says::Panic, path);
        check(Says::This("Looks(derived"), &format!("{path}::Looks"));
    }

    #[test]
    fn a_type_that_is_not_an_enum_has_no_variant() {
        struct User(&'static str);
        impl Debug for User {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        check(User("Alice"), "::a_type_that_is_not_an_enum_has_no_variant::User");
        assert!(is_enum::<Store>() && is_enum::<Option<bool>>() && is_enum::<Result<(), Store>>());
        assert!(!is_enum::<User>() && !is_enum::<&Store>() && !is_enum::<u64>() && !is_enum::<[u8; 9]>());
    }

    #[test]
    fn a_type_has_a_bounded_number_of_names() {
        let mut names = Names::default();
        let count = |names: &mut Names, path| (0..500).filter(|n| names.add(path, &format!("V{n}")).is_some()).count();
        assert_eq!(count(&mut names, "a"), Names::MAX_OF_A_PATH);
        assert_eq!(names.add("a", "V0"), Some("a::V0"));
        for path in ["b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"] {
            assert_eq!(count(&mut names, path), Names::MAX_OF_A_PATH);
        }
        assert_eq!(count(&mut names, "q"), 0, "as many as a program may have");
    }

    #[test]
    fn an_io_error_is_named_by_its_kind() {
        let not_found = || io::Error::from_raw_os_error(2);
        let kinds =
            [not_found(), io::Error::other("x"), io::ErrorKind::TimedOut.into()].map(|error| error.error_type());
        assert_eq!(
            kinds,
            ["std::io::ErrorKind::NotFound", "std::io::ErrorKind::Other", "std::io::ErrorKind::TimedOut"]
        );

        type Boxed = Box<dyn Error>;
        let check = |error: Boxed, expected: &str| assert_eq!(dyn_error_name(&*error), expected);
        check(not_found().into(), "std::io::ErrorKind::NotFound");
        check(io::Error::other("kind: Secret").into(), "std::io::ErrorKind::Other");
        check(io::Error::from(io::ErrorKind::TimedOut).into(), "std::io::ErrorKind::TimedOut");

        let short = io::Read::read_exact(&mut io::empty(), &mut [0]).unwrap_err();
        assert_eq!(error_name(&short), "std::io::ErrorKind::UnexpectedEof");
        assert_eq!(error_name(&not_found()), "std::io::ErrorKind::NotFound");
    }

    #[test]
    fn an_error_of_unknown_type_is_named_by_its_debug_or_that_of_a_cause() {
        /// Writes this string as its `Debug` output.
        struct Says(&'static str, Option<Box<dyn Error>>);
        impl Debug for Says {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl fmt::Display for Says {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Ok(())
            }
        }
        impl Error for Says {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.1.as_deref()
            }
        }
        let check = |says, cause, expected: &str| {
            assert_eq!(dyn_error_name(&Says(says, cause)), expected);
        };
        check("reqwest::Error { kind: Request, url: ..", None, "reqwest::Error");
        check("NotFound", None, "NotFound");
        check("\"a message\"", None, "_OTHER");
        check("Os { code: 7, kind: Se-cret", None, "_OTHER");
        check("Error { context: ..", Some("x".parse::<u8>().unwrap_err().into()), "ParseIntError");
        check("a message", Some(io::Error::from(io::ErrorKind::BrokenPipe).into()), "std::io::ErrorKind::BrokenPipe");
    }
}
