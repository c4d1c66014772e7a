//! The other side of a call that sends no spans of its own: a database, a queue, a foreign service.

use super::text::first_attribute;
use crate::model::{Kind, Span};

/// The kind of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PeerKind {
    Database,
    Queue,
    Service,
}

/// The other side of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) kind: PeerKind,
    pub(crate) name: String,
}

/// Returns the other side of a client's or producer's span, by the attributes of the conventions, present and past.
pub(crate) fn peer(span: &Span) -> Option<Peer> {
    if !matches!(span.kind, Kind::Client | Kind::Producer) {
        return None;
    }
    let peer = |kind, name| Some(Peer { kind, name });
    if let Some(system) = first_attribute(span, &["db.system.name", "db.system"]) {
        return peer(PeerKind::Database, system);
    }
    if let Some(system) = first_attribute(span, &["messaging.system"]) {
        let destination = first_attribute(span, &["messaging.destination.name", "messaging.destination"]);
        return peer(PeerKind::Queue, destination.unwrap_or(system));
    }
    if let Some(name) = first_attribute(span, &["server.service.name", "service.peer.name", "peer.service"]) {
        return peer(PeerKind::Service, name);
    }
    let address = first_attribute(span, &["server.address", "net.peer.name", "network.peer.address", "rpc.service"])?;
    match first_attribute(span, &["server.port", "net.peer.port"]).as_deref() {
        None | Some("80" | "443") => peer(PeerKind::Service, address),
        Some(port) => peer(PeerKind::Service, format!("{address}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{With, span};
    use super::*;

    fn named(span: Span) -> Option<(PeerKind, String)> {
        peer(&span.kind(Kind::Client)).map(|peer| (peer.kind, peer.name))
    }

    #[test]
    fn each_kind_has_its_own_attributes() {
        let call = || span(1, 0, "call", 0, 1);
        let database = call().attribute("db.system.name", "postgresql").attribute("server.address", "127.0.0.1");
        assert_eq!(named(database), Some((PeerKind::Database, "postgresql".to_owned())));
        let queue = call().attribute("messaging.system", "kafka").attribute("messaging.destination.name", "orders");
        assert_eq!(named(queue), Some((PeerKind::Queue, "orders".to_owned())));
        let https = call().attribute("server.address", "api.stripe.com").attribute("server.port", 443);
        assert_eq!(named(https), Some((PeerKind::Service, "api.stripe.com".to_owned())));
        let port = call().attribute("server.address", "10.0.0.1").attribute("server.port", 8080);
        assert_eq!(named(port), Some((PeerKind::Service, "10.0.0.1:8080".to_owned())));
        assert_eq!(named(call()), None);
    }

    #[test]
    fn a_server_has_no_peer_to_name() {
        let server = span(1, 0, "serve", 0, 1).kind(Kind::Server).attribute("server.address", "me");
        assert_eq!(peer(&server), None);
    }
}
