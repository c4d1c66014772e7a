//! The cost that instrumentation adds to an outgoing call, such as an HTTP request or a statement in a database.
//!
//! | file | owns |
//! |---|---|
//! | `canned` | the servers |
//! | `hyper` | hyper-util's client and a server in memory |
//! | `reqwest` | reqwest and a server behind sockets |
//! | `sqlx` | a database in memory |

mod canned;
pub(super) mod hyper;
pub(super) mod reqwest;
pub(super) mod sqlx;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::trace::{FutureExt, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tokio::runtime::Runtime;

use super::Run;
use crate::Failure;
use crate::allocations::count;
use crate::clock::stay_on_core;
use crate::load::{Bursts, Load, Pause};
use crate::lockstep::median;
use crate::meters::Recorded;
use crate::reading::{PRODUCED, Reading};
use crate::subjects::{self, Settings};

const SPINNING: &str = "4 ms of spinning";
const SLEEPING: &str = "4 ms of sleeping";
const REGIMES: &[&str] = &[SPINNING, SLEEPING];

/// The number of calls per burst.
const CALLS: u64 = 100;
/// The bursts in one turn. The bare and the observed calls take turns, and the medians of their costs and differences count, because
/// the calls cost much more than the library under test. Shorter turns would disturb more of each other.
const BURSTS: Bursts = Bursts { warm_up: 2, measured: 8 };
const TURNS: u64 = 24;

/// The same calls without and with the library under test.
struct Sides {
    bare: Burst,
    observed: Burst,
    /// Waits until the library has sent every span.
    flush: Flush,
    /// The expected number of metrics and a function that returns the actual one, if any metrics are recorded.
    metrics: Option<(usize, Recorded)>,
}

/// Makes [`CALLS`] calls.
type Burst = Box<dyn Fn() + Sync>;
type Flush = Box<dyn Fn() + Sync>;

fn measure(run: &Run<'_>, sides: &Sides) -> Result<Vec<Reading>, Failure> {
    let pause = match run.regime {
        SPINNING => Pause::Spin(Duration::from_millis(4)),
        SLEEPING => Pause::Sleep(Duration::from_millis(4)),
        other => return Err(format!("unknown regime {other:?}").into()),
    };
    let (load, bursts) = (Load { producers: 1, pause }, run.shortened(BURSTS));
    let turn = |burst: &Burst| -> Result<f64, Failure> { Ok(load.run(bursts, burst, &sides.flush)?.process) };
    let (mut added, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let (without, with) = (turn(&sides.bare)?, turn(&sides.observed)?);
        added.push(with - without);
        bare.push(without);
    }
    let allocations = allocations(&sides.observed) - allocations(&sides.bare);
    (sides.flush)();
    if let Some((expected, recorded)) = &sides.metrics {
        let recorded = recorded();
        if recorded != *expected {
            return Err(format!("{} has recorded {recorded} metrics instead of {expected}", run.subject).into());
        }
    }
    let per_call = |costs: Vec<f64>| median(costs.into_iter()) / (bursts.measured * CALLS) as f64;
    let produced = (TURNS * (bursts.warm_up + bursts.measured) + ALLOCATION_BURSTS) * CALLS;
    Ok(vec![
        Reading::new("added, ns/call", per_call(added)),
        Reading::new("added, allocations/call", allocations / CALLS as f64),
        Reading::new("bare, ns/call", per_call(bare)),
        Reading::new(PRODUCED, produced as f64),
    ])
}

/// The bursts of [`allocations`].
const ALLOCATION_BURSTS: u64 = 2;

/// Returns the number of allocations of a burst on the calling thread, once the thread has its buffers.
fn allocations(burst: &Burst) -> f64 {
    burst();
    count(burst).calls as f64
}

/// Returns a runtime for the calls and keeps all threads that are started from now on, such as the one of SQLite, on one core.
/// Otherwise the scheduler's choice of a core for each of them would cost more than the library under test.
fn runtime() -> Result<Arc<Runtime>, Failure> {
    stay_on_core(0);
    Ok(Arc::new(tokio::runtime::Builder::new_current_thread().enable_all().build()?))
}

/// Returns a burst of calls, which run on the thread that asks for the burst.
fn burst(runtime: &Arc<Runtime>, call: impl AsyncFn(u64) + Send + Sync + 'static) -> Burst {
    let runtime = runtime.clone();
    Box::new(move || {
        runtime.block_on(async {
            for id in 0..CALLS {
                call(id).await;
            }
        });
    })
}

/// Installs a library with its pipeline for spans.
fn install(name: &str, endpoint: &str) -> Result<Flush, Failure> {
    let subject = subjects::install(name, endpoint, Settings::default())?;
    Ok(Box::new(move || subject.flush()))
}

/// The code that a program without instrumentation writes around a call: one span of the API with five attributes.
async fn in_span<F: Future>(name: &'static str, attributes: [KeyValue; 4], last: KeyValue, call: F) -> F::Output {
    static TRACER: OnceLock<BoxedTracer> = OnceLock::new();
    let tracer = TRACER.get_or_init(|| global::tracer("benches"));
    let builder = tracer.span_builder(name).with_kind(SpanKind::Client).with_attributes(attributes);
    let context = Context::current_with_span(tracer.build(builder));
    let output = call.with_context(context.clone()).await;
    context.span().set_attribute(last);
    context.span().end();
    output
}
