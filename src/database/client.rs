//! The instrumentation of database calls, with settings from the environment.

use std::sync::OnceLock;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::{Context, InstrumentationScope};
use telemark_db::{ClientConfig, DbClientInstrumentation};
use telemark_sdk::config::Env;
use telemark_sdk::time::Clock;
use telemark_sdk::trace::active::{self, ActiveTracer};
use telemark_sdk::{diag, metrics};

/// Returns the scope of the calls of sqlx, which is that of `telemark-sqlx`: both ways record into the same instruments.
fn scope() -> InstrumentationScope {
    telemark_db::scope("telemark-sqlx", env!("CARGO_PKG_VERSION"))
}

/// Returns the instrumentation for the installed telemetry, which may be installed later, or for that of the current test.
pub(super) fn instrumentation() -> DbClientInstrumentation {
    static INSTALLED: OnceLock<DbClientInstrumentation> = OnceLock::new();
    let context = Context::current();
    match (active::clock_in_context(&context), metrics::active::in_context(&context)) {
        (None, None) => INSTALLED.get_or_init(|| with_clock(Clock::system())).clone(),
        (clock, of_test) => {
            let client = with_clock(clock.unwrap_or_else(Clock::system));
            match of_test {
                Some(of_test) => client.with_meter(&of_test.meter_with_scope(scope())),
                None => client,
            }
        }
    }
}

fn with_clock(clock: Clock) -> DbClientInstrumentation {
    let config = config(&Env::process()).with_clock(move || clock.now().into());
    DbClientInstrumentation::new(config, ActiveTracer::new(scope())).with_global_meter(scope())
}

fn config(env: &Env) -> ClientConfig {
    let is_enabled = crate::enabled::is_enabled("sqlx", env);
    let config = ClientConfig::from_env_fn(|name| env.string(name)).with_enabled(is_enabled);
    for problem in config.problems() {
        diag::log(diag::Level::Warn, "db.config", format_args!("{problem}"));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_disables_and_configures() {
        let config =
            |pairs: &[(&'static str, &'static str)]| format!("{:?}", config(&Env::from_pairs(pairs.iter().copied())));
        let default = config(&[]);
        assert_eq!(default, format!("{:?}", ClientConfig::new()));
        assert_ne!(config(&[("OTEL_RUST_INSTRUMENTATION_SQLX_ENABLED", "false")]), default);
        assert_ne!(config(&[("OTEL_RUST_DB_CLIENT_QUERY_TEXT", "none")]), default);
    }

    #[cfg(feature = "sqlx")]
    #[test]
    fn both_ways_have_the_same_scope() {
        assert_eq!(scope(), telemark_sqlx::scope());
    }
}
