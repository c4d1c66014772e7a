//! TLS: trusted certificates and the client certificate, read when the exporter is built.

pub(crate) use imp::Tls;

use crate::settings::{Named, Pem};

/// The TLS settings before their files are read.
#[derive(Debug, Default)]
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "read by the feature `tls` alone"))]
pub(crate) struct TlsSettings {
    pub(crate) certificate: Option<Named<Pem>>,
    pub(crate) client_key: Option<Named<Pem>>,
    pub(crate) client_certificate: Option<Named<Pem>>,
}

#[cfg(not(feature = "tls"))]
mod imp {
    use std::error::Error;
    use std::io;

    use telemark_sdk::ConfigError;

    use super::TlsSettings;
    use crate::endpoint::Endpoint;
    use crate::settings::{Named, Protocol};

    /// Uninhabited, because TLS requires the feature.
    #[derive(Clone, Debug)]
    pub(crate) enum Tls {}

    impl Tls {
        pub(crate) fn new(endpoint: &Named<Endpoint>, _: TlsSettings, _: Protocol) -> Result<Self, ConfigError> {
            let accepted = "an http:// URL, or the feature `tls` of telemark or telemark-otlp";
            Err(ConfigError::invalid(endpoint.name.clone(), endpoint.value.as_set(), accepted))
        }

        pub(crate) async fn connect<T>(&self, _: T) -> io::Result<T> {
            match *self {}
        }

        pub(crate) fn is_refusal(_: &(dyn Error + 'static)) -> bool {
            false
        }
    }
}

#[cfg(feature = "tls")]
mod imp {
    use std::borrow::Cow;
    use std::error::Error;
    use std::fmt;
    use std::fs::File;
    use std::io::{self, Read};
    use std::path::Path;
    use std::sync::Arc;

    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use telemark_sdk::ConfigError;
    use telemark_sdk::config::Env;
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::TlsSettings;
    use crate::endpoint::Endpoint;
    use crate::settings::{Named, Pem, Protocol};

    /// The trusted certificates, the client certificate, and the name to verify.
    #[derive(Clone)]
    pub(crate) struct Tls {
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
    }

    impl Tls {
        pub(crate) fn new(
            endpoint: &Named<Endpoint>,
            settings: TlsSettings,
            protocol: Protocol,
        ) -> Result<Self, ConfigError> {
            let server = ServerName::try_from(endpoint.value.host.clone()).map_err(|error| {
                ConfigError::invalid(endpoint.name.clone(), endpoint.value.to_string(), "a host name or an IP address")
                    .with_source(error)
            })?;
            // Passed explicitly, because a program with several crypto providers has no default.
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| ConfigError::state("TLS", "no protocol versions").with_source(error))?
                .with_root_certificates(trusted(settings.certificate)?);
            let mut config = match (settings.client_certificate, settings.client_key) {
                (None, None) => builder.with_no_client_auth(),
                (Some(certificate), Some(key)) => {
                    let chain = certificates(&certificate)?;
                    builder.with_client_auth_cert(chain, private_key(&key)?).map_err(|error| {
                        invalid(&key, "the private key of the client certificate").with_source(error)
                    })?
                }
                (Some(single), None) => return Err(ConfigError::state(single.name, "the client key is missing")),
                (None, Some(single)) => {
                    return Err(ConfigError::state(single.name, "the client certificate is missing"));
                }
            };
            let alpn: &[u8] = if protocol == Protocol::Grpc { b"h2" } else { b"http/1.1" };
            config.alpn_protocols = vec![alpn.to_vec()];
            Ok(Tls { config: Arc::new(config), server })
        }

        /// Performs the TLS handshake on a connection.
        pub(crate) async fn connect<T: AsyncRead + AsyncWrite + Unpin>(&self, socket: T) -> io::Result<TlsStream<T>> {
            TlsConnector::from(Arc::clone(&self.config)).connect(self.server.clone(), socket).await
        }

        /// Returns true if TLS itself failed, for example because of a certificate, rather than the underlying connection.
        pub(crate) fn is_refusal(error: &(dyn Error + 'static)) -> bool {
            let mut cause = Some(error);
            while let Some(error) = cause {
                if error.is::<rustls::Error>() {
                    return true;
                }
                // `source` of an `io::Error` skips the error that it wraps.
                let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
                cause = wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source());
            }
            false
        }
    }

    impl fmt::Debug for Tls {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Tls").field("server", &self.server).finish_non_exhaustive()
        }
    }

    fn trusted(setting: Option<Named<Pem>>) -> Result<RootCertStore, ConfigError> {
        let mut roots = RootCertStore::empty();
        match setting {
            Some(setting) => {
                for certificate in certificates(&setting)? {
                    roots.add(certificate).map_err(|error| invalid(&setting, CERTIFICATES).with_source(error))?;
                }
            }
            None => {
                check_system_file()?;
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let problem = "the system has no certificates to trust: set OTEL_EXPORTER_OTLP_CERTIFICATE";
                    let error = ConfigError::state("certificate", problem);
                    return Err(match found.errors.into_iter().next() {
                        Some(source) => error.with_source(source),
                        None => error,
                    });
                }
            }
        }
        Ok(roots)
    }

    const CERTIFICATES: &str = "a file with PEM certificates";

    fn certificates(setting: &Named<Pem>) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let pem = read(setting, CERTIFICATES)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(invalid(setting, CERTIFICATES)),
            Err(error) => Err(invalid(setting, CERTIFICATES).with_source(error)),
        }
    }

    fn private_key(setting: &Named<Pem>) -> Result<PrivateKeyDer<'static>, ConfigError> {
        const KEY: &str = "a file with a PEM private key";
        let pem = read(setting, KEY)?;
        PrivateKeyDer::from_pem_slice(&pem).map_err(|error| invalid(setting, KEY).with_source(error))
    }

    fn read<'a>(setting: &'a Named<Pem>, accepted: &'static str) -> Result<Cow<'a, [u8]>, ConfigError> {
        match &setting.value {
            Pem::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Pem::File(path) => match read_file(path) {
                Ok(bytes) => Ok(Cow::Owned(bytes)),
                Err(error) => Err(invalid(setting, accepted).with_source(error)),
            },
        }
    }

    /// The maximum size of a file in bytes. The certificates of a whole system take a few hundred KiB.
    const MAX_FILE_SIZE: u64 = 16 << 20;

    /// Reads a regular file up to [`MAX_FILE_SIZE`]. Refuses devices, which may be endless, and pipes, which may have no writer.
    fn read_file(path: &Path) -> io::Result<Vec<u8>> {
        let not_usable = |problem: String| Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        // Checked first, because opening a pipe already waits for its writer.
        if !std::fs::metadata(path)?.is_file() {
            return not_usable("not a regular file".to_owned());
        }
        let mut bytes = Vec::new();
        let read = File::open(path)?.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes)?;
        if read as u64 > MAX_FILE_SIZE {
            return not_usable(format!("larger than {MAX_FILE_SIZE} bytes"));
        }
        Ok(bytes)
    }

    /// Refuses a system certificate file that cannot be read within the limit.
    fn check_system_file() -> Result<(), ConfigError> {
        const VARIABLE: &str = "SSL_CERT_FILE";
        // `/dev/null` is a common way to disable the file.
        let Some(path) = Env::process().string(VARIABLE).filter(|path| path != "/dev/null") else { return Ok(()) };
        match read_file(Path::new(&path)) {
            Ok(_) => Ok(()),
            // `SSL_CERT_DIR` may still have certificates.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(ConfigError::invalid(VARIABLE, path, CERTIFICATES).with_source(error)),
        }
    }

    fn invalid(setting: &Named<Pem>, accepted: &'static str) -> ConfigError {
        let value = match &setting.value {
            Pem::File(path) => path.to_string_lossy().into_owned(),
            Pem::Bytes(_) => "…".to_owned(),
        };
        ConfigError::invalid(setting.name.clone(), value, accepted)
    }
}
