//! The benchmarks' global allocator: the system allocator, plus a counter that a single thread can enable for itself.
#![allow(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

/// The allocations made by one thread.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

/// Counts the calling thread's allocations and reallocations while `work` runs.
pub(crate) fn count(work: impl FnOnce()) -> Count {
    COUNT.set(Count::default());
    // In the scenarios that measure time, this allocator costs only one relaxed load per allocation.
    COUNTING.store(true, Ordering::SeqCst);
    ENABLED.set(true);
    work();
    ENABLED.set(false);
    COUNTING.store(false, Ordering::SeqCst);
    COUNT.get()
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTING: AtomicBool = AtomicBool::new(false);

thread_local! {
    static ENABLED: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<Count> = const { Cell::new(Count { calls: 0, bytes: 0 }) };
}

struct Counting;

impl Counting {
    fn note(size: usize) {
        if COUNTING.load(Ordering::Relaxed) && ENABLED.try_with(Cell::get).unwrap_or(false) {
            let Count { calls, bytes } = COUNT.get();
            COUNT.set(Count { calls: calls + 1, bytes: bytes + size as u64 });
        }
    }
}

// SAFETY: every call is forwarded unchanged to the system allocator, and counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(layout.size());
        // SAFETY: the caller's promises are those that the system allocator wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::note(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
