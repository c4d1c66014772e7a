//! The viewer in the process.

/// Returns the link to the page of this program's viewer, or `None` if no exporter named `viewer` is in use.
///
/// `OTEL_TRACES_EXPORTER=viewer`, `OTEL_METRICS_EXPORTER=viewer` and `OTEL_LOGS_EXPORTER=viewer` start the viewer, which all signals
/// share. It holds the most recent telemetry of the program, up to `OTEL_RUST_VIEWER_MAX_MEMORY`, and serves a page at
/// `http://localhost:4380/`. If the port is taken, it takes a free one. The link is also written to standard error once. The page is
/// there as long as the guard.
///
/// ```no_run
/// let _telemetry = telemark::init()?; // with OTEL_TRACES_EXPORTER=viewer
/// if let Some(link) = telemark::viewer() {
///     println!("traces: {link}");
/// }
/// # Ok::<(), telemark::ConfigError>(())
/// ```
///
/// In code, name the viewer in the environment that the builder reads:
///
/// ```
/// use telemark::config::Env;
///
/// let env = Env::from_pairs([
///     ("OTEL_TRACES_EXPORTER", "viewer"),
///     ("OTEL_METRICS_EXPORTER", "viewer"),
///     ("OTEL_LOGS_EXPORTER", "viewer"),
/// ]);
/// let telemetry = telemark::builder().with_env(env).init()?;
/// assert!(telemark::viewer().is_some_and(|link| link.starts_with("http://")));
/// drop(telemetry);
/// assert_eq!(telemark::viewer(), None);
/// # Ok::<(), telemark::ConfigError>(())
/// ```
pub fn viewer() -> Option<String> {
    telemark_viewer::link()
}
