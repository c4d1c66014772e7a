//! `telemark::auto()`: telemetry that never makes a program fail.

use telemark_sdk::config::Env;
use telemark_sdk::diag;
use telemark_sdk::error::catch;
use telemark_sdk::install::Telemetry as Guard;

use super::builder;
use super::span_counts::{self, SpanCounts};

/// Starts the program's telemetry like [`init`](crate::init), for programs that must run whatever becomes of their telemetry.
///
/// It never fails: an error is reported on standard error, and the program runs without telemetry. A service without a name in the
/// configuration is named after the executable.
///
/// ```no_run
/// let _telemetry = telemark::auto(); // at the start of `main`; exports the remaining telemetry when it ends
/// ```
///
/// Returns `None` after an error, for example in a program that has already called `init`.
#[must_use = "telemetry ends when this is dropped, with `let _ =` at once: keep it in a named variable until the end of main"]
pub fn auto() -> Option<Guard> {
    let started = catch(|| {
        let builder = builder();
        let builder = match builder.env().string(span_counts::VARIABLE) {
            Some(file) => builder.with_span_processor(SpanCounts::new(file.into())),
            None => builder,
        };
        match name(builder.env(), executable) {
            Some(name) => builder.with_service_name(name).init(),
            None => builder.init(),
        }
    });
    match started {
        Ok(Ok(guard)) => return Some(guard),
        Ok(Err(error)) => report(format_args!("{error}")),
        Err(_) => report(format_args!("starting telemetry panicked")),
    }
    None
}

fn report(problem: std::fmt::Arguments<'_>) {
    diag::log(diag::Level::Error, "auto", format_args!("{problem}; the program runs without telemetry"));
}

/// Returns the name of a service that the environment does not name. A configuration file names its service itself.
fn name(env: &Env, executable: impl FnOnce() -> Option<String>) -> Option<String> {
    let attributes = env.string("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let mut keys = attributes.split(',').filter_map(|attribute| attribute.split('=').next());
    let is_named = env.string("OTEL_SERVICE_NAME").is_some()
        || env.string("OTEL_CONFIG_FILE").is_some()
        || keys.any(|key| key.trim() == "service.name");
    if is_named { None } else { executable() }
}

fn executable() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_stem()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: Option<&str>) {
        let name = name(&Env::from_pairs(variables.iter().copied()), || Some("shop".to_owned()));
        assert_eq!(name.as_deref(), expected, "{variables:?}");
    }

    #[test]
    fn a_service_without_a_name_has_that_of_the_executable() {
        check(&[], Some("shop"));
        check(&[("OTEL_SERVICE_NAME", "")], Some("shop"));
        check(&[("OTEL_RESOURCE_ATTRIBUTES", "service.version=2,a=service.name")], Some("shop"));
        check(&[("OTEL_SERVICE_NAME", "cart")], None);
        check(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name = cart")], None);
        check(&[("OTEL_CONFIG_FILE", "otel.yaml")], None);
    }
}
