//! Status codes: their names, the places where a response carries them, and the codes that are errors on each side.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode;
use telemark_kit::BoundedText;
use tonic::{Code, Status, TimeoutExpired};

/// An error of any type, as in tower.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";

/// The side of a call that this program is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// The status of a call, with its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallStatus {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl CallStatus {
    pub(crate) fn new(code: Code) -> Self {
        CallStatus { code, message: String::new() }
    }

    /// Reads the status from trailers, or from the headers of a response without a body.
    pub(crate) fn in_headers(headers: &HeaderMap) -> Option<Self> {
        let code = Code::from_bytes(headers.get(STATUS)?.as_bytes());
        let message = match headers.get(MESSAGE) {
            Some(message) if code != Code::Ok => decoded(message.as_bytes()),
            _ => String::new(),
        };
        Some(CallStatus { code, message })
    }

    /// Returns the status of a response that ended without one.
    ///
    /// spec: gRPC doc/http-grpc-status-mapping.md
    pub(crate) fn missing(http: StatusCode) -> Self {
        CallStatus::new(match http {
            StatusCode::BAD_REQUEST => Code::Internal,
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::NOT_FOUND => Code::Unimplemented,
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
            _ => Code::Unknown,
        })
    }

    /// Returns the status that an error contains, or else UNKNOWN.
    pub(crate) fn in_error(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(status) = error.downcast_ref::<Status>() {
                return CallStatus { code: status.code(), message: BoundedText::new(status.message()).text };
            }
            next = error.source();
        }
        CallStatus::new(Code::Unknown)
    }

    /// Returns the status that tonic's client will report for an error of its transport, together with the error.
    pub(crate) fn of_transport(error: BoxError) -> (BoxError, Self) {
        // tonic reports a timeout as cancelled.
        if is_timeout(&*error) {
            let message = TimeoutExpired(()).to_string();
            return (error, CallStatus { code: Code::DeadlineExceeded, message });
        }
        // `Status::from_error` takes the error, so share it and take it back.
        let shared = Arc::new(error);
        let status = Status::from_error(Box::new(Shared(Arc::clone(&shared))));
        let found = CallStatus { code: status.code(), message: BoundedText::new(status.message()).text };
        drop(status);
        (Arc::try_unwrap(shared).unwrap_or_else(|shared| Box::new(Shared(shared))), found)
    }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source()).any(<dyn Error>::is::<TimeoutExpired>)
}

fn decoded(message: &[u8]) -> String {
    let decoded: Vec<u8> = percent_decode(message).collect();
    BoundedText::from_bytes(&decoded).text
}

/// An error that is only lent to `Status::from_error`.
#[derive(Debug)]
struct Shared(Arc<BoxError>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.0)
    }
}

/// Returns the name of a code, such as `DEADLINE_EXCEEDED`.
///
/// spec: semconv rpc/grpc.md, `rpc.status_code`
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Returns true if the conventions treat the code as an error: on a client every code except OK, on a server only those that
/// are the server's fault.
///
/// spec: semconv rpc/grpc.md#grpc-status
pub(crate) fn is_error(code: Code, side: Side) -> bool {
    match side {
        Side::Client => code != Code::Ok,
        Side::Server => matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_errors() {
        // spec: semconv rpc/grpc.md
        let table = "OK - -, CANCELLED C -, UNKNOWN C S, INVALID_ARGUMENT C -, DEADLINE_EXCEEDED C S, NOT_FOUND C -, \
                     ALREADY_EXISTS C -, PERMISSION_DENIED C -, RESOURCE_EXHAUSTED C -, FAILED_PRECONDITION C -, ABORTED C -, \
                     OUT_OF_RANGE C -, UNIMPLEMENTED C S, INTERNAL C S, UNAVAILABLE C S, DATA_LOSS C S, UNAUTHENTICATED C -";
        let mark = |code, side, letter| if is_error(code, side) { letter } else { "-" };
        let row = |number| {
            let code = Code::from(number);
            format!("{} {} {}", name(code), mark(code, Side::Client, "C"), mark(code, Side::Server, "S"))
        };
        let rows: Vec<_> = (0..17).map(row).collect();
        assert_eq!(rows.join(", "), table);
    }

    #[test]
    fn a_status_in_headers() {
        fn check(headers: &[(&'static str, &str)], expected: Option<(Code, &str)>) {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let found = CallStatus::in_headers(&headers);
            let expected = expected.map(|(code, message)| CallStatus { code, message: message.to_owned() });
            assert_eq!(found, expected, "{headers:?}");
        }
        check(&[], None);
        check(&[(MESSAGE, "alone")], None);
        check(&[(STATUS, "0"), (MESSAGE, "fine")], Some((Code::Ok, "")));
        check(&[(STATUS, "5"), (MESSAGE, "no%20such%20cup%E2%80%A6")], Some((Code::NotFound, "no such cup…")));
        check(&[(STATUS, "13"), (MESSAGE, "%ff%")], Some((Code::Internal, "\u{fffd}%")));
        check(&[(STATUS, "16")], Some((Code::Unauthenticated, "")));
        for invalid in ["17", "-1", "", "00", "x", "1000000000000"] {
            check(&[(STATUS, invalid)], Some((Code::Unknown, "")));
        }
        let long = "x".repeat(10_000);
        check(&[(STATUS, "2"), (MESSAGE, &long)], Some((Code::Unknown, &long[..telemark_kit::MAX_TEXT_BYTES])));
    }

    #[test]
    fn a_response_without_a_status() {
        for (http, expected) in [
            (200, "UNKNOWN"),
            (400, "INTERNAL"),
            (401, "UNAUTHENTICATED"),
            (403, "PERMISSION_DENIED"),
            (404, "UNIMPLEMENTED"),
            (429, "UNAVAILABLE"),
            (500, "UNKNOWN"),
            (503, "UNAVAILABLE"),
        ] {
            assert_eq!(name(CallStatus::missing(StatusCode::from_u16(http).unwrap()).code), expected, "{http}");
        }
    }

    #[derive(Debug)]
    struct Outer(BoxError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn an_error_of_the_transport_is_returned_unchanged() {
        fn check(error: impl Into<BoxError>, expected: Code, message: &str) {
            let error = error.into();
            let shown = format!("{error:?}");
            let (error, status) = CallStatus::of_transport(error);
            assert_eq!((status.code, &*status.message), (expected, message));
            assert_eq!(format!("{error:?}"), shown);
            assert!(!error.is::<Shared>());
        }
        check(std::io::Error::other("broken"), Code::Unknown, "broken");
        check(tonic::ConnectError("refused".into()), Code::Unavailable, "refused");
        check(TimeoutExpired(()), Code::DeadlineExceeded, "Timeout expired");
        check(Status::data_loss("gone"), Code::DataLoss, "gone");
        check(Outer(Status::aborted("inner").into()), Code::Aborted, "inner");
        check(Outer(TimeoutExpired(()).into()), Code::DeadlineExceeded, "Timeout expired");
        check(
            tonic::ConnectError(Status::aborted("inner").into()),
            Code::Unavailable,
            "code: 'The operation was aborted', message: \"inner\"",
        );
    }
}
