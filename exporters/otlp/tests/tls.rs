//! TLS against a receiver with its own certificate authority.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::single_element_loop, reason = "tables of one line without the other features")]

mod support;

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use support::grpc::{Server, Step, Version};
use support::{export, outcome, quick_retries};
use telemark_otlp::{OtlpBuilder, OtlpExporter, Protocol};
use telemark_sdk::Exporter;
use telemark_sdk::config::Env;
use telemark_sdk::signal::Traces;
use tokio_rustls::TlsAcceptor;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        Identity { certificate, key }
    }

    fn pem(&self) -> Vec<u8> {
        self.certificate.pem().into_bytes()
    }

    /// Starts a receiver with a certificate for `name`. If `clients` is set, the receiver requires a client certificate
    /// from that authority.
    fn serve(&self, name: &str, clients: Option<&Authority>, version: Version, script: Vec<Step>) -> Server {
        let identity = self.identity(name);
        let provider = Arc::new(ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.certificate.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::Pkcs8(identity.key.serialize_der().into());
        let mut config = builder.with_single_cert(vec![identity.certificate.der().clone()], key).unwrap();
        let alpn: &[u8] = if version == Version::Http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![alpn.to_vec()];
        Server::start_with(script, version, Some(TlsAcceptor::from(Arc::new(config))))
    }
}

fn builder(server: &Server, host: &str) -> OtlpBuilder<Traces> {
    OtlpExporter::<Traces>::builder()
        .with_base_endpoint(format!("https://{host}:{}", server.address.port()))
        .with_retry(quick_retries().with_max_retries(3))
}

fn http_ok() -> Vec<Step> {
    vec![Step::Reply { headers: vec![], body: vec![], trailers: vec![] }]
}

const TAKEN: &str = "taken, 0 rejected, 0 retries";
/// The outcome if a certificate is refused. There is no retry, because waiting does not make a certificate valid.
const REFUSED: &str = "unavailable, 0 retries";

fn check(builder: OtlpBuilder<Traces>, expected: &str, cause: &str) {
    let result = export(&mut builder.build().unwrap(), "a");
    assert_eq!(outcome(&result), expected, "{result:?}");
    if let Err(error) = result {
        assert!(error.to_string().contains(cause), "{error}");
    }
}

#[test]
fn a_receiver_with_a_certificate_of_the_given_authority() {
    let authority = Authority::new();
    let server = authority.serve("localhost", None, Version::Http1, http_ok());
    check(builder(&server, "localhost").with_certificate(authority.pem()), TAKEN, "");
    let server = authority.serve("127.0.0.1", None, Version::Http1, http_ok());
    check(builder(&server, "127.0.0.1").with_certificate(authority.pem()), TAKEN, "");
}

#[cfg(feature = "grpc")]
#[test]
fn grpc_over_tls() {
    let authority = Authority::new();
    let server = authority.serve("localhost", None, Version::Http2, vec![Step::ok()]);
    let builder = builder(&server, "localhost").with_protocol(Protocol::Grpc).with_certificate(authority.pem());
    check(builder, TAKEN, "");
}

#[test]
fn a_batch_larger_than_every_buffer_arrives() {
    let authority = Authority::new();
    let long: &'static str = "x".repeat(5_000_000).leak();
    for (version, protocol, script) in [
        (Version::Http1, Protocol::HttpProtobuf, [http_ok(), http_ok()].concat()),
        #[cfg(feature = "grpc")]
        (Version::Http2, Protocol::Grpc, vec![Step::ok(), Step::ok()]),
    ] {
        let server = authority.serve("localhost", None, version, script);
        let builder = builder(&server, "localhost").with_protocol(protocol).with_certificate(authority.pem());
        let mut exporter = builder.build().unwrap();
        assert_eq!([(); 2].map(|()| outcome(&export(&mut exporter, long))), [TAKEN; 2]);
        assert_eq!(server.finish().iter().map(|call| call.connection).collect::<Vec<_>>(), [0, 0]);
    }
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let authority = Authority::new();
    let server = authority.serve("localhost", None, Version::Http1, vec![]);
    check(builder(&server, "localhost").with_certificate(Authority::new().pem()), REFUSED, "invalid peer certificate");
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let server = authority.serve("example.com", None, Version::Http1, vec![]);
    let cause = "certificate not valid for name";
    check(builder(&server, "localhost").with_certificate(authority.pem()), REFUSED, cause);
}

#[test]
fn a_receiver_that_demands_a_client_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let client = clients.identity("client");
    let (certificate, key) = (client.certificate.pem().into_bytes(), client.key.serialize_pem().into_bytes());
    for (version, protocol, script) in [
        (Version::Http1, Protocol::HttpProtobuf, http_ok()),
        #[cfg(feature = "grpc")]
        (Version::Http2, Protocol::Grpc, vec![Step::ok()]),
    ] {
        let server = authority.serve("localhost", Some(&clients), version, script);
        let builder = || builder(&server, "localhost").with_protocol(protocol).with_certificate(authority.pem());
        // The receiver reports this after the handshake and may close the connection before the client reads the report.
        // The client then sees a lost connection and retries.
        let error = export(&mut builder().build().unwrap(), "a").unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        let with = builder().with_client_certificate(certificate.clone()).with_client_key(key.clone());
        check(with, TAKEN, "");
    }
}

#[test]
fn certificates_come_from_files_named_in_the_environment() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let client = clients.identity("client");
    let server = authority.serve("localhost", Some(&clients), Version::Http1, http_ok());
    let directory = std::env::temp_dir().join(format!("telemark-otlp-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, text: String| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let env = Env::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://localhost:{}", server.address.port())),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", file("ca.pem", authority.certificate.pem())),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file("client.pem", client.certificate.pem())),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", file("client.key", client.key.serialize_pem())),
    ]);
    let exporter = OtlpExporter::<Traces>::from_env(&env);
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(outcome(&export(&mut exporter.unwrap(), "a")), TAKEN);
}

/// Certificates and a key in files, which a program beside the exporter rotates.
struct Files(std::path::PathBuf);

impl Files {
    fn new(name: &str) -> Files {
        let directory = std::env::temp_dir().join(format!("telemark-otlp-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Files(directory)
    }

    fn write(&self, name: &str, text: &str) {
        // As a ConfigMap and most programs do.
        std::fs::write(self.0.join("next"), text).unwrap();
        std::fs::rename(self.0.join("next"), self.0.join(name)).unwrap();
    }

    fn write_client(&self, client: &Identity) {
        self.write("client.pem", &client.certificate.pem());
        self.write("client.key", &client.key.serialize_pem());
    }

    fn path(&self, name: &str) -> telemark_otlp::Pem {
        self.0.join(name).into()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_rotated_client_certificate_is_used_for_the_next_connection() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let (old, new, stranger) = (clients.identity("old"), clients.identity("new"), strangers.identity("stranger"));
    for (version, protocol, ok) in [
        (Version::Http1, Protocol::HttpProtobuf, http_ok()),
        #[cfg(feature = "grpc")]
        (Version::Http2, Protocol::Grpc, vec![Step::ok()]),
    ] {
        let files = Files::new(&format!("rotated-{version:?}"));
        let ok = || ok[0].clone();
        let script = vec![ok(), ok(), Step::Close, ok(), Step::Close, ok(), Step::Close, ok()];
        let server = authority.serve("localhost", Some(&clients), version, script);
        files.write_client(&stranger);
        let mut exporter = builder(&server, "localhost")
            .with_protocol(protocol)
            .with_certificate(authority.pem())
            .with_client_certificate(files.path("client.pem"))
            .with_client_key(files.path("client.key"))
            .build()
            .unwrap();
        let mut send = |name| outcome(&export(&mut exporter, name));
        assert!(send("refused").starts_with("unavailable"));
        files.write_client(&old);
        assert_eq!(send("a"), TAKEN);
        // A connection in use keeps its certificate.
        files.write_client(&stranger);
        assert_eq!(send("b"), TAKEN);
        // The connection is closed, and the new one has the certificate of the stranger.
        assert!(send("refused").starts_with("unavailable"), "{protocol:?}");
        files.write_client(&old);
        assert_eq!(send("c"), TAKEN);
        // While the files do not belong together or are broken, the old ones stay.
        files.write("client.pem", &new.certificate.pem());
        assert_eq!(send("d"), "taken, 0 rejected, 1 retries");
        files.write("client.key", "garbage");
        assert_eq!(send("e"), "taken, 0 rejected, 1 retries");
        assert_eq!(exporter.failed_refreshes(), 2, "once for each problem");
    }
}

#[test]
fn a_rotated_authority_is_trusted_for_the_next_connection() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::new("authority");
    let server = authority.serve("localhost", None, Version::Http1, http_ok());
    files.write("ca.pem", &other.certificate.pem());
    let mut exporter = builder(&server, "localhost").with_certificate(files.path("ca.pem")).build().unwrap();
    assert_eq!(outcome(&export(&mut exporter, "a")), REFUSED);
    std::fs::remove_file(files.0.join("ca.pem")).unwrap();
    assert_eq!(outcome(&export(&mut exporter, "a")), REFUSED);
    assert_eq!(exporter.failed_refreshes(), 1);
    files.write("ca.pem", &authority.certificate.pem());
    assert_eq!(outcome(&export(&mut exporter, "a")), TAKEN);
}

/// The proxy's response and the receiver's certificate have nothing to do with each other.
#[test]
fn tls_inside_of_a_tunnel() {
    use support::proxy::{ESTABLISHED, Proxy, Step as Tunnel};

    let authority = Authority::new();
    for (version, protocol, script) in [
        (Version::Http1, Protocol::HttpProtobuf, http_ok()),
        #[cfg(feature = "grpc")]
        (Version::Http2, Protocol::Grpc, vec![Step::ok()]),
    ] {
        let server = authority.serve("collector.invalid", None, version, script);
        let proxy = Proxy::start([Tunnel::Tunnel(ESTABLISHED, server.address)]);
        let url = format!("http://user:s3cret@{}", proxy.address);
        let env = Env::from_pairs([("https_proxy", &*url)]);
        let builder = OtlpExporter::<Traces>::builder().with_base_endpoint("https://collector.invalid");
        check(builder.with_env(&env).with_protocol(protocol).with_certificate(authority.pem()), TAKEN, "");
        let head = "CONNECT collector.invalid:443 HTTP/1.1\r\nHost: collector.invalid:443\r\n";
        assert_eq!(proxy.heads(), [format!("{head}Proxy-Authorization: Basic dXNlcjpzM2NyZXQ=\r\n\r\n")]);
        assert!(server.finish().iter().all(|call| !call.headers.contains_key("proxy-authorization")));
    }
}

#[test]
fn text_that_is_not_a_certificate_is_a_configuration_error() {
    let check = |builder: OtlpBuilder<Traces>, expected: &str| {
        let error = builder.with_endpoint("https://localhost").build().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("PRIVATE"), "{error}");
    };
    let builder = || OtlpExporter::<Traces>::builder().with_certificate(Authority::new().pem());
    let garbage = b"PRIVATE garbage".to_vec();
    check(builder().with_certificate(garbage.clone()), r#"certificate="…" cannot be used: expected a file with PEM"#);
    let certificate = Authority::new().pem();
    check(builder().with_client_certificate(certificate.clone()), "client_certificate: the client key is missing");
    check(builder().with_client_key(garbage.clone()), "client_key: the client certificate is missing");
    let both = builder().with_client_certificate(certificate.clone()).with_client_key(garbage);
    check(both, r#"client_key="…" cannot be used: expected a file with a PEM private key"#);
    let other = KeyPair::generate().unwrap().serialize_pem().into_bytes();
    let both = builder().with_client_certificate(certificate).with_client_key(other);
    check(both, r#"client_key="…" cannot be used: expected the private key of the client certificate"#);
}

/// Tries an endless device and a pipe without a writer.
#[cfg(unix)]
#[test]
fn a_certificate_that_is_not_a_regular_file_is_refused_at_once() {
    let pipe = std::env::temp_dir().join(format!("telemark-otlp-pipe-{}", std::process::id()));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [std::path::Path::new("/dev/zero"), &pipe, &std::env::temp_dir()] {
        let certificate =
            || OtlpExporter::<Traces>::builder().with_endpoint("https://localhost").with_certificate(path);
        let error = certificate().build().unwrap_err().to_string();
        assert!(error.starts_with("certificate=") && error.contains("not a regular file"), "{error}");
        let pem = Authority::new().pem();
        let key = OtlpExporter::<Traces>::builder().with_endpoint("https://localhost").with_certificate(pem.clone());
        let error = key.with_client_certificate(pem).with_client_key(path).build().unwrap_err().to_string();
        assert!(error.starts_with("client_key=") && error.contains("not a regular file"), "{error}");
    }
    std::fs::remove_file(&pipe).unwrap();
}

/// Tries a regular file that is larger than memory: a sparse file of 2 GiB.
#[test]
fn a_certificate_file_is_read_up_to_a_limit() {
    let path = std::env::temp_dir().join(format!("telemark-otlp-large-{}", std::process::id()));
    std::fs::File::create(&path).unwrap().set_len(2 << 30).unwrap();
    let builder = OtlpExporter::<Traces>::builder().with_endpoint("https://localhost").with_certificate(path.as_path());
    let mut error = String::new();
    let read = allocation_counter::measure(|| error = builder.build().unwrap_err().to_string());
    std::fs::remove_file(&path).unwrap();
    assert!(error.contains("larger than 16777216 bytes"), "{error}");
    assert!(read.bytes_max < 100 << 20, "{read:?}");
}

/// Sets `SSL_CERT_FILE`, the system's certificate file, to an endless device.
#[cfg(unix)]
#[test]
fn the_systems_certificate_file_is_read_up_to_a_limit_too() {
    const CHILD: &str = "TELEMARK_TEST_SYSTEM_CERTIFICATES";
    #[allow(clippy::disallowed_methods, reason = "a child process is told through its environment")]
    if std::env::var_os(CHILD).is_some() {
        println!(
            "result: {:?}",
            OtlpExporter::<Traces>::builder().with_endpoint("https://localhost").build().map(drop)
        );
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_systems_certificate_file_is_read_up_to_a_limit_too", "--nocapture"])
        .envs([(CHILD, "yes"), ("SSL_CERT_FILE", "/dev/zero")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("SSL_CERT_FILE") && said.contains("not a regular file"), "{said}");
}
