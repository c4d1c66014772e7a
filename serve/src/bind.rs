//! Binding: turns a host and a port into a listening socket, or into an error that names the invalid one.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::{error, fmt};

/// An error from [`bind`], which shows whether the host or the port is at fault.
///
/// ```
/// use telemark_serve::{BindError, bind};
///
/// // This name does not resolve to an address.
/// assert!(matches!(bind("not a host", 0), Err(BindError::Host(_))));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The host does not resolve, or is not an address of this machine.
    Host(io::Error),
    /// The port is in use or reserved.
    Port(io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::Host(error) => write!(f, "cannot listen on the host: {error}"),
            BindError::Port(error) => write!(f, "cannot listen on the port: {error}"),
        }
    }
}

impl error::Error for BindError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            BindError::Host(error) | BindError::Port(error) => Some(error),
        }
    }
}

/// Listens on a host name or an address. Port 0 picks a free port. Tries IPv4 addresses first, because clients
/// are often configured with `127.0.0.1`.
///
/// `localhost` is this machine. Any other name is resolved on the calling thread by the system's resolver, which accepts no deadline.
///
/// ```
/// let listener = telemark_serve::bind("localhost", 0)?;
/// assert!(listener.local_addr().is_ok_and(|address| address.ip().is_loopback()));
/// # Ok::<(), telemark_serve::BindError>(())
/// ```
///
/// # Errors
/// The error names the port if it is in use or reserved, and the host otherwise.
pub fn bind(host: &str, port: u16) -> Result<TcpListener, BindError> {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let addresses = resolve(host, port, |host, port| Ok((host, port).to_socket_addrs()?.collect()));
    TcpListener::bind(&*addresses.map_err(BindError::Host)?).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse | ErrorKind::PermissionDenied => BindError::Port(error),
        _ => BindError::Host(error),
    })
}

type Resolver = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Returns the addresses of a host, those of IPv4 first. Asks `resolver` only for names that it does not know itself, because a
/// resolver may wait for a name server.
fn resolve(host: &str, port: u16, resolver: Resolver) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![(ip, port).into()]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    let mut addresses = resolver(host, port)?;
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_host_or_port() {
        let taken = bind("127.0.0.1", 0).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(bind("127.0.0.1", port), Err(BindError::Port(_))));
        // An address reserved for documentation.
        assert!(matches!(bind("192.0.2.1", 0), Err(BindError::Host(_))));
        assert!(matches!(bind("not a host", 0), Err(BindError::Host(_))));
        assert!(matches!(bind("", 0), Err(BindError::Host(_))));
    }

    #[test]
    fn only_other_names_are_resolved() {
        let check = |host: &str, expected: Option<&[&str]>| {
            let addresses = resolve(host, 80, |_, _| Err(ErrorKind::TimedOut.into())).ok();
            let shown = addresses.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(
                shown.as_deref(),
                expected.map(|all| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()).as_deref(),
                "{host}"
            );
        };
        check("0.0.0.0", Some(&["0.0.0.0:80"]));
        check("::1", Some(&["[::1]:80"]));
        check("LocalHost", Some(&["127.0.0.1:80", "[::1]:80"]));
        check("example.com", None);
        let both: Resolver = |_, port| Ok(vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()]);
        assert!(resolve("example.com", 80, both).unwrap()[0].is_ipv4());
    }

    #[test]
    fn localhost_prefers_ipv4_and_brackets_are_accepted() {
        assert_eq!(bind("localhost", 0).unwrap().local_addr().unwrap().ip().to_string(), "127.0.0.1");
        assert_eq!(bind("[127.0.0.1]", 0).unwrap().local_addr().unwrap().ip().to_string(), "127.0.0.1");
    }
}
