//! The response to a request, as it was received.

use std::error::Error;
use std::fmt;

use http::HeaderMap;
use http::response::Parts;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The response to a request.
pub(super) struct Received {
    pub(super) head: Parts,
    /// The body, or an error if the connection was lost before its end.
    pub(super) body: hyper::Result<Vec<u8>>,
    #[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "only gRPC reads trailers"))]
    pub(super) trailers: Option<HeaderMap>,
}

/// Displays an error with all its causes, because hyper's outermost error is not very informative.
#[derive(Debug)]
pub(super) struct Causes(pub(super) Box<dyn Error + Send + Sync>);

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

/// The reason why a response was not read to its end.
pub(super) enum Unread {
    TooLarge,
    Broken(hyper::Error),
}

/// Reads the body up to `limit` bytes, and the trailers.
pub(super) async fn read(mut body: Incoming, limit: usize) -> Result<(Vec<u8>, Option<HeaderMap>), Unread> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        match frame.map_err(Unread::Broken)?.into_data() {
            Ok(data) if bytes.len() + data.len() > limit => return Err(Unread::TooLarge),
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((bytes, trailers))
}
