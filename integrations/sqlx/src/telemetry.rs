//! The telemetry to which pools and connections report.

use std::sync::OnceLock;

use telemark_db::{ClientConfig, DbClientInstrumentation, GlobalTracer};

/// Selects the telemetry of a pool or a connection at compile time, so that constructors need no argument for it.
///
/// Called once for each pool, and for each connection that comes from no pool.
pub trait Telemetry: Send + Sync + 'static {
    /// Returns the settings, the tracer and the instruments.
    fn instrumentation() -> DbClientInstrumentation;
}

/// The API's global tracer and meter, with the default settings.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Global;

impl Telemetry for Global {
    fn instrumentation() -> DbClientInstrumentation {
        static INSTALLED: OnceLock<DbClientInstrumentation> = OnceLock::new();
        let make = || {
            let scope = crate::scope();
            let tracer = GlobalTracer::new(scope.clone());
            DbClientInstrumentation::new(ClientConfig::new(), tracer).with_global_meter(scope)
        };
        INSTALLED.get_or_init(make).clone()
    }
}
