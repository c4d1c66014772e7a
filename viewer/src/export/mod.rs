//! The viewer in the process: exporters of all signals into the store, and the observer of running spans.
//!
//! | file | owns |
//! |---|---|
//! | `exporter` | the exporters |
//! | `spans`, `records`, `metrics` | the items of each signal |
//! | `values` | names, values, attributes, resources and scopes |
//! | `running` | the spans that have not ended |
//! | `settings`, `origin` | the settings of a viewer |
//! | `in_process` | the viewer that the exporters of a program share, and its variables |

mod exporter;
mod in_process;
mod metrics;
mod origin;
mod records;
mod running;
mod settings;
mod spans;
mod values;

pub use exporter::ViewerExporter;
pub use in_process::{InProcess, link};
pub use origin::parse_origin;
pub use running::RunningSpans;
pub use settings::{Settings, parse_bytes};
