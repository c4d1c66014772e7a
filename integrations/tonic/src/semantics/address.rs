//! The server's address: from the authority of a request, or from the target of a client.

use http::uri::Authority;
use http::{HeaderMap, Uri, header};
use opentelemetry::StringValue;
use telemark_kit::{BoundedText, Interner};

/// Clients use few names for a server, so the first names are kept, and spans do not copy them.
static KEPT: Interner<()> = Interner::new(128, 128);

/// The address and port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    pub(crate) address: StringValue,
    /// The same text if it is kept for the life of the program.
    pub(crate) kept: Option<&'static str>,
    pub(crate) port: Option<u16>,
    pub(crate) is_cut: bool,
}

impl ServerAddress {
    fn new(address: &str, port: Option<u16>) -> Self {
        // The authority of an IPv6 address has brackets, the attribute does not.
        let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
        match KEPT.get(address, |_| ()) {
            Some((kept, _)) => ServerAddress { address: kept.into(), kept: Some(kept), port, is_cut: false },
            None => {
                let BoundedText { text, is_cut, .. } = BoundedText::new(address);
                ServerAddress { address: text.into(), kept: None, port, is_cut }
            }
        }
    }

    /// Returns the address to which a request was sent: its `:authority`, or its `Host` header.
    ///
    /// spec: semconv rpc/grpc.md: never the address of the socket
    pub(crate) fn of_request(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        if let Some(authority) = uri.authority() {
            return ServerAddress::of_authority(authority);
        }
        let host = headers.get(header::HOST)?;
        ServerAddress::of_authority(&Authority::try_from(host.as_bytes()).ok()?)
    }

    fn of_authority(authority: &Authority) -> Option<Self> {
        let host = authority.host();
        (!host.is_empty()).then(|| ServerAddress::new(host, authority.port_u16()))
    }

    /// Returns the address of a client's target: an URL or a gRPC name such as `dns:///shop.example:50051`.
    ///
    /// spec: semconv rpc/grpc.md#server-address-and-port; gRPC doc/naming.md
    pub(crate) fn of_target(target: &str) -> Option<Self> {
        let target = target.trim();
        let whole = || {
            Some(without_secrets(target))
                .filter(|whole| !whole.is_empty())
                .map(|whole| ServerAddress::new(&whole, None))
        };
        let named = |name: &str, port: Option<u16>| match name.parse::<Authority>() {
            Ok(authority) => ServerAddress::of_authority(&authority)
                .map(|address| ServerAddress { port: address.port.or(port), ..address }),
            Err(_) => whole(),
        };
        let before_path = |text: &str| text.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
        // Schemes are case-insensitive.
        let scheme = target.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        match scheme.as_ref().map(|(scheme, rest)| (scheme.as_str(), *rest)) {
            Some(("http", rest)) if rest.starts_with("//") => named(&before_path(&rest[2..]), Some(80)),
            Some(("https", rest)) if rest.starts_with("//") => named(&before_path(&rest[2..]), Some(443)),
            // An authority before the name is that of the name server.
            Some(("dns", rest)) => match rest.strip_prefix("//") {
                Some(rest) => named(rest.split_once('/').map_or("", |(_, name)| name), None),
                None => named(rest, None),
            },
            Some(("unix", rest)) => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                (!path.is_empty()).then(|| ServerAddress::new(path, None))
            }
            Some((_, rest)) if rest.starts_with("//") => whole(),
            _ => named(target, None),
        }
    }
}

/// Returns a target without its query and without a user and a password, which may contain any character.
fn without_secrets(target: &str) -> String {
    let (scheme, rest) = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('@') => (format!("{scheme}://"), rest),
        _ => (String::new(), target),
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    scheme + rest.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(address: Option<ServerAddress>) -> String {
        match address {
            Some(ServerAddress { address, port: Some(port), .. }) => format!("{address} {port}"),
            Some(ServerAddress { address, .. }) => format!("{address} -"),
            None => "-".to_owned(),
        }
    }

    #[test]
    fn targets() {
        fn check(target: &str, expected: &str) {
            assert_eq!(shown(ServerAddress::of_target(target)), expected, "{target}");
        }
        // spec: semconv rpc/grpc.md#server-address-and-port
        check("grpc.io:50051", "grpc.io 50051");
        check("dns://1.2.3.4/grpc.io:50051", "grpc.io 50051");
        check("unix:///run/containerd/containerd.sock", "/run/containerd/containerd.sock -");
        check("zk://zookeeper:2181/my-server", "zk://zookeeper:2181/my-server -");
        let several = "ipv4:198.51.100.123:50051,198.51.100.124:50051";
        check(several, &format!("{several} -"));
        check("http://inventory:3001", "inventory 3001");
        check("http://inventory:3001/", "inventory 3001");
        check("https://inventory.example/api?x", "inventory.example 443");
        check("http://inventory.example", "inventory.example 80");
        check("http://user:secret@inventory.example", "inventory.example 80");
        check("https://[2001:db8::1]:50051", "2001:db8::1 50051");
        check("[::1]:50051", "::1 50051");
        check("dns:///shop.example", "shop.example -");
        check("dns:shop.example:443", "shop.example 443");
        check("unix:relative.sock", "relative.sock -");
        check(" inventory ", "inventory -");
        check("", "-");
        check("http://", "http:// -");
        // No user, password or query, even in a target of another kind or with invalid characters.
        check("HTTPS://user:secret@shop", "shop 443");
        check("Dns:///shop.example:1", "shop.example 1");
        check("grpc://user:secret@shop:1", "grpc://shop:1 -");
        check("http://user:sec ret@shop:1/x", "http://shop:1/x -");
        check("zk://a:se/cr@et@zookeeper:2181/my-server?token=secret", "zk://zookeeper:2181/my-server -");
        check("user:sec ret@shop:1", "shop:1 -");
        check("dns:///user:sec ret@shop:1", "dns://shop:1 -");
        check("dns:///shop:1?token=secret", "dns:///shop:1 -");
    }

    #[test]
    fn requests() {
        fn check(uri: &str, host: &str, expected: &str) {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(shown(ServerAddress::of_request(&uri.parse().unwrap(), &headers)), expected, "{uri} {host}");
        }
        check("http://shop.example:50051/a.B/C", "other", "shop.example 50051");
        check("http://shop.example/a.B/C", "", "shop.example -");
        check("/a.B/C", "[::1]:80", "::1 80");
        check("/a.B/C", "a b", "-");
        check("/a.B/C", "", "-");
        let long = format!("{}.example:1", "x".repeat(300));
        check("/a.B/C", &long, &long.replace(':', " "));
    }

    proptest! {
        #[test]
        fn no_target_panics(target in ".{0,40}|[a-z]{0,5}:/{0,3}[^ ]{0,20}") {
            let _ = ServerAddress::of_target(&target);
        }
    }
}
