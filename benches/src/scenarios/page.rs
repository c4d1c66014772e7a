//! The cost of a Prometheus page, and the memory used by its series.

use std::sync::Barrier;

use super::{Layout, Scenario};
use crate::Failure;
use crate::clock::{process_cpu, resident};
use crate::lockstep::median;
use crate::meters::{self, Calls, Meter, Thrown};
use crate::reading::Reading;

pub(super) static SCENARIO: Scenario = Scenario {
    name: "page",
    about: "10,000 histogram series of 14 buckets with three labels, a value in every bucket. CPU time of a page, collected \
            and rendered into fresh memory, or written in parts that are not kept; telemark's has an exemplar in every \
            bucket, in one bucket of each series, or none; the others have none. Memory is what the resident set has \
            grown by: after one thread has recorded everything, after a second one has too (and still runs), and after \
            pages were made and freed.",
    subjects: &[
        meters::TELEMARK,
        meters::TELEMARK_ONE,
        meters::TELEMARK_PLAIN,
        meters::SDK,
        meters::PROMETHEUS_CLIENT,
        meters::METRICS,
    ],
    regimes: super::ONE_REGIME,
    layout: Layout::OneTable,
    reference: meters::TELEMARK,
    measure: |run| measure(run.subject, run.endpoint),
};

const SERIES: usize = 10_000;
/// The number of passes after which every series has received every value of `Calls`, because each pass begins one series
/// later.
const PASSES: usize = 16;
const WARM_UP: usize = 2;
const PAGES: usize = 11;

fn measure(name: &str, _: &str) -> Result<Vec<Reading>, Failure> {
    let sampled_passes = if name == meters::TELEMARK_ONE { 1 } else { PASSES };
    let meter = meters::install(name, SERIES)?;
    let meter = &*meter;
    let empty = resident();
    let grown = || resident().saturating_sub(empty) as f64 / 1e6;
    record(meter, sampled_passes);
    let mut readings = vec![Reading::new("memory, 1 thread, MB", grown())];
    let (recorded, measured) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            record(meter, sampled_passes);
            recorded.wait();
            measured.wait();
        });
        recorded.wait();
        readings.push(Reading::new("memory, 2 threads, MB", grown()));
        if meter.page().is_some() {
            pages(meter, &mut readings);
            readings.push(Reading::new("memory, 2 threads, after pages, MB", grown()));
        }
        if meter.collect().is_some() {
            readings.push(Reading::new("page, ms, collection alone", cost(|| meter.collect())));
        }
        measured.wait();
    });
    match meter.collect() {
        Some(series) if series != SERIES => Err(format!("{name} has {series} series").into()),
        _ => Ok(readings),
    }
}

fn record(meter: &dyn Meter, sampled_passes: usize) {
    for first in 0..PASSES {
        let _span = (first < sampled_passes).then(|| meters::sampled_span().attach());
        meter.record(Calls { count: SERIES as u64, first, series: SERIES });
    }
}

fn pages(meter: &dyn Meter, readings: &mut Vec<Reading>) {
    readings.push(Reading::new("page, ms", cost(|| meter.page())));
    let page = meter.page().unwrap_or_default();
    let mut thrown = Thrown::default();
    if meter.write(&mut thrown) {
        assert_eq!(thrown.bytes, page.len(), "the page in parts is another one");
        readings.push(Reading::new("page, ms, not kept", cost(|| meter.write(&mut Thrown::default()))));
    }
    readings.push(Reading::new("page, MB", page.len() as f64 / 1e6));
    readings.push(Reading::new("page, lines", page.iter().filter(|&&byte| byte == b'\n').count() as f64));
}

/// Returns the median CPU time of `work` in milliseconds. Freeing its return value is not timed.
fn cost<T>(work: impl Fn() -> T) -> f64 {
    let timed = |_| {
        let started = process_cpu();
        let result = work();
        let cost = (process_cpu() - started) as f64 / 1e6;
        drop(result);
        cost
    };
    (0..WARM_UP).for_each(|warm_up| {
        timed(warm_up);
    });
    median((0..PAGES).map(timed))
}
