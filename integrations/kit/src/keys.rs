//! The attribute names of the HTTP conventions, written once.
// spec: semantic-conventions 1.45.0, http/http-spans.md

use http::Version;

pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

pub(crate) const METHOD: &str = "http.request.method";
pub(crate) const METHOD_ORIGINAL: &str = "http.request.method_original";
pub(crate) const ROUTE: &str = "http.route";
pub(crate) const STATUS_CODE: &str = "http.response.status_code";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const URL_PATH: &str = "url.path";
pub(crate) const URL_QUERY: &str = "url.query";
pub(crate) const URL_SCHEME: &str = "url.scheme";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const CLIENT_ADDRESS: &str = "client.address";
pub(crate) const CLIENT_PORT: &str = "client.port";
pub(crate) const PEER_ADDRESS: &str = "network.peer.address";
pub(crate) const PEER_PORT: &str = "network.peer.port";
pub(crate) const LOCAL_ADDRESS: &str = "network.local.address";
pub(crate) const LOCAL_PORT: &str = "network.local.port";
pub(crate) const REQUEST_BODY_SIZE: &str = "http.request.body.size";
pub(crate) const RESPONSE_BODY_SIZE: &str = "http.response.body.size";
pub(crate) const PROTOCOL_VERSION: &str = "network.protocol.version";
pub(crate) const USER_AGENT: &str = "user_agent.original";
/// Not in the conventions: says that the response was given up before its end.
pub(crate) const OUTCOME: &str = "telemark.outcome";
/// Not in the conventions: the names of the attributes that hold less than the peer sent.
pub(crate) const TRUNCATED: &str = "telemark.truncated";

/// The value of `network.protocol.version`.
pub(crate) fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}
