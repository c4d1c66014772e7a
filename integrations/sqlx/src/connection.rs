//! Connections and transactions.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use sqlx_core::connection::{ConnectOptions, Connection as _};
use sqlx_core::database::Database;
use sqlx_core::error::Error;
use sqlx_core::pool::PoolConnection as BarePoolConnection;
use sqlx_core::sql_str::{SqlSafeStr, SqlStr};
use sqlx_core::transaction::TransactionManager;
use telemark_db::{Call, DbClientInstrumentation, InUse};

use crate::driver::{Driver, Options};
use crate::observe::Client;
use crate::telemetry::{Global, Telemetry};

/// A connection of sqlx whose calls are spans and measurements.
///
/// `&mut Connection` is an [`Executor`](sqlx_core::executor::Executor). It also dereferences to sqlx's connection, for
/// functions that require one; those calls are not observed.
pub struct Connection<DB: Driver, T: Telemetry = Global> {
    inner: Inner<DB>,
    pub(crate) client: Client,
    telemetry: PhantomData<fn() -> T>,
}

enum Inner<DB: Database> {
    Own(DB::Connection),
    /// Declared in this order, so that the use ends when the connection has returned to its pool.
    Pooled(BarePoolConnection<DB>, #[allow(dead_code, reason = "measures until it is dropped")] InUse),
}

impl<DB: Driver, T: Telemetry> Connection<DB, T> {
    /// Opens a connection.
    ///
    /// # Errors
    /// Fails if the URL is invalid or the database cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let options: Options<DB> = url.parse()?;
        Connection::connect_with(&options).await
    }

    /// Opens a connection with these options.
    ///
    /// # Errors
    /// Fails if the database cannot be reached.
    pub async fn connect_with(options: &Options<DB>) -> Result<Self, Error> {
        let bare = options.connect().await?;
        let client = Client { instrumentation: T::instrumentation(), database: DB::describe(options) };
        Ok(Connection::new(Inner::Own(bare), client))
    }

    fn new(inner: Inner<DB>, client: Client) -> Self {
        Connection { inner, client, telemetry: PhantomData }
    }

    pub(crate) fn pooled(bare: BarePoolConnection<DB>, in_use: InUse, client: Client) -> Self {
        Connection::new(Inner::Pooled(bare, in_use), client)
    }

    /// Replaces the telemetry.
    pub fn with_instrumentation(mut self, instrumentation: DbClientInstrumentation) -> Self {
        self.client.instrumentation = instrumentation;
        self
    }

    /// Returns sqlx's connection and the telemetry.
    pub(crate) fn parts(&mut self) -> (&mut DB::Connection, &Client) {
        let bare = match &mut self.inner {
            Inner::Own(bare) => bare,
            Inner::Pooled(bare, _) => &mut **bare,
        };
        (bare, &self.client)
    }

    /// Begins a transaction, or a savepoint within one.
    ///
    /// # Errors
    /// Fails like `begin` of sqlx.
    pub fn begin(&mut self) -> impl Future<Output = Result<Transaction<'_, DB, T>, Error>> + Send + '_ {
        Transaction::begin(Link::Borrowed(self), None)
    }

    /// Begins a transaction with a statement of your own, such as `BEGIN IMMEDIATE`.
    ///
    /// # Errors
    /// Fails like `begin_with` of sqlx, for example within a transaction.
    pub fn begin_with(
        &mut self,
        statement: impl SqlSafeStr,
    ) -> impl Future<Output = Result<Transaction<'_, DB, T>, Error>> + Send + '_ {
        Transaction::begin(Link::Borrowed(self), Some(statement.into_sql_str()))
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// Fails like `close` of sqlx.
    pub async fn close(self) -> Result<(), Error> {
        match self.inner {
            Inner::Own(bare) => bare.close().await,
            Inner::Pooled(bare, _) => bare.close().await,
        }
    }
}

impl<DB: Driver, T: Telemetry> Deref for Connection<DB, T> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        match &self.inner {
            Inner::Own(bare) => bare,
            Inner::Pooled(bare, _) => bare,
        }
    }
}

impl<DB: Driver, T: Telemetry> DerefMut for Connection<DB, T> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        self.parts().0
    }
}

impl<DB: Driver, T: Telemetry> AsRef<DB::Connection> for Connection<DB, T> {
    fn as_ref(&self) -> &DB::Connection {
        self
    }
}

impl<DB: Driver, T: Telemetry> AsMut<DB::Connection> for Connection<DB, T> {
    fn as_mut(&mut self) -> &mut DB::Connection {
        self
    }
}

impl<DB: Driver, T: Telemetry> fmt::Debug for Connection<DB, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("database", &self.client.database).finish_non_exhaustive()
    }
}

/// A connection from a pool, to which it returns when it is dropped. Use it as `&mut *connection`.
pub struct PoolConnection<DB: Driver, T: Telemetry = Global>(pub(crate) Connection<DB, T>);

impl<DB: Driver, T: Telemetry> PoolConnection<DB, T> {
    /// Closes the connection, which makes room for another one in the pool.
    ///
    /// # Errors
    /// Fails like `close` of sqlx.
    pub async fn close(self) -> Result<(), Error> {
        self.0.close().await
    }

    /// Closes the connection when this value is dropped, instead of returning it to the pool.
    pub fn close_on_drop(&mut self) {
        if let Inner::Pooled(bare, _) = &mut self.0.inner {
            bare.close_on_drop();
        }
    }

    /// Takes the connection out of the pool, which may then open another one.
    pub fn detach(self) -> Connection<DB, T> {
        let Connection { inner, client, .. } = self.0;
        match inner {
            Inner::Own(_) => Connection::new(inner, client),
            Inner::Pooled(bare, _) => Connection::new(Inner::Own(bare.detach()), client),
        }
    }

    /// Takes the connection out of the pool, which still counts it.
    pub fn leak(self) -> Connection<DB, T> {
        let Connection { inner, client, .. } = self.0;
        match inner {
            Inner::Own(_) => Connection::new(inner, client),
            Inner::Pooled(bare, _) => Connection::new(Inner::Own(bare.leak()), client),
        }
    }
}

impl<DB: Driver, T: Telemetry> Deref for PoolConnection<DB, T> {
    type Target = Connection<DB, T>;

    fn deref(&self) -> &Connection<DB, T> {
        &self.0
    }
}

impl<DB: Driver, T: Telemetry> DerefMut for PoolConnection<DB, T> {
    fn deref_mut(&mut self) -> &mut Connection<DB, T> {
        &mut self.0
    }
}

impl<DB: Driver, T: Telemetry> fmt::Debug for PoolConnection<DB, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolConnection").field(&self.0.client.database).finish()
    }
}

/// A transaction or a savepoint. Use it as `&mut *transaction`.
///
/// Dropping it without [`Transaction::commit`] rolls it back, as in sqlx: when the connection is used next, or returns to its
/// pool. There is no span for that.
pub struct Transaction<'c, DB: Driver, T: Telemetry = Global> {
    connection: Link<'c, DB, T>,
    is_open: bool,
}

pub(crate) enum Link<'c, DB: Driver, T: Telemetry> {
    Owned(Connection<DB, T>),
    Borrowed(&'c mut Connection<DB, T>),
}

impl<'c, DB: Driver, T: Telemetry> Transaction<'c, DB, T> {
    pub(crate) async fn begin(connection: Link<'c, DB, T>, statement: Option<SqlStr>) -> Result<Self, Error> {
        // If this fails or is cancelled, the transaction may have begun and must be rolled back.
        let mut transaction = Transaction { connection, is_open: true };
        let depth = transaction.depth();
        let (bare, client) = transaction.parts();
        let text = statement.clone();
        let call = match &text {
            Some(text) => Call::statement(text.as_str(), false),
            None => Call::operation(if depth == 0 { "BEGIN" } else { "SAVEPOINT" }),
        };
        client.call::<DB, _>(call, DB::TransactionManager::begin(bare, statement)).await?;
        Ok(transaction)
    }

    /// Commits the transaction, or releases the savepoint.
    ///
    /// # Errors
    /// Fails like `commit` of sqlx.
    pub async fn commit(mut self) -> Result<(), Error> {
        let name = if self.depth() > 1 { "RELEASE SAVEPOINT" } else { "COMMIT" };
        let (bare, client) = self.parts();
        client.call::<DB, _>(Call::operation(name), DB::TransactionManager::commit(bare)).await?;
        self.is_open = false;
        Ok(())
    }

    /// Rolls back the transaction, or returns to the savepoint.
    ///
    /// # Errors
    /// Fails like `rollback` of sqlx.
    pub async fn rollback(mut self) -> Result<(), Error> {
        let name = if self.depth() > 1 { "ROLLBACK TO SAVEPOINT" } else { "ROLLBACK" };
        let (bare, client) = self.parts();
        client.call::<DB, _>(Call::operation(name), DB::TransactionManager::rollback(bare)).await?;
        self.is_open = false;
        Ok(())
    }

    fn depth(&self) -> usize {
        DB::TransactionManager::get_transaction_depth(self)
    }

    fn parts(&mut self) -> (&mut DB::Connection, &Client) {
        match &mut self.connection {
            Link::Owned(connection) => connection.parts(),
            Link::Borrowed(connection) => connection.parts(),
        }
    }
}

impl<DB: Driver, T: Telemetry> Deref for Transaction<'_, DB, T> {
    type Target = Connection<DB, T>;

    fn deref(&self) -> &Connection<DB, T> {
        match &self.connection {
            Link::Owned(connection) => connection,
            Link::Borrowed(connection) => connection,
        }
    }
}

impl<DB: Driver, T: Telemetry> DerefMut for Transaction<'_, DB, T> {
    fn deref_mut(&mut self) -> &mut Connection<DB, T> {
        match &mut self.connection {
            Link::Owned(connection) => connection,
            Link::Borrowed(connection) => connection,
        }
    }
}

impl<DB: Driver, T: Telemetry> AsMut<DB::Connection> for Transaction<'_, DB, T> {
    fn as_mut(&mut self) -> &mut DB::Connection {
        self.parts().0
    }
}

impl<DB: Driver, T: Telemetry> Drop for Transaction<'_, DB, T> {
    fn drop(&mut self) {
        if self.is_open {
            DB::TransactionManager::start_rollback(self.parts().0);
        }
    }
}

impl<DB: Driver, T: Telemetry> fmt::Debug for Transaction<'_, DB, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("is_open", &self.is_open).finish_non_exhaustive()
    }
}
