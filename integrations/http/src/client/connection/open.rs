//! Open connections: their number by state, and their durations.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use opentelemetry::KeyValue;
use telemark_kit::{guarded, keys, lock};

use crate::client::call::Client;
use crate::shared::url::target::Target;

/// An open connection, which is counted until it is dropped.
///
/// Records `http.client.open_connections`, and at the end `http.client.connection.duration`.
pub struct OpenConnection(ConnectionHandle);

/// Refers to a connection. Attached to the connection by its connector, and to the responses that arrive on it.
#[derive(Clone)]
pub struct ConnectionHandle(Arc<Shared>);

/// A request that uses a connection, which is active until all clones of all its uses are dropped.
#[derive(Clone)]
pub struct ConnectionUse(Arc<Use>);

struct Shared {
    client: Arc<Client>,
    opened: SystemTime,
    active: Vec<KeyValue>,
    idle: Vec<KeyValue>,
    /// The attributes of the duration.
    both: Vec<KeyValue>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    uses: usize,
    is_closed: bool,
}

struct Use {
    connection: ConnectionHandle,
    /// True for a tunnel, and after a change of the protocol.
    is_kept: AtomicBool,
}

impl OpenConnection {
    /// Counts a new connection as idle. Returns `None` if the settings do not ask for it or there is no meter.
    pub(crate) fn new(client: &Arc<Client>, target: &Target<'_>, is_http2: bool) -> Option<Self> {
        let config = &client.config;
        if !config.counts_connections() {
            return None;
        }
        client.recorder.instruments()?;
        let mut both = Vec::with_capacity(5);
        if let Some(server) = target.server() {
            both.push(KeyValue::new(keys::SERVER_ADDRESS, server.address));
            both.extend(server.port.map(|port| KeyValue::new(keys::SERVER_PORT, i64::from(port))));
        }
        if is_http2 {
            both.push(KeyValue::new(keys::NETWORK_PROTOCOL_VERSION, "2"));
        }
        let scheme = target.known_scheme().filter(|_| config.opt_in_metric_attributes.scheme);
        both.extend(scheme.map(|scheme| KeyValue::new(keys::URL_SCHEME, scheme)));
        let with_state = |state: &'static str| {
            let mut list = Vec::with_capacity(both.len() + 1);
            list.push(KeyValue::new(keys::HTTP_CONNECTION_STATE, state));
            list.extend_from_slice(&both);
            // Finding a series is fastest with sorted attributes.
            list.sort_by(|a, b| a.key.cmp(&b.key));
            list
        };
        let (active, idle) = (with_state("active"), with_state("idle"));
        let opened = client.recorder.now();
        let state = Mutex::default();
        let connection = OpenConnection(ConnectionHandle(Arc::new(Shared {
            client: Arc::clone(client),
            opened,
            active,
            idle,
            both,
            state,
        })));
        connection.0.0.add(0, 1);
        Some(connection)
    }

    /// Returns a handle for the requests that use the connection.
    pub fn handle(&self) -> ConnectionHandle {
        self.0.clone()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let shared = &*self.0.0;
        let before = {
            let mut state = lock(&shared.state);
            let before = *state;
            state.is_closed = true;
            before
        };
        if before.uses > 0 {
            shared.add(-1, 0)
        } else {
            shared.add(0, -1)
        }
        // The clock and the meter are user code.
        guarded(|| {
            let Some(instruments) = shared.client.recorder.instruments() else { return };
            let open = shared.client.recorder.now().duration_since(shared.opened).unwrap_or_default();
            instruments.connection_duration.record(open.as_secs_f64(), &shared.both);
        });
    }
}

impl ConnectionHandle {
    /// Notes that a request uses the connection.
    pub fn begin_use(&self) -> ConnectionUse {
        let shared = &*self.0;
        let becomes_active = {
            let mut state = lock(&shared.state);
            state.uses = state.uses.saturating_add(1);
            state.uses == 1 && !state.is_closed
        };
        if becomes_active {
            shared.add(1, -1);
        }
        ConnectionUse(Arc::new(Use { connection: self.clone(), is_kept: AtomicBool::new(false) }))
    }
}

impl ConnectionUse {
    /// Returns true if this is a use of that connection.
    pub fn is_of(&self, connection: &ConnectionHandle) -> bool {
        Arc::ptr_eq(&self.0.connection.0, &connection.0)
    }

    /// Leaves the connection active until it is closed, because it has become a tunnel or has changed its protocol.
    pub fn keep(self) {
        self.0.is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if *self.is_kept.get_mut() {
            return;
        }
        let shared = &*self.connection.0;
        let becomes_idle = {
            let mut state = lock(&shared.state);
            state.uses = state.uses.saturating_sub(1);
            state.uses == 0 && !state.is_closed
        };
        if becomes_idle {
            shared.add(-1, 1);
        }
    }
}

impl Shared {
    /// Changes the numbers of active and of idle connections. Not called with the lock of the state: a meter is user code.
    fn add(&self, active: i64, idle: i64) {
        let Some(instruments) = self.client.recorder.instruments() else { return };
        for (number, attributes) in [(active, &self.active), (idle, &self.idle)] {
            if number != 0 {
                guarded(|| instruments.open.add(number, attributes));
            }
        }
    }
}

impl fmt::Debug for OpenConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenConnection").field(&self.0).finish()
    }
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHandle").field("state", &*lock(&self.0.state)).finish_non_exhaustive()
    }
}

impl fmt::Debug for ConnectionUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectionUse").field(&self.0.connection).finish()
    }
}
