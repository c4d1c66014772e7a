//! The origins of web pages, in the form in which browsers send them.

/// Parses the origin of web pages, such as `https://shop.example` or `http://localhost:3000`. Returns it in the form in which browsers
/// send it: in lower case, and without the default port.
///
/// ```
/// use telemark_viewer::parse_origin;
///
/// assert_eq!(parse_origin("https://Shop.example:443/").as_deref(), Some("https://shop.example"));
/// assert_eq!(parse_origin("https://shop.example/cart"), None);
/// assert_eq!(parse_origin("*"), None);
/// ```
pub fn parse_origin(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        // A colon within brackets belongs to the address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_address = name.len() < host.len();
    let is_host = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || (is_address && byte == b':'));
    if !is_scheme || !is_host {
        return None;
    }
    let port = port.map(str::parse::<u16>).transpose().ok()?;
    Some(match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_the_form_that_browsers_send() {
        let check = |text, expected: Option<&str>| assert_eq!(parse_origin(text).as_deref(), expected, "{text}");
        check("http://localhost:3000", Some("http://localhost:3000"));
        check(" HTTPS://Shop.Example/ ", Some("https://shop.example"));
        check("http://shop.example:80", Some("http://shop.example"));
        check("https://shop.example:80", Some("https://shop.example:80"));
        check("http://[::1]:8080", Some("http://[::1]:8080"));
        check("http://[::1]", Some("http://[::1]"));
        check("capacitor://localhost", Some("capacitor://localhost"));
        for text in [
            "",
            "*",
            "null",
            "shop.example",
            "https://",
            "https://*.example",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://a:b",
            "https://a:99999",
            "https://a b",
            "https://a:",
            "://a",
            "1://a",
            "https://a::1",
        ] {
            check(text, None);
        }
    }
}
