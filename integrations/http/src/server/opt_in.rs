//! The opt-in attributes of server spans, which the settings enable by name.

use crate::shared::settings::Flags;

/// The opt-in attributes of spans.
///
/// spec: http/http-spans.md#http-server-span: requirement level Opt-In
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OptIn {
    pub(crate) client_port: bool,
    pub(crate) local_address: bool,
    pub(crate) local_port: bool,
    pub(crate) request_size: bool,
    pub(crate) response_size: bool,
}

pub(crate) const SPAN_ATTRIBUTES: Flags<OptIn> = Flags(&[
    ("client.port", |chosen| &mut chosen.client_port),
    ("network.local.address", |chosen| &mut chosen.local_address),
    ("network.local.port", |chosen| &mut chosen.local_port),
    ("http.request.body.size", |chosen| &mut chosen.request_size),
    ("http.response.body.size", |chosen| &mut chosen.response_size),
]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::settings::tests::check_flags;

    #[test]
    fn every_attribute_has_a_name() {
        check_flags(OptIn::default(), &SPAN_ATTRIBUTES);
    }
}
