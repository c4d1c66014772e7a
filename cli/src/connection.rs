//! A connection to a server, with TLS for https, on which nothing waits beyond a deadline.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use telemark_sdk::time::Deadline;

/// The certificates that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those of the system.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

/// The bytes of a connection, encrypted or not.
pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Connects to a server, with TLS if `trust` says how to verify it. TLS begins with the first read, write or flush.
///
/// # Errors
/// Fails if the server cannot be reached in time, or if the trusted certificates cannot be read.
pub(crate) fn connect(
    (host, port): (&str, u16),
    trust: Option<&Trust>,
    deadline: Deadline,
) -> io::Result<Box<dyn Stream>> {
    let mut stream = Err(io::ErrorKind::NotFound.into());
    for address in (host, port).to_socket_addrs()? {
        stream = TcpStream::connect_timeout(&address, remaining(deadline)?);
        if stream.is_ok() {
            break;
        }
    }
    let stream = Timed { stream: stream?, deadline };
    Ok(match trust {
        None => Box::new(stream),
        Some(trust) => Box::new(StreamOwned::new(session(host, trust)?, stream)),
    })
}

/// Returns true if a server at this address begins a TLS connection, whatever its certificate.
pub(crate) fn speaks_tls(server: (&str, u16), deadline: Deadline) -> bool {
    let begun = connect(server, Some(&Trust::System), deadline).and_then(|mut stream| stream.flush());
    match begun {
        Ok(()) => true,
        Err(error) => matches!(
            refusal(&error),
            Some(
                rustls::Error::InvalidCertificate(_)
                    | rustls::Error::AlertReceived(_)
                    | rustls::Error::NoApplicationProtocol
            )
        ),
    }
}

fn session(host: &str, trust: &Trust) -> io::Result<ClientConnection> {
    let server = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let mut config = builder.with_root_certificates(trusted(trust)?).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    ClientConnection::new(Arc::new(config), server).map_err(io::Error::other)
}

fn trusted(trust: &Trust) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Trust::File(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(io::Error::other)?;
            }
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let unusable = |problem: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {problem}", path.display()));
    // Opening a pipe would wait for its writer.
    let is_file = std::fs::metadata(path).map_err(|error| unusable(&error.to_string()))?.is_file();
    if !is_file {
        return Err(unusable("not a regular file"));
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unusable("no file with PEM certificates")),
    }
}

const CLIENT_REFUSED: rustls::Error = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);

/// Returns the reason for which TLS itself failed, or `None` if the connection below it did.
pub(crate) fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref() {
            return Some(refusal);
        }
        // `source` of an `io::Error` skips the error that it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source());
    }
    // HTTP/2 keeps only the text of what broke the connection.
    error.to_string().ends_with("alert: CertificateRequired").then_some(&CLIENT_REFUSED)
}

/// A stream whose reads and writes end with the deadline.
struct Timed {
    stream: TcpStream,
    deadline: Deadline,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(remaining(self.deadline)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(remaining(self.deadline)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn remaining(deadline: Deadline) -> io::Result<Duration> {
    match deadline.remaining() {
        Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
        remaining => Ok(remaining.unwrap_or(Duration::MAX)),
    }
}
