//! The viewer of this process, which the exporters of all signals share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use telemark_sdk::ConfigError;
use telemark_sdk::config::Env;
use telemark_sdk::diag::{self, Level};
use telemark_sdk::instrument::bridge::PerProcess;
use telemark_sdk::signal::{Logs, Metrics, Signal, Traces};

use super::{RunningSpans, Settings, ViewerExporter};
use crate::store::{Limits, Store};
use crate::viewer::Viewer;

/// A viewer that shows the telemetry of this process. Its page is served until it is dropped.
///
/// ```
/// use telemark_sdk::config::Env;
/// use telemark_viewer::InProcess;
///
/// let env = Env::from_pairs([("OTEL_RUST_VIEWER_ADDRESS", "127.0.0.1:0")]);
/// let viewer = InProcess::shared(&env)?;
/// println!("{}", viewer.link());
/// # Ok::<(), telemark_sdk::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct InProcess {
    viewer: Viewer,
    store: Arc<Store>,
}

/// The viewer of each process: a forked child has none at first, since its parent serves the page.
static SHARED: PerProcess<Shared> = PerProcess::new([const { Mutex::new(Weak::new()) }; PerProcess::<Shared>::PLACES]);

type Shared = Mutex<Weak<InProcess>>;

/// Returns the link to the page of the viewer of this process, with the token if there is one, or `None` if there is no viewer.
pub fn link() -> Option<String> {
    lock().upgrade().map(|viewer| viewer.link())
}

fn lock() -> MutexGuard<'static, Weak<InProcess>> {
    SHARED.get().lock().unwrap_or_else(PoisonError::into_inner)
}

impl InProcess {
    /// Returns the viewer of this process. If there is none, starts it with the settings in the environment, and logs the link to its
    /// page, without the token, with the SDK's own messages.
    ///
    /// # Errors
    /// Fails if the address cannot be listened on, or requires a token.
    pub fn shared(env: &Env) -> Result<Arc<Self>, ConfigError> {
        let mut shared = lock();
        if let Some(viewer) = shared.upgrade() {
            return Ok(viewer);
        }
        let viewer = Arc::new(InProcess::start(&Settings::from_env(env))?);
        *shared = Arc::downgrade(&viewer);
        drop(shared);
        // Outside of the lock: a slow reader of the messages must not hold up `link`.
        diag::log(Level::Info, "viewer", format_args!("the viewer is at {}", viewer.viewer.page()));
        Ok(viewer)
    }

    fn start(settings: &Settings) -> Result<Self, ConfigError> {
        let store = Store::new(Limits::default().with_bytes(settings.max_memory));
        let mut builder = Viewer::builder(store.clone()).in_process(true);
        if let Some(token) = &settings.token {
            builder = builder.with_token(token);
        }
        Ok(InProcess { viewer: builder.start(settings.bind()?)?, store })
    }

    /// Returns the link to the page, with the token if there is one.
    pub fn link(&self) -> String {
        self.viewer.link()
    }

    /// Returns an exporter of spans.
    pub fn span_exporter(&self) -> ViewerExporter<Traces> {
        self.exporter()
    }

    /// Returns an exporter of log records.
    pub fn log_exporter(&self) -> ViewerExporter<Logs> {
        self.exporter()
    }

    /// Returns an exporter of metrics.
    pub fn metric_exporter(&self) -> ViewerExporter<Metrics> {
        self.exporter()
    }

    /// Returns a processor that shows the spans that have not ended.
    pub fn running_spans(&self, resource: &telemark_sdk::Resource) -> RunningSpans {
        RunningSpans::new(&self.store, resource)
    }

    fn exporter<S: Signal>(&self) -> ViewerExporter<S> {
        ViewerExporter::new(self.store.clone()).with_destination(self.viewer.address())
    }
}
