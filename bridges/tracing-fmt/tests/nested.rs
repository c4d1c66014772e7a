//! Events that occur while other events are being formatted or written. Uses a global subscriber, because it receives
//! nested events.
#![allow(clippy::unwrap_used, reason = "test helpers")]

mod common;

use std::fmt;
use std::io::{self, Write};

use common::{Kept, layer};
use telemark_tracing_fmt::{Format, dropped_lines};
use tracing::field::Empty;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// A writer that logs when it is called.
#[derive(Clone, Default)]
struct Chatty(Kept);

impl Write for Chatty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        tracing::info!("from the writer");
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Chatty {
    type Writer = Chatty;

    fn make_writer(&'a self) -> Chatty {
        self.clone()
    }
}

/// A value that logs while it is being formatted. If `is_endless` is set, it logs itself.
struct Logs {
    is_endless: bool,
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_endless {
            true => tracing::info!(again = ?self, "endless"),
            false => tracing::info!("inner"),
        }
        f.write_str("logs")
    }
}

#[test]
fn nested_events_neither_deadlock_nor_recurse() {
    let writer = Chatty::default();
    let layer = layer(Format::Text, &writer.0).with_span_fields().with_writer(writer.clone());
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
    let lines = || {
        let lines = writer.0.lines();
        lines.lines().map(|line| line.split_once(" INFO nested: ").unwrap().1.to_owned()).collect::<Vec<_>>()
    };

    let before = dropped_lines();
    tracing::info!("outer");
    assert_eq!((&*lines(), dropped_lines() - before), (&["outer".to_owned()][..], 1), "that of the writer is dropped");

    tracing::info!(field = ?Logs { is_endless: false }, "outer");
    assert_eq!(lines(), ["inner", "outer field=logs"]);

    let span = tracing::info_span!("span", early = ?Logs { is_endless: false }, late = Empty).entered();
    span.record("late", tracing::field::debug(Logs { is_endless: false }));
    tracing::info!("within");
    assert_eq!(lines(), ["inner", "inner early=logs", "within early=logs late=logs"]);
    drop(span);

    tracing::info!(field = ?Logs { is_endless: true }, "outer");
    let written = lines();
    assert_eq!((written.len(), &*written[7]), (8, "outer field=logs"), "{written:?}");
}
