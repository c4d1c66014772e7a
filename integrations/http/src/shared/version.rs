//! The versions of HTTP as `network.protocol.version` writes them.

use http::Version;

/// Returns the value of `network.protocol.version`; `None` for a version that the conventions do not name.
pub(crate) fn attribute(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}
