//! HTTP versions in the format of `network.protocol.version`.

use http::Version;

/// Returns the value of `network.protocol.version`; `None` for a version without a name in the conventions.
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
