//! The pipeline between all instruments and a reader: streams, callbacks, and collection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::thread::{self, ThreadId};

use opentelemetry::InstrumentationScope;

use super::config::ReaderConfig;
use super::registry::{INSTRUMENT_LIMIT, Registry, Scope};
use super::resolve;
use crate::diag::{Durations, Level};
use crate::error::{ExportError, catch};
use crate::metrics::config::{Instrument, View};
use crate::metrics::data::ScopeMetrics;
use crate::metrics::meters::Meters;
use crate::metrics::series::Stream;
use crate::process::Generation;
use crate::resource::Resource;
use crate::runtime::{OFF_IN_A_FORKED_CHILD, apart};
use crate::sync::unpoisoned;
use crate::time::{Clock, Deadline};

pub(crate) struct Pipeline {
    /// Index of the reader in its provider.
    pub(crate) index: usize,
    pub(crate) config: ReaderConfig,
    pub(crate) resource: Resource,
    pub(crate) clock: Clock,
    pub(crate) registry: Registry,
    callbacks: Arc<Callbacks>,
    meters: Arc<Meters>,
    /// The thread that is collecting, if any.
    collecting: Mutex<Option<ThreadId>>,
    collected: Condvar,
    /// Durations of past collections.
    pub(crate) durations: Durations,
    /// The process that owns this pipeline. In a forked child, a collection that a thread of the parent started would
    /// never end.
    home: Generation,
    /// Number of delta points lost in failed exports.
    lost_deltas: AtomicU64,
}

/// A callback. Its argument is the index of the collecting reader.
pub(crate) type Callback = dyn Fn(usize) + Send + Sync;

/// The callbacks of all meters of a provider.
#[derive(Default)]
pub(crate) struct Callbacks {
    list: Mutex<CallbackList>,
    rejected: AtomicU64,
}

#[derive(Default)]
struct CallbackList {
    /// Callbacks that live as long as the provider.
    kept: Vec<Arc<Callback>>,
    /// Callbacks that are dropped with their handle.
    held: Vec<Weak<Callback>>,
    /// Length of `held` that triggers the removal of dropped callbacks.
    crowded: usize,
}

impl Callbacks {
    fn lock(&self) -> MutexGuard<'_, CallbackList> {
        unpoisoned(self.list.lock())
    }

    /// Adds a callback for the lifetime of the provider. Rejects and counts callbacks beyond [`INSTRUMENT_LIMIT`].
    pub(crate) fn add(&self, callback: Arc<Callback>) {
        {
            let mut list = self.lock();
            if list.kept.len() < INSTRUMENT_LIMIT {
                list.kept.push(callback);
                return;
            }
        }
        self.rejected.fetch_add(1, Ordering::Relaxed);
        crate::__warn!(
            "metrics.callbacks",
            "a callback of an observable instrument will not be called: there are {INSTRUMENT_LIMIT} already"
        );
    }

    /// Adds a callback that is called until its handle is dropped.
    pub(crate) fn add_while_held(&self, callback: &Arc<Callback>) {
        let mut list = self.lock();
        if list.held.len() >= list.crowded {
            list.held.retain(|weak| weak.strong_count() > 0);
            // The next sweep happens at twice this length, so that the amortized cost of adding a callback is constant.
            list.crowded = (list.held.len() * 2).max(16);
        }
        list.held.push(Arc::downgrade(callback));
    }

    /// Returns the number of rejected callbacks.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    pub(crate) fn clear(&self) {
        // Dropped outside the lock, because callbacks own user values.
        let list = std::mem::take(&mut *self.lock());
        drop(list);
    }

    fn all(&self) -> Vec<Arc<Callback>> {
        let list = self.lock();
        list.kept.iter().cloned().chain(list.held.iter().filter_map(Weak::upgrade)).collect()
    }
}

impl Pipeline {
    pub(crate) fn new(
        index: usize,
        config: ReaderConfig,
        resource: Resource,
        clock: Clock,
        (callbacks, meters): (Arc<Callbacks>, Arc<Meters>),
    ) -> Self {
        Pipeline {
            index,
            config,
            resource,
            clock,
            registry: Registry::new(),
            callbacks,
            meters,
            collecting: Mutex::new(None),
            collected: Condvar::new(),
            durations: Durations::default(),
            home: Generation::current(),
            lost_deltas: AtomicU64::new(0),
        }
    }

    /// Returns an instrument's streams: one per view that selects it, or the default stream if no view does.
    pub(crate) fn streams(
        &self,
        views: &[View],
        scope: &Arc<InstrumentationScope>,
        instrument: &Instrument,
    ) -> Vec<Arc<Stream>> {
        let mut streams: Vec<Arc<Stream>> = Vec::new();
        let default = View::of_all();
        let mut selecting: Vec<_> = views.iter().filter(|view| view.selects(instrument, scope)).collect();
        if selecting.is_empty() {
            selecting.push(&default);
        }
        for view in selecting {
            let Some(config) = resolve::config(&self.config, view, scope, instrument, &self.clock) else { continue };
            let Some(stream) = self.registry.stream(scope, config) else { continue };
            // Two views may produce the same stream, which must not count measurements twice.
            if streams.iter().all(|other| !Arc::ptr_eq(other, &stream)) {
                streams.push(stream);
            }
        }
        streams
    }

    /// Counts and logs deltas that were collected but not exported. No later collection contains them.
    pub(crate) fn lose_deltas(&self, points: u64) {
        if points > 0 {
            let lost = self.lost_deltas.fetch_add(points, Ordering::Relaxed) + points;
            let message = format_args!(
                "{points} delta data points were lost in a failed export, {lost} so far; no later export contains them"
            );
            crate::diag::log(Level::Error, "metrics.deltas", message);
        }
    }

    /// Returns the number of lost delta points.
    pub(crate) fn lost_deltas(&self) -> u64 {
        self.lost_deltas.load(Ordering::Relaxed)
    }

    /// Collects all metrics of this reader. Recording continues during the collection, and callbacks run
    /// outside all locks.
    pub(crate) fn collect(&self, deadline: Deadline) -> Result<Vec<ScopeMetrics>, ExportError> {
        if self.home.is_past() {
            return Err(ExportError::other(OFF_IN_A_FORKED_CHILD));
        }
        // spec: semconv otel.sdk.metric_reader.collection.duration — the `error.type` of any failure, here of a
        // producer.
        let mut of_producer = None;
        let collect = || {
            let collected = self.collect_all(deadline, &mut of_producer);
            let error_type = collected.as_ref().err().map(ExportError::error_type).or(of_producer);
            (collected, error_type)
        };
        // A scrape runs inside the HTTP server's span, which must not be visible to callbacks and exemplars.
        apart(|| self.durations.measure(collect, |(_, error_type)| *error_type).0)
    }

    fn collect_all(
        &self,
        deadline: Deadline,
        failure: &mut Option<&'static str>,
    ) -> Result<Vec<ScopeMetrics>, ExportError> {
        let _turn = self.turn(deadline)?;
        if self.meters.are_off() {
            return Ok(Vec::new());
        }
        for callback in self.callbacks.all() {
            if catch(|| callback(self.index)).is_err() {
                crate::__warn!("metrics.callback", "a callback of an observable instrument panicked");
            }
        }
        let now = self.clock.now();
        let mut all: Vec<_> = (self.registry.scopes().into_iter())
            .filter(|Scope { scope, config, streams }| {
                let takes = self.meters.takes(scope, config);
                if !takes {
                    // A callback may have observed values before the meter was disabled.
                    streams.iter().for_each(|stream| stream.forget_observations());
                }
                takes
            })
            .map(|Scope { scope, streams, .. }| {
                ScopeMetrics::new(scope, streams.iter().filter_map(|stream| stream.collect(now)).collect())
            })
            .filter(|scope| !scope.metrics.is_empty())
            .collect();
        for producer in &self.config.producers {
            match catch(|| producer.produce()) {
                Ok(Ok(metrics)) => all.extend(metrics),
                Ok(Err(error)) => {
                    *failure = Some(error.error_type());
                    crate::__warn!("metrics.producer", "a metric producer failed: {error}");
                }
                Err(_) => {
                    *failure = Some("panic");
                    crate::__warn!("metrics.producer", "a metric producer panicked");
                }
            }
        }
        Ok(all)
    }

    /// Waits until no other thread is collecting, then claims the right to collect.
    fn turn(&self, deadline: Deadline) -> Result<Turn<'_>, ExportError> {
        let me = thread::current().id();
        let mut collecting = unpoisoned(self.collecting.lock());
        while let Some(other) = *collecting {
            if other == me {
                return Err(ExportError::other("a callback cannot collect from the reader that called it"));
            }
            collecting = match deadline.remaining() {
                None => unpoisoned(self.collected.wait(collecting)),
                Some(left) if left.is_zero() => {
                    return Err(ExportError::timeout("another collection was still running at the deadline"));
                }
                Some(left) => unpoisoned(self.collected.wait_timeout(collecting, left)).0,
            };
        }
        *collecting = Some(me);
        Ok(Turn(self))
    }
}

/// The exclusive right to collect, released on drop.
struct Turn<'a>(&'a Pipeline);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *unpoisoned(self.0.collecting.lock()) = None;
        self.0.collected.notify_one();
    }
}
