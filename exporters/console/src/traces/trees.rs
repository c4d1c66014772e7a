//! The state that a trace exporter shares with a log exporter: the traces and records that wait, when they are printed, and the
//! output.
//!
//! The two exporters run on their own threads, and a record may arrive before or after its trace. Records therefore wait for their
//! trace, and a complete trace waits a little for its last records. A task prints what has waited long enough.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::trace::TraceId;
use telemark_sdk::config::Env;
use telemark_sdk::logs::SdkLogRecord;
use telemark_sdk::runtime::{Handle, Next, Runtime, Task, Wake};
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SpanData;
use telemark_sdk::{Batch, ExportError, Resource};

use super::held::Held;
use super::records::Records;
use super::render::{self, Look};
use crate::logs;
use crate::output::Output;
use crate::text::Canvas;

/// The time that a complete trace waits for its last records: a little more than the schedule delay of log records.
const GRACE: Duration = Duration::from_millis(1200);
/// The time between two looks at what waits.
const TICK: Duration = Duration::from_millis(200);
/// The time until the task runs by itself when nothing waits.
const IDLE: Duration = Duration::from_secs(3600);

/// The state of one output.
pub(crate) struct Trees {
    pub(crate) output: Output,
    pub(super) look: Look,
    pub(super) hold: Duration,
    held: Held,
    records: Records,
    /// The resource whose service was printed last.
    named: Option<Resource>,
    trace_exporters: usize,
    log_exporters: usize,
    /// Prints what has waited long enough. Exists once something waits for another exporter.
    timer: Option<Handle>,
    /// The first error since the last flush of what the task printed.
    failed: Option<ExportError>,
}

/// The exporters' reference to the state.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Trees>>);

/// Returns the state of standard output, which all of its exporters share.
pub(crate) fn shared_stdout(env: &Env) -> Shared {
    static STDOUT: Mutex<Weak<Mutex<Trees>>> = Mutex::new(Weak::new());
    let mut stdout = STDOUT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(trees) = stdout.upgrade() {
        return Shared(trees);
    }
    let shared = Shared::new(Output::for_stdout(env));
    *stdout = Arc::downgrade(&shared.0);
    shared
}

/// The kind of an exporter that uses the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Traces,
    Logs,
}

impl Shared {
    pub(crate) fn new(output: Output) -> Self {
        Shared(Arc::new(Mutex::new(Trees::new(output))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Trees> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers an exporter.
    pub(crate) fn join(&self, kind: Kind) {
        *self.lock().exporters(kind) += 1;
    }

    /// Removes an exporter. Without another one of its kind, nothing waits for it any more. The traces that the last trace exporter
    /// leaves behind still wait a little for records, because a program that ends shuts down its traces before its logs.
    pub(crate) fn leave(&self, kind: Kind) {
        let mut trees = self.lock();
        let exporters = trees.exporters(kind);
        *exporters = exporters.saturating_sub(1);
        if *exporters > 0 {
            return;
        }
        // The output has nobody to whom it could report an error.
        let _ = match kind {
            Kind::Traces if trees.has_both() => trees.flush_traces(),
            _ if trees.waits() => trees.print_all(),
            _ => Ok(()),
        };
        self.watch(&mut trees);
    }

    /// Adds spans, and prints what is ready.
    pub(super) fn add_spans(&self, batch: Batch<'_, Traces>) -> Result<(), ExportError> {
        let mut trees = self.lock();
        trees.name(batch.resource)?;
        let hold = trees.hold;
        trees.held.add(batch, hold);
        trees.print_ready()?;
        self.watch(&mut trees);
        Ok(())
    }

    /// Adds records, and prints what is ready.
    pub(crate) fn add_records<'a>(
        &self,
        records: impl Iterator<Item = &'a SdkLogRecord>,
        is_colored: bool,
    ) -> Result<(), ExportError> {
        let mut trees = self.lock();
        let wait = trees.hold.saturating_mul(2);
        let mut canvas = Canvas::new(is_colored);
        // A batch has the records of each thread one after the other.
        let mut records: Vec<_> = records.collect();
        records.sort_by_key(|record| logs::time(record));
        for record in records {
            let alone = match trees.expects_traces() {
                false => Some(record.clone()),
                true => trees.records.add(record.clone(), wait),
            };
            if let Some(record) = alone {
                logs::write_record(&mut canvas, &record);
            }
        }
        trees.output.write(canvas.as_str())?;
        trees.print_ready()?;
        self.watch(&mut trees);
        Ok(())
    }

    /// Wakes or starts the task if something waits, and stops it once nothing can.
    fn watch(&self, trees: &mut Trees) {
        if !trees.has_both() {
            trees.timer = None;
        }
        if !trees.has_both() || !trees.waits() {
            return;
        }
        if trees.timer.is_none() {
            // Without a thread, the next export prints what has waited long enough.
            trees.timer = Runtime::Thread.start("telemark-console", Timer(Arc::downgrade(&self.0))).ok();
        }
        if let Some(timer) = &trees.timer {
            timer.wake();
        }
    }
}

impl Trees {
    fn new(output: Output) -> Self {
        let look = Look { is_colored: output.is_colored(crate::Color::Auto), width: 100, shows_all: false };
        Trees {
            output,
            look,
            hold: Duration::from_secs(5),
            held: Held::default(),
            records: Records::default(),
            named: None,
            trace_exporters: 0,
            log_exporters: 0,
            timer: None,
            failed: None,
        }
    }

    fn exporters(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Traces => &mut self.trace_exporters,
            Kind::Logs => &mut self.log_exporters,
        }
    }

    /// Prints the service, if it differs from that of the traces above.
    fn name(&mut self, resource: &Resource) -> Result<(), ExportError> {
        if self.named.as_ref().is_some_and(|named| named.is_same(resource) || named == resource) {
            return Ok(());
        }
        // Waiting traces belong to the service printed before this one.
        let waiting = self.held.take_all();
        self.print(waiting)?;
        let gap = if self.named.is_some() { "\n" } else { "" };
        self.output.write(&format!("{gap}{}", render::service(resource, self.look)))?;
        self.named = Some(resource.clone());
        Ok(())
    }

    fn print_ready(&mut self) -> Result<(), ExportError> {
        let grace = if self.log_exporters > 0 { GRACE } else { Duration::ZERO };
        let ready = self.held.take_ready(grace);
        self.print(ready)?;
        let expired = if self.expects_traces() { self.records.take_expired() } else { self.records.take_all() };
        self.print_records(&expired)?;
        self.output.flush()
    }

    /// Prints all traces; if there is a log exporter, which is flushed later, leaves them to its flush, but not for long.
    pub(super) fn flush_traces(&mut self) -> Result<(), ExportError> {
        if self.log_exporters == 0 {
            return self.print_all();
        }
        self.held.wait_at_most(GRACE);
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Prints everything.
    pub(crate) fn print_all(&mut self) -> Result<(), ExportError> {
        let waiting = self.held.take_all();
        self.print(waiting)?;
        let left = self.records.take_all();
        self.print_records(&left)?;
        self.output.flush()?;
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Prints traces in the order in which they started.
    fn print(&mut self, mut traces: Vec<Vec<SpanData>>) -> Result<(), ExportError> {
        traces.sort_by_key(|spans| spans.iter().map(|span| span.start).min());
        for spans in traces {
            let id = spans.first().map_or(TraceId::INVALID, |span| span.context.trace_id());
            let records = self.records.take_for(id);
            self.output.write(&render::trace(&spans, &records, self.look))?;
        }
        Ok(())
    }

    fn print_records(&mut self, records: &[SdkLogRecord]) -> Result<(), ExportError> {
        let mut canvas = Canvas::new(self.look.is_colored);
        let mut records: Vec<_> = records.iter().collect();
        records.sort_by_key(|record| logs::time(record));
        records.into_iter().for_each(|record| logs::write_record(&mut canvas, record));
        self.output.write(canvas.as_str())
    }

    /// Returns true if a trace may still be printed, in which records would be.
    fn expects_traces(&self) -> bool {
        self.trace_exporters > 0 || !self.held.is_empty()
    }

    /// Returns true if traces and records may still meet.
    fn has_both(&self) -> bool {
        self.expects_traces() && self.log_exporters > 0
    }

    fn waits(&self) -> bool {
        !self.held.is_empty() || !self.records.is_empty()
    }
}

/// Prints what has waited long enough.
struct Timer(Weak<Mutex<Trees>>);

impl Task for Timer {
    fn first(&self) -> Duration {
        TICK
    }

    fn run(&mut self, _: Wake) -> Next {
        let Some(trees) = self.0.upgrade() else { return Next::After(IDLE) };
        let mut trees = trees.lock().unwrap_or_else(PoisonError::into_inner);
        // The next flush returns the error.
        if let Err(error) = trees.print_ready() {
            trees.failed.get_or_insert(error);
        }
        Next::After(if trees.waits() { TICK } else { IDLE })
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        Ok(())
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;

    /// Fails to flush this often.
    struct Broken(u32);

    impl Write for Broken {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            let fails = self.0 > 0;
            self.0 = self.0.saturating_sub(1);
            if fails { Err(io::Error::other(format!("{} more", self.0))) } else { Ok(()) }
        }
    }

    #[test]
    fn the_next_flush_returns_the_first_error_of_the_task_once() {
        for kind in [Kind::Traces, Kind::Logs] {
            let shared = Shared::new(Output::for_writer(Broken(2)));
            shared.join(Kind::Traces);
            shared.join(Kind::Logs);
            let mut timer = Timer(Arc::downgrade(&shared.0));
            for _ in 0..3 {
                timer.run(Wake::Timer);
            }
            let flush = || match kind {
                Kind::Traces => shared.lock().flush_traces(),
                Kind::Logs => shared.lock().print_all(),
            };
            let error = flush().map_err(|error| format!("{error:?}"));
            assert!(error.as_ref().is_err_and(|error| error.contains("1 more")), "{error:?}");
            assert!(flush().is_ok());
        }
    }
}
