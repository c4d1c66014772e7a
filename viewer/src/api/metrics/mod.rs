//! The metrics.
//!
//! | module | owns |
//! |---|---|
//! | `instruments` | `/instruments.json` and `/instrument/{id}.json` |
//! | `points` | the samples of series as rates, differences and lines |
//! | `heat` | histograms over time as a heat map, with quantiles |

mod heat;
mod instruments;
mod points;
