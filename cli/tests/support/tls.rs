//! Certificate authorities, and receivers over HTTPS.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::{Script, Temporary, serve};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// What is unusual about a receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unusual {
    Nothing,
    Expired,
    NotYetValid,
    WantsClients,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    /// Returns a file with the certificate of this authority.
    pub(crate) fn file(&self, name: &str) -> Temporary {
        Temporary::new(name, &self.certificate.pem())
    }

    /// Starts a receiver with a certificate for `name`, which treats requests like [`http`](super::http).
    pub(crate) fn https(&self, name: &str, unusual: Unusual, script: Script, date: &'static str) -> SocketAddr {
        let config = Arc::new(self.config(name, unusual));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, script) = (Arc::clone(&config), script.clone());
                thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    serve(StreamOwned::new(connection, stream.unwrap()), &script, date);
                });
            }
        });
        address
    }

    fn config(&self, name: &str, unusual: Unusual) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        match unusual {
            Unusual::Expired => params.not_after = date_time_ymd(2001, 1, 1),
            Unusual::NotYetValid => params.not_before = date_time_ymd(3000, 1, 1),
            Unusual::Nothing | Unusual::WantsClients => {}
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match unusual {
            Unusual::WantsClients => {
                let mut roots = RootCertStore::empty();
                roots.add(self.certificate.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }
}
