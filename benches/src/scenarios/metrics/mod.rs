//! The cost of a measurement on the thread that records it.

mod shapes;

use std::sync::Arc;

use shapes::{Call, SHAPES};

use super::{Layout, Scenario};
use crate::Failure;
use crate::lockstep::{Cost, cost};
use crate::meters::{self, Calls, Meter};
use crate::reading::Reading;

pub(super) static SCENARIO: Scenario = Scenario {
    name: "metrics",
    about: "ns for one call of a thread, attributes (three) ready made. One thread: CPU time. Two threads: wall time from \
            the start of both to the end of the later one (`wall`), and CPU time of a thread (`CPU`). Bound: through a \
            handle that knows its series. `exemplars add`: CPU time with the exemplar filter trace_based less that with \
            always_off, one thread. A row with a colon is the CPU time of a call in one of the shapes that threads come in.",
    subjects: &[meters::TELEMARK, meters::SDK, meters::PROMETHEUS_CLIENT, meters::METRICS],
    regimes: super::ONE_REGIME,
    layout: Layout::OneTable,
    reference: meters::TELEMARK,
    measure: |run| measure(run.subject, run.endpoint),
};

const SERIES: usize = 1_000;

const COUNTER: (&str, Call) = ("counter", |meter, calls| {
    meter.add(calls);
    true
});
const HISTOGRAM: (&str, Call) = ("histogram", |meter, calls| {
    meter.record(calls);
    true
});
const BOUND_COUNTER: (&str, Call) = ("bound counter", |meter, calls| {
    meter.add_bound(calls);
    true
});
const BOUND_HISTOGRAM: (&str, Call) = ("bound histogram", |meter, calls| {
    meter.record_bound(calls);
    true
});
const FLOAT_COUNTER: (&str, Call) = ("f64 counter", |meter, calls| meter.add_float(calls));
const BOUND_FLOAT_COUNTER: (&str, Call) = ("bound f64 counter", |meter, calls| meter.add_float_bound(calls));

fn measure(name: &str, _: &str) -> Result<Vec<Reading>, Failure> {
    let meter: Arc<dyn Meter> = meters::install(name, SERIES)?.into();
    let mut readings = Vec::new();
    let calls = [COUNTER, HISTOGRAM, BOUND_COUNTER, BOUND_HISTOGRAM];
    for (what, call) in calls {
        let alone = timed(&meter, call, 1, 1);
        readings.push(Reading::new(&format!("{what}, 1 thread"), alone.cpu));
        together(&mut readings, &format!("{what}, 2 threads"), timed(&meter, call, 2, 1));
    }
    // These follow the single-series measurements, for which the series table must contain only one series.
    for (what, call) in [COUNTER, HISTOGRAM] {
        let what = format!("{what}, 2 threads on {SERIES} series");
        together(&mut readings, &what, timed(&meter, call, 2, SERIES));
    }
    if name == meters::TELEMARK {
        let plain: Arc<dyn Meter> = meters::install(meters::TELEMARK_PLAIN, SERIES)?.into();
        for (what, call) in calls {
            let without = timed(&plain, call, 1, 1).cpu;
            let outside = timed(&meter, call, 1, 1).cpu;
            let span = meters::sampled_span().attach();
            let without_in_span = timed(&plain, call, 1, 1).cpu;
            let in_span = timed(&meter, call, 1, 1).cpu;
            drop(span);
            readings.push(Reading::new(&format!("exemplars add, no span: {what}"), outside - without));
            readings.push(Reading::new(&format!("exemplars add, sampled span: {what}"), in_span - without_in_span));
        }
    }
    in_shapes(name, &mut readings)?;
    Ok(readings)
}

/// Measures each call in each shape, always with a new provider and series.
fn in_shapes(name: &str, readings: &mut Vec<Reading>) -> Result<(), Failure> {
    let calls = [COUNTER, FLOAT_COUNTER, HISTOGRAM, BOUND_COUNTER, BOUND_FLOAT_COUNTER, BOUND_HISTOGRAM];
    let probe = meters::install(name, 1)?;
    for (what, call) in calls.into_iter().filter(|(_, call)| call(&*probe, Calls { count: 0, first: 0, series: 1 })) {
        for (shape, cost) in SHAPES {
            let meter: Arc<dyn Meter> = meters::install(name, 1)?.into();
            readings.push(Reading::new(&format!("{shape}: {what}"), cost(&meter, call)));
        }
    }
    Ok(())
}

fn timed(meter: &Arc<dyn Meter>, call: Call, threads: usize, series: usize) -> Cost {
    let (timed, kept) = (meter.clone(), meter.clone());
    let work = move |calls| {
        call(&*timed, calls);
    };
    cost(threads, series, &(Arc::new(work) as _), &(Arc::new(move || kept.upkeep()) as _))
}

fn together(readings: &mut Vec<Reading>, what: &str, cost: Cost) {
    readings.push(Reading::new(&format!("{what}, wall"), cost.wall));
    readings.push(Reading::new(&format!("{what}, CPU"), cost.cpu));
}
