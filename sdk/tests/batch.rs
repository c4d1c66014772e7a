//! The batch and simple processors: when they export, what they drop, and how they shut down. No test waits for time to pass.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, InstrumentationScope};
use telemark_sdk::batch::{BatchConfig, BatchProcessor, SimpleProcessor};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Traces;
use telemark_sdk::testing::InMemoryExporter;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::{Scope, SpanData};
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource};

fn span(name: impl Into<String>) -> SpanData {
    let context = SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
    SpanData::new(context, name.into(), Scope::from(InstrumentationScope::builder("test").build()))
}

const SMALL: BatchConfig = BatchConfig::SPANS;

/// Creates a processor on a manual runtime, with a queue of 8 items and batches of 3.
fn manual(exporter: impl Exporter<Traces>) -> (BatchProcessor<Traces>, ManualRuntime) {
    let runtime = ManualRuntime::new();
    let config = SMALL.with_max_queue_size(8).with_max_batch_size(3);
    let processor =
        BatchProcessor::start(exporter, Resource::empty(), config, &Runtime::Manual(runtime.clone())).unwrap();
    (processor, runtime)
}

fn add(processor: &BatchProcessor<Traces>, count: usize) {
    (0..count).for_each(|n| processor.add(span(format!("{n}"))));
}

/// An exporter that returns the results that the test provides.
struct Scripted(Arc<Mutex<Vec<Result<ExportReport, ExportError>>>>);

impl Exporter<Traces> for Scripted {
    fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        self.0.lock().unwrap().remove(0)
    }
}

#[test]
fn a_full_batch_is_exported_at_once_and_the_rest_when_the_timer_fires() {
    let exporter = InMemoryExporter::new();
    let (processor, runtime) = manual(exporter.clone());
    add(&processor, 2);
    assert_eq!(runtime.run_woken(), 0, "two of three: nobody is woken");
    add(&processor, 5);
    assert_eq!(runtime.run_woken(), 1);
    assert_eq!(exporter.batches(), [3, 3]);
    runtime.run_timers();
    assert_eq!(exporter.batches(), [3, 3, 1]);
    runtime.run_timers();
    assert_eq!(exporter.batches(), [3, 3, 1], "an empty batch is not exported");
}

#[test]
fn a_full_queue_drops_what_is_new_and_counts_it() {
    let exporter = InMemoryExporter::new();
    let (processor, runtime) = manual(exporter.clone());
    add(&processor, 11);
    assert_eq!((processor.queued(), processor.health().dropped_queue_full), (8, 3));
    runtime.run_timers();
    let names: Vec<_> = exporter.items().iter().map(|span| span.name.to_string()).collect();
    assert_eq!(names, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    add(&processor, 8);
    assert_eq!(processor.health().dropped_queue_full, 3, "there is room again");
}

#[test]
fn what_is_being_exported_no_longer_takes_room_but_what_is_drained_does() {
    struct Refill(Sender<()>, Receiver<()>);
    impl Exporter<Traces> for Refill {
        fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
            self.0.send(()).unwrap();
            self.1.recv().unwrap();
            Ok(ExportReport::accepted())
        }
    }
    let ((started, exporting), (release, released)) = (channel(), channel());
    let config = SMALL.with_max_queue_size(6).with_max_batch_size(3);
    let processor =
        BatchProcessor::start(Refill(started, released), Resource::empty(), config, &Runtime::Thread).unwrap();
    add(&processor, 6);
    exporting.recv().unwrap();
    // Three items are being exported and three are queued.
    add(&processor, 4);
    assert_eq!(processor.health().dropped_queue_full, 1);
    drop(release);
    drop(exporting);
}

#[test]
fn every_end_of_an_export_is_counted() {
    let script = Arc::new(Mutex::new(vec![
        Ok(ExportReport::accepted()),
        Ok(ExportReport::partial(1, "too old").with_retries(2)),
        Err(ExportError::unavailable("down").with_retries(5)),
    ]));
    let (processor, runtime) = manual(Scripted(script));
    for _ in 0..3 {
        add(&processor, 2);
        runtime.run_timers();
    }
    let health = processor.health();
    assert_eq!((health.exported, health.rejected, health.failed, health.retries), (3, 1, 2, 7));
}

#[test]
fn an_exporter_that_panics_costs_its_batch_and_nothing_else() {
    struct Panics(bool);
    impl Exporter<Traces> for Panics {
        fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
            assert!(std::mem::take(&mut self.0), "on purpose");
            Ok(ExportReport::accepted())
        }

        fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
            panic!("on purpose");
        }
    }
    let (processor, runtime) = manual(Panics(true));
    add(&processor, 1);
    runtime.run_timers();
    add(&processor, 1);
    runtime.run_timers();
    assert_eq!((processor.health().exported, processor.health().failed), (1, 1));
    let error = processor.shutdown(Deadline::NEVER).unwrap_err();
    assert_eq!(error.to_string(), "the exporter panicked");
}

#[test]
fn a_flush_exports_everything_and_reports_the_first_failure() {
    let script = Arc::new(Mutex::new(vec![
        Err(ExportError::rejected("bad request")),
        Ok(ExportReport::accepted()),
        Ok(ExportReport::accepted()),
    ]));
    let (processor, _runtime) = manual(Scripted(script));
    add(&processor, 7);
    let error = processor.flush(Deadline::NEVER).unwrap_err();
    assert!(error.is_rejected());
    assert_eq!((processor.health().exported, processor.health().failed), (4, 3));
}

#[test]
fn a_flush_whose_deadline_has_passed_loses_nothing() {
    let exporter = InMemoryExporter::new();
    let (processor, _runtime) = manual(exporter.clone());
    add(&processor, 2);
    assert!(processor.flush(Deadline::after(Duration::ZERO)).unwrap_err().is_timeout());
    processor.flush(Deadline::NEVER).unwrap();
    assert_eq!(exporter.items().len(), 2);
}

/// Fails every export, and reports the calls that it receives.
struct Refuses(Sender<&'static str>);

impl Exporter<Traces> for Refuses {
    fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        self.0.send("export").unwrap();
        Err(ExportError::unavailable("down"))
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.0.send("flush").unwrap();
        Ok(())
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.0.send("shutdown").unwrap();
        Ok(())
    }
}

#[test]
fn a_flush_and_a_shutdown_flush_the_exporter_even_when_a_batch_was_lost() {
    let (sender, calls) = channel();
    let (processor, _runtime) = manual(Refuses(sender));
    add(&processor, 1);
    assert_eq!(processor.flush(Deadline::NEVER).unwrap_err().to_string(), "down");
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), ["export", "flush"]);
    add(&processor, 1);
    assert_eq!(processor.shutdown(Deadline::NEVER).unwrap_err().to_string(), "down");
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), ["export", "flush", "shutdown"]);
}

#[test]
fn shutdown_exports_counts_what_it_has_to_leave_and_refuses_what_comes_later() {
    let exporter = InMemoryExporter::new();
    let (processor, _runtime) = manual(exporter.clone());
    add(&processor, 4);
    processor.shutdown(Deadline::NEVER).unwrap();
    processor.shutdown(Deadline::NEVER).unwrap();
    add(&processor, 1);
    assert!(processor.flush(Deadline::NEVER).unwrap_err().is_shutdown());
    let health = processor.health();
    assert_eq!((health.exported, health.dropped_after_shutdown, exporter.shutdowns()), (4, 1, 1));

    let (hurried, _runtime) = manual(InMemoryExporter::new());
    add(&hurried, 4);
    assert!(hurried.shutdown(Deadline::after(Duration::ZERO)).unwrap_err().is_timeout());
    assert_eq!(hurried.health().failed, 4);
}

#[test]
fn the_export_timeout_reaches_the_exporter() {
    struct Asserts(Sender<Option<Duration>>);
    impl Exporter<Traces> for Asserts {
        fn export(&mut self, _: Batch<'_, Traces>, deadline: Deadline) -> Result<ExportReport, ExportError> {
            self.0.send(deadline.remaining()).unwrap();
            Ok(ExportReport::accepted())
        }
    }
    let check = |timeout: Duration, within: fn(Option<Duration>) -> bool| {
        let (sent, seen) = channel();
        let runtime = ManualRuntime::new();
        let config = SMALL.with_export_timeout(timeout);
        let processor =
            BatchProcessor::start(Asserts(sent), Resource::empty(), config, &Runtime::Manual(runtime)).unwrap();
        add(&processor, 1);
        processor.flush(Deadline::NEVER).unwrap();
        let remaining = seen.recv().unwrap();
        assert!(within(remaining), "{timeout:?}: {remaining:?}");
    };
    check(Duration::from_secs(7), |left| left.is_some_and(|left| left <= Duration::from_secs(7)));
    check(Duration::MAX, |left| left.is_none());
}

#[test]
fn telemetry_is_suppressed_and_the_resource_travels_with_the_batch() {
    struct Looks(Sender<(bool, usize)>);
    impl Exporter<Traces> for Looks {
        fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
            let suppressed = Context::is_current_telemetry_suppressed();
            self.0.send((suppressed, batch.resource.iter().count())).unwrap();
            Ok(ExportReport::accepted())
        }
    }
    let (sent, seen) = channel();
    let resource = Resource::new([opentelemetry::KeyValue::new("service.name", "s")]);
    let processor = BatchProcessor::start(Looks(sent), resource, SMALL, &Runtime::Thread).unwrap();
    add(&processor, 1);
    processor.flush(Deadline::NEVER).unwrap();
    assert_eq!(seen.recv().unwrap(), (true, 1));
}

#[test]
fn the_exporter_is_dropped_on_the_thread_it_worked_on() {
    struct Homesick(Sender<(&'static str, std::thread::ThreadId)>);
    impl Exporter<Traces> for Homesick {
        fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
            self.0.send(("export", std::thread::current().id())).unwrap();
            Ok(ExportReport::accepted())
        }
    }
    impl Drop for Homesick {
        fn drop(&mut self) {
            self.0.send(("drop", std::thread::current().id())).unwrap();
        }
    }
    let (sent, seen) = channel();
    let processor = BatchProcessor::start(Homesick(sent), Resource::empty(), SMALL, &Runtime::Thread).unwrap();
    add(&processor, 1);
    processor.shutdown(Deadline::NEVER).unwrap();
    let seen: Vec<_> = seen.iter().collect();
    assert_eq!((seen[0].0, seen[1].0), ("export", "drop"));
    assert_eq!(seen[0].1, seen[1].1);
    assert_ne!(seen[0].1, std::thread::current().id());
}

#[test]
fn a_simple_processor_exports_each_item_before_it_returns() {
    let exporter = InMemoryExporter::<Traces>::new();
    let processor = SimpleProcessor::start(exporter.clone(), Resource::empty(), &Runtime::Thread).unwrap();
    for expected in 1..=3 {
        processor.add(span("s"));
        assert_eq!(exporter.items().len(), expected);
    }
    assert_eq!(exporter.batches(), [1, 1, 1]);
    processor.shutdown(Deadline::NEVER).unwrap();
    processor.add(span("late"));
    assert_eq!((processor.health().exported, processor.health().dropped_after_shutdown), (3, 1));
}

/// Every created span is either exported or counted as dropped, regardless of concurrent flushes.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test of several threads")]
fn many_threads_a_small_queue_flushes_and_a_shutdown() {
    const THREADS: usize = 4;
    const EACH: usize = 5000;
    let exporter = InMemoryExporter::<Traces>::new();
    let config = SMALL.with_max_queue_size(100).with_max_batch_size(40);
    let processor = BatchProcessor::start(exporter.clone(), Resource::empty(), config, &Runtime::Thread).unwrap();
    std::thread::scope(|scope| {
        let producers: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| add(&processor, EACH))).collect();
        scope.spawn(|| (0..20).for_each(|_| processor.flush(Deadline::NEVER).unwrap()));
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
    processor.shutdown(Deadline::NEVER).unwrap();
    let health = processor.health();
    assert_eq!(health.exported + health.dropped_queue_full, (THREADS * EACH) as u64);
    assert_eq!(health.exported, exporter.items().len() as u64);
    assert!(exporter.batches().iter().all(|&size| size <= 40));
}

/// An unreachable receiver must not delay the end of the program by a timeout for each batch.
#[test]
fn a_shutdown_comes_between_two_batches() {
    struct Slow(Sender<()>, Receiver<()>);
    impl Exporter<Traces> for Slow {
        fn export(&mut self, _: Batch<'_, Traces>, deadline: Deadline) -> Result<ExportReport, ExportError> {
            // During a run, the export timeout applies. During shutdown, the shutdown deadline applies, which has
            // already passed.
            if deadline.has_passed() {
                return Err(ExportError::timeout("too late"));
            }
            self.0.send(()).unwrap();
            let _ = self.1.recv();
            Ok(ExportReport::accepted())
        }
    }
    let ((started, exporting), (release, released)) = (channel(), channel::<()>());
    let config = SMALL.with_max_queue_size(9).with_max_batch_size(3);
    let processor =
        BatchProcessor::start(Slow(started, released), Resource::empty(), config, &Runtime::Thread).unwrap();
    add(&processor, 9);
    exporting.recv().unwrap();
    std::thread::scope(|scope| {
        #[allow(clippy::disallowed_methods, reason = "a caller of shutdown while the worker exports")]
        let waiting = scope.spawn(|| processor.shutdown(Deadline::after(Duration::from_millis(20))));
        assert!(waiting.join().unwrap().unwrap_err().is_timeout());
        drop(release);
    });
    // The worker ends on its own: it exports the batch in progress, and drops and counts the other two items.
    while processor.health().failed < 6 {
        std::thread::yield_now();
    }
    assert_eq!((processor.health().exported, processor.health().failed), (3, 6));
}
