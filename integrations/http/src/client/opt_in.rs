//! The opt-in attributes of client spans.

/// The attributes that the user has enabled. None are enabled by default.
///
/// spec: http/http-spans.md#http-client-span: requirement level Opt-In
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientOptIn {
    pub(crate) scheme: bool,
    pub(crate) user_agent: bool,
    pub(crate) request_size: bool,
    pub(crate) response_size: bool,
}

impl ClientOptIn {
    /// The names that [`ClientOptIn::choose`] accepts, for messages.
    pub(crate) const ACCEPTED: &str =
        "`url.scheme`, `user_agent.original`, `http.request.body.size` or `http.response.body.size`";

    /// Enables an attribute by its name; returns `None` if the name is not in [`ClientOptIn::ACCEPTED`].
    pub(crate) fn choose(&mut self, name: &str) -> Option<()> {
        let chosen = match name {
            "url.scheme" => &mut self.scheme,
            "user_agent.original" => &mut self.user_agent,
            "http.request.body.size" => &mut self.request_size,
            "http.response.body.size" => &mut self.response_size,
            _ => return None,
        };
        *chosen = true;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_accepted_is_known() {
        let mut chosen = ClientOptIn::default();
        for name in ClientOptIn::ACCEPTED.split('`').skip(1).step_by(2) {
            assert_eq!(chosen.choose(name), Some(()), "{name}");
        }
        let all = ClientOptIn { scheme: true, user_agent: true, request_size: true, response_size: true };
        assert_eq!((chosen, chosen.choose("network.transport")), (all, None));
    }
}
