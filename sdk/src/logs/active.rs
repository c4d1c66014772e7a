//! Finds the logger provider for bridges: the installed one, or that of a test through its context.
//!
//! The API has no global logger provider, so this is also how a library of this SDK reaches it. Without a provider, the check
//! costs one relaxed load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use opentelemetry::logs::{Logger, Severity};
use opentelemetry::{Context, InstrumentationScope};

use super::{Scope, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use crate::context;
use crate::limits::LogRecordLimits;

/// Number of providers: the installed one, plus those in contexts.
static PROVIDERS: AtomicUsize = AtomicUsize::new(0);

static INSTALLED: OnceLock<SdkLoggerProvider> = OnceLock::new();

/// True once a bridge makes records of the events of a logging library.
static BRIDGE: AtomicBool = AtomicBool::new(false);

/// Notes that a bridge makes records of events, so that the records of a second one cause a warning.
pub fn note_bridge() {
    BRIDGE.store(true, Ordering::Relaxed);
}

#[inline]
pub(super) fn has_bridge() -> bool {
    BRIDGE.load(Ordering::Relaxed)
}

/// Returns true if a provider may exist.
#[inline]
pub fn is_installed() -> bool {
    PROVIDERS.load(Ordering::Relaxed) != 0
}

/// Returns the installed provider if no context can hold another one. The provider lives as long as the program.
#[inline]
pub fn only_installed() -> Option<&'static SdkLoggerProvider> {
    (PROVIDERS.load(Ordering::Relaxed) == 1).then(|| INSTALLED.get()).flatten()
}

/// Returns the provider for records emitted in `context`.
#[inline]
pub fn provider(context: &Context) -> Option<&SdkLoggerProvider> {
    match only_installed() {
        None if is_installed() => in_context(context).or_else(|| INSTALLED.get()),
        found => found,
    }
}

/// Returns the provider that a test has stored in `context`.
#[inline]
fn in_context(context: &Context) -> Option<&SdkLoggerProvider> {
    context.get::<Scoped>().map(|scoped| &scoped.0)
}

/// Makes `provider` the provider of the program, unless there is one already. Ignores a provider without processors, since it
/// would record nothing.
pub(crate) fn install(provider: SdkLoggerProvider) {
    // Lets this thread detect at program exit that its context is gone, without calling the API.
    let _ = context::look(|_| ());
    if provider.has_processors() && INSTALLED.set(provider).is_ok() {
        PROVIDERS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns `context` with its own provider for the records emitted in it. For tests.
pub fn with_logger_provider(context: &Context, provider: SdkLoggerProvider) -> Context {
    PROVIDERS.fetch_add(1, Ordering::Relaxed);
    context.with_value(Scoped(provider))
}

struct Scoped(SdkLoggerProvider);

impl Drop for Scoped {
    fn drop(&mut self) {
        PROVIDERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Emits records on the active provider, which it looks up each time, so that it can be created before anything is installed,
/// in a `static` for instance. Drops records while there is no provider.
///
/// ```
/// use opentelemetry::InstrumentationScope;
/// use opentelemetry::logs::{LogRecord, Logger};
/// use telemark_sdk::logs::active::ActiveLogger;
/// use telemark_sdk::testing::TestTelemetry;
///
/// let logger = ActiveLogger::new(InstrumentationScope::builder("shop").build());
/// let telemetry = TestTelemetry::new();
/// let _attached = telemetry.attach();
/// let mut record = logger.create_log_record();
/// record.set_body("order placed".into());
/// logger.emit(record);
/// assert_eq!(telemetry.logs(), "order placed\n");
/// ```
#[derive(Debug)]
pub struct ActiveLogger {
    scope: Scope,
    /// The logger of the installed provider, once there is one.
    installed: OnceLock<SdkLogger>,
}

impl ActiveLogger {
    /// Creates a logger whose records have this scope.
    pub fn new(scope: InstrumentationScope) -> Self {
        ActiveLogger::in_scope(scope.into())
    }

    /// Creates a logger whose records have this scope. With a static scope, records share it without counting references.
    pub const fn in_scope(scope: Scope) -> Self {
        ActiveLogger { scope, installed: OnceLock::new() }
    }

    /// Calls `call` with the logger of the active provider. Returns `None` if there is no provider.
    #[inline]
    pub fn with<T>(&self, call: impl FnOnce(&SdkLogger) -> T) -> Option<T> {
        if !is_installed() {
            return None;
        }
        if only_installed().is_none() {
            // `call` may run user code, so the context must not be borrowed meanwhile.
            let of_test = context::look(|context| in_context(context).cloned()).flatten();
            if let Some(provider) = of_test {
                return Some(call(&provider.logger_in(self.scope.clone())));
            }
        }
        let provider = INSTALLED.get()?;
        Some(call(self.installed.get_or_init(|| provider.logger_in(self.scope.clone()))))
    }
}

impl Logger for ActiveLogger {
    type LogRecord = SdkLogRecord;

    fn create_log_record(&self) -> SdkLogRecord {
        self.with(Logger::create_log_record).unwrap_or_else(|| SdkLogRecord::new(LogRecordLimits::DEFAULT))
    }

    fn emit(&self, record: SdkLogRecord) {
        self.with(|logger| logger.emit(record));
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.with(|logger| logger.event_enabled(level, target, name)).unwrap_or(false)
    }
}
