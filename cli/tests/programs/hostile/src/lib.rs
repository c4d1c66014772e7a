//! What makes it hard to rewrite a source.
#![deny(warnings, missing_docs, unused, nonstandard_style, future_incompatible, rust_2018_idioms, unreachable_pub)]
#![deny(unused_qualifications, unused_results, trivial_casts, single_use_lifetimes)]
#![forbid(unsafe_op_in_unsafe_fn)]

mod carriage;
mod marked;
#[path = "elsewhere/named.rs"]
mod named_otherwise;
#[cfg(windows)]
mod absent;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// A type with the name of another.
#[derive(Debug, PartialEq)]
pub struct Result(pub u32);

/// Returns no `Result` of the standard library.
pub async fn own_result() -> Result {
    let value = carriage::one().await;
    Result(value)
}

/// A trait whose methods return futures.
pub trait Load {
    /// Loads.
    fn load(&self) -> impl Future<Output = u32> + Send;
    /// Loads twice.
    fn twice(&self) -> impl Future<Output = u32> + Send
    where
        Self: Sync,
    {
        async { self.load().await * 2 }
    }
}

/// A trait whose methods return boxes.
#[async_trait::async_trait]
pub trait Store {
    /// Stores.
    async fn store<'a>(&'a mut self, text: &'a str) -> &'a str;
}

/// A disk.
#[derive(Debug)]
pub struct Disk;

impl Load for Disk {
    async fn load(&self) -> u32 {
        let value = marked::two().await;
        value + 1
    }
}

#[async_trait::async_trait]
impl Store for Disk {
    async fn store<'a>(&'a mut self, text: &'a str) -> &'a str {
        let _ = named_otherwise::three().await;
        text
    }
}

/// Calls C.
pub async fn of_c(text: &std::ffi::CStr) -> usize {
    unsafe extern "C" {
        safe fn strlen(text: *const std::ffi::c_char) -> usize;
    }
    let length = strlen(text.as_ptr());
    length + 1
}

/// Is called by C.
#[unsafe(no_mangle)]
pub extern "C" fn hostile_callback(value: u32) -> u32 {
    let next = value + 1;
    next * 2
}

/// Reads what is not its own.
///
/// # Safety
/// The pointer must be valid.
pub async unsafe fn read(pointer: *const u32) -> u32 {
    let value = unsafe { pointer.read() };
    value + 1
}

macro_rules! define {
    ($name:ident) => {
        /// Is defined by a macro.
        pub async fn $name() -> u32 {
            let value = 7;
            value + 1
        }
    };
}
define!(defined);

/// Polls until ready.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future: Pin<&mut _> = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_works() {
        assert_eq!(block_on(own_result()), Result(1));
        assert_eq!(block_on(Disk.twice()), 6);
        assert_eq!(block_on(Disk.store("a")), "a");
        assert_eq!(block_on(of_c(c"abc")), 4);
        assert_eq!(hostile_callback(1), 4);
        assert_eq!(block_on(unsafe { read(&3) }), 4);
        assert_eq!(block_on(defined()), 8);
    }

    #[test]
    fn lines_are_those_of_the_source() {
        let place = std::panic::Location::caller();
        assert_eq!((place.file(), place.line(), line!()), ("hostile/src/lib.rs", 129, 130));
    }
}
