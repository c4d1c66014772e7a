//! The secrets of a request, which a receiver or a proxy may echo in its response.

use http::HeaderMap;

use crate::proxy::Proxy;

/// The values of the configured headers, the endpoint's query and the proxy's credentials, which never appear in messages.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<Vec<u8>>);

/// The minimum length of a value that is hidden. Shorter values occur too often in ordinary text.
const MIN_LENGTH: usize = 4;

const HIDDEN: &[u8] = "…".as_bytes();

impl Secrets {
    /// Returns the secrets of requests with these headers and this query through this proxy.
    pub(crate) fn new(headers: &HeaderMap, query: Option<&str>, proxy: Option<&Proxy>) -> Self {
        let of_proxy = || proxy.into_iter().flat_map(Proxy::secrets);
        let values = || headers.values().map(|value| value.as_bytes()).chain(of_proxy());
        // Also hide the credentials in `Bearer credentials`.
        let words = values().filter_map(|value| value.rsplit(u8::is_ascii_whitespace).next());
        let parameters = query.unwrap_or_default().split('&');
        let parameters = parameters.map(|one| one.split_once('=').map_or(one, |(_, value)| value).as_bytes());
        let mut all: Vec<_> = values().chain(words).chain(parameters).map(<[u8]>::to_vec).collect();
        all.retain(|secret| secret.len() >= MIN_LENGTH);
        // Longer secrets must come before shorter ones that are part of them.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        all.dedup();
        Secrets(all)
    }

    /// Returns `text` with the secrets replaced.
    pub(crate) fn hide(&self, text: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(&first) = rest.first() {
            match self.0.iter().find(|secret| rest.starts_with(secret)) {
                Some(secret) => {
                    shown.extend_from_slice(HIDDEN);
                    rest = rest.get(secret.len()..).unwrap_or_default();
                }
                None => {
                    shown.push(first);
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_a_receiver_echoes_is_not_shown() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer s3cret"));
        headers.insert("x-short", HeaderValue::from_static("a"));
        let secrets = Secrets::new(&headers, Some("token=t0ken&n=1"), None);
        let hide = |text: &str| String::from_utf8(secrets.hide(text.as_bytes())).unwrap();
        assert_eq!(
            hide("POST /v1/traces?token=t0ken authorization: Bearer s3cret!"),
            "POST /v1/traces?token=… authorization: …!"
        );
        assert_eq!(hide("bad token \"s3cret\" of a user 1"), "bad token \"…\" of a user 1");
        assert_eq!(hide(""), "");
    }
}
