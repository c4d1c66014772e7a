//! Reads the bodies of requests within limits on size, on time, and on the memory of all bodies together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::MAX_REQUEST;

/// The maximum number of bytes of all bodies that are being received.
const MAX_RECEIVING: usize = 256 << 20;
/// The time within which a body must arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The number of bytes of all bodies that are being received.
#[derive(Clone, Debug, Default)]
pub(super) struct Receiving(Arc<AtomicUsize>);

/// A body. Its bytes count as being received until it is dropped.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    _share: Share,
}

/// The reason why a body was not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotReceived {
    TooLarge,
    /// The bodies of all requests take too much memory.
    Busy,
    /// The client did not send all of it, or not in time.
    Incomplete,
}

/// Bytes that count as being received.
struct Share {
    total: Arc<AtomicUsize>,
    bytes: usize,
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), NotReceived> {
        self.bytes += bytes;
        match self.total.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_RECEIVING {
            true => Err(NotReceived::Busy),
            false => Ok(()),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Receiving {
    /// Receives a body.
    pub(super) async fn receive(&self, body: Incoming) -> Result<Received, NotReceived> {
        match tokio::time::timeout(TIMEOUT, self.read(body)).await {
            Ok(result) => result,
            Err(_) => Err(NotReceived::Incomplete),
        }
    }

    async fn read(&self, mut body: Incoming) -> Result<Received, NotReceived> {
        let mut share = Share { total: self.0.clone(), bytes: 0 };
        let expected = body.size_hint().lower();
        if expected > MAX_REQUEST as u64 {
            return Err(NotReceived::TooLarge);
        }
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| NotReceived::Incomplete)?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > MAX_REQUEST {
                return Err(NotReceived::TooLarge);
            }
            share.grow(data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(Received { bytes, _share: share })
    }
}
