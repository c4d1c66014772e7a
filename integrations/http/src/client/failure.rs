//! `error.type` and a description for a request that failed without a response.

use std::error::Error;
use std::io;

use telemark_kit::{BoundedText, guarded};

/// The number of causes that are examined, in case a chain has a circle.
const MAX_CAUSES: usize = 16;

/// The reason for which a request has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) error_type: &'static str,
    pub(crate) description: String,
}

impl Failure {
    /// Returns a failure with this value of `error.type`, which must have low cardinality, and no description.
    pub fn new(error_type: &'static str) -> Self {
        Failure { error_type, description: String::new() }
    }

    /// Returns a failure described by the message of the innermost cause, because the messages of HTTP libraries contain the
    /// URL with its secrets. `error_type` is used unless a cause is an [`io::Error`] with a more specific kind.
    pub fn from_error(error: &(dyn Error + 'static), error_type: &'static str) -> Self {
        // An error is foreign code: its `source` or its `Display` may panic.
        let described = guarded(|| {
            let error_type = io_error_type(error).unwrap_or(error_type);
            let innermost = causes(error).last().unwrap_or(error);
            Failure { error_type, description: BoundedText::from(innermost.to_string()).text }
        });
        described.unwrap_or_else(|| Failure::new(error_type))
    }
}

/// Returns a name for the first [`io::Error`] among an error and its causes that has one.
///
/// | kind | name |
/// |---|---|
/// | `TimedOut` | `timeout` |
/// | `ConnectionRefused` | `connection_refused` |
/// | `ConnectionReset` | `connection_reset` |
/// | `ConnectionAborted` | `connection_aborted` |
/// | `BrokenPipe` | `broken_pipe` |
/// | `UnexpectedEof` | `unexpected_eof` |
/// | `HostUnreachable` | `host_unreachable` |
/// | `NetworkUnreachable` | `network_unreachable` |
pub fn io_error_type(error: &(dyn Error + 'static)) -> Option<&'static str> {
    causes(error).find_map(|cause| {
        Some(match cause.downcast_ref::<io::Error>()?.kind() {
            io::ErrorKind::TimedOut => "timeout",
            io::ErrorKind::ConnectionRefused => "connection_refused",
            io::ErrorKind::ConnectionReset => "connection_reset",
            io::ErrorKind::ConnectionAborted => "connection_aborted",
            io::ErrorKind::BrokenPipe => "broken_pipe",
            io::ErrorKind::UnexpectedEof => "unexpected_eof",
            io::ErrorKind::HostUnreachable => "host_unreachable",
            io::ErrorKind::NetworkUnreachable => "network_unreachable",
            _ => return None,
        })
    })
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| next(*error)).take(MAX_CAUSES)
}

/// Returns the error inside an [`io::Error`], which `source` skips, or else the source.
fn next<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Outer(Box<dyn Error + Send + Sync>);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("request to https://h/?token=secret failed")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn the_innermost_cause_describes_a_failure_and_a_kind_names_it() {
        fn check(error: impl Error + 'static, expected_type: &str, expected: &str) {
            let Failure { error_type, description } = Failure::from_error(&error, "request");
            assert_eq!((error_type, &*description), (expected_type, expected));
        }
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "no");
        check(Outer(refused.into()), "connection_refused", "no");
        let inner = io::Error::other(Outer(io::Error::from(io::ErrorKind::BrokenPipe).into()));
        check(Outer(inner.into()), "broken_pipe", "broken pipe");
        let nested = io::Error::other(io::Error::from(io::ErrorKind::ConnectionReset));
        check(nested, "connection_reset", "connection reset");
        check(Outer("odd".into()), "request", "odd");
        check(io::Error::from(io::ErrorKind::TimedOut), "timeout", "timed out");
        check(io::Error::other("odd"), "request", "odd");
    }

    #[test]
    fn an_error_that_panics_has_no_description() {
        #[derive(Debug)]
        struct Panics;
        impl fmt::Display for Panics {
            fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
                std::panic::resume_unwind(Box::new("on purpose"))
            }
        }
        impl Error for Panics {}
        assert_eq!(Failure::from_error(&Panics, "odd"), Failure::new("odd"));
    }

    #[test]
    fn a_chain_without_an_end_is_left() {
        #[derive(Debug)]
        struct Circle;
        impl fmt::Display for Circle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("circle")
            }
        }
        impl Error for Circle {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&Circle)
            }
        }
        assert_eq!(
            Failure::from_error(&Circle, "odd"),
            Failure { error_type: "odd", description: "circle".to_owned() }
        );
    }
}
