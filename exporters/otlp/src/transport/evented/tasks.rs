//! The futures of a connection, which must run alongside a request so that the request makes progress.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// The hyper future that reads from and writes to the socket.
pub(super) type Connecting = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The futures of one connection. They run while the exporter waits and are dropped together with the connection.
pub(super) struct Tasks {
    /// `None` once the connection has ended.
    connection: Option<Connecting>,
    /// The error that ended the connection.
    error: Option<hyper::Error>,
    running: Vec<Task>,
    spawned: Spawner,
}

impl Tasks {
    pub(super) fn new(connection: Connecting, spawned: Spawner) -> Self {
        Tasks { connection: Some(connection), error: None, running: Vec::new(), spawned }
    }

    /// Runs `future` together with the connection's futures.
    pub(super) async fn beside<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            let output = future.as_mut().poll(context);
            // Poll the connection last, so that tasks and requests from the future are processed without another event.
            if output.is_pending() {
                self.poll(context);
            }
            output
        })
        .await
    }

    /// Lets the connection read the data that has arrived, such as the end of the stream.
    pub(super) async fn settle(&mut self) {
        let _ = self.at_once(std::future::pending::<()>()).await;
    }

    /// Runs `future` together with the connection's futures, and returns `None` if it waits for the peer.
    pub(super) async fn at_once<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            // One future may wait for data that another one reads.
            for _ in 0..3 {
                if let Poll::Ready(output) = future.as_mut().poll(context) {
                    return Poll::Ready(Some(output));
                }
                self.poll(context);
            }
            Poll::Ready(match future.as_mut().poll(context) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            })
        })
        .await
    }

    /// Takes the error that ended the connection.
    pub(super) fn take_error(&mut self) -> Option<hyper::Error> {
        self.error.take()
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection {
            if let Poll::Ready(result) = connection.as_mut().poll(context) {
                self.connection = None;
                self.error = result.err();
            }
        }
        self.running.retain_mut(|task| task.as_mut().poll(context).is_pending());
        loop {
            let spawned = self.spawned.take();
            if spawned.is_empty() {
                return;
            }
            for mut task in spawned {
                if task.as_mut().poll(context).is_pending() {
                    self.running.push(task);
                }
            }
        }
    }
}

/// Collects the futures that hyper spawns for an HTTP/2 connection.
#[derive(Clone, Default)]
pub(super) struct Spawner(Arc<Mutex<Vec<Task>>>);

impl Spawner {
    fn take(&self) -> Vec<Task> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(feature = "grpc")]
impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, future: F) {
        let task = Box::pin(async move {
            future.await;
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }
}
