//! The resolver, which looks up the addresses of a host name within a deadline and without a thread pool.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use telemark_sdk::runtime::is_ending;
use telemark_sdk::time::Deadline;

/// The maximum delay before the resolver notices that the program is ending.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The maximum time for which an ending program waits to resolve the name of a receiver that it has never reached. A name
/// such as `localhost` takes a millisecond, but an unknown name may take many seconds.
const MAX_GRACE: Duration = Duration::from_secs(1);

type Addresses = io::Result<Vec<SocketAddr>>;

/// Resolves one name at a time. The system's resolver does not support deadlines, so it runs on a separate thread, of
/// which there is never more than one. If that thread cannot be created, the resolver runs on the caller's thread.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    /// The outstanding result of a lookup that missed its deadline.
    pending: Option<Receiver<Addresses>>,
}

impl Resolver {
    /// Returns the addresses of `host`.
    ///
    /// `is_needed` is false for a receiver that has never been reached. If the program is ending, its lookup is limited
    /// to [`MAX_GRACE`].
    ///
    /// # Errors
    /// Fails if the name is unknown or the deadline passes.
    pub(super) fn resolve(&mut self, host: &str, port: u16, deadline: Deadline, is_needed: bool) -> Addresses {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => match start_lookup(host.to_owned(), port) {
                Ok(pending) => pending,
                // This may exceed the deadline, but that is better than exporting no telemetry at all.
                Err(_) => return lookup(host, port),
            },
        };
        let grace = Deadline::after(MAX_GRACE);
        while !deadline.has_passed() && (is_needed || !is_ending() || !grace.has_passed()) {
            let wait = deadline.remaining().map_or(POLL_INTERVAL, |remaining| remaining.min(POLL_INTERVAL));
            match pending.recv_timeout(wait) {
                Ok(addresses) => return addresses,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("the resolver ended")),
            }
        }
        self.pending = Some(pending);
        Err(io::Error::new(io::ErrorKind::TimedOut, "the host name was not resolved in time"))
    }
}

#[allow(clippy::disallowed_methods, reason = "a call without a deadline, not work of the SDK")]
fn start_lookup(host: String, port: u16) -> io::Result<Receiver<Addresses>> {
    let (sender, receiver) = sync_channel(1);
    let thread = thread::Builder::new().name("telemark-resolver".to_owned());
    thread.spawn(move || {
        // Fails if the exporter no longer exists.
        let _ = sender.send(lookup(&host, port));
    })?;
    Ok(receiver)
}

fn lookup(host: &str, port: u16) -> Addresses {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_resolver() {
        let mut resolver = Resolver::default();
        let passed = Deadline::after(Duration::ZERO);
        assert_eq!(resolver.resolve("::1", 9, passed, true).unwrap(), ["[::1]:9".parse().unwrap()]);
    }

    #[test]
    fn a_lookup_that_missed_its_deadline_is_not_started_twice() {
        let mut resolver = Resolver::default();
        let (sender, receiver) = sync_channel(1);
        resolver.pending = Some(receiver);
        let late = resolver.resolve("host", 9, Deadline::after(Duration::ZERO), true).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        let address: SocketAddr = "192.0.2.1:9".parse().unwrap();
        sender.send(Ok(vec![address])).unwrap();
        assert_eq!(resolver.resolve("host", 9, Deadline::NEVER, true).unwrap(), [address]);
    }
}
