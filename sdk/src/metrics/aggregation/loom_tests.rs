//! Loom tests: every interleaving of threads that record into a series with collections that read it.

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;

use super::histogram::HistogramCell;
use super::*;
use crate::metrics::config::{HistogramConfig, StreamConfig};
use crate::metrics::data::{MetricData, Number, NumberType, Temporality};
use crate::metrics::series::points;
use crate::metrics::series::{Harvest, Series, Store};
use crate::sync::pause;
use crate::time::{Clock, TimeSource, Timestamp};

fn model(preemptions: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(check);
}

/// The owner and another thread record during a collection. Totals never fall, and the final total is complete.
#[test]
fn a_sum_loses_nothing() {
    model(3, || {
        let cell = Arc::new(SumCell::new());
        let owner = {
            let cell = cell.clone();
            thread::spawn(move || (0..2).for_each(|_| assert_eq!(cell.record(true, 1u64, false), Outcome::Recorded)))
        };
        let other = {
            let cell = cell.clone();
            thread::spawn(move || assert_eq!(cell.record(false, 10u64, false), Outcome::Recorded))
        };
        let first = cell.total(NumberType::U64);
        let second = cell.total(NumberType::U64);
        assert!(first <= second && second <= 12);
        owner.join().unwrap();
        other.join().unwrap();
        assert_eq!(cell.total(NumberType::U64), 12);
    });
}

/// Float sums are reset by each collection. Each measurement appears in exactly one delta.
#[test]
fn a_sum_that_is_taken_is_in_one_delta() {
    model(3, || {
        let cell = Arc::new(SumCell::new());
        let threads: Vec<_> = [1.0, 2.0]
            .into_iter()
            .map(|value| {
                let cell = cell.clone();
                thread::spawn(move || assert_eq!(cell.record(false, value, false), Outcome::Recorded))
            })
            .collect();
        let first = f64::from_bits(cell.take_shared());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(first + f64::from_bits(cell.take_shared()), 3.0);
    });
}

/// Two threads share a cell during a collection. A thread that finds the latch closed uses the neighbouring cell, or
/// waits until one of the two cells is open. The count and the sum stay consistent, and the final total is complete.
#[test]
fn a_histogram_is_never_torn() {
    model(3, || {
        let config = HistogramConfig { bounds: [1.0].into(), record_min_max: true, record_sum: true };
        // Together, the collection and the other thread can have both cells closed at the same time.
        let cells: Arc<[HistogramCell; 2]> = Arc::new(std::array::from_fn(|_| HistogramCell::new()));
        let writers: Vec<_> = [1.0, 3.0]
            .into_iter()
            .map(|value| {
                let (cells, config) = (cells.clone(), config.clone());
                thread::spawn(move || {
                    while !cells.iter().any(|cell| cell.try_record(&config, value, false) != Outcome::Refused) {
                        pause(0);
                    }
                })
            })
            .collect();
        let delta = || {
            let mut total = HistogramTotal::new(&config);
            let collected = cells.iter().filter(|cell| cell.try_take_into(&mut total, true)).count();
            assert_eq!(total.sum, total.counts[0] as f64 + 3.0 * total.counts[1] as f64);
            (collected, total.counts)
        };
        let (_, first) = delta();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let (collected, second) = delta();
        assert_eq!((collected, [first[0] + second[0], first[1] + second[1]]), (2, [1, 1]));
    });
}

struct Still;

impl TimeSource for Still {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

fn deltas() -> StreamConfig {
    StreamConfig { temporality: Temporality::Delta, clock: Clock::from_source(Still), ..StreamConfig::counter() }
}

fn collected(config: &StreamConfig, store: &Store) -> u64 {
    let harvest: Harvest = store.harvest(true, Timestamp::default());
    match points::data(config, harvest, Timestamp::default()) {
        MetricData::Sum { points, .. } => points
            .iter()
            .map(|point| match point.value {
                Number::U64(value) => value,
                _ => unreachable!(),
            })
            .sum(),
        _ => unreachable!(),
    }
}

/// A thread records into a series that it already holds, and delta collections evict that series concurrently.
#[test]
fn a_series_that_is_given_up_loses_nothing() {
    model(2, || {
        let (config, store) = (Arc::new(deltas()), Arc::new(Store::new(Timestamp::default())));
        let recorder = {
            let (config, store) = (config.clone(), store.clone());
            thread::spawn(move || {
                let mut known: Option<(u64, Arc<Series>)> = None;
                for _ in 0..2 {
                    let epoch = store.epoch();
                    let series = match &known {
                        Some((of, series)) if *of == epoch => series.clone(),
                        _ => store.series(&config, &[], 0),
                    };
                    series.record::<Sums, _>(&config, 0, 1u64, &[], false);
                    known = Some((epoch, series));
                }
            })
        };
        let mut sum = (0..2).map(|_| collected(&config, &store)).sum::<u64>();
        recorder.join().unwrap();
        sum += (0..3).map(|_| collected(&config, &store)).sum::<u64>();
        assert_eq!(sum, 2);
    });
}

/// An instrument is bound, and delta collections evict series concurrently.
#[test]
fn a_bound_series_loses_nothing() {
    model(2, || {
        let (config, store) = (Arc::new(deltas()), Arc::new(Store::new(Timestamp::default())));
        let binder = {
            let (config, store) = (config.clone(), store.clone());
            thread::spawn(move || {
                let series = store.bind(&config, &[], 0);
                series.record::<Sums, _>(&config, 0, 1u64, &[], false);
                series
            })
        };
        let mut sum = (0..2).map(|_| collected(&config, &store)).sum::<u64>();
        let series = binder.join().unwrap();
        for _ in 0..3 {
            sum += collected(&config, &store);
        }
        assert_eq!(sum, 1);
        series.record::<Sums, _>(&config, 0, 1u64, &[], false);
        assert_eq!(collected(&config, &store), 1, "it is still there");
    });
}

/// Each series that is created has a start of its own.
#[derive(Default)]
struct Ticking(std::sync::atomic::AtomicU64);

impl TimeSource for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

/// A thread records into a series that it already holds, while collections find the series unused and give it up. The last totals of all its
/// lives, which their starts tell apart, are complete.
#[test]
fn a_series_that_expires_loses_nothing() {
    model(2, || {
        let clock = Clock::from_source(Ticking::default());
        let config = Arc::new(StreamConfig {
            temporality: Temporality::Cumulative,
            expiry: Some(Duration::ZERO),
            clock,
            ..deltas()
        });
        let store = Arc::new(Store::new(Timestamp::default()));
        let recorder = {
            let (config, store) = (config.clone(), store.clone());
            thread::spawn(move || {
                let mut known: Option<(u64, Arc<Series>)> = None;
                for _ in 0..2 {
                    let epoch = store.epoch();
                    known = known.filter(|(of, _)| *of == epoch);
                    let (_, series) = known.get_or_insert_with(|| (epoch, store.series(&config, &[], 0)));
                    series.record::<Sums, _>(&config, 0, 1u64, &[], false);
                }
            })
        };
        let mut lives = std::collections::BTreeMap::new();
        let mut collect = || {
            let now = Timestamp::default();
            let mut harvest = store.harvest(false, now);
            store.skip_unused(&config, Duration::ZERO, &mut harvest.series, now);
            let MetricData::Sum { points, .. } = points::data(&config, harvest, now) else { unreachable!() };
            for point in points {
                let Number::U64(total) = point.value else { unreachable!() };
                lives.insert(point.start.as_nanos(), total);
            }
            store.give_up_expired(&config, Duration::ZERO, now);
        };
        collect();
        collect();
        recorder.join().unwrap();
        collect();
        collect();
        assert_eq!(lives.values().sum::<u64>(), 2);
    });
}
