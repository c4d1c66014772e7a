//! The spans that are entered on this thread, and the guards that keep their contexts current.
//!
//! Exits do not have to be in the reverse order of the entries. A guard is never dropped while the stack is borrowed, because
//! dropping a context may end a span and call processors, which may use `tracing`.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use opentelemetry::ContextGuard;
use telemark_sdk::instrument::bridge;

use crate::data::Data;

/// A span of one layer; ids of different registries may be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) layer: usize,
    pub(crate) span: u64,
}

struct Entry {
    key: Key,
    guard: Option<ContextGuard>,
    data: Arc<Data>,
}

#[derive(Default)]
struct Stack(RefCell<Spans>);

#[derive(Default)]
struct Spans {
    entered: Vec<Entry>,
    /// The span that this thread has created or left most recently, which it probably enters or closes next. Keeps nothing of
    /// the program alive, because another thread may close the span.
    recent: Option<(Key, Weak<Data>)>,
}

impl Spans {
    #[inline]
    fn take_recent(&mut self, key: Key) -> Option<Arc<Data>> {
        match &self.recent {
            Some((recent, _)) if *recent == key => self.recent.take()?.1.upgrade(),
            _ => None,
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let entries = self.0.take().entered;
        entries.into_iter().rev().filter_map(|entry| entry.guard).for_each(bridge::detach);
    }
}

thread_local!(static STACK: Stack = Stack::default());

/// Calls `with` with this thread's spans, unless the thread is ending.
#[inline]
fn spans<T>(with: impl FnOnce(&mut Spans) -> T) -> Option<T> {
    STACK.try_with(|stack| with(&mut stack.0.borrow_mut())).ok()
}

/// Notes that a span was created on this thread, as a child of the innermost span if it is contextual.
#[inline]
pub(crate) fn created(key: Key, data: Weak<Data>, is_contextual: bool) {
    spans(|spans| {
        if is_contextual {
            if let Some(top) = spans.entered.last().filter(|entry| entry.key.layer == key.layer) {
                top.data.newest().mark_used();
            }
        }
        spans.recent = Some((key, data));
    });
}

/// Returns the data of the span, if it was created or left most recently on this thread.
#[inline]
pub(crate) fn take_recent(key: Key) -> Option<Arc<Data>> {
    spans(|spans| spans.take_recent(key)).flatten().filter(|data| data.is_current())
}

/// Makes the context of a span current. Returns the data if that is impossible, in which case there is nothing to leave.
///
/// A span that is entered again while it is the innermost one keeps the current context, which may be that of a span of another
/// library within it: a library that runs its futures `in_current_span` does not mean to leave that span.
#[inline]
pub(crate) fn enter(key: Key, data: Arc<Data>) -> Option<Arc<Data>> {
    let is_innermost = spans(|spans| spans.entered.last().is_some_and(|top| Arc::ptr_eq(&top.data, &data)));
    let mut guard = None;
    if is_innermost != Some(true) {
        // The API's own thread-local exists from here on and is therefore destroyed after the stack.
        guard = bridge::attach(data.span.context());
        if guard.is_none() {
            return Some(data);
        }
    }
    let mut entry = Some(Entry { key, guard, data });
    spans(|spans| spans.entered.extend(entry.take()));
    // The stack is gone at thread exit: nothing would leave the span.
    let Entry { guard, data, .. } = entry?;
    guard.into_iter().for_each(bridge::detach);
    Some(data)
}

/// Leaves a span, which need not be the innermost one. Does nothing if it is not entered on this thread.
#[inline]
pub(crate) fn exit(key: Key) {
    let remove = |spans: &mut Spans| {
        let at = spans.entered.iter().rposition(|entry| entry.key == key)?;
        let entry = spans.entered.remove(at);
        spans.recent = Some((key, Arc::downgrade(&entry.data)));
        Some(entry)
    };
    if let Some(entry) = spans(remove).flatten() {
        leave(entry);
    }
}

/// Leaves a span as often as it is entered on this thread.
#[cold]
pub(crate) fn exit_all(key: Key) {
    let remove = |spans: &mut Spans| {
        let at = spans.entered.iter().rposition(|entry| entry.key == key)?;
        Some(spans.entered.remove(at))
    };
    while let Some(entry) = spans(remove).flatten() {
        leave(entry);
    }
}

#[inline]
fn leave(entry: Entry) {
    let data = entry.data.newest();
    data.exited(data.span.clock().now());
    entry.guard.into_iter().for_each(bridge::detach);
}

/// Changes whenever a span is closed before another thread has exited it.
static CLOSED_ELSEWHERE: AtomicU32 = AtomicU32::new(0);

thread_local!(static FORGOTTEN: Cell<u32> = const { Cell::new(0) });

/// Records that a span was closed before another thread has exited it.
pub(crate) fn closed_elsewhere() {
    CLOSED_ELSEWHERE.fetch_add(1, Ordering::Release);
}

/// Leaves the spans that are closed, if any was closed elsewhere. The subscriber does not call `on_exit` for them.
#[inline]
pub(crate) fn forget_closed() {
    let now = CLOSED_ELSEWHERE.load(Ordering::Acquire);
    if now != FORGOTTEN.get() {
        FORGOTTEN.set(now);
        forget();
    }
}

#[cold]
fn forget() {
    let take = |spans: &mut Spans| {
        let entries = std::mem::take(&mut spans.entered);
        let (closed, open): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.data.is_closed());
        spans.entered = open;
        closed
    };
    let closed = spans(take).unwrap_or_default();
    closed.into_iter().rev().filter_map(|entry| entry.guard).for_each(bridge::detach);
}

/// Returns true if the span is entered on this thread.
pub(crate) fn is_entered(key: Key) -> bool {
    spans(|spans| spans.entered.iter().any(|entry| entry.key == key)).unwrap_or(false)
}

/// Replaces a span's current context with its new one, if the span is the innermost span on this thread.
pub(crate) fn replace(key: Key, data: &Arc<Data>) {
    let take = |spans: &mut Spans| {
        let innermost = spans.entered.iter().rev().take_while(|entry| entry.key == key).count();
        let from = spans.entered.len() - innermost;
        spans.recent = None;
        spans.entered.split_off(from)
    };
    for mut entry in spans(take).unwrap_or_default().into_iter().rev() {
        entry.guard.take().into_iter().for_each(bridge::detach);
        enter(key, data.clone());
    }
}
