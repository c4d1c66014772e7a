//! Page formats: the exposition format, and the escaping of names with characters outside the classic set.

use std::fmt;

/// An exposition format with an escaping scheme.
///
/// ```
/// use telemark_prometheus::{Escaping, Format, Protocol};
///
/// let format = Format::new(Protocol::OpenMetrics1_0_0, Escaping::AllowUtf8);
/// assert_eq!(format.content_type(), "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8");
/// assert_eq!(Format::default().content_type(), "text/plain; version=0.0.4; charset=utf-8");
/// ```
///
/// spec: prometheus docs/instrumenting/content_negotiation.md
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Format {
    protocol: Protocol,
    escaping: Escaping,
}

/// An exposition format and its version.
///
/// ```
/// use telemark_prometheus::{Protocol, negotiate};
///
/// assert_eq!(negotiate("text/plain;version=1.0.0").protocol(), Protocol::Text1_0_0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// The Prometheus text format 0.0.4, which every scraper supports. It has neither exemplars nor quoted
    /// names.
    #[default]
    Text0_0_4,
    /// The Prometheus text format 1.0.0, which adds quoted names to 0.0.4.
    Text1_0_0,
    /// OpenMetrics 0.0.1.
    OpenMetrics0_0_1,
    /// OpenMetrics 1.0.0.
    OpenMetrics1_0_0,
}

/// A scheme for name characters that older versions of Prometheus did not allow.
///
/// ```
/// use telemark_prometheus::{Escaping, negotiate};
///
/// assert_eq!(negotiate("text/plain;version=1.0.0;escaping=dots").escaping(), Escaping::Dots);
/// ```
///
/// spec: prometheus docs/instrumenting/escaping_schemes.md
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Escaping {
    /// Replaces each such character with an underscore.
    #[default]
    Underscores,
    /// Replaces a dot with `_dot_`, an underscore with `__`, and every other such character with an underscore.
    Dots,
    /// Prefixes the name with `U__` and replaces each such character with its code point.
    Values,
    /// Keeps such characters and quotes the name.
    AllowUtf8,
}

pub(crate) const ESCAPINGS: [(&str, Escaping); 4] = [
    ("allow-utf-8", Escaping::AllowUtf8),
    ("underscores", Escaping::Underscores),
    ("dots", Escaping::Dots),
    ("values", Escaping::Values),
];

impl Format {
    /// Creates a format. Protocols before version 1.0.0 do not support escaping schemes and always use
    /// [`Escaping::Underscores`].
    pub const fn new(protocol: Protocol, escaping: Escaping) -> Self {
        match protocol {
            Protocol::Text1_0_0 | Protocol::OpenMetrics1_0_0 => Format { protocol, escaping },
            Protocol::Text0_0_4 | Protocol::OpenMetrics0_0_1 => Format { protocol, escaping: Escaping::Underscores },
        }
    }

    /// Returns the protocol.
    pub const fn protocol(self) -> Protocol {
        self.protocol
    }

    /// Returns the escaping scheme.
    pub const fn escaping(self) -> Escaping {
        self.escaping
    }

    /// Returns true for OpenMetrics, which supports exemplars.
    pub const fn is_open_metrics(self) -> bool {
        matches!(self.protocol, Protocol::OpenMetrics0_0_1 | Protocol::OpenMetrics1_0_0)
    }

    /// Returns the value of the `Content-Type` header.
    pub const fn content_type(self) -> &'static str {
        match (self.protocol, self.escaping) {
            (Protocol::Text0_0_4, _) => "text/plain; version=0.0.4; charset=utf-8",
            (Protocol::OpenMetrics0_0_1, _) => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            (Protocol::Text1_0_0, Escaping::Underscores) => {
                "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
            }
            (Protocol::Text1_0_0, Escaping::Dots) => "text/plain; version=1.0.0; charset=utf-8; escaping=dots",
            (Protocol::Text1_0_0, Escaping::Values) => "text/plain; version=1.0.0; charset=utf-8; escaping=values",
            (Protocol::Text1_0_0, Escaping::AllowUtf8) => {
                "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
            (Protocol::OpenMetrics1_0_0, Escaping::Underscores) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
            (Protocol::OpenMetrics1_0_0, Escaping::Dots) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots"
            }
            (Protocol::OpenMetrics1_0_0, Escaping::Values) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values"
            }
            (Protocol::OpenMetrics1_0_0, Escaping::AllowUtf8) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.content_type())
    }
}
