//! Tail sampling in the process: a trace is kept or dropped once its local root has ended, when its errors and durations are known.
//!
//! ```
//! use std::time::Duration;
//!
//! use telemark_sdk::config::Env;
//! use telemark_sdk::install::Telemetry;
//! use telemark_sdk::stages::tail::{Policy, TailSampling};
//!
//! let tail = TailSampling::new()
//!     .keep(Policy::errors())
//!     .keep(Policy::slower_than(Duration::from_secs(1)))
//!     .keep(Policy::probability(0.1).named("rest"));
//! let builder = Telemetry::builder(Env::process()).with_tail_sampling(tail);
//! # drop(builder);
//! ```
//!
//! # What is decided
//!
//! A *local root* is a span without a parent in this process. The spans of a trace are held until every local root of the trace that runs
//! in this process has ended, and a little longer ([`TailSampling::with_grace`]) for spans that end late. Then the policies decide, and
//! the spans go to the exporters or are dropped. A service that calls itself has several local roots in one trace, which are decided
//! together. Spans that end after the decision follow it.
//!
//! A local root that is lost before it gets here, because a queue is full or an earlier stage drops it, is not waited for: its trace is
//! decided with the spans that have arrived.
//!
//! A trace that takes too long ([`TailSampling::with_deadline`]) is decided with the spans that have ended. If it is dropped, its later
//! spans are held again: if one of them fails, they are kept, with `telemark.sampling.incomplete` on the local root. A flush and the
//! shutdown decide about everything that is held.
//!
//! # What happens to the sampler
//!
//! Every span is recorded, whatever the sampler says, because the decision comes later. The sampler still decides the flag that is sent
//! to other services, so the part of the trace in those services does not depend on the tail. If the tail keeps a trace that the sampler
//! has not sampled, other services may have dropped their parts; the local root says so with `telemark.sampling.head_sampled=false`.
//! The exported spans of a kept trace have the sampled flag, because exporters and receivers expect sampled spans. For whole traces
//! across services, keep what [the sampler has sampled](Policy::head_sampled) or the same [probability](Policy::probability) in all of
//! them, and [tell them](TailSampling::with_errors_told) about errors.
//!
//! The local root of a kept trace has the name of the first policy that keeps it in `telemark.sampling.policy`.
//!
//! # Weights
//!
//! The value `th` in the trace state says how many traces a kept one stands for. Read as the digits of a hexadecimal fraction, it is the
//! share of traces that are not kept, so a kept one stands for 1 / (1 − `th`): `0` for 1 trace, `8` for 2, `c` for 4, and `e666` for 10
//! ([`Threshold::adjusted_count`](crate::sampling::Threshold::adjusted_count)). A receiver that counts spans must count each with this
//! weight. Metrics need none: they are recorded before the decision, and their exemplars lead to kept traces alone.
//!
//! `th` is the lowest threshold of all policies that may keep a trace with these contents, and replaces that of the sampler, because every
//! local root of the process is seen here:
//!
//! | policy | the sampler sampled the trace with `th` | sampled it without `th` | did not sample it |
//! |---|---|---|---|
//! | errors, durations, attributes, names, numbers of spans, functions | `th:0` | `th:0` | `th:0` |
//! | a probability | its threshold | its threshold | its threshold |
//! | a budget | the threshold of its share | the same | the same |
//! | `head_sampled` | the sampler's `th` | none | not kept |
//! | `all` | the highest of the parts | the highest, or none | the highest |
//! | `not` | `th:0`, or none for a probability | the same | the same |
//! | several of these | the lowest; `th:0` if one of them is certain | none if `head_sampled` is among them, unless one is certain | the same |
//!
//! There is no `th` where the probability is not known: beside a budget that has refused a trace in the last two seconds, and for
//! traces that waited while others had to make room.
//!
//! # Memory
//!
//! Held traces are bounded in number, in spans and in bytes. Beyond a limit, the oldest trace is dropped whole and counted. Decisions
//! are remembered for about twice as many traces as can be held, and at least 2048: the oldest are forgotten first, but those with running
//! local roots last. Beside the limits, there are the histograms of [`Policy::slowest`]. [`TailHealth`](crate::diag::TailHealth) counts all decisions.
//!
//! | file | owns |
//! |---|---|
//! | `config` | [`TailSampling`] |
//! | `file` | reads both from a configuration file |
//! | `policy` | [`Policy`] |
//! | `budget` | [`Budget`], and its division among policies |
//! | `rules` | the policies at work |
//! | `chance` | the chance with which policies keep a trace |
//! | `latency` | the durations of local roots by name |
//! | `held_trace` | [`HeldTrace`] |
//! | `buffer` | the traces that wait for a decision, and the chunks in which their spans wait |
//! | `mark` | what is written on the spans of kept traces |
//! | `stage` | the stage for spans |
//! | `logs` | the stage for log records, which follow their traces |

mod budget;
mod buffer;
mod chance;
mod config;
mod file;
mod held_trace;
mod latency;
mod logs;
mod mark;
mod policy;
mod rules;
mod stage;

pub use budget::Budget;
pub use config::TailSampling;
pub use held_trace::HeldTrace;
use held_trace::is_local_root;
pub use policy::Policy;
