//! Writers that fail, panic, log or accept only part of a line, and events within events.
#![allow(clippy::unwrap_used, reason = "test helpers")]

mod common;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use common::{Kept, layer};
use telemark_tracing_fmt::{Format, LineLayer, dropped_lines};
use tracing::field::Empty;
use tracing::subscriber::with_default;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// The lock that makes tests of the global counter run one after another.
static COUNTER: Mutex<()> = Mutex::new(());

/// Runs `run` with a writer that calls `write`. Returns the number of dropped lines.
fn dropped(write: impl Fn(&[u8]) -> io::Result<usize> + Send + Sync + 'static, run: impl FnOnce()) -> u64 {
    struct Writer<F>(Arc<F>);
    impl<F: Fn(&[u8]) -> io::Result<usize>> Write for Writer<F> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    struct Make<F>(Arc<F>);
    impl<'a, F: Fn(&[u8]) -> io::Result<usize>> MakeWriter<'a> for Make<F> {
        type Writer = Writer<F>;
        fn make_writer(&'a self) -> Writer<F> {
            Writer(Arc::clone(&self.0))
        }
    }
    let layer = LineLayer::new(Format::Text).with_writer(Make(Arc::new(write)));
    let before = dropped_lines();
    with_default(tracing_subscriber::registry().with(layer), run);
    dropped_lines() - before
}

#[test]
fn lines_that_cannot_be_written_are_dropped_and_counted() {
    let _turn = COUNTER.lock().unwrap();
    let two = || (0..2).for_each(|_| tracing::info!("placed"));
    assert_eq!(dropped(|bytes| Ok(bytes.len()), two), 0);
    assert_eq!(dropped(|_| Err(io::ErrorKind::BrokenPipe.into()), two), 2);
    assert_eq!(dropped(|_| Ok(0), two), 2);
    assert_eq!(dropped(|_| panic!("planted"), two), 2);
    assert_eq!(dropped(|bytes| Ok(bytes.len() + 1), two), 0, "a writer that counts wrongly");
}

#[test]
fn a_line_that_was_torn_is_ended_before_the_next() {
    let _turn = COUNTER.lock().unwrap();
    let written = Arc::new(Mutex::new(Vec::new()));
    let (to, calls) = (Arc::clone(&written), Mutex::new(0));
    let partly = move |bytes: &[u8]| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        match *calls {
            1 => Err(io::ErrorKind::Interrupted.into()),
            2 => {
                to.lock().unwrap().extend_from_slice(&bytes[..7]);
                Ok(7)
            }
            3 => Err(io::ErrorKind::WouldBlock.into()),
            _ => {
                to.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    };
    let lost = dropped(partly, || {
        tracing::info!("first");
        tracing::info!("second");
        tracing::info!("third");
    });
    let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = written.lines().collect();
    assert_eq!((lost, lines.len(), lines[0].len()), (1, 3, 7), "{written}");
    assert!(lines[1].ends_with("second") && lines[2].ends_with("third"), "{written}");
}

#[test]
fn a_panic_while_a_field_is_formatted_costs_only_the_value() {
    struct Bomb;
    impl fmt::Debug for Bomb {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("planted")
        }
    }
    let kept = Kept::default();
    with_default(tracing_subscriber::registry().with(layer(Format::Text, &kept).with_span_fields()), || {
        let span = tracing::info_span!("span", early = ?Bomb, late = Empty).entered();
        span.record("late", tracing::field::debug(Bomb));
        tracing::info!(bomb = ?Bomb, after = 1, "{:?}", Bomb);
        tracing::info!("next");
    });
    let lines = kept.lines();
    let fields = "early=<panicked> late=<panicked>\n";
    assert!(lines.contains(&format!(": <panicked> bomb=<panicked> after=1 {fields}")), "{lines}");
    assert!(lines.ends_with(&format!("next {fields}")), "{lines}");
}
