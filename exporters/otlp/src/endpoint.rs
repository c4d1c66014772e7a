//! Parses the endpoint setting into scheme, host, port and path.
//!
//! spec: protocol/exporter.md#endpoint-urls-for-otlphttp

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery};
use telemark_sdk::text;

/// A parsed endpoint. Shown without its query, which may contain a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    /// The host, without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The host and port as written, for the `Host` header.
    pub(crate) authority: Authority,
    pub(crate) path: PathAndQuery,
    /// The end of the path that was appended to that of the setting.
    appended: &'static str,
    /// True if the setting has a path or a query that the request does not use.
    pub(crate) has_unused_path: bool,
}

/// Determines a request's path from the path in the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// Uses the path unchanged, because the setting is for a single signal.
    AsIs,
    /// Appends this path, because the setting is for all signals.
    Append(&'static str),
    /// Uses the gRPC service's path and ignores any path in the setting.
    Service(&'static str),
}

pub(crate) const ACCEPTED: &str = "a URL such as http://localhost:4318 or https://host/path";

impl Endpoint {
    /// Parses a URL. Returns `None` if it is not usable. If `tls_without_scheme` is set, the scheme is optional and the flag
    /// selects `https` or `http`.
    pub(crate) fn parse(text: &str, path: Path, tls_without_scheme: Option<bool>) -> Option<Endpoint> {
        let text = text.trim();
        let with_scheme = match (text.contains("://"), tls_without_scheme) {
            (true, _) => text.to_owned(),
            (false, Some(true)) => format!("https://{text}"),
            (false, Some(false)) => format!("http://{text}"),
            (false, None) => return None,
        };
        let uri: Uri = with_scheme.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        // Credentials in the URL would not be sent, and would appear in error messages. They belong in headers.
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?.clone();
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return None;
        }
        // `port_u16` does not distinguish a malformed port from a missing one.
        let port = match authority.port() {
            Some(port) => port.as_str().parse().ok().filter(|&port| port != 0)?,
            None if authority.as_str().ends_with(':') || authority.as_str().len() > authority.host().len() => {
                return None;
            }
            None if tls => 443,
            None => 80,
        };
        let has_unused_path =
            matches!(path, Path::Service(_)) && (uri.query().is_some() || !matches!(uri.path(), "" | "/"));
        let appended = if let Path::Append(suffix) = path { suffix } else { "" };
        let path = match path {
            Path::AsIs => uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
            Path::Append(suffix) => {
                let base = uri.path();
                let slash = if base.ends_with('/') { "" } else { "/" };
                let (mark, query) = uri.query().map_or(("", ""), |query| ("?", query));
                format!("{base}{slash}{suffix}{mark}{query}").parse().ok()?
            }
            Path::Service(service) => PathAndQuery::from_static(service),
        };
        Some(Endpoint { tls, host, port, authority, path, appended, has_unused_path })
    }

    /// Returns `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Returns the URL as the setting has it, without the appended path.
    pub(crate) fn as_set(&self) -> String {
        let url = self.to_string();
        match url.split_once('?') {
            None => url.trim_end_matches(self.appended).trim_end_matches('/').to_owned(),
            Some(_) => url,
        }
    }

    /// Returns a hint for error messages if this is the default receiver, which a program without any setting uses.
    pub(crate) fn absent_hint(&self) -> &'static str {
        match (&*self.host, self.port) {
            ("localhost", 4317 | 4318) => {
                " (the default; to send elsewhere, set OTEL_EXPORTER_OTLP_ENDPOINT or the endpoint in the configuration file; to \
                 send nothing, set OTEL_TRACES_EXPORTER, OTEL_LOGS_EXPORTER and OTEL_METRICS_EXPORTER to none)"
            }
            _ => "",
        }
    }

    /// Returns a hint for error messages if the port is the default port of the other protocol.
    pub(crate) fn port_hint(&self, grpc: bool) -> Option<String> {
        let (other, protocol, port) = match (grpc, self.port) {
            (true, 4318) => ("HTTP", "http/protobuf", 4317),
            (false, 4317) => ("gRPC", "grpc", 4318),
            _ => return None,
        };
        Some(format!(
            ": {} is usually the port of OTLP over {other}, set the protocol to {protocol} or the port to {port}",
            self.port
        ))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = format!("{}://{}{}", self.scheme(), self.authority, self.path);
        write!(f, "{}", text::url(&url))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(endpoint: Option<Endpoint>) -> String {
        match endpoint {
            Some(e) => format!("{e} = {} {} {}", e.host, e.port, e.path),
            None => "refused".to_owned(),
        }
    }

    /// Parses the URL as the endpoint for all signals and as the endpoint for one, and compares both results.
    fn check(url: &str, base: &str, own: &str) {
        assert_eq!(show(Endpoint::parse(url, Path::Append("v1/traces"), None)), base, "{url:?} for all signals");
        assert_eq!(show(Endpoint::parse(url, Path::AsIs, None)), own, "{url:?} for one signal");
    }

    #[test]
    fn the_path_is_appended_for_all_signals_and_kept_for_one() {
        check(
            "http://collector:4318",
            "http://collector:4318/v1/traces = collector 4318 /v1/traces",
            "http://collector:4318/ = collector 4318 /",
        );
        check(
            "http://collector:4318/mycollector/",
            "http://collector:4318/mycollector/v1/traces = collector 4318 /mycollector/v1/traces",
            "http://collector:4318/mycollector/ = collector 4318 /mycollector/",
        );
        check(
            "http://collector:4318/mycollector",
            "http://collector:4318/mycollector/v1/traces = collector 4318 /mycollector/v1/traces",
            "http://collector:4318/mycollector = collector 4318 /mycollector",
        );
        check(
            "https://host/a%2Fb?tenant=1",
            "https://host/a%2Fb/v1/traces?… = host 443 /a%2Fb/v1/traces?tenant=1",
            "https://host/a%2Fb?… = host 443 /a%2Fb?tenant=1",
        );
    }

    #[test]
    fn ports_and_addresses() {
        check("HTTP://h", "http://h/v1/traces = h 80 /v1/traces", "http://h/ = h 80 /");
        check("http://[::1]:9", "http://[::1]:9/v1/traces = ::1 9 /v1/traces", "http://[::1]:9/ = ::1 9 /");
        check("http://[::1]", "http://[::1]/v1/traces = ::1 80 /v1/traces", "http://[::1]/ = ::1 80 /");
    }

    #[test]
    fn text_that_is_not_an_http_url_is_refused() {
        for url in [
            "",
            "/",
            "localhost",
            "localhost:4318",
            "ftp://host",
            "http://",
            "http:///v1",
            "http://h:x",
            "http://h:99999",
            "http://h:0",
            "http://h:",
            "http://h h",
            "http://user:secret@host",
            "unix:///run/otel.sock",
        ] {
            check(url, "refused", "refused");
        }
    }

    #[test]
    fn grpc_has_its_own_path_and_may_lack_the_scheme() {
        let parse = |url, tls| show(Endpoint::parse(url, Path::Service("/s/Export"), Some(tls)));
        assert_eq!(parse("collector:4317", true), "https://collector:4317/s/Export = collector 4317 /s/Export");
        assert_eq!(parse("collector:4317", false), "http://collector:4317/s/Export = collector 4317 /s/Export");
        assert_eq!(parse("http://collector:4317/x", true), "http://collector:4317/s/Export = collector 4317 /s/Export");
    }

    #[test]
    fn the_default_port_of_the_other_protocol_is_a_likely_mistake() {
        let check = |url, grpc, expected: &str| {
            let endpoint = Endpoint::parse(url, Path::AsIs, None).unwrap();
            assert_eq!(endpoint.port_hint(grpc).unwrap_or_default(), expected, "{url}");
        };
        check(
            "http://h:4318",
            true,
            ": 4318 is usually the port of OTLP over HTTP, set the protocol to http/protobuf or the port to 4317",
        );
        check(
            "http://h:4317",
            false,
            ": 4317 is usually the port of OTLP over gRPC, set the protocol to grpc or the port to 4318",
        );
        check("http://h:4317", true, "");
        check("http://h:4318", false, "");
        check("http://h", true, "");
    }

    proptest! {
        #[test]
        fn nothing_panics(url in "\\PC{0,40}", scheme in "(https?://)?") {
            let url = format!("{scheme}{url}");
            for path in [Path::AsIs, Path::Append("v1/traces"), Path::Service("/s")] {
                if let Some(endpoint) = Endpoint::parse(&url, path, Some(true)) {
                    prop_assert!(!endpoint.host.is_empty() && endpoint.port != 0);
                }
            }
        }
    }
}
