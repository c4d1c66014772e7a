//! The types of the settings: protocol, compression and certificates.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path as FilePath, PathBuf};

/// The protocol used for requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Protobuf over HTTP/1.1.
    #[default]
    HttpProtobuf,
    /// JSON over HTTP/1.1.
    HttpJson,
    /// gRPC. Requires the feature `grpc`.
    Grpc,
}

pub(crate) const PROTOCOLS: [(&str, Protocol); 3] =
    [("http/protobuf", Protocol::HttpProtobuf), ("http/json", Protocol::HttpJson), ("grpc", Protocol::Grpc)];

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = PROTOCOLS.iter().find(|(_, protocol)| protocol == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// The compression used for requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip. Requires the feature `gzip`.
    Gzip,
}

pub(crate) const COMPRESSIONS: [(&str, Compression); 2] = [("none", Compression::None), ("gzip", Compression::Gzip)];

/// Certificates or a private key in PEM format.
///
/// ```
/// use std::path::Path;
/// use telemark_otlp::Pem;
///
/// let file: Pem = Path::new("/etc/ssl/collector.pem").into();
/// let memory: Pem = b"-----BEGIN CERTIFICATE-----...".as_slice().into();
/// assert_ne!(file, memory);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pem {
    /// A regular file of at most 16 MiB, read when the exporter is built, and again for a connection if it has changed.
    File(PathBuf),
    /// The PEM text itself.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::File(path) => f.debug_tuple("File").field(path).finish(),
            Pem::Bytes(_) => f.write_str("Bytes(…)"),
        }
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Pem::File(path)
    }
}

impl From<&FilePath> for Pem {
    fn from(path: &FilePath) -> Self {
        Pem::File(path.to_owned())
    }
}

impl From<Vec<u8>> for Pem {
    fn from(bytes: Vec<u8>) -> Self {
        Pem::Bytes(bytes)
    }
}

impl From<&[u8]> for Pem {
    fn from(bytes: &[u8]) -> Self {
        Pem::Bytes(bytes.to_owned())
    }
}

/// A value, and the name of the argument or variable that set it.
#[derive(Clone, Debug)]
pub(crate) struct Named<T> {
    pub(crate) name: Cow<'static, str>,
    pub(crate) value: T,
}

impl<T> Named<T> {
    pub(crate) fn from_code(name: &'static str, value: T) -> Option<Self> {
        Some(Named { name: Cow::Borrowed(name), value })
    }
}
