//! TLS: trusted certificates and the client certificate. Their files are read when the exporter is built, and again for a connection
//! if they have changed.

pub(crate) use imp::Tls;

use crate::settings::{Named, Pem};

/// The TLS settings before their files are read.
#[derive(Clone, Debug, Default)]
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "read by the feature `tls` alone"))]
pub(crate) struct TlsSettings {
    pub(crate) certificate: Option<Named<Pem>>,
    pub(crate) client_key: Option<Named<Pem>>,
    pub(crate) client_certificate: Option<Named<Pem>>,
}

#[cfg(not(feature = "tls"))]
mod imp {
    #[cfg(feature = "hyper-client")]
    use std::error::Error;
    #[cfg(feature = "hyper-client")]
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
    }

    #[cfg(feature = "hyper-client")]
    impl Tls {
        pub(crate) async fn connect<T>(&mut self, _: T) -> io::Result<T> {
            match *self {}
        }

        pub(crate) fn is_outdated(&self) -> bool {
            match *self {}
        }

        pub(crate) fn failures(&self) -> u64 {
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
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use telemark_sdk::ConfigError;
    use telemark_sdk::config::Env;
    use telemark_sdk::diag::{Level, log};
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::TlsSettings;
    use crate::endpoint::Endpoint;
    use crate::files;
    use crate::settings::{Named, Pem, Protocol};

    /// The trusted certificates, the client certificate, and the name to verify.
    #[derive(Clone)]
    pub(crate) struct Tls {
        settings: TlsSettings,
        server: ServerName<'static>,
        alpn: &'static [u8],
        /// The trusted certificates in use. Those of the system are read once.
        roots: Arc<RootCertStore>,
        config: Arc<ClientConfig>,
        /// The content of the files in use.
        content: u64,
        /// The problem of the files that cannot be used, which has been reported.
        problem: Option<String>,
        failures: u64,
    }

    /// The content of the files, or the text that was set instead.
    struct Content<'a> {
        certificate: Option<Read<'a>>,
        client_key: Option<Read<'a>>,
        client_certificate: Option<Read<'a>>,
        hash: u64,
    }

    struct Read<'a> {
        setting: &'a Named<Pem>,
        pem: Cow<'a, [u8]>,
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
            let alpn: &'static [u8] = if protocol == Protocol::Grpc { b"h2" } else { b"http/1.1" };
            let content = Content::read(&settings)?;
            let hash = content.hash;
            let roots = Arc::new(content.trusted().unwrap_or_else(of_the_system)?);
            let config = content.config(roots.clone(), alpn)?;
            Ok(Tls {
                server,
                alpn,
                roots,
                config: Arc::new(config),
                content: hash,
                problem: None,
                failures: 0,
                settings,
            })
        }

        /// Performs the TLS handshake on a connection, with the files as they are now.
        pub(crate) async fn connect<T: AsyncRead + AsyncWrite + Unpin>(
            &mut self,
            socket: T,
        ) -> io::Result<TlsStream<T>> {
            self.refresh();
            TlsConnector::from(Arc::clone(&self.config)).connect(self.server.clone(), socket).await
        }

        /// Returns true if another connection would use other certificates than the present one.
        pub(crate) fn is_outdated(&self) -> bool {
            let has_files = self.settings.all().any(|setting| matches!(setting.value, Pem::File(_)));
            has_files && Content::read(&self.settings).is_ok_and(|content| content.hash != self.content)
        }

        /// Returns the number of times that changed files could not be used.
        pub(crate) fn failures(&self) -> u64 {
            self.failures
        }

        /// Reads the files again if there are any. If those that have changed cannot be used, the old certificates remain.
        fn refresh(&mut self) {
            if !self.settings.all().any(|setting| matches!(setting.value, Pem::File(_))) {
                return;
            }
            match self.read() {
                Ok(()) => self.problem = None,
                Err(error) => {
                    let problem = error.to_string();
                    if self.problem.as_ref() != Some(&problem) {
                        self.failures += 1;
                        log(
                            Level::Warn,
                            "certificates",
                            format_args!("{problem}; the certificates read before stay in use"),
                        );
                        self.problem = Some(problem);
                    }
                }
            }
        }

        fn read(&mut self) -> Result<(), ConfigError> {
            let content = Content::read(&self.settings)?;
            if content.hash == self.content {
                return Ok(());
            }
            let roots = content.trusted().transpose()?.map_or_else(|| self.roots.clone(), Arc::new);
            self.config = Arc::new(content.config(roots.clone(), self.alpn)?);
            self.content = content.hash;
            self.roots = roots;
            log(Level::Debug, "certificates", format_args!("the certificates have changed and are used from now on"));
            Ok(())
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

    impl TlsSettings {
        fn all(&self) -> impl Iterator<Item = &Named<Pem>> {
            [&self.certificate, &self.client_key, &self.client_certificate].into_iter().flatten()
        }
    }

    impl<'a> Content<'a> {
        fn read(settings: &'a TlsSettings) -> Result<Self, ConfigError> {
            let mut hasher = DefaultHasher::new();
            let mut read = |setting: &'a Option<Named<Pem>>, accepted| {
                let Some(setting) = setting else { return Ok(None) };
                let pem = match &setting.value {
                    Pem::Bytes(bytes) => Cow::Borrowed(bytes.as_slice()),
                    Pem::File(path) => match files::read(path, MAX_FILE_SIZE) {
                        Ok(bytes) => Cow::Owned(bytes),
                        Err(error) => return Err(invalid(setting, accepted).with_source(error)),
                    },
                };
                pem.hash(&mut hasher);
                Ok(Some(Read { setting, pem }))
            };
            Ok(Content {
                certificate: read(&settings.certificate, CERTIFICATES)?,
                client_certificate: read(&settings.client_certificate, CERTIFICATES)?,
                client_key: read(&settings.client_key, KEY)?,
                hash: hasher.finish(),
            })
        }

        /// Returns the certificates to trust, or `None` for those of the system.
        fn trusted(&self) -> Option<Result<RootCertStore, ConfigError>> {
            let read = self.certificate.as_ref()?;
            Some(certificates(read).and_then(|certificates| {
                let mut roots = RootCertStore::empty();
                for certificate in certificates {
                    roots.add(certificate).map_err(|error| invalid(read.setting, CERTIFICATES).with_source(error))?;
                }
                Ok(roots)
            }))
        }

        fn config(&self, roots: Arc<RootCertStore>, alpn: &[u8]) -> Result<ClientConfig, ConfigError> {
            // Passed explicitly, because a program with several crypto providers has no default.
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| ConfigError::state("TLS", "no protocol versions").with_source(error))?
                .with_root_certificates(roots);
            let mut config = match (&self.client_certificate, &self.client_key) {
                (None, None) => builder.with_no_client_auth(),
                (Some(certificate), Some(key)) => {
                    let chain = certificates(certificate)?;
                    let private_key = PrivateKeyDer::from_pem_slice(&key.pem)
                        .map_err(|error| invalid(key.setting, KEY).with_source(error))?;
                    builder.with_client_auth_cert(chain, private_key).map_err(|error| {
                        invalid(key.setting, "the private key of the client certificate").with_source(error)
                    })?
                }
                (Some(single), None) => return Err(missing(single, "the client key is missing")),
                (None, Some(single)) => return Err(missing(single, "the client certificate is missing")),
            };
            config.alpn_protocols = vec![alpn.to_vec()];
            Ok(config)
        }
    }

    impl fmt::Debug for Tls {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Tls").field("server", &self.server).finish_non_exhaustive()
        }
    }

    /// Returns the certificates that the system trusts.
    fn of_the_system() -> Result<RootCertStore, ConfigError> {
        check_system_file()?;
        let mut roots = RootCertStore::empty();
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
        Ok(roots)
    }

    const CERTIFICATES: &str = "a file with PEM certificates";
    const KEY: &str = "a file with a PEM private key";

    /// The maximum size of a file in bytes. The certificates of a whole system take a few hundred KiB.
    const MAX_FILE_SIZE: u64 = 16 << 20;

    fn certificates(read: &Read<'_>) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read.pem).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(invalid(read.setting, CERTIFICATES)),
            Err(error) => Err(invalid(read.setting, CERTIFICATES).with_source(error)),
        }
    }

    /// Refuses a system certificate file that cannot be read within the limit.
    fn check_system_file() -> Result<(), ConfigError> {
        const VARIABLE: &str = "SSL_CERT_FILE";
        // `/dev/null` is a common way to disable the file.
        let Some(path) = Env::process().string(VARIABLE).filter(|path| path != "/dev/null") else { return Ok(()) };
        match files::read(Path::new(&path), MAX_FILE_SIZE) {
            Ok(_) => Ok(()),
            // `SSL_CERT_DIR` may still have certificates.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(ConfigError::invalid(VARIABLE, path, CERTIFICATES).with_source(error)),
        }
    }

    fn missing(read: &Read<'_>, problem: &'static str) -> ConfigError {
        ConfigError::state(read.setting.name.clone(), problem)
    }

    fn invalid(setting: &Named<Pem>, accepted: &'static str) -> ConfigError {
        let value = match &setting.value {
            Pem::File(path) => path.to_string_lossy().into_owned(),
            Pem::Bytes(_) => "…".to_owned(),
        };
        ConfigError::invalid(setting.name.clone(), value, accepted)
    }
}
