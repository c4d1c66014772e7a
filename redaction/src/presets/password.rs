//! Passwords and other secrets by their place: the user of a URL, and what is assigned to a name that says so.

use std::ops::Range;

/// What replaces a secret in a URL, by the conventions.
pub(super) const REDACTED: &str = "REDACTED";

/// Bytes of a name that are looked at.
const MAX_NAME: usize = 64;
/// Spaces around the sign of an assignment.
const MAX_SPACES: usize = 4;
/// Bytes of a URL in which the end of a password is searched that contains the end of an authority.
const MAX_PASSWORD: usize = 256;

pub(super) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| matches!(byte, b':' | b'='))?;
        let found = match bytes[at..].starts_with(b"://") {
            true => credentials(bytes, at + 3),
            false => assigned(bytes, at),
        };
        match found {
            Some(found) if !is_redacted(&bytes[found.clone()]) => return Some(found),
            _ => at += 1,
        }
    }
}

/// Returns true for a value that was replaced already, also together with what separates it from the next one.
fn is_redacted(value: &[u8]) -> bool {
    value.strip_prefix(REDACTED.as_bytes()).is_some_and(|rest| rest.iter().all(u8::is_ascii_punctuation))
}

/// Returns the password in the authority of a URL, or its user if there is no password, because tokens are given that way.
fn credentials(text: &[u8], start: usize) -> Option<Range<usize>> {
    let ends = |byte: &u8| {
        byte.is_ascii_whitespace() || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\')
    };
    let length = text[start..].iter().position(ends).unwrap_or(text.len() - start);
    let authority = &text[start..start + length];
    let (end, colon) = match authority.iter().rposition(|byte| *byte == b'@') {
        Some(end) => (end, authority[..end].iter().position(|byte| *byte == b':')),
        None => unescaped(authority, &text[start..], scheme_before(text, start - 3))?,
    };
    let begin = colon.map_or(0, |colon| colon + 1);
    (begin < end).then_some(start + begin..start + end)
}

/// Returns the places of the `@` and of the colon around a password that contains an unescaped `/`, `?` or `#`, or a quote. They would
/// end the authority, which then has a colon that no port follows. In a URL of a database or a broker it may have one, as in
/// `amqp://ann:12/3@db`, if a path and a query without `@` cannot explain the rest. `rest` is the text from the start of the authority.
fn unescaped(authority: &[u8], rest: &[u8], scheme: &[u8]) -> Option<(usize, Option<usize>)> {
    let colon = authority.iter().position(|byte| *byte == b':').filter(|_| !authority.starts_with(b"["))?;
    let window = &rest[..rest.len().min(authority.len() + MAX_PASSWORD)];
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'<' | b'>');
    let window = &window[..window.iter().position(ends).unwrap_or(window.len())];
    let end = window.iter().rposition(|byte| *byte == b'@')?;
    let may_be_path = !is_service(scheme) || window[authority.len()..end].contains(&b'?');
    (!(is_port(&authority[colon + 1..]) && may_be_path)).then_some((end, Some(colon)))
}

/// Returns true for what may follow the colon of a host.
fn is_port(text: &[u8]) -> bool {
    let digit = |port: u32, byte: &u8| port.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
    text.iter().all(u8::is_ascii_digit) && text.iter().fold(0, digit) <= u32::from(u16::MAX)
}

/// The schemes of databases and brokers, whose paths name a database, a queue or a virtual host, without additions such as `+srv`.
const SERVICES: [&str; 21] = [
    "amqp",
    "amqps",
    "cassandra",
    "clickhouse",
    "cockroachdb",
    "kafka",
    "ldap",
    "ldaps",
    "mariadb",
    "mongodb",
    "mqtt",
    "mqtts",
    "mssql",
    "mysql",
    "nats",
    "postgres",
    "postgresql",
    "redis",
    "rediss",
    "sqlserver",
    "stomp",
];

/// Returns true if an `@` in the path of a URL with this scheme belongs to a password rather than to the path.
fn is_service(scheme: &[u8]) -> bool {
    let name = scheme.split(|byte| *byte == b'+').next().unwrap_or_default();
    SERVICES.iter().any(|service| name.eq_ignore_ascii_case(service.as_bytes()))
}

/// Returns the scheme of a URL that ends here.
fn scheme_before(text: &[u8], end: usize) -> &[u8] {
    let is_scheme = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let length = text[..end].iter().rev().take(MAX_NAME).take_while(is_scheme).count();
    &text[end - length..end]
}

/// Returns the value if the text assigns one to the name of a secret at this sign.
fn assigned(text: &[u8], sign: usize) -> Option<Range<usize>> {
    let next = text.get(sign + 1).copied();
    let before = sign.checked_sub(1).map(|at| text[at]);
    // A path of Rust, or a comparison.
    if text[sign] == b':' && (next == Some(b':') || before == Some(b':')) || next == Some(b'=') {
        return None;
    }
    let (name, is_quoted) = name_before(text, sign);
    if !is_secret_name(name) {
        return None;
    }
    let arrow = usize::from(text[sign] == b'=' && next == Some(b'>'));
    let start = spaces_end(text, sign + 1 + arrow);
    let (start, end) = match text.get(start..)? {
        [b'\\', quote @ (b'"' | b'\''), ..] => (start + 2, quoted_end(text, start + 2, *quote, true)),
        [quote @ (b'"' | b'\''), ..] => (start + 1, quoted_end(text, start + 1, *quote, false)),
        [b'[' | b'{', ..] => (start, nested_end(text, start)),
        _ => bare(text, start, is_quoted),
    };
    let is_nothing = matches!(&text[start..end], b"" | b"null" | b"nil" | b"none" | b"None" | b"true" | b"false");
    (!is_nothing).then_some(start..end)
}

/// Returns the name in front of the sign, which may be in quotes or in brackets, as in `user[password]=`, and true if it is in quotes.
fn name_before(text: &[u8], sign: usize) -> (&[u8], bool) {
    let spaces = text[..sign].iter().rev().take(MAX_SPACES).take_while(|byte| **byte == b' ').count();
    let mut name = &text[..sign - spaces];
    let is_quoted = matches!(name, [.., b'"' | b'\'']);
    for closing in [&b"\\\""[..], b"\"", b"\\'", b"'", b"]", b"%5D", b"%5d"] {
        if let Some(rest) = name.strip_suffix(closing) {
            name = rest;
            break;
        }
    }
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = name.iter().rev().take(MAX_NAME).take_while(is_name).count();
    (&name[name.len() - length..], is_quoted)
}

/// The ends of names of secrets, without separators.
const SECRETS: [&str; 16] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "secretkey",
    "clientsecret",
    "token",
    "apikey",
    "accesskey",
    "accesskeyid",
    "privatekey",
    "signature",
    "credential",
    "credentials",
    "authkey",
];

/// Names of secrets that are the end of other words as well.
const WORDS: [&str; 3] = ["pass", "sig", "pw"];

/// Returns true if the name is that of a secret. Ignores case, hyphens and underscores.
pub(super) fn is_secret_name(name: &[u8]) -> bool {
    // Most names end in another letter.
    if !name
        .last()
        .is_some_and(|last| matches!(last | 0x20, b'd' | b'e' | b't' | b'y' | b'n' | b's' | b'l' | b'g' | b'w'))
    {
        return false;
    }
    let mut end = [0; 12];
    let mut length = 0;
    for byte in name.iter().rev().filter(|byte| !matches!(byte, b'-' | b'_')) {
        if *byte == b'.' || length == end.len() {
            break;
        }
        length += 1;
        end[12 - length] = byte.to_ascii_lowercase();
    }
    let end = &end[12 - length..];
    let word = name.rsplit(|byte| matches!(byte, b'-' | b'_' | b'.')).next().unwrap_or_default();
    SECRETS.iter().any(|secret| end.ends_with(secret.as_bytes()))
        || WORDS.iter().any(|secret| word.eq_ignore_ascii_case(secret.as_bytes()))
}

fn spaces_end(text: &[u8], from: usize) -> usize {
    let spaces = text.get(from..).unwrap_or_default().iter().take(MAX_SPACES).take_while(|byte| **byte == b' ');
    from + spaces.count()
}

/// Returns the place of the closing quote, which is escaped if the opening one is, or the end of the text.
fn quoted_end(text: &[u8], from: usize, quote: u8, is_escaped: bool) -> usize {
    let mut at = from;
    while at < text.len() {
        match text[at] {
            b'\\' if is_escaped && text.get(at + 1) == Some(&quote) => return at,
            b'\\' => at += 1,
            byte if byte == quote => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Returns the end of the list or map that begins here, with those within it, or the end of the text. A bracket in quotes does not count.
fn nested_end(text: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    // An apostrophe within a word is no quote.
    let mut may_quote = false;
    while at < text.len() {
        let byte = text[at];
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 1 => return at + 1,
            b']' | b'}' => depth -= 1,
            b'"' | b'\'' if byte == b'"' || may_quote => {
                let is_escaped = text[..at].ends_with(b"\\");
                at = quoted_end(text, at + 1, byte, is_escaped) + usize::from(is_escaped);
            }
            _ => {}
        }
        may_quote = match byte {
            b'[' | b'{' | b',' | b':' | b'=' | b'>' => true,
            b' ' | b'\\' => may_quote,
            _ => false,
        };
        at += 1;
    }
    text.len()
}

/// Returns a value without quotes. If it is a wrapper around a value in quotes, as in `Some("…")`, returns what is in the quotes. If it is
/// the name of a type with fields, as in `Secret { … }`, the fields belong to it.
fn bare(text: &[u8], start: usize, is_quoted: bool) -> (usize, usize) {
    let end = bare_end(text, start, is_quoted);
    let value = &text[start..end];
    let is_escaped = value.ends_with(b"\\");
    match text.get(end..) {
        Some([quote @ (b'"' | b'\''), ..]) if value.strip_suffix(b"\\").unwrap_or(value).ends_with(b"(") => {
            (end + 1, quoted_end(text, end + 1, *quote, is_escaped))
        }
        Some([b' ', b'{', ..]) if is_type(value) => (start, nested_end(text, end + 1)),
        _ => (start, end),
    }
}

/// Returns true for the name of a type of Rust, also within a variant around it.
fn is_type(value: &[u8]) -> bool {
    value.first().is_some_and(u8::is_ascii_uppercase)
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'('))
}

/// Returns the end of a value without quotes. A scheme of HTTP authorization belongs to it.
fn bare_end(text: &[u8], from: usize, is_quoted: bool) -> usize {
    let end = |from: usize| (from..text.len()).find(|at| ends_bare(text, *at, is_quoted)).unwrap_or(text.len());
    let first = end(from);
    let is_scheme =
        [&b"bearer"[..], b"basic", b"token"].iter().any(|scheme| text[from..first].eq_ignore_ascii_case(scheme));
    match text.get(first) {
        Some(b' ') if is_scheme => end(first + 1),
        _ => first,
    }
}

/// Returns true if the byte at this place is not part of a value without quotes. A quote belongs to the value unless the name is in quotes
/// as well, or the quote is escaped, closes the text around the value, or opens the value of a wrapper.
fn ends_bare(text: &[u8], at: usize, is_quoted: bool) -> bool {
    let closes = |next: &u8| {
        next.is_ascii_whitespace()
            || matches!(next, b',' | b';' | b':' | b'&' | b')' | b']' | b'}' | b'>' | b'"' | b'\'' | b'\\')
    };
    match text[at] {
        b'&' | b';' | b'<' | b'>' => true,
        b'"' | b'\'' => is_quoted || matches!(text[..at], [.., b'\\' | b'(']) || text.get(at + 1).is_none_or(closes),
        byte => byte.is_ascii_whitespace(),
    }
}
