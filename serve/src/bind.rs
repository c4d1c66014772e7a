//! Binding: from a host and a port to a listening socket, or to which of the two is wrong.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::{error, fmt};

/// Reports which of host and port cannot be listened on.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The host has no address, or none of this machine.
    Host(io::Error),
    /// The port is taken or reserved.
    Port(io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::Host(error) => write!(f, "the host cannot be listened on: {error}"),
            BindError::Port(error) => write!(f, "the port cannot be listened on: {error}"),
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

/// Listens on a host name or an address; port 0 picks a free one. Of several addresses, IPv4 is tried first, for scrapers
/// that are pointed at `127.0.0.1`.
///
/// # Errors
/// Names the host if it does not resolve or is not an address of this machine, and the port otherwise.
pub fn bind(host: &str, port: u16) -> Result<TcpListener, BindError> {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let mut addresses: Vec<_> = (host, port).to_socket_addrs().map_err(BindError::Host)?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    TcpListener::bind(&*addresses).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse | ErrorKind::PermissionDenied => BindError::Port(error),
        _ => BindError::Host(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrong_one_of_host_and_port_is_named() {
        let taken = bind("127.0.0.1", 0).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(bind("127.0.0.1", port), Err(BindError::Port(_))));
        // Reserved for documentation: of no machine.
        assert!(matches!(bind("192.0.2.1", 0), Err(BindError::Host(_))));
        assert!(matches!(bind("not a host", 0), Err(BindError::Host(_))));
        assert!(matches!(bind("", 0), Err(BindError::Host(_))));
    }

    #[test]
    fn localhost_prefers_ipv4_and_brackets_are_accepted() {
        assert_eq!(bind("localhost", 0).unwrap().local_addr().unwrap().ip().to_string(), "127.0.0.1");
        assert_eq!(bind("[127.0.0.1]", 0).unwrap().local_addr().unwrap().ip().to_string(), "127.0.0.1");
    }
}
