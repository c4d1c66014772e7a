//! A query whose parts have been read, which can still be executed.

use sqlx_core::arguments::Arguments;
use sqlx_core::database::Database;
use sqlx_core::error::BoxDynError;
use sqlx_core::executor::Execute;
use sqlx_core::sql_str::{AssertSqlSafe, SqlSafeStr, SqlStr};
use telemark_db::Call;

/// The parts of a query. Executing them has the same effect as executing the query.
pub(crate) struct Parts<DB: Database> {
    sql: SqlStr,
    statement: Option<DB::Statement>,
    arguments: Option<Result<Option<DB::Arguments>, BoxDynError>>,
    is_persistent: bool,
}

impl<DB: Database> Parts<DB> {
    /// Takes a query apart in the order in which the drivers do: some queries answer differently after their arguments were
    /// taken.
    pub(crate) fn new<'q>(mut query: impl Execute<'q, DB>) -> Self {
        let statement = query.statement().cloned();
        let arguments = Some(query.take_arguments());
        let is_persistent = query.persistent();
        Parts { sql: query.sql(), statement, arguments, is_persistent }
    }

    pub(crate) fn text(&self) -> &str {
        self.sql.as_str()
    }

    /// Describes the query for its span.
    pub(crate) fn call(&self) -> Call<'_> {
        Call::statement(self.text(), self.is_parameterized())
    }

    /// Returns true if values are sent apart from the text.
    fn is_parameterized(&self) -> bool {
        matches!(&self.arguments, Some(Ok(Some(arguments))) if arguments.len() > 0)
    }

    /// Returns true if the driver prepares the text and keeps it for the next call. With `persistent(false)`, each driver prepares
    /// it for this call only.
    pub(crate) fn is_prepared(&self) -> bool {
        let has_arguments = !matches!(&self.arguments, Some(Ok(None)));
        has_arguments && (self.is_persistent || self.statement.is_some())
    }

    /// Replaces the text by the same statement with a comment.
    pub(crate) fn set_comment(&mut self, commented: String) {
        // A statement that was prepared before keeps its text.
        if self.statement.is_none() {
            self.sql = AssertSqlSafe(commented).into_sql_str();
        }
    }
}

impl<DB: Database> Execute<'_, DB> for Parts<DB> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        self.arguments.take().unwrap_or(Ok(None))
    }

    fn persistent(&self) -> bool {
        self.is_persistent
    }
}
