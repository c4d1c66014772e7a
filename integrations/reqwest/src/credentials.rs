//! Credentials among the default headers of a client, which reqwest adds inside of `execute`.

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::ClientBuilder;

/// The headers that reqwest removes when a redirect leads to another host.
const NAMES: [HeaderName; 5] =
    [AUTHORIZATION, COOKIE, HeaderName::from_static("cookie2"), PROXY_AUTHORIZATION, WWW_AUTHENTICATE];

/// Removes the headers that must not reach another host.
pub(crate) fn remove_credentials(headers: &mut HeaderMap) {
    for name in NAMES {
        headers.remove(name);
    }
}

/// Returns true if clients of this builder add credentials to requests that have none, or if that cannot be told.
///
/// reqwest shows its default headers only as text, so a builder with known headers checks the text first.
pub(crate) fn may_add_credentials(builder: &ClientBuilder) -> bool {
    let known = HeaderMap::from_iter(NAMES.map(|name| (name, HeaderValue::from_static("x"))));
    let known = format!("{:?}", ClientBuilder::new().default_headers(known));
    let shown = format!("{builder:?}");
    NAMES.iter().any(|name| {
        let name = format!("{:?}: ", name.as_str());
        !known.contains(&name) || shown.contains(&name)
    })
}
