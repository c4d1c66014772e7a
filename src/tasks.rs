//! Tasks and threads that keep the context of the code that starts them.

/// Threads that keep the context of the code that starts them. For [`std::thread::Builder`] and scoped threads, wrap the closure
/// with [`propagate_fn`](crate::propagate_fn).
pub mod thread {
    use std::thread::JoinHandle;

    /// Spawns a thread like [`std::thread::spawn`], within the current context.
    ///
    /// ```
    /// use telemark::traced;
    ///
    /// #[traced]
    /// fn resize(pixels: u32) -> u32 {
    ///     pixels / 2
    /// }
    ///
    /// // A child of the current span:
    /// let resized = telemark::thread::spawn(|| resize(640)).join();
    /// assert_eq!(resized.ok(), Some(320));
    /// ```
    ///
    /// # Panics
    /// Panics if the operating system fails to create a thread, as [`std::thread::spawn`] does.
    pub fn spawn<F, T>(work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        #[allow(clippy::disallowed_methods, reason = "the thread belongs to the application")]
        std::thread::spawn(crate::propagate_fn(work))
    }
}

#[cfg(feature = "tokio")]
mod tokio_tasks {
    use std::fmt;
    use std::future::Future;
    use std::ops::{Deref, DerefMut};

    use tokio::runtime::Handle;
    use tokio::task::{self, AbortHandle, JoinHandle, LocalSet};

    use crate::{propagate, propagate_fn};

    /// Spawns a task like [`tokio::spawn`], within the current context, which `tokio::spawn` loses.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use telemark::traced;
    ///
    /// #[traced]
    /// async fn notify(order: u64) -> u64 {
    ///     order
    /// }
    ///
    /// // A child of the current span:
    /// assert_eq!(telemark::spawn(notify(7)).await?, 7);
    /// # Ok::<(), tokio::task::JoinError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A span of the task may end after its parent. If the task outlives the work that started it, such as a loop that runs until
    /// the program ends, use `tokio::spawn`.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime, as [`tokio::spawn`] does.
    #[track_caller]
    pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        task::spawn(propagate(future))
    }

    /// Spawns a blocking task like [`tokio::task::spawn_blocking`], within the current context.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime, as [`tokio::task::spawn_blocking`] does.
    #[track_caller]
    pub fn spawn_blocking<F, T>(work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        task::spawn_blocking(propagate_fn(work))
    }

    /// Spawns a task like [`tokio::task::spawn_local`], within the current context.
    ///
    /// # Panics
    /// Panics outside of a [`LocalSet`], as [`tokio::task::spawn_local`] does.
    #[track_caller]
    pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        task::spawn_local(propagate(future))
    }

    /// A [`tokio::task::JoinSet`] whose tasks keep the context of the code that spawns them.
    ///
    /// Dereferences to tokio's set for everything that does not spawn, such as `join_next`, `len` and `abort_all`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let mut pages = telemark::JoinSet::new();
    /// for page in 1..=3 {
    ///     pages.spawn(async move { page * 10 });
    /// }
    /// let mut sum = 0;
    /// while let Some(page) = pages.join_next().await {
    ///     sum += page?;
    /// }
    /// assert_eq!(sum, 60);
    /// # Ok::<(), tokio::task::JoinError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub struct JoinSet<T>(task::JoinSet<T>);

    impl<T> JoinSet<T> {
        /// Returns an empty set.
        pub fn new() -> Self {
            JoinSet(task::JoinSet::new())
        }
    }

    impl<T: 'static> JoinSet<T> {
        /// Spawns a task like [`tokio::task::JoinSet::spawn`].
        #[track_caller]
        pub fn spawn<F>(&mut self, future: F) -> AbortHandle
        where
            F: Future<Output = T> + Send + 'static,
            T: Send,
        {
            self.0.spawn(propagate(future))
        }

        /// Spawns a task like [`tokio::task::JoinSet::spawn_on`].
        #[track_caller]
        pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
        where
            F: Future<Output = T> + Send + 'static,
            T: Send,
        {
            self.0.spawn_on(propagate(future), handle)
        }

        /// Spawns a task like [`tokio::task::JoinSet::spawn_local`].
        #[track_caller]
        pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
        where
            F: Future<Output = T> + 'static,
        {
            self.0.spawn_local(propagate(future))
        }

        /// Spawns a task like [`tokio::task::JoinSet::spawn_local_on`].
        #[track_caller]
        pub fn spawn_local_on<F>(&mut self, future: F, local_set: &LocalSet) -> AbortHandle
        where
            F: Future<Output = T> + 'static,
        {
            self.0.spawn_local_on(propagate(future), local_set)
        }

        /// Spawns a blocking task like [`tokio::task::JoinSet::spawn_blocking`].
        #[track_caller]
        pub fn spawn_blocking<F>(&mut self, work: F) -> AbortHandle
        where
            F: FnOnce() -> T + Send + 'static,
            T: Send,
        {
            self.0.spawn_blocking(propagate_fn(work))
        }

        /// Spawns a blocking task like [`tokio::task::JoinSet::spawn_blocking_on`].
        #[track_caller]
        pub fn spawn_blocking_on<F>(&mut self, work: F, handle: &Handle) -> AbortHandle
        where
            F: FnOnce() -> T + Send + 'static,
            T: Send,
        {
            self.0.spawn_blocking_on(propagate_fn(work), handle)
        }

        /// Waits for all tasks like [`tokio::task::JoinSet::join_all`].
        ///
        /// # Panics
        /// Panics if a task has panicked or was cancelled, as tokio's method does.
        pub async fn join_all(self) -> Vec<T> {
            self.0.join_all().await
        }
    }

    impl<T> Deref for JoinSet<T> {
        type Target = task::JoinSet<T>;

        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }

    impl<T> DerefMut for JoinSet<T> {
        fn deref_mut(&mut self) -> &mut Self::Target {
            &mut self.0
        }
    }

    impl<T> Default for JoinSet<T> {
        fn default() -> Self {
            JoinSet::new()
        }
    }

    impl<T> fmt::Debug for JoinSet<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Debug::fmt(&self.0, f)
        }
    }

    impl<T, F> FromIterator<F> for JoinSet<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        /// Spawns each future within the current context.
        fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
            let mut set = JoinSet::new();
            set.extend(futures);
            set
        }
    }

    impl<T, F> Extend<F> for JoinSet<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
            for future in futures {
                self.spawn(future);
            }
        }
    }
}

#[cfg(feature = "tokio")]
pub use tokio_tasks::{JoinSet, spawn, spawn_blocking, spawn_local};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use crate::testing::TestTelemetry;

    fn child() {
        crate::span("child").in_scope(|| ());
    }

    #[test]
    fn a_thread_is_a_child() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        crate::span("parent").in_scope(|| super::thread::spawn(child).join().unwrap());
        assert_eq!(telemetry.tree(), "parent\n  child\n");
    }

    #[cfg(feature = "tokio")]
    mod on_tokio {
        use std::future::Future;

        use super::{TestTelemetry, child};
        use tokio::task::LocalSet;

        /// Runs `work` in a span on a runtime, and checks that its tasks are children of that span.
        fn check<F: Future<Output = ()>>(children: usize, work: impl FnOnce(tokio::runtime::Handle) -> F) {
            let telemetry = TestTelemetry::new();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _attached = telemetry.attach();
            let handle = runtime.handle().clone();
            LocalSet::new().block_on(&runtime, crate::span("parent").run(async { work(handle).await }));
            assert_eq!(telemetry.tree(), format!("parent\n{}", "  child\n".repeat(children)));
        }

        #[test]
        fn tasks_are_children() {
            check(1, async |_| crate::spawn(async { child() }).await.unwrap());
            check(1, async |_| crate::spawn_blocking(child).await.unwrap());
            check(1, async |_| crate::spawn_local(async { child() }).await.unwrap());
        }

        #[test]
        fn the_tasks_of_a_set_are_children() {
            check(5, async |handle| {
                let mut set = crate::JoinSet::new();
                set.spawn(async { child() });
                set.spawn_on(async { child() }, &handle);
                set.spawn_local(async { child() });
                set.spawn_blocking(child);
                set.spawn_blocking_on(child, &handle);
                assert_eq!(set.len(), 5);
                set.join_all().await;
            });
            check(2, async |_| {
                let mut set: crate::JoinSet<()> = [async { child() }].into_iter().collect();
                set.extend([async { child() }]);
                while let Some(ended) = set.join_next().await {
                    ended.unwrap();
                }
            });
            check(1, async |_| {
                let local = LocalSet::new();
                let mut set = crate::JoinSet::default();
                set.spawn_local_on(async { child() }, &local);
                local.run_until(set.join_next()).await.unwrap().unwrap();
            });
        }
    }
}
