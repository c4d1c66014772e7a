//! URL patterns: a host, with a port and a path.

use super::paths::PathPattern;
use super::target::Target;
use crate::shared::host;

/// The accepted patterns, for messages.
pub(crate) const ACCEPTED: &str = "`host`, `*.suffix`, `*` or nothing, then `:port` and `/path` or `/prefix*`";

/// `api.example.com`, `*.example.com:8443`, `api.example.com/users/*` or `/health`. A missing part matches everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UrlPattern {
    host: HostPattern,
    port: Option<u16>,
    path: Option<PathPattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    Exact(Box<str>),
    /// With its leading dot, in lower case.
    Suffix(Box<str>),
}

impl UrlPattern {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let path = match path {
            "" => None,
            path => Some(PathPattern::parse(path)?),
        };
        let (wildcard, rest) = match authority.strip_prefix('*') {
            Some(rest) if rest.is_empty() || rest.starts_with([':', '.']) => (true, rest),
            Some(_) => return None,
            None => (false, authority),
        };
        let (name, port) = match rest.strip_prefix(':') {
            Some(port) => ("", Some(port.parse().ok()?)),
            None if rest.is_empty() => ("", None),
            None => {
                let (name, port) = host::split(rest)?;
                // An invalid port would silently match every port.
                if port.is_none() && has_port(rest) {
                    return None;
                }
                (name, port)
            }
        };
        let host = match (wildcard, name) {
            (_, "") => HostPattern::Any,
            (true, suffix) if suffix.len() > 1 => HostPattern::Suffix(suffix.to_ascii_lowercase().into()),
            (false, name) => HostPattern::Exact(name.to_ascii_lowercase().into()),
            _ => return None,
        };
        let is_empty = text.is_empty();
        (!is_empty).then_some(UrlPattern { host, port, path })
    }

    pub(crate) fn matches(&self, target: &Target<'_>) -> bool {
        let host = target.host();
        let is_host = match &self.host {
            HostPattern::Any => true,
            HostPattern::Exact(name) => name.eq_ignore_ascii_case(host),
            HostPattern::Suffix(suffix) => {
                let start = host.len().checked_sub(suffix.len());
                start.and_then(|start| host.get(start..)).is_some_and(|end| suffix.eq_ignore_ascii_case(end))
            }
        };
        is_host
            && self.port.is_none_or(|port| target.port() == Some(port))
            && self.path.as_ref().is_none_or(|path| path.matches(target.path()))
    }

    /// Returns a number that is larger for a more specific pattern: the host counts most, then the port, then the path.
    pub(crate) fn specificity(&self) -> (usize, bool, usize) {
        let host = match &self.host {
            HostPattern::Any => 0,
            HostPattern::Suffix(suffix) => suffix.len(),
            HostPattern::Exact(_) => usize::MAX,
        };
        let path = match &self.path {
            None => 0,
            Some(PathPattern::Prefix(prefix)) => prefix.len() + 1,
            Some(PathPattern::Exact(_)) => usize::MAX,
        };
        (host, self.port.is_some(), path)
    }
}

fn has_port(authority: &str) -> bool {
    match authority.rsplit_once(']') {
        Some((_, rest)) => rest.starts_with(':'),
        None => authority.matches(':').count() == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches() {
        fn check(pattern: &str, url: &str, expected: Option<bool>) {
            let target = Target::parse(url);
            let matches = UrlPattern::parse(pattern).map(|pattern| pattern.matches(&target));
            assert_eq!(matches, expected, "{pattern} {url}");
        }
        check("api.example.com", "https://api.example.com/a", Some(true));
        check("API.example.com", "https://api.EXAMPLE.com/a", Some(true));
        check("api.example.com", "https://api.example.com.evil.org/", Some(false));
        check("api.example.com", "https://api.example.com@evil.org/", Some(false));
        check("api.example.com:443", "https://api.example.com/a", Some(true));
        check("api.example.com:8443", "https://api.example.com/a", Some(false));
        check("*.example.com", "https://a.b.example.com", Some(true));
        check("*.example.com", "https://example.com", Some(false));
        check("*.example.com", "https://badexample.com", Some(false));
        check("*:8080", "http://anything:8080", Some(true));
        check("*:8080", "http://anything", Some(false));
        check(":8080", "http://anything:8080", Some(true));
        check("*", "http://anything", Some(true));
        check("/health", "http://anything/health?x", Some(true));
        check("/health", "http://anything/healthy", Some(false));
        check("h/users/*", "http://h/users/7", Some(true));
        check("h/users/*", "http://h/orders/7", Some(false));
        check("[::1]:80", "http://[::1]/", Some(true));
        check("[::1]", "http://[::2]/", Some(false));
        for invalid in ["", "a b", "*x", "h:port", "h:99999", "*.", "a*b", "https://h/", "h/a*b"] {
            check(invalid, "http://h/", None);
        }
    }

    #[test]
    fn a_longer_pattern_is_more_specific() {
        let patterns = [
            "*",
            "*/a*",
            ":80",
            "*.com",
            "*.b.com",
            "a.b.com",
            "a.b.com/x*",
            "a.b.com/x",
            "a.b.com:80",
            "a.b.com:80/x*",
        ];
        for pair in patterns.windows(2) {
            let specificity = |text: &str| UrlPattern::parse(text).unwrap().specificity();
            assert!(specificity(pair[0]) < specificity(pair[1]), "{pair:?}");
        }
    }
}
