//! One call of a database, as its driver describes it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::StringValue;

use super::config::QueryText;
use crate::sql::{Dialect, MAX_SUMMARY_CHARACTERS, Statement, Statements};

/// The statements of the whole program.
static STATEMENTS: std::sync::LazyLock<Statements> = std::sync::LazyLock::new(Statements::new);

/// A call of a database: a statement, a batch of statements, or an operation without text.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    kind: Kind<'a>,
    pub(crate) collection: Option<StringValue>,
    pub(crate) procedure: Option<StringValue>,
    pub(crate) started: Option<SystemTime>,
}

#[derive(Clone, Debug)]
enum Kind<'a> {
    Statement { sql: &'a str, is_parameterized: bool },
    Batch(&'a [&'a str]),
    Operation(&'static str),
}

impl<'a> Call<'a> {
    /// Describes a statement. Pass true if values are sent as parameters; the text then counts as free of values.
    pub fn statement(sql: &'a str, is_parameterized: bool) -> Self {
        Call::new(Kind::Statement { sql, is_parameterized })
    }

    /// Describes several statements that are sent together. A batch of one statement is that statement.
    ///
    /// spec: db/database-spans.md, db.operation.batch.size
    pub fn batch(statements: &'a [&'a str]) -> Self {
        match statements {
            [sql] => Call::statement(sql, false),
            _ => Call::new(Kind::Batch(statements)),
        }
    }

    /// Describes an operation of a higher-level API, such as `COMMIT`.
    pub fn operation(name: &'static str) -> Self {
        Call::new(Kind::Operation(name))
    }

    fn new(kind: Kind<'a>) -> Self {
        Call { kind, collection: None, procedure: None, started: None }
    }

    /// Sets `db.collection.name`, if the API receives the name of one table.
    ///
    /// spec: db/sql.md: the name should not be extracted from the text of the statement
    pub fn with_collection(mut self, name: &str) -> Self {
        self.collection = Some(Arc::<str>::from(name).into());
        self
    }

    /// Sets `db.stored_procedure.name`, if the API receives the name of a procedure.
    pub fn with_procedure(mut self, name: &str) -> Self {
        self.procedure = Some(Arc::<str>::from(name).into());
        self
    }

    /// Sets the start of the call, if it lies in the past.
    pub fn with_start(mut self, started: SystemTime) -> Self {
        self.started = Some(started);
        self
    }

    /// Returns the table or the procedure that the call names.
    pub(crate) fn target(&self) -> Option<&StringValue> {
        self.collection.as_ref().or(self.procedure.as_ref())
    }

    pub(crate) fn facts(&self, dialect: Dialect, query_text: QueryText) -> Facts {
        let read = |sql: &str, is_parameterized: bool| {
            STATEMENTS.get(sql, dialect, is_parameterized && query_text != QueryText::Sanitized)
        };
        match self.kind {
            Kind::Statement { sql, is_parameterized } => Facts {
                statement: Some(read(sql, is_parameterized)),
                is_described: query_text != QueryText::Off,
                operation: None,
                batch_size: None,
            },
            Kind::Operation(name) => {
                Facts { statement: None, is_described: false, operation: Some(name), batch_size: None }
            }
            Kind::Batch(statements) => {
                let all: Vec<_> = statements.iter().map(|sql| read(sql, false)).collect();
                Facts {
                    statement: Some(Arc::new(Statement::of_batch(&all))),
                    is_described: query_text != QueryText::Off && !all.is_empty(),
                    operation: None,
                    batch_size: Some(statements.len()),
                }
            }
        }
    }
}

/// The facts about a call that its span and its measurement contain.
pub(crate) struct Facts {
    pub(crate) statement: Option<Arc<Statement>>,
    /// True if the text is recorded.
    pub(crate) is_described: bool,
    pub(crate) operation: Option<&'static str>,
    pub(crate) batch_size: Option<usize>,
}

impl Facts {
    /// Returns `db.query.summary`, which is the same for the span and for its measurement. The summary of an operation
    /// includes its target if there is room for both.
    ///
    /// spec: db/database-spans.md, db.query.summary: a higher-level API builds it from the operation and the target
    pub(crate) fn summary(&self, target: Option<&StringValue>) -> Option<Cow<'static, str>> {
        match (self.operation, target) {
            (None, _) => self.statement.as_ref()?.summary.clone(),
            (Some(operation), Some(target)) => {
                let summary = format!("{operation} {target}");
                let fits = summary.chars().count() <= MAX_SUMMARY_CHARACTERS;
                Some(if fits { summary.into() } else { operation.into() })
            }
            (Some(operation), None) => Some(operation.into()),
        }
    }
}
