//! What integrations capture and exclude while the program runs: connects the control of the telemetry to the integrations.

#[cfg(feature = "http")]
use telemark_http::{ClientConfig as HttpClientConfig, ServerConfig};
use telemark_sdk::ConfigError;
use telemark_sdk::install::LiveSettings;

/// The settings of the integrations that this program may have.
pub(crate) const LIVE_SETTINGS: LiveSettings = LiveSettings::new(telemark_kit::LIVE_SETTINGS, problems, |changes| {
    telemark_kit::change_settings(changes).map_err(|error| ConfigError::state("set_capture", error.to_string()))
});

/// Returns what the integration cannot use in a value. An integration that is not compiled in has no opinion.
fn problems(name: &str, value: &str) -> Vec<String> {
    let read = |variable: &str| (variable == name).then(|| value.to_owned());
    let mut problems = Vec::new();
    #[cfg(feature = "http")]
    {
        problems.extend(ServerConfig::from_env_fn(read).problems().iter().map(ToString::to_string));
        problems.extend(HttpClientConfig::from_env_fn(read).problems().iter().map(ToString::to_string));
    }
    #[cfg(feature = "tonic")]
    {
        use telemark_tonic::GrpcConfig;

        problems.extend(GrpcConfig::server_from_env_fn(read).problems().iter().map(ToString::to_string));
        problems.extend(GrpcConfig::client_from_env_fn(read).problems().iter().map(ToString::to_string));
    }
    #[cfg(any(feature = "sqlx", feature = "tracing"))]
    problems.extend(telemark_db::ClientConfig::from_env_fn(read).problems().iter().map(ToString::to_string));
    problems
}
