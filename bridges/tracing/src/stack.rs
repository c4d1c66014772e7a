//! The spans that are entered on this thread, and the guards that keep their contexts current.
//!
//! Exits do not have to be in the reverse order of the entries. A guard is never dropped while the stack is borrowed,
//! because
//! dropping a context may end a span and call processors, which may use `tracing`.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering};

use opentelemetry::{Context, ContextGuard};
use telemark_sdk::instrument::bridge;
use telemark_sdk::time::{Clock, Timestamp};

/// A span of one layer; ids of different registries may be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) layer: usize,
    pub(crate) span: u64,
}

struct Entry {
    key: Key,
    guard: Option<ContextGuard>,
    clock: Clock,
    /// True if a child is known to have started within this entry.
    has_child: bool,
}

#[derive(Default)]
struct Stack(RefCell<Vec<Entry>>);

impl Drop for Stack {
    fn drop(&mut self) {
        self.0.take().into_iter().rev().filter_map(|entry| entry.guard).for_each(bridge::detach);
    }
}

thread_local!(static STACK: Stack = Stack::default());

/// Makes the context of a span current.
#[inline]
pub(crate) fn enter(key: Key, context: &Context, clock: Clock) {
    // The API's own thread-local exists from here on and is therefore destroyed after the stack.
    let Some(guard) = bridge::attach(context) else { return };
    let mut entry = Some(Entry { key, guard: Some(guard), clock, has_child: false });
    let _ = STACK.try_with(|stack| stack.0.borrow_mut().extend(entry.take()));
    // The stack is gone at thread exit: nothing would leave the span.
    entry.and_then(|entry| entry.guard).into_iter().for_each(bridge::detach);
}

/// An exit: its time, and whether a child started since the entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    pub(crate) time: Timestamp,
    pub(crate) has_child: bool,
}

/// Leaves a span. Does nothing if it is not entered on this thread.
#[inline]
pub(crate) fn exit(key: Key) -> Option<Exit> {
    let remove = |stack: &Stack| {
        let mut entries = stack.0.borrow_mut();
        let at = entries.iter().rposition(|entry| entry.key == key)?;
        Some(entries.remove(at))
    };
    let Entry { guard, clock, has_child, .. } = STACK.try_with(remove).ok().flatten()?;
    let time = clock.now();
    guard.into_iter().for_each(bridge::detach);
    Some(Exit { time, has_child })
}

/// Changes whenever a span is closed before another thread has exited it.
static CLOSED_ELSEWHERE: AtomicU32 = AtomicU32::new(0);

thread_local!(static FORGOTTEN: Cell<u32> = const { Cell::new(0) });

/// Records that a span was closed before another thread has exited it.
pub(crate) fn closed_elsewhere() {
    CLOSED_ELSEWHERE.fetch_add(1, Ordering::Release);
}

/// Leaves the spans of a layer that no longer exist, if any was closed elsewhere.
#[inline]
pub(crate) fn forget_closed(layer: usize, exists: impl Fn(u64) -> bool) {
    let now = CLOSED_ELSEWHERE.load(Ordering::Acquire);
    if now != FORGOTTEN.get() {
        FORGOTTEN.set(now);
        forget(layer, exists);
    }
}

#[cold]
fn forget(layer: usize, exists: impl Fn(u64) -> bool) {
    let is_open = |entry: &Entry| entry.key.layer != layer || exists(entry.key.span);
    let take = |stack: &Stack| {
        let (open, closed): (Vec<_>, Vec<_>) = stack.0.take().into_iter().partition(is_open);
        stack.0.replace(open);
        closed
    };
    let closed = STACK.try_with(take).unwrap_or_default();
    closed.into_iter().rev().filter_map(|entry| entry.guard).for_each(bridge::detach);
}

/// Notes that a child starts in the innermost span of this thread.
#[inline]
pub(crate) fn note_child(layer: usize) {
    let note = |stack: &Stack| {
        if let Some(top) = stack.0.borrow_mut().last_mut().filter(|entry| entry.key.layer == layer) {
            top.has_child = true;
        }
    };
    let _ = STACK.try_with(note);
}

/// Returns true if a child is known to have started within the span while it was entered on this thread.
pub(crate) fn has_child(key: Key) -> bool {
    let has = |stack: &Stack| stack.0.borrow().iter().any(|entry| entry.key == key && entry.has_child);
    STACK.try_with(has).unwrap_or(false)
}

/// Returns true if the span is entered on this thread.
pub(crate) fn is_entered(key: Key) -> bool {
    STACK.try_with(|stack| stack.0.borrow().iter().any(|entry| entry.key == key)).unwrap_or(false)
}

/// Replaces a span's current context with its new one, if the span is the innermost span on this thread.
pub(crate) fn replace(key: Key, context: &Context) {
    let take = |stack: &Stack| {
        let mut entries = stack.0.borrow_mut();
        let innermost = entries.iter().rev().take_while(|entry| entry.key == key).count();
        let from = entries.len() - innermost;
        entries.split_off(from)
    };
    for mut entry in STACK.try_with(take).unwrap_or_default().into_iter().rev() {
        entry.guard.take().into_iter().for_each(bridge::detach);
        enter(key, context, entry.clock);
    }
}
