//! Path templates: low-cardinality names for paths, for servers without a router and for clients.

use std::borrow::Cow;

/// The accepted templates, for messages.
pub(crate) const ACCEPTED: &str =
    "a path whose segments are text, `*`, `{name}` or a final `{*name}`, or `pattern=template`";

/// The maximum number of segments that are matched or replaced. A longer path has no template.
const MAX_SEGMENTS: usize = 64;

/// Templates for paths, and optionally a guess for the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathTemplates {
    list: Vec<Template>,
    pub(crate) guesses: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    segments: Vec<Segment>,
    name: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(Box<str>),
    One,
    Rest,
}

impl PathTemplates {
    /// Adds a template such as `/users/{id}`, or a pattern with its name such as `/users/*=/users/{id}`. Returns false if
    /// it is invalid.
    pub(crate) fn add(&mut self, item: &str) -> bool {
        let (pattern, name) =
            item.split_once('=').map_or((item, item), |(pattern, name)| (pattern.trim(), name.trim()));
        let template = Template::parse(pattern, name);
        let is_valid = template.is_some();
        self.list.extend(template);
        is_valid
    }

    /// Returns the first template that matches the path, or else a guess, if enabled.
    #[inline]
    pub(crate) fn find<'t>(&'t self, path: &str) -> Option<Cow<'t, str>> {
        if self.list.is_empty() && !self.guesses {
            return None;
        }
        let matching = self.list.iter().find(|template| template.matches(path));
        match matching {
            Some(template) => Some(Cow::Borrowed(&*template.name)),
            None if self.guesses => guess(path).map(Cow::Owned),
            None => None,
        }
    }
}

impl Template {
    fn parse(pattern: &str, name: &str) -> Option<Self> {
        let inner = pattern.strip_prefix('/')?;
        if !name.starts_with('/') {
            return None;
        }
        let count = inner.split('/').count();
        let segment = |(index, text): (usize, &str)| match text {
            "*" => Some(Segment::One),
            _ => match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
                Some(parameter) => match parameter.strip_prefix('*') {
                    Some(_) if index + 1 == count => Some(Segment::Rest),
                    Some(_) => None,
                    None => (!parameter.is_empty()).then_some(Segment::One),
                },
                None => (!text.contains(['*', '{', '}'])).then(|| Segment::Text(text.into())),
            },
        };
        let segments: Option<Vec<_>> = inner.split('/').enumerate().map(segment).collect();
        Some(Template { segments: segments.filter(|segments| segments.len() <= MAX_SEGMENTS)?, name: name.into() })
    }

    fn matches(&self, path: &str) -> bool {
        let Some(mut rest) = path.strip_prefix('/') else { return false };
        for (index, segment) in self.segments.iter().enumerate() {
            let (first, after) = rest.split_once('/').map_or((rest, None), |(first, after)| (first, Some(after)));
            let is_last = index + 1 == self.segments.len();
            let matches = match segment {
                Segment::Text(text) => **text == *first,
                Segment::One => !first.is_empty(),
                Segment::Rest => return !rest.is_empty(),
            };
            if !matches || is_last != after.is_none() {
                return false;
            }
            rest = after.unwrap_or_default();
        }
        true
    }
}

/// Returns the path with `{id}` for segments that look like identifiers: numbers, UUIDs, ULIDs and hexadecimal text.
fn guess(path: &str) -> Option<String> {
    let inner = path.strip_prefix('/')?;
    if path.len() > 1024 || inner.split('/').count() > MAX_SEGMENTS {
        return None;
    }
    let mut guessed = String::with_capacity(path.len());
    for segment in inner.split('/') {
        guessed.push('/');
        guessed.push_str(if is_identifier(segment) { "{id}" } else { segment });
    }
    Some(guessed)
}

fn is_identifier(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_number = !bytes.is_empty() && digits == bytes.len();
    let is_hex = bytes.len() >= 8 && digits > 0 && bytes.iter().all(u8::is_ascii_hexdigit);
    is_number || is_hex || is_uuid(bytes) || is_ulid(bytes)
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// spec: github.com/ulid/spec: 26 characters of Crockford's base 32, at most 128 bits
fn is_ulid(bytes: &[u8]) -> bool {
    let is_letter = |byte: &u8| {
        let byte = byte.to_ascii_uppercase();
        byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !b"ILOU".contains(&byte))
    };
    bytes.len() == 26 && matches!(bytes.first(), Some(b'0'..=b'7')) && bytes.iter().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn templates(items: &[&str], guesses: bool) -> PathTemplates {
        let mut templates = PathTemplates { guesses, ..PathTemplates::default() };
        assert!(items.iter().all(|item| templates.add(item)), "{items:?}");
        templates
    }

    #[test]
    fn the_first_template_that_matches_is_the_name() {
        let templates = templates(
            &["/users/me", "/users/{id}", "/users/*/orders/*=/users/{id}/orders/{order}", "/static/{*path}", "/"],
            false,
        );
        let check = |path: &str, expected: &str| {
            assert_eq!(templates.find(path).as_deref().unwrap_or("-"), expected, "{path}");
        };
        check("/users/me", "/users/me");
        check("/users/7", "/users/{id}");
        check("/users/", "-");
        check("/users", "-");
        check("/users/7/", "-");
        check("/users/7/orders/8", "/users/{id}/orders/{order}");
        check("/users/7/orders/8/9", "-");
        check("/static/a/b/c.css", "/static/{*path}");
        check("/static/", "-");
        check("/", "/");
        check("", "-");
        check("*", "-");
    }

    #[test]
    fn invalid_templates_are_refused() {
        for item in ["", "users", "/a*", "/{}", "/{*rest}/a", "/a}", "/users/*=users", "=/a", &"/a".repeat(65)] {
            assert!(!PathTemplates::default().add(item), "{item}");
        }
    }

    #[test]
    fn guesses() {
        let guessing = templates(&["/users/{name}"], true);
        let check = |path: &str, expected: &str| {
            assert_eq!(guessing.find(path).as_deref().unwrap_or("-"), expected, "{path}");
        };
        check("/users/7", "/users/{name}");
        check("/orders/7", "/orders/{id}");
        check("/orders/1234567890/items/42", "/orders/{id}/items/{id}");
        check("/o/6ba7b810-9dad-11d1-80b4-00c04fd430c8", "/o/{id}");
        check("/o/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/o/{id}");
        check("/o/deadbeef01", "/o/{id}");
        check("/o/deadbeef", "/o/deadbeef");
        check("/o/facade/v2/cafe1", "/o/facade/v2/cafe1");
        check("/v1/healthz", "/v1/healthz");
        check("/", "/");
        check("*", "-");
        check(&format!("/{}", "x".repeat(1024)), "-");
        assert_eq!(templates(&[], false).find("/orders/7"), None);
    }

    proptest! {
        #[test]
        fn no_template_and_no_path_panics(item in "[/a*{}=]{0,16}|.{0,30}", path in "[/a0-9]{0,16}|.{0,40}") {
            let mut templates = PathTemplates { guesses: true, ..PathTemplates::default() };
            templates.add(&item);
            let _ = templates.find(&path);
        }

        #[test]
        fn numbers_never_reach_a_guess(ids in proptest::collection::vec(any::<u64>(), 1..5)) {
            let path: String = ids.iter().map(|id| format!("/items/{id}")).collect();
            let expected = "/items/{id}".repeat(ids.len());
            let guessed = templates(&[], true).find(&path).map(Cow::into_owned);
            prop_assert_eq!(guessed, Some(expected));
        }
    }
}
