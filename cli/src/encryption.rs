//! What a failed TLS handshake means, in plain words, and what to do.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// The names of the server and of the settings that matter to TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    /// The host and the port.
    pub(crate) place: &'a str,
    pub(crate) host: &'a str,
    /// The setting with the URL.
    pub(crate) url: &'a str,
    /// The setting with the trusted certificates.
    pub(crate) trusted: &'a str,
    /// The settings with the client's certificate and its key, if there are any.
    pub(crate) client: Option<&'a str>,
}

/// Returns what this refusal means and what to do.
pub(crate) fn meaning(refusal: &Error, names: Names<'_>) -> String {
    let Names { place, host, url, trusted, .. } = names;
    match refusal {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => format!(
            "The server at {place} does not speak TLS. Write http:// in {url} if it is the right one; if not, use the port for https."
        ),
        Error::InvalidCertificate(error) => match error {
            // An authority with the name of a trusted one has another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "The certificate of {place} comes from an authority that is not trusted here. Set {trusted} to a PEM file with the certificate of \
                 that authority."
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                let presented = match error {
                    CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
                        names_of(presented)
                    }
                    _ => "other names".to_owned(),
                };
                format!(
                    "The certificate is for {presented}, not for {host}. Use a name of the certificate in {url}, or give the server a \
                     certificate for {host}."
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "The server's certificate has expired. Renew it there, or set this machine's clock.".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "The server's certificate is not valid yet. Set this machine's clock.".to_owned()
            }
            _ => format!(
                "The certificate of {place} cannot be used. If it is signed by itself, set {trusted} to a PEM file with the certificate of an \
                 authority, and give the server one from there."
            ),
        },
        Error::AlertReceived(AlertDescription::CertificateRequired) => match names.client {
            Some(client) => format!("The server wants a client certificate. Set {client}."),
            None => "The server wants a client certificate, which this command has not.".to_owned(),
        },
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied,
        ) if names.client.is_some() => {
            format!(
                "The server refuses the client certificate. Check {}, and the server's log.",
                names.client.unwrap_or_default()
            )
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            format!("The server at {place} speaks TLS, but another protocol than this one. Check {url}.")
        }
        _ => format!(
            "The server at {place} and this machine cannot agree on TLS. Check {url}, whether the server takes TLS 1.2 or 1.3, and its log."
        ),
    }
}

/// Lists at most three names, without the type that the library puts around each.
fn names_of(presented: &[String]) -> String {
    let plain = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    let more = if presented.len() > 3 { " and others" } else { "" };
    presented.iter().take(3).map(plain).collect::<Vec<_>>().join(", ") + more
}
