//! `error.type` for the errors of reqwest.

use telemark_http::Failure;

/// Returns the failure that an error describes; the table in the crate's documentation lists its names.
pub(crate) fn failure(error: &reqwest::Error) -> Failure {
    let error_type = match error {
        _ if error.is_timeout() => "timeout",
        _ if error.is_dns() => "dns",
        _ if error.is_connect() => "connect",
        _ if error.is_redirect() => "redirect",
        _ if error.is_body() => "body",
        _ if error.is_builder() => "builder",
        _ => "request",
    };
    Failure::from_error(error, error_type)
}
