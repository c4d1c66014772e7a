//! The phases of a new connection, as events of the span of the request that waits for it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::SystemTime;

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};
use pin_project_lite::pin_project;
use telemark_kit::{Clock, guarded, is_current, keys, lock};

use crate::client::current;
use crate::client::failure::io_error_type;

/// The number of phases that may be nested, in case a connector wraps itself.
const MAX_PENDING: usize = 8;

/// The error of a connector or a resolver.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A phase of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionPhase {
    /// The name of the host is resolved.
    Dns,
    /// The connection is established. Phases inside of it count for themselves.
    Connect,
    /// The TLS session is established, by a connector around the one that connects.
    Tls,
}

impl ConnectionPhase {
    /// Returns the name of the event.
    fn event(self) -> &'static str {
        match self {
            ConnectionPhase::Dns => "telemark.dns",
            ConnectionPhase::Connect => "telemark.connect",
            ConnectionPhase::Tls => "telemark.tls",
        }
    }

    /// Returns `error.type` for a failure that the operating system does not name.
    fn error_type(self) -> &'static str {
        match self {
            ConnectionPhase::Dns => "dns",
            ConnectionPhase::Connect => "connect",
            ConnectionPhase::Tls => "tls",
        }
    }
}

/// The phases of one call. Its presence in a context asks connectors for their phases.
#[derive(Clone, Debug)]
pub(crate) struct PhaseLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The end of the last phase. A phase around it begins there, so that their durations add up.
    ended: Option<SystemTime>,
    /// The number of phases that failed or were cut off. The failure of a phase is also that of the phases around it.
    failures: u32,
    /// The phases that have begun, from the outermost to the innermost.
    pending: Vec<(ConnectionPhase, SystemTime)>,
}

/// The end of a phase.
#[derive(Clone, Copy)]
enum End {
    Connected,
    Failed(&'static str),
    CutOff,
}

impl PhaseLog {
    pub(crate) fn new(clock: Clock) -> Self {
        PhaseLog(Arc::new(Inner { clock, state: Mutex::default() }))
    }

    /// Records the phase that a call still waits for when it ends without a response. `ended` is the end of the call, or `None`
    /// if the tracer dates it.
    pub(crate) fn cut_off(&self, context: &Context, ended: Option<SystemTime>) {
        // Not locked while the span records the event: processors are user code.
        let pending = std::mem::take(&mut lock(&self.0.state).pending).pop();
        if let Some((phase, started)) = pending {
            self.record(context, phase, started, ended, End::CutOff);
        }
    }

    /// Records the end of a phase at the given time, or else now.
    fn record(
        &self,
        context: &Context,
        phase: ConnectionPhase,
        started: SystemTime,
        ended: Option<SystemTime>,
        end: End,
    ) {
        // The clock is user code.
        let now = ended.unwrap_or_else(|| self.0.clock.now());
        let started = {
            let mut state = lock(&self.0.state);
            let started = state.ended.map_or(started, |ended| ended.max(started));
            state.ended = Some(now);
            started
        };
        let seconds = now.duration_since(started).unwrap_or_default().as_secs_f64();
        let mut attributes = vec![KeyValue::new(keys::TELEMARK_PHASE_DURATION, seconds)];
        match end {
            End::Connected => {}
            End::Failed(error_type) => attributes.push(KeyValue::new(keys::ERROR_TYPE, error_type)),
            End::CutOff => attributes.push(KeyValue::new(keys::TELEMARK_OUTCOME, "cancelled")),
        }
        context.span().add_event_with_timestamp(phase.event(), now, attributes);
    }
}

/// The start of a phase.
struct Started {
    phase: ConnectionPhase,
    at: SystemTime,
    failures: u32,
    log: PhaseLog,
    context: Context,
}

impl Started {
    /// Returns `None` unless this thread polls a call that asks for phases.
    fn now(phase: ConnectionPhase) -> Option<Self> {
        let asks = |context: &Context| context.get::<PhaseLog>().is_some();
        // The API panics if the thread is ending and its context has been destroyed, and the clock is user code.
        let started = guarded(|| {
            if !(Context::map_current(asks) && current::is_in_call()) {
                return None;
            }
            let context = Context::current();
            let log = context.get::<PhaseLog>()?.clone();
            let at = log.0.clock.now();
            let failures = {
                let mut state = lock(&log.0.state);
                if state.pending.len() >= MAX_PENDING {
                    return None;
                }
                state.pending.push((phase, at));
                state.failures
            };
            Some(Started { phase, at, failures, log, context })
        });
        started.flatten()
    }

    /// Removes the phase from those that the call waits for. Returns false if it was not among them.
    fn leave(&self) -> bool {
        let mut state = lock(&self.log.0.state);
        let place = state.pending.iter().rposition(|(phase, at)| (*phase, *at) == (self.phase, self.at));
        place.map(|place| state.pending.remove(place)).is_some()
    }

    fn end(&self, end: End) {
        let waits = self.leave();
        // The request may use another connection that became available first.
        if !waits || !is_current(&self.context) {
            return;
        }
        if !matches!(end, End::Connected) {
            let mut state = lock(&self.log.0.state);
            if state.failures != self.failures {
                return;
            }
            state.failures = state.failures.saturating_add(1);
        }
        self.log.record(&self.context, self.phase, self.at, None, end);
    }
}

/// A phase that may have begun; cut off if it is dropped before its end.
struct Timer(Option<Started>);

impl Timer {
    fn end(&mut self, error: Option<&(dyn Error + 'static)>) {
        let Some(started) = self.0.take() else { return };
        guarded(|| {
            let end = match error {
                None => End::Connected,
                Some(error) => End::Failed(io_error_type(error).unwrap_or(started.phase.error_type())),
            };
            started.end(end);
        });
    }

    /// Forgets a phase that continues without the request, which uses another connection.
    fn check(&mut self) {
        let continues = |started: &Started| guarded(|| is_current(&started.context)).unwrap_or_default();
        if self.0.as_ref().is_some_and(|started| !continues(started)) {
            if let Some(started) = self.0.take() {
                started.leave();
            }
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(started) = self.0.take() {
            guarded(|| started.end(End::CutOff));
        }
    }
}

pin_project! {
    /// The future of a connector or a resolver, whose work is a phase of the request that waits for it.
    ///
    /// Records an event on the span of the request, if [`ClientConfig::with_connection_phases`] asks for it. A future that is
    /// polled elsewhere, because the request uses another connection, records nothing.
    ///
    /// [`ClientConfig::with_connection_phases`]: crate::ClientConfig::with_connection_phases
    pub struct PhaseFuture<F> {
        #[pin]
        inner: F,
        timer: Timer,
    }
}

impl<F> PhaseFuture<F> {
    /// Begins the phase if `begins` is true and this thread polls a call that asks for phases, and calls `start`, which returns
    /// the future.
    pub fn new(phase: ConnectionPhase, begins: bool, start: impl FnOnce() -> F) -> Self {
        let timer = Timer(begins.then(|| Started::now(phase)).flatten());
        PhaseFuture { inner: start(), timer }
    }
}

impl<F, T, E> Future for PhaseFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.timer.check();
        let result = ready!(this.inner.poll(cx)).map_err(Into::into);
        this.timer.end(result.as_ref().err().map(|error| &**error as &(dyn Error + 'static)));
        Poll::Ready(result)
    }
}

impl<F> fmt::Debug for PhaseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.timer.0.as_ref().map(|started| started.phase);
        f.debug_struct("PhaseFuture").field("phase", &phase).finish_non_exhaustive()
    }
}
