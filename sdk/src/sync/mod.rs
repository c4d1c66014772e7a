//! What threads share, in one place so that loom can replace it.
//!
//! | file | owns |
//! |---|---|
//! | `latch` | a lock for what takes a few nanoseconds |
//! | `lock` | locking, whatever happened to the last holder |
//! | `thread_index` | a small number for each thread, given to another one when it has ended |

mod latch;
mod lock;
mod thread_index;

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

pub(crate) use latch::Latch;
pub(crate) use lock::{lock, try_lock, unpoisoned};
pub(crate) use thread_index::thread_index;
