//! The traces that wait for a decision, within limits.

mod chunks;

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::ops::Range;

use opentelemetry::trace::TraceId;

pub(super) use self::chunks::Chunks;
use self::chunks::{Run, Runs};
use super::rules::Head;
use crate::batch::{Held, HeldChunk, HeldGroup};
use crate::decided::{Fate, Keys};
use crate::sampling::Randomness;
use crate::signal::Traces;
use crate::time::Timestamp;
use crate::trace::{SpanChunk, SpanData};

/// The number of empty chunks that are kept for traces to come.
const MAX_SPARES: usize = 64;
/// Chunks larger than this, in bytes, are not kept.
const MAX_SPARE: usize = 16 << 10;
/// The number of [`Waiting`] that are kept for traces to come, about as many as end between two runs.
const MAX_SPARE_TRACES: usize = 256;

/// A trace that waits for a decision.
pub(super) struct Waiting {
    pub(super) trace: TraceId,
    /// Spans that have been moved out of their chunks, which few traces have.
    pub(super) moved: Option<Box<HeldGroup<Traces>>>,
    /// Spans that are still in their chunks. They are younger than the others.
    pub(super) runs: Runs,
    /// The conditions that its spans have met.
    pub(super) met: u64,
    pub(super) randomness: Randomness,
    pub(super) head: Head,
    /// True if the head is that of a local root.
    pub(super) has_root: bool,
    /// True once all local roots have ended.
    pub(super) is_complete: bool,
    /// What was decided about an earlier part of the trace.
    pub(super) earlier: Fate,
    /// The number of traces that had been evicted when this one began.
    pub(super) evicted_before: u64,
    since: Timestamp,
    serial: u32,
    bytes: usize,
}

impl Waiting {
    pub(super) fn span_count(&self) -> usize {
        self.moved.as_ref().map_or(0, |moved| moved.len()) + self.runs.span_count()
    }
}

/// The maximum numbers of traces, spans and bytes.
pub(super) type Limits = [usize; 3];

/// The number of bytes of a trace beside its spans: its [`Waiting`], and its places in the lists and tables.
const OVERHEAD: usize = size_of::<Waiting>() + 96;

/// The waiting traces.
pub(super) struct Buffer {
    limits: Limits,
    places: Vec<Option<Box<Waiting>>>,
    free: Vec<u32>,
    by_trace: HashMap<Key, u32, Keys>,
    /// All traces, oldest first, by place and serial number, which may start again, because far fewer traces wait. Traces that are gone are
    /// skipped.
    by_age: VecDeque<(u32, u32)>,
    /// The complete traces, in the order in which they became complete.
    complete: VecDeque<(u32, u32, Timestamp)>,
    pub(super) chunks: Chunks,
    spares: Vec<SpanChunk>,
    #[allow(clippy::vec_box, reason = "traces are held by the box")]
    spare_traces: Vec<Box<Waiting>>,
    /// The place of the span before, because spans of a trace often arrive together.
    last: Option<(Key, u32)>,
    next_serial: u32,
    spans: usize,
    bytes: usize,
    /// The number of traces that were evicted.
    pub(super) evicted: u64,
}

/// A trace id in halves, because a number of 16 bytes would be aligned to as many in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(u64, u64);

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from(self.0) << 64 | u128::from(self.1));
    }
}

fn key(trace: TraceId) -> Key {
    let key = u128::from_be_bytes(trace.to_bytes());
    Key((key >> 64) as u64, key as u64)
}

impl Buffer {
    pub(super) fn new(limits: Limits) -> Self {
        Buffer {
            limits,
            places: Vec::new(),
            free: Vec::new(),
            by_trace: HashMap::with_hasher(Keys::new()),
            by_age: VecDeque::new(),
            complete: VecDeque::new(),
            chunks: Chunks::default(),
            spares: Vec::new(),
            spare_traces: Vec::new(),
            last: None,
            next_serial: 0,
            spans: 0,
            bytes: 0,
            evicted: 0,
        }
    }

    /// Returns the trace with this id.
    #[inline]
    pub(super) fn find(&mut self, trace: TraceId) -> Option<&mut Waiting> {
        let place = self.place(trace)?;
        self.places.get_mut(place as usize)?.as_deref_mut()
    }

    #[inline]
    fn place(&mut self, trace: TraceId) -> Option<u32> {
        let key = key(trace);
        if let Some((_, place)) = self.last.filter(|(last, _)| *last == key) {
            return Some(place);
        }
        let place = *self.by_trace.get(&key)?;
        self.last = Some((key, place));
        Some(place)
    }

    /// Adds a trace without spans.
    pub(super) fn begin(
        &mut self,
        trace: TraceId,
        head: Head,
        randomness: Randomness,
        earlier: Fate,
        now: Timestamp,
    ) -> Option<&mut Waiting> {
        let serial = self.next_serial;
        self.next_serial = self.next_serial.wrapping_add(1);
        let waiting = Waiting {
            trace,
            moved: None,
            runs: Runs::default(),
            met: 0,
            randomness,
            head,
            has_root: false,
            is_complete: false,
            earlier,
            evicted_before: self.evicted,
            since: now,
            serial,
            bytes: OVERHEAD,
        };
        self.bytes += OVERHEAD;
        let waiting = match self.spare_traces.pop() {
            Some(mut spare) => {
                *spare = waiting;
                spare
            }
            None => Box::new(waiting),
        };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.places.push(None);
                u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.by_trace.insert(key(trace), place);
        self.last = Some((key(trace), place));
        self.skip_gone();
        self.by_age.push_back((place, serial));
        let free = self.places.get_mut(place as usize)?;
        Some(&mut **free.insert(waiting))
    }

    /// Adds a span to its trace, which must have begun.
    pub(super) fn add(&mut self, held: Held<Traces>) {
        let Some(place) = self.place(held.trace_id()) else { return };
        let Some(Some(waiting)) = self.places.get_mut(place as usize) else { return };
        let before = waiting.moved.as_ref().map_or(0, |moved| moved.bytes());
        let spares = &mut self.spares;
        let moved =
            waiting.moved.get_or_insert_with(|| Box::new(HeldGroup::in_memory_of(spares.pop().unwrap_or_default())));
        moved.push(held);
        let grown = moved.bytes().saturating_sub(before);
        waiting.bytes += grown;
        self.bytes += grown;
        self.spans += 1;
    }

    /// Adds spans of the next chunk to their trace, which must have begun.
    pub(super) fn add_run(&mut self, trace: TraceId, indices: &Range<usize>) {
        let chunk = self.chunks.next_place();
        let Some(place) = self.place(trace) else { return };
        let Some(Some(waiting)) = self.places.get_mut(place as usize) else { return };
        let index = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let before = waiting.runs.bytes();
        waiting.runs.push(Run { chunk, first: index(indices.start), len: index(indices.len()) });
        let grown = waiting.runs.bytes() - before;
        waiting.bytes += grown;
        self.bytes += grown;
        self.spans += indices.len();
    }

    /// Adds the chunk of the runs that were added.
    pub(super) fn add_chunk(&mut self, mut chunk: HeldChunk<Traces>, now: Timestamp) {
        if !chunk.is_done() {
            // Beside memory for more spans, which is of use only if the chunk soon goes back to the queue.
            if self.chunks.bytes() > self.limits[2] / 4 {
                chunk.shrink();
            }
            self.chunks.add(chunk, now);
        }
        // Moved spans take less memory, because a chunk has room for more than it holds.
        while self.chunks.bytes() > self.limits[2] / 2 && self.empty_oldest_chunk(Timestamp::from_nanos(u64::MAX)) {}
    }

    /// Moves the spans out of chunks that arrived before `before`, so that few spans do not keep the memory of many.
    pub(super) fn empty_chunks(&mut self, before: Timestamp) {
        while self.empty_oldest_chunk(before) {}
    }

    /// Returns false if there is no chunk that arrived before `before`.
    fn empty_oldest_chunk(&mut self, before: Timestamp) -> bool {
        let Some((place, mut chunk)) = self.chunks.take_older(before) else { return false };
        let mut next = 0;
        while let Some(trace) = chunk.view(next).map(|view| view.trace_id()) {
            let index = next;
            next += 1;
            // Older chunks are empty, so a run that still waits is the first one of its trace.
            let Some(waiting) = self.find(trace) else { continue };
            let before = waiting.runs.bytes();
            let is_here = |run: &Run| run.chunk == place && run.first as usize == index;
            let Some(run) = waiting.runs.pop_if(is_here) else { continue };
            next = run.indices().end;
            let freed = before - waiting.runs.bytes();
            waiting.bytes -= freed;
            self.bytes -= freed;
            self.spans -= run.indices().len();
            for index in run.indices() {
                if let Some(held) = chunk.take(index) {
                    self.add(held);
                }
            }
        }
        true
    }

    /// Passes on the spans of a trace that was taken, after `edit` has seen them.
    pub(super) fn pass_on(
        &mut self,
        waiting: &mut Waiting,
        mut edit: impl FnMut(&mut SpanData),
        pass_on: &mut dyn FnMut(Held<Traces>),
    ) {
        if let Some(moved) = &mut waiting.moved {
            moved.pass_on(&mut edit, pass_on);
        }
        for run in waiting.runs.take() {
            self.chunks.with(run.chunk, |chunk| {
                for mut held in run.indices().filter_map(|index| chunk.take(index)) {
                    edit(&mut held);
                    pass_on(held);
                }
            });
        }
    }

    /// Notes that all local roots of a trace have ended.
    pub(super) fn complete(&mut self, trace: TraceId, now: Timestamp) {
        let Some(place) = self.place(trace) else { return };
        let Some(Some(waiting)) = self.places.get_mut(place as usize) else { return };
        if !std::mem::replace(&mut waiting.is_complete, true) {
            self.complete.push_back((place, waiting.serial, now));
        }
    }

    /// Takes the next trace that became complete before `before`.
    pub(super) fn take_complete(&mut self, before: Timestamp) -> Option<Box<Waiting>> {
        loop {
            let (place, serial, _) = *self.complete.front().filter(|(.., since)| *since <= before)?;
            self.complete.pop_front();
            if let Some(waiting) = self.take(place, serial) {
                return Some(waiting);
            }
        }
    }

    /// Puts the trace back that was just taken and is not complete after all.
    pub(super) fn put_back(&mut self, mut waiting: Box<Waiting>) {
        waiting.is_complete = false;
        // Its old place, to which the list by age leads.
        let Some(place) = self.free.pop() else { return };
        let Some(free) = self.places.get_mut(place as usize) else { return };
        self.spans += waiting.span_count();
        self.bytes += waiting.bytes;
        self.by_trace.insert(key(waiting.trace), place);
        *free = Some(waiting);
    }

    /// Takes the oldest trace if its first span arrived before `before`.
    pub(super) fn take_older(&mut self, before: Timestamp) -> Option<Box<Waiting>> {
        loop {
            let (place, serial) = *self.by_age.front()?;
            match self.places.get(place as usize) {
                Some(Some(waiting)) if waiting.serial == serial => {
                    if waiting.since > before {
                        return None;
                    }
                    self.by_age.pop_front();
                    return self.take(place, serial);
                }
                _ => drop(self.by_age.pop_front()),
            }
        }
    }

    /// Takes the oldest trace if there is more than the limits allow.
    pub(super) fn take_surplus(&mut self) -> Option<Box<Waiting>> {
        let [traces, spans, bytes] = self.limits;
        if self.by_trace.len() <= traces && self.spans <= spans && self.bytes + self.chunks.bytes() <= bytes {
            return None;
        }
        self.take_older(Timestamp::from_nanos(u64::MAX)).inspect(|_| self.evicted += 1)
    }

    /// Returns the numbers of traces, spans and bytes.
    pub(super) fn held(&self) -> [usize; 3] {
        [self.by_trace.len(), self.spans, self.bytes + self.chunks.bytes()]
    }

    /// Drops the spans of a trace that was taken, and keeps its memory.
    pub(super) fn recycle(&mut self, mut waiting: Box<Waiting>) {
        for run in waiting.runs.take() {
            self.chunks.with(run.chunk, |chunk| chunk.give_up(run.indices().len()));
        }
        if let Some(moved) = waiting.moved.take() {
            let chunk = moved.clear();
            if self.spares.len() < MAX_SPARES && crate::signal::Chunk::bytes(&chunk) <= MAX_SPARE {
                self.spares.push(chunk);
            }
        }
        if self.spare_traces.len() < MAX_SPARE_TRACES {
            self.spare_traces.push(waiting);
        }
    }

    fn take(&mut self, place: u32, serial: u32) -> Option<Box<Waiting>> {
        let slot = self.places.get_mut(place as usize)?;
        if slot.as_ref().is_none_or(|waiting| waiting.serial != serial) {
            return None;
        }
        let waiting = slot.take()?;
        self.free.push(place);
        self.by_trace.remove(&key(waiting.trace));
        self.last = None;
        self.spans -= waiting.span_count();
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    /// Removes the traces that are gone from the list by age: the first ones, because most traces end in the order in which they started,
    /// and all of them once they are the majority.
    fn skip_gone(&mut self) {
        let places = &self.places;
        let is_there = |(place, serial): &(u32, u32)| {
            let waiting = places.get(*place as usize).and_then(Option::as_ref);
            waiting.is_some_and(|waiting| waiting.serial == *serial)
        };
        while self.by_age.front().is_some_and(|first| !is_there(first)) {
            self.by_age.pop_front();
        }
        if self.by_age.len() > 2 * self.by_trace.len() + 64 {
            self.by_age.retain(is_there);
        }
    }
}
