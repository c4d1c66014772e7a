//! Pools of connections.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::SystemTime;

use sqlx_core::error::Error;
use sqlx_core::pool::Pool as BarePool;
use sqlx_core::sql_str::{SqlSafeStr, SqlStr};
use telemark_db::{Call, InUse, PoolMeasurements, PoolState};

use crate::connection::{Connection, Link, PoolConnection, Transaction};
use crate::driver::{Driver, Options};
use crate::observe::Client;
use crate::options::PoolOptions;
use crate::telemetry::{Global, Telemetry};

/// A pool of sqlx whose calls are spans and measurements. Clones share the pool.
///
/// `&Pool` is an [`Executor`](sqlx_core::executor::Executor). It also dereferences to sqlx's pool, for its other methods and
/// for functions that require one; the statements of those functions are not observed.
pub struct Pool<DB: Driver, T: Telemetry = Global> {
    bare: BarePool<DB>,
    client: Client,
    measurements: PoolMeasurements,
    telemetry: PhantomData<fn() -> T>,
}

impl<DB: Driver, T: Telemetry> Pool<DB, T> {
    /// Opens a pool with the default options and a first connection.
    ///
    /// # Errors
    /// Fails if the URL is invalid or the database cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        PoolOptions::new().connect(url).await
    }

    /// Opens a pool with these options for its connections, and a first connection.
    ///
    /// # Errors
    /// Fails if the database cannot be reached.
    pub async fn connect_with(options: Options<DB>) -> Result<Self, Error> {
        PoolOptions::new().connect_with(options).await
    }

    /// Creates a pool that connects when it is used. Call it within a runtime.
    ///
    /// # Errors
    /// Fails if the URL is invalid.
    pub fn connect_lazy(url: &str) -> Result<Self, Error> {
        PoolOptions::new().connect_lazy(url)
    }

    /// Creates a pool that connects with these options when it is used. Call it within a runtime.
    pub fn connect_lazy_with(options: Options<DB>) -> Self {
        PoolOptions::new().connect_lazy_with(options)
    }

    pub(crate) fn new(bare: BarePool<DB>, client: Client, name: Option<&str>) -> Self {
        let measurements = client.instrumentation.pool(&client.database, name, State(bare.clone()));
        Pool { bare, client, measurements, telemetry: PhantomData }
    }

    /// Returns a connection, for which it may have to wait.
    ///
    /// # Errors
    /// Fails with [`Error::PoolTimedOut`] if the wait takes too long, and like `acquire` of sqlx otherwise.
    pub fn acquire(&self) -> impl Future<Output = Result<PoolConnection<DB, T>, Error>> + Send + 'static {
        let pool = self.clone();
        async move { pool.into_connection().await.map_err(|refused| refused.error) }
    }

    /// Returns a connection, or the reason why there is none.
    ///
    /// Consumes a clone of the pool, because a future that captures this one would be twice as large.
    pub(crate) async fn into_connection(self) -> Result<PoolConnection<DB, T>, Refused> {
        let Pool { bare, client, measurements, .. } = self;
        let waiting = measurements.wait();
        let started = waiting.started();
        match bare.acquire().await {
            Ok(connection) => Ok(PoolConnection(Connection::pooled(connection, waiting.connected(), client))),
            Err(error) => {
                if matches!(error, Error::PoolTimedOut) {
                    waiting.timed_out();
                }
                Err(Refused { error, started, client })
            }
        }
    }

    /// Returns a connection if one is idle.
    pub fn try_acquire(&self) -> Option<PoolConnection<DB, T>> {
        let bare = self.bare.try_acquire()?;
        Some(PoolConnection(Connection::pooled(bare, InUse::new(&self.measurements), self.client.clone())))
    }

    /// Begins a transaction on a connection of the pool.
    ///
    /// # Errors
    /// Fails if there is no connection, and like `begin` of sqlx.
    pub fn begin(&self) -> impl Future<Output = Result<Transaction<'static, DB, T>, Error>> + Send + '_ {
        self.begin_on(None)
    }

    /// Begins a transaction with a statement of your own, such as `BEGIN IMMEDIATE`.
    ///
    /// # Errors
    /// Fails if there is no connection, and like `begin_with` of sqlx.
    pub fn begin_with(
        &self,
        statement: impl SqlSafeStr,
    ) -> impl Future<Output = Result<Transaction<'static, DB, T>, Error>> + Send + '_ {
        self.begin_on(Some(statement.into_sql_str()))
    }

    async fn begin_on(&self, statement: Option<SqlStr>) -> Result<Transaction<'static, DB, T>, Error> {
        let connection = match self.clone().into_connection().await {
            Ok(connection) => connection,
            Err(refused) => {
                return Err(refused.record::<DB>(match &statement {
                    Some(statement) => Call::statement(statement.as_str(), false),
                    None => Call::operation("BEGIN"),
                }));
            }
        };
        Transaction::begin(Link::Owned(connection.0), statement).await
    }

    /// Begins a transaction if a connection is idle.
    ///
    /// # Errors
    /// Fails like `try_begin` of sqlx.
    pub async fn try_begin(&self) -> Result<Option<Transaction<'static, DB, T>>, Error> {
        match self.try_acquire() {
            Some(connection) => Transaction::begin(Link::Owned(connection.0), None).await.map(Some),
            None => Ok(None),
        }
    }

    /// Begins a transaction with a statement of your own if a connection is idle.
    ///
    /// # Errors
    /// Fails like `try_begin_with` of sqlx.
    pub async fn try_begin_with(
        &self,
        statement: impl SqlSafeStr,
    ) -> Result<Option<Transaction<'static, DB, T>>, Error> {
        let statement = statement.into_sql_str();
        match self.try_acquire() {
            Some(connection) => Transaction::begin(Link::Owned(connection.0), Some(statement)).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns the pool of sqlx. Its statements are not observed.
    pub fn into_inner(self) -> BarePool<DB> {
        self.bare
    }
}

impl<DB: Driver, T: Telemetry> From<BarePool<DB>> for Pool<DB, T> {
    fn from(bare: BarePool<DB>) -> Self {
        let client = Client { instrumentation: T::instrumentation(), database: DB::describe(&bare.connect_options()) };
        Pool::new(bare, client, None)
    }
}

impl<DB: Driver, T: Telemetry> Clone for Pool<DB, T> {
    fn clone(&self) -> Self {
        let Pool { bare, client, measurements, telemetry } = self;
        Pool { bare: bare.clone(), client: client.clone(), measurements: measurements.clone(), telemetry: *telemetry }
    }
}

impl<DB: Driver, T: Telemetry> Deref for Pool<DB, T> {
    type Target = BarePool<DB>;

    fn deref(&self) -> &BarePool<DB> {
        &self.bare
    }
}

impl<DB: Driver, T: Telemetry> AsRef<BarePool<DB>> for Pool<DB, T> {
    fn as_ref(&self) -> &BarePool<DB> {
        &self.bare
    }
}

impl<DB: Driver, T: Telemetry> fmt::Debug for Pool<DB, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bare.fmt(f)
    }
}

/// The failure to acquire a connection.
pub(crate) struct Refused {
    error: Error,
    /// The time at which the wait began.
    started: SystemTime,
    client: Client,
}

impl Refused {
    /// Records the call that needed the connection, and returns the error.
    pub(crate) fn record<DB: Driver>(self, call: Call<'_>) -> Error {
        self.client.fail::<DB>(call, self.started, &self.error);
        self.error
    }
}

struct State<DB: Driver>(BarePool<DB>);

impl<DB: Driver> PoolState for State<DB> {
    fn used(&self) -> u64 {
        u64::from(self.0.size()).saturating_sub(self.idle())
    }

    fn idle(&self) -> u64 {
        self.0.num_idle().min(self.0.size() as usize) as u64
    }

    fn limit(&self) -> Option<u64> {
        Some(self.0.options().get_max_connections().into())
    }

    // sqlx keeps every connection until it has been idle for too long.
    fn idle_max(&self) -> Option<u64> {
        self.limit()
    }

    fn idle_min(&self) -> Option<u64> {
        Some(self.0.options().get_min_connections().into())
    }
}
