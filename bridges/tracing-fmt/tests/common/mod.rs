//! A writer that keeps everything written to it, and a fixed clock.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use telemark_sdk::time::{Clock, TimeSource, Timestamp};
use telemark_tracing_fmt::{Format, LineLayer};
use tracing_subscriber::fmt::MakeWriter;

/// Keeps each write separately.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);

impl Kept {
    /// Takes everything written so far. Asserts that each write was exactly one line.
    pub(crate) fn lines(&self) -> String {
        let writes = std::mem::take(&mut *self.0.lock().unwrap());
        for write in &writes {
            assert_eq!(write.iter().filter(|&&byte| byte == b'\n').count(), 1, "{}", String::from_utf8_lossy(write));
            assert_eq!(write.last(), Some(&b'\n'));
        }
        String::from_utf8(writes.concat()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Kept;

    fn make_writer(&'a self) -> Kept {
        self.clone()
    }
}

struct Still;

impl TimeSource for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(1_795_974_300_123_456_789)
    }
}

/// Returns a layer that writes into `kept` at a fixed time.
pub(crate) fn layer(format: Format, kept: &Kept) -> LineLayer<Kept> {
    LineLayer::new(format).with_clock(Clock::from_source(Still)).with_writer(kept.clone())
}
