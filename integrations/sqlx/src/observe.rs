//! Calls of a driver under observation: futures and streams of rows.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context as Task, Poll, ready};
use std::time::SystemTime;

use futures_core::stream::{BoxStream, Stream};
use sqlx_core::Either;
use sqlx_core::error::Error;
use telemark_db::{Call, CurrentCall, Database as Described, DbClientInstrumentation, End, Operation};
use telemark_kit::guarded;
use tracing::Span;

use crate::driver::{Driver, failure};
use crate::query::Parts;

/// The telemetry of a connection and the database to which it leads.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) instrumentation: DbClientInstrumentation,
    pub(crate) database: Described,
}

impl Client {
    pub(crate) fn begin(&self, call: Call<'_>) -> Option<Operation> {
        self.instrumentation.begin(&self.database, call)
    }

    /// Begins the call of a statement and adds the comment that the settings ask for.
    fn begin_query<DB: Driver>(&self, query: &mut Parts<DB>) -> Option<Operation> {
        let operation = self.begin(query.call())?;
        if let Some(commented) = self.instrumentation.comment(query.text(), &operation, query.is_prepared()) {
            query.set_comment(commented);
        }
        Some(operation)
    }

    /// Records a call that never reached the database.
    pub(crate) fn fail<DB: Driver>(&self, call: Call<'_>, started: SystemTime, error: &Error) {
        if let Some(mut operation) = self.begin(call.with_start(started)) {
            operation.end(End::Failed(failure::<DB>(error, self.database.system())));
        }
    }

    /// Awaits a call without a statement.
    pub(crate) async fn call<DB: Driver, T>(
        &self,
        call: Call<'_>,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let operation = self.begin(call);
        self.watch::<DB, T>(operation, future, |_| 0).await
    }

    /// Awaits a query with at most one row.
    pub(crate) async fn optional<DB: Driver, T, F>(
        &self,
        mut query: Parts<DB>,
        start: impl FnOnce(Parts<DB>) -> F,
    ) -> Result<Option<T>, Error>
    where
        F: Future<Output = Result<Option<T>, Error>>,
    {
        let operation = self.begin_query(&mut query);
        let future = {
            let _current = CurrentCall::enter(operation.as_ref());
            start(query)
        };
        self.watch::<DB, _>(operation, future, |row: &Option<T>| u64::from(row.is_some())).await
    }

    async fn watch<DB: Driver, T>(
        &self,
        mut operation: Option<Operation>,
        future: impl Future<Output = Result<T, Error>>,
        rows: impl FnOnce(&T) -> u64,
    ) -> Result<T, Error> {
        let result = {
            let mut driven = Driven {
                future: pin!(Some(future)),
                operation: operation.as_ref(),
                carrier: carrier::<DB>(operation.as_ref()),
            };
            poll_fn(|task| driven.poll(task)).await
        };
        if let Some(operation) = &mut operation {
            match &result {
                Ok(value) => {
                    operation.add_rows(rows(value));
                    operation.end(End::Completed);
                }
                Err(error) => operation.end(End::Failed(failure::<DB>(error, self.database.system()))),
            }
        }
        result
    }
}

/// Returns a span of `tracing` that takes the context of a call to the thread of the driver, which enters the span that is current
/// when it receives a statement. Returns `None` if the driver works on the caller's thread, or if nothing there needs the context.
///
/// The target is that of the statements' events, and the level is the highest: a filter that keeps the events also keeps the span.
fn carrier<DB: Driver>(operation: Option<&Operation>) -> Option<Span> {
    if !DB::HAS_THREAD {
        return None;
    }
    let context = CurrentCall::for_other_thread(operation)?;
    guarded(|| {
        let _current = context.attach();
        // The layer for `tracing` knows this name.
        tracing::error_span!(target: "sqlx::query", "telemark.context")
    })
}

/// A future of the driver, which is polled and dropped within its call.
struct Driven<'a, F> {
    /// `None` once it has been dropped.
    future: Pin<&'a mut Option<F>>,
    operation: Option<&'a Operation>,
    carrier: Option<Span>,
}

impl<T, F: Future<Output = T>> Driven<'_, F> {
    fn poll(&mut self, task: &mut Task<'_>) -> Poll<T> {
        let _current = CurrentCall::enter(self.operation);
        // The driver takes the current span along on the first poll.
        let carrier = self.carrier.take();
        let _entered = carrier.as_ref().map(Span::enter);
        match self.future.as_mut().as_pin_mut() {
            Some(future) => future.poll(task),
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for Driven<'_, F> {
    fn drop(&mut self) {
        let _current = CurrentCall::enter(self.operation);
        self.future.set(None);
    }
}

/// A row, or the end of one of the statements.
pub(crate) type Item<DB> =
    Either<<DB as sqlx_core::database::Database>::QueryResult, <DB as sqlx_core::database::Database>::Row>;

/// The stream of a query, which begins its call when it is first polled.
///
/// The call ends with the stream, with an error, or when the stream is dropped. If all rows have arrived by then, the call has
/// completed, even though the stream was not read to its end.
pub(crate) struct Rows<'e, DB: Driver, F> {
    client: &'e Client,
    start: Option<(Parts<DB>, F)>,
    stream: Option<BoxStream<'e, Result<Item<DB>, Error>>>,
    operation: Option<Operation>,
    is_complete: bool,
}

impl<'e, DB, F> Rows<'e, DB, F>
where
    DB: Driver,
    F: FnOnce(Parts<DB>) -> BoxStream<'e, Result<Item<DB>, Error>>,
{
    pub(crate) fn new(client: &'e Client, query: Parts<DB>, start: F) -> Self {
        Rows { client, start: Some((query, start)), stream: None, operation: None, is_complete: false }
    }
}

// No field is pinned in place: the stream is in a box of its own.
impl<DB: Driver, F> Unpin for Rows<'_, DB, F> {}

impl<'e, DB, F> Stream for Rows<'e, DB, F>
where
    DB: Driver,
    F: FnOnce(Parts<DB>) -> BoxStream<'e, Result<Item<DB>, Error>>,
{
    type Item = Result<Item<DB>, Error>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let mut carrier = None;
        if let Some((mut query, start)) = this.start.take() {
            this.operation = this.client.begin_query(&mut query);
            let _current = CurrentCall::enter(this.operation.as_ref());
            this.stream = Some(start(query));
            carrier = self::carrier::<DB>(this.operation.as_ref());
        }
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        let next = {
            let _current = CurrentCall::enter(this.operation.as_ref());
            let _entered = carrier.as_ref().map(Span::enter);
            ready!(stream.as_mut().poll_next(task))
        };
        let Some(operation) = &mut this.operation else { return Poll::Ready(next) };
        match &next {
            Some(Ok(Either::Right(_))) => {
                operation.add_rows(1);
                this.is_complete = false;
            }
            Some(Ok(Either::Left(_))) => this.is_complete = true,
            Some(Err(error)) => operation.end(End::Failed(failure::<DB>(error, this.client.database.system()))),
            None => operation.end(End::Completed),
        }
        Poll::Ready(next)
    }
}

impl<DB: Driver, F> Drop for Rows<'_, DB, F> {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.as_mut().filter(|_| self.is_complete) {
            operation.end(End::Completed);
        }
        let _current = CurrentCall::enter(self.operation.as_ref());
        self.stream = None;
    }
}
