//! Path patterns: an exact path, or a prefix followed by `*`.

/// `/health` matches only that path; `/internal/*` matches every path that starts with `/internal/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathPattern {
    Exact(Box<str>),
    Prefix(Box<str>),
}

impl PathPattern {
    pub(crate) fn parse(pattern: &str) -> Option<Self> {
        match pattern.strip_suffix('*') {
            Some(prefix) if !prefix.contains('*') => Some(PathPattern::Prefix(prefix.into())),
            None if !pattern.is_empty() && !pattern.contains('*') => Some(PathPattern::Exact(pattern.into())),
            _ => None,
        }
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            PathPattern::Exact(exact) => **exact == *path,
            PathPattern::Prefix(prefix) => path.starts_with(&**prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches() {
        fn check(pattern: &str, path: &str, expected: Option<bool>) {
            assert_eq!(PathPattern::parse(pattern).map(|pattern| pattern.matches(path)), expected, "{pattern} {path}");
        }
        check("/health", "/health", Some(true));
        check("/health", "/health/", Some(false));
        check("/health", "/healthy", Some(false));
        check("/internal/*", "/internal/a/b", Some(true));
        check("/internal/*", "/internal", Some(false));
        check("*", "/anything", Some(true));
        check("", "/", None);
        check("/a*b", "/a*b", None);
        check("/a**", "/a", None);
    }
}
