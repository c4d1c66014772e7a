//! Locks and atomics, kept in one place so that loom can replace them.
//!
//! | file | owns |
//! |---|---|
//! | `latch` | a lock for critical sections that last a few nanoseconds |
//! | `live` | a value that is replaced while other threads use it |
//! | `lock` | locking that ignores poison |
//! | `shared` | a reference that is counted at first, and static once its value lives as long as the program |
//! | `thread_index` | a small number for each thread, reused after the thread ends |

mod latch;
mod live;
mod lock;
mod shared;
mod thread_index;

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicIsize, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicIsize, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};

pub(crate) use latch::{Latch, pause};
pub(crate) use live::{Kept, Live, Slot};
pub use lock::free;
pub(crate) use lock::{lock, try_lock, unpoisoned};
pub(crate) use shared::Shared;
pub(crate) use thread_index::{ready_thread_index, set_ready, thread_index};
