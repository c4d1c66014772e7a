//! The opt-in attributes of client spans and metrics, which the settings enable by name.

use crate::shared::settings::Flags;

/// The opt-in attributes of spans.
///
/// spec: http/http-spans.md#http-client-span: requirement level Opt-In
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientOptIn {
    pub(crate) scheme: bool,
    pub(crate) user_agent: bool,
    pub(crate) request_size: bool,
    pub(crate) response_size: bool,
}

pub(crate) const SPAN_ATTRIBUTES: Flags<ClientOptIn> = Flags(&[
    ("url.scheme", |chosen| &mut chosen.scheme),
    ("user_agent.original", |chosen| &mut chosen.user_agent),
    ("http.request.body.size", |chosen| &mut chosen.request_size),
    ("http.response.body.size", |chosen| &mut chosen.response_size),
]);

/// The opt-in attributes of the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OptInMetricAttributes {
    /// Adds `url.scheme`.
    pub(crate) scheme: bool,
    /// Adds `url.template` to the duration. The other metrics have it if it is known.
    pub(crate) template: bool,
}

pub(crate) const METRIC_ATTRIBUTES: Flags<OptInMetricAttributes> =
    Flags(&[("url.scheme", |chosen| &mut chosen.scheme), ("url.template", |chosen| &mut chosen.template)]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::settings::tests::check_flags;

    #[test]
    fn every_attribute_has_a_name() {
        check_flags(ClientOptIn::default(), &SPAN_ATTRIBUTES);
        check_flags(OptInMetricAttributes::default(), &METRIC_ATTRIBUTES);
    }
}
