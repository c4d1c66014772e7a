//! Chunks of spans as they came out of the queue. Most traces are decided soon, so most spans that are dropped are never moved.

use std::collections::VecDeque;
use std::ops::Range;

use crate::batch::HeldChunk;
use crate::signal::Traces;
use crate::time::Timestamp;
use crate::trace::SpanView;

/// Spans of a trace that arrived one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::stages::tail) struct Run {
    pub(super) chunk: u32,
    pub(super) first: u32,
    pub(super) len: u32,
}

impl Run {
    pub(super) fn indices(self) -> Range<usize> {
        self.first as usize..(self.first + self.len) as usize
    }
}

/// The runs of a trace, oldest first.
#[derive(Debug, Default)]
pub(in crate::stages::tail) struct Runs {
    /// Most traces have one run, or two if they continue in the next chunk, which take no further memory. A run without spans is none.
    first: [Run; 2],
    #[allow(clippy::box_collection, reason = "the memory of the many traces without other runs counts")]
    others: Option<Box<VecDeque<Run>>>,
    spans: u32,
}

impl Runs {
    /// Returns the number of spans.
    pub(super) fn span_count(&self) -> usize {
        self.spans as usize
    }

    /// Returns the number of bytes that the runs occupy beside this value.
    pub(super) fn bytes(&self) -> usize {
        self.others.as_ref().map_or(0, |others| size_of::<VecDeque<Run>>() + others.capacity() * size_of::<Run>())
    }

    /// Adds a run, which is not empty.
    pub(super) fn push(&mut self, run: Run) {
        self.spans += run.len;
        match self.first.iter_mut().find(|first| first.len == 0) {
            Some(free) => *free = run,
            None => self.others.get_or_insert_default().push_back(run),
        }
    }

    /// Takes the first run if `wants` says so.
    pub(super) fn pop_if(&mut self, wants: impl FnOnce(&Run) -> bool) -> Option<Run> {
        let [first, second] = self.first;
        if first.len == 0 || !wants(&first) {
            return None;
        }
        self.spans -= first.len;
        let next = self.others.as_mut().and_then(|others| others.pop_front());
        self.first = [second, next.unwrap_or_default()];
        self.others.take_if(|others| others.is_empty());
        Some(first)
    }

    /// Takes all runs, and keeps no memory.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Run> + use<> {
        let Runs { first, others, .. } = std::mem::take(self);
        first.into_iter().take_while(|run| run.len > 0).chain(others.into_iter().flat_map(|others| *others))
    }

    pub(in crate::stages::tail) fn iter(&self) -> impl Iterator<Item = Run> {
        let first = self.first.iter().take_while(|run| run.len > 0);
        first.chain(self.others.iter().flat_map(|others| others.iter())).copied()
    }
}

/// The chunks that still have spans of waiting traces.
#[derive(Default)]
pub(in crate::stages::tail) struct Chunks {
    places: Vec<Option<Chunk>>,
    free: Vec<u32>,
    /// All chunks, oldest first, by place and serial number. A chunk that is gone may have been replaced by a younger one.
    by_age: VecDeque<(u32, u64)>,
    next_serial: u64,
    bytes: usize,
}

struct Chunk {
    spans: HeldChunk<Traces>,
    bytes: usize,
    since: Timestamp,
    serial: u64,
}

impl Chunks {
    /// Returns the number of bytes of all chunks.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the place of the next chunk to be added.
    pub(super) fn next_place(&self) -> u32 {
        self.free.last().copied().unwrap_or_else(|| u32::try_from(self.places.len()).unwrap_or(u32::MAX))
    }

    pub(super) fn add(&mut self, spans: HeldChunk<Traces>, now: Timestamp) {
        let bytes = spans.bytes();
        self.bytes += bytes;
        let serial = self.next_serial;
        self.next_serial += 1;
        let chunk = Some(Chunk { spans, bytes, since: now, serial });
        let place = self.next_place();
        match self.free.pop().and_then(|place| self.places.get_mut(place as usize)) {
            Some(free) => *free = chunk,
            None => self.places.push(chunk),
        }
        self.by_age.push_back((place, serial));
    }

    /// Returns the spans of a run.
    pub(in crate::stages::tail) fn views(&self, run: Run) -> impl Iterator<Item = SpanView<'_>> {
        let chunk = self.places.get(run.chunk as usize).and_then(Option::as_ref);
        chunk.into_iter().flat_map(move |chunk| chunk.spans.views(run.indices()))
    }

    /// Changes a chunk, and gives it back to the queue if nothing is left of it.
    pub(super) fn with(&mut self, place: u32, change: impl FnOnce(&mut HeldChunk<Traces>)) {
        let Some(slot) = self.places.get_mut(place as usize) else { return };
        let Some(chunk) = slot else { return };
        change(&mut chunk.spans);
        if chunk.spans.is_done() {
            self.bytes -= chunk.bytes;
            *slot = None;
            self.free.push(place);
        }
    }

    /// Takes the oldest chunk if it arrived before `before`.
    pub(super) fn take_older(&mut self, before: Timestamp) -> Option<(u32, HeldChunk<Traces>)> {
        loop {
            let (place, serial) = *self.by_age.front()?;
            let slot = self.places.get_mut(place as usize)?;
            // Several chunks arrive at the same time, so the time does not tell them apart.
            if let Some(chunk) = slot.take_if(|chunk| chunk.serial == serial && chunk.since <= before) {
                self.by_age.pop_front();
                self.free.push(place);
                self.bytes -= chunk.bytes;
                return Some((place, chunk.spans));
            }
            if slot.as_ref().is_some_and(|chunk| chunk.serial == serial) {
                return None;
            }
            self.by_age.pop_front();
        }
    }
}
