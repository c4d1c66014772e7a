//! What a page is written in: the exposition format, and how names beyond the classic characters appear in it.

use std::fmt;

/// The exposition format of a page and its escaping scheme.
///
/// spec: prometheus docs/instrumenting/content_negotiation.md
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Format {
    protocol: Protocol,
    escaping: Escaping,
}

/// An exposition format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// The Prometheus text format 0.0.4, which every scraper reads. It has no exemplars and no quoted names.
    #[default]
    Text0_0_4,
    /// The Prometheus text format 1.0.0, which is the former with quoted names.
    Text1_0_0,
    /// OpenMetrics 0.0.1.
    OpenMetrics0_0_1,
    /// OpenMetrics 1.0.0.
    OpenMetrics1_0_0,
}

/// What becomes of characters in names that Prometheus did not always allow.
///
/// spec: prometheus docs/instrumenting/escaping_schemes.md
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Escaping {
    /// Each becomes an underscore.
    #[default]
    Underscores,
    /// A dot becomes `_dot_`, an underscore `__`, each other one an underscore.
    Dots,
    /// A name with any of them starts with `U__` and has their code points instead.
    Values,
    /// They stay as they are, and the name is quoted.
    AllowUtf8,
}

pub(crate) const ESCAPINGS: [(&str, Escaping); 4] = [
    ("allow-utf-8", Escaping::AllowUtf8),
    ("underscores", Escaping::Underscores),
    ("dots", Escaping::Dots),
    ("values", Escaping::Values),
];

impl Format {
    /// A format; the escaping scheme is [`Escaping::Underscores`] where the protocol knows no other, which is before
    /// version 1.0.0.
    pub const fn new(protocol: Protocol, escaping: Escaping) -> Self {
        match protocol {
            Protocol::Text1_0_0 | Protocol::OpenMetrics1_0_0 => Format { protocol, escaping },
            Protocol::Text0_0_4 | Protocol::OpenMetrics0_0_1 => Format { protocol, escaping: Escaping::Underscores },
        }
    }

    /// The protocol.
    pub const fn protocol(self) -> Protocol {
        self.protocol
    }

    /// The escaping scheme.
    pub const fn escaping(self) -> Escaping {
        self.escaping
    }

    /// Whether pages follow OpenMetrics, with exemplars.
    pub const fn is_open_metrics(self) -> bool {
        matches!(self.protocol, Protocol::OpenMetrics0_0_1 | Protocol::OpenMetrics1_0_0)
    }

    /// The value of the `Content-Type` header.
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
