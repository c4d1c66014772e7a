//! The hosts that requests may address, as protection against DNS rebinding.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::request::Parts;
use http::uri::Authority;
use http::{StatusCode, Version, header};

/// The hosts that requests may address.
#[derive(Debug)]
pub(crate) enum Hosts {
    Any,
    /// Only `localhost`, loopback addresses and these names.
    Only(Vec<String>),
}

/// The status and body of a response that refuses a request.
pub(crate) type Refusal = (StatusCode, &'static str);

impl Hosts {
    /// Allows any host if the server's address is not a loopback address and `names` is empty.
    pub(crate) fn new(address: SocketAddr, names: Vec<String>) -> Self {
        if address.ip().to_canonical().is_loopback() || !names.is_empty() { Hosts::Only(names) } else { Hosts::Any }
    }

    /// Checks the host of a request, taken from an absolute target or otherwise from the `Host` header.
    ///
    /// spec: RFC 9112 3.2, 3.2.2
    pub(crate) fn check(&self, head: &Parts) -> Result<(), Refusal> {
        let mut fields = head.headers.get_all(header::HOST).iter();
        let field = match (fields.next(), fields.next()) {
            (Some(field), None) => Some(parse(field.as_bytes()).ok_or(BAD)?),
            (None, _) if head.version < Version::HTTP_11 => None,
            (None, _) => return Err((StatusCode::BAD_REQUEST, "HTTP/1.1 requires a Host header")),
            (Some(_), Some(_)) => return Err((StatusCode::BAD_REQUEST, "the request has several Host headers")),
        };
        let target = match head.uri.authority() {
            Some(authority) => Some(parse(authority.as_str().as_bytes()).ok_or(BAD)?),
            None => None,
        };
        match (self, target.or(field)) {
            (Hosts::Any, _) | (_, None) => Ok(()),
            (Hosts::Only(names), Some(host)) if is_loopback(&host) || names.iter().any(|name| is_same(name, &host)) => {
                Ok(())
            }
            _ => Err((StatusCode::MISDIRECTED_REQUEST, "the host of the request is not allowed")),
        }
    }
}

const BAD: Refusal = (StatusCode::BAD_REQUEST, "the host of the request is malformed");

/// Returns the host of `host[:port]`, in lower case and without brackets, or `None` if it is malformed.
fn parse(authority: &[u8]) -> Option<String> {
    if authority.is_empty() {
        return Some(String::new());
    }
    let authority = Authority::try_from(authority).ok()?;
    let host = authority.host();
    let port = authority.as_str().strip_prefix(host)?;
    let port_is_valid = port.is_empty() || port.strip_prefix(':')?.bytes().all(|byte| byte.is_ascii_digit());
    port_is_valid.then(|| unbracketed(host).to_ascii_lowercase())
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

fn is_loopback(host: &str) -> bool {
    // A name may end with a dot, which denotes the root domain.
    host.strip_suffix('.').unwrap_or(host) == "localhost"
        || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}

fn is_same(name: &str, host: &str) -> bool {
    let name = unbracketed(name);
    match (name.parse::<Ipv6Addr>(), host.parse::<Ipv6Addr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => name.trim_end_matches('.').eq_ignore_ascii_case(host.trim_end_matches('.')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &Hosts, target: &str, fields: &[&str], version: Version, expected: u16) {
        let mut request = http::Request::get(target).version(version);
        for field in fields {
            request = request.header("Host", *field);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let status = hosts.check(&head).err().map_or(200, |(status, _)| status.as_u16());
        assert_eq!(status, expected, "{target} {fields:?}");
    }

    fn loopback(names: &[&str]) -> Hosts {
        Hosts::new("127.0.0.1:9464".parse().unwrap(), names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn a_loopback_server_accepts_loopback_hosts() {
        let hosts = loopback(&[]);
        for host in [
            "localhost",
            "localhost:9464",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.0.0.2",
            "[::1]",
            "[::1]:9464",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]:80",
            "localhost:",
        ] {
            check(&hosts, "/metrics", &[host], Version::HTTP_11, 200);
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.localhost",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
            "2130706433",
            "",
        ] {
            check(&hosts, "/metrics", &[host], Version::HTTP_11, 421);
        }
        for host in ["a b", "user@localhost", "localhost:port", "[::1", "::1", "localhost/", "\u{fc}"] {
            check(&hosts, "/metrics", &[host], Version::HTTP_11, 400);
        }
    }

    #[test]
    fn the_host_is_required_once() {
        for hosts in [loopback(&[]), Hosts::new("10.0.0.1:1".parse().unwrap(), Vec::new())] {
            check(&hosts, "/metrics", &[], Version::HTTP_11, 400);
            check(&hosts, "/metrics", &["localhost", "localhost"], Version::HTTP_11, 400);
            check(&hosts, "/metrics", &[], Version::HTTP_10, 200);
        }
    }

    #[test]
    fn an_absolute_target_wins_over_the_header() {
        let hosts = loopback(&[]);
        check(&hosts, "http://localhost:9464/metrics", &["evil.example"], Version::HTTP_11, 200);
        check(&hosts, "http://evil.example/metrics", &["localhost"], Version::HTTP_11, 421);
        check(&hosts, "http://user@localhost/metrics", &["localhost"], Version::HTTP_11, 400);
        check(&hosts, "http://localhost/metrics", &[], Version::HTTP_11, 400);
    }

    #[test]
    fn names_add_to_a_loopback_server_and_restrict_another() {
        let names = ["Metrics.example.", "[2001:DB8::1]"];
        let everywhere = Hosts::new("[::]:1".parse().unwrap(), names.map(str::to_owned).into());
        for hosts in [loopback(&names), everywhere] {
            for host in ["metrics.EXAMPLE:9464", "[2001:db8:0::1]", "localhost"] {
                check(&hosts, "/metrics", &[host], Version::HTTP_11, 200);
            }
            check(&hosts, "/metrics", &["10.1.2.3:9464"], Version::HTTP_11, 421);
        }
    }

    #[test]
    fn without_names_another_address_accepts_any_host() {
        for address in ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:9464"] {
            let hosts = Hosts::new(address.parse().unwrap(), Vec::new());
            for host in ["10.1.2.3:9464", "evil.example", ""] {
                check(&hosts, "/metrics", &[host], Version::HTTP_11, 200);
            }
            check(&hosts, "/metrics", &["a b"], Version::HTTP_11, 400);
        }
        let mapped = Hosts::new("[::ffff:127.0.0.1]:1".parse().unwrap(), Vec::new());
        check(&mapped, "/metrics", &["evil.example"], Version::HTTP_11, 421);
    }
}
