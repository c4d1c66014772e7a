//! The opt-in attributes of a server span.

/// The attributes that the user has enabled. None are enabled by default.
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

impl OptIn {
    /// The names that [`OptIn::choose`] accepts, for messages.
    pub(crate) const ACCEPTED: &str = "`client.port`, `network.local.address`, `network.local.port`, \
                                       `http.request.body.size` or `http.response.body.size`";

    /// Enables an attribute by its name; returns `None` if the name is not in [`OptIn::ACCEPTED`].
    pub(crate) fn choose(&mut self, name: &str) -> Option<()> {
        let chosen = match name {
            "client.port" => &mut self.client_port,
            "network.local.address" => &mut self.local_address,
            "network.local.port" => &mut self.local_port,
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
        let mut chosen = OptIn::default();
        for name in OptIn::ACCEPTED.split('`').skip(1).step_by(2) {
            assert_eq!(chosen.choose(name), Some(()), "{name}");
        }
        let all =
            OptIn { client_port: true, local_address: true, local_port: true, request_size: true, response_size: true };
        assert_eq!((chosen, chosen.choose("http.request.size")), (all, None));
    }
}
