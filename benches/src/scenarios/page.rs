//! What a page for Prometheus costs, and the memory of its series.

use std::sync::Barrier;

use super::{Layout, Scenario};
use crate::Failure;
use crate::clock::{process_cpu, resident};
use crate::lockstep::median;
use crate::meters::{self, Calls, Meter};
use crate::reading::Reading;

pub(super) static SCENARIO: Scenario = Scenario {
    name: "page",
    about: "10,000 histogram series of 14 buckets with three labels, a value in every bucket. CPU time of a page, collected \
            and rendered into fresh memory; telemark's has an exemplar in every bucket, the others have none. Memory is \
            what the resident set has grown by: after one thread has recorded everything, after a second one has too \
            (and still runs), and after the pages (or as many collections by opentelemetry_sdk, which has no page).",
    subjects: &[meters::TELEMARK, meters::TELEMARK_PLAIN, meters::SDK, meters::PROMETHEUS_CLIENT, meters::METRICS],
    layout: Layout::OneTable,
    reference: meters::TELEMARK,
    measure,
};

const SERIES: usize = 10_000;
/// So many passes bring every value of `Calls` to every series, since each begins a series further on.
const PASSES: usize = 16;
const WARM_UP: usize = 2;
const PAGES: usize = 11;

fn measure(name: &str, _: &str) -> Result<Vec<Reading>, Failure> {
    let meter = meters::install(name, SERIES)?;
    let meter = &*meter;
    let empty = resident();
    let grown = || resident().saturating_sub(empty) as f64 / 1e6;
    record(meter);
    let one_thread = grown();
    let (recorded, measured) = (Barrier::new(2), Barrier::new(2));
    let (two_threads, (cost, page), after) = std::thread::scope(|scope| {
        scope.spawn(|| {
            record(meter);
            recorded.wait();
            measured.wait();
        });
        recorded.wait();
        let two_threads = grown();
        let pages = pages(meter);
        let after = grown();
        measured.wait();
        (two_threads, pages, after)
    });
    let mut readings = vec![
        Reading::new("memory, 1 thread, MB", one_thread),
        Reading::new("memory, 2 threads, MB", two_threads),
        Reading::new("memory, 2 threads, after pages, MB", after),
    ];
    if let Some(page) = page {
        readings.push(Reading::new("page, ms", cost));
        readings.push(Reading::new("page, MB", page.len() as f64 / 1e6));
        readings.push(Reading::new("page, lines", page.iter().filter(|&&byte| byte == b'\n').count() as f64));
    } else {
        readings.push(Reading::new("collection without a page, ms", cost));
    }
    Ok(readings)
}

fn record(meter: &dyn Meter) {
    let _span = meters::sampled_span().attach();
    for first in 0..PASSES {
        meter.record(Calls { count: SERIES as u64, first, series: SERIES });
    }
}

/// The median CPU time of a page in milliseconds, and the last page.
fn pages(meter: &dyn Meter) -> (f64, Option<Vec<u8>>) {
    let mut last = None;
    let mut page = || {
        // Freed before the next one begins, as by a server that has sent it.
        last = None;
        let started = process_cpu();
        last = meter.page();
        (process_cpu() - started) as f64 / 1e6
    };
    (0..WARM_UP).for_each(|_| {
        page();
    });
    let cost = median((0..PAGES).map(|_| page()));
    (cost, last)
}
