//! The histogram behind `#[traced(metrics)]`: one measurement per call, whether sampled or not, recorded inside the
//! span.

use std::sync::OnceLock;

use opentelemetry::metrics::{BoundHistogram, Histogram, MeterProvider};
use opentelemetry::{Context, KeyValue};

use super::entered::Entered;
use super::open::OpenSpan;
use crate::context;
use crate::instrument::shield::shielded;
use crate::metrics::SdkMeterProvider;
use crate::metrics::active::{self, Found};
use crate::runtime::is_background;
use crate::time::{Clock, Timestamp};
use crate::trace::{self, CallSite};

/// Name of the histogram. `telemark.` is Telemark's namespace, because `code.` and unprefixed names belong to the semantic
/// conventions.
///
/// spec: semantic-conventions general/naming.md#recommendations-for-application-developers
const NAME: &str = "telemark.function.duration";

/// Bucket boundaries in seconds, covering both pure computation and calls to other services.
const BOUNDARIES: [f64; 14] = [0.00001, 0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Records the call durations of one function. Each `#[traced(metrics)]` function has its own recorder in a `static`.
#[derive(Debug)]
pub struct CallDuration {
    call_site: &'static CallSite,
    /// The histogram on the installed provider.
    installed: OnceLock<FunctionHistogram>,
}

impl CallDuration {
    /// Creates the duration recorder for the function at `call_site`.
    pub const fn new(call_site: &'static CallSite) -> Self {
        CallDuration { call_site, installed: OnceLock::new() }
    }

    /// Starts measuring a call, which may run inside an open span. Costs one relaxed load if no meter provider is installed.
    #[inline]
    pub(in crate::instrument) fn start(&'static self, span: Option<&OpenSpan>) -> Timing {
        if !active::is_installed() {
            return Timing(None);
        }
        self.start_installed(span)
    }

    #[inline(never)]
    fn start_installed(&'static self, span: Option<&OpenSpan>) -> Timing {
        let found = match span {
            Some(span) => active::find(span.context()),
            None => context::look(find_unless_silent).flatten(),
        };
        Timing(found.and_then(|found| self.histogram(found)).map(|histogram| {
            // A tracer provider and a meter provider that are installed together share a clock.
            let has_one_clock = histogram.is_installed() && trace::active::only_installed().is_some();
            let of_span = span.filter(|_| has_one_clock).and_then(OpenSpan::started);
            Running {
                start: of_span.unwrap_or_else(|| histogram.get().clock.now()),
                is_of_span: of_span.is_some(),
                histogram,
            }
        }))
    }

    #[inline]
    fn histogram(&'static self, found: Found) -> Option<HistogramRef> {
        match (found, self.installed.get()) {
            (Found::Installed(_), Some(known)) => Some(HistogramRef::Installed(known)),
            (Found::Installed(provider), None) => self.connect(provider),
            (Found::InContext(provider), _) => self.make(&provider).map(|made| HistogramRef::OfTest(Box::new(made))),
        }
    }

    #[cold]
    fn connect(&'static self, provider: &SdkMeterProvider) -> Option<HistogramRef> {
        // Create the histogram outside the lock, because a user's exemplar reservoir may call the function that is
        // being measured.
        let _ = self.installed.set(self.make(provider)?);
        self.installed.get().map(HistogramRef::Installed)
    }

    #[cold]
    fn make(&self, provider: &SdkMeterProvider) -> Option<FunctionHistogram> {
        shielded(|| FunctionHistogram::new(self.call_site, provider))
    }
}

/// Finds the provider for a call without an open span. Returns `None` on Telemark's own threads and if telemetry is
/// suppressed, because calls there are not measured, just as their spans are not recorded.
fn find_unless_silent(current: &Context) -> Option<Found> {
    let is_silent = current.is_telemetry_suppressed() || is_background();
    (!is_silent).then(|| active::find(current)).flatten()
}

/// A function's histogram on one provider.
#[derive(Debug)]
struct FunctionHistogram {
    clock: Clock,
    /// Bound to the series that almost all calls use.
    returned: BoundHistogram<f64>,
    histogram: Histogram<f64>,
    function: KeyValue,
}

impl FunctionHistogram {
    fn new(call_site: &CallSite, provider: &SdkMeterProvider) -> Self {
        let function = call_site.function_attribute();
        let histogram = provider
            .meter_with_scope(call_site.scope().clone())
            .f64_histogram(NAME)
            .with_unit("s")
            .with_description("Duration of calls of a function.")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        let returned = histogram.bind(std::slice::from_ref(&function));
        FunctionHistogram { clock: provider.clock().clone(), returned, histogram, function }
    }

    #[inline]
    fn record(&self, seconds: f64, end: CallEnd) {
        match end {
            CallEnd::Returned => self.returned.record(seconds),
            unusual => self.record_unusual(seconds, unusual),
        }
    }

    #[cold]
    fn record_unusual(&self, seconds: f64, end: CallEnd) {
        let function = self.function.clone();
        let error_type = |name| KeyValue::new("error.type", name);
        let outcome = |name| KeyValue::new("telemark.outcome", name);
        match end {
            CallEnd::Returned => self.returned.record(seconds),
            CallEnd::Failed(name) => self.histogram.record(seconds, &[function, error_type(name)]),
            CallEnd::Panicked => self.histogram.record(seconds, &[function, error_type("panic"), outcome("panicked")]),
            CallEnd::Cancelled => self.histogram.record(seconds, &[function, outcome("cancelled")]),
        }
    }
}

#[derive(Debug)]
enum HistogramRef {
    Installed(&'static FunctionHistogram),
    OfTest(Box<FunctionHistogram>),
}

impl HistogramRef {
    #[inline]
    fn get(&self) -> &FunctionHistogram {
        match self {
            HistogramRef::Installed(histogram) => histogram,
            HistogramRef::OfTest(histogram) => histogram,
        }
    }

    fn is_installed(&self) -> bool {
        matches!(self, HistogramRef::Installed(_))
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub enum CallEnd {
    /// The call returned without an error.
    Returned,
    /// The call returned an error with this type name.
    Failed(&'static str),
    /// The call panicked.
    Panicked,
    /// The call's future, stream or iterator was dropped before finishing.
    Cancelled,
}

/// The running measurement of a call, or nothing if the call is not measured.
#[derive(Debug)]
#[must_use = "a timing that is dropped measures nothing"]
pub struct Timing(Option<Running>);

#[derive(Debug)]
struct Running {
    histogram: HistogramRef,
    start: Timestamp,
    /// True if the span started at the same time; the span then also ends at the same time.
    is_of_span: bool,
}

impl Timing {
    #[inline]
    pub(super) fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Records the duration. Returns the end time if the span must end at the same moment. Later calls do nothing.
    #[inline]
    pub(super) fn stop(&mut self, end: CallEnd) -> Option<Timestamp> {
        self.0.take().and_then(|running| running.stop(end))
    }
}

impl Running {
    #[inline(never)]
    fn stop(self, end: CallEnd) -> Option<Timestamp> {
        let histogram = self.histogram.get();
        let now = histogram.clock.now();
        let seconds = now.since(self.start).as_secs_f64();
        // A panic may already be unwinding here; a second panic would abort the program.
        shielded(|| histogram.record(seconds, end));
        self.is_of_span.then_some(now)
    }
}

/// Measures a synchronous call and records the duration on drop, after the call has returned or panicked.
#[derive(Debug)]
#[must_use = "a timer that is dropped at once measures nothing"]
pub struct Timer<'a> {
    timing: Timing,
    /// The span that ends together with the measurement.
    entered: &'a Entered,
    /// True if the thread was already unwinding when the call began.
    unwinding: bool,
}

impl<'a> Timer<'a> {
    #[inline]
    pub(in crate::instrument) fn new(duration: &'static CallDuration, entered: &'a Entered) -> Self {
        let timing = duration.start(entered.open());
        let unwinding = timing.is_running() && std::thread::panicking();
        Timer { timing, entered, unwinding }
    }

    #[inline]
    pub(in crate::instrument) fn is_running(&self) -> bool {
        self.timing.is_running()
    }

    /// Records the duration. Later calls do nothing.
    #[inline]
    pub(in crate::instrument) fn stop(&mut self, end: CallEnd) {
        if let Some(end) = self.timing.stop(end) {
            self.entered.end_at(end);
        }
    }
}

impl Drop for Timer<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_running() {
            self.stop(if std::thread::panicking() && !self.unwinding { CallEnd::Panicked } else { CallEnd::Returned });
        }
    }
}
