//! Binding: turns a host and a port into a listening socket, or into an error that names the invalid one.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
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
    fn localhost_prefers_ipv4_and_brackets_are_accepted() {
        assert_eq!(bind("localhost", 0).unwrap().local_addr().unwrap().ip().to_string(), "127.0.0.1");
        assert_eq!(bind("[127.0.0.1]", 0).unwrap().local_addr().unwrap().ip().to_string(), "127.0.0.1");
    }
}
