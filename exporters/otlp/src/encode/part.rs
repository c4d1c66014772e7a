//! The parts of a batch. Each request contains as many items as fit.

/// The part of a batch to send in one request.
#[derive(Clone, Copy, Debug)]
pub struct Part<P> {
    /// The place of the first item.
    pub(crate) from: P,
    /// The maximum length of the request in bytes. A request with a single large item may exceed it.
    pub(crate) limit: usize,
}

impl<P: Default> Part<P> {
    /// Returns the whole batch as one part.
    pub(crate) fn whole() -> Self {
        Part { from: P::default(), limit: usize::MAX }
    }
}

/// A part that has been encoded.
#[derive(Clone, Copy, Debug)]
pub struct Written<P> {
    /// The number of items, as counted by [`Encode::count`](super::Encode::count).
    pub(crate) items: usize,
    /// The place of the first item that did not fit, or `None` at the end of the batch.
    pub(crate) next: Option<P>,
}

/// The maximum number of bytes by which the length field of a protobuf message can exceed its guessed width.
pub(super) const WIDER: usize = 4;

/// The room left in a request.
pub(super) struct Room {
    /// The maximum length of the buffer before the end of the request is written.
    end: usize,
    items: usize,
}

impl Room {
    /// Returns the room in a request of at most `limit` bytes that begins at `start` and ends with `tail` reserved bytes.
    pub(super) fn new(start: usize, limit: usize, tail: usize) -> Self {
        Room { end: start.saturating_add(limit).saturating_sub(tail), items: 0 }
    }

    /// Writes an item after which the enclosing messages need another `tail` bytes. Removes it and returns false if it does not
    /// fit. The first item always fits.
    #[inline]
    pub(super) fn write(&mut self, out: &mut Vec<u8>, tail: usize, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let start = out.len();
        write(out);
        if out.len() + tail > self.end && self.items > 0 {
            out.truncate(start);
            return false;
        }
        self.items += 1;
        true
    }

    /// Returns the number of items in the request.
    pub(super) fn items(&self) -> usize {
        self.items
    }
}
