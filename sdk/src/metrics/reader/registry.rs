//! The streams of a reader. Finds them by identity in constant time, limits their number, and logs name
//! conflicts.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry::InstrumentationScope;

use super::resolve;
use crate::control::ConfigOf;
use crate::metrics::config::{MeterConfig, StreamConfig};
use crate::metrics::series::Stream;
use crate::sync::unpoisoned;

/// Maximum number of metrics per reader. Instruments beyond the limit record nothing; a warning is logged, and
/// they are counted in
/// [`SdkMeterProvider::rejected_instruments`](crate::metrics::SdkMeterProvider::rejected_instruments).
///
/// A program usually has a few hundred instruments. A program that reaches this limit is probably putting input
/// into instrument names instead of attributes.
pub const INSTRUMENT_LIMIT: usize = 10_000;

/// Number of name conflicts logged individually. Any further conflicts share one rate-limited message per minute,
/// which includes their number.
const CONFLICTS_SAID: u64 = 10;

pub(crate) struct Registry {
    state: Mutex<State>,
    hasher: RandomState,
    rejected: AtomicU64,
    conflicts: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Scopes in creation order, which is also the order of collection.
    scopes: Vec<Scope>,
    by_scope: HashMap<Arc<InstrumentationScope>, usize>,
    /// Streams, keyed by a hash of their identity and scope.
    by_identity: HashMap<u64, Vec<Arc<Stream>>>,
    /// The first stream with each name, ignoring case, keyed by a hash of the name and scope.
    by_name: HashMap<u64, Vec<Arc<Stream>>>,
    streams: usize,
}

/// A scope, and its streams in creation order.
#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) scope: Arc<InstrumentationScope>,
    pub(crate) streams: Vec<Arc<Stream>>,
    pub(crate) config: Arc<ConfigOf<MeterConfig>>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Registry {
            state: Mutex::default(),
            hasher: RandomState::new(),
            rejected: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
        }
    }

    /// Returns the stream with this configuration, creating it if needed. Returns `None` if the reader is full.
    pub(crate) fn stream(&self, scope: &Arc<InstrumentationScope>, mut config: StreamConfig) -> Option<Arc<Stream>> {
        // The lookup is outside the `match`, which would otherwise hold the lock during a call to the user's message
        // sink.
        let look = self.look(&self.lock(), scope, &config);
        match look {
            Look::Known(stream) => return Some(stream),
            Look::Full => {
                self.reject(&config);
                return None;
            }
            Look::New(None) => {}
            Look::New(Some(first)) => {
                let warning = resolve::conflict(&first.config, &config, scope.name());
                // spec: metrics/sdk.md#name-conflict — keep the spelling that was registered first.
                config.name = first.config.name.clone();
                self.report_conflict(&warning);
            }
        }
        // Created outside the lock, because the clock may be user code.
        let made = Arc::new(Stream::new(config));
        let mut state = self.lock();
        // Another thread may have created the stream since the first lookup.
        match self.look(&state, scope, &made.config) {
            Look::Known(stream) => Some(stream),
            Look::Full => {
                drop(state);
                self.reject(&made.config);
                None
            }
            Look::New(_) => {
                self.insert(&mut state, scope, made.clone());
                Some(made)
            }
        }
    }

    /// Returns all scopes with their streams.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        self.lock().scopes.clone()
    }

    /// Returns the number of rejected instruments.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }

    fn look(&self, state: &State, scope: &Arc<InstrumentationScope>, config: &StreamConfig) -> Look {
        let mut first = None;
        if let Some(at) = state.by_scope.get(scope) {
            let namesakes = state.by_identity.get(&self.identity(*at, config)).into_iter().flatten();
            let known = namesakes.clone().find(|known| known.config.is_same_stream(config));
            if let Some(known) = known {
                return Look::Known(known.clone());
            }
            let mut firsts = state.by_name.get(&self.name(*at, config)).into_iter().flatten();
            first = firsts.find(|first| first.config.name.eq_ignore_ascii_case(&config.name)).cloned();
        }
        if state.streams < INSTRUMENT_LIMIT { Look::New(first) } else { Look::Full }
    }

    fn insert(&self, state: &mut State, scope: &Arc<InstrumentationScope>, stream: Arc<Stream>) {
        let State { scopes, by_scope, by_identity, by_name, streams } = state;
        let at = *by_scope.entry(scope.clone()).or_insert(scopes.len());
        if at == scopes.len() {
            scopes.push(Scope { scope: scope.clone(), streams: Vec::new(), config: Arc::new(ConfigOf::new()) });
        }
        by_identity.entry(self.identity(at, &stream.config)).or_default().push(stream.clone());
        let firsts = by_name.entry(self.name(at, &stream.config)).or_default();
        if !firsts.iter().any(|first| first.config.name.eq_ignore_ascii_case(&stream.config.name)) {
            firsts.push(stream.clone());
        }
        scopes[at].streams.push(stream);
        *streams += 1;
    }

    fn identity(&self, scope: usize, config: &StreamConfig) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_usize(scope);
        config.hash_identity(&mut hasher);
        hasher.finish()
    }

    fn name(&self, scope: usize, config: &StreamConfig) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_usize(scope);
        config.hash_name(&mut hasher);
        hasher.finish()
    }

    fn reject(&self, config: &StreamConfig) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        crate::__warn!(
            "metrics.instruments",
            "the instrument {:?} does not record: there are {INSTRUMENT_LIMIT} metrics already",
            config.name
        );
    }

    /// Each conflict is logged only once, because later lookups find the stream.
    fn report_conflict(&self, warning: &str) {
        if self.conflicts.fetch_add(1, Ordering::Relaxed) < CONFLICTS_SAID {
            crate::diag::log_always(crate::diag::Level::Warn, format_args!("{warning}"));
        } else {
            crate::__warn!("metrics.conflict", "{warning}");
        }
    }
}

/// The result of a stream lookup.
enum Look {
    Known(Arc<Stream>),
    /// Not found. Holds the first stream with the same name, if there is one.
    New(Option<Arc<Stream>>),
    /// Not found, and the reader is full.
    Full,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::metrics::SdkMeterProvider;
    use crate::metrics::reader::PullReader;
    use opentelemetry::metrics::MeterProvider;

    /// Creating an instrument inspects a single hash bucket, whose size must not grow with the number of
    /// instruments.
    #[test]
    fn neither_names_nor_namesakes_nor_scopes_share_a_bucket() {
        let provider = SdkMeterProvider::builder().with_reader(PullReader::default()).build();
        for n in 0..300u32 {
            let meter = provider.meter("one");
            drop(meter.u64_counter(format!("name.{n}")).build());
            drop(meter.u64_counter("unit").with_unit(format!("u{n}")).build());
            drop(meter.u64_counter("description").with_description(format!("d{n}")).build());
            drop(meter.f64_histogram("bounds").with_boundaries(vec![f64::from(n)]).build());
            drop(provider.meter(Box::leak(format!("scope.{n}").into_boxed_str())).u64_counter("name").build());
        }
        let meter = provider.sdk_meter(InstrumentationScope::default());
        let state = meter.shared.pipelines[0].registry.lock();
        assert_eq!((state.streams, state.scopes.len()), (1500, 301));
        let longest = |buckets: &HashMap<u64, Vec<Arc<Stream>>>| buckets.values().map(Vec::len).max();
        assert_eq!((longest(&state.by_identity), longest(&state.by_name)), (Some(1), Some(1)));
    }

    #[test]
    fn what_is_the_same_stream_is_found_whatever_its_case_and_the_sign_of_zero() {
        let provider = SdkMeterProvider::builder().with_reader(PullReader::default()).build();
        for (name, zero) in [("h", 0.0), ("H", -0.0)] {
            drop(provider.meter("one").f64_histogram(name).with_boundaries(vec![zero, 1.0]).build());
        }
        let meter = provider.sdk_meter(InstrumentationScope::default());
        assert_eq!(meter.shared.pipelines[0].registry.lock().streams, 1);
    }
}
