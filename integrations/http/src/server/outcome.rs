//! The facts about the end of a request.

use http::StatusCode;

use crate::shared::status::code;

/// The way in which a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The whole response was handed over, including its body, if any.
    Completed,
    /// The request was abandoned: the client disconnected, or a timeout dropped it. Not an error.
    ///
    /// spec: http/http-spans.md#status: an intentional cancellation should not be an error
    Cancelled,
    /// The service, or the response body, returned an error. `error_type` names its kind and must have low cardinality.
    Failed {
        /// The value of `error.type`.
        error_type: &'static str,
    },
    /// The service, or the response body, panicked.
    Panicked,
}

/// The facts about the end of a request, for both its span and its metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestOutcome {
    /// The status, or `None` before the response.
    pub status: Option<StatusCode>,
    /// True if the policy treats that status as an error.
    pub is_error_status: bool,
    /// The end, or `None` while the request is active.
    pub end: Option<End>,
    /// The size of the request body in bytes, if a setting needs it and the head declares it.
    pub request_bytes: Option<u64>,
    /// The number of response body bytes handed over so far.
    pub response_bytes: u64,
}

impl RequestOutcome {
    /// Returns the value of `error.type`; `None` if the request has not failed.
    ///
    /// spec: http/http-spans.md: the type of an error, whether before or after the head; otherwise the status code
    pub fn error_type(&self) -> Option<&'static str> {
        match self.end {
            Some(End::Failed { error_type }) => Some(error_type),
            Some(End::Panicked) => Some("panic"),
            _ => self.status.filter(|_| self.is_error_status).map(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_types() {
        fn check(status: u16, end: End, expected: Option<&str>) {
            let status = StatusCode::from_u16(status).ok();
            let outcome = RequestOutcome {
                status,
                is_error_status: status >= Some(StatusCode::INTERNAL_SERVER_ERROR),
                end: Some(end),
                ..RequestOutcome::default()
            };
            assert_eq!(outcome.error_type(), expected, "{outcome:?}");
        }
        check(200, End::Completed, None);
        check(0, End::Cancelled, None);
        check(500, End::Cancelled, Some("500"));
        check(507, End::Completed, Some("507"));
        check(500, End::Failed { error_type: "io" }, Some("io"));
        check(200, End::Panicked, Some("panic"));
    }
}
