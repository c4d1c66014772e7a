//! Bodies: that of a request, which attempts share, and that of a response, up to its size limit and with its trailers.

use std::sync::Arc;

use bytes::Buf;
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The body of a request. The exporter reclaims its memory after the last attempt.
pub(super) struct Sent {
    body: Arc<Vec<u8>>,
    at: usize,
}

impl Sent {
    pub(super) fn new(body: Arc<Vec<u8>>) -> Self {
        Sent { body, at: 0 }
    }
}

impl Buf for Sent {
    fn remaining(&self) -> usize {
        self.body.len() - self.at
    }

    fn chunk(&self) -> &[u8] {
        &self.body[self.at..]
    }

    fn advance(&mut self, count: usize) {
        // Beyond the end, hyper would be wrong, and nothing is left to send.
        self.at = self.at.saturating_add(count).min(self.body.len());
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
