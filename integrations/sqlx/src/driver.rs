//! The facts about each driver: the database to which it connects, and the codes of its errors.

use std::borrow::Cow;

use sqlx_core::connection::Connection;
use sqlx_core::database::Database;
use sqlx_core::error::{DatabaseError, Error, ErrorKind};
use telemark_db::{Database as Described, Failure, System};

/// The options with which a database's connections are opened.
pub type Options<DB> = <<DB as Database>::Connection as Connection>::Options;

/// A database that this crate supports.
pub trait Driver: Database + sealed::Sealed {
    /// True if a thread of the driver executes the statements.
    const HAS_THREAD: bool = false;

    /// Returns the system, the name and the server to which `options` lead.
    fn describe(options: &Options<Self>) -> Described;

    /// Returns the code of an error, as the conventions define it for the system.
    fn code(error: &dyn DatabaseError, system: System) -> Option<Cow<'_, str>> {
        let _ = system;
        error.code()
    }
}

mod sealed {
    pub trait Sealed {}
}

#[cfg(feature = "postgres")]
impl sealed::Sealed for sqlx_postgres::Postgres {}

#[cfg(feature = "postgres")]
impl Driver for sqlx_postgres::Postgres {
    fn describe(options: &Options<Self>) -> Described {
        // The server uses the name of the user if there is no name of a database.
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let described = Described::new(System::PostgreSql);
        // spec: db/postgresql.md, db.namespace: `{database}|{schema}`
        let described = match options.get_options().and_then(schema) {
            Some(schema) => described.with_namespace(&format!("{database}|{schema}")),
            None => described.with_namespace(database),
        };
        match options.get_socket() {
            Some(socket) => described.with_server(&socket.display().to_string(), None),
            None => described.with_server(options.get_host(), Some(options.get_port())),
        }
    }
}

/// Finds the first schema of the search path in options such as `-c search_path=app,public`.
#[cfg(feature = "postgres")]
fn schema(options: &str) -> Option<&str> {
    let (_, path) = options.rsplit_once("search_path=")?;
    let end = path.find([',', ' ', '\\']).unwrap_or(path.len());
    path.get(..end).map(|schema| schema.trim_matches(['"', '\''])).filter(|schema| !schema.is_empty())
}

#[cfg(feature = "mysql")]
impl sealed::Sealed for sqlx_mysql::MySql {}

#[cfg(feature = "mysql")]
impl Driver for sqlx_mysql::MySql {
    fn describe(options: &Options<Self>) -> Described {
        let described = Described::new(System::MySql).with_namespace(options.get_database().unwrap_or_default());
        match options.get_socket() {
            Some(socket) => described.with_server(&socket.display().to_string(), None),
            None => described.with_server(options.get_host(), Some(options.get_port())),
        }
    }

    // spec: db/mysql.md: the vendor's number; db/mariadb.md: SQLSTATE, or else the number
    fn code(error: &dyn DatabaseError, system: System) -> Option<Cow<'_, str>> {
        let number = error.try_downcast_ref::<sqlx_mysql::MySqlDatabaseError>().map(|error| error.number().to_string());
        match system {
            System::MariaDb => error.code().or(number.map(Into::into)),
            _ => number.map(Into::into).or_else(|| error.code()),
        }
    }
}

#[cfg(feature = "sqlite")]
impl sealed::Sealed for sqlx_sqlite::Sqlite {}

#[cfg(feature = "sqlite")]
impl Driver for sqlx_sqlite::Sqlite {
    const HAS_THREAD: bool = true;

    fn describe(options: &Options<Self>) -> Described {
        let described = Described::new(System::Sqlite);
        let file = options.get_filename();
        // sqlx gives databases in memory these names.
        let is_in_memory = file.as_os_str() == ":memory:" || file.to_string_lossy().starts_with("file:sqlx-in-memory-");
        if is_in_memory {
            return described.with_in_memory();
        }
        // The folder may tell more than a name should.
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        described.with_namespace(&name.unwrap_or_default())
    }
}

/// Describes an error without its messages, which may repeat values of the statement.
pub(crate) fn failure<DB: Driver>(error: &Error, system: System) -> Failure<'_> {
    match error {
        Error::Database(database) => {
            let failure = Failure::new("sqlx::Error::Database", kind(&database.kind()));
            let failure = failure.with_message(database.message());
            match DB::code(&**database, system) {
                Some(code) => failure.with_code(code),
                None => failure,
            }
        }
        Error::Configuration(_) => Failure::new("sqlx::Error::Configuration", "error with configuration"),
        Error::Io(_) => Failure::new("sqlx::Error::Io", "error communicating with database"),
        Error::Tls(_) => Failure::new("sqlx::Error::Tls", "error establishing a TLS connection"),
        Error::Protocol(_) => Failure::new("sqlx::Error::Protocol", "unexpected or invalid data"),
        Error::RowNotFound => Failure::new("sqlx::Error::RowNotFound", "no rows returned"),
        Error::TypeNotFound { .. } => Failure::new("sqlx::Error::TypeNotFound", "type not found"),
        Error::ColumnIndexOutOfBounds { .. } => {
            Failure::new("sqlx::Error::ColumnIndexOutOfBounds", "column index out of bounds")
        }
        Error::ColumnNotFound(_) => Failure::new("sqlx::Error::ColumnNotFound", "column not found"),
        Error::ColumnDecode { .. } => Failure::new("sqlx::Error::ColumnDecode", "error decoding a column"),
        Error::Encode(_) => Failure::new("sqlx::Error::Encode", "error encoding a value"),
        Error::Decode(_) => Failure::new("sqlx::Error::Decode", "error decoding a value"),
        Error::PoolTimedOut => {
            Failure::new("sqlx::Error::PoolTimedOut", "pool timed out while waiting for an open connection")
        }
        Error::PoolClosed => Failure::new("sqlx::Error::PoolClosed", "pool is closed"),
        Error::WorkerCrashed => Failure::new("sqlx::Error::WorkerCrashed", "background worker crashed"),
        Error::InvalidSavePointStatement => {
            Failure::new("sqlx::Error::InvalidSavePointStatement", "begin_with within a transaction")
        }
        Error::BeginFailed => Failure::new("sqlx::Error::BeginFailed", "transaction was not begun"),
        _ => Failure::new("sqlx::Error", "error of sqlx"),
    }
}

fn kind(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UniqueViolation => "unique violation",
        ErrorKind::ForeignKeyViolation => "foreign key violation",
        ErrorKind::NotNullViolation => "not null violation",
        ErrorKind::CheckViolation => "check violation",
        ErrorKind::ExclusionViolation => "exclusion violation",
        _ => "error returned from database",
    }
}
