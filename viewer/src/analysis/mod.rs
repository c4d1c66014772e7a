//! Reads traces: their tree, their critical path, where an error began, which calls repeat, and who calls whom.
//!
//! Everything here is a pure function over what the store holds. The spans come from any program, so a trace may be incomplete,
//! cyclic, duplicated or wrong about its times. No function recurses, because the depth of a trace is the sender's choice.

mod baselines;
mod compare;
mod critical_path;
mod findings;
mod map;
mod origin;
mod peer;
mod siblings;
mod skew;
mod text;
mod tree;

pub(crate) use baselines::Baselines;
pub(crate) use compare::{Side, compare};
pub(crate) use critical_path::critical_path;
pub(crate) use findings::{Cost, Evidence, Finding, Share, findings};
pub(crate) use map::{Calls, Map, map};
pub(crate) use origin::origin;
pub(crate) use peer::{Peer, PeerKind, peer};
pub(crate) use siblings::equal_siblings;
pub(crate) use skew::skew;
pub(crate) use tree::{Times, Tree, tree};

#[cfg(test)]
mod samples;
