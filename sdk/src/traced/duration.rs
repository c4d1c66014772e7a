//! The durations of `#[traced(metrics)]` functions: one measurement a call, sampled or not, made in its span.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use opentelemetry::metrics::{BoundHistogram, Histogram, MeterProvider};
use opentelemetry::{Context, KeyValue};

use super::entered::Entered;
use super::live::Live;
use crate::context;
use crate::metrics::SdkMeterProvider;
use crate::metrics::active::{self, Found};
use crate::runtime::is_background;
use crate::time::{Clock, Timestamp};
use crate::trace::{self, CallSite};

/// Name of the histogram. `telemark.` is our own namespace: `code.` and unprefixed names belong to the semantic conventions.
///
/// spec: semantic-conventions general/naming.md#recommendations-for-application-developers
const NAME: &str = "telemark.function.duration";

/// Seconds, from a function that only computes to one that waits for others.
const BOUNDARIES: [f64; 14] = [0.00001, 0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How long the calls of one function take. One `static` per `#[traced(metrics)]` function.
#[derive(Debug)]
pub struct Durations {
    call_site: &'static CallSite,
    /// For the installed provider.
    installed: OnceLock<Recorder>,
}

impl Durations {
    /// The durations of the function at `call_site`.
    pub const fn new(call_site: &'static CallSite) -> Self {
        Durations { call_site, installed: OnceLock::new() }
    }

    /// Starts to measure a call that runs in the span of `live`, if it has one. One relaxed load when no meter provider is
    /// installed.
    #[inline]
    pub(super) fn start(&'static self, live: Option<&Live>) -> Timing {
        if !active::is_installed() {
            return Timing(None);
        }
        self.start_installed(live)
    }

    #[inline(never)]
    fn start_installed(&'static self, live: Option<&Live>) -> Timing {
        let recorder = match live {
            Some(live) => self.recorder(live.context()),
            None => context::look(measured).flatten().and_then(|found| self.of(found)),
        };
        Timing(recorder.map(|recorder| {
            // The clocks of a tracer and a meter provider that are installed together are one.
            let has_one_clock = recorder.is_installed() && trace::active::only_installed().is_some();
            let of_span = live.filter(|_| has_one_clock).and_then(Live::started);
            Running {
                start: of_span.unwrap_or_else(|| recorder.get().clock.now()),
                is_of_span: of_span.is_some(),
                recorder,
            }
        }))
    }

    #[inline]
    fn recorder(&'static self, context: &Context) -> Option<Either> {
        active::find(context).and_then(|found| self.of(found))
    }

    #[inline]
    fn of(&'static self, found: Found) -> Option<Either> {
        match (found, self.installed.get()) {
            (Found::Installed(_), Some(known)) => Some(Either::Installed(known)),
            (Found::Installed(provider), None) => self.connect(provider),
            (Found::InContext(provider), _) => self.make(&provider).map(|made| Either::OfTest(Box::new(made))),
        }
    }

    #[cold]
    fn connect(&'static self, provider: &SdkMeterProvider) -> Option<Either> {
        // Made outside of the lock: a reservoir of the user's may call this very function.
        drop(self.installed.set(self.make(provider)?));
        self.installed.get().map(Either::Installed)
    }

    #[cold]
    fn make(&self, provider: &SdkMeterProvider) -> Option<Recorder> {
        catch_unwind(AssertUnwindSafe(|| Recorder::new(self.call_site, provider))).ok()
    }
}

/// The provider for a call without a span of its own, if that is to be measured: like spans, nothing is measured where
/// telemetry is suppressed, and on our own threads.
fn measured(current: &Context) -> Option<Found> {
    let is_silent = current.is_telemetry_suppressed() || is_background();
    (!is_silent).then(|| active::find(current)).flatten()
}

/// A function's histogram on one provider.
#[derive(Debug)]
struct Recorder {
    clock: Clock,
    /// Nearly all calls: their series is known.
    returned: BoundHistogram<f64>,
    histogram: Histogram<f64>,
    function: KeyValue,
}

impl Recorder {
    fn new(call_site: &CallSite, provider: &SdkMeterProvider) -> Self {
        let [function, ..] = call_site.attributes();
        let histogram = provider
            .meter_with_scope(call_site.scope().clone())
            .f64_histogram(NAME)
            .with_unit("s")
            .with_description("Duration of calls of a function.")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        let returned = histogram.bind(std::slice::from_ref(function));
        Recorder { clock: provider.clock().clone(), returned, histogram, function: function.clone() }
    }

    #[inline]
    fn record(&self, seconds: f64, end: End) {
        match end {
            End::Returned => self.returned.record(seconds),
            unusual => self.record_unusual(seconds, unusual),
        }
    }

    #[cold]
    fn record_unusual(&self, seconds: f64, end: End) {
        let function = self.function.clone();
        let error_type = |name| KeyValue::new("error.type", name);
        let outcome = |name| KeyValue::new("telemark.outcome", name);
        match end {
            End::Returned => self.returned.record(seconds),
            End::Failed(name) => self.histogram.record(seconds, &[function, error_type(name)]),
            End::Panicked => self.histogram.record(seconds, &[function, error_type("panic"), outcome("panicked")]),
            End::Cancelled => self.histogram.record(seconds, &[function, outcome("cancelled")]),
        }
    }
}

#[derive(Debug)]
enum Either {
    Installed(&'static Recorder),
    OfTest(Box<Recorder>),
}

impl Either {
    #[inline]
    fn get(&self) -> &Recorder {
        match self {
            Either::Installed(recorder) => recorder,
            Either::OfTest(recorder) => recorder,
        }
    }

    fn is_installed(&self) -> bool {
        matches!(self, Either::Installed(_))
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// With anything but an error.
    Returned,
    /// With an error of the type of this name.
    Failed(&'static str),
    /// With a panic.
    Panicked,
    /// It is a future that was dropped.
    Cancelled,
}

/// A call that is being measured, or none.
#[derive(Debug)]
#[must_use = "a timing that is dropped measures nothing"]
pub struct Timing(Option<Running>);

#[derive(Debug)]
struct Running {
    recorder: Either,
    start: Timestamp,
    /// The span has the same start, so it is to have the same end.
    is_of_span: bool,
}

impl Timing {
    #[inline]
    pub(super) fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Ends the measurement and says when, if the span is to end then, too. Later calls do nothing.
    #[inline]
    pub(super) fn end(&mut self, end: End) -> Option<Timestamp> {
        self.0.take().and_then(|running| running.end(end))
    }
}

impl Running {
    #[inline(never)]
    fn end(self, end: End) -> Option<Timestamp> {
        let recorder = self.recorder.get();
        let now = recorder.clock.now();
        let seconds = now.since(self.start).as_secs_f64();
        // It may run while a panic unwinds: a second one would end the program.
        let _ = catch_unwind(AssertUnwindSafe(|| recorder.record(seconds, end)));
        self.is_of_span.then_some(now)
    }
}

/// A synchronous call that is being measured. Dropping it ends the measurement: the call has returned, or it has panicked
/// since.
#[derive(Debug)]
#[must_use = "a timer that is dropped at once measures nothing"]
pub struct Timer<'a> {
    timing: Timing,
    /// What is told when the measurement ended.
    entered: &'a Entered,
    /// The thread was unwinding already when the call began.
    unwinding: bool,
}

impl<'a> Timer<'a> {
    #[inline]
    pub(super) fn new(durations: &'static Durations, entered: &'a Entered) -> Self {
        let timing = durations.start(entered.live());
        let unwinding = timing.is_running() && std::thread::panicking();
        Timer { timing, entered, unwinding }
    }

    #[inline]
    pub(super) fn is_running(&self) -> bool {
        self.timing.is_running()
    }

    /// Ends the measurement. Later calls do nothing.
    #[inline]
    pub(super) fn end(&mut self, end: End) {
        if let Some(end) = self.timing.end(end) {
            self.entered.end_at(end);
        }
    }
}

impl Drop for Timer<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_running() {
            self.end(if std::thread::panicking() && !self.unwinding { End::Panicked } else { End::Returned });
        }
    }
}
