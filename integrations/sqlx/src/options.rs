//! The options of a pool: those of sqlx, and those of its telemetry.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use futures_core::future::BoxFuture;
use sqlx_core::error::Error;
use sqlx_core::pool::{PoolConnectionMetadata, PoolOptions as BareOptions};
use telemark_db::{ClientConfig, DbClientInstrumentation, System};

use crate::driver::{Driver, Options};
use crate::observe::Client;
use crate::pool::Pool;
use crate::telemetry::{Global, Telemetry};

/// The options of a pool. Methods without documentation of their own have the effect of sqlx's methods of the same name.
pub struct PoolOptions<DB: Driver, T: Telemetry = Global> {
    bare: BareOptions<DB>,
    name: Option<String>,
    system: Option<System>,
    instrumentation: Option<DbClientInstrumentation>,
    telemetry: PhantomData<fn() -> T>,
}

impl<DB: Driver, T: Telemetry> PoolOptions<DB, T> {
    /// Returns sqlx's defaults.
    pub fn new() -> Self {
        BareOptions::new().into()
    }

    /// Names the pool in its metrics. The default is the name of the database.
    ///
    /// spec: db/database-metrics.md, db.client.connection.pool.name
    pub fn with_pool_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Replaces the system in `db.system.name`, such as [`System::MariaDb`], for which sqlx uses the driver of MySQL.
    pub fn with_system(mut self, system: System) -> Self {
        self.system = Some(system);
        self
    }

    /// Replaces the telemetry.
    pub fn with_instrumentation(mut self, instrumentation: DbClientInstrumentation) -> Self {
        self.instrumentation = Some(instrumentation);
        self
    }

    /// Changes the settings of the telemetry. `change` receives the present ones, including those from the environment, and returns
    /// new ones.
    ///
    /// ```
    /// # #[cfg(feature = "postgres")]
    /// # fn options() -> telemark_sqlx::postgres::PgPoolOptions {
    /// use telemark_sqlx::{Commenter, postgres::PgPoolOptions};
    ///
    /// let commenter = Commenter::new().with_tag("application", "shop");
    /// PgPoolOptions::new().map_config(|config| config.with_commenter(commenter))
    /// # }
    /// ```
    pub fn map_config(mut self, change: impl FnOnce(ClientConfig) -> ClientConfig) -> Self {
        let instrumentation = self.instrumentation.unwrap_or_else(T::instrumentation);
        self.instrumentation = Some(instrumentation.map_config(change));
        self
    }

    fn changed(self, change: impl FnOnce(BareOptions<DB>) -> BareOptions<DB>) -> Self {
        PoolOptions { bare: change(self.bare), ..self }
    }

    /// Sets the callback for new connections, which receives sqlx's connection.
    pub fn after_connect<F>(self, callback: F) -> Self
    where
        for<'c> F: Fn(&'c mut DB::Connection, PoolConnectionMetadata) -> BoxFuture<'c, Result<(), Error>>
            + 'static
            + Send
            + Sync,
    {
        self.changed(|bare| bare.after_connect(callback))
    }

    /// Sets the callback for idle connections before their use, which receives sqlx's connection.
    pub fn before_acquire<F>(self, callback: F) -> Self
    where
        for<'c> F: Fn(&'c mut DB::Connection, PoolConnectionMetadata) -> BoxFuture<'c, Result<bool, Error>>
            + 'static
            + Send
            + Sync,
    {
        self.changed(|bare| bare.before_acquire(callback))
    }

    /// Sets the callback for connections after their use, which receives sqlx's connection.
    pub fn after_release<F>(self, callback: F) -> Self
    where
        for<'c> F: Fn(&'c mut DB::Connection, PoolConnectionMetadata) -> BoxFuture<'c, Result<bool, Error>>
            + 'static
            + Send
            + Sync,
    {
        self.changed(|bare| bare.after_release(callback))
    }

    /// Opens a pool with a first connection.
    ///
    /// # Errors
    /// Fails if the URL is invalid or the database cannot be reached.
    pub async fn connect(self, url: &str) -> Result<Pool<DB, T>, Error> {
        let options: Options<DB> = url.parse()?;
        self.connect_with(options).await
    }

    /// Opens a pool with these options for its connections, and a first connection.
    ///
    /// # Errors
    /// Fails if the database cannot be reached.
    pub async fn connect_with(self, options: Options<DB>) -> Result<Pool<DB, T>, Error> {
        let client = self.client(&options);
        let bare = self.bare.connect_with(options).await?;
        Ok(Pool::new(bare, client, self.name.as_deref()))
    }

    /// Creates a pool that connects when it is used. Call it within a runtime.
    ///
    /// # Errors
    /// Fails if the URL is invalid.
    pub fn connect_lazy(self, url: &str) -> Result<Pool<DB, T>, Error> {
        let options: Options<DB> = url.parse()?;
        Ok(self.connect_lazy_with(options))
    }

    /// Creates a pool that connects with these options when it is used. Call it within a runtime.
    pub fn connect_lazy_with(self, options: Options<DB>) -> Pool<DB, T> {
        let client = self.client(&options);
        Pool::new(self.bare.connect_lazy_with(options), client, self.name.as_deref())
    }

    fn client(&self, options: &Options<DB>) -> Client {
        let database = DB::describe(options);
        let database = match self.system {
            Some(system) => database.with_system(system),
            None => database,
        };
        Client { instrumentation: self.instrumentation.clone().unwrap_or_else(T::instrumentation), database }
    }
}

/// Defines methods of sqlx's options.
macro_rules! forwarded {
    (setters: { $($name:ident($value:ty);)* } getters: { $($getter:ident -> $type:ty;)* }) => {
        #[allow(missing_docs, reason = "the methods of sqlx document themselves")]
        impl<DB: Driver, T: Telemetry> PoolOptions<DB, T> {
            $(pub fn $name(self, value: $value) -> Self {
                self.changed(|bare| bare.$name(value))
            })*
            $(pub fn $getter(&self) -> $type {
                self.bare.$getter()
            })*
        }
    };
}

forwarded! {
    setters: {
        max_connections(u32);
        min_connections(u32);
        acquire_slow_threshold(Duration);
        acquire_timeout(Duration);
        max_lifetime(impl Into<Option<Duration>>);
        idle_timeout(impl Into<Option<Duration>>);
        test_before_acquire(bool);
    }
    getters: {
        get_max_connections -> u32;
        get_min_connections -> u32;
        get_acquire_slow_threshold -> Duration;
        get_acquire_timeout -> Duration;
        get_max_lifetime -> Option<Duration>;
        get_idle_timeout -> Option<Duration>;
        get_test_before_acquire -> bool;
    }
}

/// Options of sqlx, including those that have no method here, such as the levels of its log messages.
impl<DB: Driver, T: Telemetry> From<BareOptions<DB>> for PoolOptions<DB, T> {
    fn from(bare: BareOptions<DB>) -> Self {
        PoolOptions { bare, name: None, system: None, instrumentation: None, telemetry: PhantomData }
    }
}

impl<DB: Driver, T: Telemetry> Default for PoolOptions<DB, T> {
    fn default() -> Self {
        PoolOptions::new()
    }
}

impl<DB: Driver, T: Telemetry> Clone for PoolOptions<DB, T> {
    fn clone(&self) -> Self {
        PoolOptions {
            bare: self.bare.clone(),
            name: self.name.clone(),
            system: self.system,
            instrumentation: self.instrumentation.clone(),
            telemetry: PhantomData,
        }
    }
}

impl<DB: Driver, T: Telemetry> fmt::Debug for PoolOptions<DB, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolOptions").field("bare", &self.bare).field("name", &self.name).finish_non_exhaustive()
    }
}
