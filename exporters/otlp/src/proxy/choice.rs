//! The setting or the variable that decides whether a proxy is used, and which.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use telemark_sdk::config::Env;
use telemark_sdk::{ConfigError, text};

use super::address::{ACCEPTED, Proxy};
use super::bypass::Bypass;
use crate::endpoint::Endpoint;
use crate::settings::{Named, Protocol};

/// A decision of code or of our own variable, which `NO_PROXY` does not change.
#[derive(Clone)]
pub(crate) enum ProxySetting {
    Direct,
    Address(String),
}

impl ProxySetting {
    /// Reads a value in which `none` stands for no proxy.
    pub(crate) fn from_text(text: String) -> Self {
        if text.eq_ignore_ascii_case("none") { ProxySetting::Direct } else { ProxySetting::Address(text) }
    }
}

impl fmt::Debug for ProxySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxySetting::Direct => f.write_str("none"),
            ProxySetting::Address(address) => write!(f, "\"{}\"", text::url(address)),
        }
    }
}

/// The variables that most programs read. Names in lower case take precedence.
#[derive(Default)]
pub(crate) struct ProxyVariables {
    https: Option<Named<String>>,
    http: Option<Named<String>>,
    all: Option<Named<String>>,
    no: Option<Named<String>>,
}

impl ProxyVariables {
    pub(crate) fn from_env(env: &Env) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|&name| Some(Named { name: Cow::Borrowed(name), value: env.string(name)? }))
        };
        // In a CGI program, `HTTP_PROXY` is the request header `Proxy`, which anyone can send.
        let is_cgi = env.string("REQUEST_METHOD").is_some();
        ProxyVariables {
            https: first(&["https_proxy", "HTTPS_PROXY"]),
            http: first(if is_cgi { &["http_proxy"] } else { &["http_proxy", "HTTP_PROXY"] }),
            all: first(&["all_proxy", "ALL_PROXY"]),
            no: first(&["no_proxy", "NO_PROXY"]),
        }
    }
}

impl fmt::Debug for ProxyVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = [&self.https, &self.http, &self.all, &self.no].into_iter().flatten();
        f.debug_map().entries(set.map(|one| (&one.name, text::url(&one.value)))).finish()
    }
}

/// Returns the proxy for an endpoint. `unused` receives the variables that cannot be used.
///
/// # Errors
/// Fails if the setting cannot be used. A variable is ignored then, because it concerns other programs as well.
pub(crate) fn choose(
    setting: Option<Named<ProxySetting>>,
    variables: ProxyVariables,
    endpoint: &Endpoint,
    protocol: Protocol,
    unused: &mut Vec<ConfigError>,
) -> Result<Option<Proxy>, ConfigError> {
    if let Some(Named { name, value }) = setting {
        let ProxySetting::Address(address) = value else { return Ok(None) };
        return match Proxy::parse(&address, name.clone()) {
            Some(proxy) => Ok(Some(proxy)),
            None => Err(ConfigError::redacted(name, text::url(&address).to_string(), format!("{ACCEPTED}, or none"))),
        };
    }
    let ProxyVariables { https, http, all, no } = variables;
    // gRPC needs a tunnel even without TLS, and other implementations use the same variable for all of it.
    let own = if endpoint.tls || protocol == Protocol::Grpc { https } else { http };
    let Some(Named { name, value }) = own.or(all) else { return Ok(None) };
    if is_loopback(&endpoint.host) {
        return Ok(None);
    }
    if let Some(Named { name, value }) = no {
        let bypass = Bypass::parse(&value);
        let accepted = "names, addresses and networks such as .example.com, 10.1.2.3:8080 and 10.0.0.0/8, or *";
        let refused = bypass.unusable.iter().map(|entry| ConfigError::invalid(name.clone(), entry.clone(), accepted));
        unused.extend(refused);
        if bypass.covers(&endpoint.host, endpoint.port) {
            return Ok(None);
        }
    }
    let proxy = Proxy::parse(&value, name.clone());
    if proxy.is_none() {
        let direct = format!("{ACCEPTED}; {} is reached directly", endpoint.authority);
        unused.push(ConfigError::redacted(name, text::url(&value).to_string(), direct));
    }
    Ok(proxy)
}

/// Returns true for the hosts of this machine, which no proxy can reach in our place.
fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Path;

    const PROXY: &str = "http://proxy:3128";

    fn check(endpoint: &str, protocol: Protocol, variables: &[(&str, &str)], expected: &str) {
        let endpoint = Endpoint::parse(endpoint, Path::AsIs, None).unwrap();
        let env = Env::from_pairs(variables.iter().copied());
        let setting =
            env.string("OURS").map(|text| Named { name: "OURS".into(), value: ProxySetting::from_text(text) });
        let mut unused = Vec::new();
        let chosen = choose(setting, ProxyVariables::from_env(&env), &endpoint, protocol, &mut unused);
        let shown = match chosen {
            Ok(Some(proxy)) => proxy.to_string(),
            Ok(None) => "direct".to_owned(),
            Err(error) => format!("error: {error}"),
        };
        let unused = unused.into_iter().map(|unused| format!("; {unused}"));
        let shown: String = [shown].into_iter().chain(unused).collect();
        assert!(!shown.contains("s3cret"));
        assert_eq!(shown, expected, "{endpoint} {variables:?}");
    }

    #[test]
    fn the_scheme_and_the_protocol_select_the_variable() {
        let all = [("HTTP_PROXY", "http://a"), ("HTTPS_PROXY", "http://b"), ("ALL_PROXY", "http://c")];
        check("http://h", Protocol::HttpProtobuf, &all, "http://a:80 (HTTP_PROXY)");
        check("https://h", Protocol::HttpJson, &all, "http://b:80 (HTTPS_PROXY)");
        check("http://h", Protocol::Grpc, &all, "http://b:80 (HTTPS_PROXY)");
        check("http://h", Protocol::Grpc, &all[..1], "direct");
        check("http://h", Protocol::HttpJson, &all[1..], "http://c:80 (ALL_PROXY)");
        check("http://h", Protocol::HttpJson, &[], "direct");
    }

    #[test]
    fn lower_case_wins_and_cgi_headers_do_not_count() {
        let both =
            [("HTTP_PROXY", "http://a"), ("http_proxy", "http://b"), ("ALL_PROXY", ""), ("all_proxy", "http://c")];
        check("http://h", Protocol::HttpJson, &both, "http://b:80 (http_proxy)");
        check("https://h", Protocol::HttpJson, &both, "http://c:80 (all_proxy)");
        let cgi = [("HTTP_PROXY", "http://evil"), ("REQUEST_METHOD", "GET")];
        check("http://h", Protocol::HttpJson, &cgi, "direct");
        check("http://h", Protocol::HttpJson, &[cgi[1], ("http_proxy", "http://a")], "http://a:80 (http_proxy)");
    }

    #[test]
    fn this_machine_and_excluded_hosts_are_reached_directly() {
        let all = ("ALL_PROXY", PROXY);
        for endpoint in [
            "http://localhost:4318",
            "https://LOCALHOST.",
            "http://x.localhost",
            "http://127.9.9.9",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
        ] {
            check(endpoint, Protocol::HttpJson, &[all], "direct");
            // Unless asked for.
            check(endpoint, Protocol::HttpJson, &[("OURS", PROXY)], "http://proxy:3128 (OURS)");
        }
        check("http://a.h:1", Protocol::HttpJson, &[all, ("NO_PROXY", "h")], "direct");
        check("http://a.h:1", Protocol::HttpJson, &[all, ("NO_PROXY", "h:2")], "http://proxy:3128 (ALL_PROXY)");
        check("http://a.h:1", Protocol::HttpJson, &[("OURS", PROXY), ("NO_PROXY", "*")], "http://proxy:3128 (OURS)");
        check("http://a.h:1", Protocol::HttpJson, &[("OURS", "None"), all], "direct");
    }

    #[test]
    fn what_cannot_be_used_is_said_without_secrets() {
        check(
            "http://h",
            Protocol::HttpJson,
            &[("ALL_PROXY", "socks5://u:s3cret@proxy:1080")],
            "direct; ALL_PROXY=\"socks5://…@proxy:1080\" cannot be used: expected an http:// URL such as http://proxy:3128 or \
             http://user:password@proxy:3128; h is reached directly",
        );
        check(
            "http://h",
            Protocol::HttpJson,
            &[("OURS", "https://u:s3cret@proxy")],
            "error: OURS=\"https://…@proxy\" cannot be used: expected an http:// URL such as http://proxy:3128 or \
             http://user:password@proxy:3128, or none",
        );
        check(
            "http://h",
            Protocol::HttpJson,
            &[("ALL_PROXY", PROXY), ("NO_PROXY", "a,10.0.0.0/99")],
            "http://proxy:3128 (ALL_PROXY); NO_PROXY=\"10.0.0.0/99\" cannot be used: expected names, addresses and networks such as \
             .example.com, 10.1.2.3:8080 and 10.0.0.0/8, or *",
        );
        // Nothing is said about variables that do not concern the endpoint.
        check("http://localhost", Protocol::HttpJson, &[("ALL_PROXY", "socks5://proxy")], "direct");
        let debug = format!("{:?}", ProxyVariables::from_env(&Env::from_pairs([("ALL_PROXY", "http://u:s3cret@p")])));
        assert_eq!(debug, r#"{"ALL_PROXY": "http://…@p"}"#);
    }
}
