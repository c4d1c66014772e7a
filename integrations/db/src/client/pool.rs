//! The metrics of connection pools.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Counter, Histogram, Meter, ObservableUpDownCounter};
use telemark_kit::{guarded, keys, lock};

use super::database::Database;
use super::instrumentation::DbClientInstrumentation;

/// The state of a connection pool. Metric readers call it, on their own threads; it must not block.
pub trait PoolState: Send + Sync + 'static {
    /// Returns the number of connections that are in use.
    fn used(&self) -> u64;
    /// Returns the number of open connections that are not in use.
    fn idle(&self) -> u64;
    /// Returns the maximum number of connections.
    fn limit(&self) -> Option<u64> {
        None
    }
    /// Returns the maximum number of idle connections.
    fn idle_max(&self) -> Option<u64> {
        None
    }
    /// Returns the minimum number of idle connections that the pool maintains.
    fn idle_min(&self) -> Option<u64> {
        None
    }
}

/// The instruments of all pools. Observations come from the pools that are alive.
pub(crate) struct PoolInstruments {
    pools: Pools,
    timeouts: Counter<u64>,
    wait_time: Histogram<f64>,
    use_time: Histogram<f64>,
    _observed: Vec<ObservableUpDownCounter<i64>>,
}

type Pools = Arc<Mutex<Vec<Weak<Pool>>>>;

impl PoolInstruments {
    // spec: db/database-metrics.md#connection-pools
    pub(crate) fn new(meter: &Meter) -> Self {
        let pools = Pools::default();
        let observed = |name: &'static str, unit: &'static str, description: &'static str, observe: Observe| {
            let pools = Arc::clone(&pools);
            let builder = meter.i64_observable_up_down_counter(name).with_unit(unit).with_description(description);
            builder.with_callback(move |observer| observe_all(&pools, observer, observe)).build()
        };
        let observed = vec![
            observed(
                "db.client.connection.count",
                "{connection}",
                "The number of connections that are currently in state described by the state attribute.",
                |pool, observer| {
                    observer.observe(count(pool.state.used()), &pool.used);
                    observer.observe(count(pool.state.idle()), &pool.idle);
                },
            ),
            observed(
                "db.client.connection.limit",
                "{connection}",
                "The maximum number of open connections allowed.",
                |pool, observer| observe_bound(pool, observer, pool.state.limit()),
            ),
            observed(
                "db.client.connection.idle.max",
                "{connection}",
                "The maximum number of idle open connections allowed.",
                |pool, observer| observe_bound(pool, observer, pool.state.idle_max()),
            ),
            observed(
                "db.client.connection.idle.min",
                "{connection}",
                "The minimum number of idle open connections allowed.",
                |pool, observer| observe_bound(pool, observer, pool.state.idle_min()),
            ),
            observed(
                "db.client.connection.pending_requests",
                "{request}",
                "The number of current pending requests for an open connection.",
                |pool, observer| observer.observe(pool.pending.load(Ordering::Relaxed), &pool.attributes),
            ),
        ];
        PoolInstruments {
            pools,
            timeouts: meter
                .u64_counter("db.client.connection.timeouts")
                .with_unit("{timeout}")
                .with_description(
                    "The number of connection timeouts that have occurred trying to obtain a connection from the pool.",
                )
                .build(),
            wait_time: meter
                .f64_histogram("db.client.connection.wait_time")
                .with_unit("s")
                .with_description("The time it took to obtain an open connection from the pool.")
                .build(),
            use_time: meter
                .f64_histogram("db.client.connection.use_time")
                .with_unit("s")
                .with_description("The time between borrowing a connection and returning it to the pool.")
                .build(),
            _observed: observed,
        }
    }
}

fn register(pools: &Pools, pool: &Arc<Pool>) {
    let mut pools = lock(pools);
    // Without a reader that collects, only this forgets the pools that are gone.
    if pools.len() == pools.capacity() {
        pools.retain(|pool| pool.strong_count() > 0);
    }
    pools.push(Arc::downgrade(pool));
}

type Observe = fn(&Pool, &dyn AsyncInstrument<i64>);

fn observe_all(pools: &Pools, observer: &dyn AsyncInstrument<i64>, observe: Observe) {
    // Neither a pool's own code nor the reader runs under the lock.
    let alive: Vec<_> = {
        let mut pools = lock(pools);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.iter().filter_map(Weak::upgrade).collect()
    };
    for pool in alive {
        observe(&pool, observer);
    }
}

fn observe_bound(pool: &Pool, observer: &dyn AsyncInstrument<i64>, bound: Option<u64>) {
    if let Some(bound) = bound {
        observer.observe(count(bound), &pool.attributes);
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

struct Pool {
    state: Box<dyn PoolState>,
    pending: AtomicI64,
    attributes: Vec<KeyValue>,
    used: Vec<KeyValue>,
    idle: Vec<KeyValue>,
    /// Set once the pool is among those that are observed.
    registered: OnceLock<()>,
}

/// The measurements of one connection pool. Clones share them; the pool is observed until the last one is dropped.
#[derive(Clone)]
pub struct PoolMeasurements {
    instrumentation: DbClientInstrumentation,
    pool: Arc<Pool>,
}

impl PoolMeasurements {
    pub(super) fn new(
        instrumentation: DbClientInstrumentation,
        database: &Database,
        name: Option<&str>,
        state: Box<dyn PoolState>,
    ) -> Self {
        let name = name.map_or_else(|| database.pool_name(), ToOwned::to_owned);
        let mut attributes = vec![KeyValue::new(keys::DB_CLIENT_CONNECTION_POOL_NAME, name)];
        attributes.extend_from_slice(database.attributes());
        let with_state = |state: &'static str| {
            let state = KeyValue::new(keys::DB_CLIENT_CONNECTION_STATE, state);
            attributes.iter().cloned().chain([state]).collect()
        };
        let (used, idle) = (with_state("used"), with_state("idle"));
        let pending = AtomicI64::new(0);
        let pool = Arc::new(Pool { state, pending, attributes, used, idle, registered: OnceLock::new() });
        let measurements = PoolMeasurements { instrumentation, pool };
        measurements.instruments();
        measurements
    }

    /// Returns the instruments, after the pool has been registered with them.
    fn instruments(&self) -> Option<&PoolInstruments> {
        let instruments = guarded(|| self.instrumentation.pools()).flatten()?;
        self.pool.registered.get_or_init(|| register(&instruments.pools, &self.pool));
        Some(instruments)
    }

    /// Begins to wait for a connection.
    pub fn wait(&self) -> Waiting {
        self.pool.pending.fetch_add(1, Ordering::Relaxed);
        Waiting { measurements: self.clone(), started: self.now() }
    }

    fn now(&self) -> SystemTime {
        guarded(|| self.instrumentation.now()).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

fn seconds(from: SystemTime, to: SystemTime) -> f64 {
    to.duration_since(from).unwrap_or_default().as_secs_f64()
}

impl fmt::Debug for PoolMeasurements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMeasurements").field("attributes", &self.pool.attributes).finish_non_exhaustive()
    }
}

/// A request for a connection. Dropping it ends the wait without a measurement.
#[derive(Debug)]
pub struct Waiting {
    measurements: PoolMeasurements,
    started: SystemTime,
}

impl Waiting {
    /// Returns the time at which the wait began.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// Ends the wait with a connection, which is in use until the returned value is dropped.
    pub fn connected(self) -> InUse {
        // The use begins when the wait ends.
        let used = InUse::new(&self.measurements);
        if let Some(instruments) = used.measurements.instruments() {
            let passed = seconds(self.started, used.started);
            guarded(|| instruments.wait_time.record(passed, &used.measurements.pool.attributes));
        }
        used
    }

    /// Ends the wait because it took too long.
    pub fn timed_out(self) {
        if let Some(instruments) = self.measurements.instruments() {
            guarded(|| instruments.timeouts.add(1, &self.measurements.pool.attributes));
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.measurements.pool.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection in use. Dropping it ends the use.
#[derive(Debug)]
pub struct InUse {
    measurements: PoolMeasurements,
    started: SystemTime,
}

impl InUse {
    /// Returns the use of a connection that was available without waiting.
    pub fn new(measurements: &PoolMeasurements) -> Self {
        InUse { measurements: measurements.clone(), started: measurements.now() }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let measurements = &self.measurements;
        if let Some(instruments) = measurements.instruments() {
            let passed = seconds(self.started, measurements.now());
            guarded(|| instruments.use_time.record(passed, &measurements.pool.attributes));
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;
    use crate::{ClientConfig, System};

    struct State;

    impl PoolState for State {
        fn used(&self) -> u64 {
            0
        }
        fn idle(&self) -> u64 {
            0
        }
    }

    #[test]
    fn pools_that_are_gone_take_no_memory() {
        let meters = SdkMeterProvider::builder().build();
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let client = DbClientInstrumentation::new(ClientConfig::new(), tracer).with_meter(&meters.meter("test"));
        let database = Database::new(System::Sqlite);
        let kept: Vec<_> = (0..10).map(|_| client.pool(&database, None, State)).collect();
        for _ in 0..10_000 {
            client.pool(&database, None, State);
        }
        let pools = lock(&client.pools().unwrap().pools);
        assert!(pools.len() <= 2 * kept.len(), "{}", pools.len());
        assert_eq!(pools.iter().filter(|pool| pool.strong_count() > 0).count(), kept.len());
    }
}
