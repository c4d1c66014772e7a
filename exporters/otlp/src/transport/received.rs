//! The response to a request, as it was received.

use std::error::Error;
use std::fmt;

use http::{HeaderMap, StatusCode};

/// The response to a request.
pub(super) struct Received {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body, or an error if the connection was lost before its end.
    pub(super) body: Result<Vec<u8>, Cause>,
    #[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "only gRPC reads trailers"))]
    pub(super) trailers: Option<HeaderMap>,
}

/// The error of a connection, with its causes.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// Displays an error with all its causes, because hyper's outermost error is not very informative.
#[derive(Debug)]
pub(super) struct Causes(pub(super) Cause);

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for Causes {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
