//! `Executor` for pools and connections, once for each driver: a generic implementation would need bounds on sqlx's types
//! that the compiler cannot resolve.

#![cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]

use std::future::poll_fn;
use std::pin::Pin;

use futures_core::future::BoxFuture;
use futures_core::stream::{BoxStream, Stream};
use sqlx_core::describe::Describe;
use sqlx_core::error::Error;
use sqlx_core::executor::{Execute, Executor};
use sqlx_core::ext::async_stream::TryAsyncStream;
use sqlx_core::sql_str::SqlStr;
use telemark_db::Call;

use crate::connection::Connection;
use crate::observe::{Item, Rows};
use crate::pool::Pool;
use crate::query::Parts;
use crate::telemetry::Telemetry;

macro_rules! executors {
    ($database:ty, $row:ty, $statement:ty, $type_info:ty) => {
        impl<'c, T: Telemetry> Executor<'c> for &'c mut Connection<$database, T> {
            type Database = $database;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Item<$database>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, $database>,
            {
                let (bare, client) = self.parts();
                Box::pin(Rows::new(client, Parts::new(query), move |query| Executor::fetch_many(bare, query)))
            }

            fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<$row>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, $database>,
            {
                let query = Parts::<$database>::new(query);
                Box::pin(async move {
                    let (bare, client) = self.parts();
                    client.optional(query, move |query| Executor::fetch_optional(bare, query)).await
                })
            }

            fn prepare_with<'e>(
                self,
                sql: SqlStr,
                parameters: &'e [$type_info],
            ) -> BoxFuture<'e, Result<$statement, Error>>
            where
                'c: 'e,
            {
                Box::pin(async move {
                    let (bare, client) = self.parts();
                    let prepared = Executor::prepare_with(bare, sql, parameters);
                    client.call::<$database, _>(Call::operation("PREPARE"), prepared).await
                })
            }

            fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<$database>, Error>>
            where
                'c: 'e,
            {
                // Only sqlx's macros call this, at compile time.
                Executor::describe(self.parts().0, sql)
            }
        }

        // As in sqlx, the results do not borrow the pool.
        impl<'p, T: Telemetry> Executor<'p> for &'_ Pool<$database, T> {
            type Database = $database;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Item<$database>, Error>>
            where
                'p: 'e,
                E: 'q + Execute<'q, $database>,
            {
                let query = Parts::<$database>::new(query);
                let pool = self.clone();
                Box::pin(TryAsyncStream::new(move |yielder| async move {
                    let mut connection = match pool.into_connection().await {
                        Ok(connection) => connection,
                        Err(refused) => return Err(refused.record::<$database>(query.call())),
                    };
                    let (bare, client) = connection.parts();
                    let mut rows = Rows::new(client, query, move |query| Executor::fetch_many(bare, query));
                    while let Some(item) = poll_fn(|task| Pin::new(&mut rows).poll_next(task)).await {
                        yielder.r#yield(item?).await;
                    }
                    Ok(())
                }))
            }

            fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<$row>, Error>>
            where
                'p: 'e,
                E: 'q + Execute<'q, $database>,
            {
                let query = Parts::<$database>::new(query);
                let pool = self.clone();
                Box::pin(async move {
                    match pool.into_connection().await {
                        Ok(mut connection) => {
                            let (bare, client) = connection.parts();
                            client.optional(query, move |query| Executor::fetch_optional(bare, query)).await
                        }
                        Err(refused) => Err(refused.record::<$database>(query.call())),
                    }
                })
            }

            fn prepare_with<'e>(
                self,
                sql: SqlStr,
                parameters: &'e [$type_info],
            ) -> BoxFuture<'e, Result<$statement, Error>>
            where
                'p: 'e,
            {
                let pool = self.clone();
                Box::pin(async move {
                    match pool.into_connection().await {
                        Ok(mut connection) => Executor::prepare_with(&mut *connection, sql, parameters).await,
                        Err(refused) => Err(refused.record::<$database>(Call::operation("PREPARE"))),
                    }
                })
            }

            fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<$database>, Error>>
            where
                'p: 'e,
            {
                let acquired = self.acquire();
                Box::pin(async move { Executor::describe(acquired.await?.parts().0, sql).await })
            }
        }
    };
}

#[cfg(feature = "postgres")]
executors!(sqlx_postgres::Postgres, sqlx_postgres::PgRow, sqlx_postgres::PgStatement, sqlx_postgres::PgTypeInfo);
#[cfg(feature = "mysql")]
executors!(sqlx_mysql::MySql, sqlx_mysql::MySqlRow, sqlx_mysql::MySqlStatement, sqlx_mysql::MySqlTypeInfo);
#[cfg(feature = "sqlite")]
executors!(sqlx_sqlite::Sqlite, sqlx_sqlite::SqliteRow, sqlx_sqlite::SqliteStatement, sqlx_sqlite::SqliteTypeInfo);
