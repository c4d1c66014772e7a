//! The start of a call: turns its description into a span and a measurement.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::metrics::Meter;
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use telemark_kit::{Attributes, Clock, Instruments, guarded, is_unsampled, keys};

use super::call::{Call, Facts};
use super::config::ClientConfig;
use super::database::Database;
use super::metrics::{CallInstruments, extend};
use super::operation::Operation;
use super::pool::{PoolInstruments, PoolMeasurements, PoolState};

/// The number of attributes of a typical call, including those set at its end.
const TYPICAL_ATTRIBUTES: usize = 10;

/// Begins the spans and measurements of database calls, with its settings, tracer and instruments. Clones share them.
#[derive(Clone)]
pub struct DbClientInstrumentation(Arc<Inner>);

struct Inner {
    config: ClientConfig,
    clock: Clock,
    tracer: Arc<dyn StartSpan>,
    calls: Instruments<CallInstruments>,
    pools: Instruments<PoolInstruments>,
}

/// A tracer of any type.
trait StartSpan: Send + Sync {
    /// Starts a span and returns it in a context, and true if it is recorded.
    fn start(&self, builder: SpanBuilder, parent: &Context, late: &mut dyn FnMut() -> Vec<KeyValue>)
    -> (Context, bool);
}

impl<T> StartSpan for T
where
    T: Tracer + Send + Sync,
    T::Span: Send + Sync + 'static,
{
    fn start(
        &self,
        builder: SpanBuilder,
        parent: &Context,
        late: &mut dyn FnMut() -> Vec<KeyValue>,
    ) -> (Context, bool) {
        let mut span = self.build_with_context(builder, parent);
        let is_recording = span.is_recording();
        if is_recording {
            let late = late();
            if !late.is_empty() {
                span.set_attributes(late);
            }
        }
        (parent.with_span(span), is_recording)
    }
}

impl DbClientInstrumentation {
    /// Returns an instrumentation that starts its spans on `tracer` and records no metrics.
    pub fn new<T>(config: ClientConfig, tracer: T) -> Self
    where
        T: Tracer + Send + Sync + 'static,
        T::Span: Send + Sync + 'static,
    {
        DbClientInstrumentation(Arc::new(Inner {
            clock: config.clock.clone().unwrap_or_default(),
            config,
            tracer: Arc::new(tracer),
            calls: Instruments::off(CallInstruments::new),
            pools: Instruments::off(PoolInstruments::new),
        }))
    }

    /// Records metrics on instruments created by `meter`. Clones that were made before keep theirs.
    pub fn with_meter(self, meter: &Meter) -> Self {
        let calls = Instruments::new(meter, CallInstruments::new);
        self.with_instruments(calls, Instruments::new(meter, PoolInstruments::new))
    }

    /// Records metrics on instruments of the API's global provider, which is looked up at the first call. May be called
    /// before a provider is installed. Clones that were made before keep their instruments.
    pub fn with_global_meter(self, scope: InstrumentationScope) -> Self {
        let calls = Instruments::global(scope.clone(), CallInstruments::new);
        self.with_instruments(calls, Instruments::global(scope, PoolInstruments::new))
    }

    fn with_instruments(self, calls: Instruments<CallInstruments>, pools: Instruments<PoolInstruments>) -> Self {
        let Inner { config, clock, tracer, .. } = &*self.0;
        let (config, clock, tracer) = (config.clone(), clock.clone(), Arc::clone(tracer));
        DbClientInstrumentation(Arc::new(Inner { config, clock, tracer, calls, pools }))
    }

    /// Changes the settings. `change` receives the present ones and returns new ones. The clock is kept unless the new settings
    /// have their own. Clones that were made before keep their settings.
    pub fn map_config(self, change: impl FnOnce(ClientConfig) -> ClientConfig) -> Self {
        let Inner { config, clock, tracer, calls, pools } = &*self.0;
        let config = change(config.clone());
        let clock = config.clock.clone().unwrap_or_else(|| clock.clone());
        let (tracer, calls, pools) = (Arc::clone(tracer), calls.clone(), pools.clone());
        DbClientInstrumentation(Arc::new(Inner { config, clock, tracer, calls, pools }))
    }

    /// Returns the settings.
    pub fn config(&self) -> &ClientConfig {
        &self.0.config
    }

    /// Returns the current time of the clock that dates spans and measurements.
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// Begins the span and the measurement of a call. The parent is the current span.
    ///
    /// Returns `None` if the integration is disabled, if telemetry is suppressed, or if the tracer panicked; the call then goes
    /// unobserved.
    pub fn begin(&self, database: &Database, call: Call<'_>) -> Option<Operation> {
        if self.0.config.is_off {
            return None;
        }
        // The tracer, its sampler and its processors are user code. Their panics must not fail the call.
        guarded(|| {
            let parent = Context::current();
            (!parent.is_telemetry_suppressed()).then(|| self.begin_call(database, call, parent))
        })?
    }

    fn begin_call(&self, database: &Database, mut call: Call<'_>, parent: Context) -> Operation {
        let config = &self.0.config;
        let started = call.started.take().unwrap_or_else(|| self.now());
        let facts = call.facts(database.system().dialect(), config.query_text());
        // A sampler that follows its unsampled parent needs no attributes.
        let is_lean = is_unsampled(&parent);
        let name = span_name(&facts, &call, database);
        let mut cut = None;
        let mut describe = || {
            let mut attributes = Attributes::with_capacity(TYPICAL_ATTRIBUTES);
            describe(&facts, &call, database, &mut attributes);
            cut = attributes.cut.attribute();
            attributes.list
        };
        let builder = SpanBuilder {
            name,
            span_kind: Some(if database.is_in_memory() { SpanKind::Internal } else { SpanKind::Client }),
            attributes: Some(if is_lean { database.attributes().to_vec() } else { describe() }),
            start_time: Some(started),
            ..SpanBuilder::default()
        };
        let (context, is_recording) = self.0.tracer.start(builder, &parent, &mut || match is_lean {
            true => describe(),
            false => Vec::new(),
        });
        if let Some(cut) = cut.filter(|_| is_recording) {
            context.span().set_attribute(cut);
        }
        Operation::new(self.clone(), database.clone(), context, started, is_recording, facts, call)
    }

    /// Returns a statement with the comment that the settings ask for; `None` if it stays as it is. Pass true if the statement
    /// is kept prepared, so that its text must not change from call to call.
    pub fn comment(&self, sql: &str, operation: &Operation, is_prepared: bool) -> Option<String> {
        let commenter = self.0.config.commenter.as_ref()?;
        // The propagator is user code.
        guarded(|| commenter.comment(sql, operation.context(), is_prepared)).flatten()
    }

    /// Returns measurements for a connection pool, whose state is observed as long as they live.
    pub fn pool(&self, database: &Database, name: Option<&str>, state: impl PoolState) -> PoolMeasurements {
        PoolMeasurements::new(self.clone(), database, name, Box::new(state))
    }

    pub(crate) fn calls(&self) -> Option<&CallInstruments> {
        let is_on = self.0.config.metrics.duration || self.0.config.metrics.returned_rows;
        if is_on { self.0.calls.get() } else { None }
    }

    pub(crate) fn pools(&self) -> Option<&PoolInstruments> {
        let config = &self.0.config;
        if config.metrics.pool && !config.is_off { self.0.pools.get() } else { None }
    }
}

impl fmt::Debug for DbClientInstrumentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbClientInstrumentation").field("config", &self.0.config).finish_non_exhaustive()
    }
}

/// spec: db/database-spans.md#name
fn span_name(facts: &Facts, call: &Call<'_>, database: &Database) -> Cow<'static, str> {
    if let Some(summary) = facts.summary(call.target()) {
        return summary;
    }
    match call.target() {
        Some(target) => target.to_string().into(),
        None => database.target().map_or(database.system().name().into(), Into::into),
    }
}

fn describe(facts: &Facts, call: &Call<'_>, database: &Database, attributes: &mut Attributes) {
    attributes.list.extend_from_slice(database.attributes());
    extend(&mut attributes.list, keys::DB_QUERY_SUMMARY, facts.summary(call.target()));
    if let Some(statement) = &facts.statement {
        if facts.is_described {
            attributes.add(keys::DB_QUERY_TEXT, statement.text.clone());
            if statement.is_cut {
                attributes.cut.add(&opentelemetry::Key::from_static_str(keys::DB_QUERY_TEXT));
            }
        }
    }
    extend(&mut attributes.list, keys::DB_OPERATION_NAME, facts.operation);
    extend(&mut attributes.list, keys::DB_COLLECTION_NAME, call.collection.clone());
    extend(&mut attributes.list, keys::DB_STORED_PROCEDURE_NAME, call.procedure.clone());
    let size = facts.batch_size.and_then(|size| i64::try_from(size).ok());
    extend(&mut attributes.list, keys::DB_OPERATION_BATCH_SIZE, size);
}
