//! `cargo telemark build`, `run`, `test` and `explain`: telemetry for a program whose source stays as it is.
//!
//! | file | owns |
//! |---|---|
//! | `command` | the arguments, and which of them are cargo's |
//! | `run` | builds, and runs the program |
//! | `run::build` | one build, and what its errors leave out of the next one |
//! | `run::turn` | lets runs in one workspace wait for each other |
//! | `costs` | the spans of the last run |
//! | `explain` | what is instrumented, and why the rest is not |
//! | `shadow` | the shadow workspace: links and rewritten files |
//! | `shadow::left_out` | what does not compile with telemetry |
//! | `shadow::workspace` | the packages, their dependencies and their targets |
//! | `shadow::manifest` | the edits of `Cargo.toml` |
//! | `shadow::lock` | the differences between two lock files |
//! | `shadow::profile` | the profile of the packages that only Telemark needs |
//! | `shadow::copies` | the dependencies whose copies are instrumented |
//! | `messages` | the errors of a build |
//! | `modules` | the files of a crate |
//! | `rewrite` | the edits of a source file |
//! | `rules` | `telemark.toml` |
//! | `wrapper` | the wrapper of rustc |
//! | `wrapper::configured` | the wrapper and the runner that the user has set |
//! | `wrapper::runner` | the runner that tells which program cargo would start |

pub(crate) mod command;
mod costs;
mod explain;
mod messages;
pub(crate) mod modules;
pub(crate) mod rewrite;
pub(crate) mod rules;
mod run;
pub(crate) mod shadow;
mod wrapper;

pub(crate) use run::run;
pub(crate) use wrapper::run as wrapper;
