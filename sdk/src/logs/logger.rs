//! The logger: decides about a record, completes it, and hands it to the processors.

use std::cell::Cell;

use opentelemetry::logs::{LogRecord, Logger, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry::{Context, KeyValue, SpanId, TraceId};

use super::active;
use super::provider::{ProviderInner, ProviderRef};
use super::volume::Request;
use super::{Exception, LogSite, LoggerConfig, Scope, SdkLogRecord, SdkLoggerProvider, TraceContext};
use crate::context;
use crate::control::ConfigOf;
use crate::error::catch;
use crate::time::Timestamp;
use crate::unsampled;

/// Emits the log records of one instrumentation scope. Cheap to clone.
///
/// ```
/// use opentelemetry::logs::{LogRecord, Logger, LoggerProvider, Severity};
/// use telemark_sdk::testing::TestTelemetry;
///
/// let telemetry = TestTelemetry::new();
/// let logger = telemetry.logger_provider().logger("shop");
/// if logger.event_enabled(Severity::Info, "shop", None) {
///     let mut record = logger.create_log_record();
///     record.set_severity_number(Severity::Info);
///     record.set_body("order placed".into());
///     record.add_attribute("order.id", 7);
///     logger.emit(record);
/// }
/// assert_eq!(telemetry.logs(), "INFO order placed order.id=7\n");
/// ```
///
/// spec: logs/sdk.md#logger
#[derive(Clone, Debug)]
pub struct SdkLogger {
    pub(super) provider: ProviderRef,
    pub(super) scope: Scope,
    pub(super) config: ConfigOf<LoggerConfig>,
}

/// The parts of a context that matter for a record, copied so that no user code runs while the context is borrowed.
struct Surroundings {
    is_suppressed: bool,
    trace: Option<TraceContext>,
    /// The selected baggage entries.
    baggage: Vec<KeyValue>,
    /// `None` unless a processor wants it.
    context: Option<Context>,
}

thread_local! {
    /// True while this thread is within the processors.
    static EMITTING: Cell<bool> = const { Cell::new(false) };
}

/// Returns true while this thread is within the processors.
pub(crate) fn is_emitting() -> bool {
    EMITTING.get()
}

impl SdkLogger {
    /// Returns the provider of the logger.
    pub fn provider(&self) -> SdkLoggerProvider {
        SdkLoggerProvider(self.provider.clone())
    }

    /// Returns the scope of the logger's records.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Emits a record whose span is that of `context` instead of the current one.
    pub fn emit_in(&self, record: SdkLogRecord, context: &Context) {
        if let Some(rules) = self.rules() {
            self.emit_among(rules, &mut Some(record), self.surroundings(context));
        }
    }

    /// Emits a record with the attributes of an error. Attributes that the record has already are kept.
    ///
    /// spec: logs/sdk.md#emit-a-logrecord
    pub fn emit_exception(&self, mut record: SdkLogRecord, exception: &Exception) {
        if !self.refuses() {
            record.set_exception(exception);
            self.emit(record);
        }
    }

    #[inline]
    fn refuses(&self) -> bool {
        self.rules().is_none()
    }

    /// Returns the rules of the logger, or `None` if it takes no records. May call a function of the program.
    #[inline]
    fn rules(&self) -> Option<LoggerConfig> {
        let provider = &*self.provider;
        if provider.refuses() {
            return None;
        }
        Some(provider.configs.get(&self.config, &self.scope)).filter(|config| config.is_enabled())
    }

    /// Reads `context`. Runs no user code.
    fn surroundings(&self, context: &Context) -> Surroundings {
        Surroundings {
            is_suppressed: context.is_telemetry_suppressed(),
            trace: unsampled::with_span_context(context, trace_context),
            baggage: match self.provider.baggage.is_empty() {
                true => Vec::new(),
                false => self.provider.baggage.in_context(context).collect(),
            },
            context: self.provider.wants_context.then(|| context.clone()),
        }
    }

    /// Reads the current context. A thread that is exiting has none, so its records belong to no span.
    fn current_surroundings(&self) -> Surroundings {
        context::look(|context| self.surroundings(context)).unwrap_or(Surroundings {
            is_suppressed: false,
            trace: None,
            baggage: Vec::new(),
            context: None,
        })
    }

    /// Takes the record from `slot` only at the end, because moving it costs more than most of the steps.
    fn emit_among(&self, rules: LoggerConfig, slot: &mut Option<SdkLogRecord>, around: Surroundings) {
        let Some(record) = slot.as_mut().filter(|_| !around.is_suppressed) else { return };
        self.provider.count_created();
        record.trace_context = record.trace_context.or(around.trace);
        if !rules.takes_severity(record.severity_number) || !rules.takes_trace(record.trace_context.as_ref()) {
            return;
        }
        for entry in around.baggage {
            if record.attribute(entry.key.as_str()).is_none() {
                record.add_attribute(entry.key, entry.value.as_str().into_owned());
            }
        }
        let (site, was_taken) = (record.site.take(), std::mem::take(&mut record.is_taken));
        if let Some(volume) = self.provider.volume() {
            let now = self.provider.clock.now();
            let is_taken = was_taken || volume.takes_record(record, &self.scope, site, now);
            self.provider.report_if_due(now);
            if !is_taken {
                return;
            }
        }
        let observed = *record.observed_timestamp.get_or_insert_with(|| self.provider.clock.now());
        if record.event_name().is_some() {
            // spec: logs/data-model.md#event-name — an event has a timestamp.
            record.timestamp.get_or_insert(observed);
        }
        record.scope = self.scope.clone();
        self.provider.process(slot, &around.context.unwrap_or_default());
    }
}

impl ProviderInner {
    fn process(&self, slot: &mut Option<SdkLogRecord>, context: &Context) {
        let Some((last, others)) = self.processors.split_last() else { return };
        let Some(_emitting) = Emitting::begin() else {
            crate::__warn!(
                "processor.loop",
                "a log record processor emitted a record, which is dropped: it would loop"
            );
            return;
        };
        if let Some(record) = slot {
            for processor in others {
                if catch(|| processor.on_emit(record, context)).is_err() {
                    report_panic();
                }
            }
        }
        let pass_on = || slot.take().map(|record| last.on_last_emit(record, context));
        if catch(pass_on).is_err() {
            report_panic();
        }
    }

    /// Reports the suppressed records once a minute, on the thread of whichever record comes next.
    #[inline]
    fn report_if_due(&self, now: Timestamp) {
        // Within a processor, the report would be dropped, so it stays due.
        if self.volume().is_some_and(|volume| !EMITTING.get() && volume.is_report_due(now)) {
            self.report_suppressed();
        }
    }

    /// Emits a record for each call site with suppressed records. Does nothing after shutdown, and within a processor, whose
    /// records would be dropped.
    pub(super) fn report_suppressed(&self) {
        let Some(volume) = self.volume().filter(|_| !self.has_ended() && !EMITTING.get()) else { return };
        volume.report(self.limits, self.clock.now(), |record| self.process(&mut Some(record), &Context::default()));
    }
}

impl Logger for SdkLogger {
    type LogRecord = SdkLogRecord;

    fn create_log_record(&self) -> SdkLogRecord {
        SdkLogRecord::new(self.provider.limits)
    }

    /// Emits a record in the current context. The record gets its trace context and its observed timestamp here, unless they
    /// are set. Never blocks and never panics; a record that is not exported in the end is counted.
    fn emit(&self, record: SdkLogRecord) {
        if let Some(rules) = self.rules() {
            if active::has_bridge() && self.scope.name().is_empty() && record.target().is_some() {
                warn_of_second_bridge();
            }
            self.emit_among(rules, &mut Some(record), self.current_surroundings());
        }
    }

    /// Returns false if such a record would be dropped: then it need not be made. If [the volume rules](super::LogVolume) would
    /// drop it, counts it as suppressed.
    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        let Some(rules) = self.rules() else { return false };
        let reads_trace = self.reads_trace(rules);
        let Some(trace) = Self::trace_if_open(rules, level, reads_trace) else { return false };
        let is_unsampled = reads_trace && trace.as_ref().is_some_and(TraceContext::is_unsampled);
        if let Some(volume) = self.provider.volume().filter(|_| is_unsampled) {
            let now = self.provider.clock.now();
            if volume.drops_unmade(&self.request(level, target, name, is_unsampled), now) {
                self.provider.report_if_due(now);
                return false;
            }
        }
        self.wants(level, target, name)
    }
}

/// Only an appender such as `opentelemetry-appender-tracing` emits records that have a target but no scope.
#[cold]
fn warn_of_second_bridge() {
    crate::__warn!(
        "logs.twice",
        "each event of `tracing` is recorded twice: remove the OpenTelemetryTracingBridge from the subscriber, because \
         `telemark::tracing` makes log records of events as well"
    );
}

impl SdkLogger {
    /// Returns a record for an event of this moment, or `None` if it would be dropped, which counts as suppressed if [the volume
    /// rules](super::LogVolume) are the reason. Meant for bridges: the rules apply
    /// here, before a record is made, if the bridge names the place as `site`, and otherwise when the record is emitted.
    ///
    /// `is_contextual` is false if the record will be emitted in another context than the current one. Otherwise, the record
    /// already has the trace context.
    pub fn begin_at(
        &self,
        site: Option<&'static LogSite>,
        level: Severity,
        target: &str,
        name: Option<&str>,
        is_contextual: bool,
    ) -> Option<SdkLogRecord> {
        let rules = self.rules()?;
        let reads_trace = self.reads_trace(rules);
        // In another context, `emit_in` decides about the trace.
        let trace = Self::trace_if_open(rules, level, is_contextual)?;
        if !self.wants(level, target, name) {
            return None;
        }
        let now = self.provider.clock.now();
        let (mut is_taken, mut undecided) = (false, None);
        if let Some(volume) = self.provider.volume() {
            let is_unsampled = reads_trace && trace.as_ref().is_some_and(TraceContext::is_unsampled);
            let request = Request { site, ..self.request(level, target, name, is_unsampled) };
            // In another context, the trace is not known yet.
            let may_decide = site.is_some() && (is_contextual || !volume.reads_trace());
            let decision = if may_decide { volume.decide_early(&request, now) } else { None };
            match decision {
                Some(true) => is_taken = true,
                Some(false) => {
                    self.provider.report_if_due(now);
                    return None;
                }
                None => undecided = site,
            }
        }
        let decision = (undecided, is_taken);
        Some(SdkLogRecord::begun(self.provider.limits, self.scope.clone(), Some(now), trace, decision))
    }

    fn request<'a>(
        &'a self,
        severity: Severity,
        target: &'a str,
        event_name: Option<&'a str>,
        is_unsampled: bool,
    ) -> Request<'a> {
        Request { scope: &self.scope, severity, target, event_name, site: None, is_unsampled }
    }

    /// Emits a record that [`Self::begin_at`] of this logger has made for the current context. Takes it out of `slot`, unless it
    /// is dropped.
    pub fn emit_begun(&self, slot: &mut Option<SdkLogRecord>) {
        let Some(rules) = self.rules() else { return };
        if rules.has_rules() || self.provider.reads_context() || self.provider.volume().is_some() {
            return self.emit_among(rules, slot, self.current_surroundings());
        }
        // The record has its scope, its times and its trace since it was begun, and the context was not suppressed then.
        self.provider.count_created();
        self.provider.process(slot, &Context::default());
    }

    /// Returns true if the rules of the logger or those of the volume depend on the trace of a record.
    #[inline]
    fn reads_trace(&self, rules: LoggerConfig) -> bool {
        rules.is_trace_based() || self.provider.volume().is_some_and(|volume| volume.reads_trace())
    }

    /// Returns `None` if a record with this severity in the current context would be dropped, whatever else it has; otherwise
    /// returns the current trace, if the caller needs it. Without it, the rule about traces does not apply.
    #[inline]
    fn trace_if_open(rules: LoggerConfig, level: Severity, is_needed: bool) -> Option<Option<TraceContext>> {
        if !rules.takes_severity(Some(level)) {
            return None;
        }
        let look = |context: &Context| {
            let trace = if is_needed { unsampled::with_span_context(context, trace_context) } else { None };
            let is_open = !context.is_telemetry_suppressed() && rules.takes_trace(trace.as_ref());
            is_open.then_some(trace)
        };
        context::look(look).unwrap_or(Some(None))
    }

    /// Returns true if a processor wants such a record.
    #[inline]
    fn wants(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        if !self.provider.is_selective {
            return !EMITTING.get();
        }
        self.asks(level, target, name)
    }

    /// Asks the processors. One that panics gets the record.
    fn asks(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        let Some(_emitting) = Emitting::begin() else { return false };
        self.provider
            .processors
            .iter()
            .any(|processor| catch(|| processor.enabled(&self.scope, level, target, name)).unwrap_or(true))
    }
}

#[inline]
fn trace_context(span: &SpanContext) -> Option<TraceContext> {
    (span.trace_id() != TraceId::INVALID && span.span_id() != SpanId::INVALID).then(|| TraceContext {
        trace_id: span.trace_id(),
        span_id: span.span_id(),
        trace_flags: Some(span.trace_flags()),
    })
}

#[cold]
fn report_panic() {
    crate::__warn!("processor.panic", "a log record processor panicked");
}

/// Marks this thread as being within the processors until dropped.
struct Emitting;

impl Emitting {
    /// Returns `None` if this thread is within the processors already.
    fn begin() -> Option<Self> {
        (!EMITTING.replace(true)).then_some(Emitting)
    }
}

impl Drop for Emitting {
    fn drop(&mut self) {
        EMITTING.set(false);
    }
}
