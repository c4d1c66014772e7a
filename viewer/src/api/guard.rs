//! Who may read the viewer: checks of the token and of the origin, and the headers of every response.

use telemark_serve::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use telemark_serve::http::request::Parts;

use super::params::{Params, Refused};

/// The minimum length of a token.
const MIN_TOKEN: usize = 16;

/// The headers that every response has.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Adds the headers that every response has.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The token that requests must have.
#[derive(Clone)]
pub(super) struct Token {
    token: String,
    /// The name of the cookie that holds the token. It contains the port, because browsers send a cookie to all ports of a host, and
    /// the token of one viewer must not replace that of another.
    cookie: String,
}

impl Token {
    /// Accepts a token for the viewer at this port if it is long enough, and safe within a cookie and a link.
    pub(super) fn new(token: String, port: u16) -> Option<Token> {
        let is_safe = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        (token.len() >= MIN_TOKEN && is_safe).then(|| Token { token, cookie: format!("telemark_viewer_{port}") })
    }

    /// Compares in a time that does not depend on the place of the first difference.
    fn is(&self, other: &str) -> bool {
        let (own, other) = (self.token.as_bytes(), other.as_bytes());
        let difference = own.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b));
        own.len() == other.len() && difference == 0
    }
}

/// What a request may do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Access {
    Granted,
    /// The token came with the link. It moves to a cookie, so that it does not stay in the address bar.
    Login {
        cookie: String,
        location: String,
    },
}

/// Checks the origin and the token of a request.
pub(super) fn check(request: &Parts, token: Option<&Token>) -> Result<Access, Refused> {
    check_origin(&request.headers)?;
    let Some(token) = token else { return Ok(Access::Granted) };
    let query = request.uri.query().unwrap_or_default();
    if Params(query).get("token").is_some_and(|sent| token.is(&sent)) {
        let others: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("token=")).collect();
        let mark = if others.is_empty() { "" } else { "?" };
        // A path that begins with two slashes would be another host, and browsers read a backslash as a slash.
        let path = request.uri.path().trim_start_matches(['/', '\\']);
        return Ok(Access::Login {
            cookie: format!("{}={}; Path=/; HttpOnly; SameSite=Strict", token.cookie, token.token),
            location: format!("/{path}{mark}{}", others.join("&")),
        });
    }
    let bearer = text(&request.headers, &header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let cookies = request.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let has_cookie = pairs.any(|(name, value)| name == token.cookie && token.is(value));
    if bearer.is_some_and(|sent| token.is(sent.trim())) || has_cookie {
        return Ok(Access::Granted);
    }
    Err(Refused::new(
        401,
        "this viewer needs its token: open the link with the token, or send the header Authorization: Bearer",
    ))
}

/// Refuses requests that the script of another site makes.
fn check_origin(headers: &HeaderMap) -> Result<(), Refused> {
    let refused = || Err(Refused::new(403, "requests from other sites are not allowed"));
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let own = text(headers, &header::HOST);
        if host.is_none() || !own.zip(host).is_some_and(|(own, host)| own.eq_ignore_ascii_case(host)) {
            return refused();
        }
    }
    let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
    let is_foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
    // A link from another site may open the page.
    let navigates = text(headers, &HeaderName::from_static("sec-fetch-mode")) == Some("navigate");
    if is_foreign && !navigates { refused() } else { Ok(()) }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use telemark_serve::http::Request;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn request(target: &str, headers: &[(&str, &str)]) -> Parts {
        let builder = headers.iter().fold(Request::get(target), |builder, (name, value)| builder.header(*name, *value));
        builder.body(()).unwrap().into_parts().0
    }

    fn token() -> Token {
        Token::new(TOKEN.to_owned(), 4380).unwrap()
    }

    fn status(headers: &[(&str, &str)], token: Option<&Token>) -> u16 {
        check(&request("/traces.json", headers), token).err().map_or(200, |refused| refused.status)
    }

    #[test]
    fn other_sites_are_refused() {
        let host = ("host", "localhost:4380");
        for (headers, expected) in [
            (vec![host], 200),
            (vec![host, ("origin", "http://localhost:4380")], 200),
            (vec![host, ("origin", "http://localhost:4381")], 403),
            (vec![host, ("origin", "https://evil.example")], 403),
            (vec![host, ("origin", "null")], 403),
            (vec![host, ("origin", "file://localhost:4380")], 403),
            (vec![("origin", "http://localhost:4380")], 403),
            (vec![host, ("sec-fetch-site", "same-origin")], 200),
            (vec![host, ("sec-fetch-site", "none")], 200),
            (vec![host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], 403),
            (vec![host, ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")], 403),
            (vec![host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], 200),
        ] {
            assert_eq!(status(&headers, None), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_token_is_required_in_a_header_or_cookie() {
        let token = token();
        for (name, value, expected) in [
            ("accept", "*/*", 401),
            ("authorization", "Bearer 0123456789abcdef", 200),
            ("authorization", "Bearer 0123456789abcdeX", 401),
            ("authorization", "Bearer 0123456789abcde", 401),
            ("authorization", "Bearer ", 401),
            ("authorization", "Basic 0123456789abcdef", 401),
            ("cookie", "a=b; telemark_viewer_4380=0123456789abcdef", 200),
            ("cookie", "telemark_viewer_4380=0123456789abcde", 401),
            ("cookie", "telemark_viewer_4381=0123456789abcdef", 401),
            ("cookie", "other=0123456789abcdef", 401),
        ] {
            assert_eq!(status(&[(name, value)], Some(&token)), expected, "{name}: {value}");
        }
    }

    #[test]
    fn the_token_of_a_link_moves_to_a_cookie() {
        let token = token();
        let access = |target| check(&request(target, &[]), Some(&token));
        let login = |location: &str| {
            let cookie = "telemark_viewer_4380=0123456789abcdef; Path=/; HttpOnly; SameSite=Strict".to_owned();
            Ok(Access::Login { cookie, location: location.to_owned() })
        };
        assert_eq!(access("/?token=0123456789abcdef"), login("/"));
        assert_eq!(access("/traces?q=a&token=0123456789abcdef&range=5m"), login("/traces?q=a&range=5m"));
        assert_eq!(access("//evil.example?token=0123456789abcdef"), login("/evil.example"));
        assert_eq!(access("/\\evil.example?token=0123456789abcdef"), login("/evil.example"));
        assert_eq!(access("/\\/\\evil.example?token=0123456789abcdef"), login("/evil.example"));
        assert!(access("/?token=wrong").is_err());
    }

    #[test]
    fn short_and_unsafe_tokens_are_refused() {
        for token in ["", "short", "0123456789abcde", "0123456789abcdef;", "0123456789 abcdef", "0123456789abcde\u{e9}"]
        {
            assert!(Token::new(token.to_owned(), 4380).is_none(), "{token}");
        }
    }
}
