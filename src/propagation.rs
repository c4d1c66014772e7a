//! Header formats for trace context and baggage, and their way into the environment of another program.

use std::process::Command;

use opentelemetry::Context;
use telemark_sdk::config::Env;
use telemark_sdk::error::catch;
use telemark_sdk::instrument::private::current_context;
use telemark_sdk::propagation::environment;
pub use telemark_sdk::propagation::environment::{EnvironmentExtractor, EnvironmentInjector};
pub use telemark_sdk::propagation::{
    B3Propagator, BaggagePropagator, JaegerPropagator, OtTracePropagator, PropagatorFactory, Propagators,
    TraceContextPropagator,
};
#[cfg(feature = "xray")]
pub use telemark_xray::XRayPropagator;

/// Gives the program that `command` starts the context of the current span and its baggage, in variables such as `TRACEPARENT` and
/// `BAGGAGE`. The formats are selected by `OTEL_PROPAGATORS`. Other users of the machine may be able to read these variables.
///
/// The command does not inherit the variables that this process was started with, so the other program joins the current span's
/// trace or none. The environment of this process stays as it is.
///
/// ```
/// use std::process::Command;
/// use telemark::traced;
///
/// #[traced(kind = client)]
/// fn convert(file: &str) -> std::io::Result<std::process::ExitStatus> {
///     let mut command = Command::new("convert");
///     telemark::propagation::inject_environment(&mut command); // `as_std_mut()` of a command of tokio
///     command.arg(file).status()
/// }
/// # drop(convert("picture.png"));
/// ```
///
/// spec: context/env-carriers.md
pub fn inject_environment(command: &mut Command) {
    // The propagator may be user code. If it panics, the command has no context.
    let _ = catch(|| environment::inject(&current_context(), command));
}

/// Returns the current context with the span context and the baggage from the environment in which this process was started. Call
/// it once, after `init`. Missing or invalid variables leave the context unchanged.
///
/// ```
/// use telemark::traced;
///
/// fn main() -> Result<(), telemark::ConfigError> {
///     let _telemetry = telemark::init()?;
///     let _starter = telemark::propagation::extract_environment().attach();
///     run();
///     Ok(())
/// }
///
/// #[traced] // a child of the span in which this program was started
/// fn run() {}
/// ```
///
/// An attached context does not reach other threads by itself, such as those of an async runtime: pass it to
/// [`span`](crate::span()) or to `#[traced(parent = context)]` there.
///
/// spec: context/env-carriers.md
pub fn extract_environment() -> Context {
    let current = current_context();
    catch(|| environment::extract(&current, &Env::process())).unwrap_or(current)
}
